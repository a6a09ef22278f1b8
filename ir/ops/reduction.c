/* Reductions: reduce_* drop the dimensions they reduce, and with `batch` the batch; everything else
 * here is made of them. Moments over the batch are a reduction of their own, which compiled code
 * takes in one pass; those of a sample, which lies in cache, take two, mean first. */
#include "ir/ops/common.h"

#include <math.h>

/* ---- the type of a reduction ---- */

static bool reduce_shape(Node *n, Type *out, OpError *e) {
  int ndims;
  int64_t dims[LIMIT_RANK];
  const Type *x = &n->in[0]->type;
  if (!check_real(n, n->in, 0, e)) return false;
  if (!resolve_attr_dims(n, "dims", x->rank, &ndims, dims, e)) return false;
  if (node_bool(n, "batch") && !x->batched)
    return attr_error(e, n, "batch", "a shared tensor has no batch to reduce over");
  for (int i = 0; i < ndims; i++) attr_put(n, "dims", i, dims[i]);
  *out = type_scalar(x->batched && !node_bool(n, "batch"));
  for (int d = 0, i = 0; d < x->rank; d++)
    if (i < ndims && dims[i] == d)
      i++;
    else
      out->dim[out->rank++] = x->dim[d];
  return true;
}

bool op_reduce_sum_shape(Node *n, Type *out, OpError *e) { return reduce_shape(n, out, e); }
bool op_reduce_max_shape(Node *n, Type *out, OpError *e) { return reduce_shape(n, out, e); }
bool op_reduce_min_shape(Node *n, Type *out, OpError *e) { return reduce_shape(n, out, e); }
bool op_reduce_var_shape(Node *n, Type *out, OpError *e) { return reduce_shape(n, out, e); }

/* ---- evaluation ---- */

typedef double Combine(double, double);

static double plus(double a, double b) { return a + b; }
static double larger(double a, double b) { return isnan(a) || a >= b ? a : b; }
static double smaller(double a, double b) { return isnan(a) || a <= b ? a : b; }

/* A walk over x that knows where each element goes: stride 0 along what is reduced. */
static Odometer reduce_walk(const Node *n, const Tensor *x, const Tensor *out) {
  Odometer o = {0};
  int64_t from[LIMIT_RANK], to[LIMIT_RANK];
  row_strides(&x->type, from);
  row_strides(&out->type, to);
  const Attr *dims = node_attr(n, "dims");
  if (x->type.batched)
    odometer_add(&o, x->n, type_elements(&x->type),
                 out->type.batched ? type_elements(&out->type) : 0);
  for (int d = 0, i = 0, k = 0; d < x->type.rank; d++) {
    bool reduced = i < dims->n && dims->v[i] == d;
    if (reduced) i++;
    odometer_add(&o, x->type.dim[d], from[d], reduced ? 0 : to[k++]);
  }
  return o;
}

static void reduce_eval(const Node *n, const Tensor *x, Tensor *out, Combine *combine,
                        double start) {
  int64_t count = out->n * type_elements(&out->type);
  for (int64_t i = 0; i < count; i++) out->data[i] = start;
  Odometer o = reduce_walk(n, x, out);
  do out->data[o.at[1]] = combine(out->data[o.at[1]], x->data[o.at[0]]);
  while (odometer_next(&o));
}

void op_reduce_sum_eval(const Node *n, const Tensor *const *in, Tensor *out, const EvalContext *c) {
  (void)c;
  reduce_eval(n, in[0], out, plus, 0);
}

void op_reduce_max_eval(const Node *n, const Tensor *const *in, Tensor *out, const EvalContext *c) {
  (void)c;
  reduce_eval(n, in[0], out, larger, -INFINITY);
}

void op_reduce_min_eval(const Node *n, const Tensor *const *in, Tensor *out, const EvalContext *c) {
  (void)c;
  reduce_eval(n, in[0], out, smaller, INFINITY);
}

/* The dimensions that stay and those that are reduced, apart. */
static void split_walk(const Node *n, const Tensor *x, Odometer *kept, Odometer *reduced) {
  int64_t stride[LIMIT_RANK];
  row_strides(&x->type, stride);
  const Attr *dims = node_attr(n, "dims");
  odometer_add(node_bool(n, "batch") ? reduced : kept, x->n, type_elements(&x->type), 0);
  for (int d = 0, i = 0; d < x->type.rank; d++) {
    bool drop = i < dims->n && dims->v[i] == d;
    i += drop;
    odometer_add(drop ? reduced : kept, x->type.dim[d], stride[d], 0);
  }
}

/* The mean of (x - from)^power */
static double mean_power(const double *x, Odometer walk, double from, int power) {
  double sum = 0, count = 0;
  do {
    double d = x[walk.at[0]] - from;
    sum += power == 2 ? d * d : d;
    count++;
  } while (odometer_next(&walk));
  return sum / count;
}

void op_reduce_var_eval(const Node *n, const Tensor *const *in, Tensor *out, const EvalContext *c) {
  (void)c;
  Odometer kept = {0}, reduced = {0};
  split_walk(n, in[0], &kept, &reduced);
  int64_t k = 0;
  do {
    const double *x = in[0]->data + kept.at[0];
    double mean = mean_power(x, reduced, 0, 1);
    out->data[k++] = mean_power(x, reduced, mean, 2);
  } while (odometer_next(&kept));
}

/* ---- gradients ---- */

/* A value of the reduction's type, repeated over what was reduced. */
static Node *spread(Graph *g, const Node *n, Node *v) {
  const Type *x = &n->in[0]->type;
  const Attr *dims = node_attr(n, "dims");
  return ir_broadcast(g, ir_keepdims(g, v, x, dims->n, dims->v), x);
}

void op_reduce_sum_grad(Graph *g, Node *n, Node *dy, Node **dx) { dx[0] = spread(g, n, dy); }

/* All elements equal to the extreme share the gradient, as in PyTorch's amax. */
static void extreme_grad(Graph *g, Node *n, Node *dy, Node **dx) {
  const Attr *dims = node_attr(n, "dims");
  Node *hit = ir_binary(g, OP_equal, n->in[0], spread(g, n, n));
  Node *count = ir_sum(g, hit, dims->n, dims->v, node_bool(n, "batch"));
  dx[0] = mul(g, hit, spread(g, n, quotient(g, dy, count)));
}

void op_reduce_max_grad(Graph *g, Node *n, Node *dy, Node **dx) { extreme_grad(g, n, dy, dx); }
void op_reduce_min_grad(Graph *g, Node *n, Node *dy, Node **dx) { extreme_grad(g, n, dy, dx); }

/* dx = dy 2 (x - mean) / N */
void op_reduce_var_grad(Graph *g, Node *n, Node *dy, Node **dx) {
  Node *x = n->in[0];
  const Attr *dims = node_attr(n, "dims");
  bool batch = node_bool(n, "batch");
  double count = 1;
  for (int i = 0; i < dims->n; i++) count *= (double)x->type.dim[dims->v[i]];
  Node *slope = ir_scale(g, dy, 2 / count);
  if (batch) slope = quotient(g, slope, ir_make(g, OP_batch_size, 0, NULL, NULL));
  Node *mean = ir_mean(g, x, dims->n, dims->v, batch);
  dx[0] = mul(g, spread(g, n, slope), sub(g, x, spread(g, n, mean)));
}

/* ---- argmax ---- */

bool op_argmax_shape(Node *n, Type *out, OpError *e) {
  const Type *x = &n->in[0]->type;
  int64_t dim;
  if (!check_real(n, n->in, 0, e)) return false;
  if (!resolve_attr_dim(n, "dim", x->rank, &dim, e)) return false;
  attr_slot(n, "dim")->i = dim;
  *out = type_scalar(x->batched);
  for (int d = 0; d < x->rank; d++)
    if (d != dim) out->dim[out->rank++] = x->dim[d];
  return true;
}

/* The first NaN is the largest, else the first of the largest. */
static int64_t first_largest(const double *x, int64_t count, int64_t step) {
  int64_t best = 0;
  for (int64_t i = 1; i < count && !isnan(x[best * step]); i++)
    if (isnan(x[i * step]) || x[i * step] > x[best * step]) best = i;
  return best;
}

void op_argmax_eval(const Node *n, const Tensor *const *in, Tensor *out, const EvalContext *c) {
  (void)c;
  const Type *x = &in[0]->type;
  int64_t dim = node_int(n, "dim"), size = x->dim[dim];
  int64_t inner = product(x->rank - (int)dim - 1, x->dim + dim + 1);
  int64_t count = out->n * type_elements(&out->type);
  for (int64_t i = 0; i < count; i++) {
    const double *row = in[0]->data + i / inner * size * inner + i % inner;
    out->data[i] = (double)first_largest(row, size, inner);
  }
}

/* An index does not move with its operand. */
void op_argmax_grad(Graph *g, Node *n, Node *dy, Node **dx) {
  (void)g, (void)n, (void)dy, (void)dx;
}

/* ---- with dim and keepdim ---- */

typedef struct {
  int n;
  int64_t v[LIMIT_RANK];
} Dims;

static bool user_dims(const Node *n, const Node *x, Dims *dims, OpError *e) {
  return resolve_attr_dims(n, "dim", x->type.rank, &dims->n, dims->v, e);
}

static Node *user_keep(Graph *g, const Node *n, Node *x, Node *reduced, const Dims *dims) {
  return node_bool(n, "keepdim") ? ir_keepdims(g, reduced, &x->type, dims->n, dims->v) : reduced;
}

typedef Node *Reducer(Graph *g, Node *x, const Dims *dims);

static Node *expand_reduction(Expand *x, const Node *n, Node *operand, Reducer *reduce,
                              OpError *e) {
  Dims dims;
  Node *a = as_real(x->graph, operand);
  if (!user_dims(n, a, &dims, e)) return NULL;
  return user_keep(x->graph, n, a, reduce(x->graph, a, &dims), &dims);
}

static Node *sum_over(Graph *g, Node *x, const Dims *d) { return ir_sum(g, x, d->n, d->v, false); }
static Node *mean_over(Graph *g, Node *x, const Dims *d) {
  return ir_mean(g, x, d->n, d->v, false);
}

static Node *max_over(Graph *g, Node *x, const Dims *d) {
  return d->n ? ir_with(g, OP_reduce_max, x, attr_ints(d->n, d->v), attr_bool(false)) : x;
}

static Node *min_over(Graph *g, Node *x, const Dims *d) {
  return d->n ? ir_with(g, OP_reduce_min, x, attr_ints(d->n, d->v), attr_bool(false)) : x;
}

Node *op_sum_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  return expand_reduction(x, n, in[0], sum_over, e);
}

Node *op_mean_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  return expand_reduction(x, n, in[0], mean_over, e);
}

Node *op_max_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  return expand_reduction(x, n, in[0], max_over, e);
}

Node *op_min_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  return expand_reduction(x, n, in[0], min_over, e);
}

/* sum (x - mean)^2 / N, or / (N - 1) */
Node *op_var_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  Graph *g = x->graph;
  Dims dims;
  Node *a = as_real(g, in[0]);
  if (!user_dims(n, a, &dims, e)) return NULL;
  int64_t count = 1;
  for (int i = 0; i < dims.n; i++) count *= a->type.dim[dims.v[i]];
  Node *var = moments(g, a, dims.n, dims.v, false).var;
  if (node_bool(n, "unbiased")) {
    if (count < 2) {
      attr_error(e, n, "unbiased", "the unbiased variance of one element does not exist");
      return NULL;
    }
    var = ir_scale(g, var, (double)count / (double)(count - 1));
  }
  return user_keep(g, n, a, var, &dims);
}

/* ---- moments ---- */

Moments moments(Graph *g, Node *x, int ndims, const int64_t *dims, bool batch) {
  Moments m;
  m.mean = ir_mean(g, x, ndims, dims, batch);
  m.centred = sub(g, x, ir_keepdims(g, m.mean, &x->type, ndims, dims));
  m.var = batch && x->type.batched
              ? ir_with(g, OP_reduce_var, x, attr_ints(ndims, dims), attr_bool(true))
              : ir_mean(g, ir_unary(g, OP_square, m.centred), ndims, dims, false);
  return m;
}

typedef struct {
  Dims dims;
  bool batch;
  double eps;
} Norm;

static Norm norm_of(const Node *n) {
  Norm s = {.batch = node_bool(n, "batch"), .eps = node_float(n, "eps")};
  const Attr *dims = node_attr(n, "dims");
  s.dims.n = dims->n;
  for (int i = 0; i < dims->n; i++) s.dims.v[i] = dims->v[i];
  return s;
}

static bool norm_check(const Node *n, Node *const *in, OpError *e) {
  Dims dims;
  if (node_bool(n, "batch") && !in[0]->type.batched)
    return attr_error(e, n, "batch", "a shared tensor has no batch to normalise over");
  return check_real(n, in, 0, e) &&
         resolve_attr_dims(n, "dims", in[0]->type.rank, &dims.n, dims.v, e);
}

static Node *deviation_inverse(Graph *g, Node *var, double eps) {
  return ir_unary(g, OP_rsqrt, ir_shift(g, var, eps));
}

static Node *norm_keep(Graph *g, const Norm *s, Node *v, const Node *x) {
  return ir_keepdims(g, v, &x->type, s->dims.n, s->dims.v);
}

Node *op_standardize_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  Graph *g = x->graph;
  if (!norm_check(n, in, e)) return NULL;
  Norm s = norm_of(n);
  Moments m = moments(g, in[0], s.dims.n, s.dims.v, s.batch);
  return mul(g, m.centred, norm_keep(g, &s, deviation_inverse(g, m.var, s.eps), in[0]));
}

static Node *norm_mean(Graph *g, const Norm *s, Node *x) {
  return norm_keep(g, s, ir_mean(g, x, s->dims.n, s->dims.v, s->batch), x);
}

static Node *same_norm(Graph *g, Op op, const Node *n) {
  Norm s = norm_of(n);
  return ir_with(g, op, n->in[0], attr_ints(s.dims.n, s.dims.v), attr_bool(s.batch),
                 attr_float(s.eps));
}

/* dx = r (dy - mean(dy) - y mean(dy y)), r the inverse deviation and y the result. */
void op_standardize_grad(Graph *g, Node *n, Node *dy, Node **dx) {
  Norm s = norm_of(n);
  Node *r = norm_keep(g, &s, same_norm(g, OP_inverse_deviation, n), n);
  Node *along = mul(g, n, norm_mean(g, &s, mul(g, dy, n)));
  dx[0] = mul(g, r, sub(g, sub(g, dy, norm_mean(g, &s, dy)), along));
}

Node *op_inverse_deviation_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  if (!norm_check(n, in, e)) return NULL;
  Norm s = norm_of(n);
  Moments m = moments(x->graph, in[0], s.dims.n, s.dims.v, s.batch);
  return deviation_inverse(x->graph, m.var, s.eps);
}

/* r = (var + eps)^(-1/2), so dr/dx = -r^3 (x - mean) / N = -r^2 y / N with y = standardize(x). */
void op_inverse_deviation_grad(Graph *g, Node *n, Node *dy, Node **dx) {
  Norm s = norm_of(n);
  const Node *x = n->in[0];
  double count = 1;
  for (int i = 0; i < s.dims.n; i++) count *= (double)x->type.dim[s.dims.v[i]];
  Node *slope = ir_scale(g, mul(g, dy, ir_unary(g, OP_square, n)), -1 / count);
  if (s.batch) slope = quotient(g, slope, ir_make(g, OP_batch_size, 0, NULL, NULL));
  dx[0] = mul(g, norm_keep(g, &s, slope, x), same_norm(g, OP_standardize, n));
}
