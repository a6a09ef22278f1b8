/* The kernels of a fused graph and what each must wait for. Inner header of the plan pass. */
#ifndef DLC_PASSES_PLAN_GROUPS_H
#define DLC_PASSES_PLAN_GROUPS_H

#include "passes/plan.h"

typedef VEC(int) IntList;

typedef struct {
  IntList after;   /* groups whose results it reads; may name one twice */
  IntList readers; /* groups that read what it overwrites: they must have run, unless it gives up
                      its place */
  bool forward;    /* needed by a result that is no gradient */
  bool updates;    /* stores a new parameter or buffer value in its place */
  int first_id;
} GroupInfo;

typedef struct {
  Graph *graph;
  Arena *scratch;
  Memory *memory;
  int count;
  PlanGroup *members;    /* members[1] .. members[count] */
  GroupInfo *at;         /* at[1] .. at[count] */
  const Result **placed; /* by node id */
} Groups;

Groups *groups_build(Graph *g, Arena *scratch);
/* New numbers, by old, in an order that respects all waiting. Where groups that overwrite
 * parameters wait for each other in a circle, one gives up its place: its results go to the arena,
 * to be copied at the end. */
int *groups_order(Groups *s);
/* The same from `number`, changed where less lives at once that way. */
int *groups_search(Groups *s, const int *number, int real_bytes);

/* The members of each group, by id; *count is the largest number of a group. */
PlanGroup *groups_members(const Graph *g, int *count, Arena *a);

/* By node id: the ASSIGN or GRAD result in whose target's memory the node's value is computed, or
 * NULL. A node whose offset is not -1 is not placed. */
const Result **placement_map(const Graph *g, const Memory *memory, const PlanGroup *groups,
                             Arena *a);

/* Every read of `owner` in g, which is n's kernel, is at the element of n that is being written. */
bool reads_in_step(const Memory *memory, const PlanGroup *g, const Node *n, const Node *owner);
bool writes_in_step(const Node *n);

#endif
