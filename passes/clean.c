/* pass clean: simplify again, after what lower made. */
#include "passes/pass.h"

void pass_clean(Graph *g, Arena *scratch, const PassOptions *options) {
  pass_simplify(g, scratch, options);
}
