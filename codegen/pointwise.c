/* kernel_pointwise: a kernel around a loop nest. Units are pieces of the outer dimensions; a
 * reduction of much into little is done in two kernels (reduce.c). */
#include "codegen/pointwise.h"

#include "codegen/accumulate.h"

static LLVMValueRef extent_value(Cg *cg, Extent e, LLVMValueRef n) {
  return cg_add(cg, cg_mul(cg, n, cg_int(cg, e.each)), cg_int(cg, e.fixed));
}

void pointwise_whole(Nest *n, LLVMValueRef batch) {
  for (int d = 0; d < n->spec->rank; d++) {
    n->lo[d] = cg_int(n->cg, 0);
    n->hi[d] = extent_value(n->cg, n->spec->extent[d], batch);
  }
  if (n->spec->nreduces) n->terms = accumulate_count(n->cg, n->spec, batch);
}

/* [index * chunk, at most (index + count) * chunk) of dimension d. */
void pointwise_chunk(Nest *n, int d, LLVMValueRef from, LLVMValueRef to, int64_t chunk) {
  Cg *cg = n->cg;
  n->lo[d] = cg_mul(cg, from, cg_int(cg, chunk));
  n->hi[d] = cg_min(cg, cg_mul(cg, to, cg_int(cg, chunk)), n->hi[d]);
}

/* Sets the ranges of the unit's dimensions from its number. */
static void decode_unit(Nest *n, const UnitPlan *u, LLVMValueRef unit) {
  Cg *cg = n->cg;
  LLVMBuilderRef b = cg->builder;
  int last = u->dim[u->count - 1];
  LLVMValueRef chunks =
      n->hi[last]; /* where others come before, chunk is 1 unless the extent is constant */
  if (u->chunk > 1) chunks = cg_int(cg, (n->spec->extent[last].fixed + u->chunk - 1) / u->chunk);
  LLVMValueRef rest = u->count > 1 ? LLVMBuildUDiv(b, unit, chunks, "") : NULL;
  LLVMValueRef c = rest ? LLVMBuildURem(b, unit, chunks, "") : unit;
  for (int i = u->count - 2; i >= 0; i--) {
    int d = u->dim[i];
    LLVMValueRef extent = n->hi[d];
    n->lo[d] = i ? LLVMBuildURem(b, rest, extent, "") : rest;
    n->single[d] = true;
    rest = i ? LLVMBuildUDiv(b, rest, extent, "") : rest;
  }
  if (u->chunk == 1 && last != n->plan.vdim) {
    n->lo[last] = c;
    n->single[last] = true;
  } else if (u->chunk < n->spec->extent[last].fixed || n->spec->extent[last].each)
    pointwise_chunk(n, last, c, LLVMBuildAdd(b, c, cg_int(cg, 1), ""), u->chunk);
}

/* Several units of one chunked dimension are one longer range, except where a block's values are
 * kept for the rows of a unit so that these stay in cache. */
static bool units_merge(const NestPlan *nest, const UnitPlan *u) {
  return u->count == 1 && (nest->nkept < nest->count || nest->order[nest->count - 1] == nest->vdim);
}

static void emit_units(Nest *n, const UnitPlan *u, LLVMValueRef f) {
  Cg *cg = n->cg;
  LLVMValueRef begin = LLVMGetParam(f, 2), end = LLVMGetParam(f, 3);
  pointwise_whole(n, LLVMGetParam(f, 1));
  bool all = !u->count || (u->count == 1 && !n->spec->extent[u->dim[0]].each &&
                           u->chunk >= n->spec->extent[u->dim[0]].fixed);
  if (all) {
    nest_emit(n);
  } else if (units_merge(&n->plan, u)) {
    pointwise_chunk(n, u->dim[0], begin, end, u->chunk);
    nest_emit(n);
  } else {
    CgLoop l = cg_loop(cg, begin, end, 1);
    decode_unit(n, u, l.index);
    nest_emit(n);
    cg_loop_end(cg, &l);
  }
}

static Extent times(Extent a, Extent b) {
  return (Extent){a.each * b.fixed + a.fixed * b.each, a.fixed * b.fixed};
}

/* The number of units; `per` where the first dimension alone is chunked. */
static Extent unit_count(const PointwiseSpec *s, const UnitPlan *u, int64_t *per) {
  Extent e = {0, 1};
  *per = 1;
  for (int i = 0; i + 1 < u->count; i++) e = times(e, s->extent[u->dim[i]]);
  if (!u->count) return e;
  Extent last = s->extent[u->dim[u->count - 1]];
  if (u->count == 1) return *per = u->chunk, last;
  return times(e, last.each ? last : (Extent){0, (last.fixed + u->chunk - 1) / u->chunk});
}

const char *pointwise_name(Cg *cg, const PointwiseSpec *s) {
  int ops = 0;
  for (int i = 0; i < s->nvalues; i++) ops += s->value[i].kind == BODY_OP;
  return arena_printf(cg->arena, "%s_%d", s->nreduces ? "reduce" : "pointwise", ops);
}

static KernelList emit_single(Cg *cg, const PointwiseSpec *s, const NestPlan *plan,
                              const UnitPlan *units) {
  LLVMValueRef f = cg_function(cg, pointwise_name(cg, s));
  Nest *n = nest_new(cg, s, plan, LLVMGetParam(f, 0));
  View *result = ARENA_ARRAY(cg->arena, View, s->nreduces + 1);
  for (int r = 0; r < s->nreduces; r++) result[r] = s->reduce[r].view;
  n->result = result;
  emit_units(n, units, f);
  LLVMBuildRetVoid(cg->builder);
  KernelList list = {.count = 1};
  list.stage[0] = (Kernel){.function = f, .work = units->elements * plan_cost(cg, s)};
  list.stage[0].units = unit_count(s, units, &list.stage[0].per);
  return list;
}

static KernelList emit_kernels(Cg *cg, const PointwiseSpec *spec);

/* More reductions than accumulators: several sweeps, the last of which stores, as stores may change
 * what is read. */
static KernelList emit_in_parts(Cg *cg, const PointwiseSpec *spec) {
  KernelList list = {0};
  for (int first = 0; first < spec->nreduces; first += NEST_REDUCES) {
    PointwiseSpec part = *spec;
    part.reduce += first;
    part.nreduces -= first;
    part.scratch = -1;
    if (part.nreduces > NEST_REDUCES) {
      part.nreduces = NEST_REDUCES;
      part.nstores = 0;
    }
    list.stage[list.count++] = emit_kernels(cg, &part).stage[0];
  }
  return list;
}

static KernelList emit_kernels(Cg *cg, const PointwiseSpec *spec) {
  if (spec->nreduces > NEST_REDUCES) return emit_in_parts(cg, spec);
  PointwiseSpec s = spec_normal(cg->arena, spec);
  NestPlan nest = plan_nest(cg, &s);
  UnitPlan units = plan_units(cg, &s, &nest);
  StagePlan stages;
  if (reduce_in_stages(cg, &s, &nest, &units, &stages))
    return reduce_staged(cg, &s, &nest, &stages);
  return emit_single(cg, &s, &nest, &units);
}

KernelList kernel_pointwise(Cg *cg, const PointwiseSpec *spec) {
  Str key = str_new(cg->arena);
  str_put(&key, "pointwise ");
  spec_text(&key, spec);
  const KernelList *known = cg_kernel_find(cg, key.text);
  if (known) return *known;
  KernelList *list = ARENA_NEW(cg->arena, KernelList);
  *list = emit_kernels(cg, spec);
  cg_kernel_keep(cg, key.text, list);
  return *list;
}
