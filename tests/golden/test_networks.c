/* The example networks, compiled: every result against the interpreter's, in f64 and f32, at -O0
 * and -O3, for batches of 1, 3 and the maximum, on this processor, on AVX2 and on the x86-64
 * baseline. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "golden.h"

static const char *const cpus[] = {NULL, "haswell", "x86-64"};

static int64_t check(const Graph *g, GoldenCase c) {
  c.tolerance = c.real_bytes == 8 ? 1e-10 : 1e-5;
  c.seed = 11;
  return golden_check(g, &c);
}

static void check_network(const char *name, int64_t max_batch) {
  Arena *a = arena_new();
  Graph *g = golden_load(a, arena_printf(a, "%s/examples/%s.net", TEST_SOURCE_DIR, name));
  int64_t compared = 0;
  for (int level = 0; level <= 3; level += 3)
    for (int real = 4; real <= 8; real += 4)
      for (int k = 0; k < 3; k++) {
        int64_t n = (const int64_t[]){1, 3, max_batch}[k];
        compared += check(
            g, (GoldenCase){.real_bytes = real, .level = level, .n = n, .max_batch = max_batch});
      }
  for (int k = 1; k < 3; k++)
    compared += check(
        g,
        (GoldenCase){.real_bytes = 4, .level = 3, .cpu = cpus[k], .n = 3, .max_batch = max_batch});
  assert_true(compared > 0);
  arena_free(a);
}

#define NETWORK(name, max_batch)       \
  static void name(void **state) {     \
    (void)state;                       \
    check_network(#name, (max_batch)); \
  }
NETWORK(iris, 16)
NETWORK(regression_mlp, 8)
NETWORK(mixer, 16)
NETWORK(concat_dropout, 16)
NETWORK(residual, 8)

/* One point is enough for the large one: 1.7 million parameters. */
static void mnist_cnn(void **state) {
  (void)state;
  Arena *a = arena_new();
  Graph *g = golden_load(a, TEST_SOURCE_DIR "/examples/mnist_cnn.net");
  check(g, (GoldenCase){.real_bytes = 4, .level = 3, .n = 3, .max_batch = 4});
  check(g, (GoldenCase){.real_bytes = 8, .level = 3, .n = 4, .max_batch = 4});
  arena_free(a);
}

static Graph *load_own(Arena *a, const char *name) {
  return golden_load(a, arena_printf(a, "%s/tests/golden/%s.net", TEST_SOURCE_DIR, name));
}

static void second_derivatives(void **state) {
  (void)state;
  Arena *a = arena_new();
  Graph *g = load_own(a, "second");
  for (int level = 0; level <= 3; level += 3)
    for (int real = 4; real <= 8; real += 4)
      check(g, (GoldenCase){.real_bytes = real, .level = level, .n = 3, .max_batch = 6});
  arena_free(a);
}

/* Every kind of processor; three threads give the same bits. */
static void winograd(void **state) {
  (void)state;
  Arena *a = arena_new();
  Graph *g = load_own(a, "winograd");
  for (int k = 0; k < 3; k++)
    for (int real = 4; real <= 8; real += 4)
      check(g, (GoldenCase){.real_bytes = real,
                            .level = 3,
                            .cpu = cpus[k],
                            .n = 1 + k,
                            .max_batch = 4,
                            .threads = 3});
  check(g, (GoldenCase){.real_bytes = 4, .level = 3, .n = 4, .max_batch = 4});
  arena_free(a);
}

/* Divided by the batch at the end: with one sample nothing is rounded. */
static void check_whole_numbers(const char *name) {
  Arena *a = arena_new();
  Graph *g = load_own(a, name);
  for (int level = 0; level <= 3; level += 3) {
    GoldenCase c = {.real_bytes = 4,
                    .level = level,
                    .n = 1,
                    .max_batch = 4,
                    .tolerance = 0,
                    .seed = 3,
                    .integers = true};
    assert_true(golden_check(g, &c) > 0);
    c.n = 4; /* a power of two divides exactly as well */
    assert_true(golden_check(g, &c) > 0);
  }
  arena_free(a);
}

static void whole_numbers_are_exact(void **state) {
  (void)state;
  check_whole_numbers("integer");
  check_whole_numbers("winograd_integer");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(iris),
      cmocka_unit_test(regression_mlp),
      cmocka_unit_test(mixer),
      cmocka_unit_test(concat_dropout),
      cmocka_unit_test(residual),
      cmocka_unit_test(mnist_cnn),
      cmocka_unit_test(second_derivatives),
      cmocka_unit_test(whole_numbers_are_exact),
      cmocka_unit_test(winograd),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
