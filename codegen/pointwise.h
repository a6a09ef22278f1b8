/* Shared by pointwise.c and reduce.c; conv_finish.c leaves partial results too. */
#ifndef DLC_CODEGEN_POINTWISE_H
#define DLC_CODEGEN_POINTWISE_H

#include "codegen/pointwise_plan.h"

/* Partial results (f64) that units of a kernel leave in the specification's scratch, `offset`
 * elements from its start: of unit u and reduction r, `kept` of them. Another kernel combines them
 * in the order of the units. */
typedef struct {
  Extent units;
  int64_t per, parts, kept, offset; /* units: as a Kernel's */
} Partials;

LLVMValueRef reduce_partial(Cg *cg, const PointwiseSpec *spec, const Partials *partials,
                            LLVMValueRef buffers, LLVMValueRef unit, int r, LLVMValueRef k);
int64_t reduce_partial_bytes(const Cg *cg, const PointwiseSpec *spec, const Partials *partials);
Kernel reduce_combine(Cg *cg, const PointwiseSpec *spec, const Partials *partials);

/* A reduction in two kernels: units are blocks of one reduced dimension, each leaving its partial
 * results. */
typedef struct {
  int dim;         /* the blocked dimension */
  int64_t block;   /* indices of it in a unit */
  int64_t blocks;  /* at the maximum batch */
  int64_t kept;    /* kept elements at the maximum batch */
  double elements; /* of one unit */
} StagePlan;

/* Whether it is worth it, given the units of doing it in one. */
bool reduce_in_stages(Cg *cg, const PointwiseSpec *spec, const NestPlan *nest,
                      const UnitPlan *units, StagePlan *out);
KernelList reduce_staged(Cg *cg, const PointwiseSpec *spec, const NestPlan *nest,
                         const StagePlan *stages);

const char *pointwise_name(Cg *cg, const PointwiseSpec *spec);
void pointwise_whole(Nest *n, LLVMValueRef batch); /* every dimension from end to end */
void pointwise_chunk(Nest *n, int dim, LLVMValueRef from, LLVMValueRef to, int64_t chunk);

#endif
