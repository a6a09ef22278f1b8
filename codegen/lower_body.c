/* Bodies: the members of a kernel, as values computed at each element of a domain. */
#include <string.h>

#include "codegen/lower.h"
#include "passes/fusible.h"

void draft_begin(Draft *b, Lower *l, const Domain *domain) {
  *b = (Draft){.l = l, .domain = *domain};
  b->value_of = ARENA_ARRAY(l->arena, int, l->graph->nodes.count + 1);
}

int draft_add(Draft *b, BodyValue v) {
  vec_push(b->l->arena, &b->values, v);
  return b->values.count - 1;
}

int draft_number(Draft *b, double x) {
  return draft_add(b, (BodyValue){.kind = BODY_CONSTANT, .number = x});
}

/* An operation that stands for no node of the graph. */
int draft_op(Draft *b, Op op, int x, int y, int z) {
  Node *n = ARENA_NEW(b->l->arena, Node);
  n->op = op;
  return draft_add(b, (BodyValue){.kind = BODY_OP, .node = n, .arg = {x, y, z}});
}

int draft_load(Draft *b, const Node *n) {
  if (b->value_of[n->id]) return b->value_of[n->id] - 1;
  double constant;
  int v =
      lower_is_constant(b->l, n, &constant)
          ? draft_number(b, constant)
          : draft_add(b, (BodyValue){.kind = BODY_LOAD, .view = lower_view(b->l, n, &b->domain)});
  b->value_of[n->id] = v + 1;
  return v;
}

void draft_put(Draft *b, int value, View view) {
  vec_push(b->l->arena, &b->stores, ((BodyStore){.value = value, .view = view}));
}

/* ---- members that are no plain elementwise op ---- */

/* The label, broadcast along the last dimension. */
static int wide_label(Draft *b, const Node *label) {
  const Memory *m = &b->l->plan->memory[label->id];
  Type wide = label->type; /* the label's shape with a last dimension of 1 */
  Memory wide_memory = *m;
  wide.dim[wide.rank++] = 1;
  wide_memory.stride[label->type.rank] = 0;
  View view = lower_memory_view(lower_storage(b->l, m->owner), lower_elem(m->owner), &wide_memory,
                                &wide, &b->domain);
  return draft_add(b, (BodyValue){.kind = BODY_LOAD, .view = view});
}

/* 1 where the label is the coordinate. */
static int one_hot(Draft *b, const Node *n) {
  int axis = 0;
  while (b->domain.dim[axis] != n->type.rank - 1) axis++;
  int index = wide_label(b, n->in[0]);
  int coordinate = draft_add(b, (BodyValue){.kind = BODY_COORD, .dim = axis});
  return draft_add(b, (BodyValue){.kind = BODY_SAME, .arg = {index, coordinate}});
}

static int iota(Draft *b, const Node *n) {
  (void)n;
  int axis = 0;
  while (b->domain.dim[axis] != 0) axis++;
  return draft_add(b, (BodyValue){.kind = BODY_COORD, .dim = axis});
}

/* Random numbers are numbered by the logical, row-major place of their element. */
static int uniform(Draft *b, const Node *n, bool elementwise) {
  View view = {.slot = lower_slot(b->l, BASE_RANDOM, 0)};
  int64_t stride[1 + LIMIT_RANK], step = 1;
  for (int d = n->type.rank - 1; d >= 0; d--) {
    bool counts = elementwise || d == 0; /* otherwise one number for the whole of dimension 0 */
    stride[1 + d] = counts ? step : 0;
    step *= counts ? n->type.dim[d] : 1;
  }
  stride[0] = step;
  for (int i = 0; i < b->domain.rank; i++) view.stride[i] = stride[1 + b->domain.dim[i]];
  return draft_add(
      b,
      (BodyValue){.kind = BODY_UNIFORM, .stream = (uint32_t)node_int(n, "stream"), .view = view});
}

static int random_mask(Draft *b, const Node *n) {
  int u = uniform(b, n, node_bool(n, "elementwise"));
  return draft_op(b, OP_less, u, draft_number(b, node_float(n, "keep")), 0);
}

static int random_uniform(Draft *b, const Node *n) {
  double lo = node_float(n, "lo"), hi = node_float(n, "hi");
  int scaled = draft_op(b, OP_mul, uniform(b, n, true), draft_number(b, hi - lo), 0);
  return draft_op(b, OP_add, scaled, draft_number(b, lo), 0);
}

typedef int MemberRule(Draft *b, const Node *n);
static MemberRule *const member_rule[OP_COUNT] = {
    [OP_one_hot] = one_hot,
    [OP_random_mask] = random_mask,
    [OP_random_uniform] = random_uniform,
    [OP_iota] = iota,
};

static int elementwise(Draft *b, const Node *n) {
  BodyValue v = {.kind = BODY_OP, .node = n};
  for (int i = 0; i < n->nin; i++) v.arg[i] = draft_load(b, n->in[i]);
  return draft_add(b, v);
}

/* A variance needs the sum of the same value in f64 from the first term on, stored or not. */
static void add_wide_sum(Draft *b, int value) {
  for (int i = 0; i < b->reduces.count; i++) {
    BodyReduce *r = &b->reduces.at[i];
    if (r->value != value || (r->kind != REDUCE_SUM && r->kind != REDUCE_WIDE)) continue;
    r->kind = REDUCE_WIDE;
    return;
  }
  vec_push(b->l->arena, &b->reduces,
           ((BodyReduce){.kind = REDUCE_WIDE, .value = value, .view.slot = -1}));
}

/* A sum joins one that a variance already needs. */
static void put_reduction(Draft *b, BodyReduce r) {
  for (int i = 0; r.kind == REDUCE_SUM && i < b->reduces.count; i++) {
    BodyReduce *other = &b->reduces.at[i];
    if (other->kind != REDUCE_WIDE || other->value != r.value || other->view.slot >= 0) continue;
    other->view = r.view;
    return;
  }
  if (r.kind == REDUCE_VAR) add_wide_sum(b, r.value);
  vec_push(b->l->arena, &b->reduces, r);
}

static void reduction(Draft *b, const Node *n) {
  static const ReduceKind kind[OP_COUNT] = {[OP_reduce_sum] = REDUCE_SUM,
                                            [OP_reduce_max] = REDUCE_MAX,
                                            [OP_reduce_min] = REDUCE_MIN,
                                            [OP_reduce_var] = REDUCE_VAR};
  const Attr *dims = node_attr(n, "dims");
  Memory own = memory_own(n);
  BodyReduce r = {.kind = kind[n->op], .value = draft_load(b, n->in[0])};
  r.view.slot = lower_storage(b->l, n);
  bool dropped[LIMIT_RANK] = {false};
  for (int i = 0; i < dims->n; i++) dropped[dims->v[i]] = true;
  for (int i = 0; i < b->domain.rank; i++) {
    int d = b->domain.dim[i], kept = 0;
    b->reduced[i] = d < 0 ? node_bool(n, "batch") && n->in[0]->type.batched : dropped[d];
    for (int k = 0; k < d; k++) kept += !dropped[k];
    if (!b->reduced[i]) r.view.stride[i] = d < 0 ? own.batch : own.stride[kept];
  }
  put_reduction(b, r);
}

void draft_members(Draft *b, const PlanGroup *g, const Node *product) {
  for (int i = 0; i < g->members.count; i++) {
    const Node *n = g->members.at[i];
    if (fusible_reduction(n->op)) {
      reduction(b, n);
      continue;
    }
    int v = n == product         ? draft_add(b, (BodyValue){.kind = BODY_RESULT})
            : member_rule[n->op] ? member_rule[n->op](b, n)
                                 : elementwise(b, n);
    b->value_of[n->id] = v + 1;
    if (b->l->plan->stored[n->id]) draft_put(b, v, lower_view(b->l, n, &b->domain));
  }
}

PointwiseSpec draft_spec(Draft *b) {
  PointwiseSpec s = {.rank = b->domain.rank,
                     .nvalues = b->values.count,
                     .nstores = b->stores.count,
                     .nreduces = b->reduces.count,
                     .value = b->values.at,
                     .store = b->stores.at,
                     .reduce = b->reduces.at};
  memcpy(s.extent, b->domain.extent, sizeof s.extent);
  memcpy(s.reduced, b->reduced, sizeof s.reduced);
  return s;
}
