/* Activations. relu, sigmoid, tanh and softplus are ops of their own; the others are made of ops,
 * in forms whose value and derivatives stay finite far from zero and agree with PyTorch at the
 * joints. */
#include "ir/ops/common.h"

#include <math.h>

/* ---- elementwise ---- */

double op_relu_eval(const Node *n, const double *x) {
  (void)n;
  return x[0] < 0 ? 0 : x[0];
}

/* By the result rather than the operand, so that the operand need not be kept. */
void op_relu_grad(Graph *g, Node *n, Node *dy, Node **dx) {
  dx[0] = mul(g, dy, ir_unary(g, OP_positive, n));
}

EmitValue op_relu_emit(Emit *e, const Node *n, const EmitValue *x) {
  (void)n;
  EmitValue zero = e->constant(e, 0);
  return e->select(e, e->less(e, x[0], zero), zero, x[0]);
}

/* exp(-x) may become infinite, which gives 0: the limit. */
double op_sigmoid_eval(const Node *n, const double *x) {
  (void)n;
  return 1 / (1 + exp(-x[0]));
}

/* dy y (1 - y) */
void op_sigmoid_grad(Graph *g, Node *n, Node *dy, Node **dx) {
  dx[0] = mul(g, dy, mul(g, n, sub(g, ir_constant(g, 1), n)));
}

EmitValue op_sigmoid_emit(Emit *e, const Node *n, const EmitValue *x) {
  (void)n;
  EmitValue one = e->constant(e, 1);
  return e->div(e, one, e->add(e, one, e->exp(e, e->neg(e, x[0]))));
}

double op_tanh_eval(const Node *n, const double *x) {
  (void)n;
  return tanh(x[0]);
}

/* dy (1 - y^2) */
void op_tanh_grad(Graph *g, Node *n, Node *dy, Node **dx) {
  dx[0] = mul(g, dy, sub(g, ir_constant(g, 1), ir_unary(g, OP_square, n)));
}

EmitValue op_tanh_emit(Emit *e, const Node *n, const EmitValue *x) {
  (void)n;
  return e->tanh(e, x[0]);
}

/* max(x, 0) + log(1 + exp(-|x|)) */
double op_softplus_eval(const Node *n, const double *x) {
  (void)n;
  return (x[0] < 0 ? 0 : x[0]) + log1p(exp(-fabs(x[0])));
}

void op_softplus_grad(Graph *g, Node *n, Node *dy, Node **dx) {
  dx[0] = mul(g, dy, ir_unary(g, OP_sigmoid, n->in[0]));
}

EmitValue op_softplus_emit(Emit *e, const Node *n, const EmitValue *x) {
  EmitValue tail = e->log1p(e, e->exp(e, e->neg(e, e->abs(e, x[0]))));
  return e->add(e, op_relu_emit(e, n, x), tail);
}

/* ---- made of ops ---- */

/* x kept within [0, top]. At both ends the derivative is 0, as PyTorch has it here (but not in
 * clamp). */
static Node *between(Graph *g, Node *x, double top) {
  Node *limit = ir_constant(g, top);
  return choose(g, ir_binary(g, OP_less_equal, limit, x), limit, ir_unary(g, OP_relu, x));
}

Node *op_relu6_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  (void)n, (void)e;
  return between(x->graph, in[0], 6);
}

/* x where positive, else slope * x; a NaN is not positive and stays NaN through slope * x. */
static Node *leaky(Graph *g, Node *x, Node *negative) {
  return choose(g, ir_unary(g, OP_positive, x), x, negative);
}

Node *op_leaky_relu_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  (void)e;
  return leaky(x->graph, in[0], ir_scale(x->graph, in[0], node_float(n, "slope")));
}

Node *op_rrelu_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  Graph *g = x->graph;
  double lower = node_float(n, "lower"), upper = node_float(n, "upper");
  if (!(lower <= upper)) {
    attr_error(e, n, "lower", "lower (%g) must not be above upper (%g)", lower, upper);
    return NULL;
  }
  if (!x->training) return leaky(g, in[0], ir_scale(g, in[0], (lower + upper) / 2));
  Node *slope = ir_with(g, OP_random_uniform, in[0], attr_float(lower), attr_float(upper),
                        attr_int(g->streams));
  return leaky(g, in[0], mul(g, in[0], slope));
}

/* alpha (exp(min(x, 0)) - 1) + max(x, 0): neither part overflows, in value or derivative. */
static Node *elu(Graph *g, Node *x, double alpha) {
  Node *below = ir_unary(g, OP_expm1, clamp(g, x, -INFINITY, 0));
  return add(g, ir_unary(g, OP_relu, x), ir_scale(g, below, alpha));
}

Node *op_elu_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  (void)e;
  return elu(x->graph, in[0], node_float(n, "alpha"));
}

Node *op_selu_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  (void)n, (void)e;
  const double alpha = 1.6732632423543772848170429916717, scale = 1.0507009873554804934193349852946;
  return ir_scale(x->graph, elu(x->graph, in[0], alpha), scale);
}

/* x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2 */
static Node *gelu_tanh(Graph *g, Node *x) {
  Node *cubic = ir_scale(g, mul(g, x, ir_unary(g, OP_square, x)), 0.044715);
  Node *inner = ir_scale(g, add(g, x, cubic), sqrt(2 / M_PI));
  return mul(g, ir_scale(g, x, 0.5), ir_shift(g, ir_unary(g, OP_tanh, inner), 1));
}

Node *op_gelu_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  (void)e;
  Graph *g = x->graph;
  if (node_str(n, "approximate")[0] == 't') return gelu_tanh(g, in[0]);
  Node *phi = ir_unary(g, OP_erf, ir_scale(g, in[0], M_SQRT1_2));
  return mul(g, ir_scale(g, in[0], 0.5), ir_shift(g, phi, 1));
}

Node *op_silu_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  (void)n, (void)e;
  return mul(x->graph, in[0], ir_unary(x->graph, OP_sigmoid, in[0]));
}

static Node *hard_sigmoid(Graph *g, Node *x) {
  return between(g, ir_shift(g, ir_scale(g, x, 1.0 / 6), 0.5), 1);
}

Node *op_hard_sigmoid_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  (void)n, (void)e;
  return hard_sigmoid(x->graph, in[0]);
}

Node *op_hard_swish_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  (void)n, (void)e;
  return mul(x->graph, in[0], hard_sigmoid(x->graph, in[0]));
}

/* ---- softmax ---- */

/* x minus its largest along dim, so that exp stays within (0, 1]. */
static Node *lowered(Graph *g, Node *x, int64_t dim) {
  return sub(g, x, reduce_along(g, OP_reduce_max, x, dim));
}

Node *op_softmax_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  int64_t dim;
  Graph *g = x->graph;
  Node *a = as_real(g, in[0]);
  if (!resolve_attr_dim(n, "dim", a->type.rank, &dim, e)) return NULL;
  Node *p = ir_unary(g, OP_exp, lowered(g, a, dim));
  return quotient(g, p, reduce_along(g, OP_reduce_sum, p, dim));
}

/* s (dy - sum(dy s)). Under a log dy = u / s, and this is u - s sum(u): there s may have
 * underflowed. */
void op_softmax_grad(Graph *g, Node *n, Node *dy, Node **dx) {
  int64_t dim;
  resolve_attr_dim(n, "dim", n->type.rank, &dim, NULL);
  if (dy->op == OP_div && dy->in[1] == n) {
    dx[0] = sub(g, dy->in[0], mul(g, n, reduce_along(g, OP_reduce_sum, dy->in[0], dim)));
    return;
  }
  dx[0] = mul(g, n, sub(g, dy, reduce_along(g, OP_reduce_sum, mul(g, dy, n), dim)));
}

Node *op_log_softmax_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  int64_t dim;
  Graph *g = x->graph;
  Node *a = as_real(g, in[0]);
  if (!resolve_attr_dim(n, "dim", a->type.rank, &dim, e)) return NULL;
  Node *low = lowered(g, a, dim);
  Node *total = reduce_along(g, OP_reduce_sum, ir_unary(g, OP_exp, low), dim);
  return sub(g, low, ir_unary(g, OP_log, total));
}

/* dy - softmax(x) sum(dy) */
void op_log_softmax_grad(Graph *g, Node *n, Node *dy, Node **dx) {
  int64_t dim;
  resolve_attr_dim(n, "dim", n->type.rank, &dim, NULL);
  Node *s = ir_with(g, OP_softmax, n->in[0], attr_dim(dim));
  dx[0] = sub(g, dy, mul(g, s, reduce_along(g, OP_reduce_sum, dy, dim)));
}
