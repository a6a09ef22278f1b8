/* IR text of a small graph through a whole pipeline, as dlc takes it: a planned graph that
 * verifies, or an error. */
#include <string.h>

#include "passes/pipeline.h"
#include "targets.h"

enum { SMALL = 100000, NODES = 60 };

static bool is_small(const Graph *g) {
  int64_t total = 0;
  for (int i = 0; i < g->nodes.count && total < SMALL; i++)
    total += type_elements(&g->nodes.at[i]->type);
  return total < SMALL && g->nodes.count < NODES;
}

static bool has_loss(const Graph *g) {
  for (int i = 0; i < g->results.count; i++)
    if (g->results.at[i].kind == RESULT_LOSS) return true;
  return false;
}

int fuzz_passes(const uint8_t *data, size_t size) {
  Arena *a = arena_new();
  Diags *d = diags_new(a, sources_new(a));
  Graph *g = ir_parse(a, d, sources_add(d->sources, "fuzz.ir", (const char *)data, size));
  if (g && is_small(g)) {
    PassOptions o = {.level = size & 1 ? 3 : 0, .diags = d};
    Program p = has_loss(g) ? size & 2 ? PROGRAM_TRAIN : PROGRAM_GRAD : PROGRAM_INFER;
    Graph *made = pipeline_run(g, p, a, &o);
    const char *why = made ? ir_verify(made, a) : NULL;
    if (why) fuzz_broken(why);
    if (!made == !d->errors) fuzz_broken(made ? "a graph with errors" : "no graph and no error");
  }
  arena_free(a);
  return 0;
}
