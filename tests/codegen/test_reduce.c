/* Reductions against an element-by-element evaluation: which dimensions, which kinds, several at
 * once, with stores in the same sweep, in one stage and two; NaN; accuracy; the same bits however
 * units are dealt out. */
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

enum { BUFFERS = 5, SCRATCH = 4, MAX_BATCH = 5 };
static const char *const cpus[] = {"native", "haswell", "x86-64"};

static void fill(void *p, size_t elements, int real_bytes, unsigned seed, double scale) {
  for (size_t i = 0; i < elements; i++) {
    double x = ((double)(rand_r(&seed) % 41) - 20) * scale;
    if (real_bytes == 8)
      ((double *)p)[i] = x;
    else
      ((float *)p)[i] = (float)x;
  }
}

static double at(const void *p, size_t i, int real_bytes) {
  return real_bytes == 8 ? ((const double *)p)[i] : (double)((const float *)p)[i];
}

typedef struct {
  void *b[BUFFERS];
  size_t bytes;
} Memory;

static Memory memory_new(size_t elements, int real_bytes, int64_t scratch) {
  Memory m = {.bytes = elements * (size_t)real_bytes};
  for (int i = 0; i < SCRATCH; i++) {
    m.b[i] = malloc(m.bytes);
    fill(m.b[i], elements, real_bytes, 3u + (unsigned)i, 1);
  }
  m.b[SCRATCH] = malloc((size_t)scratch + 1);
  memset(m.b[SCRATCH], 0x7f, (size_t)scratch + 1);
  return m;
}

static void memory_free(Memory *m) {
  for (int i = 0; i < BUFFERS; i++) free(m->b[i]);
}

static void check_on(const PointwiseSpec *s, size_t elements, const char *cpu, int real_bytes,
                     int stages) {
  Cg *cg = harness_cg(cpu, real_bytes, MAX_BATCH);
  KernelList list = kernel_pointwise(cg, s);
  assert_int_equal(list.count, stages);
  assert_true((list.scratch_bytes > 0) == (stages == 2));
  Harness *h = harness_new(cg);
  static const int64_t batches[] = {1, 3, MAX_BATCH};
  for (int b = 0; b < 3; b++) {
    Memory want = memory_new(elements, real_bytes, 0);
    naive_pointwise(s, want.b, batches[b], real_bytes);
    for (unsigned seed = 0; seed < 3; seed++) {
      Memory got = memory_new(elements, real_bytes, list.scratch_bytes);
      harness_run(h, &list, got.b, batches[b], seed);
      for (int k = 0; k < SCRATCH; k++)
        for (size_t i = 0; i < elements; i++) {
          double x = at(got.b[k], i, real_bytes), y = at(want.b[k], i, real_bytes);
          if (x != y)
            fail_msg("%s f%d n=%d: [%d][%zu] %.9g, not %.9g", cpu, real_bytes * 8, (int)batches[b],
                     k, i, x, y);
        }
      memory_free(&got);
    }
    memory_free(&want);
  }
  harness_free(h);
  harness_cg_free(cg);
}

static void check(const PointwiseSpec *s, size_t elements, int stages) {
  for (int c = 0; c < 3; c++)
    for (int bytes = 4; bytes <= 8; bytes += 4) check_on(s, elements, cpus[c], bytes, stages);
}

#define LOAD(s, ...)                                                 \
  {                                                                  \
    .kind = BODY_LOAD, .view = {.slot = s, .stride = {__VA_ARGS__} } \
  }
#define SPEC(...)                      \
  {.nvalues = sizeof v / sizeof *v,    \
   .value = v,                         \
   .nreduces = sizeof re / sizeof *re, \
   .reduce = re,                       \
   .scratch = SCRATCH,                 \
   __VA_ARGS__}

/* Every subset of [n, 3, w] with w around vector sizes; sum, largest and least at once. */
static void test_subsets(void **state) {
  (void)state;
  static const int64_t widths[] = {1, 2, 7, 8, 16, 17, 70, 131};
  for (int set = 0; set < 8; set++)
    for (int k = 0; k < 8; k++) {
      int64_t w = widths[k];
      bool r0 = set & 1, r1 = set & 2, r2 = set & 4;
      int64_t s2 = !r2, s1 = r1 ? 0 : r2 ? 1 : w, s0 = r0 ? 0 : (r1 ? 1 : 3) * (r2 ? 1 : w);
      BodyValue v[] = {LOAD(0, 3 * w, w, 1)};
      BodyReduce re[] = {{REDUCE_SUM, 0, {.slot = 1, .stride = {s0, s1, s2}}},
                         {REDUCE_MAX, 0, {.slot = 2, .offset = 5, .stride = {s0, s1, s2}}},
                         {REDUCE_MIN, 0, {.slot = 3, .stride = {2 * s0, 2 * s1, 2 * s2}}}};
      PointwiseSpec s =
          SPEC(.rank = 3, .extent = {{1, 0}, {0, 3}, {0, w}}, .reduced = {r0, r1, r2});
      check_on(&s, (size_t)(6 * w * MAX_BATCH + 8), cpus[(set + k) % 3], (set + k) % 2 ? 4 : 8, 1);
    }
}

/* Variances beside sums of the same value, which are stored or not. */
static void test_variance(void **state) {
  (void)state;
  static const int64_t widths[] = {1, 7, 16, 37, 70};
  for (int set = 1; set < 8; set++)
    for (int k = 0; k < 5; k++) {
      int64_t w = widths[k];
      bool r0 = set & 1, r1 = set & 2, r2 = set & 4;
      int64_t s2 = !r2, s1 = r1 ? 0 : r2 ? 1 : w, s0 = r0 ? 0 : (r1 ? 1 : 4) * (r2 ? 1 : w);
      BodyValue v[] = {LOAD(0, 4 * w, w, 1), LOAD(1, 4 * w, w, 1)};
      BodyReduce re[] = {
          {REDUCE_VAR, 0, {.slot = 2, .stride = {s0, s1, s2}}},
          {REDUCE_WIDE, 1, {.slot = -1}},
          {REDUCE_WIDE, 0, {.slot = 3, .stride = {s0, s1, s2}}},
          {REDUCE_VAR, 1, {.slot = 2, .offset = 4 * w * MAX_BATCH, .stride = {s0, s1, s2}}}};
      PointwiseSpec s =
          SPEC(.rank = 3, .extent = {{1, 0}, {0, 4}, {0, w}}, .reduced = {r0, r1, r2});
      check_on(&s, (size_t)(8 * w * MAX_BATCH), cpus[(set + k) % 3], (set + k) % 2 ? 4 : 8, 1);
    }
  BodyValue v[] = {LOAD(0, 2000 * 70, 70, 1)};
  BodyReduce re[] = {{REDUCE_WIDE, 0, {.slot = 1, .stride = {0, 0, 1}}},
                     {REDUCE_VAR, 0, {.slot = 2, .stride = {0, 0, 1}}}};
  PointwiseSpec s = SPEC(.rank = 3, .extent = {{1, 0}, {0, 2000}, {0, 70}}, .reduced = {1, 1, 0});
  check(&s, 2000 * 70 * MAX_BATCH, 2);
}

/* Batch-norm statistics and bias gradients: [n, h, w, c] to [c], two stages. */
static void test_channels(void **state) {
  (void)state;
  static const int64_t channels[] = {3, 64, 130};
  Node square = {.op = OP_square};
  for (int k = 0; k < 3; k++) {
    int64_t c = channels[k], pixels = 150000 / c;
    BodyValue v[] = {LOAD(0, pixels * c, c, 1), {.kind = BODY_OP, .node = &square, .arg = {0}}};
    BodyReduce re[] = {{REDUCE_SUM, 0, {.slot = 1, .stride = {0, 0, 1}}},
                       {REDUCE_SUM, 1, {.slot = 2, .stride = {0, 0, 3}}},
                       {REDUCE_MAX, 0, {.slot = 3, .stride = {0, 0, 1}}}};
    PointwiseSpec s =
        SPEC(.rank = 3, .extent = {{1, 0}, {0, pixels}, {0, c}}, .reduced = {1, 1, 0});
    check(&s, (size_t)(pixels * c * MAX_BATCH), 2);
    s.scratch = -1;
    check_on(&s, (size_t)(pixels * c * MAX_BATCH), "native", 4, 1);
  }
}

static void test_total(void **state) {
  (void)state;
  BodyValue v[] = {LOAD(0, 70001, 1)};
  BodyReduce re[] = {{REDUCE_SUM, 0, {.slot = 1, .stride = {0}}},
                     {REDUCE_MIN, 0, {.slot = 2, .stride = {0}}}};
  PointwiseSpec s = SPEC(.rank = 2, .extent = {{1, 0}, {0, 70001}}, .reduced = {1, 1});
  check(&s, 70001 * MAX_BATCH, 2);
}

/* Kept dimensions on both sides of the reduced one, more than one stage. */
static void test_middle(void **state) {
  (void)state;
  BodyValue v[] = {LOAD(0, 80000, 8, 1)};
  BodyReduce re[] = {{REDUCE_SUM, 0, {.slot = 1, .stride = {8, 0, 1}}}};
  PointwiseSpec s = SPEC(.rank = 3, .extent = {{1, 0}, {0, 10000}, {0, 8}}, .reduced = {0, 1, 0});
  check(&s, 80000 * MAX_BATCH, 1);
  BodyValue v2[] = {LOAD(0, 40, 200, 10, 1)};
  (void)v2;
  BodyReduce re2[] = {{REDUCE_SUM, 0, {.slot = 1, .stride = {3, 0, 1}}}};
  BodyValue v3[] = {LOAD(0, 1, 2 * 3, 2)};
  PointwiseSpec t = {.rank = 3,
                     .extent = {{0, 2}, {30000, 0}, {0, 3}},
                     .reduced = {0, 1, 0},
                     .nvalues = 1,
                     .value = v3,
                     .nreduces = 1,
                     .reduce = re2,
                     .scratch = SCRATCH};
  check(&t, 30000 * 6 * MAX_BATCH, 2);
}

/* The sweep stores what it reduces. */
static void test_store(void **state) {
  (void)state;
  Node mul = {.op = OP_mul}, sub = {.op = OP_sub};
  BodyValue v[] = {LOAD(0, 40 * 48, 48, 1),
                   LOAD(1, 0, 0, 1),
                   {.kind = BODY_OP, .node = &sub, .arg = {0, 1}},
                   {.kind = BODY_OP, .node = &mul, .arg = {2, 0}}};
  BodyStore st[] = {{2, {.slot = 2, .stride = {40 * 48, 48, 1}}}};
  BodyReduce re[] = {{REDUCE_SUM, 2, {.slot = 3, .stride = {0, 0, 1}}},
                     {REDUCE_SUM, 3, {.slot = 3, .offset = 64, .stride = {0, 0, 1}}}};
  PointwiseSpec s = SPEC(.rank = 3, .extent = {{1, 0}, {0, 40}, {0, 48}}, .reduced = {1, 1, 0},
                         .nstores = 1, .store = st);
  check(&s, 40 * 48 * MAX_BATCH, 1);
}

static void test_nan(void **state) {
  (void)state;
  for (int c = 0; c < 3; c++)
    for (int where = 0; where < 37; where++) {
      BodyValue v[] = {LOAD(0, 0, 1)};
      BodyReduce re[] = {
          {REDUCE_MAX, 0, {.slot = 1}}, {REDUCE_MIN, 0, {.slot = 2}}, {REDUCE_SUM, 0, {.slot = 3}}};
      PointwiseSpec s = SPEC(.rank = 2, .extent = {{0, 1}, {0, 37}}, .reduced = {1, 1});
      Cg *cg = harness_cg(cpus[c], 4, 1);
      KernelList list = kernel_pointwise(cg, &s);
      Harness *h = harness_new(cg);
      float x[37], largest = 0, least = 0, sum = 0;
      for (int i = 0; i < 37; i++) x[i] = i == where ? NAN : (float)i;
      harness_run(h, &list, (void *[]){x, &largest, &least, &sum, NULL}, 1, 0);
      assert_true(isnan(largest) && isnan(least) && isnan(sum));
      harness_free(h);
      harness_cg_free(cg);
    }
}

/* More reductions than there are accumulators, with a store over what is read. */
static void test_many(void **state) {
  (void)state;
  enum { MANY = 70 };
  BodyValue v[] = {LOAD(0, 20, 1)};
  BodyStore st[] = {{0, {.slot = 0, .stride = {20, 1}}}};
  BodyReduce re[MANY];
  for (int i = 0; i < MANY; i++)
    re[i] = (BodyReduce){
        i % 3 ? REDUCE_SUM : REDUCE_MAX, 0, {.slot = 1, .offset = i * 20, .stride = {0, 1}}};
  PointwiseSpec s =
      SPEC(.rank = 2, .extent = {{1, 0}, {0, 20}}, .reduced = {1, 0}, .nstores = 1, .store = st);
  check_on(&s, 20 * MANY, "native", 4, 3);
  check_on(&s, 20 * MANY, "x86-64", 8, 3);
}

/* Sums of many positive terms of all sizes, and of mean 10^4: relative error of a f32 sum. */
static void check_accuracy(int64_t count, int64_t columns, double shift) {
  BodyValue v[] = {LOAD(0, columns, 1)};
  BodyReduce re[] = {{REDUCE_SUM, 0, {.slot = 1, .stride = {0, 1}}}};
  PointwiseSpec s = SPEC(.rank = 2, .extent = {{0, count}, {0, columns}}, .reduced = {1, 0});
  Cg *cg = harness_cg("native", 4, 1);
  KernelList list = kernel_pointwise(cg, &s);
  Harness *h = harness_new(cg);
  float *x = malloc((size_t)(count * columns) * sizeof *x),
        *y = malloc((size_t)columns * sizeof *y);
  unsigned seed = 5;
  for (int64_t i = 0; i < count * columns; i++)
    x[i] = (float)(shift + rand_r(&seed) / (double)RAND_MAX);
  void *scratch = malloc((size_t)list.scratch_bytes + 1);
  harness_run(h, &list, (void *[]){x, y, NULL, NULL, scratch}, 1, 0);
  for (int64_t c = 0; c < columns; c++) {
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += (double)x[i * columns + c];
    if (!(fabs((double)y[c] - sum) <= 5e-7 * sum)) fail_msg("%.9g, not %.9g", (double)y[c], sum);
  }
  free(x), free(y), free(scratch);
  harness_free(h);
  harness_cg_free(cg);
}

/* The variance of a column of mean `shift` and deviation about 1, to 1e-6 of it. */
static void check_variance(int64_t count, int64_t columns, double shift, int real_bytes) {
  BodyValue v[] = {LOAD(0, columns, 1)};
  BodyReduce re[] = {{REDUCE_VAR, 0, {.slot = 1, .stride = {0, 1}}},
                     {REDUCE_WIDE, 0, {.slot = -1}}};
  PointwiseSpec s = SPEC(.rank = 2, .extent = {{0, count}, {0, columns}}, .reduced = {1, 0});
  Cg *cg = harness_cg("native", real_bytes, 1);
  KernelList list = kernel_pointwise(cg, &s);
  Harness *h = harness_new(cg);
  size_t elements = (size_t)(count * columns);
  char *x = malloc(elements * (size_t)real_bytes), *y = malloc((size_t)(columns * real_bytes));
  unsigned seed = 5;
  for (size_t i = 0; i < elements; i++) {
    double d = shift + 3.5 * (rand_r(&seed) / (double)RAND_MAX - 0.5);
    if (real_bytes == 4)
      ((float *)x)[i] = (float)d;
    else
      ((double *)x)[i] = d;
  }
  void *scratch = malloc((size_t)list.scratch_bytes + 1);
  harness_run(h, &list, (void *[]){x, y, NULL, NULL, scratch}, 1, 0);
  for (int64_t c = 0; c < columns; c++) {
    double mean = 0, want = 0, is = at(y, (size_t)c, real_bytes);
    for (int64_t i = 0; i < count; i++) mean += at(x, (size_t)(i * columns + c), real_bytes);
    mean /= (double)count;
    for (int64_t i = 0; i < count; i++) {
      double d = at(x, (size_t)(i * columns + c), real_bytes) - mean;
      want += d * d / (double)count;
    }
    if (!(fabs(is - want) <= 1e-6 * want)) fail_msg("%.9g, not %.9g", is, want);
  }
  free(x), free(y), free(scratch);
  harness_free(h);
  harness_cg_free(cg);
}

static void test_variance_far_from_0(void **state) {
  (void)state;
  for (int bytes = 4; bytes <= 8; bytes += 4) {
    check_variance(50000, 1, 1e4, bytes);
    check_variance(20000, 40, 1e4, bytes);
    check_variance(20000, 40, -1e4, bytes);
    check_variance(500, 7, 0, bytes);
  }
}

static void test_accuracy(void **state) {
  (void)state;
  check_accuracy(50000, 1, 0);
  check_accuracy(50000, 1, 1e4);
  check_accuracy(50000, 40, 1e4);
  check_accuracy(1000000, 3, 0.1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_variance), cmocka_unit_test(test_variance_far_from_0),
      cmocka_unit_test(test_subsets),  cmocka_unit_test(test_channels),
      cmocka_unit_test(test_total),    cmocka_unit_test(test_middle),
      cmocka_unit_test(test_store),    cmocka_unit_test(test_nan),
      cmocka_unit_test(test_many),     cmocka_unit_test(test_accuracy),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
