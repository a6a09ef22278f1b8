#include "passes/dot.h"

#include <string.h>

#include "ir/op.h"

/* The instance of a block that a node is in. */
typedef struct {
  const char *name; /* `length` bytes of a layer's name; none outside of blocks */
  size_t length;
  int file, body; /* the block's text begins with the brace in this line */
} Place;

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

/* ---- blocks ---- */

/* The line of the outermost brace that is open at a place; 0 where the text is not at hand. */
static int body_of(const Graph *g, Span at) {
  if (!g->sources || at.file <= 0 || at.file >= g->sources->files.count) return 0;
  const Source *s = &g->sources->files.at[at.file];
  int depth = 0, line = 1, body = 0;
  char inside = 0; /* a comment or a string */
  for (size_t i = 0; i < s->length && line < at.line; i++) {
    char c = s->text[i];
    line += c == '\n';
    if (inside) {
      if (c == '\n' || (c == '"' && inside == c)) inside = 0;
    } else if (c == '#' || c == '"') {
      inside = c;
    } else if (c == '{' && depth++ == 0) {
      body = line;
    } else if (c == '}' && depth > 0) {
      depth--;
    }
  }
  return body;
}

/* Without the last part of a dotted name. */
static size_t without_last(const char *name, size_t length) {
  while (length && name[length - 1] != '.') length--;
  return length ? length - 1 : 0;
}

/* A layer's name without its own part, which is `name` or `name.number`. */
static Place layer_place(const Graph *g, const Node *n) {
  if (!n->label || op_info[n->op].kind != KIND_LAYER) return (Place){0};
  size_t all = strlen(n->label), length = without_last(n->label, all);
  bool numbered = length && strspn(n->label + length + 1, "0123456789") == all - length - 1;
  if (numbered) length = without_last(n->label, length);
  return length ? (Place){n->label, length, n->span.file, body_of(g, n->span)} : (Place){0};
}

static bool same_place(const Place *a, const Place *b) {
  return a->length == b->length && (!a->length || !memcmp(a->name, b->name, a->length));
}

/* The block around, as a layer of its own before node `end` shows it. */
static Place outer_place(const Place *place, int end, Place p) {
  p.length = without_last(p.name, p.length);
  for (int i = 0; i < end && p.length; i++)
    if (same_place(&place[i], &p)) return place[i];
  p.body = 0;
  return p;
}

/* A node without a name of its own is where its last operand is, or around that, by the text. */
static Place find_place(const Graph *g, const Place *place, const Node *n) {
  Place own = layer_place(g, n), p = {0};
  int last = -1;
  if (own.length || op_info[n->op].kind == KIND_LEAF) return own;
  for (int k = 0; k < n->nin; k++)
    if (n->in[k] && is_drawn(n->in[k]) && n->in[k]->id > last) last = n->in[k]->id;
  if (last >= 0) p = place[last];
  int body = body_of(g, n->span);
  while (p.length && (!body || p.file != n->span.file || p.body != body))
    p = outer_place(place, n->id, p);
  return p;
}

/* ---- text ---- */

static void print_cluster(const Graph *g, const Place *place, int first, bool *done, Str *out) {
  const Place *here = &place[first];
  if (here->length)
    str_printf(out, "  subgraph cluster_%d {\n    label=\"%.*s\"; style=rounded; color=grey60;\n",
               first, (int)here->length, here->name);
  for (int i = first; i < g->nodes.count; i++)
    if (!done[i] && is_drawn(g->nodes.at[i]) && same_place(here, &place[i])) {
      done[i] = true;
      print_node(g->nodes.at[i], out);
    }
  if (here->length) str_put(out, "  }\n");
}

void dot_print(const Graph *g, Str *out) {
  bool *done = ARENA_ARRAY(out->arena, bool, g->nodes.count + 1);
  Place *place = ARENA_ARRAY(out->arena, Place, g->nodes.count + 1);
  for (int i = 0; i < g->nodes.count; i++) place[i] = find_place(g, place, g->nodes.at[i]);
  str_printf(
      out, "digraph \"%s\" {\n  node [fontname=\"Helvetica\", fontsize=10]; edge [color=grey40];\n",
      g->name);
  for (int i = 0; i < g->nodes.count; i++)
    if (!done[i] && is_drawn(g->nodes.at[i])) print_cluster(g, place, i, done, out);
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
