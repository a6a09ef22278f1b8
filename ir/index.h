/* Integers that are used as indices and labels: what they must stay below. */
#ifndef DLC_IR_INDEX_H
#define DLC_IR_INDEX_H

#include "ir/ir.h"

/* The operand of n that is an index or a label, and what its elements must stay below: the rows of
 * a table, the classes of scores. NULL where n takes none. */
Node *index_operand(const Node *n, int64_t *bound);

/* What the elements of an input or target must stay below, 0 for no bound. */
typedef struct {
  int32_t all;         /* every element */
  const int32_t *each; /* element by element of a sample, where they differ; then `all` is 0 */
} IndexRange;

/* By node id, of the graph that the frontend built: the least over all that an element is used for,
 * wherever reshape, slice, concat and the like have moved it. NULL and an error (e->arena must be
 * set) at *span for indices of too many elements to be followed. In `a`. */
IndexRange *index_ranges(const Graph *g, Arena *a, OpError *e, Span *span);

#endif
