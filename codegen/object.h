/* From a finished module to machine code: verify, optimise once, emit. */
#ifndef DLC_CODEGEN_OBJECT_H
#define DLC_CODEGEN_OBJECT_H

#include "codegen/cg.h"

typedef enum { OBJECT_OBJ, OBJECT_ASM, OBJECT_LLVM, OBJECT_BITCODE } ObjectKind;

/* Runs the passes for the module's level. False with *why set when the module is not valid. */
bool object_optimise(Cg *cg, const char **why);

/* Writes the (optimised) module to a file. */
bool object_emit(Cg *cg, ObjectKind kind, const char *path, const char **why);

/* The same as machine code in memory (OBJ or ASM), to be freed with LLVMDisposeMemoryBuffer; NULL
 * with *why. */
LLVMMemoryBufferRef object_memory(Cg *cg, ObjectKind kind, const char **why);

/* Calls `handler` before LLVM ends the process with an error of its own. */
void object_on_fatal(void (*handler)(const char *reason));

#endif
