/* Loop nests against an element-by-element evaluation: collapsed, broadcast, strided, gathered and
 * converted operands, random numbers, in place, for three processors and both precisions, units
 * shuffled. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include "tests/codegen/harness.h"
#include "tests/codegen/naive.h"

enum { BUFFERS = 7, MAX_BATCH = 5, GUARD = 64 };
enum { LARGE = (1 << 24) - 6 }; /* about where f32 has no odd numbers any more */
static const char *const cpus[] = {"native", "haswell", "x86-64"};

/* Buffers 0-3 hold small integers (reals), 4 bytes, 5 the seed and step, 6 i32 from LARGE on.
 * Guards are around what is written. */
typedef struct {
  void *buffer[BUFFERS];
  size_t bytes[BUFFERS];
} Memory;

static Memory memory_new(size_t elements, int real_bytes, unsigned seed, bool fractions) {
  Memory m;
  for (int b = 0; b < BUFFERS; b++) {
    size_t each = b == 4 ? 1 : b == 5 ? 8 : b == 6 ? 4 : (size_t)real_bytes;
    m.bytes[b] = b == 5 ? 16 : (elements + GUARD) * each;
    m.buffer[b] = malloc(m.bytes[b]);
    for (size_t i = 0; i < m.bytes[b] / each; i++) {
      double x = (double)(rand_r(&seed) % 41) - 20;
      if (fractions) x = x / 7 + (double)(rand_r(&seed) % 1000) * 1e-4;
      if (b == 4)
        ((uint8_t *)m.buffer[b])[i] = (uint8_t)rand_r(&seed);
      else if (b == 5)
        ((uint64_t *)m.buffer[b])[i] = 0x123456789abcdefull * (i + 3) + seed;
      else if (b == 6)
        ((int32_t *)m.buffer[b])[i] = LARGE + (int32_t)(rand_r(&seed) % 20);
      else if (real_bytes == 8)
        ((double *)m.buffer[b])[i] = x;
      else
        ((float *)m.buffer[b])[i] = (float)x;
    }
  }
  return m;
}

static Memory memory_copy(const Memory *from) {
  Memory m = *from;
  for (int b = 0; b < BUFFERS; b++)
    m.buffer[b] = memcpy(malloc(m.bytes[b]), from->buffer[b], m.bytes[b]);
  return m;
}

static void memory_free(Memory *m) {
  for (int b = 0; b < BUFFERS; b++) free(m->buffer[b]);
}

/* tolerance 0: every byte. */
static void expect_equal(const Memory *a, const Memory *b, int real_bytes, double tolerance,
                         const char *what) {
  for (int k = 0; k < 4; k++)
    for (size_t i = 0; i < a->bytes[k] / (size_t)real_bytes; i++) {
      double x = real_bytes == 8 ? ((double *)a->buffer[k])[i] : (double)((float *)a->buffer[k])[i];
      double y = real_bytes == 8 ? ((double *)b->buffer[k])[i] : (double)((float *)b->buffer[k])[i];
      bool same = x == y || (isnan(x) && isnan(y)) || fabs(x - y) <= tolerance * (1 + fabs(y));
      if (!same) fail_msg("%s: buffer %d element %zu is %.9g, not %.9g", what, k, i, x, y);
    }
  const int32_t *x = a->buffer[6], *y = b->buffer[6];
  for (size_t i = 0; i < a->bytes[6] / sizeof *x; i++)
    if (x[i] != y[i]) fail_msg("%s: i32 element %zu is %d, not %d", what, i, x[i], y[i]);
}

static void check_at(const PointwiseSpec *s, size_t elements, const char *cpu, int real_bytes,
                     double tolerance, int level) {
  Cg *cg = harness_cg_at(cpu, real_bytes, MAX_BATCH, level);
  KernelList list = kernel_pointwise(cg, s);
  KernelList again = kernel_pointwise(cg, s);
  assert_ptr_equal(list.stage[0].function, again.stage[0].function);
  Harness *h = harness_new(cg);
  static const int64_t batches[] = {1, 3, MAX_BATCH};
  for (int b = 0; b < 3; b++) {
    Memory in = memory_new(elements, real_bytes, 7u + (unsigned)b, tolerance > 0),
           want = memory_copy(&in);
    naive_pointwise(s, want.buffer, batches[b], real_bytes);
    for (unsigned seed = 0; seed < 3; seed++) {
      Memory got = memory_copy(&in);
      harness_run(h, &list, got.buffer, batches[b], seed);
      char what[100];
      snprintf(what, sizeof what, "%s f%d n=%d seed %u", cpu, real_bytes * 8, (int)batches[b],
               seed);
      expect_equal(&got, &want, real_bytes, tolerance, what);
      memory_free(&got);
    }
    memory_free(&in);
    memory_free(&want);
  }
  harness_free(h);
  harness_cg_free(cg);
}

static void check_on(const PointwiseSpec *s, size_t elements, const char *cpu, int real_bytes,
                     double tolerance) {
  check_at(s, elements, cpu, real_bytes, tolerance, 2);
}

static void check(const PointwiseSpec *s, size_t elements, double tolerance) {
  for (int c = 0; c < 3; c++)
    for (int bytes = 4; bytes <= 8; bytes += 4) check_on(s, elements, cpus[c], bytes, tolerance);
}

static Node node_of(Op op) { return (Node){.op = op}; }

#define LOAD(s, ...)                                                 \
  {                                                                  \
    .kind = BODY_LOAD, .view = {.slot = s, .stride = {__VA_ARGS__} } \
  }
#define OP1(n, a)                             \
  {                                           \
    .kind = BODY_OP, .node = &n, .arg = { a } \
  }
#define OP2(n, a, b)                             \
  {                                              \
    .kind = BODY_OP, .node = &n, .arg = { a, b } \
  }
#define SPEC(...)                     \
  {.nvalues = sizeof v / sizeof *v,   \
   .value = v,                        \
   .nstores = sizeof st / sizeof *st, \
   .store = st,                       \
   .scratch = -1,                     \
   __VA_ARGS__}

static void test_flat(void **state) {
  (void)state;
  Node add = node_of(OP_add), relu = node_of(OP_relu);
  for (int64_t w = 1; w <= 70; w = w < 20 ? w + 1 : w + 7) {
    BodyValue v[] = {LOAD(0, w, 1), LOAD(1, w, 1), OP2(add, 0, 1), OP1(relu, 2)};
    BodyStore st[] = {{3, {.slot = 2, .offset = 3, .stride = {w, 1}}}};
    PointwiseSpec s = SPEC(.rank = 2, .extent = {{1, 0}, {0, w}});
    check_on(&s, (size_t)w * MAX_BATCH, cpus[w % 3], w % 2 ? 4 : 8, 0);
  }
}

/* In place, big enough for several units. */
static void test_in_place(void **state) {
  (void)state;
  Node square = node_of(OP_square);
  BodyValue v[] = {LOAD(0, 7001, 1), OP1(square, 0)};
  BodyStore st[] = {{1, {.slot = 0, .stride = {7001, 1}}}};
  PointwiseSpec s = SPEC(.rank = 2, .extent = {{1, 0}, {0, 7001}});
  check(&s, 7001 * MAX_BATCH, 0);
}

/* relu(x * scale[c] + shift[c]) with and without enough channels for one block; per-row operands as
 * well. */
static void test_channels(void **state) {
  (void)state;
  Node mul = node_of(OP_mul), add = node_of(OP_add), relu = node_of(OP_relu), neg = node_of(OP_neg);
  static const int64_t channels[] = {1, 3, 16, 33, 64, 200};
  for (int k = 0; k < 6; k++) {
    int64_t c = channels[k];
    BodyValue v[] = {LOAD(0, 35 * c, 7 * c, c, 1),
                     LOAD(1, 0, 0, 0, 1),
                     LOAD(1, 0, 0, 0, 1),
                     OP1(neg, 2),
                     OP2(mul, 0, 1),
                     OP2(add, 4, 3),
                     LOAD(3, 5, 1, 0, 0),
                     OP2(add, 5, 6),
                     OP1(relu, 7)};
    BodyStore st[] = {{8, {.slot = 2, .stride = {35 * c, 7 * c, c, 1}}}};
    PointwiseSpec s = SPEC(.rank = 4, .extent = {{1, 0}, {0, 5}, {0, 7}, {0, c}});
    check(&s, 35 * (size_t)c * MAX_BATCH, 0);
  }
}

/* [C, H, W] to [H, W, C] and back, bytes in. */
static void test_transpose(void **state) {
  (void)state;
  for (int64_t c = 1; c <= 20; c += 6) {
    BodyValue v[] = {
        {.kind = BODY_LOAD, .view = {.slot = 4, .elem = MEM_U8, .stride = {63 * c, 9, 1, 63}}},
        LOAD(0, 63 * c, 9 * c, c, 1)};
    BodyStore st[] = {{0, {.slot = 2, .stride = {63 * c, 9 * c, c, 1}}},
                      {1, {.slot = 3, .stride = {63 * c, 9, 1, 63}}}};
    PointwiseSpec s = SPEC(.rank = 4, .extent = {{1, 0}, {0, 7}, {0, 9}, {0, c}});
    check(&s, 63 * (size_t)c * MAX_BATCH, 0);
  }
}

/* Loads that lie across the vectors, with what varies along rows or columns only; numbers of rows
 * and columns that no group or vector divides. */
static void test_lines_across(void **state) {
  (void)state;
  Node add = node_of(OP_add), mul = node_of(OP_mul);
  for (int64_t rows = 3; rows <= 9; rows += 2) {
    for (int64_t c = 5; c <= 37; c += 16) {
      BodyValue v[] = {LOAD(0, rows * c, 1, rows),
                       LOAD(1, 0, 1, 0),
                       LOAD(3, 0, 0, 1),
                       {.kind = BODY_COORD, .dim = 1},
                       OP2(mul, 1, 3),
                       OP2(add, 0, 2),
                       OP2(add, 4, 5),
                       LOAD(1, rows * c, 1, rows),
                       OP2(mul, 6, 7)};
      BodyStore st[] = {{8, {.slot = 2, .stride = {rows * c, c, 1}}},
                        {6, {.slot = 0, .stride = {rows * c, 1, rows}}}};
      PointwiseSpec s = SPEC(.rank = 3, .extent = {{1, 0}, {0, rows}, {0, c}});
      check(&s, (size_t)(rows * c) * MAX_BATCH, 0);
      st[1] = st[0]; /* the vectors' dimension is now that of the stores */
      check(&s, (size_t)(rows * c) * MAX_BATCH, 0);
    }
  }
}

/* Backwards, and every second element. */
static void test_strides(void **state) {
  (void)state;
  BodyValue v[] = {{.kind = BODY_LOAD, .view = {.slot = 0, .offset = 36, .stride = {37, -1}}},
                   LOAD(1, 80, 2)};
  BodyStore st[] = {{0, {.slot = 2, .stride = {37, 1}}}, {1, {.slot = 3, .stride = {120, 3}}}};
  PointwiseSpec s = SPEC(.rank = 2, .extent = {{1, 0}, {0, 37}});
  check(&s, 600, 0);
}

#define LOAD_I32(...)                                                                 \
  {                                                                                   \
    .kind = BODY_LOAD, .view = {.slot = 6, .elem = MEM_I32, .stride = {__VA_ARGS__} } \
  }

/* Rows of a table by label; then one element a lane. Indices from LARGE to LARGE + 14 are in the
 * table, others load 0. */
static void test_gather(void **state) {
  (void)state;
  BodyValue v[] = {LOAD_I32(1, 0),
                   {.kind = BODY_GATHER,
                    .arg = {0},
                    .number = LARGE + 15,
                    .view_step = 33,
                    .view = {.slot = 1, .offset = -33LL * LARGE, .stride = {0, 1}}},
                   LOAD_I32(0, 1),
                   {.kind = BODY_GATHER,
                    .arg = {2},
                    .number = LARGE + 15,
                    .view_step = 2,
                    .view = {.slot = 1, .offset = -2LL * LARGE, .stride = {1, 3}}}};
  BodyStore st[] = {{1, {.slot = 2, .stride = {33, 1}}}, {3, {.slot = 3, .stride = {33, 1}}}};
  PointwiseSpec s = SPEC(.rank = 2, .extent = {{1, 0}, {0, 33}});
  check(&s, 33 * 20, 0);
}

/* Integers that are only moved or compared with each other keep every bit. */
static void test_integers(void **state) {
  (void)state;
  Node real = node_of(OP_real);
  BodyValue v[] = {LOAD_I32(33, 1),
                   LOAD_I32(1, 5),
                   {.kind = BODY_SAME, .arg = {0, 1}},
                   {.kind = BODY_INTEGER, .number = LARGE + 7},
                   {.kind = BODY_SAME, .arg = {0, 3}},
                   {.kind = BODY_LOAD, .view = {.slot = 4, .elem = MEM_U8, .stride = {33, 1}}},
                   {.kind = BODY_COORD, .dim = 1},
                   {.kind = BODY_SAME, .arg = {5, 6}},
                   OP1(real, 0)};
  enum { FROM = 33 * MAX_BATCH };
  BodyStore st[] = {{0, {.slot = 6, .elem = MEM_I32, .offset = FROM, .stride = {1, 7}}},
                    {3, {.slot = 6, .elem = MEM_I32, .offset = 2 * FROM + 99, .stride = {33, 1}}},
                    {2, {.slot = 0, .stride = {33, 1}}},
                    {4, {.slot = 1, .stride = {33, 1}}},
                    {7, {.slot = 2, .stride = {33, 1}}},
                    {8, {.slot = 3, .stride = {33, 1}}}};
  PointwiseSpec s = SPEC(.rank = 2, .extent = {{1, 0}, {0, 33}});
  check(&s, 4 * FROM, 0);
}

static void test_uniform_and_coordinates(void **state) {
  (void)state;
  Node add = node_of(OP_add);
  BodyValue v[] = {{.kind = BODY_UNIFORM, .stream = 9, .view = {.slot = 5, .stride = {300, 3, 1}}},
                   {.kind = BODY_COORD, .dim = 1},
                   {.kind = BODY_COORD, .dim = 2},
                   OP2(add, 1, 2),
                   {.kind = BODY_UNIFORM, .stream = 0, .view = {.slot = 5, .stride = {100, 1, 0}}},
                   {.kind = BODY_CONSTANT, .number = 2.5}};
  BodyStore st[] = {{0, {.slot = 0, .stride = {300, 3, 1}}},
                    {3, {.slot = 1, .stride = {300, 3, 1}}},
                    {4, {.slot = 2, .stride = {300, 3, 1}}},
                    {5, {.slot = 3, .stride = {300, 3, 1}}}};
  PointwiseSpec s = SPEC(.rank = 3, .extent = {{1, 0}, {0, 100}, {0, 3}});
  check(&s, 300 * MAX_BATCH, 0);
}

static void test_transcendental(void **state) {
  (void)state;
  Node exp_ = node_of(OP_exp), tanh_ = node_of(OP_tanh), sigmoid = node_of(OP_sigmoid),
       mul = node_of(OP_mul);
  BodyValue v[] = {LOAD(0, 50, 1), OP1(exp_, 0), OP1(tanh_, 0), OP1(sigmoid, 0), OP2(mul, 2, 3)};
  BodyStore st[] = {{1, {.slot = 1, .stride = {50, 1}}}, {4, {.slot = 2, .stride = {50, 1}}}};
  PointwiseSpec s = SPEC(.rank = 2, .extent = {{1, 0}, {0, 50}});
  for (int c = 0; c < 3; c++) {
    check_on(&s, 50 * MAX_BATCH, cpus[c], 4, 1e-6);
    check_on(&s, 50 * MAX_BATCH, cpus[c], 8, 1e-14);
  }
}

/* One sample of many elements is cut along an inner dimension; a batch dimension inside. */
static void test_units(void **state) {
  (void)state;
  Node add = node_of(OP_add);
  BodyValue v[] = {LOAD(0, 40000, 400, 1), LOAD(1, 0, 1, 0), OP2(add, 0, 1)};
  BodyStore st[] = {{2, {.slot = 2, .stride = {40000, 400, 1}}}};
  PointwiseSpec s = SPEC(.rank = 3, .extent = {{1, 0}, {0, 100}, {0, 400}});
  check(&s, 40000 * MAX_BATCH, 0);
  BodyValue v2[] = {LOAD(0, 300 * MAX_BATCH, 300, 1), LOAD(1, 1, 0, 1), OP2(add, 0, 1)};
  BodyStore st2[] = {{2, {.slot = 2, .stride = {300 * MAX_BATCH, 300, 1}}}};
  PointwiseSpec t = {.rank = 3,
                     .extent = {{0, 40}, {1, 0}, {0, 300}},
                     .nvalues = 3,
                     .value = v2,
                     .nstores = 1,
                     .store = st2,
                     .scratch = -1};
  check(&t, 40 * 300 * MAX_BATCH, 0);
}

/* Units numbered over three dimensions. */
static void test_deep_units(void **state) {
  (void)state;
  Node add = node_of(OP_add);
  BodyValue v[] = {LOAD(0, 126000, 42000, 21000, 1), LOAD(1, 0, 1, 0, 0), LOAD(1, 0, 0, 3, 0),
                   OP2(add, 0, 1), OP2(add, 3, 2)};
  BodyStore st[] = {{4, {.slot = 2, .stride = {126000, 42000, 21000, 1}}}};
  PointwiseSpec s = SPEC(.rank = 4, .extent = {{1, 0}, {0, 3}, {0, 2}, {0, 21000}});
  check_on(&s, 126000 * MAX_BATCH, "native", 4, 0);
  check_on(&s, 126000 * MAX_BATCH, "x86-64", 8, 0);
}

static void test_levels(void **state) {
  (void)state;
  Node add = node_of(OP_add), exp_ = node_of(OP_exp);
  BodyValue v[] = {LOAD(0, 300, 30, 1), LOAD(1, 0, 0, 1), OP2(add, 0, 1), OP1(exp_, 2)};
  BodyStore st[] = {{3, {.slot = 2, .stride = {300, 1, 10}}}};
  PointwiseSpec s = SPEC(.rank = 3, .extent = {{1, 0}, {0, 10}, {0, 30}});
  for (int level = 0; level <= 3; level++)
    for (int c = 0; c < 3; c++) check_at(&s, 300 * MAX_BATCH, cpus[c], 4, 1e-6, level);
  check_at(&s, 300 * MAX_BATCH, "sandybridge", 8, 1e-14, 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_flat),
      cmocka_unit_test(test_in_place),
      cmocka_unit_test(test_channels),
      cmocka_unit_test(test_transpose),
      cmocka_unit_test(test_lines_across),
      cmocka_unit_test(test_strides),
      cmocka_unit_test(test_gather),
      cmocka_unit_test(test_integers),
      cmocka_unit_test(test_uniform_and_coordinates),
      cmocka_unit_test(test_transcendental),
      cmocka_unit_test(test_units),
      cmocka_unit_test(test_deep_units),
      cmocka_unit_test(test_levels),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
