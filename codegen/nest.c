/* Emits loop nests: plain loops, the loop along the vectors with its rest, and the values at each
 * level. */
#include "codegen/nest.h"

#include <string.h>

static int level_of(const NestPlan *p, uint32_t depends) {
  for (int pos = p->count - 1; pos >= 0; pos--)
    if (depends >> p->order[pos] & 1) return pos;
  return -1;
}

LLVMValueRef nest_mask(const Nest *n, int vector) {
  return n->rows || vector == n->vectors - 1 ? n->mask : NULL;
}

/* Whether a value differs from vector to vector of a step. */
static bool varies(const Nest *n, int value) {
  return n->body.depends[value] >> (n->rows ? n->across : n->plan.vdim) & 1;
}

LLVMValueRef nest_get(Nest *n, int value, int vector) {
  return n->value[value][varies(n, value) ? vector : 0];
}

/* ---- values ---- */

/* How far vector number `vector` of a step is from the first, and along what. */
static LLVMValueRef step_to(const Nest *n, int vector, int *dim) {
  *dim = n->rows ? n->across : n->plan.vdim;
  return cg_int(n->cg, n->rows ? vector : (int64_t)vector * n->lanes);
}

static void compute(Nest *n, int i, int vector, LLVMValueRef *earlier) {
  bool along = body_along(&n->body, i);
  for (int k = 0; k < i; k++) earlier[k] = nest_get(n, k, vector);
  LLVMValueRef place = n->place[i];
  int dim;
  LLVMValueRef skip = step_to(n, vector, &dim);
  if (place && vector) place = body_move(&n->body, i, place, dim, skip);
  BodyPoint at = {place, along ? nest_mask(n, vector) : NULL, NULL, earlier, along ? n->lanes : 1};
  n->value[i][vector] = body_value(&n->body, i, &at);
}

static bool lies_across(const Nest *n, int i, int dim) {
  const BodyValue *v = &n->spec->value[i];
  int64_t stride = v->view.stride[n->plan.vdim];
  return v->kind == BODY_LOAD && v->view.elem == MEM_REAL && stride != 0 && stride != 1 &&
         v->view.stride[dim] == 1;
}

/* All values that become known at a loop. */
static void compute_level(Nest *n, int pos) {
  LLVMValueRef *earlier = ARENA_ARRAY(n->cg->arena, LLVMValueRef, n->spec->nvalues + 1);
  for (int i = 0; i < n->spec->nvalues; i++) {
    if (n->level[i] != pos) continue;
    if (n->rows && !n->mask && n->lanes == n->cg->lanes && lies_across(n, i, n->across)) {
      view_load_lines(n->cg, n->place[i], n->spec->value[i].view.stride[n->plan.vdim], n->lanes,
                      n->value[i]);
      continue;
    }
    int vectors = varies(n, i) ? n->vectors : 1;
    for (int j = 0; j < vectors; j++) compute(n, i, j, earlier);
  }
}

/* Moves everything along the dimension of loop `pos` to `index`. */
static void enter(Nest *n, int pos, LLVMValueRef index) {
  int d = n->plan.order[pos];
  n->index[d] = index;
  for (int i = 0; i < n->spec->nvalues; i++)
    if (n->place[i]) n->place[i] = body_move(&n->body, i, n->place[i], d, index);
  for (int s = 0; s < n->spec->nstores; s++)
    n->address[s] = view_move(n->cg, &n->spec->store[s].view, n->address[s], d, index);
  compute_level(n, pos);
}

static LLVMValueRef *copy(Cg *cg, LLVMValueRef *from, int count) {
  LLVMValueRef *to = ARENA_ARRAY(cg->arena, LLVMValueRef, count + 1);
  if (count) memcpy(to, from, (size_t)count * sizeof *to);
  return to;
}

/* The body of loop `pos` at one index. */
static void visit(Nest *n, int pos, LLVMValueRef index) {
  LLVMValueRef *place = n->place, *address = n->address;
  n->place = copy(n->cg, place, n->spec->nvalues);
  n->address = copy(n->cg, address, n->spec->nstores);
  enter(n, pos, index);
  nest_run(n, pos + 1);
  n->place = place;
  n->address = address;
}

/* ---- loops ---- */

/* lo plus as much of hi - lo as is a multiple of the power of two `step`. */
static LLVMValueRef whole_steps(Cg *cg, LLVMValueRef lo, LLVMValueRef hi, int64_t step) {
  LLVMValueRef total = LLVMBuildSub(cg->builder, hi, lo, "");
  return LLVMBuildAdd(cg->builder, lo, LLVMBuildAnd(cg->builder, total, cg_int(cg, -step), ""), "");
}

/* Groups of rows, then those that are left one by one. */
static void rows_loop(Nest *n, int pos, LLVMValueRef lo, LLVMValueRef hi) {
  int group = view_group(n->cg);
  LLVMValueRef end = whole_steps(n->cg, lo, hi, group);
  for (int rest = 0; rest < 2; rest++) {
    if ((rest ? end : lo) == (rest ? hi : end)) continue; /* constants are unique */
    CgLoop l = cg_loop(n->cg, rest ? end : lo, rest ? hi : end, rest ? 1 : group);
    n->rows = !rest;
    n->vectors = rest ? 1 : group;
    visit(n, pos, l.index);
    cg_loop_end(n->cg, &l);
  }
  n->rows = false;
}

static void plain_loop(Nest *n, int pos) {
  int d = n->plan.order[pos];
  if (n->single[d]) {
    visit(n, pos, n->lo[d]);
    return;
  }
  if (d == n->across) {
    rows_loop(n, pos, n->lo[d], n->hi[d]);
    return;
  }
  NestCarry c;
  CgLoop l = cg_loop(n->cg, n->lo[d], n->hi[d], 1);
  nest_carry(n, &l, &c);
  visit(n, pos, l.index);
  nest_carry_end(n, &l, &c);
  cg_loop_end(n->cg, &l);
}

static int unroll_of(const Nest *n) { return n->rows ? 1 : n->plan.unroll; }

static void vectors_at(Nest *n, int pos, int lanes, int vectors, LLVMValueRef mask,
                       LLVMValueRef index) {
  n->lanes = lanes;
  if (!n->rows) n->vectors = vectors;
  n->mask = mask;
  visit(n, pos, index);
}

/* Steps of `vectors` whole vectors from lo to hi; with `masked`, one vector a step, cut off at hi.
 */
static void vector_steps(Nest *n, int pos, LLVMValueRef lo, LLVMValueRef hi, int lanes, int vectors,
                         bool masked) {
  NestCarry c;
  CgLoop l = cg_loop(n->cg, lo, hi, (int64_t)lanes * vectors);
  nest_carry(n, &l, &c);
  LLVMValueRef left = masked ? LLVMBuildSub(n->cg->builder, hi, l.index, "") : NULL;
  vectors_at(n, pos, lanes, vectors, masked ? cg_mask(n->cg, left, lanes) : NULL, l.index);
  nest_carry_end(n, &l, &c);
  cg_loop_end(n->cg, &l);
}

/* What is left of a constant extent, less than one step. */
static void constant_rest(Nest *n, int pos, int64_t lo, int64_t rest) {
  Cg *cg = n->cg;
  int lanes = cg->lanes, whole = (int)(rest / lanes), odd = (int)(rest % lanes);
  if (odd && cg->masks) {
    vectors_at(n, pos, lanes, whole + 1, cg_mask(cg, cg_int(cg, odd), lanes), cg_int(cg, lo));
    return;
  }
  if (whole) vectors_at(n, pos, lanes, whole, NULL, cg_int(cg, lo));
  if (odd) vector_steps(n, pos, cg_int(cg, lo + whole * lanes), cg_int(cg, lo + rest), 1, 1, false);
}

static void constant_vectors(Nest *n, int pos, int64_t lo, int64_t hi) {
  Cg *cg = n->cg;
  int unroll = unroll_of(n);
  int64_t step = (int64_t)cg->lanes * unroll, steps = (hi - lo) / step, at = lo + steps * step;
  if (steps == 1) vectors_at(n, pos, cg->lanes, unroll, NULL, cg_int(cg, lo));
  if (steps > 1) vector_steps(n, pos, cg_int(cg, lo), cg_int(cg, at), cg->lanes, unroll, false);
  if (at < hi) constant_rest(n, pos, at, hi - at);
}

static void run_time_vectors(Nest *n, int pos, LLVMValueRef lo, LLVMValueRef hi) {
  Cg *cg = n->cg;
  int lanes = cg->lanes, unroll = unroll_of(n);
  LLVMValueRef main_end = whole_steps(cg, lo, hi, (int64_t)lanes * unroll);
  LLVMValueRef vector_end = whole_steps(cg, lo, hi, lanes);
  vector_steps(n, pos, lo, main_end, lanes, unroll, false);
  if (cg->masks) {
    vector_steps(n, pos, main_end, hi, lanes, 1, true);
    return;
  }
  if (unroll > 1) vector_steps(n, pos, main_end, vector_end, lanes, 1, false);
  vector_steps(n, pos, vector_end, hi, 1, 1, false);
}

static void vector_loop(Nest *n, int pos) {
  LLVMValueRef lo = n->lo[n->plan.vdim], hi = n->hi[n->plan.vdim];
  if (LLVMIsAConstantInt(lo) && LLVMIsAConstantInt(hi))
    constant_vectors(n, pos, LLVMConstIntGetSExtValue(lo), LLVMConstIntGetSExtValue(hi));
  else
    run_time_vectors(n, pos, lo, hi);
}

static void leaf(Nest *n) {
  for (int s = 0; s < n->spec->nstores; s++) {
    const BodyStore *store = &n->spec->store[s];
    for (int j = 0; j < n->vectors; j++) {
      int dim;
      LLVMValueRef skip = step_to(n, j, &dim);
      LLVMValueRef at = view_move(n->cg, &store->view, n->address[s], dim, skip);
      LLVMValueRef v = nest_get(n, store->value, j);
      view_store(n->cg, store->view.elem, v, at, store->view.stride[n->plan.vdim], n->lanes,
                 nest_mask(n, j));
    }
  }
  if (n->spec->nreduces) nest_accumulate(n);
}

void nest_run(Nest *n, int pos) {
  const NestPlan *p = &n->plan;
  if (n->spec->nreduces && pos == p->nkept && !n->open)
    nest_open(n, pos);
  else if (n->open && p->wide && !n->narrow && pos == p->split)
    nest_split(n, pos);
  else if (pos == p->count)
    leaf(n);
  else if (p->order[pos] == p->vdim)
    vector_loop(n, pos);
  else
    plain_loop(n, pos);
}

/* The loop around the vectors' own, if some load lies along it. */
static int dim_across(const Nest *n) {
  const NestPlan *p = &n->plan;
  if (n->spec->nreduces || p->count < 2 || p->order[p->count - 1] != p->vdim) return -1;
  int dim = p->order[p->count - 2];
  for (int i = 0; i < n->spec->nvalues; i++)
    if (lies_across(n, i, dim)) return dim;
  return -1;
}

Nest *nest_new(Cg *cg, const PointwiseSpec *spec, const NestPlan *plan, LLVMValueRef buffers) {
  Arena *a = cg->arena;
  Nest *n = ARENA_NEW(a, Nest);
  *n = (Nest){.cg = cg, .spec = spec, .plan = *plan, .buffers = buffers, .lanes = 1, .vectors = 1};
  n->body = body_new(cg, spec, buffers, plan->vdim);
  n->across = dim_across(n);
  n->level = ARENA_ARRAY(a, int, spec->nvalues + 1);
  n->place = ARENA_ARRAY(a, LLVMValueRef, spec->nvalues + 1);
  n->address = ARENA_ARRAY(a, LLVMValueRef, spec->nstores + 1);
  n->value = arena_alloc(a, (size_t)spec->nvalues + 1, sizeof *n->value);
  for (int i = 0; i < spec->nvalues; i++) {
    n->level[i] = level_of(plan, n->body.depends[i]);
    n->place[i] = body_place(&n->body, i);
  }
  for (int s = 0; s < spec->nstores; s++)
    n->address[s] = view_origin(cg, buffers, &spec->store[s].view);
  compute_level(n, -1);
  return n;
}

void nest_emit(Nest *n) { nest_run(n, 0); }
