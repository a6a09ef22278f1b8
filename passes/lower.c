/* pass lower: FORMULA ops, which were differentiated as themselves, into what computes them.
 *
 * Needs: grad done. Makes: only LEAF, ELEMENTWISE and PRIMITIVE nodes. */
#include "passes/expand.h"
#include "passes/pass.h"

void pass_lower(Graph *g, Arena *scratch, const PassOptions *options) {
  (void)options;
  Program p = pass_program(g);
  expand_nodes(g, p == PROGRAM_TRAIN || p == PROGRAM_GRAD, true, scratch);
}
