#include "passes/summary.h"

#include <string.h>

#include "ir/op.h"

/* Layers and named functions are lines; arithmetic between them is not. */
static bool is_line(const Node *n) {
  OpKind k = op_info[n->op].kind;
  if (k == KIND_LEAF || n->op == OP_grad || !strcmp(op_info[n->op].section, "loss")) return false;
  return n->op == OP_identity ||
         (strcmp(op_info[n->op].section, "elementwise") && !op_info[n->op].internal);
}

/* What only the loss and the metrics need is no layer. */
static void mark_outputs(const Graph *g, bool *needed) {
  bool any = false;
  for (int i = 0; i < g->results.count; i++)
    if (g->results.at[i].kind == RESULT_OUTPUT) any = needed[g->results.at[i].node->id] = true;
  for (int i = g->nodes.count - 1; i >= 0; i--) {
    needed[i] |= !any;
    for (int k = 0; needed[i] && k < g->nodes.at[i]->nin; k++)
      if (g->nodes.at[i]->in[k]) needed[g->nodes.at[i]->in[k]->id] = true;
  }
}

static void add_elements(SummaryRow *r, const Node *param, bool *counted) {
  if (counted[param->id]) return;
  counted[param->id] = true;
  *(node_bool(param, "trainable") ? &r->trainable : &r->frozen) += type_elements(&param->type);
}

static bool *used_nodes(const Graph *g, Arena *a) {
  bool *used = ARENA_ARRAY(a, bool, g->nodes.count + 1);
  for (int i = 0; i < g->nodes.count; i++)
    for (int k = 0; k < g->nodes.at[i]->nin; k++)
      if (g->nodes.at[i]->in[k]) used[g->nodes.at[i]->in[k]->id] = true;
  return used;
}

Summary summary_of(const Graph *g, Arena *a) {
  Summary s = {.trainable = 0};
  bool *counted = ARENA_ARRAY(a, bool, g->nodes.count + 1),
       *needed = ARENA_ARRAY(a, bool, g->nodes.count + 1), *used = used_nodes(g, a);
  mark_outputs(g, needed);
  for (int i = 0; i < g->nodes.count; i++) {
    const Node *n = g->nodes.at[i];
    SummaryRow row = {.node = n, .name = n->label ? n->label : ""};
    for (int k = 0; k < n->nin; k++)
      if (n->in[k] && n->in[k]->op == OP_param) add_elements(&row, n->in[k], counted);
    if (n->op == OP_param && !used[i]) {
      row.name = node_str(n, "name");
      add_elements(&row, n, counted);
    }
    s.trainable += row.trainable;
    s.frozen += row.frozen;
    if (row.trainable || row.frozen || (needed[i] && is_line(n))) vec_push(a, &s.rows, row);
  }
  return s;
}

static const char *shape_text(Arena *a, const Type *t) {
  Str s = str_new(a);
  str_put(&s, "[");
  for (int i = 0; i < t->rank; i++) str_printf(&s, "%s%lld", i ? ", " : "", (long long)t->dim[i]);
  str_put(&s, "]");
  return s.text;
}

void summary_print(const Graph *g, Str *out) {
  static const char row[] = "%-32s %-20s %-18s %12lld\n";
  Arena *a = out->arena;
  Summary s = summary_of(g, a);
  str_printf(out, "%-32s %-20s %-18s %12s\n", "layer", "kind", "output", "parameters");
  for (int i = 0; i < s.rows.count; i++) {
    const SummaryRow *r = &s.rows.at[i];
    str_printf(out, row, r->name, op_info[r->node->op].name, shape_text(a, &r->node->type),
               (long long)r->trainable);
  }
  str_printf(out, row, "total", "", "", (long long)s.trainable);
  if (s.frozen) str_printf(out, row, "frozen", "", "", (long long)s.frozen);
}
