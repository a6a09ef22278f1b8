/* The optimizers of train.def as graphs of elementwise nodes. */
#ifndef DLC_PASSES_OPTIMIZER_H
#define DLC_PASSES_OPTIMIZER_H

#include "ir/ir.h"

/* Adds to g the results ASSIGN(param, new value) and ASSIGN(state, new state), parameter by
 * parameter, for the optimizer of g->train (plain SGD when it names none) and the gradients given.
 */
void optimizer_update(Graph *g, int n, Node *const *param, Node *const *gradient, Arena *scratch);

/* A zero buffer in the shape of `param`, named by one string put into `format`. */
Node *optimizer_buffer(Graph *g, const Node *param, const char *format, const char *name)
    __attribute__((format(printf, 3, 0)));

#endif
