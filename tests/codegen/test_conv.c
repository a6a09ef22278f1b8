/* kernel_conv against plain loops: shapes x directions x precisions x processors x batches, with
 * and without an epilogue, and with sums in it. Buffers end (or start) at a page that cannot be
 * touched, and units run in shuffled pieces. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/codegen/harness.h"

enum { MAX_BATCH = 5, NBUFFERS = 6 };
enum { SLOT_X, SLOT_W, SLOT_Y, SLOT_SCRATCH, SLOT_BIAS, SLOT_OUT };

typedef struct {
  int64_t ih, iw, ic, oc, kh, kw, stride[2], pad[4], dilation[2], groups;
} Shape;

static const Shape shapes[] = {
    /* ih, iw, ic, oc, kh, kw, stride, pad: top bottom left right, dilation, groups */
    {5, 6, 4, 5, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}, 1},
    {28, 28, 1, 32, 2, 2, {1, 1}, {0, 0, 0, 0}, {1, 1}, 1},
    {13, 13, 32, 64, 3, 3, {2, 2}, {0, 0, 0, 0}, {1, 1}, 1},
    {9, 14, 16, 16, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}, 1},
    {7, 7, 20, 50, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}, 1},
    {15, 17, 3, 10, 7, 7, {2, 2}, {3, 3, 3, 3}, {1, 1}, 1},
    {9, 9, 3, 64, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}, 1},
    {6, 6, 33, 1, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}, 1},
    {11, 9, 1, 1, 5, 5, {1, 1}, {2, 2, 2, 2}, {1, 1}, 1},
    {1, 1, 8, 6, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}, 1},
    {2, 2, 5, 17, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}, 1},
    {2, 3, 2, 3, 5, 5, {1, 1}, {2, 2, 2, 2}, {1, 1}, 1},
    {1, 1, 6, 3, 1, 1, {1, 1}, {0, 0, 0, 0}, {1, 1}, 1},
    {7, 7, 24, 40, 1, 1, {1, 1}, {0, 0, 0, 0}, {1, 1}, 1},
    {5, 31, 12, 7, 1, 1, {1, 1}, {0, 0, 0, 0}, {1, 1}, 1},
    {8, 7, 6, 9, 1, 1, {2, 2}, {0, 0, 0, 0}, {1, 1}, 1},
    {4, 4, 3, 5, 1, 1, {1, 1}, {1, 1, 1, 1}, {1, 1}, 1},
    {9, 12, 4, 6, 3, 2, {2, 3}, {0, 1, 2, 0}, {1, 1}, 1},
    {10, 8, 5, 4, 2, 3, {3, 1}, {1, 0, 0, 2}, {1, 1}, 1},
    {12, 11, 4, 6, 3, 3, {1, 1}, {2, 2, 2, 2}, {2, 2}, 1},
    {13, 12, 2, 5, 3, 3, {2, 2}, {3, 2, 2, 3}, {3, 2}, 1},
    {14, 33, 3, 4, 3, 3, {1, 1}, {4, 4, 12, 12}, {4, 12}, 1},
    {11, 10, 3, 4, 3, 3, {2, 2}, {2, 2, 2, 2}, {2, 2}, 1},
    {3, 3, 4, 4, 5, 5, {1, 1}, {4, 4, 4, 4}, {1, 1}, 1},
    {5, 5, 2, 2, 2, 2, {4, 4}, {0, 0, 0, 0}, {1, 1}, 1},
    {6, 6, 8, 12, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}, 2},
    {6, 7, 32, 64, 3, 3, {2, 1}, {1, 1, 1, 1}, {1, 1}, 4},
    {5, 5, 6, 12, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}, 6},
    {7, 9, 20, 20, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}, 20},
    {8, 8, 70, 70, 5, 3, {2, 2}, {2, 1, 1, 0}, {1, 2}, 70},
    {1, 20, 3, 19, 1, 4, {1, 1}, {0, 0, 3, 0}, {1, 1}, 1},
    {20, 1, 7, 8, 4, 1, {1, 1}, {3, 0, 0, 0}, {1, 1}, 1},
    {4, 5, 130, 100, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}, 1},
    {3, 2, 200, 300, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}, 1},
    {1, 1, 512, 96, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}, 1},
    {16, 16, 7, 256, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}, 1},
    {12, 13, 12, 528, 1, 1, {1, 1}, {0, 0, 0, 0}, {1, 1}, 1},
    {12, 12, 8, 256, 3, 3, {2, 2}, {1, 1, 1, 1}, {1, 1}, 2},
    {4, 4, 5, 512, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}, 1},
    {16, 21, 3, 20, 4, 4, {4, 4}, {0, 0, 0, 0}, {1, 1}, 1},
    {18, 17, 6, 8, 5, 3, {4, 5}, {2, 1, 0, 2}, {2, 1}, 2},
    {19, 16, 12, 12, 3, 3, {4, 4}, {1, 1, 1, 1}, {1, 1}, 12},
    {32, 32, 2, 5, 16, 16, {16, 16}, {0, 0, 0, 0}, {1, 1}, 1},
    {3, 150, 2, 3, 2, 41, {1, 1}, {0, 1, 60, 45}, {1, 2}, 1},
    {2, 900, 4, 3, 1, 170, {1, 1}, {0, 0, 150, 169}, {1, 1}, 1},
    {40, 40, 3, 4, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}, 1},
    {2, 2, 40, 48, 3, 3, {2, 2}, {1, 1, 1, 1}, {1, 1}, 1},
    {1, 1, 16, 16, 1, 1, {3, 3}, {1, 1, 1, 1}, {1, 1}, 1},
    /* from here on by Winograd's F(2x2, 3x3), where every processor agrees */
    {10, 12, 64, 64, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}, 1},
    {11, 9, 33, 80, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}, 1},
    {12, 15, 48, 41, 3, 3, {1, 1}, {0, 0, 0, 0}, {1, 1}, 1},
    {13, 8, 70, 130, 3, 3, {1, 1}, {2, 2, 2, 2}, {1, 1}, 1},
    {9, 17, 100, 34, 3, 3, {1, 1}, {2, 0, 1, 3}, {1, 1}, 1},
};
enum { NSHAPES = sizeof shapes / sizeof *shapes, FIRST_WINOGRAD = NSHAPES - 5 };

/* ---- memory with guard pages ---- */

typedef struct {
  char *map;
  size_t bytes;
} Guarded;

static void *guarded(Guarded *g, size_t bytes, bool at_end) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE), inside = (bytes + page - 1) / page * page;
  g->bytes = inside + 2 * page;
  g->map = mmap(NULL, g->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  assert_true(g->map != MAP_FAILED);
  assert_int_equal(mprotect(g->map, page, PROT_NONE), 0);
  assert_int_equal(mprotect(g->map + page + inside, page, PROT_NONE), 0);
  return g->map + page + (at_end ? inside - bytes : 0);
}

/* ---- the plain loops ---- */

typedef struct {
  Shape s;
  int64_t oh, ow, n;
  double *x, *w, *y, *bias;
} Problem;

static int64_t out_extent(const Shape *s, int axis) {
  int64_t in = axis ? s->iw : s->ih, k = axis ? s->kw : s->kh;
  return (in + s->pad[2 * axis] + s->pad[2 * axis + 1] - s->dilation[axis] * (k - 1) - 1) /
             s->stride[axis] +
         1;
}

static int64_t size_x(const Problem *p) { return p->n * p->s.ih * p->s.iw * p->s.ic; }
static int64_t size_w(const Problem *p) {
  return p->s.kh * p->s.kw * (p->s.ic / p->s.groups) * p->s.oc;
}
static int64_t size_y(const Problem *p) { return p->n * p->oh * p->ow * p->s.oc; }

/* One term: where dx, dw or dy is NULL the other two are multiplied into it. */
static void plain_tap(const Problem *p, const int64_t *at, const int64_t *tap, double *x, double *w,
                      double *y) {
  const Shape *s = &p->s;
  int64_t h = at[1] * s->stride[0] + tap[0] * s->dilation[0] - s->pad[0];
  int64_t v = at[2] * s->stride[1] + tap[1] * s->dilation[1] - s->pad[2];
  if (h < 0 || h >= s->ih || v < 0 || v >= s->iw) return;
  int64_t icg = s->ic / s->groups, ocg = s->oc / s->groups;
  for (int64_t o = 0; o < s->oc; o++) {
    for (int64_t i = 0; i < icg; i++) {
      int64_t ix = ((at[0] * s->ih + h) * s->iw + v) * s->ic + o / ocg * icg + i;
      int64_t iy = ((at[0] * p->oh + at[1]) * p->ow + at[2]) * s->oc + o;
      int64_t iw = ((tap[0] * s->kw + tap[1]) * icg + i) * s->oc + o;
      if (x) x[ix] += p->w[iw] * p->y[iy];
      if (w) w[iw] += p->x[ix] * p->y[iy];
      if (y) y[iy] += p->x[ix] * p->w[iw];
    }
  }
}

static void plain(const Problem *p, double *x, double *w, double *y) {
  int64_t at[3], tap[2];
  for (at[0] = 0; at[0] < p->n; at[0]++)
    for (at[1] = 0; at[1] < p->oh; at[1]++)
      for (at[2] = 0; at[2] < p->ow; at[2]++)
        for (tap[0] = 0; tap[0] < p->s.kh; tap[0]++)
          for (tap[1] = 0; tap[1] < p->s.kw; tap[1]++) plain_tap(p, at, tap, x, w, y);
}

/* ---- one emitted case ---- */

typedef enum { NO_EPILOGUE, SHORT, LONG, SUMS, EPILOGUES } Epilogue;

typedef struct {
  Cg *cg;
  Harness *h;
  const Shape *shape;
  int real_bytes;
  KernelList list[3][EPILOGUES]; /* by direction */
} Compiled;

static BodyValue load_of(int slot, int64_t last) {
  return (BodyValue){.kind = BODY_LOAD,
                     .view = {.slot = slot, .elem = MEM_REAL, .stride = {0, 0, 0, last}}};
}

static BodyValue op_of(const Node *node, int a, int b) {
  return (BodyValue){.kind = BODY_OP, .node = node, .arg = {a, b}};
}

/* Behind the image of the largest batch: the sum of what is stored, mean square deviation and sum
 * of the result. */
enum { NSUMS = 3 };
static const BodyReduce *sums(Arena *a, int64_t h, int64_t w, int64_t c) {
  static const ReduceKind kind[] = {REDUCE_SUM, REDUCE_VAR, REDUCE_WIDE};
  BodyReduce *r = ARENA_ARRAY(a, BodyReduce, NSUMS);
  for (int i = 0; i < NSUMS; i++) {
    View to = {
        .slot = SLOT_OUT, .offset = 2 + MAX_BATCH * h * w * c + i * c, .stride = {0, 0, 0, 1}};
    r[i] = (BodyReduce){kind[i], i ? 0 : 5, to};
  }
  return r;
}

/* y = relu(result + bias[channel]), long: y + y + bias; stored two elements into SLOT_OUT. */
static PointwiseSpec *bias_relu(Arena *a, int64_t h, int64_t w, int64_t c, Epilogue e) {
  bool is_long = e >= LONG;
  Node *node = ARENA_ARRAY(a, Node, 2);
  BodyValue *v = ARENA_ARRAY(a, BodyValue, 6);
  BodyStore *store = ARENA_NEW(a, BodyStore);
  PointwiseSpec *spec = ARENA_NEW(a, PointwiseSpec);
  node[0].op = OP_add;
  node[1].op = OP_relu;
  v[0].kind = BODY_RESULT;
  v[1] = load_of(SLOT_BIAS, 1);
  v[2] = op_of(&node[0], 0, 1);
  v[3] = op_of(&node[1], 2, 0);
  v[4] = op_of(&node[0], 3, 3);
  v[5] = op_of(&node[0], 4, 1);
  View out = {.slot = SLOT_OUT, .elem = MEM_REAL, .offset = 2, .stride = {h * w * c, w * c, c, 1}};
  *store = (BodyStore){is_long ? 5 : 3, out};
  *spec = (PointwiseSpec){.rank = 4,
                          .extent = {{1, 0}, {0, h}, {0, w}, {0, c}},
                          .nvalues = is_long ? 6 : 4,
                          .nstores = 1,
                          .value = v,
                          .store = store,
                          .nreduces = e == SUMS ? NSUMS : 0,
                          .reduce = sums(a, h, w, c),
                          .reduced = {true, true, true, false},
                          .scratch = SLOT_SCRATCH};
  return spec;
}

static ConvSpec spec_of(const Shape *s, ConvDirection direction) {
  return (ConvSpec){.direction = direction,
                    .ih = s->ih,
                    .iw = s->iw,
                    .ic = s->ic,
                    .oh = out_extent(s, 0),
                    .ow = out_extent(s, 1),
                    .oc = s->oc,
                    .kh = s->kh,
                    .kw = s->kw,
                    .stride = {s->stride[0], s->stride[1]},
                    .dilation = {s->dilation[0], s->dilation[1]},
                    .pad = {s->pad[0], s->pad[1], s->pad[2], s->pad[3]},
                    .groups = s->groups,
                    .x = SLOT_X,
                    .weight = SLOT_W,
                    .y = SLOT_Y,
                    .x_offset = 3,
                    .weight_offset = 1,
                    .y_offset = 2,
                    .scratch = SLOT_SCRATCH};
}

static void compile(Compiled *c, const Shape *shape, const char *cpu, int real_bytes) {
  *c = (Compiled){
      .cg = harness_cg(cpu, real_bytes, MAX_BATCH), .shape = shape, .real_bytes = real_bytes};
  for (int d = 0; d < 3; d++) {
    ConvSpec spec = spec_of(shape, (ConvDirection)d);
    c->list[d][0] = kernel_conv(c->cg, &spec);
    for (Epilogue e = SHORT; e < EPILOGUES && d != CONV_WEIGHT; e++) {
      Arena *a = c->cg->arena;
      spec.epilogue = d == CONV_FORWARD ? bias_relu(a, spec.oh, spec.ow, spec.oc, e)
                                        : bias_relu(a, spec.ih, spec.iw, spec.ic, e);
      c->list[d][e] = kernel_conv(c->cg, &spec);
    }
  }
  c->h = harness_new(c->cg);
}

static double get(const void *p, int real_bytes, int64_t i) {
  return real_bytes == 4 ? (double)((const float *)p)[i] : ((const double *)p)[i];
}

static void put(void *p, int real_bytes, int64_t i, double v) {
  if (real_bytes == 4)
    ((float *)p)[i] = (float)v;
  else
    ((double *)p)[i] = v;
}

/* A buffer with `skip` elements before the `count` that are copied from `from`, or filled with
 * rubbish. */
static void *fill(Guarded *g, const Compiled *c, int64_t skip, int64_t count, const double *from,
                  bool at_end) {
  char *buffer = guarded(g, (size_t)((skip + count) * c->real_bytes), at_end);
  for (int64_t i = 0; i < skip; i++) put(buffer, c->real_bytes, i, 7e7);
  for (int64_t i = 0; i < count; i++) put(buffer, c->real_bytes, skip + i, from ? from[i] : 7e7);
  return buffer;
}

static const char *const direction_name[] = {"forward", "input", "weight"};

static void compare(const Compiled *c, int d, int64_t n, const double *want, const double *got,
                    int64_t count, double tolerance) {
  double scale = 0;
  for (int64_t i = 0; i < count; i++) scale = scale < fabs(want[i]) ? fabs(want[i]) : scale;
  for (int64_t i = 0; i < count; i++) {
    if (fabs(got[i] - want[i]) <= tolerance * scale) continue; /* written so that NaN fails */
    fail_msg("shape %d, %s, f%d, n = %d: element %d is %g, not %g", (int)(c->shape - shapes),
             direction_name[d], 8 * c->real_bytes, (int)n, (int)i, got[i], want[i]);
  }
}

static int64_t size_result(const Problem *p, int d) {
  return d == CONV_FORWARD ? size_y(p) : d == CONV_INPUT ? size_x(p) : size_w(p);
}

static int64_t channels_of(const Problem *p, int d) {
  return d == CONV_FORWARD ? p->s.oc : p->s.ic;
}

/* Runs one kernel and hands back what it stored. Nothing before that may change. */
static void run_kernel(const Compiled *c, const Problem *p, int d, Epilogue epilogue, unsigned seed,
                       double *out) {
  Guarded map[NBUFFERS];
  bool end = seed & 1;
  const KernelList *list = &c->list[d][epilogue];
  int64_t result = size_result(p, d), room = result, all = result / p->n * MAX_BATCH;
  int64_t nsums = epilogue == SUMS ? NSUMS * channels_of(p, d) : 0;
  if (nsums) room = all + nsums;
  void *buffers[NBUFFERS] = {fill(&map[0], c, 3, size_x(p), d == CONV_INPUT ? NULL : p->x, end),
                             fill(&map[1], c, 1, size_w(p), d == CONV_WEIGHT ? NULL : p->w, end),
                             fill(&map[2], c, 2, size_y(p), d == CONV_FORWARD ? NULL : p->y, end),
                             guarded(&map[3], (size_t)list->scratch_bytes, end),
                             fill(&map[4], c, 0, channels_of(p, d), p->bias, end),
                             fill(&map[5], c, 2, room, NULL, end)};
  static const int slot[] = {SLOT_Y, SLOT_X, SLOT_W}, before[] = {2, 3, 1};
  const void *stored = buffers[epilogue ? SLOT_OUT : slot[d]];
  int skip = epilogue ? 2 : before[d];
  memset(buffers[SLOT_SCRATCH], 0xff, (size_t)list->scratch_bytes); /* NaN */
  harness_run(c->h, list, buffers, p->n, seed);
  for (int64_t i = 0; i < skip; i++) assert_true(get(stored, c->real_bytes, i) == 7e7);
  for (int64_t i = 0; i < result; i++) out[i] = get(stored, c->real_bytes, skip + i);
  for (int64_t i = 0; i < nsums; i++) out[result + i] = get(stored, c->real_bytes, skip + all + i);
  for (int i = 0; i < NBUFFERS; i++) munmap(map[i].map, map[i].bytes);
}

/* From the result to the short epilogue's (step 1), from there to the long one's (step 2). */
static void with_epilogue(double *v, int64_t count, const double *bias, int64_t channels,
                          int step) {
  for (int64_t i = 0; i < count; i++) {
    if (step == 2) v[i] += v[i];
    v[i] += bias[i % channels];
    if (step == 1 && v[i] < 0) v[i] = 0;
  }
}

/* As the kernel orders them, of results `v` and of what is `stored`. */
static void plain_sums(const double *v, const double *stored, int64_t count, int64_t channels,
                       double *out) {
  double terms = (double)(count / channels);
  memset(out, 0, sizeof *out * (size_t)(NSUMS * channels));
  for (int64_t i = 0; i < count; i++) {
    out[i % channels] += stored[i];
    out[2 * channels + i % channels] += v[i];
  }
  for (int64_t i = 0; i < count; i++) {
    double d = v[i] - out[2 * channels + i % channels] / terms;
    out[channels + i % channels] += d * d / terms;
  }
}

static double random_number(unsigned *seed, bool whole) {
  int r = rand_r(seed) % 2048;
  return whole ? r % 7 - 3 : r / 1024.0 - 1;
}

static void random_fill(double *v, int64_t count, unsigned *seed, bool whole) {
  for (int64_t i = 0; i < count; i++) v[i] = random_number(seed, whole);
}

static Problem random_problem(Arena *a, const Compiled *c, int64_t n, bool whole, unsigned seed) {
  const Shape *s = c->shape;
  Problem p = {.s = *s, .oh = out_extent(s, 0), .ow = out_extent(s, 1), .n = n};
  int64_t most = s->ic > s->oc ? s->ic : s->oc;
  p.y = ARENA_ARRAY(a, double, size_y(&p));
  p.x = ARENA_ARRAY(a, double, size_x(&p));
  p.w = ARENA_ARRAY(a, double, size_w(&p));
  p.bias = ARENA_ARRAY(a, double, most);
  random_fill(p.y, size_y(&p), &seed, whole);
  random_fill(p.x, size_x(&p), &seed, whole);
  random_fill(p.w, size_w(&p), &seed, whole);
  random_fill(p.bias, most, &seed, whole);
  return p;
}

/* Whole numbers must come out exactly. Others to an error that grows with the number of terms. */
static void check_batch(const Compiled *c, int64_t n, bool whole, unsigned seed) {
  Arena *a = arena_new();
  Problem p = random_problem(a, c, n, whole, seed);
  double *want[3], tolerance = whole ? 0 : c->real_bytes == 4 ? 1e-5 : 1e-13;
  for (int d = 0; d < 3; d++) want[d] = ARENA_ARRAY(a, double, size_result(&p, d));
  plain(&p, want[CONV_INPUT], want[CONV_WEIGHT], want[CONV_FORWARD]);
  for (int d = 0; d < 3; d++) {
    int64_t count = size_result(&p, d), channels = channels_of(&p, d);
    double *got = ARENA_ARRAY(a, double, count + NSUMS * channels);
    double *sum = ARENA_ARRAY(a, double, NSUMS *channels), *result = ARENA_ARRAY(a, double, count);
    memcpy(result, want[d], sizeof *result * (size_t)count);
    for (Epilogue e = NO_EPILOGUE; e < (d == CONV_WEIGHT ? SHORT : EPILOGUES); e++) {
      if (e == SHORT || e == LONG) with_epilogue(want[d], count, p.bias, channels, e);
      run_kernel(c, &p, d, e, seed + (unsigned)d, got);
      compare(c, d, n, want[d], got, count, tolerance);
    }
    if (d == CONV_WEIGHT) continue;
    plain_sums(result, want[d], count, channels, sum);
    for (int i = 0; i < NSUMS; i++)
      compare(c, d, n, sum + i * channels, got + count + i * channels, channels,
              c->real_bytes == 4 ? 1e-5 : 1e-12);
  }
  arena_free(a);
}

/* Units in one piece, and dealt out in several ways: the same bits. */
static void check_bits(const Compiled *c, int d, Epilogue e) {
  Arena *a = arena_new();
  Problem p = random_problem(a, c, MAX_BATCH, false, 77);
  int64_t count = size_result(&p, d) + (e == SUMS ? NSUMS * channels_of(&p, d) : 0);
  double *one = ARENA_ARRAY(a, double, count), *other = ARENA_ARRAY(a, double, count);
  run_kernel(c, &p, d, e, 0, one);
  for (unsigned seed = 1; seed < 8; seed++) {
    run_kernel(c, &p, d, e, seed, other);
    assert_memory_equal(one, other, sizeof(double) * (size_t)count);
  }
  arena_free(a);
}

static void check_shape(const Shape *shape, const char *cpu, int real_bytes) {
  Compiled c;
  compile(&c, shape, cpu, real_bytes);
  check_batch(&c, 1, true, 1);
  check_batch(&c, 3, true, 8);
  check_batch(&c, MAX_BATCH, true, 5);
  check_batch(&c, 2, false, 4);
  harness_free(c.h);
  harness_cg_free(c.cg);
}

static void check_cpu(const char *cpu, int real_bytes, int step) {
  for (int i = 0; i < NSHAPES; i += step) check_shape(&shapes[i], cpu, real_bytes);
}

static void test_native_f32(void **state) {
  (void)state;
  check_cpu("native", 4, 1);
}

static void test_native_f64(void **state) {
  (void)state;
  check_cpu("native", 8, 1);
}

static void test_haswell_f32(void **state) {
  (void)state;
  check_cpu("haswell", 4, 1);
}

static void test_haswell_f64(void **state) {
  (void)state;
  check_cpu("haswell", 8, 3);
}

static void test_baseline_f32(void **state) {
  (void)state;
  check_cpu("x86-64", 4, 1);
}

static void test_baseline_f64(void **state) {
  (void)state;
  check_cpu("x86-64", 8, 3);
}

static void test_pieces(void **state) {
  (void)state;
  for (int i = 0; i < NSHAPES; i += 2) {
    Compiled c;
    compile(&c, &shapes[i], "native", 4);
    for (int d = 0; d < 3; d++) check_bits(&c, d, NO_EPILOGUE);
    for (int d = 0; d < CONV_WEIGHT; d++) check_bits(&c, d, SUMS);
    harness_free(c.h);
    harness_cg_free(c.cg);
  }
}

/* What F(2x2, 3x3) is for, at every level but -O0; one step away from it, the direct kernel. */
static void test_choice(void **state) {
  (void)state;
  static const Shape like = {28, 28, 64, 64, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}, 1};
  Shape other[] = {like, like, like, like, like, like, like, like};
  other[0].stride[0] = 2;
  other[1].stride[1] = 2;
  other[2].dilation[1] = 2;
  other[3].groups = 2;
  other[4].kh = 1;
  other[5].kw = 5;
  other[6].ic = other[6].oc = 4;
  other[7].ih = other[7].iw = 2;
  for (int level = 0; level <= 3; level++) {
    Cg *cg = harness_cg_at("native", 4, MAX_BATCH, level);
    for (int d = 0; d < 3; d++) {
      bool wanted = level && d != CONV_WEIGHT;
      ConvSpec spec = spec_of(&like, (ConvDirection)d);
      assert_int_equal(kernel_conv_direct(cg, &spec) == NULL, wanted);
      for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        spec = spec_of(&other[i], (ConvDirection)d);
        assert_non_null(kernel_conv_direct(cg, &spec));
      }
    }
    harness_cg_free(cg);
  }
}

static void test_choice_of_shapes(void **state) {
  (void)state;
  static const char *const cpu[] = {"native", "haswell", "x86-64"};
  for (int i = 0; i < 6; i++) {
    Cg *cg = harness_cg(cpu[i / 2], i % 2 ? 8 : 4, MAX_BATCH);
    for (int k = FIRST_WINOGRAD; k < NSHAPES; k++) {
      ConvSpec spec = spec_of(&shapes[k], (ConvDirection)(k % 2));
      assert_null(kernel_conv_direct(cg, &spec));
    }
    harness_cg_free(cg);
  }
}

/* Depthwise layers have few weights, however many channels: units are rows of an image with all of
 * them, not tiles of channels. */
static void test_units_of_depthwise(void **state) {
  (void)state;
  Cg *cg = harness_cg("native", 4, MAX_BATCH);
  static const int64_t channels[] = {64, 128, 256, 1024};
  for (int i = 0; i < 4; i++) {
    int64_t c = channels[i];
    Shape shape = {14, 14, c, c, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}, c};
    ConvSpec spec = spec_of(&shape, CONV_FORWARD);
    KernelList list = kernel_conv(cg, &spec);
    assert_int_equal(list.count, 1);
    assert_in_range(list.stage[0].parts, 1, shape.ih);
  }
  harness_cg_free(cg);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_native_f32),       cmocka_unit_test(test_native_f64),
      cmocka_unit_test(test_haswell_f32),      cmocka_unit_test(test_haswell_f64),
      cmocka_unit_test(test_baseline_f32),     cmocka_unit_test(test_baseline_f64),
      cmocka_unit_test(test_pieces),           cmocka_unit_test(test_choice),
      cmocka_unit_test(test_choice_of_shapes), cmocka_unit_test(test_units_of_depthwise),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
