#include "passes/demand.h"

/* Depth first from the results, with a stack of its own: graphs are deeper than the machine's. */
typedef struct {
  Node *node;
  int next; /* operand to look at */
} Visit;

typedef struct {
  Arena *scratch;
  bool *seen;
  Node **order;
  int count;
  VEC(Visit) stack;
} Walk;

static void enter(Walk *w, Node *n) {
  if (w->seen[n->id]) return;
  w->seen[n->id] = true;
  vec_push(w->scratch, &w->stack, ((Visit){n, 0}));
}

static void walk_from(Walk *w, Node *root) {
  enter(w, root);
  while (w->stack.count) {
    Visit *v = &w->stack.at[w->stack.count - 1];
    if (v->next < v->node->nin) {
      Node *operand = v->node->in[v->next++];
      if (operand) enter(w, operand);
      continue;
    }
    w->order[w->count++] = v->node;
    w->stack.count--;
  }
}

/* In the order of the walk. The way back to an input passes by all parameters: asked for first, it
 * would leave their gradients, and all that these read, to the end. */
typedef enum { TURN_FORWARD, TURN_PARAMETERS, TURN_INPUTS, TURNS } Turn;

static Turn turn_of(const Result *r) {
  return !r->target ? TURN_FORWARD : r->target->op == OP_input ? TURN_INPUTS : TURN_PARAMETERS;
}

static void walk_results(Walk *w, const Graph *g, Turn turn) {
  for (int k = 0; k < g->results.count; k++) {
    const Result *r = &g->results.at[turn == TURN_FORWARD ? k : g->results.count - 1 - k];
    if (turn_of(r) == turn) walk_from(w, r->node);
  }
}

void demand_order(Graph *g, Arena *scratch) {
  Walk w = {.scratch = scratch};
  w.seen = ARENA_ARRAY(scratch, bool, g->nodes.count + 1);
  w.order = ARENA_ARRAY(scratch, Node *, g->nodes.count + 1);
  for (int i = 0; i < g->nodes.count; i++)
    if (op_info[g->nodes.at[i]->op].kind == KIND_LEAF) walk_from(&w, g->nodes.at[i]);
  for (int turn = 0; turn < TURNS; turn++) walk_results(&w, g, (Turn)turn);
  g->nodes.count = w.count;
  for (int i = 0; i < w.count; i++) {
    g->nodes.at[i] = w.order[i];
    w.order[i]->id = i;
  }
}
