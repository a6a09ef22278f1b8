/* What nodes and kernels cost, roughly: enough to choose between them, never to promise. */
#ifndef DLC_PASSES_COST_H
#define DLC_PASSES_COST_H

#include "passes/plan.h"

/* Floating-point operations of one sample: a multiply and an add for each term of a product's sums,
 * one an element for all else; what is shared by the batch, such as the optimizer's update, counts
 * nothing. */
double cost_flops(const Node *n);

/* Nanoseconds that a kernel of the plan takes on one core at the maximum batch. */
double cost_kernel(const Graph *g, const Plan *p, int group, int real_bytes);

/* Bytes of scratch memory that a kernel of these members is known to want: transposed weights.
 * Others are small. */
int64_t cost_scratch(const PlanGroup *group, int real_bytes);

/* Bytes of arena that a plan takes, with this scratch memory where it finds a gap. */
int64_t cost_arena(const Graph *g, const Plan *p, int real_bytes, Arena *scratch);

#endif
