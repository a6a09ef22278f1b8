/* The kernels of a fused graph and what each must wait for. Inner header of the plan pass. */
#ifndef DLC_PASSES_PLAN_GROUPS_H
#define DLC_PASSES_PLAN_GROUPS_H

#include "passes/plan.h"

typedef struct {
  VEC(Node *) members;
  VEC(int) after;  /* groups that must have run */
  bool forward;    /* needed by a result that is no gradient */
  bool updates;    /* stores a new parameter or buffer value in its place */
  int first_id;
} GroupInfo;

typedef struct {
  Graph *graph;
  Arena *scratch;
  Memory *memory;
  int count;
  GroupInfo *at;           /* at[1] .. at[count] */
  const Result **placed;   /* by node id */
} Groups;

Groups *groups_build(Graph *g, Arena *scratch);
void groups_unplace(Groups *s, int group); /* its results go to the arena, to be copied at the end */

/* By node id: the ASSIGN or GRAD result in whose target's memory the node's value is computed, or NULL. A node
 * whose offset is not -1 is not placed. */
const Result **placement_map(const Graph *g, const Memory *memory, Arena *a);

/* Every read of `owner` in the kernel of n (members given) is at the element of n that is being written. */
bool reads_in_step(const Memory *memory, Node *const *members, int count, const Node *n, const Node *owner);
bool writes_in_step(const Node *n);

#endif
