/* Calls of ops and operators on tensors. u8 and i32 become f32 at their first arithmetic use;
 * labels and indices, and what only moves elements, stay integers. */
#include <string.h>

#include "frontend/check.h"

/* A class label, whole or with its elements moved. */
static bool is_label(const Node *n) {
  while (n->nin && !strcmp(op_info[n->op].section, "shape")) n = n->in[0];
  return (n->op == OP_target || n->op == OP_input) && node_int(n, "classes") > 0;
}

Node *tensor_real(Checker *c, Node *n, Span at) {
  if (!n || n->type.elem == ELEM_F32) return n;
  if (is_label(n)) {
    check_error(c, at, "a class label is not a number to compute with");
    check_note(c, no_place(), "cross_entropy, nll_loss and accuracy take labels, after the scores");
    return NULL;
  }
  while (c->real.count <= n->id) vec_push(c->arena, &c->real, NULL);
  if (!c->real.at[n->id])
    c->real.at[n->id] =
        ir_try(c->graph, OP_real, 1, &n, NULL, n->span, &(OpError){.arena = c->arena});
  return c->real.at[n->id];
}

Node *tensor_constant(Checker *c, double f, Span at) {
  Attr attr[] = {attr_float(f), attr_ints(0, NULL)};
  return ir_try(c->graph, OP_constant, 0, NULL, attr, at, &(OpError){.arena = c->arena});
}

void tensor_label(Checker *c, Node *n, const char *name) {
  if (!n || n->label || op_info[n->op].kind == KIND_LEAF) return;
  n->label = arena_printf(c->arena, "%s%s", c->scope->prefix, name);
}

/* ---- making a node, and saying why it cannot be made ---- */

static bool same_place(Span a, Span b) {
  return a.file == b.file && a.line == b.line && a.col == b.col;
}

static const char *node_name(Checker *c, const Node *n) {
  if (n->op == OP_real) n = n->in[0];
  bool named = n->op == OP_input || n->op == OP_target || n->op == OP_param;
  const char *name = named ? node_str(n, "name") : n->label ? n->label : "this";
  return arena_printf(c->arena, "%s is %s", name, type_text(c->arena, &n->type));
}

/* Worth a note: what the user wrote somewhere else than the error is, and each once. */
static bool is_telling(Node *const *in, int i, Span at) {
  const Node *n = in[i];
  if (!n || !n->span.file || n->op == OP_constant || n->op == OP_buffer) return false;
  for (int k = 0; k < i; k++)
    if (in[k] == n) return false;
  return !same_place(n->span, at);
}

static void note_operands(Checker *c, int nin, Node *const *in, Span at) {
  enum { SHOWN = 3 };
  int shown = 0;
  for (int i = 0; i < nin && shown < SHOWN; i++) {
    if (!is_telling(in, i, at)) continue;
    check_note(c, in[i]->span, "%s", node_name(c, in[i]));
    shown++;
  }
}

static Node *report(Checker *c, const OpError *e, int nin, Node *const *in, Span at,
                    const Span *operand, const Span *attribute) {
  Span place = at;
  if (e->attribute >= 0 && attribute && attribute[e->attribute].file)
    place = attribute[e->attribute];
  if (e->operand >= 0 && operand && e->operand < nin && operand[e->operand].file)
    place = operand[e->operand];
  check_error(c, place, "%s", e->text);
  if (e->note) check_note(c, no_place(), "%s", e->note);
  note_operands(c, nin, in, at);
  return NULL;
}

Node *tensor_make(Checker *c, Op op, int nin, Node *const *in, const Attr *attr, Span at,
                  const Span *operand, const Span *attribute) {
  OpError e = {.arena = c->arena};
  if (!tensor_count(c, at)) return NULL;
  Node *n = ir_try(c->graph, op, nin, in, attr, at, &e);
  return n ? n : report(c, &e, nin, in, at, operand, attribute);
}

/* ---- operands ---- */

/* Integers belong in the last operand proper of an op on labels. */
static bool takes_integers(Op op, const Signature *s, int i) {
  int last = -1;
  for (int k = 0; k < s->noperands; k++)
    if (!s->operand[k].parameter) last = k;
  return op_info[op].domain == DOMAIN_LABEL && i == last;
}

static bool one_elem(int n, const Value *v) {
  for (int i = 0; i < n; i++)
    if (v[i].kind != VALUE_TENSOR || v[i].node->type.elem != v[0].node->type.elem) return false;
  return true;
}

static Node *operand_node(Checker *c, const Value *v, Span at, bool integers) {
  if (value_is_number(v)) return tensor_constant(c, value_number(v), at);
  if (v->kind != VALUE_TENSOR) return NULL;
  return integers ? v->node : tensor_real(c, v->node, at);
}

typedef struct {
  int n;
  Node **in;
  const Span *span;
  bool failed;
} Operands;

static Operands operands_of(Checker *c, Op op, const Signature *s, const Matched *m) {
  bool variadic = s->noperands && s->operand[0].variadic;
  const Value *v = variadic ? m->variadic.at : m->operand;
  Operands o = {.n = variadic ? m->variadic.count : s->noperands};
  o.span = variadic ? m->variadic_span.at : m->operand_span;
  o.in = ARENA_ARRAY(c->arena, Node *, o.n ? o.n : 1);
  bool moves = !strcmp(op_info[op].section, "shape") && one_elem(o.n, v);
  for (int i = 0; i < o.n; i++) {
    o.in[i] = operand_node(c, &v[i], o.span[i], moves || takes_integers(op, s, i));
    o.failed |= v[i].kind == VALUE_TENSOR && !o.in[i];
  }
  return o;
}

/* ---- calls ---- */

/* A loss that compares two tensors element by element broadcasts them as PyTorch's do, which is
 * seldom what was meant: [1] against [3] compares each with each. A number is compared with all
 * elements. */
static void warn_of_shapes(Checker *c, Op op, const Call *call, const Matched *m) {
  const Value *v = m->operand;
  bool compares = !strcmp(op_info[op].section, "loss") && op_info[op].kind == KIND_COMPOSITE &&
                  op_info[op].domain != DOMAIN_LABEL;
  if (!compares || v[0].kind != VALUE_TENSOR || v[1].kind != VALUE_TENSOR) return;
  const Type *a = &v[0].node->type, *b = &v[1].node->type;
  if (a->rank == b->rank && !memcmp(a->dim, b->dim, (size_t)a->rank * sizeof *a->dim)) return;
  diag_warning(c->diags, call->span, "%s compares different shapes, which are broadcast: %s and %s",
               call->what, type_text(c->arena, a), type_text(c->arena, b));
  check_note(c, no_place(), "reshape or squeeze makes them the same");
}

/* Losses that begin with a function, and that function applied before; losses of what a function
 * gives, and a layer's output as it is: it is learned with all the same, but badly. */
static void warn_of_twice(Checker *c, Op op, const Call *call, const Matched *m) {
  enum { ANY_LAYER = OP_COUNT };
  static const struct {
    Op loss;
    int before;
    const char *mend;
  } rows[] = {
      {OP_cross_entropy, OP_softmax, "takes logits: softmax is a part of it"},
      {OP_bce_with_logits, OP_sigmoid, "takes logits: sigmoid is a part of it"},
      {OP_nll_loss, OP_softmax, "takes log probabilities, as log_softmax gives them"},
      {OP_nll_loss, ANY_LAYER, "takes log probabilities, as log_softmax gives them"},
      {OP_kl_div, OP_softmax, "takes log probabilities first, as log_softmax gives them"},
      {OP_kl_div, ANY_LAYER, "takes log probabilities first, as log_softmax gives them"},
      {OP_bce, ANY_LAYER, "takes probabilities, as sigmoid gives them"},
  };
  if (m->operand[0].kind != VALUE_TENSOR) return;
  Op before = m->operand[0].node->op;
  bool layer = op_info[before].kind == KIND_LAYER;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    bool fits = rows[i].before == ANY_LAYER ? layer : rows[i].before == (int)before;
    if (rows[i].loss != op || !fits) continue;
    diag_warning(c->diags, m->operand_span[0], "this is the output of %s, and %s %s",
                 op_info[before].name, call->what, rows[i].mend);
  }
}

/* Nodes stand after their operands. */
static bool depends_on(Checker *c, const Node *s, const Node *t) {
  if (s->id <= t->id) return s == t;
  bool *needed = ARENA_ARRAY(c->arena, bool, s->id - t->id + 1);
  needed[s->id - t->id] = true;
  for (int i = s->id; i > t->id; i--) {
    const Node *n = c->graph->nodes.at[i];
    for (int k = 0; needed[i - t->id] && k < n->nin; k++)
      if (n->in[k] && n->in[k]->id >= t->id) needed[n->in[k]->id - t->id] = true;
  }
  return needed[0];
}

/* Each look takes as long as the graph is: a few are enough to learn from. */
static void warn_of_unrelated(Checker *c, const Call *call, const Node *grad) {
  enum { LOOKS = 100 };
  if (c->gradients++ >= LOOKS || depends_on(c, grad->in[0], grad->in[1])) return;
  diag_warning(c->diags, call->span, "the gradient is zero: the value does not depend on this %s",
               grad->in[1]->op == OP_param ? "parameter" : "tensor");
}

Value tensor_call(Checker *c, Op op, const Call *call) {
  const Signature *s = op_signature(op);
  Matched m;
  if (!match_arguments(c, call, s, &m)) return value_failed();
  bool layer = op_info[op].kind == KIND_LAYER, named = layer || call->expr->label;
  Operands o = operands_of(c, op, s, &m);
  if (o.failed) return value_failed();
  const char *name = named ? layer_name(c, call) : NULL;
  if (named && !name) return value_failed();
  if (layer && !layer_params(c, op, call, name, o.n, o.in, m.attr, &m)) return value_failed();
  Node *n = tensor_make(c, op, o.n, o.in, m.attr, call->span, o.span, m.attr_span);
  if (n && name) n->label = name;
  if (n) warn_of_shapes(c, op, call, &m);
  if (n) warn_of_twice(c, op, call, &m);
  if (n && op == OP_grad) warn_of_unrelated(c, call, n);
  return value_tensor(n);
}

/* ---- dim(x, i), rank(x) ---- */

bool tensor_is_question(const char *name) { return !strcmp(name, "dim") || !strcmp(name, "rank"); }

Value tensor_question(Checker *c, const Call *call) {
  Signature s;
  Matched m;
  bool dim = !strcmp(call->what, "dim");
  signature_parse(c->arena, dim ? "x; i:int" : "x", &s);
  if (!match_arguments(c, call, &s, &m)) return value_failed();
  if (m.operand[0].kind != VALUE_TENSOR)
    return check_error(c, m.operand_span[0], "%s asks about a tensor, not %s", call->what,
                       value_kind_text(&m.operand[0]));
  const Type *t = &m.operand[0].node->type;
  if (!dim) return value_int(t->rank);
  int64_t i = m.attr[0].i < 0 ? m.attr[0].i + t->rank : m.attr[0].i;
  if (i >= 0 && i < t->rank) return value_int(t->dim[i]);
  check_error(c, m.attr_span[0], "there is no dimension %lld", (long long)m.attr[0].i);
  check_note(c, m.operand_span[0], "this is %s; the batch is not counted", type_text(c->arena, t));
  return value_failed();
}

/* ---- operators ---- */

static Node *operator_side(Checker *c, const Expr *x, const Value *v) {
  Node *n = operand_node(c, v, x->span, false);
  if (!n && v->kind != VALUE_TENSOR)
    check_error(c, x->span, "a tensor or a number is needed here, not %s", value_kind_text(v));
  return n;
}

Value tensor_binary(Checker *c, const Expr *x, Value left, Value right) {
  static const Op ops[] = {OP_add, OP_sub, OP_mul, OP_div};
  if (x->op >= OPERATOR_EQ) {
    check_error(c, x->span, "tensors cannot be compared: %s takes compile-time values",
                operator_text(x->op));
    check_note(c, no_place(), "dim(x, i) and rank(x) are known at compile time");
    return value_failed();
  }
  if (x->op > OPERATOR_DIV)
    return check_error(c, x->span, "%s takes compile-time values, not tensors",
                       operator_text(x->op));
  Span spans[] = {x->left->span, x->right->span};
  Node *in[] = {operator_side(c, x->left, &left), operator_side(c, x->right, &right)};
  if (!in[0] || !in[1]) return value_failed();
  return value_tensor(tensor_make(c, ops[x->op], 2, in, NULL, x->span, NULL, spans));
}

Value tensor_negate(Checker *c, const Expr *x, Value v) {
  Node *n = tensor_real(c, v.node, x->left->span);
  if (!n) return value_failed();
  return value_tensor(tensor_make(c, OP_neg, 1, &n, NULL, x->span, NULL, NULL));
}
