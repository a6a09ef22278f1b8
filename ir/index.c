/* Shape ops move integers and leave them as they are, so the interpreter tells where each comes
 * from: it runs the part of the graph that moves them, on leaves whose elements are numbered. */
#include "ir/index.h"

#include "ir/interp.h"

/* ---- uses ---- */

static int64_t count_of(const Node *n) { return node_int(n, "count"); }
static int64_t rows_of(const Node *n) { return n->in[0]->type.dim[0]; }
static int64_t classes_of(const Node *n) { return node_int(n, "classes"); }

static int64_t last_of(const Node *n) {
  const Type *scores = &n->in[0]->type;
  return scores->dim[scores->rank - 1];
}

static int64_t along_dim(const Node *n) {
  const Type *scores = &n->in[0]->type;
  int64_t dim = node_int(n, "dim");
  return scores->dim[dim < 0 ? dim + scores->rank : dim];
}

static const struct {
  int64_t (*bound)(const Node *n);
  int operand;
} use[OP_COUNT] = {
    [OP_embedding] = {count_of, 0},
    [OP_take_rows] = {rows_of, 1},
    [OP_put_rows] = {count_of, 1},
    [OP_one_hot] = {classes_of, 0},
    [OP_cross_entropy] = {along_dim, 1},
    [OP_nll_loss] = {last_of, 1},
    [OP_accuracy] = {last_of, 1},
    [OP_top_k] = {last_of, 1},
    [OP_auc] = {last_of, 1},
};

Node *index_operand(const Node *n, int64_t *bound) {
  if (!use[n->op].bound) return NULL;
  *bound = use[n->op].bound(n);
  return n->in[use[n->op].operand];
}

static bool is_leaf(const Node *n) { return n->op == OP_input || n->op == OP_target; }

/* ---- where moved integers come from ---- */

enum { FOLLOWED = 1 << 24 }; /* elements of all movers together */

static void tighten(int32_t *bound, int64_t by, Elem elem) {
  int64_t most = elem == ELEM_U8 ? UINT8_MAX + 1 : INT32_MAX;
  if (by > most) by = most;
  if (!*bound || by < *bound) *bound = (int32_t)by;
}

/* What makes the indices that are no leaves. Operands come before what uses them. */
static bool *mark_movers(const Graph *g, Arena *a) {
  bool *moves = ARENA_ARRAY(a, bool, g->nodes.count + 1);
  int64_t bound;
  for (int i = g->nodes.count - 1; i >= 0; i--) {
    const Node *n = g->nodes.at[i], *index = index_operand(n, &bound);
    if (index && !is_leaf(index)) moves[index->id] = true;
    for (int k = 0; moves[i] && k < n->nin; k++)
      if (n->in[k]) moves[n->in[k]->id] = true;
  }
  return moves;
}

typedef struct {
  Node **copy;    /* of the movers, by id; NULL for other nodes */
  int64_t *first; /* the number of a leaf's first element; by id */
  int32_t *bound; /* by number */
} Follow;

/* A graph of the movers alone. What numbers its leaves' elements is no label. */
static Graph *copy_movers(const Graph *g, Arena *a, Follow *f, int64_t *elements) {
  bool *moves = mark_movers(g, a);
  Graph *all = ir_copy(g, a), *movers = ir_graph_new(a, g->sources, g->name);
  f->copy = ARENA_ARRAY(a, Node *, g->nodes.count + 1);
  *elements = 0;
  for (int i = 0; i < all->nodes.count; i++) {
    Node *n = all->nodes.at[i];
    if (!moves[i]) continue;
    f->copy[i] = n;
    n->id = movers->nodes.count;
    vec_push(a, &movers->nodes, n);
    *elements += type_elements(&n->type);
    if (is_leaf(n)) ((Attr *)node_attr(n, "classes"))->i = 0;
  }
  return movers;
}

/* Each element is its number; what bounds a whole leaf bounds each. */
static void number_leaves(const Graph *g, Follow *f, Interp *p, const IndexRange *range) {
  int64_t next = 0, count;
  for (int i = 0; i < g->nodes.count; i++) {
    if (!f->copy[i] || !is_leaf(f->copy[i])) continue;
    double *element = interp_leaf(p, f->copy[i], &count);
    f->first[i] = next;
    for (int64_t k = 0; k < count; k++) {
      f->bound[next] = range[i].all;
      element[k] = (double)next++;
    }
  }
}

static void bound_moved(const Graph *g, Follow *f, const Interp *p) {
  int64_t bound;
  for (int i = 0; i < g->nodes.count; i++) {
    const Node *index = index_operand(g->nodes.at[i], &bound);
    if (!index || is_leaf(index)) continue;
    const Tensor *from = interp_value(p, f->copy[index->id]);
    int64_t count = type_elements(&index->type);
    for (int64_t k = 0; k < count; k++)
      tighten(&f->bound[(int64_t)from->data[k]], bound, index->type.elem);
  }
}

static bool all_equal(const int32_t *x, int64_t count) {
  for (int64_t k = 1; k < count; k++)
    if (x[k] != x[0]) return false;
  return true;
}

static void collect(const Graph *g, const Follow *f, IndexRange *range) {
  for (int i = 0; i < g->nodes.count; i++) {
    if (!f->copy[i] || !is_leaf(f->copy[i])) continue;
    const int32_t *bound = f->bound + f->first[i];
    if (all_equal(bound, type_elements(&g->nodes.at[i]->type)))
      range[i].all = bound[0];
    else
      range[i] = (IndexRange){.each = bound};
  }
}

static bool follow(const Graph *g, Arena *a, Arena *scratch, IndexRange *range, OpError *e) {
  Follow f;
  int64_t elements;
  Graph *movers = copy_movers(g, scratch, &f, &elements);
  if (!elements) return true;
  if (elements > FOLLOWED)
    return op_error(e, "indices of %lld elements are too many to be moved before they are used",
                    (long long)elements);
  Interp *p = interp_new(scratch, movers, 1, false, e);
  if (!p) return false;
  f.first = ARENA_ARRAY(scratch, int64_t, g->nodes.count + 1);
  f.bound = ARENA_ARRAY(a, int32_t, elements);
  number_leaves(g, &f, p, range);
  if (!interp_run(p, e)) return false;
  bound_moved(g, &f, p);
  collect(g, &f, range);
  return true;
}

IndexRange *index_ranges(const Graph *g, Arena *a, OpError *e, Span *span) {
  IndexRange *range = ARENA_ARRAY(a, IndexRange, g->nodes.count + 1);
  int64_t bound;
  for (int i = 0; i < g->nodes.count; i++) {
    const Node *n = g->nodes.at[i], *index = index_operand(n, &bound);
    if (is_leaf(n) && node_int(n, "classes"))
      tighten(&range[i].all, node_int(n, "classes"), n->type.elem);
    if (index && is_leaf(index)) tighten(&range[index->id].all, bound, index->type.elem);
    if (index && !is_leaf(index)) *span = n->span;
  }
  Arena *scratch = arena_new();
  bool known = follow(g, a, scratch, range, e);
  arena_free(scratch);
  return known ? range : NULL;
}
