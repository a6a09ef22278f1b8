/* Values computed again where they are read.
 *
 * A cheap value that several kernels read would be stored by one of them. When all that it is made
 * of lies in memory anyway, and only one tensor of its size is among that, each kernel computes it
 * for itself: the store is gone, every load stays one load. So the way back of a normalisation
 * reads what the convolution left, and x - mean is never stored. Where a kernel reads that tensor
 * already, even a value that must be stored for others is computed again, and a load is gone.
 *
 * No kernel waits for more than before: what a value is made of is there before it is. */
#include "passes/fuse_repeat.h"

#include "ir/op.h"
#include "passes/demand.h"
#include "passes/fusible.h"

enum { CHAIN = 4 }; /* operations that cost less than a load from far */

typedef struct {
  VEC(Node *) members;
} Kernel;

typedef struct {
  Graph *graph;
  Arena *scratch;
  const Memory *memory;
  int count;            /* nodes, before any was added */
  VEC(Node *) * users;  /* by id */
  bool *kept;           /* by id: a result, or read as memory: stored whatever fuses */
  bool *gone;           /* by id: every other kernel computes it for itself */
  Kernel *kernel;       /* by group */
  VEC(Node *) original; /* of the nodes that were added, in their order */
} Repeat;

/* What it takes to compute a value: operations, and the one large tensor that they read. */
typedef struct {
  Node *step[CHAIN];
  int nsteps;
  const Node *large;
} Chain;

static bool is_cheap(Op op) {
  static const bool cheap[OP_COUNT] = {
      [OP_add] = true,    [OP_sub] = true,  [OP_mul] = true,      [OP_neg] = true,
      [OP_square] = true, [OP_relu] = true, [OP_positive] = true, [OP_abs] = true};
  return cheap[op];
}

static Node *original(const Repeat *r, Node *n) {
  return n && n->id >= r->count ? r->original.at[n->id - r->count] : n;
}

/* Does x take about as much memory as n would? */
static bool is_as_large(const Repeat *r, const Node *x, const Node *n) {
  const Type *t = &r->memory[x->id].owner->type;
  bool batched = t->batched || !n->type.batched;
  return batched && 4 * type_elements(t) > type_elements(&n->type);
}

static bool is_swept(const Node *n) { return fusible_pointwise(n->op) || fusible_reduction(n->op); }

/* ---- what is stored whatever happens ---- */

static bool reads_element(const Repeat *r, const Node *user) {
  return user->group && is_swept(user) && !memory_is_view(&r->memory[user->id], user);
}

static void find_kept(Repeat *r) {
  const Graph *g = r->graph;
  for (int i = 0; i < g->results.count; i++) r->kept[g->results.at[i].node->id] = true;
  for (int i = 0; i < r->count; i++)
    for (int k = 0; k < r->users[i].count; k++)
      if (!reads_element(r, r->users[i].at[k])) r->kept[i] = true;
}

static bool is_in_memory(const Repeat *r, const Node *x, int group) {
  const Node *owner = r->memory[x->id].owner;
  if (!owner->group) return true; /* a leaf */
  if (owner->group == group || r->gone[owner->id]) return false;
  if (r->kept[owner->id]) return true;
  for (int k = 0; k < r->users[owner->id].count; k++)
    if (r->users[owner->id].at[k]->group != owner->group) return true;
  return false;
}

/* ---- chains ---- */

static bool has_step(const Chain *c, const Node *n) {
  for (int i = 0; i < c->nsteps; i++)
    if (c->step[i] == n) return true;
  return false;
}

static bool chain_to(const Repeat *r, Node *n, Chain *c);

static bool chain_from(const Repeat *r, Node *x, const Node *n, Chain *c) {
  bool large = is_as_large(r, x, n);
  if (!is_in_memory(r, x, n->group) || (large && c->large && c->large != x))
    return type_equal(&x->type, &n->type) && chain_to(r, x, c);
  if (large) c->large = x;
  return true;
}

/* Extends the chain by n, operands first. */
static bool chain_to(const Repeat *r, Node *n, Chain *c) {
  if (has_step(c, n)) return true;
  if (!is_cheap(n->op) || !n->group) return false;
  for (int i = 0; i < n->nin; i++)
    if (!chain_from(r, original(r, n->in[i]), n, c)) return false;
  if (c->nsteps == CHAIN) return false;
  c->step[c->nsteps++] = n;
  return true;
}

/* ---- kernels that read it ---- */

/* Element by element: not the operands of its product. */
static bool kernel_reads(const Kernel *k, const Node *x) {
  for (int i = 0; i < k->members.count; i++)
    for (int j = 0; is_swept(k->members.at[i]) && j < k->members.at[i]->nin; j++)
      if (k->members.at[i]->in[j] == x) return true;
  return false;
}

static int reads_of(const Kernel *k, int group) {
  int reads = 0;
  for (int i = 0; i < k->members.count; i++)
    for (int j = 0; j < k->members.at[i]->nin; j++)
      reads += k->members.at[i]->in[j] && k->members.at[i]->in[j]->group != group;
  return reads;
}

/* Does the kernel compute element by element what n's elements are? */
static bool has_domain(const Kernel *k, const Node *n) {
  const Node *m = k->members.at[0];
  if (fusible_reduction(m->op)) m = m->in[0];
  return type_equal(&m->type, &n->type) && memory_same_order(m, n);
}

static bool can_compute(const Repeat *r, int group, const Chain *c) {
  const Kernel *k = &r->kernel[group];
  return has_domain(k, c->step[c->nsteps - 1]) && k->members.count + c->nsteps <= FUSIBLE_MEMBERS &&
         reads_of(k, group) + 2 * c->nsteps <= FUSIBLE_READS;
}

/* Operand x of a step: the copy, where it is a step itself. */
static Node *copy_of(Node *const *copy, const Chain *c, Node *x) {
  for (int i = 0; i < c->nsteps; i++)
    if (c->step[i] == x) return copy[i];
  return x;
}

static Node *find_copy(const Kernel *k, const Node *n) {
  for (int i = 0; i < k->members.count; i++) {
    Node *m = k->members.at[i];
    bool same = m->op == n->op && m->nin == n->nin;
    for (int j = 0; same && j < n->nin; j++) same = m->in[j] == n->in[j];
    if (same) return m;
  }
  return NULL;
}

static Node *compute_in(Repeat *r, const Chain *c, int group) {
  Node *copy[CHAIN] = {NULL};
  Kernel *k = &r->kernel[group];
  for (int i = 0; i < c->nsteps; i++) {
    Node *m = ARENA_NEW(r->graph->arena, Node);
    *m = *c->step[i];
    m->in = ARENA_ARRAY(r->graph->arena, Node *, m->nin + 1);
    for (int j = 0; j < m->nin; j++) m->in[j] = copy_of(copy, c, original(r, c->step[i]->in[j]));
    m->label = NULL;
    m->group = group;
    copy[i] = find_copy(k, m);
    if (copy[i]) continue;
    m->id = r->graph->nodes.count;
    vec_push(r->graph->arena, &r->graph->nodes, m);
    vec_push(r->scratch, &r->original, c->step[i]);
    vec_push(r->scratch, &k->members, m);
    copy[i] = m;
  }
  return copy[c->nsteps - 1];
}

static void read_instead(Kernel *k, const Node *n, Node *by) {
  for (int i = 0; i < k->members.count; i++)
    for (int j = 0; is_swept(k->members.at[i]) && j < k->members.at[i]->nin; j++)
      if (k->members.at[i]->in[j] == n) k->members.at[i]->in[j] = by;
}

/* ---- one value ---- */

/* The groups other than its own that read n, each once. */
static int reading_groups(const Repeat *r, const Node *n, int *group, int most) {
  int count = 0;
  for (int k = 0; k < r->users[n->id].count; k++) {
    int g = r->users[n->id].at[k]->group, i = 0;
    if (!g || g == n->group) continue;
    while (i < count && group[i] != g) i++;
    if (i < count) continue;
    if (count == most) return most + 1;
    group[count++] = g;
  }
  return count;
}

enum { READERS = 8 };

static void consider(Repeat *r, Node *n) {
  int group[READERS], readers = reading_groups(r, n, group, READERS);
  Chain c = {.nsteps = 0};
  if (!readers || readers > READERS || !chain_to(r, n, &c) || !c.large) return;
  bool all = !r->kept[n->id];
  for (int i = 0; i < readers; i++) all = all && can_compute(r, group[i], &c);
  for (int i = 0; i < readers; i++) {
    Kernel *k = &r->kernel[group[i]];
    if (!all && (!kernel_reads(k, c.large) || !can_compute(r, group[i], &c))) continue;
    read_instead(k, n, compute_in(r, &c, group[i]));
  }
  r->gone[n->id] = all;
}

/* ---- the pass's end ---- */

static void find_members(Repeat *r, int groups) {
  r->kernel = ARENA_ARRAY(r->scratch, Kernel, groups + 1);
  r->users = arena_alloc(r->scratch, (size_t)r->count + 1, sizeof *r->users);
  for (int i = 0; i < r->count; i++) {
    Node *n = r->graph->nodes.at[i];
    if (n->group) vec_push(r->scratch, &r->kernel[n->group].members, n);
    for (int k = 0; k < n->nin; k++)
      if (n->in[k]) vec_push(r->scratch, &r->users[n->in[k]->id], n);
  }
}

void fuse_repeat(Graph *g, const Memory *memory, int groups, Arena *scratch) {
  Repeat r = {.graph = g, .scratch = scratch, .memory = memory, .count = g->nodes.count};
  r.kept = ARENA_ARRAY(scratch, bool, r.count + 1);
  r.gone = ARENA_ARRAY(scratch, bool, r.count + 1);
  find_members(&r, groups);
  find_kept(&r);
  for (int i = 0; i < r.count; i++) consider(&r, g->nodes.at[i]);
  if (g->nodes.count > r.count) demand_order(g, scratch);
}
