/* Layers: ops that own parameters. Names, shapes, order and default initialisers are PyTorch's, so
 * checkpoints are exchanged without an edit. A parameter that the user gave stays. */
#include "ir/ops/common.h"

#include <math.h>

/* ---- parameters ---- */

static bool init_fits(const Node *n, const char *name, Init init, int rank, OpError *e) {
  if (rank >= 2 || init.kind == INIT_DEFAULT || init.kind == INIT_CONSTANT ||
      init.kind == INIT_UNIFORM || init.kind == INIT_NORMAL)
    return true;
  return attr_error(e, n, name, "this initialiser needs a parameter of two or more dimensions");
}

/* Fills *slot, unless the user did, by the initialiser that attribute `name` gives or else by
 * `otherwise`. */
static bool own(Params *p, const Node *n, Node **slot, const char *param, const char *attribute,
                int rank, const int64_t *dim, Init otherwise, OpError *e) {
  Init init = node_attr(n, attribute)->init;
  if (*slot) return true;
  if (!init_fits(n, attribute, init, rank, e)) return false;
  if (init.kind == INIT_DEFAULT) init = otherwise;
  *slot = p->make(p, OP_param, param, rank, dim, init_resolve(init, rank, dim));
  return true;
}

static Init uniform(double bound) { return (Init){INIT_UNIFORM, -bound, bound}; }

/* Weight and bias of an affine layer: both uniform within 1 / sqrt(fan_in). */
static bool affine_params(Params *p, const Node *n, Node **in, int rank, const int64_t *dim,
                          OpError *e) {
  Init init = uniform(1 / sqrt((double)product(rank - 1, dim + 1)));
  Type t = type_of(ELEM_F32, false, rank, dim);
  if (!check_size(&t, e)) return false;
  if (!own(p, n, &in[1], "weight", "init", rank, dim, init, e)) return false;
  return !node_bool(n, "bias") || own(p, n, &in[2], "bias", "bias_init", 1, dim, init, e);
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

/* ---- conv2d ---- */

static bool conv2d_dims(const Node *n, Node *const *in, int64_t *dim, OpError *e) {
  const Type *x = &in[0]->type;
  if (!check_rank(n, in, 0, 3, "[C, H, W]", e) || !check_least(n, "out", 1, e) ||
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
  dim[2] = node_ints(n, "kernel")[0];
  dim[3] = node_ints(n, "kernel")[1];
  return true;
}

/* top, bottom, left, right; "same" puts the odd one at the bottom and right. */
static bool conv2d_pads(const Node *n, int64_t *pads, OpError *e) {
  const Attr *given = node_attr(n, "padding");
  const int64_t *kernel = node_ints(n, "kernel"), *dilation = node_ints(n, "dilation");
  const int64_t *stride = node_ints(n, "stride");
  if (!check_least(n, "stride", 1, e) || !check_least(n, "dilation", 1, e)) return false;
  if (given->n >= 0 && !check_least(n, "padding", 0, e)) return false;
  if (given->n < 0 && (stride[0] != 1 || stride[1] != 1))
    return attr_error(e, n, "padding", "padding=\"same\" needs stride 1");
  for (int axis = 0; axis < 2; axis++) {
    int64_t total = given->n < 0 ? dilation[axis] * (kernel[axis] - 1) : 2 * given->v[axis];
    if (total > LIMIT_DIM) return attr_error(e, n, "padding", "the padding is too large");
    pads[2 * axis] = total / 2;
    pads[2 * axis + 1] = total - total / 2;
  }
  return true;
}

bool op_conv2d_params(Params *p, const Node *n, Node **in, OpError *e) {
  int64_t dim[4];
  return conv2d_dims(n, in, dim, e) && affine_params(p, n, in, 4, dim, e);
}

/* v of [C] as [C, 1, ...] with `rank` dimensions. */
static Node *channels(Graph *g, Node *v, int rank) {
  int64_t dim[LIMIT_RANK] = {v->type.dim[0]};
  for (int d = 1; d < rank; d++) dim[d] = 1;
  return ir_reshape(g, v, rank, dim);
}

Node *op_conv2d_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  Graph *g = x->graph;
  int64_t dim[4], pads[4];
  if (!conv2d_dims(n, in, dim, e) || !conv2d_pads(n, pads, e) ||
      !check_param(in, 1, "weight", 4, dim, e) || !check_param(in, 2, "bias", 1, dim, e))
    return NULL;
  Node *y = ir_with2(g, OP_conv, as_real(g, in[0]), in[1], *node_attr(n, "stride"),
                     attr_ints(4, pads), *node_attr(n, "dilation"), *node_attr(n, "groups"));
  return in[2] ? add(g, y, channels(g, in[2], 3)) : y;
}

/* ---- batch_norm ---- */

enum { BN_WEIGHT = 1, BN_BIAS, BN_MEAN, BN_VAR };

static bool batch_norm_dims(const Node *n, Node *const *in, int64_t *count, OpError *e) {
  const Type *x = &in[0]->type;
  if (!x->rank) return operand_error(e, 0, "batch_norm needs a tensor [C, ...], not a scalar");
  *count = x->dim[0];
  if (!(node_float(n, "eps") >= 0)) return attr_error(e, n, "eps", "eps is negative");
  return check_fraction(n, "momentum", e);
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
