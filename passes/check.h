/* Whether a pass kept the answers: the interpreter runs the graph before and after it on the same
 * random data. */
#ifndef DLC_PASSES_CHECK_H
#define DLC_PASSES_CHECK_H

#include "ir/ir.h"

typedef struct Check Check;

/* Computes all results of g as it is now. Where g cannot be interpreted (a grad(s, t) is still in
 * it, or it is too large), nothing is compared later. */
Check *check_before(const Graph *g, Arena *scratch);

/* Compares the results that g still has; reports the first that differs beyond rounding and names
 * the pass. */
void check_after(Check *c, const Graph *g, const char *pass, Diags *diags);

#endif
