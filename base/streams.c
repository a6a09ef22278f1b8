#include "base/streams.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

void streams_open(void) {
  for (int fd = 0; fd <= 2; fd++)
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDONLY) != fd) return;
}

bool streams_flush(const char *program) {
  errno = 0;
  if (!fflush(stdout) && !ferror(stdout)) return true;
  fprintf(stderr, "%s: error: cannot write standard output: %s\n", program, strerror(errno));
  return false;
}
