/* pass expand: layers and composite ops into other ops, for the mode of the program.
 *
 * Makes: only LEAF, ELEMENTWISE, PRIMITIVE and FORMULA nodes, and grad(s, t) for the grad pass.
 * Layers and random ops expand for training in the programs train and grad, for evaluation
 * elsewhere; batch norm adds its running statistics' updates as ASSIGN results in training.
 *
 * Results: each program keeps those it computes (`keeps` below). The loss becomes shared: a
 * per-sample scalar is averaged over the batch (a shared term in it was broadcast, and its mean is
 * itself). A metric becomes its sum over the batch, so that sums of batches can be added up. */
#include "passes/expand.h"

#include "passes/pass.h"

static const unsigned keeps[PROGRAM_COUNT + 1] = {
    [PROGRAM_INFER] = 1u << RESULT_OUTPUT,
    [PROGRAM_EVALUATE] = 1u << RESULT_OUTPUT | 1u << RESULT_LOSS | 1u << RESULT_METRIC,
    [PROGRAM_TRAIN] = 1u << RESULT_LOSS | 1u << RESULT_METRIC | 1u << RESULT_ASSIGN,
    [PROGRAM_GRAD] =
        1u << RESULT_OUTPUT | 1u << RESULT_LOSS | 1u << RESULT_METRIC | 1u << RESULT_ASSIGN,
    [PROGRAM_GRAD_EVAL] = 1u << RESULT_OUTPUT | 1u << RESULT_LOSS | 1u << RESULT_METRIC,
    [PROGRAM_APPLY] = 0,
    [PROGRAM_COUNT] = ~0u, /* a graph of no program keeps all */
};

/* What only the others needed is expanded all the same, and dropped afterwards: so random ops have
 * one stream, and batch norms their updates, in all programs. */
static void keep_results(Graph *g, Program p) {
  int kept = 0;
  for (int i = 0; i < g->results.count; i++)
    if (keeps[p] >> g->results.at[i].kind & 1) g->results.at[kept++] = g->results.at[i];
  g->results.count = kept;
}

/* ---- nodes ---- */

static Node *latest(Node *const *to, int count, Node *n) {
  while (n && n->id < count && to[n->id]) n = to[n->id];
  return n;
}

typedef VEC(bool) Marks;

static void mark(Marks *m, Arena *a, int id) {
  while (m->count <= id) vec_push(a, m, false);
  m->at[id] = true;
}

static bool is_marked(const Marks *m, int id) { return id < m->count && m->at[id]; }

/* Of what a grad is by. */
static Marks grad_targets(const Graph *g, Arena *scratch) {
  Marks m = {0};
  for (int i = 0; i < g->nodes.count; i++)
    if (g->nodes.at[i]->op == OP_grad) mark(&m, scratch, g->nodes.at[i]->in[1]->id);
  return m;
}

/* Expansions are appended, so the walk reaches what they hold and expands that too. A gradient by n
 * is by n alone: where n is the same as an operand of it, it becomes a node of its own. */
void expand_nodes(Graph *g, bool training, bool formulas, Arena *scratch) {
  VEC(Node *) to = {0};
  Expand x = {.graph = g, .training = training};
  Marks targets = grad_targets(g, scratch);
  bool any = false;
  for (int i = 0; i < g->nodes.count; i++) {
    Node *n = g->nodes.at[i];
    while (to.count <= i) vec_push(scratch, &to, NULL);
    OpKind kind = op_info[n->op].kind;
    if (!op_info[n->op].expand || (kind == KIND_FORMULA && !formulas)) continue;
    Node **in = ARENA_ARRAY(scratch, Node *, n->nin + 1);
    for (int k = 0; k < n->nin; k++) in[k] = latest(to.at, to.count, n->in[k]);
    ir_at(g, n->span);
    int before = g->nodes.count;
    Node *made = op_info[n->op].expand(&x, n, in, NULL);
    if (!made) continue; /* cannot be: typing n has expanded it before */
    if (is_marked(&targets, i) && made->id < before) made = ir_unary(g, OP_identity, made);
    if (is_marked(&targets, i)) mark(&targets, scratch, made->id);
    if (made->id >= before && !made->label) made->label = n->label;
    to.at[i] = made;
    any = true;
  }
  if (!any) return;
  while (to.count < g->nodes.count) vec_push(scratch, &to, NULL);
  ir_substitute(g, to.at);
  ir_tidy(g);
}

/* ---- loss and metrics ---- */

static Node *scalar(Graph *g, Node *x) { return ir_reshape(g, x, 0, NULL); }

static Node *sum_of_samples(Graph *g, Node *x) {
  if (x->type.batched) return ir_sum(g, x, 0, NULL, true);
  return ir_binary(g, OP_mul, x, ir_make(g, OP_batch_size, 0, NULL, NULL));
}

/* The loss's name goes with it, from the loss of a sample to that of the batch. */
static Node *shared_loss(Graph *g, Node *loss) {
  Node *mean = ir_mean(g, scalar(g, loss), 0, NULL, true);
  if (mean == loss || !loss->label) return mean;
  mean->label = loss->label;
  loss->label = NULL;
  return mean;
}

static void share_results(Graph *g) {
  for (int i = 0; i < g->results.count; i++) {
    Result *r = &g->results.at[i];
    if (r->kind != RESULT_LOSS && r->kind != RESULT_METRIC) continue;
    ir_at(g, r->node->span);
    if (r->kind == RESULT_METRIC)
      r->node = sum_of_samples(g, scalar(g, r->node));
    else
      r->node = shared_loss(g, r->node);
  }
}

/* Inference code takes no targets. */
static void drop_targets(Graph *g, Arena *scratch) {
  int *uses = ir_use_counts(g, scratch), kept = 0;
  for (int i = 0; i < g->nodes.count; i++) {
    Node *n = g->nodes.at[i];
    if (n->op == OP_target && !uses[i]) continue;
    g->nodes.at[kept++] = n;
  }
  g->nodes.count = kept;
  for (int i = 0; i < kept; i++) g->nodes.at[i]->id = i;
}

void pass_expand(Graph *g, Arena *scratch, const PassOptions *options) {
  (void)options;
  Program p = pass_program(g);
  keep_results(g, p);
  expand_nodes(g, p == PROGRAM_TRAIN || p == PROGRAM_GRAD, false, scratch);
  ir_tidy(g);
  if (p != PROGRAM_COUNT) share_results(g);
  if (p == PROGRAM_INFER) drop_targets(g, scratch);
}
