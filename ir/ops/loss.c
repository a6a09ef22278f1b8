/* Losses and metrics: one number a sample, the mean over its elements (positions, for labels) or
 * their sum. */
#include "ir/ops/common.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- labels ---- */

/* The label is the scores without dimension `dim`, and its classes (where known) are that
 * dimension. */
static bool check_label(const Node *n, Node *const *in, int64_t dim, OpError *e) {
  const Type *scores = &in[0]->type, *label = &in[1]->type;
  bool fits = label->rank == scores->rank - 1;
  for (int d = 0; fits && d < label->rank; d++)
    fits = label->dim[d] == scores->dim[d < dim ? d : d + 1];
  if (!check_integer(n, in, 1, e)) return false;
  if (!fits) {
    operand_error(e, 1, "a label of shape %s does not go with scores of shape %s",
                  shape_text(e, label), shape_text(e, scores));
    op_note(e, "the classes are dimension %lld of the scores; the label has the others",
            (long long)dim);
    return false;
  }
  bool known = in[1]->op == OP_target || in[1]->op == OP_input;
  int64_t classes = known ? node_int(in[1], "classes") : 0, k = scores->dim[dim];
  if (!classes || classes == k) return true;
  operand_error(e, 0, "the scores are of %lld classes, the label is one of %lld", (long long)k,
                (long long)classes);
  op_note(e, "the scores have shape %s", shape_text(e, scores));
  return false;
}

/* 1 at the label along dimension `dim` of `scores`. */
static Node *label_bits(Graph *g, Node *label, const Type *scores, int64_t dim) {
  int64_t order[LIMIT_RANK];
  for (int d = 0; d < scores->rank; d++)
    order[d] = d == dim ? scores->rank - 1 : d < dim ? d : d - 1;
  return ir_permute(g, ir_with(g, OP_one_hot, label, attr_int(scores->dim[dim])), order);
}

static double positions(const Type *label) { return (double)type_elements(label); }

/* The terms whose sum is what the label chooses from: chosen, not multiplied, for the log of an
 * impossible class is -inf. */
static Node *at_label(Graph *g, Node *label, Node *from, int64_t dim) {
  return choose(g, label_bits(g, label, &from->type, dim), from, ir_constant(g, 0));
}

/* The target is (1 - s) at the label plus s / K everywhere. */
Node *op_cross_entropy_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  Graph *g = x->graph;
  const Type *t = &in[0]->type;
  int64_t dim;
  double s = node_float(n, "label_smoothing");
  if (!resolve_attr_dim(n, "dim", t->rank, &dim, e) || !check_label(n, in, dim, e)) return NULL;
  if (!check_fraction(n, "label_smoothing", e)) return NULL;
  Node *logs = ir_with(g, OP_log_softmax, as_real(g, in[0]), attr_dim(dim));
  Node *terms = ir_scale(g, at_label(g, in[1], logs, dim), 1 - s);
  if (s > 0) terms = add(g, terms, ir_scale(g, logs, s / (double)t->dim[dim]));
  return ir_scale(g, sum_all(g, terms), -1 / positions(&in[1]->type));
}

/* The scores' last dimension is the classes', as the label wants it. */
static bool check_classes(const Node *n, Node *const *in, int64_t *dim, OpError *e) {
  if (resolve_dim(-1, in[0]->type.rank, dim)) return check_label(n, in, *dim, e);
  return operand_error(e, 0, "%s needs a dimension of classes, not a scalar", op_info[n->op].name);
}

Node *op_nll_loss_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  Graph *g = x->graph;
  int64_t dim;
  if (!check_real(n, in, 0, e) || !check_classes(n, in, &dim, e)) return NULL;
  return ir_scale(g, sum_all(g, at_label(g, in[1], in[0], dim)), -1 / positions(&in[1]->type));
}

Node *op_accuracy_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  Graph *g = x->graph;
  int64_t dim;
  if (!check_classes(n, in, &dim, e)) return NULL;
  Node *best = ir_with(g, OP_argmax, as_real(g, in[0]), attr_dim(dim));
  return mean_all(g, ir_binary(g, OP_equal, best, as_real(g, in[1])));
}

/* How many classes come before the label when they are sorted by score, largest first, and among
 * equals the lower class first, as argmax has it: sum over j of score j > s or (score j = s and
 * j < label), s the label's score. A NaN comes before all. */
static Node *label_place(Graph *g, Node *scores, Node *label, int64_t dim) {
  const Type *t = &scores->type;
  Node *y = ir_keepdims(g, as_real(g, label), t, 1, &dim);
  Node *s = reduce_along(g, OP_reduce_sum, at_label(g, label, scores, dim), dim);
  Node *class = ir_make(g, OP_iota, 0, NULL, (Attr[]){attr_int(t->dim[dim])});
  Node *lower = ir_binary(g, OP_less, class, y);
  Node *within = ir_binary(g, OP_less_equal, scores, s), *same = ir_binary(g, OP_equal, scores, s);
  Node *before = add(g, sub(g, ir_constant(g, 1), within), mul(g, same, lower));
  return ir_sum(g, before, 1, &dim, false);
}

Node *op_top_k_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  Graph *g = x->graph;
  int64_t dim, k = node_int(n, "k");
  if (!check_classes(n, in, &dim, e) || !check_least(n, "k", 1, e)) return NULL;
  if (k > in[0]->type.dim[dim]) {
    attr_error(e, n, "k", "the %lld largest of %lld classes", (long long)k,
               (long long)in[0]->type.dim[dim]);
    return NULL;
  }
  Node *place = label_place(g, as_real(g, in[0]), in[1], dim);
  return mean_all(g, ir_binary(g, OP_less, place, ir_constant(g, (double)k)));
}

/* Ranks compare samples of all batches, so one batch has no part of it to give. */
Node *op_auc_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  int64_t dim;
  if (!check_classes(n, in, &dim, e)) return NULL;
  Type t = type_scalar(in[0]->type.batched || in[1]->type.batched);
  return ir_broadcast(x->graph, ir_constant(x->graph, NAN), &t);
}

/* ---- differences ---- */

static Node *difference(Graph *g, Node *const *in) {
  return sub(g, as_real(g, in[0]), as_real(g, in[1]));
}

Node *op_mse_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  (void)n, (void)e;
  return mean_all(x->graph, ir_unary(x->graph, OP_square, difference(x->graph, in)));
}

Node *op_sse_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  (void)n, (void)e;
  return sum_all(x->graph, ir_unary(x->graph, OP_square, difference(x->graph, in)));
}

Node *op_mae_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  (void)n, (void)e;
  return mean_all(x->graph, ir_unary(x->graph, OP_abs, difference(x->graph, in)));
}

/* q^2 / 2 + delta (|d| - q) with q = min(|d|, delta): d^2 / 2 within delta, delta |d| - delta^2 / 2
 * outside; of an infinite d the derivative is still delta. */
Node *op_huber_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  Graph *g = x->graph;
  double delta = node_float(n, "delta");
  if (!(delta > 0)) {
    attr_error(e, n, "delta", "delta must be above 0, not %g", delta);
    return NULL;
  }
  Node *size = ir_unary(g, OP_abs, difference(g, in));
  Node *q = clamp(g, size, 0, delta);
  Node *within = ir_scale(g, ir_unary(g, OP_square, q), 0.5);
  if (delta > FLT_MAX) return mean_all(g, within); /* inf * 0 is none of it */
  return mean_all(g, add(g, within, ir_scale(g, sub(g, size, q), delta)));
}

/* ---- probabilities ---- */

/* max(f(x), -100) where f is a log that is -inf when `dead` is 1; there x is replaced by `safe`, so
 * that the derivative is 0 and not 0 / 0. */
static Node *floored_log(Graph *g, Op f, Node *dead, Node *x, double safe) {
  Node *inside = choose(g, dead, ir_constant(g, safe), x);
  Node *value = clamp(g, ir_unary(g, f, inside), -100, INFINITY);
  return choose(g, dead, ir_constant(g, -100), value);
}

/* -(y log p + (1 - y) log(1 - p)) */
Node *op_bce_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  (void)n, (void)e;
  Graph *g = x->graph;
  Node *p = as_real(g, in[0]), *y = as_real(g, in[1]);
  Node *zero = ir_constant(g, 0), *one = ir_constant(g, 1);
  Node *yes = floored_log(g, OP_log, ir_binary(g, OP_less_equal, p, zero), p, 1);
  Node *no = floored_log(g, OP_log1p, ir_binary(g, OP_less_equal, one, p), neg(g, p), 0);
  Node *both = add(g, mul(g, y, yes), mul(g, sub(g, one, y), no));
  return neg(g, mean_all(g, both));
}

/* softplus(x) - x y */
Node *op_bce_with_logits_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  (void)n, (void)e;
  Graph *g = x->graph;
  Node *a = as_real(g, in[0]), *y = as_real(g, in[1]);
  return mean_all(g, sub(g, ir_unary(g, OP_softplus, a), mul(g, a, y)));
}

/* q (log q - log_p), where 0 log 0 is 0. */
Node *op_kl_div_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  (void)n, (void)e;
  Graph *g = x->graph;
  Node *log_p = as_real(g, in[0]), *q = as_real(g, in[1]);
  Node *none = ir_binary(g, OP_equal, q, ir_constant(g, 0));
  Node *log_q = ir_unary(g, OP_log, choose(g, none, ir_constant(g, 1), q));
  return sum_all(g, mul(g, q, sub(g, log_q, log_p)));
}

/* ---- grad(s, t) ---- */

/* t's type. For a shared t and a per-sample s it is the gradient of the sum over the batch. */
bool op_grad_shape(Node *n, Type *out, OpError *e) {
  const Type *s = &n->in[0]->type, *t = &n->in[1]->type;
  if (!check_real(n, n->in, 0, e) || !check_real(n, n->in, 1, e)) return false;
  if (s->rank) {
    operand_error(e, 0, "grad differentiates a scalar, not a tensor of shape %s", shape_text(e, s));
    op_note(e, "sum or mean makes a scalar of it");
    return false;
  }
  *out = *t;
  return true;
}

static _Noreturn void unresolved(void) {
  fprintf(stderr, "internal fault: a grad expression was not resolved by the grad pass\n");
  abort();
}

void op_grad_eval(const Node *n, const Tensor *const *in, Tensor *out, const EvalContext *c) {
  (void)n, (void)in, (void)out, (void)c;
  unresolved();
}

void op_grad_grad(Graph *g, Node *n, Node *dy, Node **dx) {
  (void)g, (void)n, (void)dy, (void)dx;
  unresolved();
}
