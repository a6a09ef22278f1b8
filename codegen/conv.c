/* kernel_conv: from a specification to grids (forward, backward-data), to winograd.c, or to
 * conv_weight.c. */
#include "codegen/conv.h"
#include "codegen/spec.h"
#include "codegen/winograd.h"

enum { MOST_GRIDS = 9 };

static int64_t gcd(int64_t a, int64_t b) {
  while (b) {
    int64_t r = a % b;
    a = b;
    b = r;
  }
  return a;
}

bool conv_is_depthwise(const ConvSpec *s) {
  return s->groups > 1 && s->ic == s->groups && s->oc == s->groups;
}

/* ---- forward ---- */

static ConvGrid forward_grid(const ConvSpec *s) {
  return (ConvGrid){.gh = s->oh,
                    .gw = s->ow,
                    .osh = 1,
                    .osw = 1,
                    .taps_h = s->kh,
                    .taps_w = s->kw,
                    .sh = s->stride[0],
                    .sw = s->stride[1],
                    .dh = s->dilation[0],
                    .dw = s->dilation[1],
                    .h0 = -s->pad[0],
                    .w0 = -s->pad[2],
                    .tap_h = s->kw,
                    .tap_w = 1};
}

/* A 1x1 convolution treats every pixel alike: rows shorter than a few tiles are joined. */
static void fold_rows(ConvPlan *p) {
  const ConvSpec *s = p->spec;
  bool plain = s->kh == 1 && s->kw == 1 && s->stride[0] == 1 && s->stride[1] == 1 &&
               s->oh == s->ih && s->ow == s->iw && s->pad[0] == 0 && s->pad[2] == 0;
  if (!plain) return;
  int64_t join = 1;
  while (join < s->oh && (join * s->ow < 24 || s->oh % join)) join++;
  p->folded = s->ow;
  p->grid[0].gh = p->ah = p->ch = s->oh / join;
  p->grid[0].gw = p->aw = p->cw = s->ow * join;
}

/* Weights of one tap. */
static int64_t tap_weights(const ConvPlan *p) { return (p->depthwise ? 1 : p->ak) * p->cc; }

/* Rows of a unit: enough work for a thread to be worth waking, some ten microseconds. */
static int64_t rows_of_unit(const ConvPlan *p) {
  const ConvGrid *g = &p->grid[0];
  int64_t row =
      p->ngrids * g->gw * g->taps_h * g->taps_w * tap_weights(p) * (p->side ? p->side : 1);
  int64_t rows = row > 0 ? 2000000 / row : g->gh, most = g->gh;
  for (int i = 1; i < p->ngrids; i++) most = conv_max_int(most, p->grid[i].gh);
  if (p->depthwise) rows = (32 << 10) / (g->gw * p->cc * p->cg->real_bytes);
  if (rows < 1) rows = 1;
  if (rows * 2 > most) return most;
  int64_t blocks = (most + rows - 1) / rows;
  return (most + blocks - 1) / blocks;
}

static int64_t weight_bytes(const ConvPlan *p, int64_t taps) {
  return taps * tap_weights(p) * p->cg->real_bytes;
}

int64_t conv_packed_taps(const ConvPlan *p) {
  return (p->reach[0].end - p->reach[0].first) * (p->reach[1].end - p->reach[1].first);
}

int64_t conv_packed_bytes(const ConvPlan *p) {
  return p->packed ? weight_bytes(p, conv_packed_taps(p)) : 0;
}

/* Everything that follows from roles and grids: tiles, units, loop order. */
static void plan_tiles(ConvPlan *p) {
  const ConvGrid *g = &p->grid[0];
  int64_t batch = p->cg->max_batch;
  int mr;
  fold_rows(p);
  bool few = p->sparse || (g->gw < 6 && batch >= 4 && !p->depthwise);
  int64_t step = (few ? p->ah * p->aw : g->sw) * p->ac * p->cg->real_bytes;
  p->most = step % 1024 && !p->depthwise ? 14 : CONV_FAR_ROWS;
  conv_choose_tile(p->cg, few ? batch : g->gw, conv_vectors(p->cg, p->ck), p->most, &mr, &p->nr);
  if (p->depthwise && p->nr > 2)
    p->nr = 2; /* its two loads a multiply-add leave no room for more */
  p->side = few ? (int)conv_min_int(mr, batch) : 0;
  for (int i = 0; i < p->ngrids && !p->side; i++) {
    if (!conv_cut_row(p, &p->grid[i])) p->side = 1;
  }
  p->channels = conv_channels(p->cg, p->ck, p->nr);
  p->rows = rows_of_unit(p);
  p->outside =
      weight_bytes(p, p->spec->kh * p->spec->kw) > (512 << 10); /* read once for all units */
}

/* Rows of weights a multiple of 1 KiB apart fall into a fraction of the caches' sets: with enough
 * pixels to pay for it, they are packed. */
static bool worth_packing(const ConvPlan *p) {
  int64_t pixels = p->cg->max_batch * p->grid[0].gh * p->grid[0].gw,
          row = p->cc * p->cg->real_bytes;
  return !p->depthwise && row >= 1024 && row % 512 == 0 && pixels >= 512 &&
         p->channels.run[0].width < p->cc;
}

/* Behind the packed weights. */
static Partials plan_partials(const ConvPlan *p) {
  return (Partials){.units = {1, 0},
                    .per = p->side,
                    .parts = conv_blocks(p),
                    .kept = p->cc,
                    .offset = conv_ceil_div(conv_packed_bytes(p), 64) * 8};
}

static KernelList run_plan(ConvPlan *p) {
  KernelList list = {0};
  const PointwiseSpec *e = p->spec->epilogue;
  if (p->packed) {
    p->b = p->spec->scratch;
    p->b_offset = 0;
    list.scratch_bytes = conv_packed_bytes(p);
    list.stage[list.count++] = conv_pack(p);
  }
  if (e && e->nreduces) {
    p->partials = plan_partials(p);
    list.scratch_bytes = reduce_partial_bytes(p->cg, e, &p->partials);
  }
  list.stage[list.count++] = conv_grids(p);
  if (e && e->nreduces) list.stage[list.count++] = reduce_combine(p->cg, e, &p->partials);
  return list;
}

static ConvPlan forward_roles(Cg *cg, const ConvSpec *s) {
  bool depthwise = conv_is_depthwise(s);
  int64_t groups = depthwise ? 1 : s->groups;
  return (ConvPlan){.cg = cg,
                    .spec = s,
                    .ah = s->ih,
                    .aw = s->iw,
                    .ac = s->ic,
                    .ak = s->ic / groups,
                    .ch = s->oh,
                    .cw = s->ow,
                    .cc = s->oc,
                    .ck = s->oc / groups,
                    .groups = groups,
                    .depthwise = depthwise,
                    .reach = {{0, s->kh}, {0, s->kw}},
                    .a = s->x,
                    .b = s->weight,
                    .c = s->y,
                    .a_offset = s->x_offset,
                    .b_offset = s->weight_offset,
                    .c_offset = s->y_offset};
}

static KernelList conv_forward(Cg *cg, const ConvSpec *s) {
  ConvGrid grid = forward_grid(s);
  ConvPlan p = forward_roles(cg, s);
  p.ngrids = 1;
  p.grid = &grid;
  plan_tiles(&p);
  p.packed = worth_packing(&p);
  return run_plan(&p);
}

/* ---- backward-data ---- */

/* One axis of a grid. Pixel i of dx is a + s * i; tap k reaches it from pixel (a + pad - k d) / s +
 * i of dy, where that is whole: k = k0, k0 + step, ...; p counts them downwards so that the pixels
 * of dy go up. */
typedef struct {
  int64_t count, taps, first, step, origin, distance;
} Axis;

static Axis input_axis(int64_t a, int64_t extent, int64_t k, int64_t stride, int64_t dilation,
                       int64_t pad) {
  int64_t common = gcd(stride, dilation), last = -1;
  Axis x = {.count = extent > a ? (extent - a + stride - 1) / stride : 0,
            .step = stride / common,
            .distance = dilation / common};
  for (int64_t i = 0; i < k; i++) {
    if ((a + pad - i * dilation) % stride) continue;
    last = i;
    x.taps++;
  }
  x.first = last;
  if (last >= 0) x.origin = (a + pad - last * dilation) / stride;
  return x;
}

/* Tap `first - p * step` is as far from the last one in reach in the packed weights; depthwise ones
 * are read where they are. */
static ConvGrid input_grid(const ConvPlan *p, int64_t a, int64_t b) {
  const ConvSpec *s = p->spec;
  Axis h = input_axis(a, s->ih, s->kh, s->stride[0], s->dilation[0], s->pad[0]);
  Axis w = input_axis(b, s->iw, s->kw, s->stride[1], s->dilation[1], s->pad[2]);
  const ConvReach *reach = p->reach;
  int64_t sign = p->packed ? 1 : -1, columns = p->packed ? reach[1].end - reach[1].first : s->kw;
  int64_t h_at = p->packed ? reach[0].end - 1 - h.first : h.first,
          w_at = p->packed ? reach[1].end - 1 - w.first : w.first;
  return (ConvGrid){.gh = h.count,
                    .gw = w.count,
                    .oh0 = a,
                    .osh = s->stride[0],
                    .ow0 = b,
                    .osw = s->stride[1],
                    .taps_h = w.taps ? h.taps : 0,
                    .taps_w = w.taps,
                    .sh = 1,
                    .sw = 1,
                    .dh = h.distance,
                    .dw = w.distance,
                    .h0 = h.origin,
                    .w0 = w.origin,
                    .tap = h_at * columns + w_at,
                    .tap_h = sign * h.step * columns,
                    .tap_w = sign * w.step};
}

/* Every grid is code of its own. With many, and few taps in each, one kernel tries all taps. */
static void make_input_grids(ConvPlan *p) {
  const ConvSpec *s = p->spec;
  p->sparse = s->stride[0] > MOST_GRIDS || s->stride[1] > MOST_GRIDS ||
              s->stride[0] * s->stride[1] > MOST_GRIDS;
  p->grid = ARENA_ARRAY(p->cg->arena, ConvGrid, MOST_GRIDS);
  if (p->sparse) {
    p->grid[p->ngrids++] = (ConvGrid){.gh = s->ih,
                                      .gw = s->iw,
                                      .osh = 1,
                                      .osw = 1,
                                      .taps_h = s->kh,
                                      .taps_w = s->kw,
                                      .sh = 1,
                                      .sw = 1,
                                      .dh = 1,
                                      .dw = 1};
    return;
  }
  for (int64_t a = 0; a < s->stride[0] && a < s->ih; a++) {
    for (int64_t b = 0; b < s->stride[1] && b < s->iw; b++)
      p->grid[p->ngrids++] = input_grid(p, a, b);
  }
}

/* On small images most taps fall on padding only: those of a 3x3 kernel on one pixel, but for the
 * middle one. */
static ConvReach taps_reached(const ConvSpec *s, int axis) {
  int64_t in = axis ? s->iw : s->ih, out = axis ? s->ow : s->oh, taps = axis ? s->kw : s->kh;
  ConvReach r = {0, 0};
  for (int64_t k = 0; k < taps; k++) { /* pixels o with 0 <= o stride + at < in */
    int64_t at = k * s->dilation[axis] - s->pad[2 * axis], stride = s->stride[axis];
    if (conv_ceil_div(-at, stride) >= conv_min_int(out, conv_ceil_div(in - at, stride))) continue;
    if (!r.end) r.first = k;
    r.end = k + 1;
  }
  if (!r.end) r.end = 1; /* never empty */
  return r;
}

static ConvPlan input_roles(Cg *cg, const ConvSpec *s) {
  bool depthwise = conv_is_depthwise(s);
  int64_t groups = depthwise ? 1 : s->groups;
  return (ConvPlan){.cg = cg,
                    .spec = s,
                    .ah = s->oh,
                    .aw = s->ow,
                    .ac = s->oc,
                    .ak = s->oc / groups,
                    .ch = s->ih,
                    .cw = s->iw,
                    .cc = s->ic,
                    .ck = s->ic / groups,
                    .groups = groups,
                    .depthwise = depthwise,
                    .packed = !depthwise,
                    .reach = {taps_reached(s, 0), taps_reached(s, 1)},
                    .a = s->y,
                    .b = s->weight,
                    .c = s->x,
                    .a_offset = s->y_offset,
                    .b_offset = s->weight_offset,
                    .c_offset = s->x_offset};
}

static KernelList conv_input(Cg *cg, const ConvSpec *s) {
  ConvPlan p = input_roles(cg, s);
  make_input_grids(&p);
  plan_tiles(&p);
  return run_plan(&p);
}

/* ---- both, and the third ---- */

ConvPlan conv_roles(Cg *cg, const ConvSpec *s) {
  return s->direction == CONV_FORWARD ? forward_roles(cg, s) : input_roles(cg, s);
}

/* Everything that the code depends on. */
static const char *conv_key(Cg *cg, const ConvSpec *s) {
  const int64_t field[] = {s->direction,
                           s->ih,
                           s->iw,
                           s->ic,
                           s->oh,
                           s->ow,
                           s->oc,
                           s->kh,
                           s->kw,
                           s->stride[0],
                           s->stride[1],
                           s->dilation[0],
                           s->dilation[1],
                           s->pad[0],
                           s->pad[1],
                           s->pad[2],
                           s->pad[3],
                           s->groups,
                           s->x,
                           s->weight,
                           s->y,
                           s->x_offset,
                           s->weight_offset,
                           s->y_offset,
                           s->scratch};
  const char *key = "conv";
  for (size_t i = 0; i < sizeof field / sizeof *field; i++) {
    key = arena_printf(cg->arena, "%s %lld", key, (long long)field[i]);
  }
  if (!s->epilogue) return key;
  Str text = str_new(cg->arena);
  str_put(&text, key);
  spec_text(&text, s->epilogue);
  return text.text;
}

KernelList kernel_conv(Cg *cg, const ConvSpec *spec) {
  static KernelList (*const emit[])(Cg *, const ConvSpec *) = {conv_forward, conv_input,
                                                               conv_weight};
  const char *key = conv_key(cg, spec);
  const KernelList *kept = cg_kernel_find(cg, key);
  if (kept) return *kept;
  KernelList *list = ARENA_NEW(cg->arena, KernelList);
  *list = kernel_conv_direct(cg, spec) ? emit[spec->direction](cg, spec) : winograd(cg, spec);
  cg_kernel_keep(cg, key, list);
  return *list;
}
