/* Elementwise ops: for each its value in double (eval), its gradient as nodes (grad), its vector
 * code (emit). A gradient may have the result's type: whoever asked sums it to the operand's. NaN:
 * comparisons of the machine are false on it, so every select below says which side a NaN takes. */
#include "ir/ops/common.h"

#include <math.h>

#define EVAL(op, value)                                   \
  double op_##op##_eval(const Node *n, const double *x) { \
    (void)n;                                              \
    return (value);                                       \
  }
#define GRAD(op, ...)                                           \
  void op_##op##_grad(Graph *g, Node *n, Node *dy, Node **dx) { \
    (void)g, (void)n, (void)dy, (void)dx;                       \
    __VA_ARGS__                                                 \
  }
#define EMIT(op, value)                                                  \
  EmitValue op_##op##_emit(Emit *e, const Node *n, const EmitValue *x) { \
    (void)e, (void)n;                                                    \
    return (value);                                                      \
  }
/* A step function: no gradient reaches its operands. */
#define FLAT(op) GRAD(op, )

/* ---- arithmetic ---- */

EVAL(add, x[0] + x[1])
GRAD(add, dx[0] = dx[1] = dy;)
EMIT(add, e->add(e, x[0], x[1]))

EVAL(sub, x[0] - x[1])
GRAD(sub, dx[0] = dy; dx[1] = neg(g, dy);)
EMIT(sub, e->sub(e, x[0], x[1]))

EVAL(mul, x[0] * x[1])
GRAD(mul, dx[0] = mul(g, dy, n->in[1]); dx[1] = mul(g, dy, n->in[0]);)
EMIT(mul, e->mul(e, x[0], x[1]))

EVAL(div, x[0] / x[1])
GRAD(div, dx[0] = quotient(g, dy, n->in[1]); dx[1] = neg(g, mul(g, dx[0], n));)
EMIT(div, e->div(e, x[0], x[1]))

EVAL(neg, -x[0])
GRAD(neg, dx[0] = neg(g, dy);)
EMIT(neg, e->neg(e, x[0]))

EVAL(square, x[0] * x[0])
GRAD(square, dx[0] = ir_scale(g, mul(g, dy, n->in[0]), 2);)
EMIT(square, e->mul(e, x[0], x[0]))

/* ---- functions ---- */

EVAL(exp, exp(x[0]))
GRAD(exp, dx[0] = mul(g, dy, n);)
EMIT(exp, e->exp(e, x[0]))

EVAL(log, log(x[0]))
GRAD(log, dx[0] = quotient(g, dy, n->in[0]);)
EMIT(log, e->log(e, x[0]))

EVAL(sqrt, sqrt(x[0]))
GRAD(sqrt, dx[0] = ir_scale(g, quotient(g, dy, n), 0.5);)
EMIT(sqrt, e->sqrt(e, x[0]))

/* y = x^(-1/2), dy/dx = -y^3 / 2 */
EVAL(rsqrt, 1 / sqrt(x[0]))
GRAD(rsqrt, dx[0] = ir_scale(g, mul(g, dy, mul(g, n, ir_unary(g, OP_square, n))), -0.5);)
EMIT(rsqrt, e->div(e, e->constant(e, 1), e->sqrt(e, x[0])))

EVAL(erf, erf(x[0]))
GRAD(erf, Node *bell = ir_unary(g, OP_exp, neg(g, ir_unary(g, OP_square, n->in[0])));
     dx[0] = mul(g, dy, ir_scale(g, bell, M_2_SQRTPI));)
EMIT(erf, e->erf(e, x[0]))

EVAL(expm1, expm1(x[0]))
GRAD(expm1, dx[0] = mul(g, dy, ir_unary(g, OP_exp, n->in[0]));)
EMIT(expm1, e->expm1(e, x[0]))

EVAL(log1p, log1p(x[0]))
GRAD(log1p, dx[0] = quotient(g, dy, ir_shift(g, n->in[0], 1));)
EMIT(log1p, e->log1p(e, x[0]))

/* ---- power ---- */

/* x^c for a whole c >= 0, by squaring. */
static EmitValue emit_whole_power(Emit *e, EmitValue x, int c) {
  EmitValue result = NULL;
  for (EmitValue p = x; c; c >>= 1) {
    if (c & 1) result = result ? e->mul(e, result, p) : p;
    if (c > 1) p = e->mul(e, p, p);
  }
  return result ? result : e->constant(e, 1);
}

/* exp(c log|x|) with the sign that x^c has; a negative x with a broken c gives NaN through log. */
static EmitValue emit_power_by_log(Emit *e, EmitValue x, double c) {
  bool whole = c == rint(c), odd = whole && fmod(c, 2) != 0;
  EmitValue l = e->log(e, whole ? e->abs(e, x) : x);
  EmitValue p = e->exp(e, e->mul(e, l, e->constant(e, c)));
  return odd ? e->copysign(e, p, x) : p;
}

/* Whole and half powers up to 64 need no logarithm. */
static EmitValue emit_power(Emit *e, EmitValue x, double c) {
  double size = fabs(c);
  if (size > 64 || 2 * size != rint(2 * size)) return emit_power_by_log(e, x, c);
  EmitValue p = emit_whole_power(e, x, (int)size);
  if (size != rint(size)) {
    EmitValue root = e->abs(e, e->sqrt(e, x)); /* of -0 it is 0 */
    p = size < 1 ? root : e->mul(e, p, root);
  }
  return c < 0 ? e->div(e, e->constant(e, 1), p) : p;
}

/* A broken power of a negative number is NaN, -inf (where C's pow says inf) included. */
static double power_value(double x, double c) { return x < 0 && c != rint(c) ? NAN : pow(x, c); }

/* The derivative of x^0 is none, not 0 * x^-1. */
static void power_grad(Graph *g, Node *n, Node *dy, Node **dx) {
  double c = node_float(n, "exponent");
  if (c == 0) return;
  Node *p = c == 1 ? NULL : c == 2 ? n->in[0] : ir_with(g, OP_pow, n->in[0], attr_float(c - 1));
  dx[0] = ir_scale(g, p ? mul(g, dy, p) : dy, c);
}

EVAL(pow, power_value(x[0], node_float(n, "exponent")))
GRAD(pow, power_grad(g, n, dy, dx);)
EMIT(pow, emit_power(e, x[0], node_float(n, "exponent")))

/* ---- pieces ---- */

EVAL(abs, fabs(x[0]))
GRAD(abs, dx[0] = mul(g, dy, ir_unary(g, OP_sign, n->in[0]));)
EMIT(abs, e->abs(e, x[0]))

static EmitValue emit_sign(Emit *e, EmitValue x) {
  EmitValue zero = e->constant(e, 0), one = e->constant(e, 1);
  EmitValue low = e->select(e, e->less(e, x, zero), e->constant(e, -1), x);
  return e->select(e, e->less(e, zero, x), one, low);
}

EVAL(sign, x[0] > 0 ? 1 : x[0] < 0 ? -1 : x[0])
FLAT(sign)
EMIT(sign, emit_sign(e, x[0]))

/* The operand that was chosen takes the gradient; equal operands take half each. */
static void choice_grad(Graph *g, Node *chosen_when, Node *n, Node *dy, Node **dx) {
  Node *tie = ir_binary(g, OP_equal, n->in[0], n->in[1]);
  dx[0] = mul(g, dy, add(g, chosen_when, ir_scale(g, tie, 0.5)));
  dx[1] = sub(g, dy, dx[0]);
}

/* b when it is NaN, else `other`. */
static EmitValue emit_or_nan(Emit *e, EmitValue b, EmitValue other) {
  return e->select(e, e->not_equal(e, b, b), b, other);
}

EVAL(minimum, isnan(x[1]) || x[1] < x[0] ? x[1] : x[0])
GRAD(minimum, choice_grad(g, ir_binary(g, OP_less, n->in[0], n->in[1]), n, dy, dx);)
EMIT(minimum, emit_or_nan(e, x[1], e->select(e, e->less(e, x[1], x[0]), x[1], x[0])))

EVAL(maximum, isnan(x[1]) || x[0] < x[1] ? x[1] : x[0])
GRAD(maximum, choice_grad(g, ir_binary(g, OP_less, n->in[1], n->in[0]), n, dy, dx);)
EMIT(maximum, emit_or_nan(e, x[1], e->select(e, e->less(e, x[0], x[1]), x[1], x[0])))

static double clamp_value(double x, double lo, double hi) {
  double raised = x < lo ? lo : x;
  return raised > hi ? hi : raised;
}

/* 1 inside [lo, hi], both ends included, as PyTorch. */
static void clamp_grad(Graph *g, Node *n, Node *dy, Node **dx) {
  double lo = node_float(n, "lo"), hi = node_float(n, "hi");
  Node *x = n->in[0];
  dx[0] = dy;
  if (lo != -INFINITY) dx[0] = mul(g, dx[0], ir_binary(g, OP_less_equal, ir_constant(g, lo), x));
  if (hi != INFINITY) dx[0] = mul(g, dx[0], ir_binary(g, OP_less_equal, x, ir_constant(g, hi)));
}

static EmitValue emit_clamp(Emit *e, EmitValue x, double lo, double hi) {
  EmitValue low = e->constant(e, lo), high = e->constant(e, hi);
  EmitValue raised = e->select(e, e->less(e, x, low), low, x);
  return e->select(e, e->less(e, high, raised), high, raised);
}

EVAL(clamp, clamp_value(x[0], node_float(n, "lo"), node_float(n, "hi")))
GRAD(clamp, clamp_grad(g, n, dy, dx);)
EMIT(clamp, emit_clamp(e, x[0], node_float(n, "lo"), node_float(n, "hi")))

/* ---- comparisons and choice ---- */

static EmitValue emit_bit(Emit *e, EmitValue mask) {
  return e->select(e, mask, e->constant(e, 1), e->constant(e, 0));
}

EVAL(positive, x[0] > 0)
FLAT(positive)
EMIT(positive, emit_bit(e, e->less(e, e->constant(e, 0), x[0])))

EVAL(less, x[0] < x[1])
FLAT(less)
EMIT(less, emit_bit(e, e->less(e, x[0], x[1])))

EVAL(less_equal, x[0] <= x[1])
FLAT(less_equal)
EMIT(less_equal, emit_bit(e, e->less_equal(e, x[0], x[1])))

EVAL(equal, x[0] == x[1])
FLAT(equal)
EMIT(equal, emit_bit(e, e->equal(e, x[0], x[1])))

EVAL(select, x[0] != 0 ? x[1] : x[2])
GRAD(select, Node *zero = ir_constant(g, 0); dx[1] = choose(g, n->in[0], dy, zero);
     dx[2] = choose(g, n->in[0], zero, dy);)
EMIT(select, e->select(e, e->not_equal(e, x[0], e->constant(e, 0)), x[1], x[2]))

/* ---- as it is ---- */

EVAL(real, x[0])
GRAD(real, if (n->in[0]->type.elem == ELEM_F32) dx[0] = dy;)
EMIT(real, x[0])

EVAL(identity, x[0])
GRAD(identity, dx[0] = dy;)
EMIT(identity, x[0])

EVAL(detach, x[0])
FLAT(detach)
EMIT(detach, x[0])
