/* Reading a planned graph back, and the independent check of its offsets. */
#include <stdlib.h>
#include <string.h>

#include "passes/plan_groups.h"

int64_t plan_bytes(const Node *n, int64_t batch, int real_bytes) {
  int64_t bytes = type_elements(&n->type) * elem_bytes(n->type.elem, real_bytes);
  if (n->type.batched) bytes *= batch > 0 ? batch : 1;
  return (bytes + 63) & ~(int64_t)63;
}

/* The forward part ends with the last kernel that a result other than a gradient needs. */
static void read_cut(const Graph *g, Plan *p) {
  bool gradients = false;
  for (int i = 0; i < g->results.count; i++) {
    const Result *r = &g->results.at[i];
    int group = p->memory[r->node->id].owner->group;
    if (r->kind == RESULT_GRAD)
      gradients = true;
    else if (group > p->cut)
      p->cut = group;
  }
  if (!gradients) p->cut = p->ngroups;
}

static void read_until(Plan *p, const Node *owner, int group) {
  if (group > p->end[owner->id]) p->end[owner->id] = group;
}

static void read_lives(const Graph *g, Plan *p) {
  for (int i = 0; i < g->nodes.count; i++) {
    const Node *n = g->nodes.at[i];
    p->start[i] = n->group;
    for (int k = 0; n->group && k < n->nin; k++) {
      const Node *owner = n->in[k] ? p->memory[n->in[k]->id].owner : NULL;
      if (!owner || owner->group == n->group) continue;
      p->stored[owner->id] = owner->group > 0;
      read_until(p, owner, n->group);
    }
  }
  for (int i = 0; i < g->results.count; i++) {
    const Result *r = &g->results.at[i];
    const Node *owner = p->memory[r->node->id].owner;
    p->stored[owner->id] = owner->group > 0;
    read_until(p, owner,
               1 + (r->kind == RESULT_GRAD ? p->ngroups : p->cut)); /* copied after that kernel */
  }
}

Plan *plan_read(const Graph *g, Arena *a, int real_bytes) {
  Plan *p = ARENA_NEW(a, Plan);
  int n = g->nodes.count + 1;
  p->memory = memory_map(g, a);
  p->stored = ARENA_ARRAY(a, bool, n);
  p->start = ARENA_ARRAY(a, int64_t, n);
  p->end = ARENA_ARRAY(a, int64_t, n);
  p->groups = groups_members(g, &p->ngroups, a);
  p->placed = placement_map(g, p->memory, p->groups, a);
  read_cut(g, p);
  read_lives(g, p);
  for (int i = 0; i < g->nodes.count; i++) {
    const Node *node = g->nodes.at[i];
    if (node->offset < 0) continue;
    int64_t end = node->offset + plan_bytes(node, g->train.batch, real_bytes);
    if (end > p->peak) p->peak = end;
  }
  return p;
}

int plan_boundary(const Graph *g, const Plan *p) {
  int last = 0;
  for (int i = 0; i < g->results.count; i++) {
    const Result *r = &g->results.at[i];
    int group = p->memory[r->node->id].owner->group;
    if (!r->target && group > last) last = group;
  }
  return last;
}

/* ---- scratch ---- */

typedef struct {
  int64_t from, to;
} Bytes;

static int by_start(const void *pa, const void *pb) {
  const Bytes *a = pa, *b = pb;
  return a->from < b->from ? -1 : a->from > b->from;
}

int64_t plan_gap(const Graph *g, const Plan *p, int group, int64_t from, int64_t bytes,
                 int real_bytes, Arena *scratch) {
  VEC(Bytes) used = {0};
  for (int i = 0; i < g->nodes.count; i++) {
    const Node *n = g->nodes.at[i];
    if (n->offset < 0 || p->start[i] > group || p->end[i] < group) continue;
    vec_push(scratch, &used,
             ((Bytes){n->offset, n->offset + plan_bytes(n, g->train.batch, real_bytes)}));
  }
  if (used.count) qsort(used.at, (size_t)used.count, sizeof *used.at, by_start);
  for (int i = 0; i < used.count && used.at[i].from < from + bytes; i++)
    if (used.at[i].to > from) from = used.at[i].to;
  return from;
}

/* ---- the check ---- */

/* b's kernel may write over a, which it reads for the last time. */
static bool may_overwrite(const Plan *p, const Node *a, const Node *b) {
  return a->offset == b->offset && p->end[a->id] == b->group && writes_in_step(b) &&
         reads_in_step(p->memory, &p->groups[b->group], b, a);
}

/* Kernel by kernel, with all that is live there. */
typedef struct {
  const Node *node;
  int64_t end; /* byte behind it */
} Live;

typedef struct {
  const Plan *plan;
  const int *writer; /* by id of a parameter or buffer: the kernel that overwrites it; 0 none */
  Live *live;
  int count;
  int64_t batch;
  int real_bytes;
  Arena *arena;
} Check;

static bool collide(const Plan *p, const Live *a, const Live *b) {
  bool apart = a->end <= b->node->offset || b->end <= a->node->offset;
  return !apart && !may_overwrite(p, a->node, b->node) && !may_overwrite(p, b->node, a->node);
}

static void drop_dead(Check *c, int group) {
  int kept = 0;
  for (int i = 0; i < c->count; i++)
    if (c->plan->end[c->live[i].node->id] >= group) c->live[kept++] = c->live[i];
  c->count = kept;
}

static const char *check_place(Check *c, const Node *n) {
  if (!c->plan->stored[n->id] || c->plan->placed[n->id]) return NULL;
  if (n->offset < 0)
    return arena_printf(c->arena, "%%%d is read from memory but has no place there", n->id);
  Live fresh = {n, n->offset + plan_bytes(n, c->batch, c->real_bytes)};
  for (int i = 0; i < c->count; i++)
    if (collide(c->plan, &c->live[i], &fresh))
      return arena_printf(c->arena, "%%%d and %%%d lie over each other while both are live",
                          c->live[i].node->id, n->id);
  c->live[c->count++] = fresh;
  return NULL;
}

/* What n reads has been computed before, and the parameters that it reads have not been
 * overwritten. */
static const char *check_order(const Check *c, const Node *n) {
  for (int k = 0; k < n->nin; k++) {
    const Node *owner = n->in[k] ? c->plan->memory[n->in[k]->id].owner : NULL;
    if (!owner) continue;
    if (owner->group > n->group)
      return arena_printf(c->arena, "%%%d runs before %%%d, which it reads", n->id, owner->id);
    if (c->writer[owner->id] && c->writer[owner->id] < n->group)
      return arena_printf(c->arena, "%%%d reads %%%d, which has been overwritten", n->id,
                          owner->id);
  }
  return NULL;
}

static int *find_writers(const Graph *g, const Plan *p, Arena *a) {
  int *writer = ARENA_ARRAY(a, int, g->nodes.count + 1);
  for (int i = 0; i < g->nodes.count; i++)
    if (p->placed[i] && p->placed[i]->kind == RESULT_ASSIGN)
      writer[p->placed[i]->target->id] = g->nodes.at[i]->group;
  return writer;
}

const char *plan_check(const Graph *g, Arena *scratch, int real_bytes) {
  Plan *p = plan_read(g, scratch, real_bytes);
  Check c = {.plan = p, .batch = g->train.batch, .real_bytes = real_bytes, .arena = scratch};
  c.writer = find_writers(g, p, scratch);
  c.live = ARENA_ARRAY(scratch, Live, g->nodes.count + 1);
  const char *wrong = NULL;
  for (int k = 1; k <= p->ngroups; k++) {
    drop_dead(&c, k);
    for (int i = 0; i < p->groups[k].members.count && !wrong; i++) {
      wrong = check_order(&c, p->groups[k].members.at[i]);
      if (!wrong) wrong = check_place(&c, p->groups[k].members.at[i]);
    }
    if (wrong) return wrong;
  }
  return NULL;
}

void plan_print(const Graph *g, Str *out, Arena *scratch, int real_bytes) {
  Plan *p = plan_read(g, scratch, real_bytes);
  str_printf(out, "# %s %s, batch %lld\n# kernel: results at offset (bytes, last read by)\n",
             g->name, g->program ? g->program : "", (long long)g->train.batch);
  for (int k = 1; k <= p->ngroups; k++) {
    str_printf(out, "%5d%s", k, k == p->cut + 1 ? " (backward)" : "");
    for (int i = 0; i < p->groups[k].members.count; i++) {
      const Node *n = p->groups[k].members.at[i];
      str_printf(out, "  %s", op_info[n->op].name);
      if (n->label) str_printf(out, " !%s", n->label);
      if (p->placed[n->id])
        str_printf(out, " -> %s", p->placed[n->id]->name);
      else if (n->offset >= 0)
        str_printf(out, " @%lld (%lld, %lld)", (long long)n->offset,
                   (long long)plan_bytes(n, g->train.batch, real_bytes), (long long)p->end[n->id]);
    }
    str_put(out, "\n");
  }
  str_printf(out, "results %lld bytes\n", (long long)p->peak);
}
