/* Where a node's elements lie: either in storage of its own, dense in the node's memory order, or
 * as a strided view of another node's storage (reshape, permute, cut, broadcast cost nothing when
 * strides can say them). Shared by the fuse and plan passes and by codegen, so that all three mean
 * the same thing. */
#ifndef DLC_PASSES_MEMORY_H
#define DLC_PASSES_MEMORY_H

#include "ir/op.h"

typedef struct {
  const Node *owner; /* whose storage it is; the node itself when it is no view */
  int64_t offset;    /* in elements from the owner's start (of each sample) */
  int64_t batch;     /* elements from one sample to the next; 0 when shared */
  int64_t stride[LIMIT_RANK];
} Memory;

/* Memory of every node, by id. Needs `order` to be final. In `a`. */
Memory *memory_map(const Graph *g, Arena *a);

/* The dense memory that n would own. */
Memory memory_own(const Node *n);
bool memory_is_view(const Memory *m, const Node *n);
/* Dense in n's memory order, starting at its owner's start. */
bool memory_is_dense(const Memory *m, const Node *n);

/* The dimension of memory at position i, outermost first (the layout pass's order, or 0, 1, 2,
 * ...). */
int memory_dim(const Node *n, int i);
bool memory_same_order(const Node *a, const Node *b);

/* Strides of an operand with memory `m` and type `t`, broadcast to `domain`: out[0] the batch,
 * out[1 + d] for logical dimension d of the domain. */
void memory_broadcast(const Memory *m, const Type *t, const Type *domain, int64_t *out);

/* Bytes of one element: 4, 1, or `real_bytes` for f32. */
int64_t elem_bytes(Elem e, int real_bytes);

#endif
