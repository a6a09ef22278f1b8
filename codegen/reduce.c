/* Reductions of much into little, in two kernels. Partial result r of kept element k in block b is
 * at scratch[(b * nreduces + r) * kept + k], with k by the extents at the maximum batch. */
#include "codegen/accumulate.h"
#include "codegen/pointwise.h"

enum {
  STAGE_ELEMENTS = 32768, /* wanted in a block */
  STAGE_RATIO = 32,       /* and at least so many for each partial result it leaves */
  STAGE_MIN = 131072,     /* elements of a unit that make two stages worth it */
  COMBINE_UNIT = 256
};

static int64_t extent_max(Cg *cg, const PointwiseSpec *s, int d) {
  return extent_at(s->extent[d], cg->max_batch);
}

static int first_reduced(const PointwiseSpec *s) {
  for (int d = 0; d < s->rank; d++)
    if (s->reduced[d]) return d;
  return -1;
}

/* Partial results are numbered by the extents at the maximum batch, so only the outermost kept one
 * may grow. */
static bool numbered(const PointwiseSpec *s) {
  bool first = true;
  for (int d = 0; d < s->rank; d++) {
    if (s->reduced[d]) continue;
    if (s->extent[d].each && !first) return false;
    first = false;
  }
  return true;
}

/* Units that take pieces of every row read memory badly. */
static bool cuts_rows(const PointwiseSpec *s, const NestPlan *nest, const UnitPlan *units) {
  return units->count && units->dim[units->count - 1] == nest->vdim &&
         units->chunk < s->extent[nest->vdim].fixed;
}

bool reduce_in_stages(Cg *cg, const PointwiseSpec *s, const NestPlan *nest, const UnitPlan *units,
                      StagePlan *out) {
  int d = s->nreduces && s->scratch >= 0 ? first_reduced(s) : -1;
  if (d < 0 || !numbered(s)) return false;
  double total = 1, kept = 1;
  for (int e = 0; e < s->rank; e++) {
    total *= (double)extent_max(cg, s, e);
    if (!s->reduced[e]) kept *= (double)extent_max(cg, s, e);
  }
  if ((cuts_rows(s, nest, units) ? total : units->elements) < STAGE_MIN) return false;
  int64_t extent = extent_max(cg, s, d);
  double inner = total / (double)extent, wanted = kept * s->nreduces * STAGE_RATIO;
  if (wanted < STAGE_ELEMENTS) wanted = STAGE_ELEMENTS;
  int64_t block = inner >= wanted ? 1 : (int64_t)(wanted / inner);
  *out = (StagePlan){
      .dim = d, .block = block, .blocks = (extent + block - 1) / block, .kept = (int64_t)kept};
  out->elements = inner * (double)block;
  return out->blocks > 3;
}

/* Where partial results go: views of scratch, dense over the kept dimensions. */
static View *partial_views(Cg *cg, const PointwiseSpec *s, const StagePlan *p) {
  View *view = ARENA_ARRAY(cg->arena, View, s->nreduces);
  for (int r = 0; r < s->nreduces; r++) {
    view[r] = (View){.slot = s->scratch, .elem = MEM_F64, .offset = r * p->kept};
    int64_t stride = 1;
    for (int d = s->rank - 1; d >= 0; d--) {
      if (s->reduced[d]) continue;
      view[r].stride[d] = stride;
      stride *= extent_max(cg, s, d);
    }
  }
  return view;
}

static Kernel emit_blocks(Cg *cg, const PointwiseSpec *s, const NestPlan *nest,
                          const StagePlan *p) {
  LLVMValueRef f = cg_function(cg, pointwise_name(cg, s));
  Nest *n = nest_new(cg, s, nest, LLVMGetParam(f, 0));
  n->result = partial_views(cg, s, p);
  CgLoop l = cg_loop(cg, LLVMGetParam(f, 2), LLVMGetParam(f, 3), 1);
  pointwise_whole(n, LLVMGetParam(f, 1));
  pointwise_chunk(n, p->dim, l.index, LLVMBuildAdd(cg->builder, l.index, cg_int(cg, 1), ""),
                  p->block);
  n->result_offset = cg_mul(cg, l.index, cg_int(cg, p->kept * s->nreduces));
  nest_emit(n);
  cg_loop_end(cg, &l);
  LLVMBuildRetVoid(cg->builder);
  return (Kernel){.function = f,
                  .units = s->extent[p->dim],
                  .per = p->block,
                  .work = p->elements * plan_cost(cg, s)};
}

/* ---- combining ---- */

/* The address of kept element k of reduction r's result. */
static LLVMValueRef result_at(Cg *cg, const PointwiseSpec *s, LLVMValueRef buffers, int r,
                              LLVMValueRef k) {
  const View *view = &s->reduce[r].view;
  LLVMValueRef at = view_origin(cg, buffers, view);
  for (int d = s->rank - 1; d >= 0; d--) {
    if (s->reduced[d]) continue;
    LLVMValueRef extent = cg_int(cg, extent_max(cg, s, d));
    at = view_move(cg, view, at, d, LLVMBuildURem(cg->builder, k, extent, ""));
    k = LLVMBuildUDiv(cg->builder, k, extent, "");
  }
  return at;
}

/* With one kept dimension results follow each other with one stride, and go by vectors. */
static int single_kept(const PointwiseSpec *s) {
  int kept = -1;
  for (int d = 0; d < s->rank; d++)
    if (!s->reduced[d]) {
      if (kept >= 0) return -1;
      kept = d;
    }
  return kept;
}

/* How many units have left something at run-time batch n. */
static LLVMValueRef units_at(Cg *cg, const Partials *p, LLVMValueRef n) {
  int64_t per = p->per ? p->per : 1;
  LLVMValueRef extent =
      cg_add(cg, cg_mul(cg, n, cg_int(cg, p->units.each)), cg_int(cg, p->units.fixed + per - 1));
  LLVMValueRef units = LLVMBuildUDiv(cg->builder, extent, cg_int(cg, per), "");
  return cg_mul(cg, units, cg_int(cg, p->parts));
}

LLVMValueRef reduce_partial(Cg *cg, const PointwiseSpec *s, const Partials *p, LLVMValueRef buffers,
                            LLVMValueRef unit, int r, LLVMValueRef k) {
  LLVMValueRef row = cg_add(cg, cg_mul(cg, unit, cg_int(cg, s->nreduces)), cg_int(cg, r));
  LLVMValueRef at = cg_add(cg, cg_mul(cg, row, cg_int(cg, p->kept)), k);
  return cg_at(cg, cg->f64, cg_buffer(cg, buffers, s->scratch),
               cg_add(cg, at, cg_int(cg, p->offset)));
}

int64_t reduce_partial_bytes(const Cg *cg, const PointwiseSpec *s, const Partials *p) {
  int64_t per = p->per ? p->per : 1, units = (extent_at(p->units, cg->max_batch) + per - 1) / per;
  return (p->offset + units * p->parts * s->nreduces * p->kept) * 8;
}

static void combine_at(Cg *cg, const PointwiseSpec *s, const Partials *p, LLVMValueRef f,
                       LLVMValueRef k, int lanes, LLVMValueRef mask) {
  LLVMValueRef buffers = LLVMGetParam(f, 0), n = LLVMGetParam(f, 1), acc[NEST_REDUCES];
  LLVMValueRef units = units_at(cg, p, n), count = accumulate_count(cg, s, n);
  for (int r = 0; r < s->nreduces; r++) {
    ReduceKind kind = s->reduce[r].kind;
    CgLoop l = cg_loop(cg, cg_int(cg, 0), units, 1);
    LLVMValueRef none = LLVMConstReal(cg->f64, accumulate_identity(kind));
    acc[r] = cg_carry(cg, &l, cg_splat(cg, none, lanes));
    LLVMValueRef at = reduce_partial(cg, s, p, buffers, l.index, r, k);
    cg_carry_next(&l, acc[r],
                  accumulate_combine(cg, kind, acc[r], cg_load(cg, cg->f64, at, lanes, mask)));
    cg_loop_end(cg, &l);
  }
  int d = single_kept(s);
  for (int r = 0; r < s->nreduces; r++) {
    const View *view = &s->reduce[r].view;
    if (view->slot < 0) continue;
    view_store(cg, view->elem, accumulate_result(cg, s, r, acc, count, lanes),
               result_at(cg, s, buffers, r, k), d < 0 ? 1 : view->stride[d], lanes, mask);
  }
}

static Extent kept_extent(const PointwiseSpec *s) {
  Extent kept = {0, 1};
  for (int d = 0; d < s->rank; d++)
    if (!s->reduced[d])
      kept = (Extent){kept.each * s->extent[d].fixed + kept.fixed * s->extent[d].each,
                      kept.fixed * s->extent[d].fixed};
  return kept;
}

/* Units are COMBINE_UNIT kept elements. Elements past the run-time batch hold nothing and are not
 * stored. */
Kernel reduce_combine(Cg *cg, const PointwiseSpec *s, const Partials *p) {
  LLVMValueRef f = cg_function(cg, "reduce_combine");
  Extent kept = kept_extent(s);
  bool vectors = single_kept(s) >= 0 && cg->masks;
  int lanes = vectors ? cg->lanes : 1;
  LLVMValueRef total =
      cg_add(cg, cg_mul(cg, LLVMGetParam(f, 1), cg_int(cg, kept.each)), cg_int(cg, kept.fixed));
  LLVMValueRef from = cg_mul(cg, LLVMGetParam(f, 2), cg_int(cg, COMBINE_UNIT));
  LLVMValueRef to = cg_min(cg, cg_mul(cg, LLVMGetParam(f, 3), cg_int(cg, COMBINE_UNIT)), total);
  CgLoop l = cg_loop(cg, from, to, lanes);
  LLVMValueRef mask =
      vectors ? cg_mask(cg, LLVMBuildSub(cg->builder, to, l.index, ""), lanes) : NULL;
  combine_at(cg, s, p, f, l.index, lanes, mask);
  cg_loop_end(cg, &l);
  LLVMBuildRetVoid(cg->builder);
  double partials = (double)reduce_partial_bytes(cg, s, p) / (8.0 * (double)p->kept);
  return (Kernel){
      .function = f, .units = kept, .per = COMBINE_UNIT, .work = 0.3 * partials * COMBINE_UNIT};
}

KernelList reduce_staged(Cg *cg, const PointwiseSpec *s, const NestPlan *nest, const StagePlan *p) {
  Partials partials = {.units = s->extent[p->dim], .per = p->block, .parts = 1, .kept = p->kept};
  KernelList list = {.count = 2};
  list.stage[0] = emit_blocks(cg, s, nest, p);
  list.stage[1] = reduce_combine(cg, s, &partials);
  list.scratch_bytes = reduce_partial_bytes(cg, s, &partials);
  return list;
}
