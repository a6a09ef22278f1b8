/* Forward and backward-data: the kernel over one or more grids (conv.h).
 *
 * A unit is a block of rows of one sample. A row is cut into tiles of up to 8 pixels; which pixels of a tile have a
 * tap (p, q) inside of the image is known here for q, so that padding is never computed: consecutive taps with the
 * same pixels make a group, and tiles with the same groups share one loop. For p the range is found at run time. */
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

typedef struct {
  const ConvPlan *plan;
  Cg *cg;
  const ConvGrid *grid;
  ConvChannels channels;
  int nruns;
  TileRun *run;
  const ConvColumns *columns;
  int64_t blocks;
  LLVMValueRef buffers, begin, end, a, b, c, sample, block;
  LLVMValueRef group, channel; /* first channel of the tile in the image written */
  LLVMValueRef row, plo, phi, a_row, pixel;
} Site;

/* ---- shapes of tiles ---- */

static int most_rows(const Cg *cg, int nr) {
  int spare = cg->fma ? 1 : 2, most = (cg->registers - nr - spare) / nr;
  return most > 8 ? 8 : most;
}

/* Cycles for a tile of m pixels and v vectors, a k: two FMAs a cycle, latency 4, two loads a cycle; and what bringing
 * the operands nearer costs. */
static double tile_cost(int m, int v) {
  double multiply = m * v / 2.0, load = (m + v) / 2.0, least = 4;
  double cost = multiply > load ? multiply : load;
  return (cost > least ? cost : least) + 0.25 * (m + v);
}

/* All of a row: `pixels` in tiles of at most mr, `vectors` at most nr at a time. */
static double row_cost(int64_t pixels, int64_t vectors, int mr, int nr) {
  int64_t tiles = (pixels + mr - 1) / mr, small = pixels / tiles, big = pixels % tiles;
  double cost = 0;
  for (int part = 0; part < 2; part++) {
    int v = part ? (int)(vectors % nr) : nr;
    double times = part ? 1 : (double)(vectors / nr);
    if (v && times > 0)
      cost += times * ((double)big * tile_cost((int)small + 1, v) + (double)(tiles - big) * tile_cost((int)small, v));
  }
  return cost;
}

void conv_choose_tile(const Cg *cg, int64_t pixels, int64_t vectors, bool depthwise, int *mr, int *nr) {
  double best = 0;
  *nr = 0;
  for (int v = 1; v <= 4 && v <= vectors; v++) {
    int m = most_rows(cg, v);
    if (depthwise && v > 2) break;
    double cost = row_cost(pixels, vectors, m, v);
    if (*nr && cost > best) continue;
    best = cost;
    *mr = m;
    *nr = v;
  }
}

static uint32_t rows_of_tap(const ConvPlan *plan, const ConvGrid *g, int64_t first, int size, int64_t q) {
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
static void cut_rows(Site *s, int mr) {
  const ConvGrid *g = s->grid;
  int64_t tiles = (g->gw + mr - 1) / mr, small = g->gw / tiles, big = g->gw % tiles, at = 0;
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

/* ---- one tile ---- */

/* Where pixel `r` of the tile is in the image written: *row and *column. */
static void place(Site *s, int r, LLVMValueRef *row, LLVMValueRef *column) {
  Cg *cg = s->cg;
  const ConvGrid *g = s->grid;
  LLVMValueRef pixel = cg_add(cg, s->pixel, cg_int(cg, r));
  *row = cg_add(cg, cg_mul(cg, s->row, cg_int(cg, g->osh)), cg_int(cg, g->oh0));
  *column = cg_add(cg, cg_mul(cg, pixel, cg_int(cg, g->osw)), cg_int(cg, g->ow0));
}

/* Joined rows back to the image's own: `row` and `column` of a [.][cw] image as those of a [.][folded] one. */
static void unfold(Site *s, LLVMValueRef *row, LLVMValueRef *column) {
  Cg *cg = s->cg;
  LLVMValueRef width = cg_int(cg, s->plan->folded);
  LLVMValueRef flat = cg_add(cg, cg_mul(cg, *row, cg_int(cg, s->plan->cw)), *column);
  *row = LLVMBuildUDiv(cg->builder, flat, width, "");
  *column = LLVMBuildURem(cg->builder, flat, width, "");
}

static void store_dense(Site *s, ConvTile *t, int r) {
  Cg *cg = s->cg;
  const ConvPlan *p = s->plan;
  LLVMValueRef row, column;
  place(s, r, &row, &column);
  LLVMValueRef pixel = cg_add(cg, cg_mul(cg, row, cg_int(cg, p->cw)), column);
  LLVMValueRef at = cg_add(cg, cg_mul(cg, pixel, cg_int(cg, p->cc)), s->channel);
  LLVMValueRef address = cg_at(cg, cg->real, s->c, at);
  for (int v = 0; v < t->columns->count; v++) {
    cg_store(cg, t->acc[r][v], conv_at(cg, address, t->columns->piece[v].at), t->mask[v]);
  }
}

static void store_epilogue(Site *s, ConvTile *t, int r) {
  Cg *cg = s->cg;
  LLVMValueRef index[4] = {s->sample};
  place(s, r, &index[1], &index[2]);
  if (s->plan->folded) unfold(s, &index[1], &index[2]);
  for (int v = 0; v < t->columns->count; v++) {
    const ConvPiece *piece = &t->columns->piece[v];
    index[3] = cg_add(cg, s->channel, cg_int(cg, piece->at));
    body_emit(cg, s->plan->spec->epilogue, s->buffers, index, piece->lanes, t->mask[v], t->acc[r][v]);
  }
}

/* The taps of one group and row p: runs over (q, k) where both operands lie in one piece. */
static void emit_group(Site *s, ConvTile *t, const TapGroup *group, LLVMValueRef a, LLVMValueRef b) {
  Cg *cg = s->cg;
  const ConvPlan *p = s->plan;
  const ConvGrid *g = s->grid;
  int64_t k = p->depthwise ? 1 : p->ak, taps = group->q1 - group->q0, q_step = g->dw * p->ac;
  bool joined = g->dw == 1 && p->ak == p->ac && g->wq == k * p->cc && !p->depthwise;
  a = conv_at(cg, a, group->q0 * q_step);
  b = conv_at(cg, b, group->q0 * g->wq);
  if (joined || taps == 1) {
    conv_tile_run(t, a, b, taps * k, group->rows);
    return;
  }
  CgLoop l = conv_tile_loop(t, cg_int(cg, 0), cg_int(cg, taps), 1);
  a = cg_at(cg, cg->real, a, cg_mul(cg, l.index, cg_int(cg, q_step)));
  b = cg_at(cg, cg->real, b, cg_mul(cg, l.index, cg_int(cg, g->wq)));
  conv_tile_run(t, a, b, k, group->rows);
  conv_tile_loop_end(t, &l);
}

static int unroll_of(const ConvPlan *p, const ConvGrid *g) {
  int64_t distance = g->sw * p->ac; /* from pixel to pixel: a longer block would load elements twice */
  return distance >= 4 ? 4 : (int)distance;
}

static void emit_taps(Site *s, ConvTile *t, const TileRun *run) {
  Cg *cg = s->cg;
  const ConvPlan *p = s->plan;
  const ConvGrid *g = s->grid;
  LLVMValueRef column = cg_mul(cg, s->pixel, cg_int(cg, g->sw * p->ac));
  LLVMValueRef a = conv_at(cg, cg_at(cg, cg->real, s->a_row, column), g->w0 * p->ac);
  LLVMValueRef b = conv_at(cg, cg_at(cg, cg->real, s->b, s->channel), g->woff);
  bool once = g->taps_h == 1 && LLVMIsAConstantInt(s->plo) && LLVMIsAConstantInt(s->phi);
  CgLoop l = {0};
  if (!once) {
    l = conv_tile_loop(t, s->plo, s->phi, 1);
    a = cg_at(cg, cg->real, a, cg_mul(cg, l.index, cg_int(cg, g->dh * p->aw * p->ac)));
    b = cg_at(cg, cg->real, b, cg_mul(cg, l.index, cg_int(cg, g->wp)));
  }
  for (int i = 0; i < run->ngroups; i++) emit_group(s, t, &run->group[i], a, b);
  if (!once) conv_tile_loop_end(t, &l);
}

static void emit_tile(Site *s, const TileRun *run) {
  ConvTile t;
  const ConvPlan *p = s->plan;
  conv_tile_init(&t, s->cg, run->size, s->columns);
  t.vector_a = p->depthwise;
  t.row_step = s->grid->sw * p->ac;
  t.k_step = 1;
  t.ldb = p->cc;
  t.unroll = unroll_of(p, s->grid);
  conv_tile_zero(&t);
  if (s->grid->taps_h && run->ngroups) emit_taps(s, &t, run);
  for (int r = 0; r < run->size; r++) {
    if (p->spec->epilogue) {
      store_epilogue(s, &t, r);
    } else {
      store_dense(s, &t, r);
    }
  }
}

/* ---- loops around it ---- */

/* The p with 0 <= row * sh + p * dh + h0 < ah. */
static void row_bounds(Site *s) {
  Cg *cg = s->cg;
  const ConvGrid *g = s->grid;
  int64_t last = (g->gh - 1) * g->sh + (g->taps_h - 1) * g->dh + g->h0;
  LLVMValueRef taps = cg_int(cg, g->taps_h), top = cg_mul(cg, s->row, cg_int(cg, g->sh));
  s->plo = cg_int(cg, 0);
  s->phi = taps;
  if (g->h0 < 0) s->plo = conv_ceil(cg, conv_sub(cg, cg_int(cg, -g->h0), top), g->dh);
  if (last >= s->plan->ah) {
    LLVMValueRef room = conv_sub(cg, cg_int(cg, s->plan->ah - g->h0), top);
    s->phi = conv_min(cg, conv_ceil(cg, room, g->dh), taps);
  }
}

static void emit_row(Site *s) {
  Cg *cg = s->cg;
  const ConvPlan *p = s->plan;
  const ConvGrid *g = s->grid;
  row_bounds(s);
  LLVMValueRef line = cg_add(cg, cg_mul(cg, s->row, cg_int(cg, g->sh)), cg_int(cg, g->h0));
  LLVMValueRef at = cg_mul(cg, line, cg_int(cg, p->aw * p->ac));
  at = cg_add(cg, at, p->depthwise ? s->channel : cg_mul(cg, s->group, cg_int(cg, p->ak)));
  s->a_row = cg_at(cg, cg->real, s->a, at);
  for (int i = 0; i < s->nruns; i++) {
    const TileRun *run = &s->run[i];
    if (run->tiles == 1) {
      s->pixel = cg_int(cg, run->first);
      emit_tile(s, run);
      continue;
    }
    CgLoop l = cg_loop(cg, cg_int(cg, run->first), cg_int(cg, run->first + run->tiles * run->size), run->size);
    s->pixel = l.index;
    emit_tile(s, run);
    cg_loop_end(cg, &l);
  }
}

static void emit_rows(Site *s) {
  Cg *cg = s->cg;
  LLVMValueRef begin = cg_int(cg, 0), end = cg_int(cg, s->grid->gh);
  if (s->blocks > 1) {
    begin = cg_mul(cg, s->block, cg_int(cg, s->plan->rows));
    end = conv_min(cg, cg_add(cg, begin, cg_int(cg, s->plan->rows)), end);
  }
  CgLoop l = cg_loop(cg, begin, end, 1);
  s->row = l.index;
  emit_row(s);
  cg_loop_end(cg, &l);
}

static void over_units(Site *s, void body(Site *)) {
  Cg *cg = s->cg;
  const ConvPlan *p = s->plan;
  CgLoop l = cg_loop(cg, s->begin, s->end, 1);
  LLVMValueRef blocks = cg_int(cg, s->blocks), a = s->a, c = s->c;
  s->sample = s->blocks == 1 ? l.index : LLVMBuildUDiv(cg->builder, l.index, blocks, "");
  s->block = s->blocks == 1 ? cg_int(cg, 0) : LLVMBuildURem(cg->builder, l.index, blocks, "");
  s->a = cg_at(cg, cg->real, a, cg_mul(cg, s->sample, cg_int(cg, p->ah * p->aw * p->ac)));
  s->c = cg_at(cg, cg->real, c, cg_mul(cg, s->sample, cg_int(cg, p->ch * p->cw * p->cc)));
  body(s);
  s->a = a;
  s->c = c;
  cg_loop_end(cg, &l);
}

static void over_channels(Site *s, void body(Site *)) {
  Cg *cg = s->cg;
  CgLoop groups = cg_loop(cg, cg_int(cg, 0), cg_int(cg, s->plan->groups), 1);
  s->group = groups.index;
  LLVMValueRef first = cg_mul(cg, s->group, cg_int(cg, s->plan->ck));
  for (int i = 0; i < s->channels.count; i++) {
    s->columns = &s->channels.run[i];
    LLVMValueRef begin = cg_add(cg, first, cg_int(cg, s->columns->at));
    LLVMValueRef end = cg_add(cg, begin, cg_int(cg, s->columns->tiles * s->columns->width));
    CgLoop l = cg_loop(cg, begin, end, s->columns->width);
    s->channel = l.index;
    body(s);
    cg_loop_end(cg, &l);
  }
  cg_loop_end(cg, &groups);
}

static void over_rows_of_units(Site *s) { over_units(s, emit_rows); }

static void open_grid(Site *s, int i) {
  const ConvPlan *p = s->plan;
  int mr, nr;
  s->grid = &p->grid[i];
  s->nruns = 0;
  conv_choose_tile(s->cg, s->grid->gw, conv_vectors(s->cg, p->ck), p->depthwise, &mr, &nr);
  s->channels = conv_channels(s->cg, p->ck, nr);
  cut_rows(s, mr);
}

static void over_grids_inside(Site *s) {
  for (int i = 0; i < s->plan->ngrids; i++) {
    open_grid(s, i);
    over_channels(s, emit_rows);
  }
}

static void over_grids_outside(Site *s) {
  for (int i = 0; i < s->plan->ngrids; i++) {
    open_grid(s, i);
    over_channels(s, over_rows_of_units);
  }
}

/* Rough nanoseconds: two FMAs a cycle at 3 GHz. */
static double unit_work(const ConvPlan *p) {
  double sum = 0;
  for (int i = 0; i < p->ngrids; i++) {
    const ConvGrid *g = &p->grid[i];
    int64_t rows = conv_min_int(g->gh, p->rows);
    double taps = (double)(g->taps_h * g->taps_w * (p->depthwise ? 1 : p->ak)) + 2;
    sum += (double)(rows * g->gw * p->cc) * taps;
  }
  return sum / (6.0 * p->cg->lanes);
}

Kernel conv_grids(const ConvPlan *plan) {
  Cg *cg = plan->cg;
  LLVMValueRef f = cg_function(cg, plan->spec->direction == CONV_FORWARD ? "conv" : "conv_input");
  Site s = {.plan = plan, .cg = cg, .buffers = LLVMGetParam(f, 0), .begin = LLVMGetParam(f, 2),
            .end = LLVMGetParam(f, 3)};
  for (int i = 0; i < plan->ngrids; i++) {
    s.blocks = conv_max_int(s.blocks, (plan->grid[i].gh + plan->rows - 1) / plan->rows);
  }
  s.a = conv_at(cg, cg_buffer(cg, s.buffers, plan->a), plan->a_offset);
  s.b = conv_at(cg, cg_buffer(cg, s.buffers, plan->b), plan->b_offset);
  s.c = plan->spec->epilogue ? s.a : conv_at(cg, cg_buffer(cg, s.buffers, plan->c), plan->c_offset);
  if (plan->channels_outside) {
    over_grids_outside(&s);
  } else {
    over_units(&s, over_grids_inside);
  }
  LLVMBuildRetVoid(cg->builder);
  return (Kernel){.function = f, .units = {s.blocks, 0}, .work = unit_work(plan)};
}
