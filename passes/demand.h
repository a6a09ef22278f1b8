/* Nodes in the order in which results ask for them: loss, metrics and outputs first, then gradients
 * and updates from the last parameter to the first, as the backward sweep meets them, then
 * gradients of inputs. Every node comes right before its first use, so that what only the backward
 * part needs is not computed in the forward part. Leaves come first and keep their order; nodes
 * that no result needs are dropped. */
#ifndef DLC_PASSES_DEMAND_H
#define DLC_PASSES_DEMAND_H

#include "ir/op.h"

void demand_order(Graph *g, Arena *scratch);

#endif
