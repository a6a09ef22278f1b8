/* pass simplify (and clean, which is the same again): constants, identities, common subexpressions,
 * dead code.
 *
 * Needs: no unresolved grad(s, t), whose meaning hangs on the identity of t; with one in it a graph
 * is only tidied. Keeps: every result up to rounding, NaN and infinities included. Parameters and
 * other named leaves are never merged, nor are random ops of different streams.
 *
 * Each round walks the nodes in order, with what earlier steps of the round replaced already put
 * in, and gives each node to constant folding, the rule lines, the rewrites of its op, and the
 * table of common subexpressions. New nodes are appended and so walked in the same round. Rounds go
 * on until one changes nothing; their number, and the growth of the graph in one, are bounded. */
#include "passes/simplify.h"

#include "passes/pass.h"

enum { ROUNDS = 32 };

typedef struct {
  Graph *g;
  const RuleSet *rules;
  Common *common;
  VEC(Node *) to;   /* by id */
  VEC(Node *) relu; /* by id: the relu of this node */
  VEC(int) uses;    /* by id: operands of others, when the round began */
  bool changed, lowered;
  Arena *scratch;
} Simplify;

static Node *latest(const Simplify *s, Node *n) {
  while (n && n->id < s->to.count && s->to.at[n->id]) n = s->to.at[n->id];
  return n;
}

/* ---- folding ---- */

static Node *fold_elementwise(Graph *g, Node *n) {
  double x[SIG_OPERANDS];
  for (int i = 0; i < n->nin; i++)
    if (!constant_value(n->in[i], &x[i])) return NULL;
  return ir_constant(g, op_info[n->op].eval_scalar(n, x));
}

/* Ops that only move or choose elements give a constant from a constant. */
static Node *fold_moved(Graph *g, Node *n) {
  double x;
  bool moves = n->op == OP_reshape || n->op == OP_permute || n->op == OP_cut ||
               n->op == OP_reduce_max || n->op == OP_reduce_min;
  return moves && constant_value(n->in[0], &x) ? ir_constant(g, x) : NULL;
}

static Node *fold(Graph *g, Node *n) {
  if (op_info[n->op].kind == KIND_ELEMENTWISE) return fold_elementwise(g, n);
  return fold_moved(g, n);
}

/* ---- one node ---- */

/* Where relu(x) is there anyway, its sign tells x's: then x itself need not be kept for the way
 * back. */
static Node *positive_of_relu(Simplify *s, Node *n) {
  int x = n->op == OP_positive ? n->in[0]->id : -1;
  if (x < 0 || x >= s->relu.count || !s->relu.at[x]) return NULL;
  return ir_unary(s->g, OP_positive, latest(s, s->relu.at[x]));
}

static Node *first_of(Rewrite *const *list, Graph *g, Node *n) {
  Node *r = NULL;
  for (; !r && list && *list; list++) r = (*list)(g, n);
  return r;
}

/* A sum of a sum, of which others need the inner one: of its few elements, not of all from the
 * start. A new node's operand had its other users before. */
static bool sums_what_others_need(const Simplify *s, const Node *n) {
  if (n->op != OP_reduce_sum || n->in[0]->op != OP_reduce_sum) return false;
  int inner = n->in[0]->id, own = n->id < s->uses.count;
  return inner < s->uses.count && s->uses.at[inner] > own;
}

static Node *rewritten(Simplify *s, Node *n) {
  if (sums_what_others_need(s, n)) return NULL;
  Node *r = fold(s->g, n);
  if (!r) r = rules_apply(s->rules, s->g, n);
  if (!r) r = first_of(simplify_rewrite[n->op], s->g, n);
  if (!r && s->lowered) r = first_of(simplify_lowered[n->op], s->g, n);
  if (!r && op_info[n->op].kind == KIND_ELEMENTWISE) r = first_of(simplify_elementwise, s->g, n);
  return r ? r : positive_of_relu(s, n);
}

static void replace(Simplify *s, Node *n, Node *by) {
  s->to.at[n->id] = by;
  s->changed = true;
  if (!by->label && op_info[by->op].kind != KIND_LEAF) by->label = n->label;
}

static bool is_named(const Node *n) {
  return n->op == OP_input || n->op == OP_target || n->op == OP_param || n->op == OP_buffer;
}

static void visit(Simplify *s, Node *n) {
  for (int i = 0; i < n->nin; i++) n->in[i] = latest(s, n->in[i]);
  if (is_named(n)) return;
  ir_at(s->g, n->span);
  Node *r = op_info[n->op].kind == KIND_LEAF ? NULL : rewritten(s, n);
  if (r) r = ir_broadcast(s->g, r, &n->type);
  if (!r) r = common_keep(s->common, n);
  if (r != n && type_equal(&r->type, &n->type)) replace(s, n, r);
}

/* ---- rounds ---- */

static void look_around(Simplify *s) {
  s->relu.count = s->uses.count = 0;
  for (int i = 0; i < s->g->nodes.count; i++) {
    vec_push(s->scratch, &s->relu, NULL);
    vec_push(s->scratch, &s->uses, 0);
  }
  for (int i = 0; i < s->g->nodes.count; i++) {
    Node *n = s->g->nodes.at[i];
    if (n->op == OP_relu && n->in[0]->op != OP_relu) s->relu.at[n->in[0]->id] = n;
    for (int k = 0; k < n->nin; k++)
      if (n->in[k]) s->uses.at[n->in[k]->id]++;
  }
}

static bool simplify_round(Simplify *s) {
  s->changed = false;
  s->to.count = 0;
  s->common = common_new(s->scratch, s->g->nodes.count);
  look_around(s);
  int most = 16 * s->g->nodes.count + 4096;
  for (int i = 0; i < s->g->nodes.count && i < most; i++) {
    while (s->to.count < s->g->nodes.count) vec_push(s->scratch, &s->to, NULL);
    visit(s, s->g->nodes.at[i]);
  }
  while (s->to.count < s->g->nodes.count) vec_push(s->scratch, &s->to, NULL);
  ir_substitute(s->g, s->to.at);
  ir_tidy(s->g);
  return s->changed;
}

static bool has_grad(const Graph *g) {
  for (int i = 0; i < g->nodes.count; i++)
    if (g->nodes.at[i]->op == OP_grad) return true;
  return false;
}

void simplify_graph(Graph *g, Arena *scratch, bool lowered) {
  Simplify s = {.g = g, .scratch = scratch, .rules = rules_read(scratch), .lowered = lowered};
  ir_tidy(g);
  if (has_grad(g)) return;
  for (int round = 0; round < ROUNDS && simplify_round(&s); round++) {
  }
}

void pass_simplify(Graph *g, Arena *scratch, const PassOptions *options) {
  (void)options;
  simplify_graph(g, scratch, false);
}
