/* Reading a planned graph back, and the independent check of its offsets. */
#include <string.h>

#include "passes/plan_groups.h"

int64_t plan_bytes(const Node *n, int64_t batch, int real_bytes) {
  int64_t bytes = type_elements(&n->type) * elem_bytes(n->type.elem, real_bytes);
  if (n->type.batched) bytes *= batch > 0 ? batch : 1;
  return (bytes + 63) & ~(int64_t)63;
}

static void read_groups(const Graph *g, Plan *p, Arena *a) {
  for (int i = 0; i < g->nodes.count; i++)
    if (g->nodes.at[i]->group > p->ngroups) p->ngroups = g->nodes.at[i]->group;
  p->groups = ARENA_ARRAY(a, PlanGroup, p->ngroups + 1);
  for (int i = 0; i < g->nodes.count; i++)
    if (g->nodes.at[i]->group) vec_push(a, &p->groups[g->nodes.at[i]->group].members, g->nodes.at[i]);
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
    read_until(p, owner, 1 + (r->kind == RESULT_GRAD ? p->ngroups : p->cut)); /* copied after that kernel */
  }
}

Plan *plan_read(const Graph *g, Arena *a, int real_bytes) {
  Plan *p = ARENA_NEW(a, Plan);
  int n = g->nodes.count + 1;
  p->memory = memory_map(g, a);
  p->stored = ARENA_ARRAY(a, bool, n);
  p->start = ARENA_ARRAY(a, int64_t, n);
  p->end = ARENA_ARRAY(a, int64_t, n);
  p->placed = placement_map(g, p->memory, a);
  read_groups(g, p, a);
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

/* b's kernel may write over a, which it reads for the last time. */
static bool may_overwrite(const Plan *p, const Node *a, const Node *b) {
  const PlanGroup *g = &p->groups[b->group];
  return a->offset == b->offset && p->end[a->id] == b->group && writes_in_step(b) &&
         reads_in_step(p->memory, g->members.at, g->members.count, b, a);
}

typedef struct {
  const Node *node;
  int64_t end; /* byte behind it */
} Live;

static bool collide(const Plan *p, const Live *a, const Live *b) {
  bool apart = a->end <= b->node->offset || b->end <= a->node->offset;
  return !apart && !may_overwrite(p, a->node, b->node) && !may_overwrite(p, b->node, a->node);
}

/* What was stored by kernel k and before, and is not dead: a list that every kernel's results join in turn. */
static const char *check_group(const Plan *p, int k, Live *live, int *count, int64_t batch, int real_bytes, Arena *a) {
  int kept = 0;
  for (int i = 0; i < *count; i++)
    if (p->end[live[i].node->id] >= k) live[kept++] = live[i];
  for (int i = 0; i < p->groups[k].members.count; i++) {
    const Node *n = p->groups[k].members.at[i];
    if (!p->stored[n->id] || p->placed[n->id]) continue;
    if (n->offset < 0) return arena_printf(a, "%%%d is read from memory but has no place there", n->id);
    Live fresh = {n, n->offset + plan_bytes(n, batch, real_bytes)};
    for (int j = 0; j < kept; j++)
      if (collide(p, &live[j], &fresh))
        return arena_printf(a, "%%%d and %%%d lie over each other while both are live", live[j].node->id, n->id);
    live[kept++] = fresh;
  }
  *count = kept;
  return NULL;
}

const char *plan_check(const Graph *g, Arena *scratch, int real_bytes) {
  Plan *p = plan_read(g, scratch, real_bytes);
  Live *live = ARENA_ARRAY(scratch, Live, g->nodes.count + 1);
  int count = 0;
  for (int k = 1; k <= p->ngroups; k++) {
    const char *wrong = check_group(p, k, live, &count, g->train.batch, real_bytes, scratch);
    if (wrong) return wrong;
  }
  return NULL;
}

void plan_print(const Graph *g, Str *out, Arena *scratch, int real_bytes) {
  Plan *p = plan_read(g, scratch, real_bytes);
  str_printf(out, "# %s %s, batch %lld\n# kernel: results at offset (bytes, last read by)\n", g->name,
             g->program ? g->program : "", (long long)g->train.batch);
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
  str_printf(out, "arena %lld bytes\n", (long long)p->peak);
}
