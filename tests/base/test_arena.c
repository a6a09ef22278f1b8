/* Arenas, vectors and texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/str.h"
#include "base/vec.h"

static void test_objects(void **state) {
  (void)state;
  Arena *a = arena_new();
  unsigned char *last = NULL;
  for (size_t n = 0; n < 3000; n += 7) {
    unsigned char *p = arena_alloc(a, n, 1);
    assert_int_equal((uintptr_t)p % 16, 0);
    for (size_t i = 0; i < n; i++) assert_int_equal(p[i], 0);
    if (n) memset(p, 0xa5, n);
    if (last) assert_int_equal(last[0], 0xa5); /* no two share a byte */
    last = n ? p : NULL;
  }
  char *big = arena_alloc(a, 50 << 20, 1);
  assert_int_equal(big[(50 << 20) - 1], 0);
  arena_free(a);
  arena_free(NULL);
}

/* A product that overflows ends the process with the status for faults, not with a small object. */
static void test_overflow(void **state) {
  (void)state;
  pid_t child = fork();
  if (!child) {
    fclose(stderr);
    Arena *a = arena_new();
    arena_alloc(a, SIZE_MAX / 2, 3);
    _exit(0);
  }
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 70);
}

static void test_strings(void **state) {
  (void)state;
  Arena *a = arena_new();
  assert_string_equal(arena_strdup(a, "abc"), "abc");
  assert_string_equal(arena_strndup(a, "abcdef", 2), "ab");
  assert_string_equal(arena_printf(a, "%d-%s", 7, "x"), "7-x");
  char *s = arena_printf(a, "%5000d", 1);
  assert_int_equal(strlen(s), 5000);
  arena_free(a);
}

static void test_vectors(void **state) {
  (void)state;
  Arena *a = arena_new();
  VEC(int) v = {0};
  for (int i = 0; i < 10000; i++) vec_push(a, &v, i * i);
  assert_int_equal(v.count, 10000);
  for (int i = 0; i < 10000; i++) assert_int_equal(v.at[i], i * i);
  arena_free(a);
}

static void test_growing_text(void **state) {
  (void)state;
  Arena *a = arena_new();
  Str s = str_new(a);
  assert_string_equal(s.text, "");
  for (int i = 0; i < 1000; i++) str_printf(&s, "%d,", i % 10);
  str_putn(&s, "xyz", 2);
  str_put(&s, "!");
  assert_int_equal(s.length, 2003);
  assert_string_equal(s.text + 1998, "9,xy!");
  assert_int_equal(strlen(s.text), s.length);
  arena_free(a);
}

/* The shortest text that reads back as the same number. */
static void test_doubles(void **state) {
  (void)state;
  static const struct {
    double x;
    const char *text;
  } cases[] = {{0, "0"},
               {-0.0, "-0"},
               {1, "1"},
               {0.1, "0.1"},
               {1e-4, "0.0001"},
               {1.0 / 3, "0.3333333333333333"},
               {255, "255"},
               {1e300, "1e+300"},
               {5e-324, "5e-324"},
               {INFINITY, "inf"},
               {-INFINITY, "-inf"},
               {0.1 + 0.2, "0.30000000000000004"},
               {NAN, "nan"},
               {123456789, "123456789"}};
  Arena *a = arena_new();
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    Str s = str_new(a);
    str_double(&s, cases[i].x);
    assert_string_equal(s.text, cases[i].text);
  }
  arena_free(a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_objects),      cmocka_unit_test(test_overflow),
      cmocka_unit_test(test_strings),      cmocka_unit_test(test_vectors),
      cmocka_unit_test(test_growing_text), cmocka_unit_test(test_doubles)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
