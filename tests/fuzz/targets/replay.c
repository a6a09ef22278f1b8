/* fuzz_corpus DIR...: every target on every file of DIR/<target>. A target without files is a
 * failure. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "targets.h"

static const struct {
  const char *name;
  FuzzTarget *run;
} targets[] = {
#define X(name) {#name, fuzz_##name},
    FUZZ_TARGETS
#undef X
};

/* In a block of its very size, so that ASan sees the first byte behind it. */
static int run_file(FuzzTarget *run, const char *path) {
  FILE *f = fopen(path, "rb");
  if (!f) return perror(path), 0;
  fseek(f, 0, SEEK_END);
  size_t size = (size_t)ftell(f);
  uint8_t *data = malloc(size + !size);
  rewind(f);
  int fine = data && fread(data, 1, size, f) == size;
  fclose(f);
  if (fine) run(data, size);
  free(data);
  return fine;
}

static int run_directory(FuzzTarget *run, const char *directory) {
  DIR *d = opendir(directory);
  int count = 0;
  if (!d) return 0;
  for (struct dirent *e; (e = readdir(d));) {
    char path[4300];
    snprintf(path, sizeof path, "%s/%s", directory, e->d_name);
    if (e->d_name[0] != '.') count += run_file(run, path);
  }
  closedir(d);
  return count;
}

int main(int argc, char **argv) {
  int empty = 0;
  for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
    int count = 0;
    for (int k = 1; k < argc; k++) {
      char directory[4000];
      snprintf(directory, sizeof directory, "%s/%s", argv[k], targets[i].name);
      count += run_directory(targets[i].run, directory);
    }
    printf("%-12s %d files\n", targets[i].name, count);
    empty += !count;
  }
  return empty > 0;
}
