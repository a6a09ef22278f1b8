#include "passes/plan_groups.h"

#include "passes/fusible.h"

PlanGroup *groups_members(const Graph *g, int *count, Arena *a) {
  *count = 0;
  for (int i = 0; i < g->nodes.count; i++)
    if (g->nodes.at[i]->group > *count) *count = g->nodes.at[i]->group;
  PlanGroup *groups = ARENA_ARRAY(a, PlanGroup, *count + 1);
  for (int i = 0; i < g->nodes.count; i++)
    if (g->nodes.at[i]->group) vec_push(a, &groups[g->nodes.at[i]->group].members, g->nodes.at[i]);
  return groups;
}

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

bool reads_in_step(const Memory *memory, const PlanGroup *g, const Node *n, const Node *owner) {
  for (int k = 0; k < g->members.count; k++) {
    const Node *m = g->members.at[k];
    for (int i = 0; i < m->nin; i++) {
      const Node *in = m->in[i];
      if (!in || memory[in->id].owner != owner) continue;
      if (!is_swept(m) || !same_elements(&memory[in->id], &in->type, n)) return false;
    }
  }
  return true;
}

/* ---- placing results in their target's memory ---- */

static bool reads(const Memory *memory, const PlanGroup *g, const Node *owner) {
  for (int k = 0; k < g->members.count; k++)
    for (int i = 0; i < g->members.at[k]->nin; i++) {
      const Node *in = g->members.at[k]->in[i];
      if (in && memory[in->id].owner == owner) return true;
    }
  return false;
}

static bool kernel_allows(const Memory *memory, const PlanGroup *g, const Node *n,
                          const Node *target) {
  return !reads(memory, g, target) || (writes_in_step(n) && reads_in_step(memory, g, n, target));
}

static bool can_place(const Memory *memory, const PlanGroup *groups, const bool *copied,
                      const Result *r) {
  const Node *n = r->node, *t = r->target;
  if (!t || t->op == OP_input || n->offset != -1 || !n->group) return false;
  if (memory_is_view(&memory[n->id], n) || !type_equal(&n->type, &t->type) ||
      !memory_same_order(n, t))
    return false;
  return r->kind == RESULT_GRAD ||
         (!copied[t->id] && kernel_allows(memory, &groups[n->group], n, t));
}

const Result **placement_map(const Graph *g, const Memory *memory, const PlanGroup *groups,
                             Arena *a) {
  const Result **placed = ARENA_ARRAY(a, const Result *, g->nodes.count + 1);
  bool *copied = ARENA_ARRAY(
      a, bool, g->nodes.count + 1); /* as a result, at the end: it must keep its old value */
  for (int i = 0; i < g->results.count; i++)
    copied[memory[g->results.at[i].node->id].owner->id] = true;
  for (int i = 0; i < g->results.count; i++) {
    const Result *r = &g->results.at[i];
    if (!placed[r->node->id] && can_place(memory, groups, copied, r)) placed[r->node->id] = r;
  }
  return placed;
}

/* ---- dependencies ---- */

static void wait_for(Groups *s, IntList *list, int group, int other) {
  if (other && other != group) vec_push(s->scratch, list, other);
}

static void find_operands(Groups *s, int group) {
  const PlanGroup *p = &s->members[group];
  for (int i = 0; i < p->members.count; i++)
    for (int k = 0; k < p->members.at[i]->nin; k++) {
      const Node *in = p->members.at[i]->in[k];
      if (in) wait_for(s, &s->at[group].after, group, s->memory[in->id].owner->group);
    }
}

static void mark_forward(Groups *s, int group) {
  if (!group || s->at[group].forward) return;
  IntList stack = {0};
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

/* A kernel that overwrites a parameter runs after every other kernel that reads it. */
static void find_readers(Groups *s) {
  int *writer = ARENA_ARRAY(s->scratch, int, s->graph->nodes.count + 1); /* by target's id */
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
      if (w) wait_for(s, &s->at[w].readers, w, n->group);
    }
  }
}

Groups *groups_build(Graph *g, Arena *scratch) {
  Groups *s = ARENA_NEW(scratch, Groups);
  *s = (Groups){.graph = g, .scratch = scratch, .memory = memory_map(g, scratch)};
  s->members = groups_members(g, &s->count, scratch);
  s->at = ARENA_ARRAY(scratch, GroupInfo, s->count + 1);
  s->placed = placement_map(g, s->memory, s->members, scratch);
  for (int k = 1; k <= s->count; k++) {
    s->at[k].first_id = s->members[k].members.count ? s->members[k].members.at[0]->id : 0;
    find_operands(s, k);
  }
  for (int i = 0; i < g->results.count; i++)
    if (g->results.at[i].kind != RESULT_GRAD)
      mark_forward(s, s->memory[g->results.at[i].node->id].owner->group);
  find_readers(s);
  return s;
}
