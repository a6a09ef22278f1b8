/* plan: the order in which kernels run, and where in the arena each result lies.
 *
 * Order: a kernel runs once what it reads is there; among those ready, kernels that store a new
 * parameter go first (their gradient dies at once), then the earliest in the graph; then kernels
 * move one at a time to where less lives at once. Gradient programs run all of the forward part
 * before the backward part. A new parameter value is written over the old one, after every reader
 * of the old one. Offsets: every storage lives from the kernel that writes it to the last one that
 * reads it; the largest are placed first, each at the lowest offset that is free for its whole
 * life. A sweep may write over an operand that dies there and is read at the same element only.
 *
 * Needs: order (layout) and groups (fuse). Keeps: the graph. Sets: group, renumbered in execution
 * order; offset. */
#include "passes/plan.h"

#include <stdlib.h>
#include <string.h>

#include "passes/cost.h"
#include "passes/pass.h"
#include "passes/plan_groups.h"

/* ---- offsets ---- */

typedef struct {
  Node *node;
  int64_t bytes, start, end, offset;
} Storage;

typedef struct {
  Graph *graph;
  Plan *plan;
  Arena *scratch;
  int real_bytes;
  bool in_place;
  int count;
  Storage
      *at; /* one a storage; nodes that share one by writing in place follow it through `root` */
  int *storage_of; /* by node id, -1 */
} Offsets;

/* The storage that n may write over, or -1. */
static int in_place(Offsets *o, Node *n) {
  if (!writes_in_step(n)) return -1;
  const PlanGroup *g = &o->plan->groups[n->group];
  for (int k = 0; k < g->members.count; k++)
    for (int i = 0; i < g->members.at[k]->nin; i++) {
      const Node *x = g->members.at[k]->in[i];
      const Node *owner = x ? o->plan->memory[x->id].owner : NULL;
      int s = owner ? o->storage_of[owner->id] : -1;
      if (s < 0 || owner->group == n->group || o->at[s].end != n->group) continue;
      if (o->at[s].bytes == plan_bytes(n, o->graph->train.batch, o->real_bytes) &&
          reads_in_step(o->plan->memory, g, n, owner))
        return s;
    }
  return -1;
}

static void add_storage(Offsets *o, Node *n) {
  int64_t end = o->plan->end[n->id];
  int s = o->in_place ? in_place(o, n) : -1;
  if (s < 0) {
    s = o->count++;
    o->at[s] = (Storage){.node = n,
                         .bytes = plan_bytes(n, o->graph->train.batch, o->real_bytes),
                         .start = o->plan->start[n->id],
                         .end = end};
  } else {
    o->at[s].end = end;
  }
  o->storage_of[n->id] = s;
}

static int by_size(const void *pa, const void *pb) {
  const Storage *a = *(Storage *const *)pa, *b = *(Storage *const *)pb;
  if (a->bytes != b->bytes) return a->bytes < b->bytes ? 1 : -1;
  return a->node->id < b->node->id ? -1 : a->node->id > b->node->id;
}

/* What a search for a gap reads of a storage: every pair is looked at, so they lie side by side. */
typedef struct {
  int64_t offset, behind, start, end;
} Taken;

/* The lowest gap among the storages already placed (sorted by offset) that are live together with
 * s. */
static int64_t lowest_gap(const Taken *placed, int count, const Storage *s) {
  int64_t at = 0;
  for (const Taken *p = placed; p < placed + count; p++) {
    if (p->end < s->start || s->end < p->start) continue;
    if (p->offset >= at + s->bytes) break;
    if (p->behind > at) at = p->behind;
  }
  return at;
}

/* Behind those at the same offset. */
static int place_of(const Taken *placed, int count, int64_t offset) {
  int low = 0, high = count;
  while (low < high) {
    int middle = low + (high - low) / 2;
    if (placed[middle].offset <= offset)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static void assign_offsets(Offsets *o) {
  Storage **order = ARENA_ARRAY(o->scratch, Storage *, o->count + 1);
  for (int i = 0; i < o->count; i++) order[i] = &o->at[i];
  qsort(order, (size_t)o->count, sizeof *order, by_size);
  Taken *placed = ARENA_ARRAY(o->scratch, Taken, o->count + 1);
  for (int i = 0; i < o->count; i++) {
    Storage *s = order[i];
    s->offset = lowest_gap(placed, i, s);
    int at = place_of(placed, i, s->offset);
    memmove(&placed[at + 1], &placed[at], (size_t)(i - at) * sizeof *placed);
    placed[at] = (Taken){s->offset, s->offset + s->bytes, s->start, s->end};
  }
}

static int by_group(const void *pa, const void *pb) {
  const Node *a = *(Node *const *)pa, *b = *(Node *const *)pb;
  if (a->group != b->group) return a->group < b->group ? -1 : 1;
  return a->id < b->id ? -1 : a->id > b->id;
}

static void place_all(Offsets *o) {
  Graph *g = o->graph;
  Node **nodes = ARENA_ARRAY(o->scratch, Node *, g->nodes.count + 1);
  int count = 0;
  for (int i = 0; i < g->nodes.count; i++)
    if (o->plan->stored[i] && !o->plan->placed[i]) nodes[count++] = g->nodes.at[i];
  qsort(nodes, (size_t)count, sizeof *nodes, by_group);
  for (int i = 0; i < count; i++) add_storage(o, nodes[i]);
  assign_offsets(o);
  for (int i = 0; i < count; i++) nodes[i]->offset = o->at[o->storage_of[nodes[i]->id]].offset;
}

/* ---- the pass ---- */

/* No sum of sizes overflows: that of all is within LIMIT_ARENA. */
static bool within_limit(const Graph *g, int real_bytes, Diags *d) {
  int64_t bytes = 0;
  for (int i = 0; i < g->nodes.count; i++) {
    const Node *n = g->nodes.at[i];
    bytes += plan_bytes(n, g->train.batch, real_bytes);
    if (bytes <= LIMIT_ARENA) continue;
    if (d) {
      diag_error(d, n->span, "up to here the values of a batch of %lld take more than 2^60 bytes",
                 (long long)g->train.batch);
      diag_note(d, (Span){0}, "smaller tensors or a smaller batch are needed");
    }
    return false;
  }
  return true;
}

typedef struct {
  Graph *graph;
  Arena *scratch;
  int real_bytes;
  bool in_place;
  int *group;      /* by node id: as fuse numbered it */
  int64_t *offset; /* by node id: what groups_order left there */
} Planning;

/* Offsets for the groups in this order. Returns the peak. */
static int64_t place_groups(const Planning *p, const int *number) {
  for (int i = 0; i < p->graph->nodes.count; i++) {
    p->graph->nodes.at[i]->group = number[p->group[i]];
    p->graph->nodes.at[i]->offset = p->offset[i];
  }
  Offsets o = {.graph = p->graph,
               .plan = plan_read(p->graph, p->scratch, p->real_bytes),
               .scratch = p->scratch,
               .real_bytes = p->real_bytes,
               .in_place = p->in_place};
  o.at = ARENA_ARRAY(p->scratch, Storage, p->graph->nodes.count + 1);
  o.storage_of = ARENA_ARRAY(p->scratch, int, p->graph->nodes.count + 1);
  for (int i = 0; i < p->graph->nodes.count; i++) o.storage_of[i] = -1;
  place_all(&o);
  return cost_arena(p->graph, plan_read(p->graph, p->scratch, p->real_bytes), p->real_bytes,
                    p->scratch);
}

/* What is shorter by parts may be longer as a whole, where it could be written in place before. */
static void plan_best(Planning *p, Groups *groups) {
  const int *number = groups_order(groups);
  for (int i = 0; i < p->graph->nodes.count; i++) p->offset[i] = p->graph->nodes.at[i]->offset;
  if (!p->in_place) {
    place_groups(p, number);
    return;
  }
  const int *better = groups_search(groups, number, p->real_bytes);
  int64_t peak = place_groups(p, number);
  if (place_groups(p, better) > peak) place_groups(p, number);
}

void pass_plan(Graph *g, Arena *scratch, const PassOptions *options) {
  Planning p = {.graph = g,
                .scratch = scratch,
                .real_bytes = options && options->real_bytes == 8 ? 8 : 4,
                .in_place = !options || options->level > 0};
  if (!within_limit(g, p.real_bytes, options ? options->diags : NULL)) return;
  p.group = ARENA_ARRAY(scratch, int, g->nodes.count + 1);
  p.offset = ARENA_ARRAY(scratch, int64_t, g->nodes.count + 1);
  for (int i = 0; i < g->nodes.count; i++) {
    p.group[i] = g->nodes.at[i]->group;
    g->nodes.at[i]->offset = -1;
  }
  plan_best(&p, groups_build(g, scratch));
  const char *overlap = plan_check(g, scratch, p.real_bytes);
  if (overlap && options && options->diags)
    diag_error(options->diags, (Span){0}, "internal: plan: %s", overlap);
}
