/* Shapes: the same elements elsewhere. The primitives are closed under differentiation: reshape and
 * permute by themselves, cut and surround by each other, broadcast by a sum, concat by cuts. */
#include "ir/ops/common.h"

#include <string.h>

/* ---- reshape ---- */

/* The size that -1 stands for; 0 when there is none. */
static int64_t inferred_size(const Attr *shape, int64_t elements) {
  int64_t known = 1;
  for (int d = 0; d < shape->n; d++) {
    if (shape->v[d] == -1) continue;
    if (shape->v[d] > elements / known) return 0;
    known *= shape->v[d];
  }
  return elements % known ? 0 : elements / known;
}

/* Every size is at least 1, but for one -1 at most; *open is its place. */
static bool reshape_sizes(const Node *n, const Attr *shape, int *open, OpError *e) {
  *open = -1;
  for (int d = 0; d < shape->n; d++) {
    if (shape->v[d] == -1 && *open < 0)
      *open = d;
    else if (shape->v[d] == -1)
      return attr_error(e, n, "shape", "only one size can be -1");
    else if (shape->v[d] < 1)
      return attr_error(e, n, "shape", "a size of %lld in %s", (long long)shape->v[d],
                        ints_text(e, shape->n, shape->v));
  }
  return true;
}

bool op_reshape_shape(Node *n, Type *out, OpError *e) {
  const Type *x = &n->in[0]->type;
  const Attr *shape = node_attr(n, "shape");
  int64_t elements = type_elements(x);
  int open;
  if (!reshape_sizes(n, shape, &open, e)) return false;
  int64_t missing = inferred_size(shape, elements);
  if (!missing || (open < 0 && missing != 1)) {
    attr_error(e, n, "shape", "%s cannot be reshaped to %s", shape_text(e, x),
               ints_text(e, shape->n, shape->v));
    op_note(e, "it has %lld elements, the batch not counted", (long long)elements);
    return false;
  }
  if (open >= 0) attr_put(n, "shape", open, missing);
  *out = type_of(x->elem, x->batched, shape->n, shape->v);
  return true;
}

void op_reshape_eval(const Node *n, const Tensor *const *in, Tensor *out, const EvalContext *c) {
  (void)n, (void)c;
  int64_t count = out->n * type_elements(&out->type);
  memcpy(out->data, in[0]->data, (size_t)count * sizeof *out->data);
}

void op_reshape_grad(Graph *g, Node *n, Node *dy, Node **dx) {
  const Type *x = &n->in[0]->type;
  dx[0] = ir_reshape(g, dy, x->rank, x->dim);
}

/* ---- permute ---- */

bool op_permute_shape(Node *n, Type *out, OpError *e) {
  const Type *x = &n->in[0]->type;
  const Attr *order = node_attr(n, "order");
  bool used[LIMIT_RANK] = {false};
  if (order->n != x->rank) {
    attr_error(e, n, "order", "%d dimensions are ordered, the tensor has %d", order->n, x->rank);
    op_note(e, "its shape is %s, the batch not counted", shape_text(e, x));
    return false;
  }
  *out = *x;
  for (int d = 0; d < x->rank; d++) {
    int64_t from;
    if (!resolve_dim(order->v[d], x->rank, &from))
      return attr_error(e, n, "order", "dimension %lld is not in [%d, %d]", (long long)order->v[d],
                        -x->rank, x->rank - 1);
    if (used[from])
      return attr_error(e, n, "order", "dimension %lld is given twice", (long long)from);
    used[from] = true;
    attr_put(n, "order", d, from);
    out->dim[d] = x->dim[from];
  }
  return true;
}

/* Copies along a walk whose first offset is in `from` and whose second is in `to`. */
static void copy_walk(Odometer *o, const double *from, double *to) {
  do to[o->at[1]] = from[o->at[0]];
  while (odometer_next(o));
}

void op_permute_eval(const Node *n, const Tensor *const *in, Tensor *out, const EvalContext *c) {
  (void)c;
  Odometer o = {0};
  int64_t from[LIMIT_RANK], to[LIMIT_RANK], each = type_elements(&out->type);
  const int64_t *order = node_ints(n, "order");
  row_strides(&in[0]->type, from);
  row_strides(&out->type, to);
  odometer_add(&o, out->n, each, each);
  for (int d = 0; d < out->type.rank; d++)
    odometer_add(&o, out->type.dim[d], from[order[d]], to[d]);
  copy_walk(&o, in[0]->data, out->data);
}

void op_permute_grad(Graph *g, Node *n, Node *dy, Node **dx) {
  int64_t inverse[LIMIT_RANK];
  const int64_t *order = node_ints(n, "order");
  for (int d = 0; d < n->type.rank; d++) inverse[order[d]] = d;
  dx[0] = ir_permute(g, dy, inverse);
}

/* ---- broadcast ---- */

bool op_broadcast_shape(Node *n, Type *out, OpError *e) {
  const Type *x = &n->in[0]->type;
  const Attr *shape = node_attr(n, "shape");
  *out = type_of(x->elem, node_bool(n, "batched"), shape->n, shape->v);
  if (!check_size(out, e)) return false;
  if (x->batched && !out->batched)
    return attr_error(e, n, "batched", "a per-sample tensor cannot become shared");
  int extra = shape->n - x->rank;
  for (int d = 0; d < x->rank; d++)
    if (extra < 0 || (x->dim[d] != 1 && x->dim[d] != shape->v[d + extra]))
      return attr_error(e, n, "shape", "%s does not broadcast to %s", shape_text(e, x),
                        ints_text(e, shape->n, shape->v));
  return true;
}

void op_broadcast_eval(const Node *n, const Tensor *const *in, Tensor *out, const EvalContext *c) {
  (void)n, (void)c;
  const Type *x = &in[0]->type, *y = &out->type;
  Odometer o = {0};
  int64_t from[LIMIT_RANK], to[LIMIT_RANK];
  row_strides(x, from);
  row_strides(y, to);
  odometer_add(&o, out->n, x->batched ? type_elements(x) : 0, type_elements(y));
  for (int d = 0, extra = y->rank - x->rank; d < y->rank; d++) {
    bool repeated = d < extra || x->dim[d - extra] == 1;
    odometer_add(&o, y->dim[d], repeated ? 0 : from[d - extra], to[d]);
  }
  copy_walk(&o, in[0]->data, out->data);
}

void op_broadcast_grad(Graph *g, Node *n, Node *dy, Node **dx) {
  dx[0] = ir_sum_to(g, dy, &n->in[0]->type);
}

/* ---- concat ---- */

static bool concat_fits(const Node *n, int i, int64_t dim, OpError *e) {
  const Type *a = &n->in[0]->type, *b = &n->in[i]->type;
  if (a->elem != b->elem) return operand_error(e, i, "concat joins tensors of one element type");
  bool fits = a->rank == b->rank;
  for (int d = 0; fits && d < a->rank; d++) fits = d == dim || a->dim[d] == b->dim[d];
  if (fits) return true;
  operand_error(e, i, "%s cannot be joined with %s along dimension %lld", shape_text(e, b),
                shape_text(e, a), (long long)dim);
  op_note(e, "all dimensions but the joined one must agree; the batch is not counted");
  return false;
}

bool op_concat_shape(Node *n, Type *out, OpError *e) {
  int64_t dim, total = 0;
  *out = n->in[0]->type;
  if (!resolve_attr_dim(n, "dim", out->rank, &dim, e)) return false;
  attr_slot(n, "dim")->i = dim;
  for (int i = 0; i < n->nin; i++) {
    if (!concat_fits(n, i, dim, e)) return false;
    total += n->in[i]->type.dim[dim];
    out->batched |= n->in[i]->type.batched;
  }
  out->dim[dim] = total;
  return check_size(out, e);
}

/* Each operand is runs of dim[dim] * inner elements, one a combination of the outer dimensions. */
void op_concat_eval(const Node *n, const Tensor *const *in, Tensor *out, const EvalContext *c) {
  (void)c;
  int dim = (int)node_int(n, "dim");
  int64_t outer = product(dim, out->type.dim);
  int64_t inner = product(out->type.rank - dim - 1, out->type.dim + dim + 1);
  for (int64_t s = 0; s < out->n; s++) {
    double *to = out->data + s * type_elements(&out->type);
    for (int64_t o = 0; o < outer; o++)
      for (int i = 0; i < n->nin; i++) {
        int64_t run = in[i]->type.dim[dim] * inner;
        memcpy(to, sample(in[i], s) + o * run, (size_t)run * sizeof *to);
        to += run;
      }
  }
}

static Node *cut(Graph *g, Node *x, const int64_t *start, const int64_t *size,
                 const int64_t *step) {
  int rank = x->type.rank;
  return ir_with(g, OP_cut, x, attr_ints(rank, start), attr_ints(rank, size),
                 attr_ints(rank, step));
}

void op_concat_grad(Graph *g, Node *n, Node *dy, Node **dx) {
  int dim = (int)node_int(n, "dim");
  int64_t start[LIMIT_RANK] = {0}, step[LIMIT_RANK];
  for (int d = 0; d < LIMIT_RANK; d++) step[d] = 1;
  for (int i = 0; i < n->nin; i++) {
    const Type *t = &n->in[i]->type;
    dx[i] = ir_sum_to(g, cut(g, dy, start, t->dim, step), t);
    start[dim] += t->dim[dim];
  }
}

/* ---- cut and surround ---- */

/* One number a dimension, each at least `least`. */
static bool check_per_dim(const Node *n, const char *name, int rank, int64_t least, OpError *e) {
  if (node_attr(n, name)->n != rank)
    return attr_error(e, n, name, "%s needs %d numbers, one a dimension", name, rank);
  return check_least(n, name, least, e);
}

bool op_cut_shape(Node *n, Type *out, OpError *e) {
  const Type *x = &n->in[0]->type;
  if (!check_per_dim(n, "start", x->rank, 0, e) || !check_per_dim(n, "size", x->rank, 1, e) ||
      !check_per_dim(n, "step", x->rank, 1, e))
    return false;
  *out = *x;
  for (int d = 0; d < x->rank; d++) {
    int64_t size = node_ints(n, "size")[d];
    int64_t last = node_ints(n, "start")[d] + (size - 1) * node_ints(n, "step")[d];
    if (last >= x->dim[d])
      return attr_error(e, n, "size", "element %lld of dimension %d is outside %s", (long long)last,
                        d, shape_text(e, x));
    out->dim[d] = size;
  }
  return true;
}

/* Walks the box of a strided part (first offset) and of the dense tensor of that size (second). */
static Odometer box_walk(const Tensor *whole, const Tensor *part, const int64_t *start,
                         const int64_t *step) {
  Odometer o = {0};
  int64_t in_whole[LIMIT_RANK] = {0}, in_part[LIMIT_RANK] = {0}, offset = 0;
  row_strides(&whole->type, in_whole);
  row_strides(&part->type, in_part);
  odometer_add(&o, part->n, type_elements(&whole->type), type_elements(&part->type));
  for (int d = 0; d < part->type.rank; d++) {
    odometer_add(&o, part->type.dim[d], in_whole[d] * step[d], in_part[d]);
    offset += in_whole[d] * start[d];
  }
  o.at[0] = offset;
  return o;
}

void op_cut_eval(const Node *n, const Tensor *const *in, Tensor *out, const EvalContext *c) {
  (void)c;
  Odometer o = box_walk(in[0], out, node_ints(n, "start"), node_ints(n, "step"));
  copy_walk(&o, in[0]->data, out->data);
}

void op_cut_grad(Graph *g, Node *n, Node *dy, Node **dx) {
  const Type *x = &n->in[0]->type;
  const int64_t *start = node_ints(n, "start"), *size = node_ints(n, "size");
  const int64_t *step = node_ints(n, "step");
  int64_t high[LIMIT_RANK], inner[LIMIT_RANK];
  for (int d = 0; d < x->rank; d++) {
    high[d] = x->dim[d] - start[d] - ((size[d] - 1) * step[d] + 1);
    inner[d] = size[d] > 1 ? step[d] - 1 : 0;
  }
  dx[0] = ir_with(g, OP_surround, dy, attr_ints(x->rank, start), attr_ints(x->rank, high),
                  attr_ints(x->rank, inner), attr_float(0));
}

bool op_surround_shape(Node *n, Type *out, OpError *e) {
  const Type *x = &n->in[0]->type;
  if (!check_per_dim(n, "low", x->rank, 0, e) || !check_per_dim(n, "high", x->rank, 0, e) ||
      !check_per_dim(n, "inner", x->rank, 0, e))
    return false;
  *out = *x;
  for (int d = 0; d < x->rank; d++) {
    int64_t gaps = x->dim[d] - 1, inner = node_ints(n, "inner")[d];
    if (gaps && inner > LIMIT_DIM / gaps)
      return attr_error(e, n, "inner", "dimension %d becomes too large", d);
    out->dim[d] += node_ints(n, "low")[d] + node_ints(n, "high")[d] + gaps * inner;
  }
  return check_size(out, e);
}

void op_surround_eval(const Node *n, const Tensor *const *in, Tensor *out, const EvalContext *c) {
  (void)c;
  int64_t step[LIMIT_RANK] = {0}, count = out->n * type_elements(&out->type);
  for (int d = 0; d < out->type.rank; d++) step[d] = node_ints(n, "inner")[d] + 1;
  for (int64_t i = 0; i < count; i++) out->data[i] = node_float(n, "value");
  Odometer o = box_walk(out, in[0], node_ints(n, "low"), step);
  do out->data[o.at[0]] = in[0]->data[o.at[1]];
  while (odometer_next(&o));
}

void op_surround_grad(Graph *g, Node *n, Node *dy, Node **dx) {
  const Type *x = &n->in[0]->type;
  int64_t step[LIMIT_RANK];
  for (int d = 0; d < x->rank; d++) step[d] = node_ints(n, "inner")[d] + 1;
  dx[0] = cut(g, dy, node_ints(n, "low"), x->dim, step);
}

/* ---- iota ---- */

bool op_iota_shape(Node *n, Type *out, OpError *e) {
  int64_t count = node_int(n, "count");
  if (!check_least(n, "count", 1, e)) return false;
  *out = type_of(ELEM_F32, false, 1, &count);
  return true;
}

void op_iota_eval(const Node *n, const Tensor *const *in, Tensor *out, const EvalContext *c) {
  (void)in, (void)c;
  for (int64_t i = 0; i < node_int(n, "count"); i++) out->data[i] = (double)i;
}

void op_iota_grad(Graph *g, Node *n, Node *dy, Node **dx) { (void)g, (void)n, (void)dy, (void)dx; }

/* ---- made of them ---- */

Node *op_flatten_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  (void)n;
  int64_t all = type_elements(&in[0]->type);
  if (all > LIMIT_DIM) {
    operand_error(e, 0, "flatten of %lld elements: one dimension has at most %lld", (long long)all,
                  (long long)LIMIT_DIM);
    return NULL;
  }
  return ir_reshape(x->graph, in[0], 1, &all);
}

Node *op_transpose_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  int rank = in[0]->type.rank;
  int64_t order[LIMIT_RANK], a, b;
  if (!resolve_attr_dim(n, "a", rank, &a, e) || !resolve_attr_dim(n, "b", rank, &b, e)) return NULL;
  for (int d = 0; d < rank; d++) order[d] = d == a ? b : d == b ? a : d;
  return ir_permute(x->graph, in[0], order);
}

/* An end of a slice: negative from the end, then kept within the dimension, as in Python. */
static int64_t slice_end(int64_t i, int64_t size) {
  if (i < 0) i += size;
  return i < 0 ? 0 : i > size ? size : i;
}

Node *op_slice_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  const Type *t = &in[0]->type;
  int64_t dim, start[LIMIT_RANK] = {0}, size[LIMIT_RANK], step[LIMIT_RANK];
  if (!resolve_attr_dim(n, "dim", t->rank, &dim, e) || !check_least(n, "step", 1, e)) return NULL;
  for (int d = 0; d < t->rank; d++) size[d] = t->dim[d], step[d] = 1;
  int64_t end = slice_end(node_int(n, "end"), t->dim[dim]);
  start[dim] = slice_end(node_int(n, "start"), t->dim[dim]);
  step[dim] = node_int(n, "step");
  if (end <= start[dim]) {
    attr_error(e, n, "end", "the slice from %lld to %lld is empty", (long long)node_int(n, "start"),
               (long long)node_int(n, "end"));
    op_note(e, "dimension %lld has %lld elements", (long long)dim, (long long)t->dim[dim]);
    return NULL;
  }
  size[dim] = (end - start[dim] + step[dim] - 1) / step[dim];
  return cut(x->graph, in[0], start, size, step);
}

Node *op_squeeze_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  Type t = in[0]->type;
  int64_t dim;
  if (!resolve_attr_dim(n, "dim", t.rank, &dim, e)) return NULL;
  if (t.dim[dim] != 1) {
    attr_error(e, n, "dim", "dimension %lld of %s is not 1", (long long)dim, shape_text(e, &t));
    return NULL;
  }
  for (int d = (int)dim; d + 1 < t.rank; d++) t.dim[d] = t.dim[d + 1];
  return ir_reshape(x->graph, in[0], t.rank - 1, t.dim);
}

Node *op_unsqueeze_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  const Type *t = &in[0]->type;
  int64_t dim, size[LIMIT_RANK + 1];
  if (!resolve_attr_dim(n, "dim", t->rank + 1, &dim, e)) return NULL;
  if (t->rank == LIMIT_RANK) {
    operand_error(e, 0, "the tensor has %d dimensions already, the most there can be", LIMIT_RANK);
    return NULL;
  }
  for (int d = 0, k = 0; d <= t->rank; d++) size[d] = d == dim ? 1 : t->dim[k++];
  return ir_reshape(x->graph, in[0], t->rank + 1, size);
}

/* ---- pad ---- */

/* A negative width cuts off first; each dimension keeps at least one element. */
static bool pad_widths(const Node *n, const Type *t, int64_t *start, int64_t *size, int64_t *low,
                       int64_t *high, OpError *e) {
  const Attr *pad = node_attr(n, "pad");
  if (pad->n != 2 * t->rank) {
    attr_error(e, n, "pad", "%d pairs of widths for %d dimensions", pad->n / 2, t->rank);
    op_note(e, "one [before, after] for each dimension of %s, the batch not counted",
            shape_text(e, t));
    return false;
  }
  for (int d = 0; d < t->rank; d++) {
    int64_t before = pad->v[2 * d], after = pad->v[2 * d + 1];
    low[d] = before > 0 ? before : 0;
    high[d] = after > 0 ? after : 0;
    start[d] = low[d] - before;
    size[d] = t->dim[d] - start[d] - (high[d] - after);
    if (size[d] < 1)
      return attr_error(e, n, "pad", "nothing is left of dimension %d, which has %lld elements", d,
                        (long long)t->dim[d]);
  }
  return true;
}

Node *op_pad_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  Graph *g = x->graph;
  int64_t start[LIMIT_RANK], size[LIMIT_RANK], low[LIMIT_RANK], high[LIMIT_RANK];
  int64_t ones[LIMIT_RANK], none[LIMIT_RANK] = {0};
  Node *a = as_real(g, in[0]);
  int rank = a->type.rank;
  if (!pad_widths(n, &a->type, start, size, low, high, e)) return NULL;
  for (int d = 0; d < rank; d++) ones[d] = 1;
  if (memcmp(size, a->type.dim, (size_t)rank * sizeof *size)) a = cut(g, a, start, size, ones);
  return ir_with(g, OP_surround, a, attr_ints(rank, low), attr_ints(rank, high),
                 attr_ints(rank, none), *node_attr(n, "value"));
}

/* ---- upsample ---- */

/* [C, H, W] with dimension `axis` apart: [C, H, 1, W] for 1, [C, H, W, 1] for 2. */
static Node *with_phase(Graph *g, Node *x, int axis) {
  int64_t dim[4];
  for (int d = 0, k = 0; d < 4; d++) dim[d] = d == axis + 1 ? 1 : x->type.dim[k++];
  return ir_reshape(g, x, 4, dim);
}

/* x a step further along axis, the element at the end repeated: x[min(i + 1, last)] for step 1,
 * x[max(i - 1, 0)] for -1. */
static Node *neighbour(Graph *g, Node *x, int axis, int step) {
  int64_t start[3] = {0}, size[3], ones[3] = {1, 1, 1}, end[3] = {0}, count = x->type.dim[axis];
  if (count == 1) return x;
  memcpy(size, x->type.dim, sizeof size);
  size[axis] = count - 1;
  start[axis] = step > 0;
  Node *most = cut(g, x, start, size, ones);
  size[axis] = 1;
  end[axis] = step > 0 ? count - 1 : 0;
  Node *last = cut(g, x, end, size, ones);
  Node *both[] = {step > 0 ? most : last, step > 0 ? last : most};
  return ir_make(g, OP_concat, 2, both, (Attr[]){attr_dim(axis)});
}

static Node *weighted(Graph *g, Node *x, int axis, Node *weight) {
  int64_t dim[4] = {1, 1, 1, 1};
  dim[axis + 1] = weight->type.dim[0];
  return mul(g, with_phase(g, x, axis), ir_reshape(g, weight, 4, dim));
}

/* Element i scale + r of the result is at i + t, t = (r + 1/2) / scale - 1/2, between neighbours:
 * the one before has the weight max(-t, 0), the one after max(t, 0), x[i] the rest. */
static Node *interpolate(Graph *g, Node *x, int axis, int64_t scale) {
  Node *r = ir_make(g, OP_iota, 0, NULL, (Attr[]){attr_int(scale)});
  double s = (double)scale;
  Node *t = ir_shift(g, ir_scale(g, r, 1 / s), 0.5 / s - 0.5);
  Node *before = ir_unary(g, OP_relu, neg(g, t)), *after = ir_unary(g, OP_relu, t);
  Node *here = sub(g, ir_constant(g, 1), ir_unary(g, OP_abs, t));
  Node *sides = add(g, weighted(g, neighbour(g, x, axis, -1), axis, before),
                    weighted(g, neighbour(g, x, axis, 1), axis, after));
  return add(g, weighted(g, x, axis, here), sides);
}

static Node *repeat(Graph *g, Node *x, int axis, int64_t scale) {
  Node *apart = with_phase(g, x, axis);
  Type t = apart->type;
  t.dim[axis + 1] = scale;
  return ir_broadcast(g, apart, &t);
}

Node *op_upsample_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  Graph *g = x->graph;
  Node *a = as_real(g, in[0]);
  bool bilinear = node_str(n, "mode")[0] == 'b';
  if (!check_rank(n, in, 0, 3, "[C, H, W]", e) || !check_least(n, "scale", 1, e)) return NULL;
  for (int axis = 1; axis <= 2; axis++) {
    int64_t scale = node_ints(n, "scale")[axis - 1];
    int64_t dim[3] = {a->type.dim[0], a->type.dim[1], a->type.dim[2]};
    if (scale == 1) continue;
    dim[axis] *= scale;
    a = bilinear ? interpolate(g, a, axis, scale) : repeat(g, a, axis, scale);
    a = ir_reshape(g, a, 3, dim);
  }
  return a;
}
