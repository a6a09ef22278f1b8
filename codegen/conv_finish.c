/* Where a tile's results go: to memory as they are, through an epilogue, or to a shelf.
 *
 * On the shelf lie the results of a row of pixels for one tile of channels (of one pixel, for as
 * many samples as a tile has) until a long epilogue, or one with sums, has seen them all. Sums over
 * pixels are taken row by row in registers and added to the unit's partial sums, in f64; a kernel
 * of its own combines the units in order: so no result depends on how units were dealt out. */
#include "codegen/accumulate.h"
#include "codegen/body.h"
#include "codegen/conv_site.h"

enum { FEW_VALUES = 5, SHELF_BYTES = 128 << 10 };

/* ---- the results of a tile ---- */

/* Joined rows back to the image's own: `row` and `column` of a [.][cw] image as those of a
 * [.][folded] one. */
static void unfold(const Site *s, LLVMValueRef *row, LLVMValueRef *column) {
  Cg *cg = s->cg;
  LLVMValueRef width = cg_int(cg, s->plan->folded);
  LLVMValueRef flat = cg_add(cg, cg_mul(cg, *row, cg_int(cg, s->plan->cw)), *column);
  *row = LLVMBuildUDiv(cg->builder, flat, width, "");
  *column = LLVMBuildURem(cg->builder, flat, width, "");
}

LLVMValueRef conv_linear(Cg *cg, LLVMValueRef i, int64_t step, int64_t origin) {
  return cg_add(cg, cg_mul(cg, i, cg_int(cg, step)), cg_int(cg, origin));
}

/* The element `row` rows of the tile and `column` channels from where the site is. */
static void locate(const Site *s, LLVMValueRef row, LLVMValueRef column, LLVMValueRef index[4]) {
  Cg *cg = s->cg;
  const ConvGrid *g = s->grid;
  LLVMValueRef sample = s->sample, pixel = s->pixel;
  if (s->plan->side) {
    sample = cg_add(cg, sample, row);
  } else {
    pixel = cg_add(cg, pixel, row);
  }
  index[0] = sample;
  index[1] = conv_linear(cg, s->row, g->osh, g->oh0);
  index[2] = conv_linear(cg, pixel, g->osw, g->ow0);
  index[3] = cg_add(cg, s->channel, column);
  if (s->plan->folded) unfold(s, &index[1], &index[2]);
}

static void apply_epilogue(Site *s, LLVMValueRef row, LLVMValueRef column, LLVMValueRef mask,
                           LLVMValueRef value) {
  LLVMValueRef index[4];
  locate(s, row, column, index);
  body_emit(s->cg, s->plan->spec->epilogue, s->buffers, index, s->columns->lanes, mask, value);
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

void conv_store_tile(Site *s, const Micro *m) {
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
    d.to = conv_move(cg, s->c_row, conv_linear(cg, s->pixel, g->osw, g->ow0), p->cc);
    d.to = cg_at(cg, cg->real, d.to, s->channel);
  }
  micro_each(cg, m, store_dense, &d);
}

/* ---- the shelf ---- */

static LLVMValueRef take(const Site *s, LLVMValueRef row, LLVMValueRef column, LLVMValueRef mask) {
  Cg *cg = s->cg;
  LLVMValueRef at = cg_add(cg, cg_mul(cg, row, cg_int(cg, s->columns->width)), column);
  return cg_load(cg, cg->real, cg_at(cg, cg->real, s->shelf, at), s->columns->lanes, mask);
}

static void finish_vector(Site *s, LLVMValueRef row, LLVMValueRef column, LLVMValueRef mask) {
  apply_epilogue(s, row, column, mask, take(s, row, column, mask));
}

/* A long epilogue is emitted once, not for every vector of every kind of tile. */
static void finish_rows(Site *s, int64_t count, int64_t whole, LLVMValueRef rest) {
  Cg *cg = s->cg;
  CgLoop row = cg_loop(cg, cg_int(cg, 0), cg_int(cg, count), 1);
  if (whole) {
    CgLoop column = cg_loop(cg, cg_int(cg, 0), cg_int(cg, whole), s->columns->lanes);
    finish_vector(s, row.index, column.index, NULL);
    cg_loop_end(cg, &column);
  }
  if (rest) finish_vector(s, row.index, cg_int(cg, whole), rest);
  cg_loop_end(cg, &row);
}

/* ---- sums ---- */

/* Vectors next to each other, with the sums of each. */
typedef struct {
  const PointwiseSpec *e;
  Body body;
  int64_t column;
  int vectors, lanes;
  LLVMValueRef mask;                   /* of a single one */
  LLVMValueRef *common[MICRO_VECTORS]; /* values that all rows share */
  LLVMValueRef acc[NEST_REDUCES][MICRO_VECTORS];
} Sums;

static LLVMValueRef column_of(const Site *s, const Sums *u, int v) {
  return cg_int(s->cg, u->column + (int64_t)v * u->lanes);
}

static void sums_begin(Site *s, Sums *u) {
  Cg *cg = s->cg;
  LLVMValueRef index[4];
  u->body = body_new(cg, u->e, s->buffers, u->e->rank - 1);
  for (int v = 0; v < u->vectors; v++) {
    u->common[v] = ARENA_ARRAY(cg->arena, LLVMValueRef, u->e->nvalues + 1);
    locate(s, cg_int(cg, 0), column_of(s, u, v), index);
    body_common(&u->body, index, u->lanes, u->mask, u->common[v]);
    for (int r = 0; r < u->e->nreduces; r++)
      u->acc[r][v] = accumulate_initial(cg, u->e->reduce[r].kind, true, u->lanes);
  }
}

static void sums_row(Site *s, Sums *u, int v, LLVMValueRef row, const CgLoop *l) {
  Cg *cg = s->cg;
  LLVMValueRef index[4], *values = ARENA_ARRAY(cg->arena, LLVMValueRef, u->e->nvalues + 1);
  for (int i = 0; i < u->e->nvalues; i++) values[i] = u->common[v][i];
  locate(s, row, column_of(s, u, v), index);
  body_complete(&u->body, index, u->lanes, u->mask, take(s, row, column_of(s, u, v), u->mask),
                values);
  for (int r = 0; r < u->e->nreduces; r++) {
    const BodyReduce *reduce = &u->e->reduce[r];
    LLVMValueRef x = body_real(cg, values[reduce->value], u->lanes), acc = u->acc[r][v];
    u->acc[r][v] = accumulate_term(cg, reduce->kind, acc, x, u->lanes);
    cg_carry_next((CgLoop *)l, acc, u->acc[r][v]);
    u->acc[r][v] = acc;
  }
}

/* Into the unit's partial sums. */
static void sums_end(Site *s, Sums *u) {
  Cg *cg = s->cg;
  for (int r = 0; r < u->e->nreduces; r++)
    for (int v = 0; v < u->vectors; v++) {
      ReduceKind kind = u->e->reduce[r].kind;
      LLVMValueRef k = cg_add(cg, s->channel, column_of(s, u, v));
      LLVMValueRef at = reduce_partial(cg, u->e, &s->plan->partials, s->buffers, s->unit, r, k);
      LLVMValueRef sum = cg_load(cg, cg->f64, at, u->lanes, u->mask);
      LLVMValueRef row = accumulate_widen(cg, kind, u->acc[r][v], u->lanes);
      cg_store(cg, accumulate_combine(cg, kind, sum, row), at, u->mask);
    }
}

static void finish_columns(Site *s, int64_t count, Sums *u) {
  Cg *cg = s->cg;
  sums_begin(s, u);
  CgLoop l = cg_loop(cg, cg_int(cg, 0), cg_int(cg, count), 1);
  for (int r = 0; r < u->e->nreduces; r++)
    for (int v = 0; v < u->vectors; v++) u->acc[r][v] = cg_carry(cg, &l, u->acc[r][v]);
  for (int v = 0; v < u->vectors; v++) sums_row(s, u, v, l.index, &l);
  cg_loop_end(cg, &l);
  sums_end(s, u);
}

/* How many vectors at once: half of the registers for their sums. */
static int vectors_at_once(const Cg *cg, const PointwiseSpec *e) {
  int registers = 0;
  for (int r = 0; r < e->nreduces; r++) registers += accumulate_registers(cg, e->reduce[r].kind);
  int vectors = cg->registers / 2 / registers;
  return vectors < 1 ? 1 : vectors > MICRO_VECTORS ? MICRO_VECTORS : vectors;
}

static void finish_sums(Site *s, int64_t count, int64_t whole, LLVMValueRef rest) {
  const PointwiseSpec *e = s->plan->spec->epilogue;
  int lanes = s->columns->lanes, vectors = (int)(whole / lanes), most = vectors_at_once(s->cg, e);
  for (int v = 0; v < vectors; v += most) {
    Sums u = {.e = e, .column = (int64_t)v * lanes, .lanes = lanes};
    u.vectors = vectors - v < most ? vectors - v : most;
    finish_columns(s, count, &u);
  }
  if (!rest) return;
  Sums u = {.e = e, .column = whole, .lanes = lanes, .vectors = 1, .mask = rest};
  finish_columns(s, count, &u);
}

void conv_finish_shelf(Site *s, int64_t count) {
  Cg *cg = s->cg;
  const ConvColumns *columns = s->columns;
  bool masked = columns->active < columns->lanes;
  int64_t whole = (int64_t)(columns->vectors - masked) * columns->lanes;
  LLVMValueRef rest = masked ? cg_mask(cg, cg_int(cg, columns->active), columns->lanes) : NULL;
  s->pixel = s->plan->side ? s->pixel : cg_int(cg, 0);
  if (s->plan->spec->epilogue->nreduces)
    finish_sums(s, count, whole, rest);
  else
    finish_rows(s, count, whole, rest);
}

void conv_clear_sums(const Site *s) {
  Cg *cg = s->cg;
  const PointwiseSpec *e = s->plan->spec->epilogue;
  for (int r = 0; e && r < e->nreduces; r++) {
    LLVMValueRef at = reduce_partial(cg, e, &s->plan->partials, s->buffers, s->unit, r, s->channel);
    LLVMBuildMemSet(cg->builder, at, LLVMConstInt(cg->i8, 0, false),
                    cg_int(cg, s->columns->width * 8), 8);
  }
}

void conv_make_shelf(Site *s) {
  const ConvPlan *p = s->plan;
  const PointwiseSpec *e = p->spec->epilogue;
  int64_t pixels = p->side;
  for (int i = 0; i < p->ngrids && !p->side; i++) pixels = conv_max_int(pixels, p->grid[i].gw);
  int64_t size = pixels * p->nr * s->cg->lanes;
  bool sums = e && e->nreduces;
  bool brief = !e || e->nvalues <= FEW_VALUES || size * s->cg->real_bytes > SHELF_BYTES;
  if (brief && !sums) return;
  s->shelf = LLVMBuildArrayAlloca(s->cg->builder, s->cg->real, cg_int(s->cg, size), "shelf");
}
