/* Convolutions, all three directions, images NHWC and weights [KH][KW][IC][OC], against oneDNN with
 * the reorders that it asks for. Work counts the taps that fall on padding, and
 * what Winograd's method does not multiply, so that a figure can pass the peak. */
#include <stdio.h>
#include <stdlib.h>

#include "bench/kernels/bench.h"

#ifdef HAVE_DNNL
#include <dnnl.h>
#endif

typedef struct {
  const char *name;
  int64_t n, size, ic, oc, kernel, stride, pad;
} Conv;

static const Conv convs[] = {
    {"conv 3x3 64@56", 4, 56, 64, 64, 3, 1, 1},
    {"conv 3x3 128@28", 8, 28, 128, 128, 3, 1, 1},
    {"conv 3x3 256@14", 16, 14, 256, 256, 3, 1, 1},
    {"conv 3x3 256@14, batch 1", 1, 14, 256, 256, 3, 1, 1},
    {"conv 3x3 512@7", 32, 7, 512, 512, 3, 1, 1},
    {"conv 3x3 512@4", 64, 4, 512, 512, 3, 1, 1},
    {"conv 3x3 512@2", 64, 2, 512, 512, 3, 1, 1},
    {"conv 3x3 s2 64>128@56", 4, 56, 64, 128, 3, 2, 1},
    {"conv 7x7 s2 3>64@224", 2, 224, 3, 64, 7, 2, 3},
    {"conv 1x1 256>64@56", 4, 56, 256, 64, 1, 1, 0},
    {"conv 1x1 64>256@56", 4, 56, 64, 256, 1, 1, 0},
    {"conv 1x1 1024>512@7", 32, 7, 1024, 512, 1, 1, 0},
    {"conv mnist 2x2 1>32@28", 64, 28, 1, 32, 2, 1, 0},
    {"conv mnist 3x3 s2 32>64@13", 64, 13, 32, 64, 3, 2, 0},
    {"conv 3x3 3>16@32", 64, 32, 3, 16, 3, 1, 1},
    {"conv 3x3 16@32", 64, 32, 16, 16, 3, 1, 1},
    {"conv 3x3 32@32", 64, 32, 32, 32, 3, 1, 1},
    {"conv 5x5 1>6@28", 64, 28, 1, 6, 5, 1, 2},
    {"conv 5x5 6>16@14", 64, 14, 6, 16, 5, 1, 0},
};

static const char *const directions[] = {"forward", "data", "weights"};

static ConvSpec spec_of(const Conv *c, ConvDirection d) {
  int64_t out = (c->size + 2 * c->pad - c->kernel) / c->stride + 1;
  return (ConvSpec){.direction = d,
                    .ih = c->size,
                    .iw = c->size,
                    .ic = c->ic,
                    .oh = out,
                    .ow = out,
                    .oc = c->oc,
                    .kh = c->kernel,
                    .kw = c->kernel,
                    .stride = {c->stride, c->stride},
                    .dilation = {1, 1},
                    .pad = {c->pad, c->pad, c->pad, c->pad},
                    .groups = 1,
                    .x = 0,
                    .weight = 1,
                    .y = 2,
                    .scratch = 3};
}

#ifdef HAVE_DNNL
enum { PEER_STEPS = 4 };

/* Reorders in, the convolution, a reorder out. */
typedef struct {
  dnnl_engine_t engine;
  dnnl_stream_t stream;
  int count;
  dnnl_primitive_t step[PEER_STEPS];
  int nargs[PEER_STEPS];
  dnnl_exec_arg_t arg[PEER_STEPS][3];
} Peer;

static void check(dnnl_status_t status) {
  if (status == dnnl_success) return;
  fprintf(stderr, "oneDNN: status %d\n", (int)status);
  exit(1);
}

static dnnl_memory_desc_t any_layout(const dnnl_dim_t *dims) {
  dnnl_memory_desc_t d;
  check(dnnl_memory_desc_init_by_tag(&d, 4, dims, dnnl_f32, dnnl_format_tag_any));
  return d;
}

static dnnl_memory_t own_memory(Peer *p, const dnnl_dim_t *dims, const dnnl_dim_t *strides,
                                float *data) {
  dnnl_memory_desc_t d;
  dnnl_memory_t m;
  check(dnnl_memory_desc_init_by_strides(&d, 4, dims, dnnl_f32, strides));
  check(dnnl_memory_create(&m, &d, p->engine, data));
  return m;
}

static dnnl_memory_t memory_like(Peer *p, dnnl_memory_t own, const dnnl_memory_desc_t *want) {
  const dnnl_memory_desc_t *have;
  dnnl_memory_t m;
  check(dnnl_memory_get_memory_desc(own, &have));
  if (dnnl_memory_desc_equal(have, want)) return own;
  check(dnnl_memory_create(&m, want, p->engine, DNNL_MEMORY_ALLOCATE));
  return m;
}

static void add_reorder(Peer *p, dnnl_memory_t from, dnnl_memory_t to) {
  const dnnl_memory_desc_t *a, *b;
  dnnl_primitive_desc_t d;
  if (from == to) return;
  check(dnnl_memory_get_memory_desc(from, &a));
  check(dnnl_memory_get_memory_desc(to, &b));
  check(dnnl_reorder_primitive_desc_create(&d, a, p->engine, b, p->engine, NULL));
  check(dnnl_primitive_create(&p->step[p->count], d));
  p->arg[p->count][0] = (dnnl_exec_arg_t){DNNL_ARG_FROM, from};
  p->arg[p->count][1] = (dnnl_exec_arg_t){DNNL_ARG_TO, to};
  p->nargs[p->count++] = 2;
}

static dnnl_primitive_desc_t describe(Peer *p, const ConvSpec *s, const dnnl_memory_desc_t *m) {
  dnnl_dim_t stride[DNNL_MAX_NDIMS] = {s->stride[0], s->stride[1]};
  dnnl_dim_t before[DNNL_MAX_NDIMS] = {s->pad[0], s->pad[2]},
             after[DNNL_MAX_NDIMS] = {s->pad[1], s->pad[3]};
  dnnl_convolution_desc_t forward, other;
  dnnl_primitive_desc_t hint, d;
  dnnl_alg_kind_t direct = dnnl_convolution_direct;
  check(dnnl_convolution_forward_desc_init(&forward, dnnl_forward_training, direct, &m[0], &m[1],
                                           NULL, &m[2], stride, before, after));
  check(dnnl_primitive_desc_create(&hint, &forward, NULL, p->engine, NULL));
  if (s->direction == CONV_FORWARD) return hint;
  if (s->direction == CONV_INPUT)
    check(dnnl_convolution_backward_data_desc_init(&other, direct, &m[0], &m[1], &m[2], stride,
                                                   before, after));
  else
    check(dnnl_convolution_backward_weights_desc_init(&other, direct, &m[0], &m[1], NULL, &m[2],
                                                      stride, before, after));
  check(dnnl_primitive_desc_create(&d, &other, NULL, p->engine, hint));
  return d;
}

/* data: x, weights, y; the result goes to the direction's own. */
static void peer_prepare(Peer *p, const ConvSpec *s, int64_t n, float *const *data) {
  static const dnnl_query_t query[3][3] = {
      {dnnl_query_src_md, dnnl_query_weights_md, dnnl_query_dst_md},
      {dnnl_query_diff_src_md, dnnl_query_weights_md, dnnl_query_diff_dst_md},
      {dnnl_query_src_md, dnnl_query_diff_weights_md, dnnl_query_diff_dst_md}};
  static const int name[3][3] = {{DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST},
                                 {DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST},
                                 {DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST}};
  static const int result[3] = {2, 0, 1};
  dnnl_dim_t dims[3][DNNL_MAX_NDIMS] = {
      {n, s->ic, s->ih, s->iw}, {s->oc, s->ic, s->kh, s->kw}, {n, s->oc, s->oh, s->ow}};
  dnnl_dim_t strides[3][DNNL_MAX_NDIMS] = {{s->ih * s->iw * s->ic, 1, s->iw * s->ic, s->ic},
                                           {1, s->oc, s->kw * s->ic * s->oc, s->ic * s->oc},
                                           {s->oh * s->ow * s->oc, 1, s->ow * s->oc, s->oc}};
  dnnl_memory_desc_t any[3] = {any_layout(dims[0]), any_layout(dims[1]), any_layout(dims[2])};
  dnnl_memory_t own[3], use[3];
  check(dnnl_engine_create(&p->engine, dnnl_cpu, 0));
  check(dnnl_stream_create(&p->stream, p->engine, dnnl_stream_default_flags));
  dnnl_primitive_desc_t d = describe(p, s, any);
  int out = result[s->direction];
  for (int i = 0; i < 3; i++) {
    own[i] = own_memory(p, dims[i], strides[i], data[i]);
    use[i] = memory_like(p, own[i], dnnl_primitive_desc_query_md(d, query[s->direction][i], 0));
    if (i != out) add_reorder(p, own[i], use[i]);
  }
  check(dnnl_primitive_create(&p->step[p->count], d));
  for (int i = 0; i < 3; i++)
    p->arg[p->count][i] = (dnnl_exec_arg_t){name[s->direction][i], use[i]};
  p->nargs[p->count++] = 3;
  add_reorder(p, use[out], own[out]);
}

static void peer_run(void *user) {
  Peer *p = user;
  for (int i = 0; i < p->count; i++)
    check(dnnl_primitive_execute(p->step[i], p->stream, p->nargs[i], p->arg[i]));
  check(dnnl_stream_wait(p->stream));
}

static void peer_free(Peer *p) {
  for (int i = 0; i < p->count; i++) dnnl_primitive_destroy(p->step[i]);
  dnnl_stream_destroy(p->stream);
  dnnl_engine_destroy(p->engine);
}
#endif

static void bench_case(const Conv *c, ConvDirection d) {
  char name[80];
  snprintf(name, sizeof name, "%s %s", c->name, directions[d]);
  if (!bench_wanted(name)) return;
  ConvSpec s = spec_of(c, d);
  Cg *cg = harness_cg("native", 4, c->n);
  BenchKernel ours = {.list = kernel_conv(cg, &s), .n = c->n};
  ours.harness = harness_new(cg);
  bench_kernel_begin(&ours);
  int64_t size[3] = {c->n * s.ih * s.iw * s.ic, s.kh * s.kw * s.ic * s.oc,
                     c->n * s.oh * s.ow * s.oc};
  for (int i = 0; i < 3; i++) ours.buffers[i] = bench_random(size[i]);
  ours.buffers[3] = bench_random(ours.list.scratch_bytes / 4 + 1);
  BenchRow row = {.name = name, .flops = 2.0 * (double)size[2] * (double)(s.kh * s.kw * s.ic)};
  row.by[BY_DLC] = (BenchContender){bench_kernel_run, &ours};
#ifdef HAVE_DNNL
  static const int result[3] = {2, 0, 1};
  float *data[3] = {ours.buffers[0], ours.buffers[1], ours.buffers[2]};
  Peer peer = {0};
  data[result[d]] = bench_random(size[result[d]]);
  peer_prepare(&peer, &s, c->n, data);
  row.by[BY_ONEDNN] = (BenchContender){peer_run, &peer};
#endif
  bench_row(&row);
#ifdef HAVE_DNNL
  peer_free(&peer);
  free(data[result[d]]);
#endif
  for (int i = 0; i < 4; i++) free(ours.buffers[i]);
  harness_free(ours.harness);
  harness_cg_free(cg);
}

void bench_conv(void) {
  for (size_t i = 0; i < sizeof convs / sizeof *convs; i++)
    for (int d = 0; d < 3; d++) bench_case(&convs[i], (ConvDirection)d);
}
