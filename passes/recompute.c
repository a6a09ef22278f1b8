/* recompute: under a memory budget, values are computed a second time for the backward part instead
 * of being kept for it (rematerialisation; Chen et al. 2016 for chains of layers).
 *
 * The unit is the kernel: a second instance has the same members, operands and so the same bits. A
 * value is a candidate when a kernel up to the last of loss, metrics and outputs writes it and a
 * later one reads it. Candidates are ranked by the time that computing them again takes, with what
 * is gone by then, per byte that is freed. A trial drops those of the first `count` ranks whose
 * chain, all dropped values that they rest on, has at most `chain` bytes: that many come back at
 * once. Of a fixed grid of trials, each planned in full, the quickest that fits is refined and
 * taken; where none fits, the smallest.
 *
 * Needs: groups (fuse). Keeps: all values; the groups, some of them twice. Without a budget, or
 * where the plan fits it, changes nothing. */
#include "passes/recompute.h"

#include <stdlib.h>
#include <string.h>

#include "passes/cost.h"
#include "passes/pass.h"

enum { CHAIN_KERNELS = 1024, GRID_COUNTS = 6, GRID_CHAINS = 7, SMALL = 1024, REFINEMENTS = 6 };

typedef VEC(const Node *) NodeList;

typedef struct {
  const Node *node;
  int64_t bytes;
  double time_per_byte;
  int rank; /* among candidates */
} Candidate;

typedef struct {
  int count;     /* candidates that may be dropped */
  int64_t chain; /* bytes */
  int64_t peak;
  double time; /* of the second instances */
} Trial;

typedef struct {
  Graph *graph;
  const PassOptions *options;
  Plan *plan;
  Arena *scratch;
  int real_bytes, boundary;
  VEC(Candidate) candidates; /* in order of execution */
  int64_t total;             /* bytes of all candidates */
  bool *late, *dropped;      /* by node id */
  double *kernel_time;       /* by group */
  NodeList *reads;           /* by node id: owners outside its kernel that it is made of */
  /* of the walk along a chain */
  int *stamp, *group_stamp, walk;
  NodeList stack;
} Recompute;

static int64_t bytes_of(const Recompute *r, const Node *n) {
  return plan_bytes(n, r->graph->train.batch, r->real_bytes);
}

/* ---- what is kept for the backward part ---- */

static void find_late(Recompute *r) {
  for (int k = r->boundary + 1; k <= r->plan->ngroups; k++) {
    const PlanGroup *g = &r->plan->groups[k];
    for (int i = 0; i < g->members.count; i++)
      for (int j = 0; j < g->members.at[i]->nin; j++) {
        const Node *in = g->members.at[i]->in[j];
        const Node *owner = in ? r->plan->memory[in->id].owner : NULL;
        if (owner && owner->group && owner->group <= r->boundary) r->late[owner->id] = true;
      }
  }
  for (int i = 0; i < r->graph->nodes.count; i++)
    if (r->late[i] && !r->plan->placed[i]) r->total += bytes_of(r, r->graph->nodes.at[i]);
}

/* Too small to be worth a kernel, like the statistics of a normalisation. */
static bool is_small(const Recompute *r, const Node *n) {
  return bytes_of(r, n) < r->total / SMALL;
}

/* Is x there when the backward part asks for it? */
static bool is_kept(const Recompute *r, const Node *x) {
  return !x->group || r->plan->placed[x->id] || is_small(r, x) ||
         (r->late[x->id] && !r->dropped[x->id]);
}

/* ---- chains ---- */

static bool first_visit(int *stamp, int walk) {
  bool first = *stamp != walk;
  *stamp = walk;
  return first;
}

static void find_reads(Recompute *r, const Node *value) {
  NodeList *reads = &r->reads[value->id];
  r->walk++;
  r->stack.count = 0;
  vec_push(r->scratch, &r->stack, value);
  while (r->stack.count) {
    const Node *n = r->stack.at[--r->stack.count];
    for (int k = 0; k < n->nin; k++) {
      if (!n->in[k] || !first_visit(&r->stamp[n->in[k]->id], r->walk)) continue;
      if (n->in[k]->group == value->group)
        vec_push(r->scratch, &r->stack, n->in[k]);
      else
        vec_push(r->scratch, reads, r->plan->memory[n->in[k]->id].owner);
    }
  }
}

typedef struct {
  int64_t bytes;
  double time;
} Chain;

/* All that must be computed again for v, v included; marks it in `again` where that is given. A
 * chain of too many kernels counts as endless. */
static Chain walk_chain(Recompute *r, const Node *v, bool *again) {
  Chain c = {0};
  int kernels = 0;
  r->walk++;
  r->stack.count = 0;
  vec_push(r->scratch, &r->stack, v);
  r->stamp[v->id] = r->walk;
  while (r->stack.count) {
    const Node *n = r->stack.at[--r->stack.count];
    c.bytes += bytes_of(r, n);
    if (again) again[n->id] = true;
    if (first_visit(&r->group_stamp[n->group], r->walk)) {
      c.time += r->kernel_time[n->group];
      if (++kernels > CHAIN_KERNELS) return (Chain){INT64_MAX, 1e30};
    }
    for (int i = 0; i < r->reads[n->id].count; i++) {
      const Node *x = r->reads[n->id].at[i];
      if (is_kept(r, x) || !first_visit(&r->stamp[x->id], r->walk)) continue;
      vec_push(r->scratch, &r->stack, x);
    }
  }
  return c;
}

/* ---- candidates ---- */

static int by_time(const void *pa, const void *pb) {
  const Candidate *a = *(Candidate *const *)pa, *b = *(Candidate *const *)pb;
  if (a->time_per_byte != b->time_per_byte) return a->time_per_byte < b->time_per_byte ? -1 : 1;
  return a->node->id < b->node->id ? -1 : a->node->id > b->node->id;
}

static void rank_candidates(Recompute *r) {
  int n = r->candidates.count;
  Candidate **order = ARENA_ARRAY(r->scratch, Candidate *, n + 1);
  for (int i = 0; i < n; i++) order[i] = &r->candidates.at[i];
  qsort(order, (size_t)n, sizeof *order, by_time);
  for (int i = 0; i < n; i++) order[i]->rank = i;
}

static void find_candidates(Recompute *r) {
  for (int k = 1; k <= r->boundary; k++) {
    const PlanGroup *g = &r->plan->groups[k];
    r->kernel_time[k] = cost_kernel(r->graph, r->plan, k, r->real_bytes);
    for (int i = 0; i < g->members.count; i++) {
      const Node *n = g->members.at[i];
      if (!r->plan->stored[n->id]) continue;
      find_reads(r, n);
      if (!r->late[n->id] || r->plan->placed[n->id] || is_small(r, n)) continue;
      Chain c = walk_chain(r, n, NULL);
      if (c.bytes == INT64_MAX) continue;
      vec_push(r->scratch, &r->candidates,
               ((Candidate){n, bytes_of(r, n), c.time / (double)bytes_of(r, n), 0}));
    }
  }
  rank_candidates(r);
}

/* ---- trials ---- */

/* By node id: what a trial computes again. */
static bool *decide(Recompute *r, Trial *t) {
  bool *again = ARENA_ARRAY(r->scratch, bool, r->graph->nodes.count + 1);
  memset(r->dropped, 0, (size_t)r->graph->nodes.count);
  for (int i = 0; i < r->candidates.count; i++) {
    const Candidate *c = &r->candidates.at[i];
    if (c->rank < t->count && walk_chain(r, c->node, NULL).bytes <= t->chain)
      r->dropped[c->node->id] = true;
  }
  for (int i = 0; i < r->candidates.count; i++)
    if (r->dropped[r->candidates.at[i].node->id]) walk_chain(r, r->candidates.at[i].node, again);
  t->time = 0;
  for (int k = 1; k <= r->boundary; k++) {
    bool any = false;
    for (int i = 0; i < r->plan->groups[k].members.count; i++)
      any |= again[r->plan->groups[k].members.at[i]->id];
    if (any) t->time += r->kernel_time[k];
  }
  return again;
}

static PassOptions plan_options(const Recompute *r) {
  return (PassOptions){
      .level = r->options->level, .real_bytes = r->options->real_bytes, .diags = r->options->diags};
}

static Trial try(Recompute *r, int count, int64_t chain) {
  Trial t = {.count = count, .chain = chain};
  const bool *again = decide(r, &t);
  Arena *a = arena_new();
  Graph *copy = ir_copy(r->graph, a);
  recompute_clone(copy, plan_read(copy, a, r->real_bytes), again, r->boundary, a);
  PassOptions options = plan_options(r);
  pass_plan(copy, a, &options);
  t.peak = cost_arena(copy, plan_read(copy, a, r->real_bytes), r->real_bytes, a);
  arena_free(a);
  return t;
}

static bool is_better(const Trial *a, const Trial *b, int64_t budget) {
  if (!b->count) return true;
  bool a_fits = a->peak <= budget, b_fits = b->peak <= budget;
  if (a_fits != b_fits) return a_fits;
  if (!a_fits && a->peak != b->peak) return a->peak < b->peak;
  return a->time < b->time;
}

/* Fewer candidates may do as well. */
static Trial refine(Recompute *r, Trial best, int64_t budget) {
  int low = best.count - (r->candidates.count + GRID_COUNTS - 1) / GRID_COUNTS;
  if (low < 0) low = 0;
  for (int i = 0; i < REFINEMENTS && low + 1 < best.count; i++) {
    int middle = (low + best.count) / 2;
    Trial t = try(r, middle, best.chain);
    if (t.peak <= budget && t.time <= best.time)
      best = t;
    else
      low = middle;
  }
  return best;
}

static Trial search(Recompute *r, int64_t budget) {
  Trial best = {0};
  int64_t chain = r->total;
  for (int c = 0; c < GRID_CHAINS; c++, chain /= 2)
    for (int i = 1; i <= GRID_COUNTS; i++) {
      Trial t = try(r, (int)((int64_t)r->candidates.count * i / GRID_COUNTS), chain);
      if (is_better(&t, &best, budget)) best = t;
    }
  return best.peak <= budget ? refine(r, best, budget) : best;
}

void pass_recompute(Graph *g, Arena *scratch, const PassOptions *options) {
  if (!options || !options->memory_budget) return;
  int errors = options->diags ? options->diags->errors : 0;
  pass_plan(g, scratch, options);
  if (options->diags && options->diags->errors > errors) return;
  Recompute r = {.graph = g, .options = options, .scratch = scratch};
  r.real_bytes = options->real_bytes == 8 ? 8 : 4;
  r.plan = plan_read(g, scratch, r.real_bytes);
  int64_t peak = cost_arena(g, r.plan, r.real_bytes, scratch);
  if (peak <= options->memory_budget) return;
  int n = g->nodes.count + 1;
  r.boundary = plan_boundary(g, r.plan);
  r.late = ARENA_ARRAY(scratch, bool, n);
  r.dropped = ARENA_ARRAY(scratch, bool, n);
  r.kernel_time = ARENA_ARRAY(scratch, double, r.plan->ngroups + 1);
  r.group_stamp = ARENA_ARRAY(scratch, int, r.plan->ngroups + 1);
  r.reads = ARENA_ARRAY(scratch, NodeList, n);
  r.stamp = ARENA_ARRAY(scratch, int, n);
  find_late(&r);
  find_candidates(&r);
  if (!r.candidates.count) return;
  Trial best = search(&r, options->memory_budget);
  if (best.peak >= peak) return;
  recompute_clone(g, r.plan, decide(&r, &best), r.boundary, scratch);
}
