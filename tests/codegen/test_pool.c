/* Pooling and row scatter against the ops' own evaluation, in both image layouts; ties, NaN,
 * padding, dilation, ceiling and adaptive windows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include "tests/codegen/harness.h"

enum { MAX_BATCH = 4 };
static const char *const cpus[] = {"native", "haswell", "x86-64"};

typedef struct {
  int64_t c, h, w, kernel[2], stride[2], pad[2], dilation[2];
  bool ceil, count_pad, adaptive;
} Case;

static const Case cases[] = {
    {1, 6, 6, {2, 2}, {2, 2}, {0, 0}, {1, 1}, 0, 1, 0},
    {6, 28, 28, {2, 2}, {2, 2}, {0, 0}, {1, 1}, 0, 1, 0},
    {64, 9, 11, {3, 3}, {2, 2}, {1, 1}, {1, 1}, 0, 1, 0},
    {70, 7, 5, {3, 2}, {1, 2}, {1, 0}, {1, 1}, 0, 0, 0},
    {17, 8, 8, {3, 3}, {2, 2}, {0, 0}, {1, 1}, 1, 1, 0},
    {5, 10, 9, {2, 3}, {2, 1}, {1, 1}, {2, 1}, 0, 1, 0},
    {33, 9, 7, {5, 5}, {3, 2}, {2, 2}, {1, 1}, 1, 0, 0},
    {40, 7, 10, {3, 4}, {1, 1}, {0, 0}, {1, 1}, 0, 0, 1},
    {16, 8, 8, {4, 2}, {1, 1}, {0, 0}, {1, 1}, 0, 0, 1},
    {12, 7, 5, {2, 2}, {2, 2}, {0, 0}, {1, 1}, 1, 1, 0},
    {200, 4, 4, {4, 4}, {4, 4}, {0, 0}, {1, 1}, 0, 1, 0},
    {19, 5, 13, {3, 5}, {2, 4}, {1, 2}, {1, 1}, 1, 1, 0},
    {1, 4, 60, {1, 25}, {1, 1}, {0, 0}, {1, 1}, 0, 1, 0}, /* a row's pixels as channels */
    {3, 6, 9, {2, 3}, {2, 1}, {1, 0}, {1, 1}, 0, 1, 0},
    {2, 40, 37, {3, 5}, {2, 2}, {1, 2}, {1, 1}, 1, 1, 0}, /* long runs between cut-off windows */
    {3, 31, 44, {4, 4}, {3, 2}, {1, 2}, {2, 1}, 1, 0, 0},
    {2, 24, 40, {8, 5}, {1, 1}, {0, 0}, {1, 1}, 0, 0, 1},
};

/* One op on one case: a node with what the shape and the windows need. */
typedef struct {
  Node node, in[2];
  Node *operand[2];
  Attr attr[6];
  Type image, pooled;
} Op1;

static Attr pair(const int64_t *v) { return (Attr){.kind = ATTR_PAIR, .n = 2, .v = v}; }

static int attributes(Op op, const Case *k, Attr *a) {
  Attr kernel = pair(k->kernel), stride = pair(k->stride), pad = pair(k->pad),
       dilation = pair(k->dilation);
  Attr ceil = attr_bool(k->ceil), count = attr_bool(k->count_pad), size = attr_ints(2, &k->h);
  Attr max[] = {kernel, stride, pad, dilation, ceil}, mean[] = {kernel, stride, pad, ceil, count};
  Attr put[] = {size, kernel, stride, pad, ceil, count};
  const Attr *from = op == OP_avg_pool2d                ? mean
                     : op == OP_avg_pool2d_put          ? put
                     : op == OP_adaptive_avg_pool2d     ? &kernel
                     : op == OP_adaptive_avg_pool2d_put ? &size
                                                        : max;
  int n = op_signature(op)->nattrs;
  memcpy(a, from, (size_t)n * sizeof *a);
  return n;
}

static void make(Op1 *o, Op op, const Case *k) {
  memset(o, 0, sizeof *o);
  o->image = type_of(ELEM_F32, true, 3, (int64_t[]){k->c, k->h, k->w});
  o->operand[0] = &o->in[0];
  o->operand[1] = &o->in[1];
  o->node = (Node){.op = k->adaptive ? OP_adaptive_avg_pool2d : OP_max_pool2d,
                   .in = o->operand,
                   .attr = o->attr,
                   .nin = 1};
  attributes(o->node.op, k, o->attr);
  o->in[0].type = o->image;
  assert_true(op_info[o->node.op].shape(&o->node, &o->pooled, NULL));
  o->node.op = op;
  o->node.nin = op_signature(op)->noperands;
  attributes(op, k, o->attr);
  if (op == OP_max_pool2d_put) o->in[1].type = o->pooled;
  if (op == OP_max_pool2d_take) o->in[1].type = o->image;
  if (op == OP_avg_pool2d_put || op == OP_adaptive_avg_pool2d_put) o->in[0].type = o->pooled;
  assert_true(op_info[op].shape(&o->node, &o->node.type, NULL));
}

static Tensor tensor(Type type, int64_t n, unsigned seed, bool nan) {
  Tensor t = {type, n, malloc((size_t)(n * type_elements(&type)) * sizeof(double))};
  for (int64_t i = 0; i < n * type_elements(&type); i++) {
    t.data[i] = (double)(rand_r(&seed) % 9) - 4; /* few values: many ties */
    if (nan && rand_r(&seed) % 11 == 0) t.data[i] = NAN;
  }
  return t;
}

static View image_view(int slot, const Type *t, bool nhwc) {
  int64_t c = t->dim[0], h = t->dim[1], w = t->dim[2];
  View v = {.slot = slot, .offset = 3, .stride = {c * h * w, w, 1, h * w}};
  if (nhwc) v.stride[1] = w * c, v.stride[2] = c, v.stride[3] = 1;
  return v;
}

static int64_t place(const View *v, const Type *t, int64_t i) {
  int64_t w = i % t->dim[2], h = i / t->dim[2] % t->dim[1],
          c = i / (t->dim[2] * t->dim[1]) % t->dim[0];
  int64_t n = i / type_elements(t);
  return v->offset + n * v->stride[0] + h * v->stride[1] + w * v->stride[2] + c * v->stride[3];
}

static void *laid_out(const Tensor *t, const View *v, int bytes) {
  int64_t count = t->n * type_elements(&t->type);
  void *p = calloc((size_t)count + 8, (size_t)bytes);
  for (int64_t i = 0; i < count; i++)
    if (bytes == 8)
      ((double *)p)[place(v, &t->type, i)] = t->data[i];
    else
      ((float *)p)[place(v, &t->type, i)] = (float)t->data[i];
  return p;
}

static PoolKind kind_of(Op op) {
  return op == OP_max_pool2d                                   ? POOL_MAX
         : op == OP_max_pool2d_put                             ? POOL_MAX_PUT
         : op == OP_max_pool2d_take                            ? POOL_MAX_TAKE
         : op == OP_avg_pool2d || op == OP_adaptive_avg_pool2d ? POOL_MEAN
                                                               : POOL_MEAN_PUT;
}

static void check_case(Op op, const Case *k, const char *cpu, int bytes, bool nhwc, bool nan) {
  Op1 o;
  make(&o, op, k);
  PoolSpec s = {.kind = kind_of(op),
                .node = &o.node,
                .channels = k->c,
                .ih = k->h,
                .iw = k->w,
                .oh = o.pooled.dim[1],
                .ow = o.pooled.dim[2]};
  s.y = image_view(2, &o.node.type, nhwc);
  s.x = image_view(0, &o.image, nhwc);
  s.dy = image_view(1, op == OP_max_pool2d_take ? &o.image : &o.pooled, nhwc);
  Cg *cg = harness_cg(cpu, bytes, MAX_BATCH);
  KernelList list = kernel_pool(cg, &s);
  Harness *h = harness_new(cg);
  for (int64_t n = 1; n <= MAX_BATCH; n += 3) {
    Tensor x = tensor(o.image, n, 5, nan), y = tensor(o.node.type, n, 9, false);
    Tensor dy = tensor(op == OP_max_pool2d_take ? o.image : o.pooled, n, 6, false);
    const Tensor *in[] = {s.kind == POOL_MEAN_PUT ? &dy : &x, &dy};
    op_info[op].eval(&o.node, in, &y, NULL);
    for (unsigned seed = 0; seed < 2; seed++) {
      void *px = laid_out(&x, &s.x, bytes), *pdy = laid_out(&dy, &s.dy, bytes),
           *py = malloc(((size_t)(n * type_elements(&y.type)) + 8) * (size_t)bytes);
      memset(py, 0x55, ((size_t)(n * type_elements(&y.type)) + 8) * (size_t)bytes);
      harness_run(h, &list, (void *[]){px, pdy, py}, n, seed);
      for (int64_t i = 0; i < n * type_elements(&y.type); i++) {
        int64_t at = place(&s.y, &y.type, i);
        double got = bytes == 8 ? ((double *)py)[at] : (double)((float *)py)[at], want = y.data[i];
        /* means are of terms up to 4, which may cancel: a few roundings of the terms */
        double bound =
            s.kind == POOL_MEAN || s.kind == POOL_MEAN_PUT ? 1e-6 * fmax(1, fabs(want)) : 0;
        bool same = got == want || (isnan(got) && isnan(want)) || fabs(got - want) <= bound;
        if (!same)
          fail_msg("%s %s f%d case %d %s: [%d] is %g, not %g", op_info[op].name, cpu, bytes * 8,
                   (int)(k - cases), nhwc ? "nhwc" : "nchw", (int)i, got, want);
      }
      free(px), free(pdy), free(py);
    }
    free(x.data), free(y.data), free(dy.data);
  }
  harness_free(h);
  harness_cg_free(cg);
}

static void check_op(Op op, bool adaptive, bool dilation) {
  int done = 0;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const Case *k = &cases[i];
    if (k->adaptive != adaptive || (!dilation && k->dilation[0] > 1)) continue;
    for (int c = 0; c < 3; c++) {
      bool max = op_signature(op)->noperands == 2 || op == OP_max_pool2d;
      check_case(op, k, cpus[c], c == 1 ? 8 : 4, true, false);
      check_case(op, k, cpus[c], c == 1 ? 4 : 8, c != 2, max);
      done++;
    }
    check_case(op, k, "native", 4, false, false);
  }
  assert_true(done > 0);
}

static void test_max(void **state) { (void)state, check_op(OP_max_pool2d, false, true); }
static void test_max_put(void **state) { (void)state, check_op(OP_max_pool2d_put, false, true); }
static void test_max_take(void **state) { (void)state, check_op(OP_max_pool2d_take, false, true); }
static void test_mean(void **state) { (void)state, check_op(OP_avg_pool2d, false, false); }
static void test_mean_put(void **state) { (void)state, check_op(OP_avg_pool2d_put, false, false); }
static void test_adaptive(void **state) {
  (void)state, check_op(OP_adaptive_avg_pool2d, true, false);
}
static void test_adaptive_put(void **state) {
  (void)state, check_op(OP_adaptive_avg_pool2d_put, true, false);
}

/* However many windows there are, tables are of those at the edges. */
static void test_many_windows(void **state) {
  (void)state;
  static const Op ops[] = {OP_max_pool2d, OP_max_pool2d_put, OP_avg_pool2d};
  static const Case many = {1, 1 << 24, 1, {3, 1}, {2, 1}, {1, 0}, {1, 1}, 1, 1, 0};
  for (int i = 0; i < 3; i++) {
    Op1 o;
    make(&o, ops[i], &many);
    PoolSpec s = {.kind = kind_of(ops[i]),
                  .node = &o.node,
                  .channels = 1,
                  .ih = many.h,
                  .iw = many.w,
                  .oh = o.pooled.dim[1],
                  .ow = o.pooled.dim[2]};
    s.y = image_view(2, &o.node.type, true);
    s.x = image_view(0, &o.image, true);
    s.dy = image_view(1, &o.pooled, true);
    Cg *cg = harness_cg("native", 4, MAX_BATCH);
    kernel_pool(cg, &s);
    int tables = 0;
    for (LLVMValueRef g = LLVMGetFirstGlobal(cg->module); g; g = LLVMGetNextGlobal(g), tables++)
      assert_true(LLVMGetArrayLength2(LLVMGlobalGetValueType(g)) <= 4);
    assert_true(tables > 0);
    harness_cg_free(cg);
  }
}

/* ---- rows ---- */

static void check_rows(const char *cpu, MemElem elem, int64_t width) {
  enum { COUNT = 7, PER = 3 };
  PutRowsSpec s = {.rows = {PER, 0},
                   .width = width,
                   .count = COUNT,
                   .index = {.slot = 0, .elem = elem, .stride = {1}},
                   .source = {.slot = 1, .stride = {width + 1, 1}},
                   .table = {.slot = 2, .offset = 2, .stride = {width, 1}}};
  Cg *cg = harness_cg(cpu, 4, MAX_BATCH);
  KernelList list = kernel_put_rows(cg, &s);
  Harness *h = harness_new(cg);
  static const int indices[] = {3, 0, 3, 6, -1, 7, 2, 3, 0, 100, 6, 1};
  float *source = malloc((size_t)(12 * (width + 1)) * sizeof *source),
        *got = malloc((size_t)(COUNT * width + 4) * 4);
  float *want = malloc((size_t)(COUNT * width + 4) * 4);
  int32_t words[12];
  uint8_t bytes[12];
  for (int i = 0; i < 12; i++) words[i] = indices[i], bytes[i] = (uint8_t)indices[i];
  for (int64_t i = 0; i < 12 * (width + 1); i++)
    source[i] = (float)(i % 23) + 0.37f * (float)(i % 5);
  for (int64_t n = 1; n <= MAX_BATCH; n++)
    for (unsigned seed = 0; seed < 3; seed++) {
      for (int64_t i = 0; i < COUNT * width + 4; i++)
        got[i] = -1, want[i] = i < 2 || i >= COUNT * width + 2 ? -1 : 0;
      for (int i = 0; i < n * PER; i++)
        for (int64_t k = 0; k < width && indices[i] >= 0 && indices[i] < COUNT; k++)
          want[2 + indices[i] * width + k] += source[i * (width + 1) + k];
      void *index = elem == MEM_I32 ? (void *)words : (void *)bytes;
      harness_run(h, &list, (void *[]){index, source, got}, n, seed);
      assert_memory_equal(got, want, (size_t)(COUNT * width + 4) * 4);
    }
  free(source), free(got), free(want);
  harness_free(h);
  harness_cg_free(cg);
}

static void test_rows(void **state) {
  (void)state;
  static const int64_t widths[] = {1, 5, 16, 33, 64, 200};
  for (int c = 0; c < 3; c++)
    for (int w = 0; w < 6; w++) {
      check_rows(cpus[c], MEM_I32, widths[w]);
      check_rows(cpus[c], MEM_U8, widths[w]);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_max),          cmocka_unit_test(test_max_put),
      cmocka_unit_test(test_max_take),     cmocka_unit_test(test_mean),
      cmocka_unit_test(test_mean_put),     cmocka_unit_test(test_adaptive),
      cmocka_unit_test(test_adaptive_put), cmocka_unit_test(test_many_windows),
      cmocka_unit_test(test_rows),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
