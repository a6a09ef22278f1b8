/* Shared by pointwise.c and reduce.c. */
#ifndef DLC_CODEGEN_POINTWISE_H
#define DLC_CODEGEN_POINTWISE_H

#include "codegen/pointwise_plan.h"

/* A reduction in two kernels: units are blocks of one reduced dimension, each leaving its partial
 * results (f64) in scratch; then the partial results of each kept element are combined in the order
 * of the blocks. */
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
LLVMValueRef pointwise_least(Cg *cg, LLVMValueRef a, LLVMValueRef b);
void pointwise_whole(Nest *n, LLVMValueRef batch); /* every dimension from end to end */
void pointwise_chunk(Nest *n, int dim, LLVMValueRef from, LLVMValueRef to, int64_t chunk);

#endif
