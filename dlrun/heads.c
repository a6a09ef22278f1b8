#include "dlrun/heads.h"

#include <string.h>

#include "ir/ir.h"

/* ---- by the graph ---- */

static int32_t target_index(const dlc_model *m, const Node *label) {
  if (!label || label->op != OP_target) return -1;
  for (int32_t i = 0; i < m->target_count; i++)
    if (strcmp(m->targets[i].name, node_str(label, "name")) == 0) return i;
  return -1;
}

/* The loss (or any other use) that compares n with a label, or NULL. */
static const Node *compared(const Graph *g, const Node *n) {
  for (int i = 0; i < g->nodes.count; i++) {
    const Node *use = g->nodes.at[i];
    if ((use->op == OP_cross_entropy || use->op == OP_nll_loss) && use->in[0] == n) return use;
  }
  return NULL;
}

static int32_t target_of_size(const dlc_model *m, int64_t classes) {
  for (int32_t i = 0; i < m->target_count; i++)
    if (m->targets[i].classes == classes && m->targets[i].elements == 1) return i;
  return -1;
}

static Head head_of(const Graph *g, const dlc_model *m, const Node *n) {
  const Node *use = compared(g, n);
  int32_t likely = n->type.rank == 1 ? target_of_size(m, n->type.dim[0]) : -1;
  if (!n->type.batched || n->type.rank != 1 || n->type.dim[0] < 2) return (Head){HEAD_PLAIN, -1};
  if (use) return (Head){HEAD_LOGITS, target_index(m, use->in[1])};
  if (n->op == OP_log_softmax) return (Head){HEAD_LOGITS, likely}; /* up to a constant */
  if (n->op != OP_softmax) return (Head){HEAD_PLAIN, -1};
  use = compared(g, n->in[0]);
  return (Head){HEAD_PROBABILITIES, use ? target_index(m, use->in[1]) : likely};
}

static const Node *output_node(const Graph *g, const char *name) {
  for (int i = 0; i < g->results.count; i++) {
    const Result *r = &g->results.at[i];
    if (r->kind == RESULT_OUTPUT && strcmp(r->name, name) == 0) return r->node;
  }
  return NULL;
}

static bool has_softmax(const Graph *g, const dlc_model *m, const Node *logits) {
  for (int32_t i = 0; i < m->output_count; i++) {
    const Node *n = output_node(g, m->outputs[i].name);
    if (n && n->op == OP_softmax && n->in[0] == logits) return true;
  }
  return false;
}

static bool by_graph(const dlc_model *m, Head *out) {
  Arena *scratch = arena_new();
  Sources *sources = sources_new(scratch);
  int file = sources_add(sources, "the graph inside the network", m->ir, strlen(m->ir));
  const Graph *g = ir_parse(scratch, diags_new(scratch, sources), file);
  for (int32_t i = 0; g && i < m->output_count; i++) {
    const Node *n = output_node(g, m->outputs[i].name);
    if (n && !has_softmax(g, m, n)) out[i] = head_of(g, m, n);
  }
  arena_free(scratch);
  return g != NULL;
}

/* ---- without ---- */

/* Of the outputs that fit the first label: the one called probabilities, else the first. */
static void by_names(const dlc_model *m, Head *out) {
  int32_t target = 0, found = -1;
  while (target < m->target_count &&
         !(m->targets[target].classes > 1 && m->targets[target].elements == 1))
    target++;
  if (target == m->target_count) return;
  for (int32_t i = 0; i < m->output_count; i++) {
    const dlc_tensor *t = &m->outputs[i];
    if (t->shared || t->rank != 1 || t->elements != m->targets[target].classes) continue;
    if (found < 0 || strcmp(t->name, "probabilities") == 0) found = i;
  }
  if (found >= 0) out[found] = (Head){HEAD_GUESS, target};
}

const Head *heads_find(Arena *a, const dlc_model *m) {
  Head *out = ARENA_ARRAY(a, Head, m->output_count + 1);
  for (int32_t i = 0; i < m->output_count; i++) out[i].target = -1;
  if (!m->ir || !by_graph(m, out)) by_names(m, out);
  return out;
}
