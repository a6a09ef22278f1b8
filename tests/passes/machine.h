/* A machine that runs planned graphs: blocks of memory remember which node wrote them, and every
 * read must find the node that it wants. */
#ifndef DLC_TESTS_PASSES_MACHINE_H
#define DLC_TESTS_PASSES_MACHINE_H

#include "tests/passes/fixture.h"

#include "passes/plan.h"

enum { BLOCK = 64, REAL = 4 };

typedef struct {
  const Graph *graph;
  const Plan *plan;
  const Node **block; /* of the arena */
  bool *overwritten;  /* by id of a parameter */
} Machine;

static inline void must_hold(const Machine *m, const Node *owner, const char *who) {
  const Result *placed = m->plan->placed[owner->id];
  if (!owner->group) {
    if (m->overwritten[owner->id])
      fail_msg("%s reads parameter %d after it was overwritten", who, owner->id);
    return;
  }
  if (placed) return; /* in memory of its own, written once */
  int64_t from = owner->offset / BLOCK,
          count = plan_bytes(owner, m->graph->train.batch, REAL) / BLOCK;
  assert_true(owner->offset >= 0 && owner->offset % BLOCK == 0);
  for (int64_t i = from; i < from + count; i++)
    if (m->block[i] != owner) fail_msg("%s reads %%%d, which is not there", who, owner->id);
}

static inline void run_kernel(Machine *m, int k) {
  const PlanGroup *g = &m->plan->groups[k];
  for (int i = 0; i < g->members.count; i++)
    for (int j = 0; j < g->members.at[i]->nin; j++) {
      const Node *in = g->members.at[i]->in[j], *owner = in ? m->plan->memory[in->id].owner : NULL;
      if (owner && owner->group != k) must_hold(m, owner, op_info[g->members.at[i]->op].name);
    }
  for (int i = 0; i < g->members.count; i++) {
    const Node *n = g->members.at[i];
    const Result *placed = m->plan->placed[n->id];
    if (placed && placed->kind == RESULT_ASSIGN) m->overwritten[placed->target->id] = true;
    if (placed || !m->plan->stored[n->id]) continue;
    for (int64_t b = 0; b < plan_bytes(n, m->graph->train.batch, REAL) / BLOCK; b++)
      m->block[n->offset / BLOCK + b] = n;
  }
  for (int i = 0; i < g->members.count; i++) /* what one kernel stores does not overlap */
    if (m->plan->stored[g->members.at[i]->id]) must_hold(m, g->members.at[i], "its own kernel");
}

static inline void copy_results(const Machine *m, bool gradients) {
  for (int i = 0; i < m->graph->results.count; i++) {
    const Result *r = &m->graph->results.at[i];
    if ((r->kind == RESULT_GRAD) == gradients)
      must_hold(m, m->plan->memory[r->node->id].owner, "a result");
  }
}

/* Returns the number of kernels. */
static inline int simulate(Arena *a, const Graph *g) {
  const char *wrong = plan_check(g, a, REAL);
  if (wrong) fail_msg("%s", wrong);
  Machine m = {.graph = g, .plan = plan_read(g, a, REAL)};
  m.block = ARENA_ARRAY(a, const Node *, m.plan->peak / BLOCK + 1);
  m.overwritten = ARENA_ARRAY(a, bool, g->nodes.count + 1);
  for (int k = 1; k <= m.plan->ngroups; k++) {
    run_kernel(&m, k);
    if (k == m.plan->cut) copy_results(&m, false);
  }
  if (!m.plan->cut) copy_results(&m, false);
  copy_results(&m, true);
  return m.plan->ngroups;
}

#endif
