/* What the plan pass decided, read back from an annotated graph by codegen, by --emit=plan and by
 * the checker. */
#ifndef DLC_PASSES_PLAN_H
#define DLC_PASSES_PLAN_H

#include "passes/memory.h"
#include "passes/pipeline.h"

/* One kernel, in execution order. */
typedef struct {
  VEC(Node *) members; /* by id */
} PlanGroup;

typedef struct {
  Memory *memory; /* by node id */
  int ngroups;
  PlanGroup *groups; /* groups[1] .. groups[ngroups] */
  int cut;           /* groups 1..cut are the forward part; ngroups when there are no gradients */
  bool *stored;      /* by node id: the node's elements lie in memory, not only in registers */
  const Result **placed; /* by node id: the ASSIGN or GRAD result in whose target's memory it is
                            computed; or NULL */
  int64_t *start, *end;  /* by node id: first and last group during which its storage is live */
  int64_t peak;          /* bytes of the arena */
} Plan;

/* Reads the annotations of a planned graph. `real_bytes` is 4 or 8. In `a`. */
Plan *plan_read(const Graph *g, Arena *a, int real_bytes);

/* The last kernel that the loss, a metric or an output needs. */
int plan_boundary(const Graph *g, const Plan *p);

/* What is wrong with a plan, as text: two nodes whose storage overlaps while both are live, a node
 * that runs before what it reads, a parameter read after it was overwritten; NULL for nothing.
 * Works from the annotations alone. */
const char *plan_check(const Graph *g, Arena *scratch, int real_bytes);

int64_t plan_bytes(const Node *n, int64_t batch,
                   int real_bytes); /* of n's storage, rounded up to 64 */

/* The lowest offset from `from` on at which `bytes` bytes lie free while kernel `group` runs:
 * scratch memory of that kernel. */
int64_t plan_gap(const Graph *g, const Plan *p, int group, int64_t from, int64_t bytes,
                 int real_bytes, Arena *scratch);

/* --emit=plan: a line a kernel with its results and their places; then the peak. */
void plan_print(const Graph *g, Str *out, Arena *scratch, int real_bytes);
/* The same as an SVG picture; `arena` bytes are its height. */
void plan_svg(const Graph *g, int64_t arena, Str *out, Arena *scratch, int real_bytes);

#endif
