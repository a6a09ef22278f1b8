/* The invariants of a graph, for debug builds, --verify-each and graphs read from text:
 *   - ids are places; operands stand before their uses and belong to the graph;
 *   - operands and attributes are those of the op's signature; the type is what the op infers;
 *   - inputs, targets, params and buffers have names, each once;
 *   - an order is a permutation; a group is not negative;
 *   - outputs are named; a loss is an f32 scalar, shared once expanded; a metric is an f32 scalar;
 *     a gradient has its target's type; an assign too, and a target that keeps state. */
#include "ir/text.h"

#include <stdlib.h>
#include <string.h>

static const char *check_order(const Node *n, Arena *a) {
  unsigned seen = 0;
  if (n->group < 0) return arena_printf(a, "%%%d: group %d", n->id, n->group);
  if (n->offset < -1) return arena_printf(a, "%%%d: offset %lld", n->id, (long long)n->offset);
  if (!n->ordered) return NULL;
  for (int i = 0; i < n->type.rank; i++)
    if (n->order[i] < LIMIT_RANK) seen |= 1u << n->order[i];
  if (seen == (1u << n->type.rank) - 1) return NULL;
  return arena_printf(a, "%%%d: its order is not a permutation", n->id);
}

static const char *check_operands(const Graph *g, const Node *n, Arena *a) {
  const Signature *s = op_signature(n->op);
  bool variadic = s->noperands && s->operand[0].variadic;
  if (variadic ? n->nin < 1 : n->nin != s->noperands)
    return arena_printf(a, "%%%d: %s has %d operands", n->id, op_info[n->op].name, n->nin);
  for (int i = 0; i < n->nin; i++) {
    const Node *x = n->in[i];
    if (!x && s->operand[variadic ? 0 : i].optional) continue;
    if (!x) return arena_printf(a, "%%%d: operand %d is missing", n->id, i);
    if (x->id < 0 || x->id >= n->id || g->nodes.at[x->id] != x)
      return arena_printf(a, "%%%d: operand %d does not stand before it", n->id, i);
  }
  return NULL;
}

static bool has_value(const Attr *x) {
  if (x->kind == ATTR_STR || x->kind == ATTR_WORDS) return x->s != NULL;
  return x->n <= 0 || x->v;
}

static const char *check_attrs(const Node *n, Arena *a) {
  const Signature *s = op_signature(n->op);
  for (int i = 0; i < s->nattrs; i++)
    if (!n->attr || n->attr[i].kind != s->attr[i].kind || !has_value(&n->attr[i]))
      return arena_printf(a, "%%%d: attribute %s is not complete", n->id, s->attr[i].name);
  return NULL;
}

static const char *check_type(const Node *n, Arena *a) {
  Type t = {0};
  OpError e = {.arena = a};
  if (!node_infer(n, &t, &e)) return arena_printf(a, "%%%d: %s", n->id, e.text);
  if (type_equal(&t, &n->type)) return NULL;
  return arena_printf(a, "%%%d: its type is %s, but %s gives %s", n->id, type_text(a, &n->type),
                      op_info[n->op].name, type_text(a, &t));
}

static const char *check_node(const Graph *g, int place, Arena *a) {
  const Node *n = g->nodes.at[place];
  if (n->id != place) return arena_printf(a, "node %d has the id %d", place, n->id);
  if ((unsigned)n->op >= OP_COUNT) return arena_printf(a, "%%%d: op %d", n->id, (int)n->op);
  const char *wrong = check_operands(g, n, a);
  if (!wrong) wrong = check_attrs(n, a);
  if (!wrong) wrong = check_type(n, a);
  return wrong ? wrong : check_order(n, a);
}

/* ---- names ---- */

static bool keeps_state(const Node *n) { return n->op == OP_param || n->op == OP_buffer; }
static bool is_named(const Node *n) {
  return keeps_state(n) || n->op == OP_input || n->op == OP_target;
}

static int by_name(const void *x, const void *y) {
  const Node *a = *(const Node *const *)x, *b = *(const Node *const *)y;
  return strcmp(node_str(a, "name"), node_str(b, "name"));
}

static const char *check_names(const Graph *g, Arena *a) {
  VEC(const Node *) named = {0};
  for (int i = 0; i < g->nodes.count; i++)
    if (is_named(g->nodes.at[i])) vec_push(a, &named, g->nodes.at[i]);
  if (named.count) qsort(named.at, (size_t)named.count, sizeof *named.at, by_name);
  for (int i = 1; i < named.count; i++)
    if (!by_name(&named.at[i - 1], &named.at[i]))
      return arena_printf(a, "%%%d: there are two leaves %s", named.at[i]->id,
                          node_str(named.at[i], "name"));
  return NULL;
}

/* ---- results ---- */

static bool is_scalar(const Type *t) { return t->elem == ELEM_F32 && t->rank == 0; }

static const char *result_fault(const Graph *g, const Result *r) {
  bool of = r->kind == RESULT_GRAD || r->kind == RESULT_ASSIGN;
  if (of != (r->target != NULL)) return of ? "has no target" : "has a target";
  if (r->kind == RESULT_OUTPUT && !r->name) return "has no name";
  if (r->kind == RESULT_LOSS && !is_scalar(&r->node->type)) return "is not a scalar";
  if (r->kind == RESULT_METRIC && !is_scalar(&r->node->type)) return "is not a scalar";
  if (r->kind == RESULT_LOSS && g->program && r->node->type.batched) return "is per sample";
  if (!of) return NULL;
  if (r->kind == RESULT_GRAD && !type_equal(&r->node->type, &r->target->type))
    return "is not of its target's type";
  if (r->kind == RESULT_GRAD) return is_named(r->target) ? NULL : "is not of a named leaf";
  if (!keeps_state(r->target)) return "is not to a param or buffer";
  return type_equal(&r->node->type, &r->target->type) ? NULL : "is not of its target's type";
}

static bool belongs(const Graph *g, const Node *n) {
  return !n || (n->id >= 0 && n->id < g->nodes.count && g->nodes.at[n->id] == n);
}

static const char *check_result(const Graph *g, const Result *r, Arena *a) {
  const char *name = r->name ? r->name : "";
  bool fine = r->node && belongs(g, r->node) && belongs(g, r->target);
  const char *fault = fine ? result_fault(g, r) : "is not in the graph";
  return fault ? arena_printf(a, "result %s %s %s", text_result[r->kind], name, fault) : NULL;
}

const char *ir_verify(const Graph *g, Arena *scratch) {
  const char *wrong = NULL;
  for (int i = 0; !wrong && i < g->nodes.count; i++) wrong = check_node(g, i, scratch);
  if (!wrong) wrong = check_names(g, scratch);
  for (int i = 0; !wrong && i < g->results.count; i++)
    wrong = check_result(g, &g->results.at[i], scratch);
  return wrong;
}
