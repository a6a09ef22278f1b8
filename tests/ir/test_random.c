/* Philox against published vectors, initialisers against PyTorch's formulas. */
#include "tests/ir/fixture.h"

#include <math.h>

/* First words of the known answers that Random123 ships (kat_vectors, philox4x32, 10 rounds). */
static void philox_known_answers(void **state) {
  (void)state;
  assert_int_equal(philox(0, 0, 0, 0), 0x6627e8d5u);
  assert_int_equal(philox(UINT64_MAX, UINT32_MAX, UINT32_MAX, UINT64_MAX), 0x408f276du);
  assert_int_equal(philox(0x299f31d0a4093822u, 0x03707344u, 0x13198a2eu, 0x85a308d3243f6a88u),
                   0xd16cfe09u);
}

static void philox_counts_every_argument(void **state) {
  (void)state;
  uint32_t base = philox(1, 2, 3, 4);
  assert_int_not_equal(base, philox(2, 2, 3, 4));
  assert_int_not_equal(base, philox(1, 3, 3, 4));
  assert_int_not_equal(base, philox(1, 2, 4, 4));
  assert_int_not_equal(base, philox(1, 2, 3, 5));
  assert_int_not_equal(base, philox(1ull << 32 | 1, 2, 3, 4));
  assert_int_not_equal(base, philox(1, 2, 3, 1ull << 32 | 4));
}

static void close_to(double x, double y) { assert_true(fabs(x - y) < 1e-12); }

static void inits_by_shape(void **state) {
  (void)state;
  int64_t dim[4] = {32, 16, 3, 3}; /* fan in 144, fan out 288 */
  Init x = init_resolve((Init){.kind = INIT_DEFAULT}, 4, dim);
  assert_int_equal(x.kind, INIT_UNIFORM);
  close_to(x.a, -1.0 / 12);
  close_to(x.b, 1.0 / 12);
  x = init_resolve((Init){.kind = INIT_XAVIER_UNIFORM}, 4, dim);
  close_to(x.b, sqrt(6.0 / 432));
  x = init_resolve((Init){.kind = INIT_XAVIER_NORMAL}, 4, dim);
  assert_int_equal(x.kind, INIT_NORMAL);
  close_to(x.a, 0);
  close_to(x.b, sqrt(2.0 / 432));
  x = init_resolve((Init){.kind = INIT_KAIMING_NORMAL}, 4, dim);
  close_to(x.b, sqrt(2.0 / 144));
  x = init_resolve((Init){.kind = INIT_KAIMING_NORMAL, .b = 1}, 4, dim);
  close_to(x.b, sqrt(2.0 / 288));
  x = init_resolve((Init){.kind = INIT_KAIMING_UNIFORM, .a = sqrt(5)}, 2, (int64_t[]){10, 64});
  close_to(x.b, 1.0 / 8);
  x = init_resolve((Init){.kind = INIT_CONSTANT, .a = 7}, 4, dim);
  assert_int_equal(x.kind, INIT_CONSTANT);
  close_to(x.a, 7);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(philox_known_answers),
      cmocka_unit_test(philox_counts_every_argument),
      cmocka_unit_test(inits_by_shape),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
