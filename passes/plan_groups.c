#include "passes/plan_groups.h"

#include <string.h>

#include "passes/fusible.h"

enum { UNPLACED = -2 };

/* ---- writing over what is read ---- */

bool writes_in_step(const Node *n) { return fusible_pointwise(n->op) || fusible_product(n->op); }

static bool is_swept(const Node *n) { return fusible_pointwise(n->op) || fusible_reduction(n->op); }

static bool same_elements(const Memory *x, const Type *t, const Node *n) {
  Memory own = memory_own(n);
  if (!type_equal(t, &n->type) || x->offset || x->batch != own.batch) return false;
  for (int d = 0; d < n->type.rank; d++)
    if (n->type.dim[d] > 1 && x->stride[d] != own.stride[d]) return false;
  return true;
}

bool reads_in_step(const Memory *memory, Node *const *members, int count, const Node *n, const Node *owner) {
  for (int k = 0; k < count; k++)
    for (int i = 0; i < members[k]->nin; i++) {
      const Node *in = members[k]->in[i];
      if (!in || memory[in->id].owner != owner) continue;
      if (!is_swept(members[k]) || !same_elements(&memory[in->id], &in->type, n)) return false;
    }
  return true;
}

/* ---- placing results in their target's memory ---- */

/* Members of every group, and which leaves a result is copied from at the end. */
typedef struct {
  const Graph *graph;
  const Memory *memory;
  VEC(Node *) *members; /* by group */
  bool *copied;         /* by node id */
} Placement;

static Placement placement_new(const Graph *g, const Memory *memory, Arena *a) {
  Placement p = {.graph = g, .memory = memory};
  int groups = 0;
  for (int i = 0; i < g->nodes.count; i++)
    if (g->nodes.at[i]->group > groups) groups = g->nodes.at[i]->group;
  p.members = arena_alloc(a, (size_t)groups + 1, sizeof *p.members);
  for (int i = 0; i < g->nodes.count; i++)
    if (g->nodes.at[i]->group) vec_push(a, &p.members[g->nodes.at[i]->group], g->nodes.at[i]);
  p.copied = ARENA_ARRAY(a, bool, g->nodes.count + 1);
  for (int i = 0; i < g->results.count; i++) p.copied[memory[g->results.at[i].node->id].owner->id] = true;
  return p;
}

static bool kernel_allows(const Placement *p, const Node *n, const Node *target) {
  bool reads = false;
  for (int i = 0; i < p->members[n->group].count; i++) {
    const Node *m = p->members[n->group].at[i];
    for (int k = 0; k < m->nin; k++) reads |= m->in[k] && p->memory[m->in[k]->id].owner == target;
  }
  return !reads || (writes_in_step(n) &&
                    reads_in_step(p->memory, p->members[n->group].at, p->members[n->group].count, n, target));
}

static bool can_place(const Placement *p, const Result *r) {
  const Node *n = r->node, *t = r->target;
  if (!t || t->op == OP_input || n->offset != -1 || !n->group) return false;
  if (memory_is_view(&p->memory[n->id], n) || !type_equal(&n->type, &t->type) || !memory_same_order(n, t))
    return false;
  return r->kind == RESULT_GRAD || (!p->copied[t->id] && kernel_allows(p, n, t));
}

const Result **placement_map(const Graph *g, const Memory *memory, Arena *a) {
  const Result **placed = ARENA_ARRAY(a, const Result *, g->nodes.count + 1);
  Placement p = placement_new(g, memory, a);
  for (int i = 0; i < g->results.count; i++) {
    const Result *r = &g->results.at[i];
    if (!placed[r->node->id] && can_place(&p, r)) placed[r->node->id] = r;
  }
  return placed;
}

/* ---- dependencies ---- */

static void wait_for(Groups *s, int group, int other) {
  if (other && other != group) vec_push(s->scratch, &s->at[group].after, other);
}

static void collect_members(Groups *s) {
  for (int i = 0; i < s->graph->nodes.count; i++) {
    Node *n = s->graph->nodes.at[i];
    if (!n->group) continue;
    GroupInfo *g = &s->at[n->group];
    if (!g->members.count) g->first_id = n->id;
    vec_push(s->scratch, &g->members, n);
    for (int k = 0; k < n->nin; k++)
      if (n->in[k]) wait_for(s, n->group, s->memory[n->in[k]->id].owner->group);
  }
}

static void mark_forward(Groups *s, int group) {
  if (!group || s->at[group].forward) return;
  VEC(int) stack = {0};
  vec_push(s->scratch, &stack, group);
  s->at[group].forward = true;
  while (stack.count) {
    GroupInfo *g = &s->at[stack.at[--stack.count]];
    for (int i = 0; i < g->after.count; i++)
      if (!s->at[g->after.at[i]].forward) {
        s->at[g->after.at[i]].forward = true;
        vec_push(s->scratch, &stack, g->after.at[i]);
      }
  }
}

/* The kernel that overwrites a parameter runs after every other kernel that reads it. */
static void place_updates(Groups *s) {
  int *writer = ARENA_ARRAY(s->scratch, int, s->graph->nodes.count + 1); /* by target */
  for (int i = 0; i < s->graph->nodes.count; i++) {
    const Result *r = s->placed[i];
    if (!r || r->kind != RESULT_ASSIGN) continue;
    s->at[r->node->group].updates = true;
    writer[r->target->id] = r->node->group;
  }
  for (int i = 0; i < s->graph->nodes.count; i++) {
    const Node *n = s->graph->nodes.at[i];
    for (int k = 0; n->group && k < n->nin; k++) {
      int w = n->in[k] ? writer[s->memory[n->in[k]->id].owner->id] : 0;
      if (w) wait_for(s, w, n->group);
    }
  }
}

Groups *groups_build(Graph *g, Arena *scratch) {
  Groups *s = ARENA_NEW(scratch, Groups);
  *s = (Groups){.graph = g, .scratch = scratch, .memory = memory_map(g, scratch)};
  for (int i = 0; i < g->nodes.count; i++)
    if (g->nodes.at[i]->group > s->count) s->count = g->nodes.at[i]->group;
  s->at = ARENA_ARRAY(scratch, GroupInfo, s->count + 1);
  s->placed = placement_map(g, s->memory, scratch);
  collect_members(s);
  for (int i = 0; i < g->results.count; i++)
    if (g->results.at[i].kind != RESULT_GRAD)
      mark_forward(s, s->memory[g->results.at[i].node->id].owner->group);
  place_updates(s);
  return s;
}

/* Rebuilds the waiting lists of the group without its claims on its targets' memory. */
void groups_unplace(Groups *s, int group) {
  GroupInfo *g = &s->at[group];
  g->updates = false;
  g->after.count = 0;
  for (int i = 0; i < g->members.count; i++) {
    Node *n = g->members.at[i];
    const Result *r = s->placed[n->id];
    if (r && r->kind == RESULT_ASSIGN) s->placed[n->id] = NULL, n->offset = UNPLACED;
    for (int k = 0; k < n->nin; k++)
      if (n->in[k]) wait_for(s, group, s->memory[n->in[k]->id].owner->group);
  }
}
