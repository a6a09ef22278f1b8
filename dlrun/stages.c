#include "dlrun/stages.h"

#include <string.h>

#include "base/glob.h"
#include "ir/op.h"

static bool is_map(const Node *n) {
  return n->type.batched && n->type.rank == 3 && n->op != OP_target;
}

static bool has_parameters(const Node *n) {
  for (int i = 0; i < n->nin; i++)
    if (n->in[i] && n->in[i]->op == OP_param) return true;
  return false;
}

static bool same_size(const Node *a, const Node *b) {
  return a->type.dim[1] == b->type.dim[1] && a->type.dim[2] == b->type.dim[2];
}

static bool *needed_nodes(const Graph *g, Arena *a) {
  bool *needed = ARENA_ARRAY(a, bool, g->nodes.count + 1);
  for (int i = 0; i < g->results.count; i++)
    if (g->results.at[i].kind == RESULT_OUTPUT) needed[g->results.at[i].node->id] = true;
  for (int i = g->nodes.count - 1; i >= 0; i--)
    for (int k = 0; needed[i] && k < g->nodes.at[i]->nin; k++)
      if (g->nodes.at[i]->in[k]) needed[g->nodes.at[i]->in[k]->id] = true;
  return needed;
}

/* A layer goes by its label; another op by the layer that its first operands lead back to. */
static const char *name_of(Arena *a, const Node *n) {
  if (n->op == OP_input) return node_str(n, "name");
  const Node *layer = n;
  while (layer && !(has_parameters(layer) && layer->label))
    layer = layer->nin ? layer->in[0] : NULL;
  if (layer == n) return n->label;
  const char *op = op_info[n->op].name;
  if (layer) return arena_printf(a, "%s %s", layer->label, op);
  return n->label ? n->label : op;
}

static void add(Stages *s, Arena *a, const Node *n) {
  vec_push(a, &s->list, ((Stage){n, name_of(a, n)}));
}

static void add_fitting(Stages *s, Arena *a, const Node *n, const TextList *patterns) {
  for (int i = 0; n->label && i < patterns->count; i++)
    if (glob_fits(patterns->at[i], n->label)) {
      add(s, a, n);
      return;
    }
}

/* `last` ends a run of maps of one size. */
static void end_run(Stages *s, Arena *a, const Node *last, bool from_input, bool parameters) {
  if (last && last->op != OP_input && (parameters || !from_input)) add(s, a, last);
}

Stages stages_find(Arena *a, const Graph *g, const TextList *patterns) {
  Stages s = {0};
  bool *needed = needed_nodes(g, a), from_input = false, parameters = false;
  const Node *last = NULL;
  for (int i = 0; i < g->nodes.count; i++) {
    const Node *n = g->nodes.at[i];
    if (!needed[i] || !is_map(n)) continue;
    if (patterns->count) {
      add_fitting(&s, a, n, patterns);
      continue;
    }
    if (!last || !same_size(last, n)) {
      end_run(&s, a, last, from_input, parameters);
      from_input = parameters = false;
    }
    if (n->op == OP_input) add(&s, a, n);
    from_input |= n->op == OP_input;
    parameters |= has_parameters(n);
    last = n;
  }
  end_run(&s, a, last, from_input, parameters);
  return s;
}
