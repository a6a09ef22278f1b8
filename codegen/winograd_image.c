/* The transforms of images, for winograd.c: from what the tiles of a unit see to V, and from the
 * products M to pixels, through the epilogue. */
#include "codegen/accumulate.h"
#include "codegen/body.h"
#include "codegen/winograd.h"

/* ---- V = B^T d B ---- */

static void see_line(Cg *cg, const LLVMValueRef *d, LLVMValueRef *out) {
  LLVMBuilderRef b = cg->builder;
  out[0] = LLVMBuildFSub(b, d[0], d[2], "");
  out[1] = LLVMBuildFAdd(b, d[1], d[2], "");
  out[2] = LLVMBuildFSub(b, d[2], d[1], "");
  out[3] = LLVMBuildFSub(b, d[1], d[3], "");
}

/* Pixel 2 * tile + from of an axis, and whether that is inside; NULL where it always is. */
static LLVMValueRef seen(Cg *cg, LLVMValueRef tile, int64_t tiles, int64_t from, int64_t extent,
                         LLVMValueRef *inside) {
  LLVMValueRef at = cg_add(cg, cg_mul(cg, tile, cg_int(cg, 2)), cg_int(cg, from));
  bool always = from >= 0 && 2 * (tiles - 1) + from < extent;
  *inside = always ? NULL : LLVMBuildICmp(cg->builder, LLVMIntULT, at, cg_int(cg, extent), "");
  return at;
}

static LLVMValueRef both(Cg *cg, LLVMValueRef a, LLVMValueRef b) {
  return a && b ? LLVMBuildAnd(cg->builder, a, b, "") : a ? a : b;
}

/* Where the 4x4 pixels are; those in the padding are at the zeros. */
static void find_pixels(const WinogradUnit *u, const WinogradTile *t, LLVMValueRef *pixel) {
  Cg *cg = u->cg;
  const Winograd *w = u->w;
  const ConvPlan *p = w->conv;
  LLVMValueRef image = conv_at(cg, cg_buffer(cg, u->buffers, p->a), p->a_offset), row_in, in;
  image = conv_move(cg, image, t->sample, p->ah * p->aw * p->ac);
  for (int i = 0; i < 4; i++) {
    LLVMValueRef row = seen(cg, t->row, w->down, w->h0 + i, p->ah, &row_in);
    LLVMValueRef line = conv_move(cg, image, row, p->aw * p->ac);
    for (int j = 0; j < 4; j++) {
      LLVMValueRef column = seen(cg, t->column, w->across, w->w0 + j, p->aw, &in);
      LLVMValueRef at = conv_move(cg, line, column, p->ac);
      in = both(cg, row_in, in);
      pixel[4 * i + j] = in ? LLVMBuildSelect(cg->builder, in, at, u->zeros, "") : at;
    }
  }
}

static void see_vector(const WinogradUnit *u, const LLVMValueRef *pixel, LLVMValueRef to,
                       LLVMValueRef channel, int lanes, LLVMValueRef mask) {
  Cg *cg = u->cg;
  LLVMValueRef d[WINOGRAD_ELEMENTS], v[WINOGRAD_ELEMENTS];
  for (int i = 0; i < WINOGRAD_ELEMENTS; i++)
    d[i] = cg_load(cg, cg->real, cg_at(cg, cg->real, pixel[i], channel), lanes, mask);
  winograd_both(cg, see_line, 4, 4, d, v);
  to = cg_at(cg, cg->real, to, channel);
  for (int i = 0; i < WINOGRAD_ELEMENTS; i++)
    cg_store(cg, v[i], conv_at(cg, to, i * u->w->block * u->w->depth), mask);
}

void winograd_see(const WinogradUnit *u) {
  Cg *cg = u->cg;
  LLVMValueRef pixel[WINOGRAD_ELEMENTS];
  CgLoop tile = cg_loop(cg, cg_int(cg, 0), u->count, 1);
  WinogradTile t = winograd_tile(u, tile.index);
  find_pixels(u, &t, pixel);
  LLVMValueRef to = conv_move(cg, u->v, tile.index, u->w->depth);
  for (int i = 0; i < u->w->vectors.count; i++) {
    const ConvColumns *run = &u->w->vectors.run[i];
    LLVMValueRef mask = NULL;
    if (run->active < run->lanes) mask = cg_mask(cg, cg_int(cg, run->active), run->lanes);
    CgLoop l =
        cg_loop(cg, cg_int(cg, run->at), cg_int(cg, run->at + run->tiles * run->width), run->width);
    see_vector(u, pixel, to, l.index, run->lanes, mask);
    cg_loop_end(cg, &l);
  }
  cg_loop_end(cg, &tile);
}

/* ---- Y = A^T M A ---- */

static void put_line(Cg *cg, const LLVMValueRef *m, LLVMValueRef *out) {
  LLVMBuilderRef b = cg->builder;
  out[0] = LLVMBuildFAdd(b, LLVMBuildFAdd(b, m[0], m[1], ""), m[2], "");
  out[1] = LLVMBuildFSub(b, LLVMBuildFSub(b, m[1], m[2], ""), m[3], "");
}

/* A vector of channels of all tiles: what they share, and sums over their pixels. */
typedef struct {
  const WinogradUnit *u;
  const PointwiseSpec *e; /* or NULL */
  Body body;
  LLVMValueRef column; /* in the panel */
  LLVMValueRef mask;
  int lanes;
  LLVMValueRef *common; /* values that do not depend on the pixel */
  LLVMValueRef acc[NEST_REDUCES];
} Put;

static LLVMValueRef channel_of(const Put *p) { return cg_add(p->u->cg, p->u->channel, p->column); }

/* A pixel through the epilogue, into the sums. */
static void finish_pixel(Put *p, const LLVMValueRef *index, LLVMValueRef result) {
  Cg *cg = p->u->cg;
  LLVMValueRef *values = ARENA_ARRAY(cg->arena, LLVMValueRef, p->e->nvalues + 1);
  for (int i = 0; i < p->e->nvalues; i++) values[i] = p->common[i];
  body_complete(&p->body, index, p->lanes, p->mask, result, values);
  for (int r = 0; r < p->e->nreduces; r++) {
    const BodyReduce *reduce = &p->e->reduce[r];
    LLVMValueRef x = body_real(cg, values[reduce->value], p->lanes);
    p->acc[r] = accumulate_term(cg, reduce->kind, p->acc[r], x, p->lanes);
  }
}

static void store_pixel(Put *p, const LLVMValueRef *index, LLVMValueRef result) {
  Cg *cg = p->u->cg;
  const ConvPlan *c = p->u->w->conv;
  if (p->e) {
    finish_pixel(p, index, result);
    return;
  }
  LLVMValueRef at = conv_at(cg, cg_buffer(cg, p->u->buffers, c->c), c->c_offset);
  at = conv_move(cg, at, index[0], c->ch * c->cw * c->cc);
  at = conv_move(cg, at, index[1], c->cw * c->cc);
  at = conv_move(cg, at, index[2], c->cc);
  cg_store(cg, result, cg_at(cg, cg->real, at, index[3]), p->mask);
}

/* Where an image has an odd number of rows or columns, tiles reach over its end. */
static void store_if_inside(Put *p, const LLVMValueRef *index, LLVMValueRef inside,
                            LLVMValueRef result) {
  Cg *cg = p->u->cg;
  if (!inside) {
    store_pixel(p, index, result);
    return;
  }
  LLVMValueRef before[NEST_REDUCES];
  LLVMBasicBlockRef outer = LLVMGetInsertBlock(cg->builder);
  int sums = p->e ? p->e->nreduces : 0;
  for (int r = 0; r < sums; r++) before[r] = p->acc[r];
  CgIf some = cg_if(cg, inside);
  store_pixel(p, index, result);
  LLVMBasicBlockRef inner = LLVMGetInsertBlock(cg->builder);
  cg_if_end(cg, &some);
  for (int r = 0; r < sums; r++) {
    LLVMValueRef phi = LLVMBuildPhi(cg->builder, LLVMTypeOf(before[r]), "");
    LLVMAddIncoming(phi, (LLVMValueRef[]){before[r], p->acc[r]},
                    (LLVMBasicBlockRef[]){outer, inner}, 2);
    p->acc[r] = phi;
  }
}

static void put_tile(Put *p, LLVMValueRef tile) {
  const WinogradUnit *u = p->u;
  Cg *cg = u->cg;
  const Winograd *w = u->w;
  LLVMValueRef m[WINOGRAD_ELEMENTS], y[4], row_in, in;
  LLVMValueRef from = conv_move(cg, u->m, tile, u->columns->width);
  from = cg_at(cg, cg->real, from, p->column);
  for (int i = 0; i < WINOGRAD_ELEMENTS; i++)
    m[i] = cg_load(cg, cg->real, conv_at(cg, from, i * w->block * u->columns->width), p->lanes,
                   p->mask);
  winograd_both(cg, put_line, 4, 2, m, y);
  WinogradTile t = winograd_tile(u, tile);
  for (int i = 0; i < 2; i++) {
    LLVMValueRef row = seen(cg, t.row, w->down, i, w->conv->ch, &row_in);
    for (int j = 0; j < 2; j++) {
      LLVMValueRef column = seen(cg, t.column, w->across, j, w->conv->cw, &in);
      LLVMValueRef index[] = {t.sample, row, column, channel_of(p)};
      store_if_inside(p, index, both(cg, row_in, in), y[2 * i + j]);
    }
  }
}

static void put_begin(Put *p) {
  Cg *cg = p->u->cg;
  LLVMValueRef zero = cg_int(cg, 0), index[] = {zero, zero, zero, channel_of(p)};
  if (!p->e) return;
  p->body = body_new(cg, p->e, p->u->buffers, p->e->rank - 1);
  p->common = ARENA_ARRAY(cg->arena, LLVMValueRef, p->e->nvalues + 1);
  body_common(&p->body, index, p->lanes, p->mask, p->common);
  for (int r = 0; r < p->e->nreduces; r++)
    p->acc[r] = accumulate_initial(cg, p->e->reduce[r].kind, true, p->lanes);
}

/* To the block's partial sums. */
static void put_end(Put *p) {
  const WinogradUnit *u = p->u;
  Cg *cg = u->cg;
  for (int r = 0; p->e && r < p->e->nreduces; r++) {
    LLVMValueRef at =
        reduce_partial(cg, p->e, &u->w->conv->partials, u->buffers, u->block, r, channel_of(p));
    cg_store(cg, accumulate_widen(cg, p->e->reduce[r].kind, p->acc[r], p->lanes), at, p->mask);
  }
}

static void put_vector(const WinogradUnit *u, LLVMValueRef column, LLVMValueRef mask) {
  Cg *cg = u->cg;
  Put p = {.u = u,
           .e = u->w->conv->spec->epilogue,
           .column = column,
           .mask = mask,
           .lanes = u->columns->lanes};
  LLVMValueRef phi[NEST_REDUCES];
  int sums = p.e ? p.e->nreduces : 0;
  put_begin(&p);
  CgLoop tile = cg_loop(cg, cg_int(cg, 0), u->count, 1);
  for (int r = 0; r < sums; r++) phi[r] = p.acc[r] = cg_carry(cg, &tile, p.acc[r]);
  put_tile(&p, tile.index);
  for (int r = 0; r < sums; r++) cg_carry_next(&tile, phi[r], p.acc[r]);
  cg_loop_end(cg, &tile);
  for (int r = 0; r < sums; r++) p.acc[r] = phi[r];
  put_end(&p);
}

void winograd_put(const WinogradUnit *u) {
  Cg *cg = u->cg;
  const ConvColumns *c = u->columns;
  bool masked = c->active < c->lanes;
  int64_t whole = (int64_t)(c->vectors - masked) * c->lanes;
  if (whole) {
    CgLoop l = cg_loop(cg, cg_int(cg, 0), cg_int(cg, whole), c->lanes);
    put_vector(u, l.index, NULL);
    cg_loop_end(cg, &l);
  }
  if (masked) put_vector(u, cg_int(cg, whole), cg_mask(cg, cg_int(cg, c->active), c->lanes));
}
