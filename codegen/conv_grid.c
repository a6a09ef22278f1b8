/* Forward and backward-data: the kernel over one or more grids (conv.h).
 *
 * A unit is a block of rows of one sample, or of a few; of one tile of channels where those are the
 * outer loop, so that threads share the weights. A row is cut into tiles of neighbouring
 * pixels (conv_rows.c), which know what taps q reach them; for p the range is found at run time.
 * Images of few pixels are done the other way ("side"): a tile is one pixel of several samples,
 * which all have the same taps, found at run time; a unit is that many samples. */
#include "codegen/conv_site.h"

enum { FEW_PIXELS = 1024, WEIGHT_STEPS = 8 };

/* ---- the taps of a tile ---- */

/* A loop that carries the tile over taps; none for a single tap that always counts. */
typedef struct {
  bool once;
  CgLoop loop;
  LLVMValueRef index;
} TapLoop;

static TapLoop open_taps(Cg *cg, Micro *m, Range r) {
  TapLoop l = {.once = LLVMIsAConstantInt(r.lo) && LLVMIsAConstantInt(r.hi) &&
                       LLVMConstIntGetSExtValue(r.hi) - LLVMConstIntGetSExtValue(r.lo) == 1,
               .index = r.lo};
  if (l.once) return l;
  l.loop = micro_loop(cg, m, r.lo, r.hi, 1);
  l.index = l.loop.index;
  return l;
}

static void close_taps(Cg *cg, Micro *m, TapLoop *l) {
  if (!l->once) micro_loop_end(cg, m, &l->loop);
}

static int64_t depth(const ConvPlan *p) { return p->depthwise ? 1 : p->ak; }

/* Elements from tap to tap of the weights. */
static int64_t matrix(const Site *s) {
  return depth(s->plan) * (s->plan->packed ? s->columns->width : s->plan->cc);
}

/* The taps of one group and row p: one run over (q, k) where both operands lie in one piece. */
static void run_group(Site *s, Micro *m, const ConvTaps *group, LLVMValueRef a, LLVMValueRef b) {
  Cg *cg = s->cg;
  const ConvPlan *p = s->plan;
  const ConvGrid *g = s->grid;
  int64_t taps = group->end - group->q;
  bool joined = g->dw == 1 && p->ak == p->ac && g->tap_w == 1 && !p->depthwise;
  MicroTap tap = {NULL, NULL, ~group->pixels};
  Range range = {cg_int(cg, group->q), cg_int(cg, joined ? group->q + 1 : group->end)};
  TapLoop l = open_taps(cg, m, range);
  m->a = conv_move(cg, a, l.index, g->dw * p->ac);
  m->b = conv_move(cg, b, l.index, g->tap_w * matrix(s));
  m->k = cg_int(cg, joined ? taps * depth(p) : depth(p));
  m->ntaps = 1;
  m->tap = &tap;
  micro_run(cg, m);
  m->ntaps = 0;
  close_taps(cg, m, &l);
}

/* Whether i + pad - k * dilation is a whole multiple, in *at, of the stride, with *at < extent. */
static LLVMValueRef reaches(Cg *cg, LLVMValueRef i, LLVMValueRef k, int64_t pad, int64_t dilation,
                            int64_t stride, int64_t extent, LLVMValueRef *at) {
  LLVMValueRef t =
      conv_sub(cg, cg_add(cg, i, cg_int(cg, pad)), cg_mul(cg, k, cg_int(cg, dilation)));
  LLVMValueRef rest = LLVMBuildURem(cg->builder, t, cg_int(cg, stride), "");
  *at = LLVMBuildUDiv(cg->builder, t, cg_int(cg, stride), "");
  LLVMValueRef whole = LLVMBuildICmp(cg->builder, LLVMIntEQ, rest, cg_int(cg, 0), "");
  LLVMValueRef inside = LLVMBuildICmp(cg->builder, LLVMIntULT, *at, cg_int(cg, extent), "");
  return LLVMBuildAnd(cg->builder, whole, inside, "");
}

static LLVMValueRef sparse_tap(const ConvPlan *p, LLVMValueRef kh, LLVMValueRef kw) {
  Cg *cg = p->cg;
  int64_t columns = p->reach[1].end - p->reach[1].first;
  if (!p->packed) return cg_add(cg, cg_mul(cg, kh, cg_int(cg, p->spec->kw)), kw);
  kh = conv_sub(cg, cg_int(cg, p->reach[0].end - 1), kh);
  kw = conv_sub(cg, cg_int(cg, p->reach[1].end - 1), kw);
  return cg_add(cg, cg_mul(cg, kh, cg_int(cg, columns)), kw);
}

/* All taps of a pixel of dx are tried; those that reach no pixel of dy have no steps. */
static void run_sparse(Site *s, Micro *m) {
  Cg *cg = s->cg;
  const ConvPlan *p = s->plan;
  const ConvSpec *spec = p->spec;
  const ConvReach *r = p->reach;
  LLVMValueRef first_kw = cg_int(cg, r[1].first), oh, ow;
  CgLoop kh = micro_loop(cg, m, cg_int(cg, r[0].first), cg_int(cg, r[0].end), 1);
  LLVMValueRef some =
      reaches(cg, s->row, kh.index, spec->pad[0], spec->dilation[0], spec->stride[0], p->ah, &oh);
  LLVMValueRef end = LLVMBuildSelect(cg->builder, some, cg_int(cg, r[1].end), first_kw, "");
  CgLoop kw = micro_loop(cg, m, first_kw, end, 1);
  some =
      reaches(cg, s->pixel, kw.index, spec->pad[2], spec->dilation[1], spec->stride[1], p->aw, &ow);
  LLVMValueRef pixel = cg_add(cg, cg_mul(cg, oh, cg_int(cg, p->aw)), ow);
  LLVMValueRef first = p->depthwise ? s->channel : cg_mul(cg, s->group, cg_int(cg, p->ak));
  LLVMValueRef tap = sparse_tap(p, kh.index, kw.index);
  m->a = cg_at(cg, cg->real, conv_move(cg, s->a_sample, pixel, p->ac), first);
  m->b = conv_move(cg, s->b_tile, tap, matrix(s));
  m->k = LLVMBuildSelect(cg->builder, some, cg_int(cg, depth(p)), cg_int(cg, 0), "");
  micro_run(cg, m);
  micro_loop_end(cg, m, &kw);
  micro_loop_end(cg, m, &kh);
}

static void run_taps(Site *s, Micro *m, const ConvRun *run, Range q) {
  Cg *cg = s->cg;
  const ConvPlan *p = s->plan;
  const ConvGrid *g = s->grid;
  LLVMValueRef a = conv_at(cg, conv_move(cg, s->a_row, s->pixel, g->sw * p->ac), g->w0 * p->ac);
  TapLoop l = open_taps(cg, m, s->p);
  a = conv_move(cg, a, l.index, g->dh * p->aw * p->ac);
  LLVMValueRef b =
      conv_at(cg, conv_move(cg, s->b_tile, l.index, g->tap_h * matrix(s)), g->tap * matrix(s));
  for (int i = 0; run && i < run->ngroups; i++) run_group(s, m, &run->group[i], a, b);
  if (!run) {
    TapLoop inner = open_taps(cg, m, q);
    m->a = conv_move(cg, a, inner.index, g->dw * p->ac);
    m->b = conv_move(cg, b, inner.index, g->tap_w * matrix(s));
    m->k = cg_int(cg, depth(p));
    micro_run(cg, m);
    close_taps(cg, m, &inner);
  }
  close_taps(cg, m, &l);
}

/* The taps p with 0 <= i * stride + p * dilation + origin < extent, of `count` indices i. */
static Range valid_taps(Cg *cg, LLVMValueRef i, int64_t count, int64_t taps, int64_t stride,
                        int64_t dilation, int64_t origin, int64_t extent) {
  Range r = {cg_int(cg, 0), cg_int(cg, taps)};
  LLVMValueRef at = cg_mul(cg, i, cg_int(cg, stride));
  if (origin < 0) r.lo = conv_ceil(cg, conv_sub(cg, cg_int(cg, -origin), at), dilation);
  if ((count - 1) * stride + (taps - 1) * dilation + origin >= extent) {
    LLVMValueRef room = conv_ceil(cg, conv_sub(cg, cg_int(cg, extent - origin), at), dilation);
    r.hi = cg_min(cg, room, cg_int(cg, taps));
  }
  return r;
}

/* ---- one tile ---- */

/* An image that comes from far is asked for in time; long runs over nothing but k leave room for
 * that. */
static void prefetch_image(const Site *s, Micro *m) {
  const ConvPlan *p = s->plan;
  if (s->grid->taps_h * s->grid->taps_w > 1 || p->ak < 64 || p->side || p->depthwise) return;
  m->unroll = MICRO_UNROLL;
  m->prefetch = 2 * m->rows * s->grid->sw * p->ac;
}

/* Weights that few pixels share come from far, and in pieces too short for the processor to
 * foresee.
 */
static void prefetch_weights(const Site *s, Micro *m) {
  const ConvPlan *p = s->plan;
  int64_t pixels = s->cg->max_batch * s->grid->gh * s->grid->gw;
  if (p->outside && !p->packed && pixels <= FEW_PIXELS) m->prefetch_b = WEIGHT_STEPS;
}

static void emit_tile(Site *s, int size, const ConvRun *run) {
  Cg *cg = s->cg;
  const ConvPlan *p = s->plan;
  const ConvGrid *g = s->grid;
  Micro m = conv_tile(cg, size, s->columns);
  m.vector_a = p->depthwise;
  m.ak = 1;
  m.bk = p->packed ? s->columns->width : p->cc;
  int64_t step = p->side ? p->ah * p->aw * p->ac : g->sw * p->ac;
  for (int r = 0; r < size; r++) m.row[r] = cg_int(cg, r * step);
  prefetch_image(s, &m);
  prefetch_weights(s, &m);
  Range q = {NULL, NULL};
  if (!run) q = valid_taps(cg, s->pixel, g->gw, g->taps_w, g->sw, g->dw, g->w0, p->aw);
  if (p->sparse) {
    run_sparse(s, &m);
  } else if (g->taps_h && g->taps_w) {
    run_taps(s, &m, run, q);
  }
  conv_store_tile(s, &m);
  if (s->shelf && p->side) conv_finish_shelf(s, size);
}

/* ---- loops around it ---- */

static void over_pixels(Site *s, int64_t first, int64_t tiles, int size, const ConvRun *run) {
  Cg *cg = s->cg;
  int64_t step = run ? size : 1;
  s->pixel = cg_int(cg, first);
  if (tiles == 1) {
    emit_tile(s, size, run);
    return;
  }
  CgLoop l = cg_loop(cg, s->pixel, cg_int(cg, first + tiles * step), step);
  s->pixel = l.index;
  emit_tile(s, size, run);
  cg_loop_end(cg, &l);
}

/* side: samples of a tile, or 0. */
static void emit_row(Site *s, int side) {
  Cg *cg = s->cg;
  const ConvPlan *p = s->plan;
  const ConvGrid *g = s->grid;
  s->p = valid_taps(cg, s->row, g->gh, g->taps_h, g->sh, g->dh, g->h0, p->ah);
  LLVMValueRef line = cg_mul(cg, conv_linear(cg, s->row, g->sh, g->h0), cg_int(cg, p->aw * p->ac));
  line = cg_add(cg, line, p->depthwise ? s->channel : cg_mul(cg, s->group, cg_int(cg, p->ak)));
  s->a_row = cg_at(cg, cg->real, s->a_sample, line);
  s->c_row = conv_move(cg, s->c_sample, conv_linear(cg, s->row, g->osh, g->oh0), p->cw * p->cc);
  if (side) {
    over_pixels(s, 0, g->gw, side, NULL);
    return;
  }
  for (int i = 0; i < g->nruns; i++) {
    over_pixels(s, g->run[i].first, g->run[i].tiles, g->run[i].size, &g->run[i]);
  }
  if (s->shelf) conv_finish_shelf(s, g->gw);
}

static void set_sample(Site *s, LLVMValueRef sample) {
  const ConvPlan *p = s->plan;
  s->sample = sample;
  s->a_sample = conv_move(s->cg, s->a, sample, p->ah * p->aw * p->ac);
  s->c_sample = conv_move(s->cg, s->c, sample, p->ch * p->cw * p->cc);
}

/* The unit's rows, of `side` samples at once; 0: of one, along the row. */
static void unit_rows(Site *s, LLVMValueRef sample, int side) {
  Cg *cg = s->cg;
  set_sample(s, sample);
  LLVMValueRef begin = cg_int(cg, 0), end = cg_int(cg, s->grid->gh);
  if (s->blocks > 1) {
    begin = cg_mul(cg, s->block, cg_int(cg, s->plan->rows));
    end = cg_min(cg, cg_add(cg, begin, cg_int(cg, s->plan->rows)), end);
  }
  CgLoop l = cg_loop(cg, begin, end, 1);
  s->row = l.index;
  emit_row(s, side);
  cg_loop_end(cg, &l);
}

/* The unit's samples: all `side` of them, or what the batch leaves, as a sum of powers of two. */
static void emit_side(Site *s) {
  Cg *cg = s->cg;
  int side = s->plan->side;
  LLVMValueRef first = s->sample, left = conv_sub(cg, s->n, first), zero = cg_int(cg, 0);
  LLVMValueRef all = LLVMBuildICmp(cg->builder, LLVMIntSGE, left, cg_int(cg, side), "");
  CgIf whole = cg_if(cg, all);
  unit_rows(s, first, side);
  cg_if_end(cg, &whole);
  left = LLVMBuildSelect(cg->builder, all, zero, left, "");
  for (int size = 8; size >= 1; size /= 2) {
    if (size >= side) continue;
    LLVMValueRef bit = LLVMBuildAnd(cg->builder, left, cg_int(cg, size), "");
    CgIf some = cg_if(cg, LLVMBuildICmp(cg->builder, LLVMIntNE, bit, zero, ""));
    unit_rows(s, cg_add(cg, first, LLVMBuildAnd(cg->builder, left, cg_int(cg, -2 * size), "")),
              size);
    cg_if_end(cg, &some);
  }
  s->sample = first;
}

static void emit_unit(Site *s) {
  if (s->grid == s->plan->grid) conv_clear_sums(s);
  if (s->plan->side)
    emit_side(s);
  else
    unit_rows(s, s->sample, 0);
}

static int64_t group_tiles(const ConvPlan *p) {
  int64_t tiles = 0;
  for (int i = 0; i < p->channels.count; i++) tiles += p->channels.run[i].tiles;
  return tiles;
}

static void over_units(Site *s, LLVMValueRef begin, LLVMValueRef end, void body(Site *)) {
  Cg *cg = s->cg;
  CgLoop l = cg_loop(cg, begin, end, 1);
  s->unit = s->sample = l.index;
  s->block = conv_split(cg, &s->sample, s->blocks);
  if (s->plan->side) s->sample = cg_mul(cg, s->sample, cg_int(cg, s->plan->side));
  body(s);
  cg_loop_end(cg, &l);
}

/* Packed or not, the weights of a tile of channels start at its first channel times what lies
 * before it of each. */
static void over_channels(Site *s, void body(Site *)) {
  Cg *cg = s->cg;
  const ConvPlan *p = s->plan;
  int64_t height = p->packed ? conv_packed_taps(p) * depth(p) : 1, tiles = 0;
  CgLoop groups = cg_loop(cg, cg_int(cg, 0), cg_int(cg, p->groups), 1);
  s->group = groups.index;
  LLVMValueRef first = cg_mul(cg, s->group, cg_int(cg, p->ck));
  LLVMValueRef number = cg_mul(cg, s->group, cg_int(cg, group_tiles(p)));
  for (int i = 0; i < p->channels.count; i++) {
    s->columns = &p->channels.run[i];
    CgLoop l = cg_loop(cg, cg_int(cg, 0), cg_int(cg, s->columns->tiles), 1);
    s->tile = cg_add(cg, cg_add(cg, number, l.index), cg_int(cg, tiles));
    s->channel = cg_add(cg, first, conv_linear(cg, l.index, s->columns->width, s->columns->at));
    s->b_tile = conv_move(cg, s->b, s->channel, height);
    body(s);
    cg_loop_end(cg, &l);
    tiles += s->columns->tiles;
  }
  cg_loop_end(cg, &groups);
}

/* Those of [begin, end) that are of this tile of channels. */
static void over_units_inside(Site *s) {
  Cg *cg = s->cg;
  LLVMValueRef first = cg_mul(cg, s->tile, s->tile_units);
  LLVMValueRef begin = cg_max(cg, conv_sub(cg, s->begin, first), cg_int(cg, 0)),
               end = cg_min(cg, conv_sub(cg, s->end, first), s->tile_units);
  over_units(s, begin, end, emit_unit);
}

static void over_grids(Site *s) {
  for (int i = 0; i < s->plan->ngrids; i++) {
    s->grid = &s->plan->grid[i];
    over_channels(s, s->plan->outside ? over_units_inside : emit_unit);
  }
}

/* Units of all samples: those of a tile of channels. */
static LLVMValueRef batch_units(const Site *s) {
  Cg *cg = s->cg;
  LLVMValueRef samples = s->plan->side ? conv_ceil(cg, s->n, s->plan->side) : s->n;
  return cg_mul(cg, samples, cg_int(cg, s->blocks));
}

int64_t conv_blocks(const ConvPlan *p) {
  int64_t blocks = 1;
  for (int i = 0; i < p->ngrids; i++)
    blocks = conv_max_int(blocks, (p->grid[i].gh + p->rows - 1) / p->rows);
  return blocks;
}

/* Taps that fall on padding are counted; storing a vector counts as two more. */
static double unit_work(const ConvPlan *p) {
  double sum = 0;
  int64_t vectors = p->groups * conv_vectors(p->cg, p->ck);
  for (int i = 0; i < p->ngrids; i++) {
    const ConvGrid *g = &p->grid[i];
    int64_t rows = conv_min_int(g->gh, p->rows);
    double taps = (double)(g->taps_h * g->taps_w * depth(p)) + 2;
    sum += (double)(rows * g->gw * vectors) * taps;
  }
  if (p->sparse) sum /= (double)p->spec->stride[0] * (double)p->spec->stride[1];
  return conv_work((p->side ? p->side : 1) * sum, p->depthwise);
}

Kernel conv_grids(const ConvPlan *plan) {
  Cg *cg = plan->cg;
  LLVMValueRef f = cg_function(cg, plan->spec->direction == CONV_FORWARD ? "conv" : "conv_input");
  Site s = {.plan = plan,
            .cg = cg,
            .buffers = LLVMGetParam(f, 0),
            .n = LLVMGetParam(f, 1),
            .begin = LLVMGetParam(f, 2),
            .end = LLVMGetParam(f, 3),
            .blocks = conv_blocks(plan)};
  s.a = conv_at(cg, cg_buffer(cg, s.buffers, plan->a), plan->a_offset);
  s.b = conv_at(cg, cg_buffer(cg, s.buffers, plan->b), plan->b_offset);
  s.c = plan->spec->epilogue ? s.a : conv_at(cg, cg_buffer(cg, s.buffers, plan->c), plan->c_offset);
  conv_make_shelf(&s);
  int64_t tiles = plan->outside ? plan->groups * group_tiles(plan) : 1;
  if (plan->outside) {
    s.tile_units = batch_units(&s);
    over_grids(&s);
  } else {
    over_units(&s, s.begin, s.end, over_grids);
  }
  LLVMBuildRetVoid(cg->builder);
  return (Kernel){.function = f,
                  .units = {1, 0},
                  .per = plan->side,
                  .parts = s.blocks * tiles,
                  .work = unit_work(plan) / (double)tiles};
}
