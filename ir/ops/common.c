/* Helpers of the op files: see common.h. */
#include "ir/ops/common.h"

#include <stdarg.h>
#include <string.h>

Node *as_real(Graph *g, Node *x) { return x->type.elem == ELEM_F32 ? x : ir_unary(g, OP_real, x); }

Node *reduce_along(Graph *g, Op reduce, Node *x, int64_t dim) {
  Node *r = ir_with(g, reduce, x, attr_ints(1, &dim), attr_bool(false));
  return ir_keepdims(g, r, &x->type, 1, &dim);
}

static int all_dims(const Node *x, int64_t *dims) {
  for (int d = 0; d < x->type.rank; d++) dims[d] = d;
  return x->type.rank;
}

Node *sum_all(Graph *g, Node *x) {
  int64_t dims[LIMIT_RANK];
  return x->type.rank == 0 ? x : ir_sum(g, x, all_dims(x, dims), dims, false);
}

Node *mean_all(Graph *g, Node *x) {
  int64_t dims[LIMIT_RANK];
  return x->type.rank == 0 ? x : ir_mean(g, x, all_dims(x, dims), dims, false);
}

/* ---- errors ---- */

static void error_text(OpError *e, const char *fmt, va_list ap) {
  op_error(e, "%s", arena_vprintf(e->arena, fmt, ap));
}

bool(operand_error)(OpError *e, int operand, const char *fmt, ...) {
  if (!e) return op_error(e, "%s", fmt);
  va_list ap;
  va_start(ap, fmt);
  error_text(e, fmt, ap);
  va_end(ap);
  e->operand = operand;
  return false;
}

bool(attr_error)(OpError *e, const Node *n, const char *attribute, const char *fmt, ...) {
  if (!e) return op_error(e, "%s", fmt);
  va_list ap;
  va_start(ap, fmt);
  error_text(e, fmt, ap);
  va_end(ap);
  const Signature *s = op_signature(n->op);
  for (int i = 0; i < s->nattrs; i++)
    if (!strcmp(s->attr[i].name, attribute)) e->attribute = i;
  return false;
}

void op_note(OpError *e, const char *fmt, ...) {
  if (!e) return;
  va_list ap;
  va_start(ap, fmt);
  e->note = arena_vprintf(e->arena, fmt, ap);
  va_end(ap);
}

const char *ints_text(OpError *e, int n, const int64_t *v) {
  if (!e) return "";
  Str s = str_new(e->arena);
  str_put(&s, "[");
  for (int i = 0; i < n; i++) str_printf(&s, "%s%lld", i ? ", " : "", (long long)v[i]);
  str_put(&s, "]");
  return s.text;
}

const char *shape_text(OpError *e, const Type *t) { return ints_text(e, t->rank, t->dim); }

/* ---- checks ---- */

bool check_size(const Type *t, OpError *e) {
  if (t->rank > LIMIT_RANK)
    return op_error(e, "the result has %d dimensions; at most %d are allowed", t->rank, LIMIT_RANK);
  int64_t elements = 1;
  for (int d = 0; d < t->rank; d++) {
    if (t->dim[d] < 1)
      return op_error(e, "dimension %d of %s is %lld; every dimension must be at least 1", d,
                      shape_text(e, t), (long long)t->dim[d]);
    if (t->dim[d] > LIMIT_DIM)
      return op_error(e, "dimension %d of %s is larger than %lld", d, shape_text(e, t),
                      (long long)LIMIT_DIM);
    if (elements > LIMIT_ELEMENTS / t->dim[d])
      return op_error(e, "a tensor of shape %s is too large: more than %lld elements",
                      shape_text(e, t), (long long)LIMIT_ELEMENTS);
    elements *= t->dim[d];
  }
  return true;
}

static const char *elem_name(Elem elem) {
  return elem == ELEM_F32 ? "f32" : elem == ELEM_U8 ? "u8" : "i32";
}

bool check_real(const Node *n, Node *const *in, int i, OpError *e) {
  Elem elem = in[i]->type.elem;
  if (elem == ELEM_F32) return true;
  return operand_error(e, i, "%s needs an f32 tensor here, not %s", op_info[n->op].name,
                       elem_name(elem));
}

bool check_integer(const Node *n, Node *const *in, int i, OpError *e) {
  if (in[i]->type.elem != ELEM_F32) return true;
  operand_error(e, i, "%s needs integers here (i32, u8 or a class label), not f32",
                op_info[n->op].name);
  op_note(e, "declare it as i32[...] or class[k]");
  return false;
}

bool check_rank(const Node *n, Node *const *in, int i, int rank, const char *shape, OpError *e) {
  const Type *t = &in[i]->type;
  if (t->rank == rank) return true;
  operand_error(e, i, "%s needs a tensor %s, not one of shape %s", op_info[n->op].name, shape,
                shape_text(e, t));
  op_note(e, "the batch is not counted; reshape or unsqueeze gives the dimensions it lacks");
  return false;
}

bool check_least(const Node *n, const char *name, int64_t least, OpError *e) {
  const Attr *a = node_attr(n, name);
  bool single = a->kind == ATTR_INT || a->kind == ATTR_DIM;
  int count = single ? 1 : a->n;
  for (int i = 0; i < count; i++) {
    int64_t v = single ? a->i : a->v[i];
    if (v < least)
      return attr_error(e, n, name, "%s must be at least %lld, not %lld", name, (long long)least,
                        (long long)v);
    if (v > LIMIT_DIM)
      return attr_error(e, n, name, "%s must be at most %lld, not %lld", name, (long long)LIMIT_DIM,
                        (long long)v);
  }
  return true;
}

bool check_fraction(const Node *n, const char *name, OpError *e) {
  double v = node_float(n, name);
  if (v >= 0 && v <= 1) return true;
  return attr_error(e, n, name, "%s must be between 0 and 1, not %g", name, v);
}

bool resolve_dim(int64_t given, int rank, int64_t *dim) {
  *dim = given < 0 ? given + rank : given;
  return *dim >= 0 && *dim < rank;
}

static bool dim_error(const Node *n, const char *name, int64_t given, int rank, OpError *e) {
  if (rank == 0) {
    attr_error(e, n, name, "dimension %lld of a scalar", (long long)given);
    op_note(e, "the batch is not counted as a dimension");
    return false;
  }
  attr_error(e, n, name, "dimension %lld is not in [%d, %d]", (long long)given, -rank, rank - 1);
  op_note(e, "the tensor has %d dimension%s, the batch not counted", rank, rank == 1 ? "" : "s");
  return false;
}

bool resolve_attr_dim(const Node *n, const char *name, int rank, int64_t *dim, OpError *e) {
  int64_t given = node_int(n, name);
  return resolve_dim(given, rank, dim) || dim_error(n, name, given, rank, e);
}

bool resolve_attr_dims(const Node *n, const char *name, int rank, int *ndims, int64_t *dims,
                       OpError *e) {
  const Attr *a = node_attr(n, name);
  bool used[LIMIT_RANK] = {false};
  for (int i = 0; i < a->n; i++) {
    int64_t d;
    if (!resolve_dim(a->v[i], rank, &d)) return dim_error(n, name, a->v[i], rank, e);
    if (used[d]) return attr_error(e, n, name, "dimension %lld is given twice", (long long)a->v[i]);
    used[d] = true;
  }
  *ndims = 0;
  for (int d = 0; d < rank; d++)
    if (used[d] || a->n < 0) dims[(*ndims)++] = d;
  return true;
}

Attr *attr_slot(Node *n, const char *name) { return &n->attr[node_attr(n, name) - n->attr]; }

void attr_put(Node *n, const char *name, int index, int64_t value) {
  /* The list is the node's own copy, so it may be written. */
  int64_t *v = (int64_t *)attr_slot(n, name)->v;
  if (v[index] != value) v[index] = value;
}

/* ---- sums ---- */

int64_t product(int n, const int64_t *v) {
  int64_t p = 1;
  for (int i = 0; i < n; i++) p *= v[i];
  return p;
}

void row_strides(const Type *t, int64_t *stride) {
  int64_t s = 1;
  for (int d = t->rank - 1; d >= 0; d--) {
    stride[d] = s;
    s *= t->dim[d];
  }
}

void odometer_add(Odometer *o, int64_t dim, int64_t stride0, int64_t stride1) {
  o->dim[o->rank] = dim;
  o->stride[0][o->rank] = stride0;
  o->stride[1][o->rank] = stride1;
  o->rank++;
}

bool odometer_next(Odometer *o) {
  for (int d = o->rank - 1; d >= 0; d--) {
    o->at[0] += o->stride[0][d];
    o->at[1] += o->stride[1][d];
    if (++o->index[d] < o->dim[d]) return true;
    o->at[0] -= o->stride[0][d] * o->dim[d];
    o->at[1] -= o->stride[1][d] * o->dim[d];
    o->index[d] = 0;
  }
  return false;
}
