/* Products against a plain triple loop: shapes x strides x batch x epilogues, for several
 * processors, f32 and f64, batches of 1, 3 and the maximum. Operands are small whole numbers, so
 * that every sum is exact in any order and results are compared bit for bit; what lies between the
 * results must stay untouched. */
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
typedef enum { END_NONE, END_BIAS_RELU, END_RESIDUAL, END_LONG, END_ROW } End;
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
    /* blocks lower than a tile, packed panels, several K blocks of each */
    {3, 50, 300, 0, 0, 0, GROWS_M, 0, {0}, 0, END_BIAS_RELU},
    {387, 70, 40, 0, 0, 0, 0, 0, {0}, 0, END_RESIDUAL},
    {100, 70, 1100, 0, 0, 0, 0, 0, {0}, 0, END_LONG},
    {100, 70, 300, LIE_COLUMNS, 0, 0, GROWS_K, 0, {0}, 0, 0},
    {100, 70, 300, 0, LIE_COLUMNS, 0, GROWS_K, 0, {0}, 0, END_RESIDUAL},
    {30, 70, 300, 0, LIE_COLUMNS, 0, GROWS_BATCH, 1, {2}, 0, END_LONG},
    {16, 70, 80, 0, 0, 0, GROWS_M, 0, {0}, 0, END_LONG},
    /* one column; few columns of a product whose A lies along m; C along its columns */
    {200, 1, 300, 0, 0, 0, 0, 0, {0}, 0, END_ROW},
    {30, 1, 100, 0, 0, 0, GROWS_M, 0, {0}, 0, END_LONG},
    {70, 10, 40, LIE_COLUMNS, 0, 0, 0, 0, {0}, 0, END_RESIDUAL},
    {70, 3, 8, LIE_COLUMNS, 0, 0, GROWS_K, 0, {0}, 0, END_ROW},
    {50, 21, 40, 0, LIE_COLUMNS, 0, 0, 0, {0}, 0, END_ROW},
    {50, 21, 40, 0, LIE_COLUMNS, LIE_COLUMNS, 0, 0, {0}, 0, END_ROW},
    {50, 21, 40, 0, 0, LIE_COLUMNS, GROWS_M, 0, {0}, 0, END_LONG},
    /* sums along k */
    {5, 30, 20, 0, LIE_COLUMNS, 0, GROWS_K, 0, {0}, 0, END_LONG},
    {16, 10, 300, 0, 0, 0, GROWS_M, 0, {0}, 0, END_ROW},
    {16, 10, 30, 0, 0, 0, GROWS_K, 0, {0}, 0, END_RESIDUAL},
    {6, 300, 70, 0, LIE_COLUMNS, 0, GROWS_N, 0, {0}, 0, 0},
};
enum { CASES = sizeof cases / sizeof *cases };

/* ---- the specification of a case ---- */

static int64_t most(Extent e) { return e.each * MAX_BATCH + e.fixed; }
static int64_t now(Extent e, int64_t n) { return e.each * n + e.fixed; }

static Extent grow(int64_t size, bool grows) {
  return grows ? (Extent){size, 0} : (Extent){0, size};
}

/* A matrix rows x columns that lies so, with batch dimensions around it. Returns its elements. */
static int64_t lay(const MatmulSpec *s, View *v, Lie lie, int64_t rows, int64_t columns,
                   bool shared) {
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
  BodyValue value[8];
  BodyStore store;
  Node node[2];
  int64_t size[SLOTS];
  KernelList list;
} Prepared;

static int value(Prepared *p, BodyValue v) {
  p->value[p->epilogue.nvalues] = v;
  return p->epilogue.nvalues++;
}

static int sum(Prepared *p, int a, int b) {
  return value(p, (BodyValue){.kind = BODY_OP, .node = &p->node[0], .arg = {a, b}});
}

/* BIAS_RELU: relu(result + bias[n]). RESIDUAL: result + other, which lies as C does. LONG: both,
 * and the bias once more. ROW: result + m. */
static void prepare_end(const Case *c, Prepared *p) {
  MatmulSpec *s = &p->spec;
  int nb = s->nbatch;
  p->epilogue =
      (PointwiseSpec){.rank = nb + 2, .nstores = 1, .value = p->value, .store = &p->store};
  for (int i = 0; i < nb; i++) p->epilogue.extent[i] = s->batch[i];
  p->epilogue.extent[nb] = s->m;
  p->epilogue.extent[nb + 1] = s->n;
  p->node[0] = (Node){.op = OP_add, .nin = 2};
  p->node[1] = (Node){.op = OP_relu, .nin = 1};
  BodyValue bias = {.kind = BODY_LOAD, .view = {.slot = SLOT_BIAS}},
            other = {.kind = BODY_LOAD, .view = s->c};
  bias.view.stride[nb + 1] = 1;
  other.view.slot = SLOT_OTHER;
  int x = value(p, (BodyValue){.kind = BODY_RESULT}), b = -1;
  if (c->end == END_ROW) x = sum(p, x, value(p, (BodyValue){.kind = BODY_COORD, .dim = nb}));
  if (c->end == END_BIAS_RELU || c->end == END_LONG) {
    x = sum(p, x, b = value(p, bias));
    x = value(p, (BodyValue){.kind = BODY_OP, .node = &p->node[1], .arg = {x}});
  }
  if (c->end == END_RESIDUAL || c->end == END_LONG) x = sum(p, x, value(p, other));
  if (c->end == END_LONG) x = sum(p, x, b);
  p->store = (BodyStore){x, s->c};
  s->epilogue = &p->epilogue;
}

static void prepare(Cg *cg, const Case *c, Prepared *p) {
  MatmulSpec *s = &p->spec;
  *s = (MatmulSpec){.nbatch = c->nbatch, .scratch = SLOT_SCRATCH};
  s->m = grow(c->m, c->grows == GROWS_M);
  s->n = grow(c->n, c->grows == GROWS_N);
  s->k = grow(c->k, c->grows == GROWS_K);
  for (int i = 0; i < c->nbatch; i++)
    s->batch[i] = grow(c->batch[i], c->grows == GROWS_BATCH && i == 0);
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
  if (bytes == 4)
    ((float *)p)[i] = (float)x;
  else
    ((double *)p)[i] = x;
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
    sum += get(buffer[SLOT_A], place(&s->a, nb + 2, ia), bytes) *
           get(buffer[SLOT_B], place(&s->b, nb + 2, ib), bytes);
  }
  return sum;
}

static double finish(const Case *c, const MatmulSpec *s, void **buffer, const int64_t *index,
                     double x, int bytes) {
  double bias = get(buffer[SLOT_BIAS], index[s->nbatch + 1], bytes);
  double other = get(buffer[SLOT_OTHER], place(&s->c, s->nbatch + 2, index), bytes);
  switch (c->end) {
    case END_NONE:
      return x;
    case END_BIAS_RELU:
      return fmax(x + bias, 0);
    case END_RESIDUAL:
      return x + other;
    case END_LONG:
      return fmax(x + bias, 0) + other + bias;
    case END_ROW:
      return x + (double)index[s->nbatch];
  }
  return NAN;
}

/* What C must hold. */
static void expect(const Case *c, const MatmulSpec *s, void **buffer, void *want, int64_t n,
                   int bytes) {
  int nb = s->nbatch;
  int64_t extent[5] = {1, 1, 1, 1, 1}, index[5] = {0}, total = 1;
  for (int i = 0; i < nb; i++) extent[i] = now(s->batch[i], n);
  extent[nb] = now(s->m, n);
  extent[nb + 1] = now(s->n, n);
  for (int i = 0; i < nb + 2; i++) total *= extent[i];
  for (int64_t e = 0; e < total; e++) {
    int64_t rest = e;
    for (int i = nb + 1; i >= 0; i--) index[i] = rest % extent[i], rest /= extent[i];
    double x = dot(s, buffer, index, now(s->k, n), bytes);
    put(want, place(&s->c, nb + 2, index), bytes, finish(c, s, buffer, index, x, bytes));
  }
}

/* Buffers of a case, filled by `next`; the scratch with NaN. */
static void fill(const Prepared *p, int bytes, void **buffer, double next(unsigned *seed)) {
  unsigned seed = 17;
  for (int i = 0; i < SLOTS; i++) {
    buffer[i] = malloc((size_t)(p->size[i] * bytes) + 1);
    for (int64_t j = 0; j < p->size[i]; j++)
      put(buffer[i], j, bytes, i == SLOT_SCRATCH ? (double)NAN : next(&seed));
  }
}

static void release(void **buffer) {
  for (int i = 0; i < SLOTS; i++) free(buffer[i]);
}

static double whole_number(unsigned *seed) { return (double)(rand_r(seed) % 9) - 4; }
static double any_number(unsigned *seed) { return (double)(rand_r(seed) % 20001 - 10000) / 9973; }

static void run_case(Harness *h, const Case *c, const Prepared *p, int64_t n, int bytes,
                     const char *cpu) {
  void *buffer[SLOTS];
  fill(p, bytes, buffer, whole_number);
  size_t bytes_c = (size_t)(p->size[SLOT_C] * bytes);
  void *want = malloc(bytes_c), *got = buffer[SLOT_C];
  memcpy(want, got, bytes_c);
  expect(c, &p->spec, buffer, want, n, bytes);
  harness_run(h, &p->list, buffer, n, (unsigned)(n + 5));
  for (int64_t i = 0; i < p->size[SLOT_C]; i++)
    if (get(got, i, bytes) != get(want, i, bytes))
      fail_msg("case %d (%s, %d bytes, n = %d): element %d is %g, not %g", (int)(c - cases), cpu,
               bytes, (int)n, (int)i, get(got, i, bytes), get(want, i, bytes));
  free(want);
  release(buffer);
}

/* Reals: the same bits however units are dealt out, and each sum within k roundings of its scale
 * (at most 1.1 k). */
static void run_reals(Harness *h, const Case *c, const Prepared *p) {
  void *buffer[SLOTS];
  fill(p, 4, buffer, any_number);
  size_t bytes_c = (size_t)(p->size[SLOT_C] * 4);
  void *once = malloc(bytes_c), *again = malloc(bytes_c), *want = malloc(bytes_c);
  memcpy(want, buffer[SLOT_C], bytes_c);
  memcpy(again, buffer[SLOT_C], bytes_c);
  expect(c, &p->spec, buffer, want, MAX_BATCH, 4);
  harness_run(h, &p->list, buffer, MAX_BATCH, 0);
  memcpy(once, buffer[SLOT_C], bytes_c);
  memcpy(buffer[SLOT_C], again, bytes_c);
  harness_run(h, &p->list, buffer, MAX_BATCH, 99);
  assert_memory_equal(once, buffer[SLOT_C], bytes_c);
  double k = (double)now(p->spec.k, MAX_BATCH),
         allowed = (k + 4) * ldexp(1, -24) * (1.1 * k + 4 + (double)c->m);
  for (int64_t i = 0; i < p->size[SLOT_C]; i++)
    if (!(fabs(get(once, i, 4) - get(want, i, 4)) <= allowed))
      fail_msg("case %d: element %d is %g, not %g", (int)(c - cases), (int)i, get(once, i, 4),
               get(want, i, 4));
  free(once), free(again), free(want);
  release(buffer);
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

static void test_reals(void **state) {
  (void)state;
  Cg *cg = harness_cg("native", 4, MAX_BATCH);
  Prepared *p = calloc(CASES, sizeof *p);
  for (int i = 0; i < CASES; i++) prepare(cg, &cases[i], &p[i]);
  Harness *h = harness_new(cg);
  for (int i = 0; i < CASES; i++) run_reals(h, &cases[i], &p[i]);
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
      cmocka_unit_test(test_native),   cmocka_unit_test(test_native_f64),
      cmocka_unit_test(test_avx2),     cmocka_unit_test(test_avx2_f64),
      cmocka_unit_test(test_baseline), cmocka_unit_test(test_reals),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
