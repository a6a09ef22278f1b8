#include "driver/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "driver/fatal.h"

static bool refuse(Compilation *c, const char *path, const char *why) {
  diag_error(c->diags, (Span){0}, "cannot write '%s': %s", path, why);
  return false;
}

const char *output_fresh(Compilation *c, const char *path) {
  const char *fresh = arena_printf(c->arena, "%s.tmp%ld", path, (long)getpid());
  fatal_remove(fresh);
  return fresh;
}

/* ---- before the work ---- */

static bool is_input(const Compilation *c, const struct stat *out) {
  struct stat in;
  return !stat(c->options->input, &in) && in.st_dev == out->st_dev && in.st_ino == out->st_ino;
}

/* Making one and removing it is the one way to know: permissions, read-only file systems and quotas
 * differ. */
static bool try_file(Compilation *c, const char *path) {
  const char *fresh = output_fresh(c, path);
  int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd < 0) return refuse(c, path, strerror(errno));
  close(fd);
  unlink(fresh);
  return true;
}

bool output_is_stdout(const char *path) { return path && !strcmp(path, "-"); }

static bool is_special(const char *path) {
  struct stat s;
  return !stat(path, &s) && !S_ISREG(s.st_mode) && !S_ISDIR(s.st_mode);
}

bool output_check(Compilation *c, const char *path) {
  struct stat s;
  bool there = !stat(path, &s);
  if (there && S_ISDIR(s.st_mode)) return refuse(c, path, strerror(EISDIR));
  if (there && !S_ISREG(s.st_mode)) return refuse(c, path, "not a regular file");
  if (there && is_input(c, &s)) return refuse(c, path, "it is the input");
  return try_file(c, path);
}

bool output_check_text(Compilation *c, const char *path) {
  return !path || output_is_stdout(path) || is_special(path) || output_check(c, path);
}

/* ---- after it ---- */

bool output_commit(Compilation *c, const char *fresh, const char *path, bool ok) {
  if (ok && !rename(fresh, path)) return true;
  if (ok) refuse(c, path, strerror(errno));
  unlink(fresh);
  return false;
}

bool output_write(Compilation *c, const char *fresh, const char *path, const char *text) {
  FILE *f = fopen(fresh, "w");
  bool ok = f && fputs(text, f) >= 0;
  int error = errno;
  if (f && fclose(f) && ok) ok = false, error = errno;
  return ok || refuse(c, path, strerror(error));
}

bool output_text(Compilation *c, const char *path, const char *text) {
  if (!path || output_is_stdout(path)) {
    bool ok = fputs(text, stdout) >= 0 && fflush(stdout) == 0;
    return ok || refuse(c, "standard output", strerror(errno));
  }
  if (is_special(path)) return output_write(c, path, path, text);
  const char *fresh = output_fresh(c, path);
  return output_commit(c, fresh, path, output_write(c, fresh, path, text));
}
