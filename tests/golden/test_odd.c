/* Graphs that no example has, one a file of tests/golden/odd: every program of each is interpreted
 * around every pass, then compiled and compared, in f64 and f32, at -O0 and -O3, for batches of 1,
 * 3 and the maximum. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "golden.h"
#include "passes/pipeline.h"

enum { MAX_BATCH = 5, LEAST_GRAPHS = 20 };

static const GoldenCase ways[] = {
    {.real_bytes = 8, .level = 0, .n = 1, .tolerance = 1e-10},
    {.real_bytes = 8, .level = 3, .n = 3, .tolerance = 1e-10},
    {.real_bytes = 4, .level = 3, .n = 5, .tolerance = 1e-5},
    {.real_bytes = 4, .level = 0, .n = 3, .tolerance = 1e-5},
    {.real_bytes = 4, .level = 3, .n = 1, .tolerance = 1e-5},
};

static char *read_whole(Arena *a, const char *path) {
  FILE *f = fopen(path, "rb");
  assert_non_null(f);
  Str s = str_new(a);
  char part[4096];
  for (size_t n; (n = fread(part, 1, sizeof part, f));) str_putn(&s, part, n);
  fclose(f);
  return s.text;
}

static bool has_loss(const Graph *g) {
  for (int i = 0; i < g->results.count; i++)
    if (g->results.at[i].kind == RESULT_LOSS) return true;
  return false;
}

/* No pass changes an answer. */
static void check_passes(Arena *a, const Graph *g) {
  for (int level = 0; level <= 3; level += 3)
    for (int p = 0; p < PROGRAM_COUNT; p++) {
      if (p != PROGRAM_INFER && !has_loss(g)) continue;
      PassOptions o = {.verify_each = true, .level = level, .diags = diags_new(a, g->sources)};
      Graph *copy = ir_copy(g, a);
      copy->train.batch = MAX_BATCH;
      Graph *made = pipeline_run(copy, (Program)p, a, &o);
      golden_stop_on_errors(o.diags);
      assert_non_null(made);
    }
}

static void check_graph(const char *path) {
  Arena *a = arena_new();
  print_message("%s\n", path);
  Graph *g = golden_parse(a, read_whole(a, path));
  check_passes(a, g);
  for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
    GoldenCase c = ways[i];
    c.max_batch = MAX_BATCH;
    c.seed = (unsigned)i + 1;
    assert_true(golden_check(g, &c) > 0);
  }
  arena_free(a);
}

/* ODD=name runs one. */
static void odd_graphs(void **state) {
  (void)state;
  const char *only = getenv("ODD");
  int count = 0;
  DIR *d = opendir(TEST_SOURCE_DIR "/tests/golden/odd");
  assert_non_null(d);
  for (struct dirent *e; (e = readdir(d));) {
    char path[4096];
    if (!strstr(e->d_name, ".ir") || (only && !strstr(e->d_name, only))) continue;
    snprintf(path, sizeof path, TEST_SOURCE_DIR "/tests/golden/odd/%s", e->d_name);
    check_graph(path);
    count++;
  }
  closedir(d);
  assert_true(count >= (only ? 1 : LEAST_GRAPHS));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(odd_graphs)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
