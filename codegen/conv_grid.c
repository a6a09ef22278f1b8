/* Forward and backward-data: the kernel over one or more grids (conv.h).
 *
 * A unit is a block of rows of one sample. A row is cut into tiles of up to 8 pixels; which pixels
 * of a tile have a tap (p, q) inside of the image is known here for q, so that padding is never
 * computed: consecutive taps with the same pixels make a group, and tiles with the same groups
 * share one loop. For p the range is found at run time. Images of few pixels are done the other way
 * ("side"): a tile is one pixel of several samples, which all have the same taps, found at run
 * time; a unit is that many samples. */
#include "codegen/conv.h"

#include <string.h>

typedef struct {
  int64_t q0, q1;
  uint32_t rows; /* the tile's pixels that these taps reach */
} TapGroup;

typedef struct {
  int64_t first, tiles; /* first pixel; number of tiles, one after the other */
  int size, ngroups;
  TapGroup *group;
} TileRun;

/* [lo, hi), of taps */
typedef struct {
  LLVMValueRef lo, hi;
} Range;

typedef struct {
  const ConvPlan *plan;
  Cg *cg;
  const ConvGrid *grid;
  int nruns;
  TileRun *run;
  const ConvColumns *columns;
  int64_t blocks; /* units of a sample */
  LLVMValueRef buffers, n, begin, end;
  LLVMValueRef a, b, c;       /* the buffers */
  LLVMValueRef sample, block; /* of the unit */
  LLVMValueRef a_sample, c_sample;
  LLVMValueRef group, channel; /* first channel of the tile in the image written */
  LLVMValueRef row, pixel;     /* of the grid */
  Range p;
  LLVMValueRef a_row, c_row, b_tile;
  LLVMValueRef shelf; /* results that wait for a long epilogue, or NULL */
} Site;

enum { FEW_VALUES = 5, SHELF_BYTES = 128 << 10 };

/* ---- cutting a row into tiles ---- */

static uint32_t rows_of_tap(const ConvPlan *plan, const ConvGrid *g, int64_t first, int size,
                            int64_t q) {
  uint32_t rows = 0;
  for (int r = 0; r < size; r++) {
    int64_t w = (first + r) * g->sw + q * g->dw + g->w0;
    if (w >= 0 && w < plan->aw) rows |= 1u << r;
  }
  return rows;
}

static TileRun make_run(const ConvPlan *plan, const ConvGrid *g, int64_t first, int size) {
  TileRun run = {.first = first, .tiles = 1, .size = size};
  run.group = ARENA_ARRAY(plan->cg->arena, TapGroup, g->taps_w + 1);
  for (int64_t q = 0; q < g->taps_w; q++) {
    uint32_t rows = rows_of_tap(plan, g, first, size, q);
    TapGroup *last = run.ngroups ? &run.group[run.ngroups - 1] : NULL;
    if (!rows) continue;
    if (last && last->rows == rows && last->q1 == q) {
      last->q1 = q + 1;
    } else {
      run.group[run.ngroups++] = (TapGroup){q, q + 1, rows};
    }
  }
  return run;
}

static bool same_run(const TileRun *a, const TileRun *b) {
  return a->size == b->size && a->ngroups == b->ngroups &&
         !memcmp(a->group, b->group, sizeof(TapGroup) * (size_t)a->ngroups);
}

/* Cuts the rows into tiles whose sizes differ by one at most. */
static void cut_rows(Site *s) {
  const ConvGrid *g = s->grid;
  int64_t mr = conv_most_rows(s->cg, s->plan->nr, s->plan->most), tiles = (g->gw + mr - 1) / mr;
  int64_t small = g->gw / tiles, big = g->gw % tiles, at = 0;
  s->nruns = 0;
  s->run = ARENA_ARRAY(s->cg->arena, TileRun, tiles);
  for (int64_t t = 0; t < tiles; t++) {
    TileRun run = make_run(s->plan, g, at, (int)(t < big ? small + 1 : small));
    at += run.size;
    if (s->nruns && same_run(&run, &s->run[s->nruns - 1])) {
      s->run[s->nruns - 1].tiles++;
    } else {
      s->run[s->nruns++] = run;
    }
  }
}

/* ---- the results of a tile ---- */

/* Joined rows back to the image's own: `row` and `column` of a [.][cw] image as those of a
 * [.][folded] one. */
static void unfold(Site *s, LLVMValueRef *row, LLVMValueRef *column) {
  Cg *cg = s->cg;
  LLVMValueRef width = cg_int(cg, s->plan->folded);
  LLVMValueRef flat = cg_add(cg, cg_mul(cg, *row, cg_int(cg, s->plan->cw)), *column);
  *row = LLVMBuildUDiv(cg->builder, flat, width, "");
  *column = LLVMBuildURem(cg->builder, flat, width, "");
}

static LLVMValueRef linear(Cg *cg, LLVMValueRef i, int64_t step, int64_t origin) {
  return cg_add(cg, cg_mul(cg, i, cg_int(cg, step)), cg_int(cg, origin));
}

/* The epilogue for a vector of results: `row` rows of the tile and `column` channels from where the
 * site is. */
static void apply_epilogue(Site *s, LLVMValueRef row, LLVMValueRef column, LLVMValueRef mask,
                           LLVMValueRef value) {
  Cg *cg = s->cg;
  const ConvGrid *g = s->grid;
  LLVMValueRef sample = s->sample, pixel = s->pixel;
  if (s->plan->side) {
    sample = cg_add(cg, sample, row);
  } else {
    pixel = cg_add(cg, pixel, row);
  }
  LLVMValueRef index[4] = {sample, linear(cg, s->row, g->osh, g->oh0),
                           linear(cg, pixel, g->osw, g->ow0), cg_add(cg, s->channel, column)};
  if (s->plan->folded) unfold(s, &index[1], &index[2]);
  body_emit(cg, s->plan->spec->epilogue, s->buffers, index, s->columns->lanes, mask, value);
}

static void store_epilogue(Cg *cg, void *user, int row, int column, LLVMValueRef mask,
                           LLVMValueRef value) {
  apply_epilogue(user, cg_int(cg, row), cg_int(cg, column), mask, value);
}

typedef struct {
  LLVMValueRef to; /* of the tile's first pixel and channel */
  int64_t step;    /* elements from row to row of the tile */
} Dense;

static void store_dense(Cg *cg, void *user, int row, int column, LLVMValueRef mask,
                        LLVMValueRef value) {
  const Dense *d = user;
  cg_store(cg, value, conv_at(cg, d->to, row * d->step + column), mask);
}

static void store_tile(Site *s, const Micro *m) {
  Cg *cg = s->cg;
  const ConvPlan *p = s->plan;
  const ConvGrid *g = s->grid;
  Dense d;
  if (s->shelf) {
    d.step = s->columns->width;
    d.to = p->side ? s->shelf : conv_move(cg, s->shelf, s->pixel, d.step);
  } else if (p->spec->epilogue) {
    micro_each(cg, m, store_epilogue, s);
    return;
  } else {
    d.step = p->side ? p->ch * p->cw * p->cc : g->osw * p->cc;
    d.to = conv_move(cg, s->c_row, linear(cg, s->pixel, g->osw, g->ow0), p->cc);
    d.to = cg_at(cg, cg->real, d.to, s->channel);
  }
  micro_each(cg, m, store_dense, &d);
}

static void finish_vector(Site *s, LLVMValueRef row, LLVMValueRef column, LLVMValueRef mask) {
  Cg *cg = s->cg;
  LLVMValueRef at = cg_add(cg, cg_mul(cg, row, cg_int(cg, s->columns->width)), column);
  apply_epilogue(s, row, column, mask,
                 cg_load(cg, cg->real, cg_at(cg, cg->real, s->shelf, at), s->columns->lanes, mask));
}

/* A long epilogue is emitted once, not for every vector of every kind of tile: the results of
 * `count` pixels (of as many samples) have been put on a shelf. */
static void finish_shelf(Site *s, int64_t count) {
  Cg *cg = s->cg;
  const ConvColumns *columns = s->columns;
  bool masked = columns->active < columns->lanes;
  int64_t whole = (int64_t)(columns->vectors - masked) * columns->lanes;
  s->pixel = s->plan->side ? s->pixel : cg_int(cg, 0);
  CgLoop row = cg_loop(cg, cg_int(cg, 0), cg_int(cg, count), 1);
  if (whole) {
    CgLoop column = cg_loop(cg, cg_int(cg, 0), cg_int(cg, whole), columns->lanes);
    finish_vector(s, row.index, column.index, NULL);
    cg_loop_end(cg, &column);
  }
  if (masked)
    finish_vector(s, row.index, cg_int(cg, whole),
                  cg_mask(cg, cg_int(cg, columns->active), columns->lanes));
  cg_loop_end(cg, &row);
}

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
static void run_group(Site *s, Micro *m, const TapGroup *group, LLVMValueRef a, LLVMValueRef b) {
  Cg *cg = s->cg;
  const ConvPlan *p = s->plan;
  const ConvGrid *g = s->grid;
  int64_t taps = group->q1 - group->q0;
  bool joined = g->dw == 1 && p->ak == p->ac && g->tap_w == 1 && !p->depthwise;
  MicroTap tap = {NULL, NULL, ~group->rows};
  Range range = {cg_int(cg, group->q0), cg_int(cg, joined ? group->q0 + 1 : group->q1)};
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

static void run_taps(Site *s, Micro *m, const TileRun *run, Range q) {
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
    r.hi = conv_min(cg, room, cg_int(cg, taps));
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

static void emit_tile(Site *s, int size, const TileRun *run) {
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
  Range q = {NULL, NULL};
  if (!run) q = valid_taps(cg, s->pixel, g->gw, g->taps_w, g->sw, g->dw, g->w0, p->aw);
  if (g->taps_h && g->taps_w) run_taps(s, &m, run, q);
  store_tile(s, &m);
  if (s->shelf && p->side) finish_shelf(s, size);
}

/* ---- loops around it ---- */

static void over_pixels(Site *s, int64_t first, int64_t tiles, int size, const TileRun *run) {
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
  LLVMValueRef line = cg_mul(cg, linear(cg, s->row, g->sh, g->h0), cg_int(cg, p->aw * p->ac));
  line = cg_add(cg, line, p->depthwise ? s->channel : cg_mul(cg, s->group, cg_int(cg, p->ak)));
  s->a_row = cg_at(cg, cg->real, s->a_sample, line);
  s->c_row = conv_move(cg, s->c_sample, linear(cg, s->row, g->osh, g->oh0), p->cw * p->cc);
  if (side) {
    over_pixels(s, 0, g->gw, side, NULL);
    return;
  }
  for (int i = 0; i < s->nruns; i++) {
    over_pixels(s, s->run[i].first, s->run[i].tiles, s->run[i].size, &s->run[i]);
  }
  if (s->shelf) finish_shelf(s, g->gw);
}

static void set_sample(Site *s, LLVMValueRef sample) {
  const ConvPlan *p = s->plan;
  s->sample = sample;
  s->a_sample = conv_move(s->cg, s->a, sample, p->ah * p->aw * p->ac);
  s->c_sample = conv_move(s->cg, s->c, sample, p->ch * p->cw * p->cc);
}

static void rows_of_samples(Site *s, LLVMValueRef sample, int side) {
  Cg *cg = s->cg;
  set_sample(s, sample);
  CgLoop l = cg_loop(cg, cg_int(cg, 0), cg_int(cg, s->grid->gh), 1);
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
  rows_of_samples(s, first, side);
  cg_if_end(cg, &whole);
  left = LLVMBuildSelect(cg->builder, all, zero, left, "");
  for (int size = 8; size >= 1; size /= 2) {
    if (size >= side) continue;
    LLVMValueRef bit = LLVMBuildAnd(cg->builder, left, cg_int(cg, size), "");
    CgIf some = cg_if(cg, LLVMBuildICmp(cg->builder, LLVMIntNE, bit, zero, ""));
    rows_of_samples(
        s, cg_add(cg, first, LLVMBuildAnd(cg->builder, left, cg_int(cg, -2 * size), "")), size);
    cg_if_end(cg, &some);
  }
  s->sample = first;
}

static void emit_unit(Site *s) {
  Cg *cg = s->cg;
  if (s->plan->side) {
    emit_side(s);
    return;
  }
  set_sample(s, s->sample);
  LLVMValueRef begin = cg_int(cg, 0), end = cg_int(cg, s->grid->gh);
  if (s->blocks > 1) {
    begin = cg_mul(cg, s->block, cg_int(cg, s->plan->rows));
    end = conv_min(cg, cg_add(cg, begin, cg_int(cg, s->plan->rows)), end);
  }
  CgLoop l = cg_loop(cg, begin, end, 1);
  s->row = l.index;
  emit_row(s, 0);
  cg_loop_end(cg, &l);
}

static void over_units(Site *s, void body(Site *)) {
  Cg *cg = s->cg;
  CgLoop l = cg_loop(cg, s->begin, s->end, 1);
  s->sample = l.index;
  s->block = conv_split(cg, &s->sample, s->blocks);
  if (s->plan->side) s->sample = cg_mul(cg, l.index, cg_int(cg, s->plan->side));
  body(s);
  cg_loop_end(cg, &l);
}

/* Packed or not, the weights of a tile of channels start at its first channel times what lies
 * before it of each. */
static void over_channels(Site *s, void body(Site *)) {
  Cg *cg = s->cg;
  const ConvPlan *p = s->plan;
  int64_t height = p->packed ? p->spec->kh * p->spec->kw * depth(p) : 1;
  CgLoop groups = cg_loop(cg, cg_int(cg, 0), cg_int(cg, p->groups), 1);
  s->group = groups.index;
  LLVMValueRef first = cg_mul(cg, s->group, cg_int(cg, p->ck));
  for (int i = 0; i < p->channels.count; i++) {
    s->columns = &p->channels.run[i];
    LLVMValueRef begin = cg_add(cg, first, cg_int(cg, s->columns->at));
    LLVMValueRef end = cg_add(cg, begin, cg_int(cg, s->columns->tiles * s->columns->width));
    CgLoop l = cg_loop(cg, begin, end, s->columns->width);
    s->channel = l.index;
    s->b_tile = conv_move(cg, s->b, s->channel, height);
    body(s);
    cg_loop_end(cg, &l);
  }
  cg_loop_end(cg, &groups);
}

static void over_units_inside(Site *s) { over_units(s, emit_unit); }

static void over_grids(Site *s) {
  for (int i = 0; i < s->plan->ngrids; i++) {
    s->grid = &s->plan->grid[i];
    if (!s->plan->side) cut_rows(s);
    over_channels(s, s->plan->outside ? over_units_inside : emit_unit);
  }
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
  return conv_work((p->side ? p->side : 1) * sum, p->depthwise);
}

static void make_shelf(Site *s) {
  const ConvPlan *p = s->plan;
  const PointwiseSpec *e = p->spec->epilogue;
  int64_t pixels = p->side;
  for (int i = 0; i < p->ngrids && !p->side; i++) pixels = conv_max_int(pixels, p->grid[i].gw);
  int64_t size = pixels * p->nr * s->cg->lanes;
  if (!e || e->nvalues <= FEW_VALUES || size * s->cg->real_bytes > SHELF_BYTES) return;
  s->shelf = LLVMBuildArrayAlloca(s->cg->builder, s->cg->real, cg_int(s->cg, size), "shelf");
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
            .blocks = 1};
  for (int i = 0; i < plan->ngrids; i++) {
    s.blocks = conv_max_int(s.blocks, (plan->grid[i].gh + plan->rows - 1) / plan->rows);
  }
  s.a = conv_at(cg, cg_buffer(cg, s.buffers, plan->a), plan->a_offset);
  s.b = conv_at(cg, cg_buffer(cg, s.buffers, plan->b), plan->b_offset);
  s.c = plan->spec->epilogue ? s.a : conv_at(cg, cg_buffer(cg, s.buffers, plan->c), plan->c_offset);
  make_shelf(&s);
  if (plan->outside) {
    over_grids(&s);
  } else {
    over_units(&s, over_grids);
  }
  LLVMBuildRetVoid(cg->builder);
  return (Kernel){
      .function = f, .units = {s.blocks, 0}, .per = plan->side, .work = unit_work(plan)};
}
