/* Products against a plain triple loop: shapes x strides x batch x epilogues, for several processors, f32 and f64,
 * batches of 1, 3 and the maximum. Operands are small whole numbers, so that every sum is exact in any order and
 * results are compared bit for bit; what lies between the results must stay untouched. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/codegen/harness.h"

enum { MAX_BATCH = 7, SLOT_A = 0, SLOT_B, SLOT_C, SLOT_SCRATCH, SLOT_BIAS, SLOT_OTHER, SLOTS };

/* How a matrix lies: rows, columns, or neither dimension has stride 1. */
typedef enum { LIE_ROWS, LIE_COLUMNS, LIE_APART } Lie;
typedef enum { END_NONE, END_BIAS_RELU, END_RESIDUAL } End;
typedef enum { GROWS_NOTHING, GROWS_M, GROWS_N, GROWS_K, GROWS_BATCH } Grows;

typedef struct {
  int64_t m, n, k; /* of one sample, where it grows with the batch */
  Lie a, b, c;
  Grows grows;
  int nbatch;
  int64_t batch[3];
  bool shared_b; /* the same B for every batch element */
  End end;
} Case;

static const Case cases[] = {
  /* whole and ragged tiles */
  {12, 64, 16, 0, 0, 0, 0, 0, {0}, 0, 0},
  {13, 67, 19, 0, 0, 0, 0, 0, {0}, 0, END_BIAS_RELU},
  {64, 49, 33, 0, 0, 0, 0, 0, {0}, 0, END_RESIDUAL},
  {5, 100, 10, 0, 0, 0, 0, 0, {0}, 0, 0},
  {150, 16, 4, 0, 0, 0, 0, 0, {0}, 0, END_BIAS_RELU},
  {200, 80, 24, 0, 0, 0, 0, 0, {0}, 0, 0},
  {197, 83, 7, 0, 0, 0, 0, 0, {0}, 0, END_RESIDUAL},
  /* tiny */
  {1, 1, 1, 0, 0, 0, 0, 0, {0}, 0, 0},
  {1, 1, 100, 0, 0, 0, 0, 0, {0}, 0, END_BIAS_RELU},
  {4, 1, 2, 0, 0, 0, 0, 0, {0}, 0, 0},
  {3, 2, 1, 0, 0, 0, 0, 0, {0}, 0, END_RESIDUAL},
  {17, 3, 40, 0, 0, 0, 0, 0, {0}, 0, 0},
  {64, 10, 130, 0, 0, 0, 0, 0, {0}, 0, END_BIAS_RELU},
  {33, 4, 257, 0, LIE_COLUMNS, 0, 0, 0, {0}, 0, END_RESIDUAL},
  {1, 200, 300, 0, 0, 0, 0, 0, {0}, 0, END_BIAS_RELU},
  {1, 77, 301, 0, LIE_COLUMNS, 0, 0, 0, {0}, 0, 0},
  {2, 300, 70, 0, LIE_COLUMNS, 0, 0, 0, {0}, 0, END_RESIDUAL},
  /* every way to lie */
  {21, 37, 18, LIE_COLUMNS, 0, 0, 0, 0, {0}, 0, 0},
  {21, 37, 18, 0, LIE_COLUMNS, 0, 0, 0, {0}, 0, END_BIAS_RELU},
  {21, 37, 18, 0, 0, LIE_COLUMNS, 0, 0, {0}, 0, 0},
  {21, 37, 18, LIE_COLUMNS, LIE_COLUMNS, 0, 0, 0, {0}, 0, 0},
  {21, 37, 18, LIE_COLUMNS, LIE_COLUMNS, LIE_COLUMNS, 0, 0, {0}, 0, END_RESIDUAL},
  {21, 37, 18, LIE_APART, LIE_APART, LIE_APART, 0, 0, {0}, 0, 0},
  {21, 37, 18, LIE_APART, LIE_APART, LIE_APART, 0, 0, {0}, 0, END_BIAS_RELU},
  {8, 5, 18, LIE_APART, 0, LIE_APART, 0, 0, {0}, 0, 0},
  {70, 130, 90, 0, LIE_COLUMNS, 0, 0, 0, {0}, 0, END_RESIDUAL},
  {70, 133, 40, 0, LIE_COLUMNS, LIE_COLUMNS, 0, 0, {0}, 0, 0},
  {130, 70, 90, LIE_COLUMNS, LIE_COLUMNS, 0, 0, 0, {0}, 0, 0},
  /* several K blocks */
  {20, 70, 1500, 0, 0, 0, 0, 0, {0}, 0, 0},
  {20, 70, 1501, 0, 0, 0, 0, 0, {0}, 0, END_BIAS_RELU},
  {70, 90, 1300, 0, LIE_COLUMNS, 0, 0, 0, {0}, 0, END_RESIDUAL},
  {210, 30, 1100, LIE_COLUMNS, 0, LIE_COLUMNS, 0, 0, {0}, 0, 0},
  /* the run-time batch in each place */
  {1, 50, 30, 0, 0, 0, GROWS_M, 0, {0}, 0, END_BIAS_RELU},
  {9, 50, 30, 0, 0, 0, GROWS_M, 0, {0}, 0, END_RESIDUAL},
  {40, 20, 30, 0, 0, 0, GROWS_M, 0, {0}, 0, 0},
  {1, 10, 100, 0, 0, 0, GROWS_M, 0, {0}, 0, END_BIAS_RELU},
  {1, 90, 100, 0, LIE_COLUMNS, 0, GROWS_M, 0, {0}, 0, END_RESIDUAL},
  {16, 90, 100, 0, LIE_COLUMNS, 0, GROWS_M, 0, {0}, 0, END_RESIDUAL},
  {16, 90, 100, 0, LIE_COLUMNS, 0, GROWS_M, 0, {0}, 0, 0},
  {16, 90, 1100, 0, LIE_COLUMNS, 0, GROWS_M, 0, {0}, 0, 0},
  {3, 4, 20, 0, LIE_COLUMNS, 0, GROWS_M, 0, {0}, 0, 0},
  {30, 1, 40, 0, 0, 0, GROWS_N, 0, {0}, 0, END_BIAS_RELU},
  {30, 25, 40, 0, LIE_COLUMNS, 0, GROWS_N, 0, {0}, 0, 0},
  {30, 25, 40, LIE_COLUMNS, LIE_APART, LIE_COLUMNS, GROWS_N, 0, {0}, 0, END_RESIDUAL},
  {30, 50, 1, LIE_COLUMNS, 0, 0, GROWS_K, 0, {0}, 0, 0},
  {30, 50, 9, LIE_COLUMNS, 0, 0, GROWS_K, 0, {0}, 0, END_RESIDUAL},
  {20, 10, 200, LIE_COLUMNS, 0, 0, GROWS_K, 0, {0}, 0, 0},
  {12, 10, 20, LIE_ROWS, LIE_COLUMNS, 0, GROWS_K, 0, {0}, 0, END_BIAS_RELU},
  /* batch dimensions */
  {7, 20, 9, 0, 0, 0, GROWS_BATCH, 1, {1}, 0, END_BIAS_RELU},
  {7, 20, 9, 0, LIE_COLUMNS, 0, GROWS_BATCH, 2, {2, 3}, 0, 0},
  {33, 40, 20, 0, LIE_COLUMNS, 0, GROWS_BATCH, 2, {1, 2}, 1, END_RESIDUAL},
  {40, 33, 1100, 0, LIE_COLUMNS, 0, 0, 2, {2, 2}, 0, END_RESIDUAL},
  {6, 8, 30, 0, LIE_COLUMNS, 0, 0, 3, {2, 3, 2}, 0, END_BIAS_RELU},
  {6, 70, 3, 0, 0, 0, GROWS_M, 2, {2, 2}, 0, 0},
  {1, 1, 30, 0, 0, 0, GROWS_BATCH, 1, {4}, 0, 0},
};
enum { CASES = sizeof cases / sizeof *cases };

/* ---- the specification of a case ---- */

static int64_t most(Extent e) { return e.each * MAX_BATCH + e.fixed; }
static int64_t now(Extent e, int64_t n) { return e.each * n + e.fixed; }

static Extent grow(int64_t size, bool grows) { return grows ? (Extent){size, 0} : (Extent){0, size}; }

/* A matrix rows x columns that lies so, with batch dimensions around it. Returns its elements. */
static int64_t lay(const MatmulSpec *s, View *v, Lie lie, int64_t rows, int64_t columns, bool shared) {
  int nb = s->nbatch;
  static const int gap = 3;
  v->stride[nb] = lie == LIE_ROWS ? columns + gap : lie == LIE_COLUMNS ? 1 : 2 * columns + gap;
  v->stride[nb + 1] = lie == LIE_ROWS ? 1 : lie == LIE_COLUMNS ? rows + gap : 2;
  int64_t size = (rows + gap) * (2 * columns + gap + 2);
  if (lie == LIE_COLUMNS) size = (columns + 1) * (rows + gap);
  for (int i = nb - 1; i >= 0; i--) {
    v->stride[i] = shared ? 0 : size;
    if (!shared) size *= most(s->batch[i]);
  }
  v->offset = 5;
  return size + 5;
}

typedef struct {
  MatmulSpec spec;
  PointwiseSpec epilogue;
  BodyValue value[5];
  BodyStore store;
  Node node[2];
  int64_t size[SLOTS];
  KernelList list;
} Prepared;

/* result + bias[n], then relu; or result + other[...], which lies as C does. */
static void prepare_end(const Case *c, Prepared *p) {
  MatmulSpec *s = &p->spec;
  int nb = s->nbatch;
  bool bias = c->end == END_BIAS_RELU;
  p->epilogue = (PointwiseSpec){.rank = nb + 2, .nvalues = bias ? 4 : 3, .nstores = 1, .value = p->value,
                                .store = &p->store};
  for (int i = 0; i < nb; i++) p->epilogue.extent[i] = s->batch[i];
  p->epilogue.extent[nb] = s->m;
  p->epilogue.extent[nb + 1] = s->n;
  p->node[0] = (Node){.op = OP_add, .nin = 2};
  p->node[1] = (Node){.op = OP_relu, .nin = 1};
  p->value[0] = (BodyValue){.kind = BODY_RESULT};
  p->value[1] = (BodyValue){.kind = BODY_LOAD, .view = s->c};
  p->value[1].view.slot = SLOT_OTHER;
  if (bias) p->value[1].view = (View){.slot = SLOT_BIAS};
  if (bias) p->value[1].view.stride[nb + 1] = 1;
  p->value[2] = (BodyValue){.kind = BODY_OP, .node = &p->node[0], .arg = {0, 1}};
  p->value[3] = (BodyValue){.kind = BODY_OP, .node = &p->node[1], .arg = {2}};
  p->store = (BodyStore){bias ? 3 : 2, s->c};
  s->epilogue = &p->epilogue;

}

static void prepare(Cg *cg, const Case *c, Prepared *p) {
  MatmulSpec *s = &p->spec;
  *s = (MatmulSpec){.nbatch = c->nbatch, .scratch = SLOT_SCRATCH};
  s->m = grow(c->m, c->grows == GROWS_M);
  s->n = grow(c->n, c->grows == GROWS_N);
  s->k = grow(c->k, c->grows == GROWS_K);
  for (int i = 0; i < c->nbatch; i++) s->batch[i] = grow(c->batch[i], c->grows == GROWS_BATCH && i == 0);
  s->a.slot = SLOT_A;
  s->b.slot = SLOT_B;
  s->c.slot = SLOT_C;
  p->size[SLOT_A] = lay(s, &s->a, c->a, most(s->m), most(s->k), false);
  p->size[SLOT_B] = lay(s, &s->b, c->b, most(s->k), most(s->n), c->shared_b);
  p->size[SLOT_C] = p->size[SLOT_OTHER] = lay(s, &s->c, c->c, most(s->m), most(s->n), false);
  p->size[SLOT_BIAS] = most(s->n);
  if (c->end) prepare_end(c, p);
  p->list = kernel_matmul(cg, s);
  p->size[SLOT_SCRATCH] = (p->list.scratch_bytes + cg->real_bytes - 1) / cg->real_bytes;
}

/* ---- running and comparing ---- */

static double get(const void *p, int64_t i, int bytes) {
  return bytes == 4 ? (double)((const float *)p)[i] : ((const double *)p)[i];
}

static void put(void *p, int64_t i, int bytes, double x) {
  if (bytes == 4) ((float *)p)[i] = (float)x;
  else ((double *)p)[i] = x;
}

static int64_t place(const View *v, int rank, const int64_t *index) {
  int64_t at = v->offset;
  for (int i = 0; i < rank; i++) at += v->stride[i] * index[i];
  return at;
}

static double dot(const MatmulSpec *s, void **buffer, const int64_t *index, int64_t k, int bytes) {
  int64_t ia[5], ib[5];
  int nb = s->nbatch;
  double sum = 0;
  memcpy(ia, index, sizeof ia);
  memcpy(ib, index, sizeof ib);
  for (int64_t i = 0; i < k; i++) {
    ia[nb + 1] = ib[nb] = i;
    ib[nb + 1] = index[nb + 1];
    sum += get(buffer[SLOT_A], place(&s->a, nb + 2, ia), bytes) * get(buffer[SLOT_B], place(&s->b, nb + 2, ib), bytes);
  }
  return sum;
}

/* What C must hold. */
static void expect(const Case *c, const MatmulSpec *s, void **buffer, void *want, int64_t n, int bytes) {
  int nb = s->nbatch;
  int64_t extent[5] = {1, 1, 1, 1, 1}, index[5], total = 1;
  for (int i = 0; i < nb; i++) extent[i] = now(s->batch[i], n);
  extent[nb] = now(s->m, n);
  extent[nb + 1] = now(s->n, n);
  for (int i = 0; i < nb + 2; i++) total *= extent[i];
  for (int64_t e = 0; e < total; e++) {
    int64_t rest = e;
    for (int i = nb + 1; i >= 0; i--) index[i] = rest % extent[i], rest /= extent[i];
    double x = dot(s, buffer, index, now(s->k, n), bytes);
    int64_t at = place(&s->c, nb + 2, index);
    if (c->end == END_BIAS_RELU) x = fmax(x + get(buffer[SLOT_BIAS], index[nb + 1], bytes), 0);
    if (c->end == END_RESIDUAL) x += get(buffer[SLOT_OTHER], at, bytes);
    put(want, at, bytes, x);
  }
}

static void run_case(Harness *h, const Case *c, const Prepared *p, int64_t n, int bytes, const char *cpu) {
  void *buffer[SLOTS];
  unsigned seed = 17;
  for (int i = 0; i < SLOTS; i++) {
    buffer[i] = malloc((size_t)(p->size[i] * bytes) + 1);
    for (int64_t j = 0; j < p->size[i]; j++)
      put(buffer[i], j, bytes, i == SLOT_SCRATCH ? (double)NAN : (double)(rand_r(&seed) % 9) - 4);
  }
  size_t bytes_c = (size_t)(p->size[SLOT_C] * bytes);
  void *want = malloc(bytes_c);
  memcpy(want, buffer[SLOT_C], bytes_c);
  expect(c, &p->spec, buffer, want, n, bytes);
  void *real = buffer[SLOT_C];
  harness_run(h, &p->list, buffer, n, (unsigned)(n + 5));
  for (int64_t i = 0; i < p->size[SLOT_C]; i++)
    if (get(real, i, bytes) != get(want, i, bytes))
      fail_msg("case %d (%s, %d bytes, n = %d): element %d is %g, not %g", (int)(c - cases), cpu, bytes, (int)n,
               (int)i, get(real, i, bytes), get(want, i, bytes));
  free(want);
  for (int i = 0; i < SLOTS; i++) free(buffer[i]);
}

static void check(const char *cpu, int bytes) {
  Cg *cg = harness_cg(cpu, bytes, MAX_BATCH);
  Prepared *p = calloc(CASES, sizeof *p);
  for (int i = 0; i < CASES; i++) prepare(cg, &cases[i], &p[i]);
  Harness *h = harness_new(cg);
  static const int64_t batches[] = {1, 3, MAX_BATCH};
  for (int i = 0; i < CASES; i++) {
    p[i].spec.c.slot = SLOT_C;
    for (int j = 0; j < 3; j++) run_case(h, &cases[i], &p[i], batches[j], bytes, cpu);
  }
  harness_free(h);
  harness_cg_free(cg);
  free(p);
}

static void test_native(void **state) { (void)state, check("native", 4); }
static void test_native_f64(void **state) { (void)state, check("native", 8); }
static void test_avx2(void **state) { (void)state, check("haswell", 4); }
static void test_avx2_f64(void **state) { (void)state, check("haswell", 8); }
static void test_baseline(void **state) { (void)state, check("x86-64", 4); }

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_native),   cmocka_unit_test(test_native_f64), cmocka_unit_test(test_avx2),
    cmocka_unit_test(test_avx2_f64), cmocka_unit_test(test_baseline),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
