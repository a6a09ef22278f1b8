/* Inner header of the recompute pass. */
#ifndef DLC_PASSES_RECOMPUTE_H
#define DLC_PASSES_RECOMPUTE_H

#include "passes/plan.h"

/* Makes the kernels after `boundary` read second instances of the values in `again` (by node id,
 * owners of storage that kernels up to `boundary` write). A kernel is instantiated at most once,
 * with the members that those values need, right before the first kernel that asks for it, and
 * everything that it reads is either not in `again` or instantiated before it. Instances are groups
 * of their own behind the others; nodes come to stand in the order of execution. */
void recompute_clone(Graph *g, const Plan *p, const bool *again, int boundary, Arena *scratch);

#endif
