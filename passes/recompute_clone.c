#include "passes/recompute.h"

#include <string.h>

typedef VEC(Node *) NodeList;

typedef struct {
  Graph *graph;
  const Plan *plan;
  const bool *again;
  Arena *scratch;
  Node **clone;     /* by node id */
  NodeList *bucket; /* by kernel: what stands before its own nodes, in order */
  int now;          /* the kernel whose operands are being looked at */
  int groups;
} Clone;

static Node *copy_node(Clone *c, const Node *n) {
  Node *copy = ARENA_NEW(c->graph->arena, Node);
  *copy = *n;
  copy->in = ARENA_ARRAY(c->graph->arena, Node *, n->nin);
  if (n->nin) memcpy(copy->in, n->in, (size_t)n->nin * sizeof *n->in);
  return copy;
}

static bool is_again(const Clone *c, const Node *n) {
  return c->again[c->plan->memory[n->id].owner->id];
}

/* The members that the values to be computed again need; operands inside the kernel by id, so one
 * walk backwards meets every user first. */
static NodeList needed_members(Clone *c, int group) {
  const PlanGroup *g = &c->plan->groups[group];
  bool *needed = ARENA_ARRAY(c->scratch, bool, g->members.count + 1);
  for (int i = g->members.count - 1; i >= 0; i--) {
    const Node *n = g->members.at[i];
    needed[i] |= c->again[n->id];
    for (int k = 0; needed[i] && k < n->nin; k++)
      for (int j = 0; j < i; j++) needed[j] |= g->members.at[j] == n->in[k];
  }
  NodeList list = {0};
  for (int i = 0; i < g->members.count; i++)
    if (needed[i]) vec_push(c->scratch, &list, g->members.at[i]);
  return list;
}

static Node *late_value(Clone *c, Node *n);

/* As deep as the longest chain of kernels to be computed again, which the pass bounds. */
static void instantiate(Clone *c, int group) {
  NodeList members = needed_members(c, group);
  NodeList copies = {0};
  for (int i = 0; i < members.count; i++) {
    Node *n = members.at[i], *copy = copy_node(c, n);
    for (int k = 0; k < n->nin; k++)
      copy->in[k] =
          n->in[k] && n->in[k]->group == group ? c->clone[n->in[k]->id] : late_value(c, n->in[k]);
    c->clone[n->id] = copy;
    vec_push(c->scratch, &copies, copy);
  }
  c->groups++;
  for (int i = 0; i < copies.count; i++) {
    copies.at[i]->group = c->groups;
    vec_push(c->scratch, &c->bucket[c->now], copies.at[i]);
  }
}

/* What stands for n after the boundary: n itself, its second instance, or a view of that. */
static Node *late_value(Clone *c, Node *n) {
  if (!n || !is_again(c, n)) return n;
  Node **clone = &c->clone[n->id];
  if (*clone) return *clone;
  if (!memory_is_view(&c->plan->memory[n->id], n)) {
    instantiate(c, n->group);
    return *clone;
  }
  Node *in = late_value(c, n->in[0]);
  *clone = copy_node(c, n);
  (*clone)->in[0] = in;
  vec_push(c->scratch, &c->bucket[c->now], *clone);
  return *clone;
}

static void redirect(Clone *c, int boundary) {
  for (c->now = boundary + 1; c->now <= c->plan->ngroups; c->now++) {
    const PlanGroup *g = &c->plan->groups[c->now];
    for (int i = 0; i < g->members.count; i++)
      for (int k = 0; k < g->members.at[i]->nin; k++)
        g->members.at[i]->in[k] = late_value(c, g->members.at[i]->in[k]);
  }
}

/* Views stand with what they are views of. */
static void sort_nodes(Clone *c) {
  Graph *g = c->graph;
  for (int i = 0; i < g->nodes.count; i++) {
    int owner = c->plan->memory[i].owner->group;
    vec_push(c->scratch, &c->bucket[owner], g->nodes.at[i]);
  }
  g->nodes.count = 0;
  for (int k = 0; k <= c->plan->ngroups; k++)
    for (int i = 0; i < c->bucket[k].count; i++) {
      Node *n = c->bucket[k].at[i];
      vec_push(g->arena, &g->nodes, n);
      n->id = g->nodes.count - 1;
    }
}

void recompute_clone(Graph *g, const Plan *p, const bool *again, int boundary, Arena *scratch) {
  Clone c = {.graph = g, .plan = p, .again = again, .scratch = scratch, .groups = p->ngroups};
  c.clone = ARENA_ARRAY(scratch, Node *, g->nodes.count + 1);
  c.bucket = ARENA_ARRAY(scratch, NodeList, p->ngroups + 1);
  redirect(&c, boundary);
  sort_nodes(&c);
  ir_tidy(g); /* views that nothing reads any more */
}
