/* Accumulators of loop nests: one vector for each of the step's vectors when the vectors' dimension
 * is kept; when it is reduced, `unroll` of them to hide latency, added together and across lanes at
 * the end. */
#include "codegen/accumulate.h"
#include "codegen/nest.h"

static bool along_kept(const Nest *n) {
  for (int pos = 0; pos < n->plan.nkept; pos++)
    if (n->plan.order[pos] == n->plan.vdim) return true;
  return false;
}

static int acc_lanes(const Nest *n) { return along_kept(n) ? n->lanes : n->cg->lanes; }

/* ---- carrying ---- */

void nest_carry(Nest *n, CgLoop *l, NestCarry *c) {
  if (!n->open) return;
  for (int r = 0; r < n->spec->nreduces; r++)
    for (int j = 0; j < n->naccs; j++)
      c->phi[r][j] = n->acc[r][j] = cg_carry(n->cg, l, n->acc[r][j]);
}

void nest_carry_end(Nest *n, CgLoop *l, NestCarry *c) {
  if (!n->open) return;
  for (int r = 0; r < n->spec->nreduces; r++)
    for (int j = 0; j < n->naccs; j++) {
      cg_carry_next(l, c->phi[r][j], n->acc[r][j]);
      n->acc[r][j] = c->phi[r][j];
    }
}

/* ---- accumulating ---- */

/* A vector's term for accumulators across lanes: masked-off lanes change nothing, a scalar goes
 * into lane 0. */
static LLVMValueRef term(Nest *n, ReduceKind kind, LLVMValueRef v, int vector) {
  Cg *cg = n->cg;
  LLVMValueRef none = accumulate_nothing(cg, kind, acc_lanes(n));
  if (n->lanes < acc_lanes(n))
    return LLVMBuildInsertElement(cg->builder, none, v, LLVMConstInt(cg->i32, 0, false), "");
  LLVMValueRef mask = nest_mask(n, vector);
  return mask ? LLVMBuildSelect(cg->builder, mask, v, none, "") : v;
}

void nest_accumulate(Nest *n) {
  bool kept = along_kept(n);
  for (int r = 0; r < n->spec->nreduces; r++)
    for (int j = 0; j < n->vectors; j++) {
      const BodyReduce *reduce = &n->spec->reduce[r];
      LLVMValueRef v = body_real(n->cg, nest_get(n, reduce->value, j), n->lanes);
      if (!kept) v = term(n, reduce->kind, v, j);
      n->acc[r][j] = accumulate_term(n->cg, reduce->kind, n->acc[r][j], v, acc_lanes(n));
    }
}

/* Accumulators across lanes into the first, pairwise. */
static void gather_vectors(Nest *n, int r, ReduceKind kind) {
  for (int width = n->naccs / 2; width; width /= 2)
    for (int j = 0; j < width; j++)
      n->acc[r][j] = accumulate_combine(n->cg, kind, n->acc[r][j], n->acc[r][j + width]);
}

/* Across the lanes of one vector, halving. */
static LLVMValueRef across(Cg *cg, ReduceKind kind, LLVMValueRef v, int lanes) {
  LLVMValueRef index[64];
  for (; lanes > 1; lanes /= 2) {
    LLVMValueRef half[2];
    for (int h = 0; h < 2; h++) {
      for (int i = 0; i < lanes / 2; i++)
        index[i] = LLVMConstInt(cg->i32, (unsigned)(i + h * lanes / 2), false);
      LLVMValueRef select = LLVMConstVector(index, (unsigned)(lanes / 2));
      half[h] = LLVMBuildShuffleVector(cg->builder, v, LLVMGetPoison(LLVMTypeOf(v)), select, "");
    }
    v = accumulate_combine(cg, kind, half[0], half[1]);
  }
  return LLVMBuildExtractElement(cg->builder, v, LLVMConstInt(cg->i32, 0, false), "");
}

/* ---- levels ---- */

static void start(Nest *n, bool narrow) {
  n->narrow = narrow;
  n->naccs = along_kept(n) ? n->vectors : narrow ? n->plan.unroll : 1;
  for (int r = 0; r < n->spec->nreduces; r++)
    for (int j = 0; j < n->naccs; j++)
      n->acc[r][j] = accumulate_initial(n->cg, n->spec->reduce[r].kind, narrow, acc_lanes(n));
}

/* The f32 level's sums added to the f64 ones. */
static void narrow_into(Nest *n, LLVMValueRef (*wide)[NEST_VECTORS], int nwide) {
  int lanes = acc_lanes(n);
  for (int r = 0; r < n->spec->nreduces; r++) {
    ReduceKind kind = n->spec->reduce[r].kind;
    if (!along_kept(n)) gather_vectors(n, r, kind);
    for (int j = 0; j < nwide; j++)
      n->acc[r][j] = accumulate_combine(n->cg, kind, wide[r][j],
                                        accumulate_widen(n->cg, kind, n->acc[r][j], lanes));
  }
  n->naccs = nwide;
  n->narrow = false;
}

static void one_block(Nest *n, int pos) {
  LLVMValueRef wide[NEST_REDUCES][NEST_VECTORS];
  int nwide = n->naccs;
  for (int r = 0; r < n->spec->nreduces; r++)
    for (int j = 0; j < nwide; j++) wide[r][j] = n->acc[r][j];
  start(n, true);
  nest_run(n, pos);
  narrow_into(n, wide, nwide);
}

void nest_split(Nest *n, int pos) {
  Cg *cg = n->cg;
  int d = n->plan.order[pos];
  if (!n->plan.block) {
    one_block(n, pos);
    return;
  }
  LLVMValueRef lo = n->lo[d], hi = n->hi[d];
  NestCarry c;
  CgLoop l = cg_loop(cg, lo, hi, n->plan.block);
  nest_carry(n, &l, &c);
  LLVMValueRef end = LLVMBuildAdd(cg->builder, l.index, cg_int(cg, n->plan.block), "");
  n->lo[d] = l.index;
  n->hi[d] = cg_min(cg, hi, end);
  one_block(n, pos);
  nest_carry_end(n, &l, &c);
  cg_loop_end(cg, &l);
  n->lo[d] = lo;
  n->hi[d] = hi;
}

/* ---- results ---- */

static void store_result(Nest *n, int r, LLVMValueRef v, int vector, bool kept) {
  Cg *cg = n->cg;
  const View *view = &n->result[r];
  LLVMValueRef at = view_origin(cg, n->buffers, view);
  if (n->result_offset) at = cg_at(cg, view_type(cg, view->elem), at, n->result_offset);
  for (int pos = 0; pos < n->plan.nkept; pos++) {
    int d = n->plan.order[pos];
    at = view_move(cg, view, at, d, n->index[d]);
  }
  int lanes = kept ? n->lanes : 1;
  if (kept) at = view_move(cg, view, at, n->plan.vdim, cg_int(cg, (int64_t)vector * lanes));
  view_store(cg, view->elem, v, at, kept ? view->stride[n->plan.vdim] : 1, lanes,
             kept ? nest_mask(n, vector) : NULL);
}

/* Of reduction r in vector j: the value, or what is known of it so far. */
static LLVMValueRef result_of(Nest *n, int r, int j, int lanes) {
  LLVMValueRef acc[NEST_REDUCES];
  for (int i = 0; i < n->spec->nreduces; i++) acc[i] = n->acc[i][j];
  return n->result_offset ? acc[r] : accumulate_result(n->cg, n->spec, r, acc, n->terms, lanes);
}

static void finish(Nest *n) {
  bool kept = along_kept(n);
  for (int r = 0; r < n->spec->nreduces && !kept; r++) {
    ReduceKind kind = n->spec->reduce[r].kind;
    gather_vectors(n, r, kind);
    n->acc[r][0] = across(n->cg, kind, n->acc[r][0], acc_lanes(n));
  }
  for (int r = 0; r < n->spec->nreduces; r++)
    for (int j = 0; n->result[r].slot >= 0 && j < (kept ? n->naccs : 1); j++)
      store_result(n, r, result_of(n, r, j, kept ? n->lanes : 1), j, kept);
}

void nest_open(Nest *n, int pos) {
  n->open = true;
  start(n, !n->plan.wide);
  nest_run(n, pos);
  finish(n);
  n->open = false;
  n->narrow = false;
}
