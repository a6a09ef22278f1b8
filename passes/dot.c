#include "passes/dot.h"

#include <string.h>

#include "ir/op.h"

/* The block that a layer belongs to: its name up to the last dot; "" outside of blocks. */
static size_t block_length(const Node *n) {
  const char *dot = n->label ? strrchr(n->label, '.') : NULL;
  return dot && op_info[n->op].kind == KIND_LAYER ? (size_t)(dot - n->label) : 0;
}

static bool is_drawn(const Node *n) {
  return n->op != OP_param && n->op != OP_buffer && n->op != OP_constant;
}

static void print_node(const Node *n, Str *out) {
  const char *shape = op_info[n->op].kind == KIND_LEAF ? "ellipse" : "box";
  str_printf(out, "    n%d [shape=%s, label=\"%s", n->id, shape, op_info[n->op].name);
  if (op_info[n->op].kind == KIND_LEAF && n->op != OP_batch_size)
    str_printf(out, " %s", node_str(n, "name"));
  else if (n->label)
    str_printf(out, "\\n%s", n->label);
  str_printf(out, "\\n%s\"];\n", type_text(out->arena, &n->type));
}

static bool same_block(const Node *a, const Node *b) {
  return block_length(a) == block_length(b) &&
         (!block_length(a) || !strncmp(a->label, b->label, block_length(a)));
}

static void print_cluster(const Graph *g, int first, bool *done, Str *out) {
  const Node *lead = g->nodes.at[first];
  size_t length = block_length(lead);
  if (length)
    str_printf(out, "  subgraph cluster_%d {\n    label=\"%.*s\"; style=rounded; color=grey60;\n",
               first, (int)length, lead->label);
  for (int i = first; i < g->nodes.count; i++)
    if (!done[i] && is_drawn(g->nodes.at[i]) && same_block(lead, g->nodes.at[i])) {
      done[i] = true;
      print_node(g->nodes.at[i], out);
    }
  if (length) str_put(out, "  }\n");
}

void dot_print(const Graph *g, Str *out) {
  bool *done = ARENA_ARRAY(out->arena, bool, g->nodes.count + 1);
  str_printf(
      out, "digraph \"%s\" {\n  node [fontname=\"Helvetica\", fontsize=10]; edge [color=grey40];\n",
      g->name);
  for (int i = 0; i < g->nodes.count; i++)
    if (!done[i] && is_drawn(g->nodes.at[i])) print_cluster(g, i, done, out);
  for (int i = 0; i < g->nodes.count; i++)
    for (int k = 0; k < g->nodes.at[i]->nin; k++)
      if (g->nodes.at[i]->in[k] && is_drawn(g->nodes.at[i]->in[k]))
        str_printf(out, "  n%d -> n%d;\n", g->nodes.at[i]->in[k]->id, i);
  for (int i = 0; i < g->results.count; i++) {
    const Result *r = &g->results.at[i];
    if (r->target) continue;
    static const char *const kind[] = {
        [RESULT_OUTPUT] = "output", [RESULT_LOSS] = "loss", [RESULT_METRIC] = "metric"};
    str_printf(out, "  r%d [shape=plaintext, label=\"%s %s\"]; n%d -> r%d;\n", i, kind[r->kind],
               r->name ? r->name : "", r->node->id, i);
  }
  str_put(out, "}\n");
}
