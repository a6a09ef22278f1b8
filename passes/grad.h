/* Reverse-mode differentiation, graph to graph. */
#ifndef DLC_PASSES_GRAD_H
#define DLC_PASSES_GRAD_H

#include "ir/ir.h"

/* Appends to g the nodes of ds/dt for each of the n targets; out[i] has the type of targets[i]. `s`
 * is a scalar, per sample or shared; a gradient by something shared is summed over the samples of
 * s, one by something per sample is each sample's own. Targets that s does not depend on get zeros.
 * The nodes between the targets and s must be ELEMENTWISE, PRIMITIVE (no unresolved grad) or
 * FORMULA; the order of g's nodes does not matter, and is not topological afterwards when a caller
 * substitutes: see ir_tidy. False when s is not an f32 scalar. */
bool grad_build(Graph *g, Node *s, Node *const *targets, int n, Node **out);

/* Resolves every grad(s, t) of g, inner ones first. */
void grad_resolve(Graph *g, Arena *scratch);

#endif
