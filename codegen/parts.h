/* -j: machine code for one module on several threads. */
#ifndef DLC_CODEGEN_PARTS_H
#define DLC_CODEGEN_PARTS_H

#include "codegen/cg.h"

/* Emits the optimised module as `parts` object files, each by a thread of its own; `paths` names
 * them. Internal functions and constants become hidden symbols that the parts share. False with
 * *why set. */
bool parts_emit(Cg *cg, int parts, const char *const *paths, const char **why);

#endif
