/* The form of a pass, and the prototypes of all of them, from passes.def. */
#ifndef DLC_PASSES_PASS_H
#define DLC_PASSES_PASS_H

#include "ir/op.h"
#include "passes/pipeline.h"

/* Changes g in place. `scratch` is freed after the pass. Errors go to options->diags. */
typedef void Pass(Graph *g, Arena *scratch, const PassOptions *options);

#define PASS(name, level, meaning) Pass pass_##name;
#include "passes/passes.def"
#undef PASS

/* What g->program names; PROGRAM_COUNT when it is NULL (a graph as the frontend built it). */
Program pass_program(const Graph *g);

/* Whether s has a part in the update of a model: "infer", "evaluate" have none. */
static inline bool program_trains(Program p) { return p == PROGRAM_TRAIN || p == PROGRAM_APPLY; }
static inline bool program_has_grads(Program p) {
  return p == PROGRAM_GRAD || p == PROGRAM_GRAD_EVAL;
}

#endif
