/* pass grad: reverse-mode differentiation, graph to graph.
 *
 * Needs: only LEAF, ELEMENTWISE, PRIMITIVE and FORMULA nodes (pass expand). Makes: every grad(s, t)
 * resolved; by program, the gradients of the loss as results, or the optimizer's updates. Keeps:
 * everything else.
 *
 * For y = f(x1, ..., xk) with adjoint dy = ds/dy, op_info[f].grad gives dy's part in each dx_i as
 * nodes. Walking the ancestors of s from s down, an adjoint is complete when its node is reached,
 * because every user of a node comes after it in topological order. Only nodes that depend on a
 * target are visited, so what leads to frozen parameters alone gets no backward code. */
#include "passes/grad.h"

#include "passes/optimizer.h"
#include "passes/pass.h"

typedef struct {
  Graph *g;
  Arena *scratch;
  int count;    /* nodes before any gradient was made: ids below it index the arrays */
  Node **order; /* ancestors of s, operands first */
  int norder;
  bool *needed; /* depends on a target */
  Node **adjoint;
} Sweep;

/* Ancestors of s in topological order, without recursion: graphs may be 100,000 nodes deep. */
static void sweep_order(Sweep *w, Node *s) {
  Node **stack = ARENA_ARRAY(w->scratch, Node *, w->count + 1);
  int *next = ARENA_ARRAY(w->scratch, int, w->count + 1);
  bool *seen = ARENA_ARRAY(w->scratch, bool, w->count + 1);
  int depth = 0;
  stack[depth++] = s;
  seen[s->id] = true;
  while (depth) {
    Node *n = stack[depth - 1];
    if (next[n->id] == n->nin) {
      w->order[w->norder++] = n;
      depth--;
      continue;
    }
    Node *x = n->in[next[n->id]++];
    if (!x || seen[x->id]) continue;
    seen[x->id] = true;
    stack[depth++] = x;
  }
}

static void sweep_needed(Sweep *w, Node *const *targets, int n) {
  for (int i = 0; i < n; i++) w->needed[targets[i]->id] = true;
  for (int i = 0; i < w->norder; i++) {
    Node *x = w->order[i];
    for (int k = 0; k < x->nin; k++)
      if (x->in[k] && w->needed[x->in[k]->id]) w->needed[x->id] = true;
  }
}

/* dx in the type of x: summed where x was broadcast, repeated where the rule gave less. */
static Node *fit(Graph *g, Node *dx, const Type *x) {
  if (type_equal(&dx->type, x)) return dx;
  Type joint;
  if (!type_broadcast(&dx->type, x, &joint, NULL))
    return dx; /* a broken rule: the verifier names it */
  joint.elem = ELEM_F32;
  return ir_sum_to(g, ir_broadcast(g, dx, &joint), x);
}

static void sweep_add(Sweep *w, const Node *x, Node *dx) {
  Node **sum = &w->adjoint[x->id];
  dx = fit(w->g, dx, &x->type);
  *sum = *sum ? ir_binary(w->g, OP_add, *sum, dx) : dx;
}

static void sweep_node(Sweep *w, Node *n) {
  Node *dy = w->adjoint[n->id];
  OpGrad *rule = op_info[n->op].grad;
  if (!dy || !rule || !w->needed[n->id]) return;
  Node **dx = ARENA_ARRAY(w->scratch, Node *, n->nin + 1);
  ir_at(w->g, n->span);
  rule(w->g, n, dy, dx);
  for (int k = 0; k < n->nin; k++) {
    Node *x = n->in[k];
    if (x && dx[k] && w->needed[x->id] && x->type.elem == ELEM_F32) sweep_add(w, x, dx[k]);
  }
}

static Node *zeros(Graph *g, const Type *like) {
  Type t = *like;
  t.elem = ELEM_F32;
  return ir_broadcast(g, ir_constant(g, 0), &t);
}

bool grad_build(Graph *g, Node *s, Node *const *targets, int n, Node **out) {
  if (s->type.elem != ELEM_F32 || type_elements(&s->type) != 1) return false;
  Arena *scratch = arena_new();
  Sweep w = {.g = g, .scratch = scratch, .count = g->nodes.count};
  w.order = ARENA_ARRAY(scratch, Node *, w.count + 1);
  w.needed = ARENA_ARRAY(scratch, bool, w.count + 1);
  w.adjoint = ARENA_ARRAY(scratch, Node *, w.count + 1);
  sweep_order(&w, s);
  sweep_needed(&w, targets, n);
  ir_at(g, s->span);
  w.adjoint[s->id] = ir_broadcast(g, ir_constant(g, 1), &s->type);
  for (int i = w.norder - 1; i >= 0; i--) sweep_node(&w, w.order[i]);
  for (int i = 0; i < n; i++) {
    Node *d = w.adjoint[targets[i]->id];
    out[i] = d ? d : zeros(g, &targets[i]->type);
  }
  arena_free(scratch);
  return true;
}

/* ---- grad(s, t) ---- */

/* All unresolved grads of one s share a sweep. */
static void resolve_group(Graph *g, Node *first, Arena *scratch) {
  VEC(Node *) group = {0}, targets = {0};
  for (int i = first->id; i < g->nodes.count; i++) {
    Node *n = g->nodes.at[i];
    if (n->op != OP_grad || n->in[0] != first->in[0]) continue;
    vec_push(scratch, &group, n);
    vec_push(scratch, &targets, n->in[1]);
  }
  Node **out = ARENA_ARRAY(scratch, Node *, group.count);
  if (!grad_build(g, first->in[0], targets.at, targets.count, out)) return;
  Node **to = ARENA_ARRAY(scratch, Node *, g->nodes.count);
  for (int i = 0; i < group.count; i++) {
    if (!out[i]->label) out[i]->label = group.at[i]->label;
    to[group.at[i]->id] = out[i];
  }
  ir_substitute(g, to);
  for (int i = 0; i < group.count; i++)
    group.at[i]->in[0] = NULL; /* done; tidied away at the end */
}

/* A grad node's s holds only grads that come before it, so walking the original order meets inner
 * ones first. */
void grad_resolve(Graph *g, Arena *scratch) {
  int count = g->nodes.count;
  bool any = false;
  for (int i = 0; i < count; i++) {
    Node *n = g->nodes.at[i];
    if (n->op != OP_grad || !n->in[0]) continue;
    resolve_group(g, n, scratch);
    any = true;
  }
  if (any) ir_tidy(g);
}

/* ---- the loss ---- */

static Node *loss_of(const Graph *g) {
  for (int i = 0; i < g->results.count; i++)
    if (g->results.at[i].kind == RESULT_LOSS) return g->results.at[i].node;
  return NULL;
}

static bool is_trainable(const Node *n) { return n->op == OP_param && node_bool(n, "trainable"); }
static bool is_real_input(const Node *n) { return n->op == OP_input && n->type.elem == ELEM_F32; }

typedef VEC(Node *) NodeList;

static NodeList leaves(const Graph *g, Arena *a, bool (*wanted)(const Node *)) {
  NodeList list = {0};
  for (int i = 0; i < g->nodes.count; i++)
    if (wanted(g->nodes.at[i])) vec_push(a, &list, g->nodes.at[i]);
  return list;
}

static void grad_results(Graph *g, Node *loss, Arena *scratch) {
  NodeList targets = leaves(g, scratch, is_trainable), inputs = leaves(g, scratch, is_real_input);
  for (int i = 0; i < inputs.count; i++) vec_push(scratch, &targets, inputs.at[i]);
  Node **out = ARENA_ARRAY(scratch, Node *, targets.count + 1);
  grad_build(g, loss, targets.at, targets.count, out);
  for (int i = 0; i < targets.count; i++)
    ir_result(g, RESULT_GRAD, node_str(targets.at[i], "name"), out[i], targets.at[i]);
}

static void train_results(Graph *g, Node *loss, Arena *scratch) {
  NodeList params = leaves(g, scratch, is_trainable);
  Node **out = ARENA_ARRAY(scratch, Node *, params.count + 1);
  grad_build(g, loss, params.at, params.count, out);
  optimizer_update(g, params.count, params.at, out, scratch);
}

/* The gradients come from outside: buffers "gradient.<param>", which codegen finds in the gradient
 * block. */
static void apply_results(Graph *g, Arena *scratch) {
  NodeList params = leaves(g, scratch, is_trainable);
  Node **out = ARENA_ARRAY(scratch, Node *, params.count + 1);
  for (int i = 0; i < params.count; i++)
    out[i] = optimizer_buffer(g, params.at[i], "gradient.%s", node_str(params.at[i], "name"));
  optimizer_update(g, params.count, params.at, out, scratch);
}

void pass_grad(Graph *g, Arena *scratch, const PassOptions *options) {
  (void)options;
  grad_resolve(g, scratch);
  Program program = pass_program(g);
  Node *loss = loss_of(g);
  if (program == PROGRAM_APPLY)
    apply_results(g, scratch);
  else if (loss && program == PROGRAM_TRAIN)
    train_results(g, loss, scratch);
  else if (loss && program_has_grads(program))
    grad_results(g, loss, scratch);
  ir_tidy(g);
}
