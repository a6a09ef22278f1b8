/* --emit=math: the network and the gradients of its loss as formulas that a student would write. */
#ifndef DLC_PASSES_MATH_H
#define DLC_PASSES_MATH_H

#include "base/str.h"
#include "ir/ir.h"

/* g is a program with a loss, expanded and simplified but not lowered (program grad after
 * simplify). Its gradients are taken again, by every parameter, real input and named value that the
 * loss depends on. A graph without a loss prints its named values and outputs. */
void math_print(const Graph *g, Str *out);

#endif
