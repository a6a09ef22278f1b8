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

/* A parameter that layers share counts where it is first used. */
static int64_t parameters(const Node *n, bool *counted) {
  int64_t sum = 0;
  for (int k = 0; k < n->nin; k++) {
    const Node *p = n->in[k];
    if (!p || p->op != OP_param || counted[p->id]) continue;
    counted[p->id] = true;
    if (node_bool(p, "trainable")) sum += type_elements(&p->type);
  }
  return sum;
}

static const char *shape_text(Arena *a, const Type *t) {
  Str s = str_new(a);
  str_put(&s, "[");
  for (int i = 0; i < t->rank; i++) str_printf(&s, "%s%lld", i ? ", " : "", (long long)t->dim[i]);
  str_put(&s, "]");
  return s.text;
}

void summary_print(const Graph *g, Str *out) {
  Arena *a = out->arena;
  bool *counted = ARENA_ARRAY(a, bool, g->nodes.count + 1),
       *needed = ARENA_ARRAY(a, bool, g->nodes.count + 1);
  mark_outputs(g, needed);
  int64_t total = 0;
  str_printf(out, "%-32s %-20s %-18s %12s\n", "layer", "kind", "output", "parameters");
  for (int i = 0; i < g->nodes.count; i++) {
    const Node *n = g->nodes.at[i];
    int64_t own = op_info[n->op].kind == KIND_LEAF ? 0 : parameters(n, counted);
    total += own;
    if (!needed[i] || (!is_line(n) && !own)) continue;
    str_printf(out, "%-32s %-20s %-18s %12lld\n", n->label ? n->label : "", op_info[n->op].name,
               shape_text(a, &n->type), (long long)own);
  }
  str_printf(out, "%-32s %-20s %-18s %12lld\n", "total", "", "", (long long)total);
}
