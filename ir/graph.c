/* Graphs: results, substitution, tidying, copies. */
#include "ir/op.h"

#include <stdlib.h>
#include <string.h>

Graph *ir_graph_new(Arena *a, Sources *sources, const char *name) {
  Graph *g = ARENA_NEW(a, Graph);
  g->arena = a;
  g->sources = sources;
  g->name = name ? arena_strdup(a, name) : NULL;
  return g;
}

void ir_result(Graph *g, ResultKind kind, const char *name, Node *node, Node *target) {
  Result r = {kind, name ? arena_strdup(g->arena, name) : NULL, node, target};
  vec_push(g->arena, &g->results, r);
}

Node *ir_find_leaf(const Graph *g, Op op, const char *name) {
  for (int i = 0; i < g->nodes.count; i++) {
    Node *n = g->nodes.at[i];
    if (n->op == op && !strcmp(node_str(n, "name"), name)) return n;
  }
  return NULL;
}

static Node *follow(Node *n, Node **to) {
  while (n && to[n->id] && to[n->id] != n) n = to[n->id];
  return n;
}

/* Nodes made while `to` was filled are past its end only if it was made too short: see ir.h. */
void ir_substitute(Graph *g, Node **to) {
  for (int i = 0; i < g->nodes.count; i++)
    for (int k = 0; k < g->nodes.at[i]->nin; k++)
      g->nodes.at[i]->in[k] = follow(g->nodes.at[i]->in[k], to);
  for (int i = 0; i < g->results.count; i++) {
    Result *r = &g->results.at[i];
    r->node = follow(r->node, to);
    Node *target = follow(r->target, to);
    if (target && op_info[target->op].kind == KIND_LEAF) r->target = target;
  }
}

/* ---- tidying ---- */

static bool stays(const Node *n) {
  return n->op == OP_input || n->op == OP_target || n->op == OP_param || n->op == OP_buffer;
}

typedef struct {
  Node *node;
  int next; /* the operand to visit next */
} Visit;

/* Appends n after what it needs. `placed` is by id; the stack is as deep as the graph, hence no
 * recursion. */
static void place(Node *root, bool *placed, Visit *stack, Node **out, int *count) {
  int depth = 0;
  if (placed[root->id]) return;
  placed[root->id] = true;
  stack[depth++] = (Visit){root, 0};
  while (depth) {
    Visit *v = &stack[depth - 1];
    if (v->next == v->node->nin) {
      out[(*count)++] = v->node;
      depth--;
      continue;
    }
    Node *x = v->node->in[v->next++];
    if (!x || placed[x->id]) continue;
    placed[x->id] = true;
    stack[depth++] = (Visit){x, 0};
  }
}

/* Marks what the results need, from the last node on where the order is already topological;
 * `stack` by id. */
static void mark(Node *root, bool *live, Node **stack) {
  int depth = 0;
  if (!root || live[root->id]) return;
  live[root->id] = true;
  stack[depth++] = root;
  while (depth) {
    Node *n = stack[--depth];
    for (int i = 0; i < n->nin; i++) {
      if (!n->in[i] || live[n->in[i]->id]) continue;
      live[n->in[i]->id] = true;
      stack[depth++] = n->in[i];
    }
  }
}

void ir_tidy(Graph *g) {
  int n = g->nodes.count, count = 0;
  Arena *scratch = arena_new();
  bool *live = ARENA_ARRAY(scratch, bool, n), *placed = ARENA_ARRAY(scratch, bool, n);
  Node **stack = ARENA_ARRAY(scratch, Node *, n), **out = ARENA_ARRAY(scratch, Node *, n);
  Visit *visits = ARENA_ARRAY(scratch, Visit, n);
  for (int i = 0; i < n; i++)
    if (stays(g->nodes.at[i])) mark(g->nodes.at[i], live, stack);
  for (int i = 0; i < g->results.count; i++) {
    mark(g->results.at[i].node, live, stack);
    mark(g->results.at[i].target, live, stack);
  }
  for (int i = 0; i < n; i++)
    if (live[i]) place(g->nodes.at[i], placed, visits, out, &count);
  for (int i = 0; i < count; i++) (g->nodes.at[i] = out[i])->id = i;
  g->nodes.count = count;
  arena_free(scratch);
}

/* ---- copies ---- */

static void attr_copy(Arena *a, Attr *x) {
  if (x->s) x->s = arena_strdup(a, x->s);
  if (x->n <= 0 || !x->v) return;
  int64_t *v = ARENA_ARRAY(a, int64_t, x->n);
  memcpy(v, x->v, (size_t)x->n * sizeof *v);
  x->v = v;
}

static Attr *attrs_copy(Arena *a, const Attr *from, int count) {
  Attr *to = ARENA_ARRAY(a, Attr, count);
  if (count) memcpy(to, from, (size_t)count * sizeof *to);
  for (int i = 0; i < count; i++) attr_copy(a, &to[i]);
  return to;
}

static const char *text_copy(Arena *a, const char *s) { return s ? arena_strdup(a, s) : NULL; }

/* Fills to[n->id]; all of `to` has been made before, as an operand may stand after its use. */
static void node_copy(Arena *a, const Node *n, Node **to) {
  Node *c = to[n->id];
  *c = *n;
  c->in = ARENA_ARRAY(a, Node *, n->nin);
  for (int i = 0; i < n->nin; i++) c->in[i] = n->in[i] ? to[n->in[i]->id] : NULL;
  c->attr = attrs_copy(a, n->attr, op_signature(n->op)->nattrs);
  c->label = text_copy(a, n->label);
}

static TrainItem item_copy(Arena *a, TrainItem x, TrainKind kind) {
  if (!x.name) return x;
  int count = train_signature(kind, x.name)->nattrs;
  return (TrainItem){arena_strdup(a, x.name), attrs_copy(a, x.attr, count)};
}

static Train train_copy(Arena *a, const Train *t) {
  Train c = *t;
  c.optimizer = item_copy(a, t->optimizer, TRAIN_OPTIMIZER);
  c.schedule = item_copy(a, t->schedule, TRAIN_SCHEDULE);
  memset(&c.augment, 0, sizeof c.augment);
  memset(&c.freeze, 0, sizeof c.freeze);
  for (int i = 0; i < t->augment.count; i++)
    vec_push(a, &c.augment, item_copy(a, t->augment.at[i], TRAIN_AUGMENT));
  for (int i = 0; i < t->freeze.count; i++)
    vec_push(a, &c.freeze, arena_strdup(a, t->freeze.at[i]));
  return c;
}

Graph *ir_copy(const Graph *g, Arena *a) {
  Graph *c = ir_graph_new(a, g->sources, g->name);
  c->program = text_copy(a, g->program);
  c->at = g->at;
  c->streams = g->streams;
  Node **to = ARENA_ARRAY(a, Node *, g->nodes.count);
  for (int i = 0; i < g->nodes.count; i++) {
    to[i] = ARENA_NEW(a, Node);
    vec_push(a, &c->nodes, to[i]);
  }
  for (int i = 0; i < g->nodes.count; i++) node_copy(a, g->nodes.at[i], to);
  for (int i = 0; i < g->results.count; i++) {
    Result r = g->results.at[i];
    ir_result(c, r.kind, r.name, r.node ? to[r.node->id] : NULL,
              r.target ? to[r.target->id] : NULL);
  }
  c->train = train_copy(a, &g->train);
  return c;
}

int *ir_use_counts(const Graph *g, Arena *scratch) {
  int *uses = ARENA_ARRAY(scratch, int, g->nodes.count);
  for (int i = 0; i < g->nodes.count; i++)
    for (int k = 0; k < g->nodes.at[i]->nin; k++)
      if (g->nodes.at[i]->in[k]) uses[g->nodes.at[i]->in[k]->id]++;
  for (int i = 0; i < g->results.count; i++)
    if (g->results.at[i].node) uses[g->results.at[i].node->id]++;
  return uses;
}
