/* pass clean: simplify again, after what lower made, with the rewrites of the lowered graph. */
#include "passes/pass.h"
#include "passes/simplify.h"

void pass_clean(Graph *g, Arena *scratch, const PassOptions *options) {
  (void)options;
  simplify_graph(g, scratch, true);
}
