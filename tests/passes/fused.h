/* What the tests of the fuse pass share: graphs fused, with remarks, and what lies in which kernel.
 */
#ifndef DLC_TESTS_PASSES_FUSED_H
#define DLC_TESTS_PASSES_FUSED_H

#include "tests/passes/fixture.h"

#include "passes/memory.h"
#include "passes/plan.h"

typedef struct {
  Graph *graph;
  Diags *diags;
} Fused;

/* Layout and fuse at a level; remarks kept. Nodes with a label get a place, so that they are
 * remarked on. */
static inline Fused fused_at(Arena *a, const char *body, int level) {
  Fused f = {.graph = parse(a, arena_printf(a, "graph g {\n%s}\n", body))};
  PassOptions o = options_for(a, f.graph);
  o.level = level;
  o.remarks = true;
  f.diags = o.diags;
  for (int i = 0; i < f.graph->nodes.count; i++)
    if (f.graph->nodes.at[i]->label) f.graph->nodes.at[i]->span = (Span){1, i + 1, 1, i + 1, 2};
  assert_true(pipeline_passes(f.graph, "layout,fuse", &o));
  assert_int_equal(o.diags->errors, 0);
  return f;
}

static inline Fused fused(Arena *a, const char *body) { return fused_at(a, body, 2); }

static inline int group(Fused f, const char *label) { return labelled(f.graph, label)->group; }

static inline void assert_together(Fused f, const char *x, const char *y) {
  assert_int_not_equal(group(f, x), 0);
  if (group(f, x) != group(f, y))
    fail_msg("%s in kernel %d, %s in %d", x, group(f, x), y, group(f, y));
}

static inline void assert_apart(Fused f, const char *x, const char *y) {
  assert_int_not_equal(group(f, x), 0);
  assert_int_not_equal(group(f, y), 0);
  if (group(f, x) == group(f, y)) fail_msg("%s and %s both in kernel %d", x, y, group(f, x));
}

static inline void assert_remark(Fused f, const char *label, const char *words) {
  const Node *n = labelled(f.graph, label);
  for (int i = 0; i < f.diags->list.count; i++) {
    const Diag *d = &f.diags->list.at[i];
    if (d->level == DIAG_REMARK && d->span.line == n->span.line && strstr(d->text, words)) return;
  }
  fail_msg("no remark on %s says '%s'", label, words);
}

static inline bool is_stored(Arena *a, Fused f, const char *label) {
  return plan_read(f.graph, a, 4)->stored[labelled(f.graph, label)->id];
}

static inline bool group_has(const Graph *g, int group, Op op) {
  for (int i = 0; i < g->nodes.count; i++)
    if (g->nodes.at[i]->group == group && g->nodes.at[i]->op == op) return true;
  return false;
}

#define ROWS                                                     \
  " %0 = input {name=\"x\", shape=[6,8], elem=\"f32\"} !x\n"     \
  " %1 = input {name=\"z\", shape=[6,8], elem=\"f32\"} !z\n"     \
  " %2 = param {name=\"w\", shape=[8,8], init=constant(0)} !w\n" \
  " %3 = param {name=\"b\", shape=[8], init=constant(0)} !b\n"
#define DOT(x, w) "dot_general(" x ", " w ") {contract_a=[1], contract_b=[0]}"

#endif
