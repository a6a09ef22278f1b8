/* Philox against Random123's known answers; initial values: moments, layouts, precisions,
 * orthogonality. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/runtime/fake_model.h"

static const dlc_api *const api = &dlc_api_v1;

static void check_philox(uint32_t fill, const uint32_t *counter, const uint32_t *key,
                         const uint32_t *answer) {
  uint32_t c[4] = {fill, fill, fill, fill}, k[2] = {fill, fill}, out[4];
  rt_philox(key ? key : k, counter ? counter : c, out);
  for (int i = 0; i < 4; i++) assert_int_equal(out[i], answer[i]);
}

/* kat_vectors of Random123, philox4x32 10 */
static void test_philox(void **state) {
  (void)state;
  check_philox(0, NULL, NULL, (uint32_t[]){0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  check_philox(0xffffffff, NULL, NULL,
               (uint32_t[]){0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  check_philox(0, (uint32_t[]){0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
               (uint32_t[]){0xa4093822, 0x299f31d0},
               (uint32_t[]){0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

/* A session of one parameter, [rows, columns], with the given layout and initialiser. */
enum { ROWS = 60, COLUMNS = 100, COUNT = ROWS * COLUMNS };

static dlc_parameter matrix(int init, double a, double b, int transposed) {
  dlc_parameter p = {.name = "w",
                     .trainable = 1,
                     .rank = 2,
                     .store_rank = 2,
                     .dim = {ROWS, COLUMNS},
                     .store_dim = {ROWS, COLUMNS},
                     .elements = COUNT,
                     .init = init,
                     .init_a = a,
                     .init_b = b};
  p.store_order[transposed ? 1 : 0] = 0;
  p.store_order[transposed ? 0 : 1] = 1;
  return p;
}

static void drawn(const dlc_parameter *p, const dlc_model *like, uint64_t seed, double *out) {
  dlc_model m = *like;
  m.parameters = p;
  m.parameter_count = 1;
  m.parameter_bytes = p->elements * m.real_bytes;
  m.state_bytes = 0;
  dlc_session *s;
  assert_int_equal(api->create(&m, DLC_INFERENCE, &s), DLC_OK);
  assert_int_equal(api->initialize(s, seed), DLC_OK);
  void *raw = malloc((size_t)m.parameter_bytes);
  assert_int_equal(api->get_parameter(s, 0, raw), DLC_OK);
  for (int64_t i = 0; i < p->elements; i++)
    out[i] = m.real_bytes == 8 ? ((double *)raw)[i] : (double)((float *)raw)[i];
  free(raw);
  api->destroy(s);
}

static double mean_of(const double *x, double power) {
  double sum = 0;
  for (int i = 0; i < COUNT; i++) sum += pow(x[i], power);
  return sum / COUNT;
}

static void test_moments(void **state) {
  (void)state;
  double v[COUNT];
  dlc_parameter uniform = matrix(2, -1, 3, 0), normal = matrix(3, 2, 0.5, 0),
                constant = matrix(1, 7, 0, 0);
  drawn(&uniform, &dlc_v1_fake64, 5, v);
  assert_true(fabs(mean_of(v, 1) - 1) < 0.05);
  for (int i = 0; i < COUNT; i++) assert_true(v[i] >= -1 && v[i] < 3), v[i] -= 1;
  assert_true(fabs(mean_of(v, 2) - 16.0 / 12) < 0.05);
  drawn(&normal, &dlc_v1_fake64, 5, v);
  assert_true(fabs(mean_of(v, 1) - 2) < 0.03);
  for (int i = 0; i < COUNT; i++) v[i] = (v[i] - 2) / 0.5;
  assert_true(fabs(mean_of(v, 2) - 1) < 0.06);
  assert_true(fabs(mean_of(v, 3)) < 0.15);
  assert_true(fabs(mean_of(v, 4) - 3) < 0.4);
  drawn(&constant, &dlc_v1_fake64, 5, v);
  for (int i = 0; i < COUNT; i++) assert_true(v[i] == 7);
}

static void test_seeds_layouts_precisions(void **state) {
  (void)state;
  double a[COUNT], b[COUNT], c[COUNT], d[COUNT];
  for (int init = 2; init <= 4; init++) {
    dlc_parameter plain = matrix(init, -1, 1, 0), transposed = matrix(init, -1, 1, 1);
    drawn(&plain, &dlc_v1_fake64, 9, a);
    drawn(&transposed, &dlc_v1_fake64, 9, b);
    assert_memory_equal(a, b, sizeof a);
    drawn(&plain, &dlc_v1_fake32, 9, c);
    for (int i = 0; i < COUNT; i++) assert_true(c[i] == (double)(float)a[i]);
    drawn(&plain, &dlc_v1_fake64, 10, d);
    assert_memory_not_equal(a, d, sizeof a);
  }
}

static void test_orthogonal(void **state) {
  (void)state;
  double q[COUNT];
  dlc_parameter wide = matrix(4, 0, 0, 1);
  drawn(&wide, &dlc_v1_fake64, 1, q);
  for (int i = 0; i < ROWS; i++)
    for (int j = 0; j <= i; j++) {
      double sum = 0;
      for (int k = 0; k < COLUMNS; k++) sum += q[i * COLUMNS + k] * q[j * COLUMNS + k];
      assert_true(fabs(sum - (i == j)) < 1e-13);
    }
  dlc_parameter tall = wide;
  tall.dim[0] = tall.store_dim[0] = COLUMNS;
  tall.dim[1] = tall.store_dim[1] = ROWS;
  drawn(&tall, &dlc_v1_fake64, 1, q);
  for (int i = 0; i < ROWS; i++)
    for (int j = 0; j <= i; j++) {
      double sum = 0;
      for (int k = 0; k < COLUMNS; k++) sum += q[k * ROWS + i] * q[k * ROWS + j];
      assert_true(fabs(sum - (i == j)) < 1e-13);
    }
}

/* conv weight [2, 3, 2, 2] kept as [kh][kw][ic][oc]; linear [2, 12] kept as if its columns were [3,
 * 2, 2] -> HWC */
static void test_layouts(void **state) {
  (void)state;
  dlc_parameter conv = {.rank = 4,
                        .store_rank = 4,
                        .dim = {2, 3, 2, 2},
                        .store_dim = {2, 3, 2, 2},
                        .store_order = {2, 3, 1, 0},
                        .elements = 24};
  dlc_parameter linear = {.rank = 2,
                          .store_rank = 4,
                          .dim = {2, 12},
                          .store_dim = {2, 3, 2, 2},
                          .store_order = {2, 3, 1, 0},
                          .elements = 24};
  float in[24], stored[24], out[24];
  for (int i = 0; i < 24; i++) in[i] = (float)i;
  layout_pack(&conv, 4, in, stored);
  for (int o = 0; o < 2; o++)
    for (int c = 0; c < 3; c++)
      for (int y = 0; y < 2; y++)
        for (int x = 0; x < 2; x++)
          assert_true(stored[((y * 2 + x) * 3 + c) * 2 + o] == in[((o * 3 + c) * 2 + y) * 2 + x]);
  layout_unpack(&conv, 4, stored, out);
  assert_memory_equal(in, out, sizeof in);
  memset(out, 0, sizeof out);
  layout_pack(&linear, 4, in, out);
  assert_memory_equal(stored, out, sizeof out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_philox),
      cmocka_unit_test(test_moments),
      cmocka_unit_test(test_seeds_layouts_precisions),
      cmocka_unit_test(test_orthogonal),
      cmocka_unit_test(test_layouts),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
