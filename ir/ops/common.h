/* What the op files share: node shorthands, errors that name their culprit, and checks of what a
 * user gave. */
#ifndef DLC_IR_OPS_COMMON_H
#define DLC_IR_OPS_COMMON_H

#include "ir/op.h"

/* ---- shorthands ---- */

static inline Node *add(Graph *g, Node *a, Node *b) { return ir_binary(g, OP_add, a, b); }
static inline Node *sub(Graph *g, Node *a, Node *b) { return ir_binary(g, OP_sub, a, b); }
static inline Node *mul(Graph *g, Node *a, Node *b) { return ir_binary(g, OP_mul, a, b); }
static inline Node *quotient(Graph *g, Node *a, Node *b) { return ir_binary(g, OP_div, a, b); }
static inline Node *neg(Graph *g, Node *x) { return ir_unary(g, OP_neg, x); }
static inline Node *choose(Graph *g, Node *c, Node *a, Node *b) {
  return ir_make(g, OP_select, 3, (Node *[]){c, a, b}, NULL);
}
static inline Node *clamp(Graph *g, Node *x, double lo, double hi) {
  return ir_with(g, OP_clamp, x, attr_float(lo), attr_float(hi));
}

/* x itself when it is real, else converted. */
Node *as_real(Graph *g, Node *x);

/* Reduces x by `reduce` over one dimension, which stays with size 1. */
Node *reduce_along(Graph *g, Op reduce, Node *x, int64_t dim);

/* Sum and mean over every dimension: a scalar a sample. */
Node *sum_all(Graph *g, Node *x);
Node *mean_all(Graph *g, Node *x);

/* ---- errors ---- */

/* All return false. The operand or attribute is the one to point at. */
bool operand_error(OpError *e, int operand, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
bool attr_error(OpError *e, const Node *n, const char *attribute, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
#ifdef __clang_analyzer__ /* as for op_error */
#define operand_error(...) (operand_error(__VA_ARGS__), false)
#define attr_error(...) (attr_error(__VA_ARGS__), false)
#endif
void op_note(OpError *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Text for messages; lives in e's arena, "" when e is NULL. */
const char *shape_text(OpError *e, const Type *t);          /* [3, 8] */
const char *ints_text(OpError *e, int n, const int64_t *v); /* [3, 8] */

/* ---- checks ---- */

bool check_size(const Type *t, OpError *e); /* rank, dimensions and elements within the limits */
/* Operand `i` of n, taken from `in`, is f32, is not f32, has that rank (`shape` says it in words).
 */
bool check_real(const Node *n, Node *const *in, int i, OpError *e);
bool check_integer(const Node *n, Node *const *in, int i, OpError *e);
bool check_rank(const Node *n, Node *const *in, int i, int rank, const char *shape, OpError *e);
/* Attribute `name` (int, or every element of a pair) within [least, LIMIT_DIM]. */
bool check_least(const Node *n, const char *name, int64_t least, OpError *e);
bool check_fraction(const Node *n, const char *name, OpError *e); /* 0 <= float <= 1 */

/* A dimension given by the user, negative from the end, to 0..rank-1; false outside. */
bool resolve_dim(int64_t given, int rank, int64_t *dim);
/* The same for attribute `name`, with its error. */
bool resolve_attr_dim(const Node *n, const char *name, int rank, int64_t *dim, OpError *e);
/* An attribute of several dimensions (n = -1: all), increasing and distinct, to dims; their number
 * in *ndims. */
bool resolve_attr_dims(const Node *n, const char *name, int rank, int *ndims, int64_t *dims,
                       OpError *e);
/* Attribute `name` of n for writing. */
Attr *attr_slot(Node *n, const char *name);
/* Rewrites one number of a list attribute to its normal form (-1 in a shape, a negative dimension).
 */
void attr_put(Node *n, const char *name, int index, int64_t value);

/* Puts mean over dims (and the batch), with those dims of size 1, and x - mean, and its mean
 * square. */
typedef struct {
  Node *mean, *centred, *var;
} Moments;
Moments moments(Graph *g, Node *x, int ndims, const int64_t *dims, bool batch);

/* ---- sums ---- */

int64_t product(int n, const int64_t *v);
/* Row-major strides of a tensor, in elements. */
void row_strides(const Type *t, int64_t *stride);
/* Where sample i of a tensor starts; a shared tensor has one sample for all. */
static inline double *sample(const Tensor *t, int64_t i) {
  return t->data + (t->type.batched ? i * type_elements(&t->type) : 0);
}

/* A loop nest of up to two tensors: index, and the offset in each. Starts at zero; odometer_next
 * steps the last dimension first and gives false after the last element. */
enum { ODOMETER_RANK = 2 * LIMIT_RANK + 1 };
typedef struct {
  int rank;
  int64_t dim[ODOMETER_RANK], index[ODOMETER_RANK], stride[2][ODOMETER_RANK];
  int64_t at[2];
} Odometer;
void odometer_add(Odometer *o, int64_t dim, int64_t stride0, int64_t stride1);
bool odometer_next(Odometer *o);

#endif
