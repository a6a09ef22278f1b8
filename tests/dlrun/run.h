/* Running the programs under test. */
#ifndef DLC_TESTS_RUN_H
#define DLC_TESTS_RUN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char output[1 << 16];

/* Runs a program with these arguments; what it prints, messages too, is in `output`. */
__attribute__((format(printf, 2, 3))) static inline int run_program(const char *program,
                                                                    const char *fmt, ...) {
  char args[3000], line[8192];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(args, sizeof args, fmt, ap);
  va_end(ap);
  snprintf(line, sizeof line, "%s %s 2>&1", program, args);
  FILE *f = popen(line, "r");
  assert_non_null(f);
  size_t n = fread(output, 1, sizeof output - 1, f);
  output[n] = 0;
  int status = pclose(f);
  assert_true(WIFEXITED(status));
  return WEXITSTATUS(status);
}

#define dlrun(...) run_program(DLRUN, __VA_ARGS__)

static inline void expect(int status, const char *text, int got) {
  if (got != status || !strstr(output, text))
    fail_msg("status %d, \"%s\" expected: %d\n%s", status, text, got, output);
}

static inline int files_equal(const char *a, const char *b) {
  static char x[1 << 20], y[1 << 20];
  FILE *f = fopen(a, "rb"), *g = fopen(b, "rb");
  assert_non_null(f);
  assert_non_null(g);
  size_t n = fread(x, 1, sizeof x, f), m = fread(y, 1, sizeof y, g);
  fclose(f);
  fclose(g);
  return n > 0 && n == m && memcmp(x, y, n) == 0;
}

#endif
