/* Replacing nodes by their expansions. */
#ifndef DLC_PASSES_EXPAND_H
#define DLC_PASSES_EXPAND_H

#include "ir/ir.h"

/* Until only LEAF, ELEMENTWISE, PRIMITIVE and, without `formulas`, FORMULA nodes are left. */
void expand_nodes(Graph *g, bool training, bool formulas, Arena *scratch);

#endif
