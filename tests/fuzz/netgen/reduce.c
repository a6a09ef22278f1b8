/* Greedy: edits that make the network smaller are kept while it fails in the same way. Every
 * candidate is built anew through ir_try, so what an edit makes invalid is never tried. */
#include <string.h>
#include <time.h>

#include "netgen.h"

enum { SECONDS = 90 };

/* One change. Fields that are -1 do nothing. */
typedef struct {
  int drop_result;
  bool drop_train;
  int node, operand;   /* the node becomes its operand; operand -1: a leaf */
  int attr_node, attr; /* gets its default */
  int64_t from, to;    /* a size, everywhere */
} Edit;

typedef struct {
  Arena *arena;
  const Graph *old;
  const Edit *edit;
  Graph *graph;
  Node **map;
  int names;
} Rebuild;

static const Edit nothing = {-1, false, -1, -1, -1, -1, -1, -1};

/* ---- building ---- */

static bool *needed(Arena *a, const Graph *g, const Edit *e) {
  bool *need = ARENA_ARRAY(a, bool, g->nodes.count + 1);
  for (int i = 0; i < g->results.count; i++)
    if (i != e->drop_result) need[g->results.at[i].node->id] = true;
  for (int i = g->nodes.count - 1; i >= 0; i--) {
    const Node *n = g->nodes.at[i];
    for (int k = 0; need[i] && k < n->nin; k++)
      if (n->in[k] && (i != e->node || k == e->operand)) need[n->in[k]->id] = true;
  }
  return need;
}

static bool is_size(const SigAttr *s) {
  return !strcmp(s->name, "shape") || !strcmp(s->name, "out") || !strcmp(s->name, "count") ||
         !strcmp(s->name, "width") || !strcmp(s->name, "classes") || !strcmp(s->name, "size");
}

static Attr edited(Rebuild *r, const SigAttr *s, Attr a) {
  if (!is_size(s) || r->edit->from < 0) return a;
  if (a.kind == ATTR_INT && a.i == r->edit->from) a.i = r->edit->to;
  if (a.n <= 0) return a;
  int64_t *v = ARENA_ARRAY(r->arena, int64_t, a.n);
  for (int i = 0; i < a.n; i++) v[i] = a.v[i] == r->edit->from ? r->edit->to : a.v[i];
  a.v = v;
  return a;
}

static Node *new_leaf(Rebuild *r, const Type *t) {
  static int count;
  const char *name = arena_printf(r->arena, "cut%d", ++count);
  static const char *const words[] = {"f32", "u8", "i32"};
  Attr data[] = {attr_str(name), attr_int(0), attr_ints(t->rank, t->dim),
                 attr_words(words[t->elem])};
  Attr stored[] = {attr_str(name), attr_ints(t->rank, t->dim),
                   attr_init((Init){INIT_NORMAL, 0, 0.5}), attr_bool(true)};
  return ir_make(r->graph, t->batched ? OP_input : OP_param, 0, NULL, t->batched ? data : stored);
}

static Node *copy_node(Rebuild *r, const Node *n) {
  const Signature *s = op_signature(n->op);
  Node **in = ARENA_ARRAY(r->arena, Node *, n->nin + 1);
  Attr attr[SIG_ATTRS];
  OpError e = {.arena = r->arena};
  for (int i = 0; i < n->nin; i++) in[i] = n->in[i] ? r->map[n->in[i]->id] : NULL;
  for (int i = 0; i < s->nattrs; i++) {
    bool reset = n->id == r->edit->attr_node && i == r->edit->attr;
    attr[i] = reset ? s->attr[i].copies >= 0 ? attr[s->attr[i].copies] : s->attr[i].value
                    : edited(r, &s->attr[i], n->attr[i]);
  }
  Node *made = ir_try(r->graph, n->op, n->nin, in, attr, (Span){0}, &e);
  if (made) made->label = n->label;
  return made;
}

static Graph *rebuild(Arena *a, const Graph *old, const Edit *edit) {
  Rebuild r = {
      a, old, edit, ir_graph_new(a, NULL, old->name), ARENA_ARRAY(a, Node *, old->nodes.count + 1),
      0};
  bool *need = needed(a, old, edit);
  for (int i = 0; i < old->nodes.count; i++) {
    const Node *n = old->nodes.at[i];
    if (!need[i]) continue;
    if (i != edit->node)
      r.map[i] = copy_node(&r, n);
    else
      r.map[i] = edit->operand < 0 ? new_leaf(&r, &n->type) : r.map[n->in[edit->operand]->id];
    if (!r.map[i]) return NULL;
  }
  for (int i = 0; i < old->results.count; i++) {
    const Result *x = &old->results.at[i];
    if (i != edit->drop_result && x->kind == RESULT_METRIC && r.map[x->node->id]->op != x->node->op)
      return NULL;
    if (i != edit->drop_result) ir_result(r.graph, x->kind, x->name, r.map[x->node->id], NULL);
  }
  if (!edit->drop_train) r.graph->train = old->train;
  return ir_verify(r.graph, a) ? NULL : r.graph;
}

/* ---- trying ---- */

typedef struct {
  Arena *arena;
  const Graph *best;
  bool language;
  uint64_t seed;
  const Verdict *verdict;
  time_t end;
} Reduce;

/* The part of a message that says what kind of failure it is; numbers and names come later. */
static const char *kind_of(const Verdict *v) {
  static const char *const kinds[] = {"compiled ",       "internal fault", "other bits",
                                      "printed, parsed", "parsed is not",  "derivative (",
                                      "error: "};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    const char *at = strstr(v->message, kinds[i]);
    if (at) return strcmp(kinds[i], "error: ") ? kinds[i] : at;
  }
  return "";
}

static bool same_kind(const Verdict *a, const Verdict *b) {
  enum { TELLING = 16 };
  return a->code == b->code && !strncmp(kind_of(a), kind_of(b), TELLING);
}

static const char *graph_text(Arena *a, const Graph *g, bool language, uint64_t seed) {
  if (language) return netgen_source(a, g, seed);
  Str s = str_new(a);
  ir_print(g, &s);
  return s.text;
}

static bool fails_alike(Reduce *r, const Graph *g) {
  Verdict v = netgen_try(graph_text(r->arena, g, r->language, r->seed), r->seed, false);
  return v.failed && same_kind(&v, r->verdict);
}

static bool attempt(Reduce *r, Edit e) {
  if (time(NULL) > r->end) return false;
  Graph *g = rebuild(r->arena, r->best, &e);
  if (!g || !fails_alike(r, g)) return false;
  r->best = g;
  return true;
}

static bool reduce_results(Reduce *r) {
  bool better = false;
  for (int i = r->best->results.count - 1; i >= 0 && r->best->results.count > 1; i--) {
    Edit e = nothing;
    e.drop_result = i;
    better |= attempt(r, e);
  }
  Edit e = nothing;
  e.drop_train = true;
  return (r->best->train.present && attempt(r, e)) || better;
}

static bool reduce_nodes(Reduce *r) {
  bool better = false;
  for (int i = r->best->nodes.count - 1; i >= 0; i--) {
    if (i >= r->best->nodes.count || op_info[r->best->nodes.at[i]->op].kind == KIND_LEAF) continue;
    Edit e = nothing;
    e.node = i;
    bool done = attempt(r, e);
    for (int k = 0; !done && k < r->best->nodes.at[i]->nin; k++) {
      e.operand = k;
      done = r->best->nodes.at[i]->in[k] && attempt(r, e);
    }
    better |= done;
  }
  return better;
}

static bool reduce_attrs(Reduce *r) {
  bool better = false;
  for (int i = 0; i < r->best->nodes.count; i++) {
    const Signature *s = op_signature(r->best->nodes.at[i]->op);
    for (int k = 0; k < s->nattrs; k++) {
      const Attr *now = &r->best->nodes.at[i]->attr[k];
      const Attr *plain = s->attr[k].copies >= 0 ? &r->best->nodes.at[i]->attr[s->attr[k].copies]
                                                 : &s->attr[k].value;
      Edit e = nothing;
      e.attr_node = i, e.attr = k;
      bool same = now->i == plain->i && now->f == plain->f && now->n == plain->n &&
                  (now->n <= 0 || !memcmp(now->v, plain->v, (size_t)now->n * sizeof *now->v));
      if (!s->attr[k].required && !same) better |= attempt(r, e);
    }
  }
  return better;
}

static bool has_size(const Graph *g, int64_t size) {
  for (int i = 0; i < g->nodes.count; i++)
    for (int d = 0; d < g->nodes.at[i]->type.rank; d++)
      if (g->nodes.at[i]->type.dim[d] == size) return true;
  return false;
}

static bool reduce_sizes(Reduce *r) {
  bool better = false;
  for (int64_t size = 800; size > 1; size--) {
    const int64_t smaller[] = {1, 2, size / 2, size - 1};
    bool done = !has_size(r->best, size);
    for (int k = 0; !done && k < 4; k++) {
      Edit e = nothing;
      e.from = size, e.to = smaller[k];
      if (smaller[k] < size) better |= done = attempt(r, e);
    }
  }
  return better;
}

const char *netgen_reduce(Arena *a, const Graph *g, bool language, uint64_t seed,
                          const Verdict *v) {
  Reduce r = {a, g, false, seed, v, time(NULL) + SECONDS};
  if (!fails_alike(&r, g)) {
    r.language = true;
    if (!language || !fails_alike(&r, g)) return NULL;
  }
  for (bool again = true; again && time(NULL) < r.end;) {
    again = reduce_results(&r);
    again |= reduce_nodes(&r);
    again |= reduce_sizes(&r);
    again |= reduce_attrs(&r);
  }
  return graph_text(a, r.best, r.language, seed);
}
