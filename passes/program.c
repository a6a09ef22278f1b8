/* The programs of an artifact, by name. */
#include <string.h>

#include "passes/pass.h"

const char *const program_name[PROGRAM_COUNT] = {
    [PROGRAM_INFER] = "infer", [PROGRAM_EVALUATE] = "evaluate",   [PROGRAM_TRAIN] = "train",
    [PROGRAM_GRAD] = "grad",   [PROGRAM_GRAD_EVAL] = "grad_eval", [PROGRAM_APPLY] = "apply",
};

Program pass_program(const Graph *g) {
  int p = 0;
  while (p < PROGRAM_COUNT && (!g->program || strcmp(g->program, program_name[p]))) p++;
  return (Program)p;
}
