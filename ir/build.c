/* Shorthands for building graphs: what expansions, gradients and passes say most often. */
#include "ir/op.h"

#include <string.h>

Node *ir_constant(Graph *g, double value) {
  return ir_make(g, OP_constant, 0, NULL, (Attr[]){attr_float(value), attr_ints(0, NULL)});
}

Node *ir_scale(Graph *g, Node *x, double factor) {
  return factor == 1 ? x : ir_binary(g, OP_mul, x, ir_constant(g, factor));
}

Node *ir_shift(Graph *g, Node *x, double term) {
  return term == 0 ? x : ir_binary(g, OP_add, x, ir_constant(g, term));
}

static bool same_dims(const Type *t, int rank, const int64_t *dim) {
  return t->rank == rank && (rank == 0 || !memcmp(t->dim, dim, (size_t)rank * sizeof *dim));
}

Node *ir_reshape(Graph *g, Node *x, int rank, const int64_t *dim) {
  if (same_dims(&x->type, rank, dim)) return x;
  return ir_with(g, OP_reshape, x, attr_ints(rank, dim));
}

Node *ir_permute(Graph *g, Node *x, const int64_t *order) {
  int i = 0;
  while (i < x->type.rank && order[i] == i) i++;
  if (i == x->type.rank) return x;
  return ir_with(g, OP_permute, x, attr_ints(x->type.rank, order));
}

Node *ir_sum(Graph *g, Node *x, int ndims, const int64_t *dims, bool batch) {
  batch = batch && x->type.batched;
  if (!ndims && !batch) return x;
  return ir_with(g, OP_reduce_sum, x, attr_ints(ndims, dims), attr_bool(batch));
}

/* Where dims are not known to be right, a reduction has been made by them before, and has checked
 * them; but they may still count from the end. */
static int64_t *dim_of(Type *t, int64_t dim) { return &t->dim[dim < 0 ? dim + t->rank : dim]; }

Node *ir_mean(Graph *g, Node *x, int ndims, const int64_t *dims, bool batch) {
  int64_t count = 1;
  Node *sum = ir_sum(g, x, ndims, dims, batch);
  for (int i = 0; i < ndims; i++) count *= *dim_of(&x->type, dims[i]);
  Node *mean = ir_scale(g, sum, 1.0 / (double)count);
  if (!batch || !x->type.batched) return mean;
  return ir_binary(g, OP_div, mean, ir_make(g, OP_batch_size, 0, NULL, NULL));
}

Node *ir_broadcast(Graph *g, Node *x, const Type *like) {
  bool batched = like->batched || x->type.batched;
  if (batched == x->type.batched && same_dims(&x->type, like->rank, like->dim)) return x;
  return ir_with(g, OP_broadcast, x, attr_ints(like->rank, like->dim), attr_bool(batched));
}

/* The dimensions that broadcasting `like` to x's shape repeated are summed, then those of size 1
 * come back. */
Node *ir_sum_to(Graph *g, Node *x, const Type *like) {
  int64_t dims[LIMIT_RANK];
  int n = 0, extra = x->type.rank - like->rank;
  for (int i = 0; i < x->type.rank; i++)
    if (i < extra || (like->dim[i - extra] == 1 && x->type.dim[i] != 1)) dims[n++] = i;
  Node *sum = ir_sum(g, x, n, dims, x->type.batched && !like->batched);
  return ir_reshape(g, sum, like->rank, like->dim);
}

Node *ir_keepdims(Graph *g, Node *x, const Type *before, int ndims, const int64_t *dims) {
  Type t = *before;
  for (int i = 0; i < ndims; i++) *dim_of(&t, dims[i]) = 1;
  return ir_reshape(g, x, t.rank, t.dim);
}
