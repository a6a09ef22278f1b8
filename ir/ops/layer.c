/* Layers: ops that own parameters. Names, shapes, order and default initialisers are PyTorch's, so
 * checkpoints are exchanged without an edit. A parameter that the user gave stays. */
#include "ir/ops/common.h"

#include <math.h>

/* ---- parameters ---- */

/* Fills *slot, unless the user did, by the initialiser that attribute `name` gives or else by
 * `otherwise`. */
static bool own(Params *p, const Node *n, Node **slot, const char *param, const char *attribute,
                int rank, const int64_t *dim, Init otherwise, OpError *e) {
  Init init = node_attr(n, attribute)->init;
  if (*slot) return true;
  const char *wrong = init_fault(init, rank);
  if (wrong) return attr_error(e, n, attribute, "%s", wrong);
  if (init.kind == INIT_DEFAULT) init = otherwise;
  *slot = p->make(p, OP_param, param, rank, dim, init_resolve(init, rank, dim));
  return true;
}

static Init uniform(double bound) { return (Init){INIT_UNIFORM, -bound, bound}; }

/* Weight and bias of an affine layer: both uniform within 1 / sqrt(fan_in). */
static Init affine_init(int rank, const int64_t *dim) {
  return uniform(1 / sqrt((double)product(rank - 1, dim + 1)));
}

static bool weight_param(Params *p, const Node *n, Node **in, int rank, const int64_t *dim,
                         OpError *e) {
  Type t = type_of(ELEM_F32, false, rank, dim);
  return check_size(&t, e) &&
         own(p, n, &in[1], "weight", "init", rank, dim, affine_init(rank, dim), e);
}

/* `dim` is the weight's. */
static bool bias_param(Params *p, const Node *n, Node **in, int64_t out, int rank,
                       const int64_t *dim, OpError *e) {
  return !node_bool(n, "bias") ||
         own(p, n, &in[2], "bias", "bias_init", 1, &out, affine_init(rank, dim), e);
}

static bool affine_params(Params *p, const Node *n, Node **in, int rank, const int64_t *dim,
                          OpError *e) {
  return weight_param(p, n, in, rank, dim, e) && bias_param(p, n, in, dim[0], rank, dim, e);
}

/* A parameter given by the user has the shape that the layer wants. */
static bool check_param(Node *const *in, int i, const char *name, int rank, const int64_t *dim,
                        OpError *e) {
  if (!in[i]) return true;
  Type want = type_of(ELEM_F32, false, rank, dim);
  if (type_equal(&in[i]->type, &want)) return true;
  if (in[i]->type.batched) return operand_error(e, i, "%s must be shared, not per sample", name);
  return operand_error(e, i, "%s has shape %s, the layer needs %s", name,
                       shape_text(e, &in[i]->type), shape_text(e, &want));
}

/* ---- linear ---- */

static bool linear_dims(const Node *n, Node *const *in, int64_t *dim, OpError *e) {
  const Type *x = &in[0]->type;
  if (!x->rank) {
    operand_error(e, 0, "linear needs a tensor of at least one dimension, not a scalar");
    op_note(e, "unsqueeze(0) makes a vector of it");
    return false;
  }
  dim[0] = node_int(n, "out");
  dim[1] = x->dim[x->rank - 1];
  return check_least(n, "out", 1, e);
}

bool op_linear_params(Params *p, const Node *n, Node **in, OpError *e) {
  int64_t dim[2];
  return linear_dims(n, in, dim, e) && affine_params(p, n, in, 2, dim, e);
}

Node *op_linear_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  Graph *g = x->graph;
  int64_t dim[2], last = in[0]->type.rank - 1, one = 1;
  if (!linear_dims(n, in, dim, e) || !check_param(in, 1, "weight", 2, dim, e) ||
      !check_param(in, 2, "bias", 1, dim, e))
    return NULL;
  Node *y = ir_with2(g, OP_dot_general, as_real(g, in[0]), in[1], attr_ints(1, &last),
                     attr_ints(1, &one), attr_ints(0, NULL), attr_ints(0, NULL), attr_bool(false));
  return in[2] ? add(g, y, in[2]) : y;
}

/* ---- conv1d, conv2d ---- */

static const char *const image_text[] = {NULL, NULL, "[C, L]", "[C, H, W]"};

/* Weight [out, in / groups, kernel...] for an image of `rank` dimensions. */
static bool conv_dims(const Node *n, Node *const *in, int rank, int64_t *dim, OpError *e) {
  const Type *x = &in[0]->type;
  const Attr *kernel = node_attr(n, "kernel");
  if (!check_rank(n, in, 0, rank, image_text[rank], e) || !check_least(n, "out", 1, e) ||
      !check_least(n, "kernel", 1, e) || !check_least(n, "groups", 1, e))
    return false;
  int64_t groups = node_int(n, "groups"), out = node_int(n, "out");
  if (x->dim[0] % groups || out % groups)
    return attr_error(e, n, "groups",
                      "groups=%lld divides %lld input channels and %lld outputs "
                      "unevenly",
                      (long long)groups, (long long)x->dim[0], (long long)out);
  dim[0] = out;
  dim[1] = x->dim[0] / groups;
  for (int d = 2; d <= rank; d++) dim[d] = rank == 2 ? kernel->i : kernel->v[d - 2];
  return true;
}

/* A convolution of [C, H, W]; one of [C, L] is one of height 1. */
typedef struct {
  int64_t kernel[2], stride[2], dilation[2], pads[4];
} Window;

static void window_attr(const Node *n, const char *name, int64_t *v) {
  const Attr *a = node_attr(n, name);
  bool single = a->kind == ATTR_INT;
  v[0] = single ? 1 : a->v[0];
  v[1] = single ? a->i : a->v[1];
}

/* top, bottom, left, right; "same" puts the odd one at the bottom and right. */
static bool window_pads(const Node *n, Window *w, int first, OpError *e) {
  const Attr *given = node_attr(n, "padding");
  if (given->n >= 0 && !check_least(n, "padding", 0, e)) return false;
  if (given->n < 0 && (w->stride[0] != 1 || w->stride[1] != 1))
    return attr_error(e, n, "padding", "padding=\"same\" needs stride 1");
  for (int axis = first; axis < 2; axis++) {
    int64_t total = given->n < 0 ? w->dilation[axis] * (w->kernel[axis] - 1) : 2 * given->v[axis];
    if (total > LIMIT_DIM) return attr_error(e, n, "padding", "the padding is too large");
    w->pads[2 * axis] = total / 2;
    w->pads[2 * axis + 1] = total - total / 2;
  }
  return true;
}

/* Axes from `first` on have attributes of their own. */
static bool window_of(const Node *n, int first, Window *w, OpError *e) {
  *w = (Window){.pads = {0}};
  if (!check_least(n, "stride", 1, e) || !check_least(n, "dilation", 1, e)) return false;
  window_attr(n, "kernel", w->kernel);
  window_attr(n, "stride", w->stride);
  window_attr(n, "dilation", w->dilation);
  return window_pads(n, w, first, e);
}

static Node *convolve(Graph *g, const Node *n, Node *x, Node *weight, const Window *w) {
  return ir_with2(g, OP_conv, x, weight, attr_pair(w->stride), attr_ints(4, w->pads),
                  attr_pair(w->dilation), *node_attr(n, "groups"));
}

bool op_conv1d_params(Params *p, const Node *n, Node **in, OpError *e) {
  int64_t dim[3];
  return conv_dims(n, in, 2, dim, e) && affine_params(p, n, in, 3, dim, e);
}

bool op_conv2d_params(Params *p, const Node *n, Node **in, OpError *e) {
  int64_t dim[4];
  return conv_dims(n, in, 3, dim, e) && affine_params(p, n, in, 4, dim, e);
}

/* v of [C] as [C, 1, ...] with `rank` dimensions. */
static Node *channels(Graph *g, Node *v, int rank) {
  int64_t dim[LIMIT_RANK] = {v->type.dim[0]};
  for (int d = 1; d < rank; d++) dim[d] = 1;
  return ir_reshape(g, v, rank, dim);
}

/* [..., L] as [..., 1, L] and back. */
static Node *with_height(Graph *g, Node *x) {
  Type t = x->type;
  t.dim[t.rank] = t.dim[t.rank - 1];
  t.dim[t.rank - 1] = 1;
  return ir_reshape(g, x, t.rank + 1, t.dim);
}

static Node *without_height(Graph *g, Node *y) {
  return ir_reshape(g, y, 2, (int64_t[]){y->type.dim[0], y->type.dim[2]});
}

Node *op_conv1d_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  Graph *g = x->graph;
  int64_t dim[3];
  Window w;
  const Attr *padding = node_attr(n, "padding");
  if (!conv_dims(n, in, 2, dim, e) || !check_param(in, 1, "weight", 3, dim, e) ||
      !check_param(in, 2, "bias", 1, dim, e))
    return NULL;
  if (padding->n == 2 && padding->v[0] != padding->v[1]) {
    attr_error(e, n, "padding", "padding of conv1d is one number, or \"same\"");
    return NULL;
  }
  if (!window_of(n, 1, &w, e)) return NULL;
  Node *y = convolve(g, n, with_height(g, as_real(g, in[0])), with_height(g, in[1]), &w);
  if (in[2]) y = add(g, y, channels(g, in[2], 3));
  return without_height(g, y);
}

Node *op_conv2d_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  Graph *g = x->graph;
  int64_t dim[4];
  Window w;
  if (!conv_dims(n, in, 3, dim, e) || !window_of(n, 0, &w, e) ||
      !check_param(in, 1, "weight", 4, dim, e) || !check_param(in, 2, "bias", 1, dim, e))
    return NULL;
  Node *y = convolve(g, n, as_real(g, in[0]), in[1], &w);
  return in[2] ? add(g, y, channels(g, in[2], 3)) : y;
}

/* ---- conv_transpose2d ---- */

/* Weight [in, out / groups, kh, kw]. */
static bool transpose_dims(const Node *n, Node *const *in, int64_t *dim, OpError *e) {
  if (!conv_dims(n, in, 3, dim, e)) return false;
  dim[0] = in[0]->type.dim[0];
  dim[1] = node_int(n, "out") / node_int(n, "groups");
  return true;
}

/* The size of which conv2d would make the input: without output_padding the smallest. */
static bool transpose_size(const Node *n, const Type *x, int axis, int64_t *size, OpError *e) {
  int64_t stride = node_ints(n, "stride")[axis], pad = node_ints(n, "padding")[axis];
  int64_t more = node_ints(n, "output_padding")[axis], kernel = node_ints(n, "kernel")[axis];
  if (more >= stride)
    return attr_error(e, n, "output_padding", "output_padding must be smaller than the stride");
  *size = (x->dim[1 + axis] - 1) * stride - 2 * pad + kernel + more;
  if (*size >= 1 && *size <= LIMIT_DIM) return true;
  return attr_error(e, n, "padding", "the result would have a size of %lld", (long long)*size);
}

bool op_conv_transpose2d_params(Params *p, const Node *n, Node **in, OpError *e) {
  int64_t dim[4], out = node_int(n, "out");
  if (!transpose_dims(n, in, dim, e)) return false;
  return weight_param(p, n, in, 4, dim, e) && bias_param(p, n, in, out, 4, dim, e);
}

Node *op_conv_transpose2d_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  Graph *g = x->graph;
  int64_t dim[4], size[2], out = node_int(n, "out");
  if (!transpose_dims(n, in, dim, e) || !check_least(n, "stride", 1, e) ||
      !check_least(n, "padding", 0, e) || !check_least(n, "output_padding", 0, e) ||
      !check_param(in, 1, "weight", 4, dim, e) || !check_param(in, 2, "bias", 1, &out, e))
    return NULL;
  for (int axis = 0; axis < 2; axis++)
    if (!transpose_size(n, &in[0]->type, axis, &size[axis], e)) return NULL;
  const int64_t *pad = node_ints(n, "padding"), pads[] = {pad[0], pad[0], pad[1], pad[1]};
  Node *y = ir_with2(g, OP_conv_input, as_real(g, in[0]), in[1], attr_ints(2, size),
                     *node_attr(n, "stride"), attr_ints(4, pads), attr_pair((int64_t[]){1, 1}),
                     *node_attr(n, "groups"));
  return in[2] ? add(g, y, channels(g, in[2], 3)) : y;
}

/* ---- batch_norm ---- */

enum { BN_WEIGHT = 1, BN_BIAS, BN_MEAN, BN_VAR };

static bool check_eps(const Node *n, OpError *e) {
  return node_float(n, "eps") >= 0 || attr_error(e, n, "eps", "eps is negative");
}

static bool batch_norm_dims(const Node *n, Node *const *in, int64_t *count, OpError *e) {
  const Type *x = &in[0]->type;
  if (!x->rank) return operand_error(e, 0, "batch_norm needs a tensor [C, ...], not a scalar");
  *count = x->dim[0];
  return check_eps(n, e) && check_fraction(n, "momentum", e);
}

bool op_batch_norm_params(Params *p, const Node *n, Node **in, OpError *e) {
  int64_t count;
  Init zeros = {INIT_CONSTANT, 0, 0}, ones = {INIT_CONSTANT, 1, 0};
  if (!batch_norm_dims(n, in, &count, e)) return false;
  if (node_bool(n, "affine")) {
    if (!in[BN_WEIGHT]) in[BN_WEIGHT] = p->make(p, OP_param, "weight", 1, &count, ones);
    if (!in[BN_BIAS]) in[BN_BIAS] = p->make(p, OP_param, "bias", 1, &count, zeros);
  }
  if (!in[BN_MEAN]) in[BN_MEAN] = p->make(p, OP_buffer, "running_mean", 1, &count, zeros);
  if (!in[BN_VAR]) in[BN_VAR] = p->make(p, OP_buffer, "running_var", 1, &count, ones);
  return true;
}

/* buffer <- (1 - momentum) buffer + momentum value */
static void update(Graph *g, Node *buffer, Node *value, double momentum) {
  if (buffer->op != OP_buffer) return; /* not an own one: type inference, or one the user gave */
  Node *moved = add(g, ir_scale(g, buffer, 1 - momentum), ir_scale(g, value, momentum));
  ir_result(g, RESULT_ASSIGN, node_str(buffer, "name"), moved, buffer);
}

/* N / (N - 1) for N = batch * each; of one element alone, 1 (its variance is 0). */
static Node *unbiasing(Graph *g, double each, bool batch) {
  Node *count = ir_constant(g, each);
  if (batch) count = ir_scale(g, ir_make(g, OP_batch_size, 0, NULL, NULL), each);
  return quotient(g, count, clamp(g, ir_shift(g, count, -1), 1, INFINITY));
}

/* Statistics of this batch; the running ones are moved towards them, the variance unbiased as in
 * PyTorch. */
static Node *batch_norm_train(Graph *g, const Node *n, Node *x, Node *const *in) {
  int64_t dims[LIMIT_RANK], each = product(x->type.rank - 1, x->type.dim + 1);
  int ndims = x->type.rank - 1;
  double momentum = node_float(n, "momentum");
  bool batch = x->type.batched;
  for (int d = 0; d < ndims; d++) dims[d] = d + 1;
  Moments m = moments(g, x, ndims, dims, batch);
  update(g, in[BN_MEAN], m.mean, momentum);
  update(g, in[BN_VAR], mul(g, m.var, unbiasing(g, (double)each, batch)), momentum);
  Node *y = ir_with(g, OP_standardize, x, attr_ints(ndims, dims), attr_bool(batch),
                    attr_float(node_float(n, "eps")));
  if (in[BN_WEIGHT]) y = mul(g, y, channels(g, in[BN_WEIGHT], x->type.rank));
  return in[BN_BIAS] ? add(g, y, channels(g, in[BN_BIAS], x->type.rank)) : y;
}

/* x s + t with s = weight / sqrt(var + eps) and t = bias - mean s, both shared: ready to be folded.
 */
static Node *batch_norm_evaluate(Graph *g, const Node *n, Node *x, Node *const *in) {
  Node *s = ir_unary(g, OP_rsqrt, ir_shift(g, in[BN_VAR], node_float(n, "eps")));
  if (in[BN_WEIGHT]) s = mul(g, in[BN_WEIGHT], s);
  Node *t = mul(g, in[BN_MEAN], s);
  t = in[BN_BIAS] ? sub(g, in[BN_BIAS], t) : neg(g, t);
  int rank = x->type.rank;
  return add(g, mul(g, x, channels(g, s, rank)), channels(g, t, rank));
}

Node *op_batch_norm_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  static const char *const name[] = {"x", "weight", "bias", "running_mean", "running_var"};
  int64_t count;
  if (!batch_norm_dims(n, in, &count, e)) return NULL;
  for (int i = BN_WEIGHT; i <= BN_VAR; i++)
    if (!check_param(in, i, name[i], 1, &count, e)) return NULL;
  Node *a = as_real(x->graph, in[0]);
  return x->training ? batch_norm_train(x->graph, n, a, in)
                     : batch_norm_evaluate(x->graph, n, a, in);
}

/* ---- layer_norm, group_norm ---- */

/* Scale 1 and shift 0, of one shape, unless affine is false. */
static void scale_params(Params *p, const Node *n, Node **in, int rank, const int64_t *dim) {
  if (!node_bool(n, "affine")) return;
  if (!in[1]) in[1] = p->make(p, OP_param, "weight", rank, dim, (Init){INIT_CONSTANT, 1, 0});
  if (!in[2]) in[2] = p->make(p, OP_param, "bias", rank, dim, (Init){INIT_CONSTANT, 0, 0});
}

static bool check_scale(Node *const *in, int rank, const int64_t *dim, OpError *e) {
  return check_param(in, 1, "weight", rank, dim, e) && check_param(in, 2, "bias", rank, dim, e);
}

/* Each sample over its dimensions from `first` on. */
static Node *standardize_from(Graph *g, const Node *n, Node *x, int first) {
  int64_t dims[LIMIT_RANK];
  for (int d = first; d < x->type.rank; d++) dims[d - first] = d;
  return ir_with(g, OP_standardize, x, attr_ints(x->type.rank - first, dims), attr_bool(false),
                 attr_float(node_float(n, "eps")));
}

/* The last `dims` dimensions, which are the weight's too. */
static bool layer_norm_dims(const Node *n, Node *const *in, int *rank, const int64_t **dim,
                            OpError *e) {
  const Type *x = &in[0]->type;
  int64_t dims = node_int(n, "dims");
  if (!check_least(n, "dims", 1, e) || !check_eps(n, e)) return false;
  if (dims > x->rank) {
    attr_error(e, n, "dims", "layer_norm over %lld dimensions of a tensor of %d", (long long)dims,
               x->rank);
    op_note(e, "its shape is %s, the batch not counted", shape_text(e, x));
    return false;
  }
  *rank = (int)dims;
  *dim = x->dim + x->rank - dims;
  return true;
}

bool op_layer_norm_params(Params *p, const Node *n, Node **in, OpError *e) {
  int rank;
  const int64_t *dim;
  if (!layer_norm_dims(n, in, &rank, &dim, e)) return false;
  scale_params(p, n, in, rank, dim);
  return true;
}

Node *op_layer_norm_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  Graph *g = x->graph;
  int rank;
  const int64_t *dim;
  if (!layer_norm_dims(n, in, &rank, &dim, e) || !check_scale(in, rank, dim, e)) return NULL;
  Node *y = standardize_from(g, n, as_real(g, in[0]), in[0]->type.rank - rank);
  if (in[1]) y = mul(g, y, in[1]);
  return in[2] ? add(g, y, in[2]) : y;
}

static bool group_norm_dims(const Node *n, Node *const *in, int64_t *count, OpError *e) {
  const Type *x = &in[0]->type;
  int64_t groups = node_int(n, "groups");
  if (!x->rank) return operand_error(e, 0, "group_norm needs a tensor [C, ...], not a scalar");
  if (x->rank == LIMIT_RANK)
    return operand_error(e, 0, "group_norm takes at most %d dimensions, not %d", LIMIT_RANK - 1,
                         x->rank);
  if (!check_least(n, "groups", 1, e) || !check_eps(n, e)) return false;
  *count = x->dim[0];
  if (*count % groups == 0) return true;
  return attr_error(e, n, "groups", "%lld channels cannot be split in %lld groups",
                    (long long)*count, (long long)groups);
}

bool op_group_norm_params(Params *p, const Node *n, Node **in, OpError *e) {
  int64_t count;
  if (!group_norm_dims(n, in, &count, e)) return false;
  scale_params(p, n, in, 1, &count);
  return true;
}

/* [C, ...] as [groups, C / groups, ...] */
static Node *grouped(Graph *g, Node *x, int64_t groups) {
  int64_t dim[LIMIT_RANK] = {groups, x->type.dim[0] / groups};
  for (int d = 1; d < x->type.rank; d++) dim[d + 1] = x->type.dim[d];
  return ir_reshape(g, x, x->type.rank + 1, dim);
}

Node *op_group_norm_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  Graph *g = x->graph;
  int64_t count;
  if (!group_norm_dims(n, in, &count, e) || !check_scale(in, 1, &count, e)) return NULL;
  const Type *t = &in[0]->type;
  Node *y = standardize_from(g, n, grouped(g, as_real(g, in[0]), node_int(n, "groups")), 1);
  y = ir_reshape(g, y, t->rank, t->dim);
  if (in[1]) y = mul(g, y, channels(g, in[1], t->rank));
  return in[2] ? add(g, y, channels(g, in[2], t->rank)) : y;
}

/* ---- prelu ---- */

static const int64_t one_slope[] = {1};

bool op_prelu_params(Params *p, const Node *n, Node **in, OpError *e) {
  (void)e;
  Init init = {INIT_CONSTANT, node_float(n, "init"), 0};
  if (!in[1]) in[1] = p->make(p, OP_param, "weight", 1, one_slope, init);
  return true;
}

Node *op_prelu_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  (void)n;
  Graph *g = x->graph;
  if (!check_param(in, 1, "weight", 1, one_slope, e)) return NULL;
  Node *a = as_real(g, in[0]), *slope = ir_reshape(g, in[1], 0, NULL);
  Node *positive = ir_unary(g, OP_positive, a);
  Node *below = choose(g, positive, ir_constant(g, 0), a); /* an infinite a is no part of dslope */
  return choose(g, positive, a, mul(g, below, slope));
}

/* ---- embedding ---- */

static bool embedding_dims(const Node *n, int64_t *dim, OpError *e) {
  dim[0] = node_int(n, "count");
  dim[1] = node_int(n, "width");
  return check_least(n, "count", 1, e) && check_least(n, "width", 1, e);
}

bool op_embedding_params(Params *p, const Node *n, Node **in, OpError *e) {
  int64_t dim[2];
  if (!embedding_dims(n, dim, e)) return false;
  Type t = type_of(ELEM_F32, false, 2, dim);
  return check_size(&t, e) &&
         own(p, n, &in[1], "weight", "init", 2, dim, (Init){INIT_NORMAL, 0, 1}, e);
}

Node *op_embedding_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  int64_t dim[2];
  if (!embedding_dims(n, dim, e) || !check_integer(n, in, 0, e) ||
      !check_param(in, 1, "weight", 2, dim, e))
    return NULL;
  return ir_binary(x->graph, OP_take_rows, in[1], in[0]);
}
