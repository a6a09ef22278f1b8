/* Values of a body, kind by kind, and body_emit for epilogues. */
#include "codegen/body.h"

#include "codegen/vecmath.h"

enum { PHILOX_ROUNDS = 10 };

bool body_viewed(const BodyValue *v) {
  return v->kind == BODY_LOAD || v->kind == BODY_GATHER || v->kind == BODY_UNIFORM;
}

int64_t body_stride(const BodyValue *v, int dim) {
  if (v->kind == BODY_COORD) return v->dim == dim;
  return body_viewed(v) ? v->view.stride[dim] : 0;
}

/* By the op's signature: a node may stand in without operands of its own. */
int body_arguments(const BodyValue *v) {
  if (v->kind == BODY_OP) return op_signature(v->node->op)->noperands;
  return v->kind == BODY_SAME ? 2 : v->kind == BODY_GATHER;
}

static uint32_t depends_on(const PointwiseSpec *s, const uint32_t *earlier, int value) {
  const BodyValue *v = &s->value[value];
  uint32_t set = v->kind == BODY_RESULT ? (1u << s->rank) - 1 : 0;
  for (int d = 0; d < s->rank; d++)
    if (body_stride(v, d)) set |= 1u << d;
  for (int i = 0; i < body_arguments(v); i++) set |= earlier[v->arg[i]];
  return set;
}

Body body_new(Cg *cg, const PointwiseSpec *spec, LLVMValueRef buffers, int vdim) {
  Body b = {cg, spec, buffers, vdim, ARENA_ARRAY(cg->arena, uint32_t, spec->nvalues + 1)};
  for (int i = 0; i < spec->nvalues; i++) b.depends[i] = depends_on(spec, b.depends, i);
  return b;
}

/* ---- places ---- */

LLVMValueRef body_place(const Body *b, int value) {
  const BodyValue *v = &b->spec->value[value];
  switch (v->kind) {
    case BODY_LOAD:
    case BODY_GATHER:
      return view_origin(b->cg, b->buffers, &v->view);
    case BODY_UNIFORM:
      return cg_int(b->cg, v->view.offset);
    case BODY_COORD:
      return cg_int(b->cg, 0);
    default:
      return NULL;
  }
}

LLVMValueRef body_move(const Body *b, int value, LLVMValueRef place, int dim, LLVMValueRef count) {
  const BodyValue *v = &b->spec->value[value];
  int64_t stride = body_stride(v, dim);
  if (!stride) return place;
  if (v->kind == BODY_LOAD || v->kind == BODY_GATHER)
    return view_move(b->cg, &v->view, place, dim, count);
  return cg_add(b->cg, place, cg_mul(b->cg, count, cg_int(b->cg, stride)));
}

/* ---- kinds ---- */

/* first, first + stride, ... as i64 vectors. */
static LLVMValueRef series(Cg *cg, LLVMValueRef first, int64_t stride, int lanes) {
  if (lanes == 1) return first;
  LLVMValueRef each[64];
  for (int i = 0; i < lanes; i++) each[i] = cg_int(cg, i * stride);
  return LLVMBuildAdd(cg->builder, cg_splat(cg, first, lanes),
                      LLVMConstVector(each, (unsigned)lanes), "");
}

static LLVMValueRef coordinate(const Body *b, const BodyValue *v, const BodyPoint *at) {
  Cg *cg = b->cg;
  LLVMValueRef index = series(cg, at->place, body_stride(v, b->vdim), at->lanes);
  return LLVMBuildTrunc(cg->builder, index, cg_vector(cg, cg->i32, at->lanes), "");
}

static LLVMValueRef same(const Body *b, const BodyValue *v, const BodyPoint *at) {
  Cg *cg = b->cg;
  LLVMValueRef x[2];
  for (int i = 0; i < 2; i++) x[i] = body_widen(cg, at->earlier[v->arg[i]], at->lanes);
  LLVMValueRef equal = LLVMBuildICmp(cg->builder, LLVMIntEQ, x[0], x[1], "");
  return LLVMBuildUIToFP(cg->builder, equal, cg_vector(cg, cg->real, at->lanes), "");
}

static LLVMValueRef operation(const Body *b, const BodyValue *v, const BodyPoint *at) {
  VecMath m = vecmath_new(b->cg, at->lanes);
  EmitValue x[SIG_OPERANDS];
  for (int i = 0; i < body_arguments(v); i++)
    x[i] = vecmath_in(body_real(b->cg, at->earlier[v->arg[i]], at->lanes));
  return vecmath_out(op_info[v->node->op].emit(&m.emit, v->node, x));
}

/* The moved-by index as i64, 0 where out of range, and the lanes in range. */
static LLVMValueRef gather_index(Cg *cg, const BodyValue *v, LLVMValueRef index, int lanes,
                                 LLVMValueRef *inside) {
  LLVMBuilderRef b = cg->builder;
  LLVMValueRef wide = LLVMBuildSExt(b, index, cg_vector(cg, cg->i64, lanes), "");
  LLVMValueRef end = cg_splat(cg, cg_int(cg, (int64_t)v->number), lanes);
  *inside = LLVMBuildICmp(b, LLVMIntULT, wide, end, "");
  return LLVMBuildSelect(b, *inside, wide, cg_splat(cg, cg_int(cg, 0), lanes), "");
}

/* An index common to all lanes moves the whole vector; otherwise every lane has an address of its
 * own. */
static LLVMValueRef gather(const Body *b, const BodyValue *v, const BodyPoint *at) {
  Cg *cg = b->cg;
  LLVMTypeRef type = view_type(cg, v->view.elem);
  LLVMValueRef integer = at->earlier[v->arg[0]], inside;
  bool common = !body_along(b, v->arg[0]);
  int lanes = at->lanes, wide = common ? 1 : lanes;
  LLVMValueRef index = gather_index(cg, v, body_widen(cg, integer, wide), wide, &inside);
  LLVMValueRef steps =
      LLVMBuildMul(cg->builder, index, cg_splat(cg, cg_int(cg, v->view_step), wide), "");
  LLVMValueRef mask = body_widen(cg, inside, lanes);
  if (at->mask) mask = LLVMBuildAnd(cg->builder, mask, body_widen(cg, at->mask, lanes), "");
  int64_t stride = v->view.stride[b->vdim];
  if (common || lanes == 1)
    return view_load(cg, v->view.elem, cg_at(cg, type, at->place, steps), stride, lanes, mask);
  LLVMValueRef all = LLVMBuildAdd(cg->builder, steps, series(cg, cg_int(cg, 0), stride, lanes), "");
  return view_gather(cg, v->view.elem, LLVMBuildGEP2(cg->builder, type, at->place, &all, 1, ""),
                     lanes, mask);
}

/* One Philox round on vectors of u32 kept in u64 lanes: the product of two of them is exact there.
 */
static void philox_round(Cg *cg, LLVMValueRef x[4], LLVMValueRef k0, LLVMValueRef k1, int lanes) {
  LLVMBuilderRef b = cg->builder;
  LLVMValueRef low = cg_splat(cg, cg_int(cg, 0xffffffff), lanes),
               up = cg_splat(cg, cg_int(cg, 32), lanes);
  LLVMValueRef p0 = LLVMBuildMul(b, x[0], cg_splat(cg, cg_int(cg, 0xD2511F53), lanes), "");
  LLVMValueRef p1 = LLVMBuildMul(b, x[2], cg_splat(cg, cg_int(cg, 0xCD9E8D57), lanes), "");
  LLVMValueRef high0 = LLVMBuildLShr(b, p0, up, ""), high1 = LLVMBuildLShr(b, p1, up, "");
  x[0] = LLVMBuildXor(b, LLVMBuildXor(b, high1, x[1], ""), k0, "");
  x[1] = LLVMBuildAnd(b, p1, low, "");
  x[2] = LLVMBuildXor(b, LLVMBuildXor(b, high0, x[3], ""), k1, "");
  x[3] = LLVMBuildAnd(b, p0, low, "");
}

/* The key of the next round, as u32 in i64. */
static LLVMValueRef next_key(Cg *cg, LLVMValueRef k, int64_t step) {
  LLVMValueRef sum = LLVMBuildAdd(cg->builder, k, cg_int(cg, step), "");
  return LLVMBuildAnd(cg->builder, sum, cg_int(cg, 0xffffffff), "");
}

static LLVMValueRef low_word(Cg *cg, LLVMValueRef v, int lanes) {
  return LLVMBuildAnd(cg->builder, v, cg_splat(cg, cg_int(cg, 0xffffffff), lanes), "");
}

static LLVMValueRef high_word(Cg *cg, LLVMValueRef v, int lanes) {
  return LLVMBuildLShr(cg->builder, v, cg_splat(cg, cg_int(cg, 32), lanes), "");
}

static LLVMValueRef uniform(const Body *b, const BodyValue *v, const BodyPoint *at) {
  Cg *cg = b->cg;
  int lanes = at->lanes;
  LLVMValueRef words = cg_buffer(cg, b->buffers, v->view.slot);
  LLVMValueRef seed = cg_invariant(cg, cg_load(cg, cg->i64, words, 1, NULL));
  LLVMValueRef second = cg_at(cg, cg->i64, words, cg_int(cg, 1));
  LLVMValueRef step = cg_invariant(cg, cg_load(cg, cg->i64, second, 1, NULL));
  LLVMValueRef element = series(cg, at->place, v->view.stride[b->vdim], lanes);
  LLVMValueRef x[4] = {low_word(cg, element, lanes), high_word(cg, element, lanes),
                       cg_splat(cg, cg_int(cg, v->stream), lanes),
                       cg_splat(cg, low_word(cg, step, 1), lanes)};
  LLVMValueRef k0 = low_word(cg, seed, 1), k1 = high_word(cg, seed, 1);
  for (int i = 0; i < PHILOX_ROUNDS; i++) {
    philox_round(cg, x, cg_splat(cg, k0, lanes), cg_splat(cg, k1, lanes), lanes);
    k0 = next_key(cg, k0, 0x9E3779B9);
    k1 = next_key(cg, k1, 0xBB67AE85);
  }
  LLVMValueRef bits = LLVMBuildTrunc(cg->builder, x[0], cg_vector(cg, cg->i32, lanes), "");
  LLVMValueRef top =
      LLVMBuildLShr(cg->builder, bits, cg_splat(cg, LLVMConstInt(cg->i32, 8, false), lanes), "");
  LLVMValueRef real = LLVMBuildSIToFP(cg->builder, top, cg_vector(cg, cg->real, lanes), "");
  return LLVMBuildFMul(cg->builder, real, cg_splat(cg, cg_real(cg, 0x1p-24), lanes), "");
}

LLVMValueRef body_value(const Body *b, int value, const BodyPoint *at) {
  const BodyValue *v = &b->spec->value[value];
  switch (v->kind) {
    case BODY_LOAD:
      return view_load(b->cg, v->view.elem, at->place, v->view.stride[b->vdim], at->lanes,
                       at->mask);
    case BODY_CONSTANT:
      return cg_real(b->cg, v->number);
    case BODY_INTEGER:
      return LLVMConstInt(b->cg->i32, (uint64_t)(int64_t)v->number, true);
    case BODY_SAME:
      return same(b, v, at);
    case BODY_OP:
      return operation(b, v, at);
    case BODY_COORD:
      return coordinate(b, v, at);
    case BODY_GATHER:
      return gather(b, v, at);
    case BODY_UNIFORM:
      return uniform(b, v, at);
    case BODY_RESULT:
      return at->result;
  }
  return NULL;
}

/* ---- epilogues ---- */

static LLVMValueRef place_at(const Body *b, int value, const LLVMValueRef *index) {
  LLVMValueRef place = body_place(b, value);
  for (int d = 0; place && d < b->spec->rank; d++) place = body_move(b, value, place, d, index[d]);
  return place;
}

static void compute_at(const Body *b, int i, const LLVMValueRef *index, int lanes,
                       LLVMValueRef mask, LLVMValueRef result, LLVMValueRef *values) {
  bool along = body_along(b, i);
  BodyPoint at = {place_at(b, i, index), along ? mask : NULL, result, values, along ? lanes : 1};
  values[i] = body_value(b, i, &at);
}

void body_common(const Body *b, const LLVMValueRef *index, int lanes, LLVMValueRef mask,
                 LLVMValueRef *values) {
  for (int i = 0; i < b->spec->nvalues; i++)
    if (!(b->depends[i] & ~(1u << b->vdim))) compute_at(b, i, index, lanes, mask, NULL, values);
}

void body_complete(const Body *b, const LLVMValueRef *index, int lanes, LLVMValueRef mask,
                   LLVMValueRef result, LLVMValueRef *values) {
  const PointwiseSpec *spec = b->spec;
  for (int i = 0; i < spec->nvalues; i++)
    if (!values[i]) compute_at(b, i, index, lanes, mask, result, values);
  for (int s = 0; s < spec->nstores; s++) {
    const View *view = &spec->store[s].view;
    LLVMValueRef address = view_origin(b->cg, b->buffers, view);
    for (int d = 0; d < spec->rank; d++) address = view_move(b->cg, view, address, d, index[d]);
    view_store(b->cg, view->elem, values[spec->store[s].value], address, view->stride[b->vdim],
               lanes, mask);
  }
}

void body_prefetch(const Body *b, const LLVMValueRef *index) {
  uint32_t along = 1u << b->vdim;
  for (int i = 0; i < b->spec->nvalues; i++)
    if (b->spec->value[i].kind == BODY_LOAD && b->depends[i] & along && b->depends[i] & ~along)
      cg_prefetch(b->cg, place_at(b, i, index), CG_TO_L2);
}

void body_emit(Cg *cg, const PointwiseSpec *spec, LLVMValueRef buffers, const LLVMValueRef *index,
               int lanes, LLVMValueRef mask, LLVMValueRef result) {
  Body b = body_new(cg, spec, buffers, spec->rank - 1);
  body_complete(&b, index, lanes, mask, result,
                ARENA_ARRAY(cg->arena, LLVMValueRef, spec->nvalues + 1));
}
