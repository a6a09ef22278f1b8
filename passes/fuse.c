/* fuse: nodes into kernels.
 *
 * A kernel (group) is one of
 *   - a sweep: elementwise nodes over one domain, any number of results, with reductions at its
 * end;
 *   - a product or convolution with the elementwise nodes that follow it as its epilogue, and sums
 * over a convolution's pixels;
 *   - any other primitive alone.
 * Walking the nodes in the order of demand, a node joins the group of an operand when the group
 * computes the same domain in the same memory order and nothing it needs from outside waits for the
 * group itself; groups that meet in a node become one. Views belong to no group.
 *
 * Needs: final orders (layout). Keeps: all values; nodes are added where a kernel computes again
 * what another does (fuse_repeat.c). Sets: group, from 1, in no particular order (plan sorts them).
 * At -O0 every node is a group of its own. */
#include <string.h>

#include "ir/op.h"
#include "passes/demand.h"
#include "passes/fuse_repeat.h"
#include "passes/fusible.h"
#include "passes/memory.h"
#include "passes/pass.h"

enum { EPILOGUE_RANK = 3, SEARCH_LIMIT = 4096 };

typedef struct {
  VEC(Node *) members;
  const Node *domain; /* a node whose type and order are the loop's; NULL: takes no more */
  const Node *reduce; /* a reduction of the group, or NULL */
  bool product;       /* its first member is a product or a convolution */
  int reads;          /* operands from outside, each as often as it is read */
  int reduces;        /* how many reductions */
  int min_id;
  int reach; /* no node of it, and of all groups that it waits for, has a higher id */
} Group;

typedef struct {
  Graph *graph;
  Arena *scratch;
  Memory *memory;
  const PassOptions *options;
  VEC(Group *) groups; /* groups.at[0] is a place holder */
  int *stamp;          /* by node id: last dependency search that met it */
  int *group_stamp;    /* by group */
  int search, visits;
  VEC(const Node *) stack; /* of the search */
  bool *stored;            /* by node id: another kernel reads it as it is, so it lies in memory */
  int *user_at; /* by node id: where its users begin in `user`; they end where the next one's begin
                 */
  Node **user;
  VEC(int) raised; /* groups whose users must still hear of their reach */
} Fuse;

/* ---- does something wait for group `target`? ---- */

static void begin_search(Fuse *f) {
  f->search++;
  f->visits = 0;
  f->stack.count = 0;
}

static void look_at_operands(Fuse *f, const Node *n) {
  for (int i = 0; i < n->nin; i++)
    if (n->in[i]) vec_push(f->scratch, &f->stack, n->in[i]);
}

static bool seen_before(int *stamp, int search) {
  bool seen = *stamp == search;
  *stamp = search;
  return seen;
}

/* Does one of the nodes on the stack need the group? A group runs as a whole, so a member waits for
 * all that any member needs. A search that grows too long counts as yes: that costs a fusion, never
 * an answer. */
static bool finds(Fuse *f, int target) {
  int earliest = f->groups.at[target]->min_id;
  while (f->stack.count) {
    const Node *n = f->stack.at[--f->stack.count];
    if (n->group == target || f->visits++ > SEARCH_LIMIT) return true;
    if (seen_before(&f->stamp[n->id], f->search)) continue;
    if (!n->group) {
      look_at_operands(f, n);
      continue;
    }
    const Group *g = f->groups.at[n->group];
    if (g->reach < earliest || seen_before(&f->group_stamp[n->group], f->search)) continue;
    for (int i = 0; i < g->members.count; i++) look_at_operands(f, g->members.at[i]);
  }
  return false;
}

/* Is x there when a member of `target` computes the same element? A reduction is, only after the
 * whole group. */
static bool is_at_hand(const Node *x, int target) {
  return x->group == target && !fusible_reduction(x->op);
}

/* May n run as part of group `target`: nothing else that it needs comes after the group? */
static bool order_allows(Fuse *f, const Node *n, int target) {
  begin_search(f);
  for (int i = 0; i < n->nin; i++)
    if (n->in[i] && !is_at_hand(n->in[i], target)) vec_push(f->scratch, &f->stack, n->in[i]);
  return !finds(f, target);
}

/* ---- how far a group reaches ---- */

static void list_users(Fuse *f) {
  const Graph *g = f->graph;
  f->user_at = ARENA_ARRAY(f->scratch, int, g->nodes.count + 2);
  int *at = f->user_at + 1; /* counted one place higher, and filled up to the next one's begin */
  for (int i = 0; i < g->nodes.count; i++)
    for (int k = 0; k < g->nodes.at[i]->nin; k++)
      if (g->nodes.at[i]->in[k]) at[g->nodes.at[i]->in[k]->id + 1]++;
  for (int i = 1; i <= g->nodes.count; i++) at[i] += at[i - 1];
  f->user = ARENA_ARRAY(f->scratch, Node *, at[g->nodes.count] + 1);
  for (int i = 0; i < g->nodes.count; i++)
    for (int k = 0; k < g->nodes.at[i]->nin; k++)
      if (g->nodes.at[i]->in[k]) f->user[at[g->nodes.at[i]->in[k]->id]++] = g->nodes.at[i];
}

/* Of what stands in no group: a view, a leaf. */
static int reach_of(const Fuse *f, const Node *n) {
  while (!n->group && n->nin && n->in[0]) n = n->in[0];
  return n->group ? f->groups.at[n->group]->reach : n->id;
}

static void tell_users(Fuse *f, const Node *n, int reach) {
  for (int i = f->user_at[n->id]; i < f->user_at[n->id + 1]; i++) {
    const Node *u = f->user[i];
    if (!u->group) {
      if (memory_is_view(&f->memory[u->id], u)) tell_users(f, u, reach);
    } else if (f->groups.at[u->group]->reach < reach) {
      f->groups.at[u->group]->reach = reach;
      vec_push(f->scratch, &f->raised, u->group);
    }
  }
}

/* n is new in the group: the group reaches what n needs, and all that wait for the group reach that
 * too. */
static void extend_reach(Fuse *f, const Node *n, Group *g) {
  int before = g->reach;
  if (n->id > g->reach) g->reach = n->id;
  for (int i = 0; i < n->nin; i++)
    if (n->in[i] && reach_of(f, n->in[i]) > g->reach) g->reach = reach_of(f, n->in[i]);
  tell_users(f, n, g->reach);
  if (g->reach > before) vec_push(f->scratch, &f->raised, n->group);
  while (f->raised.count) {
    const Group *r = f->groups.at[f->raised.at[--f->raised.count]];
    for (int i = 0; i < r->members.count; i++) tell_users(f, r->members.at[i], r->reach);
  }
}

/* ---- groups ---- */

static void join(Fuse *f, Node *n, int group) {
  Group *g = f->groups.at[group];
  if (!g->members.count) g->min_id = n->id;
  vec_push(f->scratch, &g->members, n);
  if (n->id < g->min_id) g->min_id = n->id;
  g->reduces += fusible_reduction(n->op);
  n->group = group;
  extend_reach(f, n, g);
  for (int i = 0; i < n->nin; i++) {
    if (!n->in[i] || n->in[i]->group == group) continue;
    g->reads++;
    f->stored[n->in[i]->id] = true;
  }
}

static bool has_room(const Group *g, int members, int reads) {
  return g->members.count + members <= FUSIBLE_MEMBERS && g->reads + reads <= FUSIBLE_READS;
}

static Group *open_group(Fuse *f, Node *n) {
  Group *g = ARENA_NEW(f->scratch, Group);
  vec_push(f->scratch, &f->groups, g);
  join(f, n, f->groups.count - 1);
  return g;
}

static bool same_domain(const Node *a, const Node *b) {
  return a->type.batched == b->type.batched && a->type.rank == b->type.rank &&
         !memcmp(a->type.dim, b->type.dim, sizeof a->type.dim[0] * (size_t)a->type.rank) &&
         memory_same_order(a, b);
}

static bool same_reduction(const Node *a, const Node *b) {
  const Attr *x = node_attr(a, "dims"), *y = node_attr(b, "dims");
  return node_bool(a, "batch") == node_bool(b, "batch") && x->n == y->n &&
         (!x->n || !memcmp(x->v, y->v, sizeof *x->v * (size_t)x->n));
}

/* All that n would take from the group can be read from memory later on: computing n there gains
 * nothing, and would keep one more value alive until it is wanted. */
static bool gains_nothing(const Fuse *f, const Node *n, int group) {
  for (int i = 0; i < n->nin; i++)
    if (n->in[i] && n->in[i]->group == group && !f->stored[n->in[i]->id]) return false;
  return true;
}

/* Why n cannot join the group of its operand, or NULL when it can. */
static const char *why_not_join(Fuse *f, const Node *n, const Node *operand) {
  if (!operand->group) return "its operand is a view or comes from outside";
  Group *g = f->groups.at[operand->group];
  if (!g->domain) return "its operand's kernel takes no epilogue";
  if (!has_room(g, 1, n->nin)) return "the kernel is full";
  if (!same_domain(g->domain, n)) return "it has another shape or memory order";
  if (g->product && op_info[n->op].kind != KIND_ELEMENTWISE)
    return "an epilogue knows no coordinates";
  if (g->product && n->type.rank > EPILOGUE_RANK) return "its rank is too high for an epilogue";
  if (gains_nothing(f, n, operand->group)) return "its operand lies in memory already";
  if (!order_allows(f, n, operand->group)) return "it also needs a value that waits for the kernel";
  return NULL;
}

/* ---- groups that meet ---- */

static bool group_waits(Fuse *f, int group, int target) {
  const Group *g = f->groups.at[group];
  begin_search(f);
  for (int i = 0; i < g->members.count; i++) look_at_operands(f, g->members.at[i]);
  return finds(f, target);
}

static bool only_elementwise(const Group *g) {
  for (int i = 0; i < g->members.count; i++)
    if (op_info[g->members.at[i]->op].kind != KIND_ELEMENTWISE) return false;
  return true;
}

/* May the members of `from`, and n, run as part of `into`? Neither group waits for the other, and
 * both compute one domain. */
static bool can_merge(Fuse *f, int from, int into, const Node *n) {
  Group *a = f->groups.at[from], *b = f->groups.at[into];
  if (a->product || !a->domain || !b->domain || !same_domain(a->domain, b->domain)) return false;
  if (!has_room(a, b->members.count + 1, b->reads + n->nin)) return false;
  if (b->product && !only_elementwise(a)) return false;
  if (a->reduce && b->reduce && !same_reduction(a->reduce, b->reduce)) return false;
  if (a->reduces + b->reduces > FUSIBLE_REDUCES) return false;
  return !group_waits(f, from, into) && !group_waits(f, into, from);
}

static void merge(Fuse *f, int from, int into) {
  Group *a = f->groups.at[from];
  for (int i = 0; i < a->members.count; i++) join(f, a->members.at[i], into);
  if (a->reduce) f->groups.at[into]->reduce = a->reduce;
  a->members.count = 0;
  a->domain = NULL;
}

static void remark(Fuse *f, const Node *n, const Node *operand, const char *why) {
  if (!f->options || !f->options->remarks || !operand || !n->span.file) return;
  if (why)
    diag_remark(f->options->diags, n->span, "%s not fused into %s: %s", op_info[n->op].name,
                op_info[operand->op].name, why);
  else
    diag_remark(f->options->diags, n->span, "%s fused into %s's kernel", op_info[n->op].name,
                op_info[operand->op].name);
}

/* The operands' groups that n could join: a product's first, else the latest; *others gets the
 * rest. */
static int join_candidate(Fuse *f, Node *n, int *others, int *nothers) {
  int best = 0;
  *nothers = 0;
  for (int i = 0; i < n->nin; i++) {
    Node *operand = n->in[i];
    if (!operand || !operand->group || operand->group == best) continue;
    const char *why = why_not_join(f, n, operand);
    remark(f, n, operand, why);
    if (why) continue;
    int loser = operand->group;
    if (!best || f->groups.at[loser]->product || (!f->groups.at[best]->product && loser > best)) {
      int t = best;
      best = loser;
      loser = t;
    }
    if (loser) others[(*nothers)++] = loser;
  }
  return best;
}

enum { OPERANDS = 8 };

static void place_elementwise(Fuse *f, Node *n) {
  int others[OPERANDS], nothers;
  int group = join_candidate(f, n, others, &nothers);
  if (!group) {
    open_group(f, n)->domain = n;
    return;
  }
  for (int i = 0; i < nothers; i++)
    if (others[i] != group && can_merge(f, others[i], group, n)) merge(f, others[i], group);
  join(f, n, group);
}

/* ---- reductions ---- */

/* A convolution's epilogue takes sums over all pixels of all samples, one a channel: its units
 * leave partial ones. */
static bool is_sum_of_channels(const Node *n) {
  const Node *x = n->in[0];
  const Attr *dims = node_attr(n, "dims");
  bool sum = n->op == OP_reduce_sum || n->op == OP_reduce_var;
  return sum && x->type.rank == 3 && dims->n == 2 && dims->v[0] == 1 && dims->v[1] == 2 &&
         node_bool(n, "batch") == x->type.batched && x->type.dim[2] <= FUSIBLE_ROW;
}

static bool is_image_order(const Node *n) {
  return memory_dim(n, 0) == 1 && memory_dim(n, 1) == 2 && memory_dim(n, 2) == 0;
}

/* Why reduction n cannot end the group, which computes its operand or reads it, or NULL when it
 * can. */
static const char *why_not_reduce(const Group *g, const Node *n) {
  const Node *x = n->in[0];
  if (!g->domain) return "its operand's kernel takes no epilogue";
  if (!has_room(g, 1, 1) || g->reduces == FUSIBLE_REDUCES) return "the kernel is full";
  if (!same_domain(g->domain, x)) return "it has another shape or memory order";
  if (g->reduce && !same_reduction(g->reduce, n)) return "the kernel reduces other dimensions";
  if (!g->product) return NULL;
  if (g->domain->op == OP_dot_general) return "the epilogue of a product has no sums";
  if (!is_sum_of_channels(n) || !is_image_order(x))
    return "an epilogue has only sums over all pixels, one a channel";
  return NULL;
}

/* A sweep that already reads n's operand over the same domain: one pass over memory serves both. */
static int sweep_reading(Fuse *f, const Node *n) {
  const Node *x = n->in[0];
  for (int k = f->groups.count - 1; k > 0 && k > f->groups.count - 32; k--) {
    Group *g = f->groups.at[k];
    if (g->product || why_not_reduce(g, n)) continue;
    for (int i = 0; i < g->members.count; i++) {
      Node *m = g->members.at[i];
      for (int j = 0; j < m->nin; j++)
        if (m->in[j] == x && order_allows(f, n, k)) return k;
    }
  }
  return 0;
}

static int reduction_candidate(Fuse *f, Node *n) {
  const Node *x = n->in[0];
  const char *why = "its operand is a view or comes from outside";
  if (x->group) why = why_not_reduce(f->groups.at[x->group], n);
  int other = why ? sweep_reading(f, n) : 0;
  if (!other) remark(f, n, x, why);
  return why ? other : x->group;
}

static void place_reduction(Fuse *f, Node *n) {
  int group = f->options && f->options->level == 0 ? 0 : reduction_candidate(f, n);
  if (group) {
    join(f, n, group);
    f->groups.at[group]->reduce = n;
    return;
  }
  Group *g = open_group(f, n);
  g->domain = n->in[0];
  g->reduce = n;
}

/* ---- the walk ---- */

static void place(Fuse *f, Node *n) {
  bool fuse = !f->options || f->options->level > 0;
  if (op_info[n->op].kind == KIND_LEAF || memory_is_view(&f->memory[n->id], n)) return;
  if (fusible_reduction(n->op)) {
    place_reduction(f, n);
  } else if (fusible_pointwise(n->op)) {
    if (fuse)
      place_elementwise(f, n);
    else
      open_group(f, n);
  } else {
    Group *g = open_group(f, n);
    g->product = fusible_product(n->op);
    g->domain = fuse && g->product ? n : NULL;
  }
}

/* A constant that something other than a sweep reads must lie in memory: it becomes a kernel that
 * fills it. */
static void place_constants(Fuse *f) {
  for (int i = 0; i < f->graph->nodes.count; i++) {
    Node *n = f->graph->nodes.at[i];
    if (!n->group || fusible_pointwise(n->op) || fusible_reduction(n->op)) continue;
    for (int k = 0; k < n->nin; k++) {
      Node *owner = n->in[k] ? (Node *)f->memory[n->in[k]->id].owner : NULL;
      if (owner && owner->op == OP_constant && !owner->group) open_group(f, owner);
    }
  }
}

/* Groups that were merged away leave no gap in the numbers. */
static int renumber(Fuse *f) {
  int *number = ARENA_ARRAY(f->scratch, int, f->groups.count + 1), count = 0;
  for (int k = 1; k < f->groups.count; k++)
    if (f->groups.at[k]->members.count) number[k] = ++count;
  for (int i = 0; i < f->graph->nodes.count; i++)
    f->graph->nodes.at[i]->group = number[f->graph->nodes.at[i]->group];
  return count;
}

/* What a program only moves: tensors that change their memory order, and parts put together. */
static void remark_moves(const Fuse *f) {
  if (!f->options || !f->options->remarks) return;
  int transposes = 0, copies = 0;
  int64_t bytes = 0;
  for (int i = 0; i < f->graph->nodes.count; i++) {
    const Node *n = f->graph->nodes.at[i];
    bool turned = n->op == OP_reshape, put = n->op == OP_concat || n->op == OP_surround;
    if (!n->group || !(turned || put)) continue;
    transposes += turned;
    copies += put;
    bytes += type_elements(&n->type) *
             elem_bytes(n->type.elem, f->options->real_bytes ? f->options->real_bytes : 4);
  }
  diag_remark(f->options->diags, (Span){0}, "%s: %d transposes, %d copies (%lld bytes a sample)",
              f->graph->program ? f->graph->program : "graph", transposes, copies,
              (long long)bytes);
}

void pass_fuse(Graph *g, Arena *scratch, const PassOptions *options) {
  demand_order(g, scratch);
  Fuse f = {.graph = g, .scratch = scratch, .memory = memory_map(g, scratch), .options = options};
  f.stamp = ARENA_ARRAY(scratch, int, g->nodes.count + 1);
  f.group_stamp = ARENA_ARRAY(scratch, int, 2 * g->nodes.count + 2);
  vec_push(scratch, &f.groups, ARENA_NEW(scratch, Group));
  f.stored = ARENA_ARRAY(scratch, bool, g->nodes.count + 1);
  list_users(&f);
  for (int i = 0; i < g->nodes.count; i++) g->nodes.at[i]->group = 0;
  for (int i = 0; i < g->nodes.count; i++) place(&f, g->nodes.at[i]);
  place_constants(&f);
  int groups = renumber(&f);
  if (!options || options->level > 0) fuse_repeat(g, f.memory, groups, scratch);
  remark_moves(&f);
}
