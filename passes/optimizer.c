/* Optimizer updates, equal to PyTorch's, as ELEMENTWISE graphs.
 *
 * State lives in buffers "optimizer.<param>.<state>", with PyTorch's names for the states, from
 * zero. The learning rate and Adam's bias corrections 1 - beta^t are `hyper` leaves, which the
 * session sets before each step: what depends on them alone is a shared scalar, computed once. */
#include "passes/optimizer.h"

#include <string.h>

#include "ir/op.h"

typedef struct {
  Graph *g;
  const Node *param;
  const char *name; /* of the parameter */
  const Signature *signature;
  const Attr *attr; /* of the optimizer, in the order of its signature */
  Node *lr;
} Step;

/* The parameter's new value, from its gradient. */
typedef Node *StepRule(Step *s, Node *p, Node *dp);

/* ---- small words ---- */

static Node *add(Step *s, Node *a, Node *b) { return ir_binary(s->g, OP_add, a, b); }
static Node *sub(Step *s, Node *a, Node *b) { return ir_binary(s->g, OP_sub, a, b); }
static Node *mul(Step *s, Node *a, Node *b) { return ir_binary(s->g, OP_mul, a, b); }
static Node *quotient(Step *s, Node *a, Node *b) { return ir_binary(s->g, OP_div, a, b); }
static Node *scale(Step *s, Node *a, double c) { return ir_scale(s->g, a, c); }
static Node *hyper(Step *s, const char *name) {
  return ir_make(s->g, OP_hyper, 0, NULL, (Attr[]){attr_words(name)});
}

static double option(const Step *s, const char *name) {
  for (int i = 0; i < s->signature->nattrs; i++)
    if (!strcmp(s->signature->attr[i].name, name)) {
      const Attr *a = s->attr ? &s->attr[i] : &s->signature->attr[i].value;
      return a->kind == ATTR_FLOAT ? a->f : (double)a->i;
    }
  return 0;
}

Node *optimizer_buffer(Graph *g, const Node *param, const char *format, const char *name) {
  const Type *t = &param->type;
  Init zero = {.kind = INIT_CONSTANT};
  Attr attr[] = {attr_str(arena_printf(g->arena, format, name)), attr_ints(t->rank, t->dim),
                 attr_init(zero)};
  Node *n = ir_make(g, OP_buffer, 0, NULL, attr);
  n->ordered = param->ordered; /* every program that updates it must find it in one order */
  memcpy(n->order, param->order, sizeof n->order);
  return n;
}

static Node *state(Step *s, const char *format) {
  return optimizer_buffer(s->g, s->param, format, s->name);
}

static Node *assign(Step *s, Node *target, Node *value) {
  ir_result(s->g, RESULT_ASSIGN, node_str(target, "name"), value, target);
  return value;
}

/* g + weight_decay * p: decay coupled with the gradient. */
static Node *decayed(Step *s, Node *p, Node *dp) {
  double decay = option(s, "weight_decay");
  return decay == 0 ? dp : add(s, dp, scale(s, p, decay));
}

/* keep * old + (1 - keep) * value, stored back. */
static Node *moving_average(Step *s, Node *old, double keep, Node *value) {
  return assign(s, old, add(s, scale(s, old, keep), scale(s, value, 1 - keep)));
}

/* ---- the rules ---- */

/* b = momentum b + g;  p - lr (g + momentum b with nesterov, else b) */
static Node *step_sgd(Step *s, Node *p, Node *dp) {
  double momentum = option(s, "momentum");
  dp = decayed(s, p, dp);
  if (momentum != 0) {
    Node *b = state(s, "optimizer.%s.momentum_buffer");
    b = assign(s, b, add(s, scale(s, b, momentum), dp));
    dp = option(s, "nesterov") != 0 ? add(s, dp, scale(s, b, momentum)) : b;
  }
  return sub(s, p, mul(s, s->lr, dp));
}

/* m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;  p - (lr / c1) m / (sqrt(v) / sqrt(c2) + eps),
 * c_i = 1 - b_i^t */
static Node *adam_from(Step *s, Node *p, Node *dp) {
  Node *m = moving_average(s, state(s, "optimizer.%s.exp_avg"), option(s, "beta1"), dp);
  Node *v = moving_average(s, state(s, "optimizer.%s.exp_avg_sq"), option(s, "beta2"),
                           ir_unary(s->g, OP_square, dp));
  Node *size = quotient(s, s->lr, hyper(s, "bias_correction1"));
  Node *correct = ir_unary(s->g, OP_rsqrt, hyper(s, "bias_correction2"));
  Node *root = mul(s, ir_unary(s->g, OP_sqrt, v), correct);
  Node *denominator = ir_shift(s->g, root, option(s, "eps"));
  return sub(s, p, mul(s, size, quotient(s, m, denominator)));
}

static Node *step_adam(Step *s, Node *p, Node *dp) { return adam_from(s, p, decayed(s, p, dp)); }

/* The decay acts on the parameter itself: p (1 - lr weight_decay), then Adam. */
static Node *step_adamw(Step *s, Node *p, Node *dp) {
  double decay = option(s, "weight_decay");
  Node *shrunk = p;
  if (decay != 0) shrunk = mul(s, p, sub(s, ir_constant(s->g, 1), scale(s, s->lr, decay)));
  return adam_from(s, shrunk, dp);
}

/* v = alpha v + (1 - alpha) g^2;  d = g / (sqrt(v) + eps);  with momentum b = momentum b + d;  p -
 * lr (b or d) */
static Node *step_rmsprop(Step *s, Node *p, Node *dp) {
  dp = decayed(s, p, dp);
  Node *v = moving_average(s, state(s, "optimizer.%s.square_avg"), option(s, "alpha"),
                           ir_unary(s->g, OP_square, dp));
  Node *root = ir_shift(s->g, ir_unary(s->g, OP_sqrt, v), option(s, "eps"));
  Node *d = quotient(s, dp, root);
  double momentum = option(s, "momentum");
  if (momentum != 0) {
    Node *b = state(s, "optimizer.%s.momentum_buffer");
    d = assign(s, b, add(s, scale(s, b, momentum), d));
  }
  return sub(s, p, mul(s, s->lr, d));
}

static const struct {
  const char *name;
  StepRule *rule;
} optimizer[] = {
#define OPTIMIZER(name, signature) {#name, step_##name},
#define SCHEDULE(name, signature)
#define AUGMENT(name, signature)
#include "ir/train.def"
#undef OPTIMIZER
#undef SCHEDULE
#undef AUGMENT
};

static int optimizer_find(const char *name) {
  for (size_t i = 0; i < sizeof optimizer / sizeof optimizer[0]; i++)
    if (name && !strcmp(optimizer[i].name, name)) return (int)i;
  return 0; /* the first row is sgd */
}

/* PyTorch's clip_grad_norm_: every gradient times min(1, c / (norm + 1e-6)), the norm being that of
 * all together. */
static void clip(Graph *g, int n, Node **gradient, double c) {
  Node *total = NULL;
  for (int i = 0; i < n; i++) {
    Node *squares = ir_unary(g, OP_square, gradient[i]);
    int64_t dims[LIMIT_RANK] = {0, 1, 2, 3, 4, 5, 6, 7};
    Node *sum = ir_sum(g, squares, squares->type.rank, dims, false);
    total = total ? ir_binary(g, OP_add, total, sum) : sum;
  }
  Node *norm = ir_shift(g, ir_unary(g, OP_sqrt, total), 1e-6);
  Node *factor =
      ir_binary(g, OP_minimum, ir_constant(g, 1), ir_binary(g, OP_div, ir_constant(g, c), norm));
  for (int i = 0; i < n; i++) gradient[i] = ir_binary(g, OP_mul, gradient[i], factor);
}

void optimizer_update(Graph *g, int n, Node *const *param, Node *const *gradient, Arena *scratch) {
  const TrainItem *item = &g->train.optimizer;
  int row = optimizer_find(item->name);
  Node **dp = ARENA_ARRAY(scratch, Node *, n + 1);
  for (int i = 0; i < n; i++) dp[i] = gradient[i];
  if (n && g->train.clip_grad_norm > 0) clip(g, n, dp, g->train.clip_grad_norm);
  Step s = {.g = g,
            .signature = train_signature(TRAIN_OPTIMIZER, optimizer[row].name),
            .attr = item->name ? item->attr : NULL};
  s.lr = hyper(&s, "lr");
  for (int i = 0; i < n; i++) {
    s.param = param[i];
    s.name = node_str(param[i], "name");
    ir_at(g, param[i]->span);
    assign(&s, param[i], optimizer[row].rule(&s, param[i], dp[i]));
  }
}
