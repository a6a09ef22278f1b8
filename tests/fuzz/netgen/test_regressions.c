/* Every network that netgen found a defect with, reduced: tests/golden/regressions. Each goes
 * through all the oracles. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "netgen.h"

enum { LEAST_FILES = 4, SEEDS = 3 };

static const char *read_whole(Arena *a, const char *path) {
  FILE *f = fopen(path, "rb");
  assert_non_null(f);
  Str s = str_new(a);
  char part[4096];
  for (size_t n; (n = fread(part, 1, sizeof part, f));) str_putn(&s, part, n);
  fclose(f);
  return s.text;
}

static void check_file(const char *path) {
  Arena *a = arena_new();
  print_message("%s\n", path);
  Graph *g = netgen_read(a, read_whole(a, path));
  for (uint64_t seed = 1; seed <= SEEDS; seed++) {
    CheckCount count = {.all = seed == 1};
    netgen_check(g, seed, &count);
    assert_true(count.compared > 0);
  }
  arena_free(a);
}

static void regressions(void **state) {
  int count = 0;
  DIR *d = opendir(TEST_SOURCE_DIR "/tests/golden/regressions");
  (void)state;
  assert_non_null(d);
  for (struct dirent *e; (e = readdir(d));) {
    char path[4096];
    if (e->d_name[0] == '.') continue;
    snprintf(path, sizeof path, TEST_SOURCE_DIR "/tests/golden/regressions/%s", e->d_name);
    check_file(path);
    count++;
  }
  closedir(d);
  assert_true(count >= LEAST_FILES);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(regressions)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
