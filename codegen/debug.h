/* -g: line tables that name the .net file, so that gdb and perf show `mnist_cnn.net:9 conv1`.
 *
 * Every kernel becomes a subprogram named after the layer that it was first emitted for, at that
 * layer's line; every instruction of it has that line. In a program's function each call has the
 * line of its step. */
#ifndef DLC_CODEGEN_DEBUG_H
#define DLC_CODEGEN_DEBUG_H

#include <llvm-c/DebugInfo.h>

#include "codegen/cg.h"
#include "ir/ir.h"

typedef struct Debug Debug;

Debug *debug_new(Cg *cg, const Graph *source); /* NULL without -g */
void debug_finish(Debug *d);                   /* before the module is optimised; NULL is fine */

/* Functions added to the module since the last call that have no subprogram yet are the kernels of
 * g's node n. */
void debug_kernels(Debug *d, const Graph *g, const Node *n);
/* The function's instructions that have no line yet get n's; `name` is the subprogram's. */
void debug_function(Debug *d, LLVMValueRef function, const char *name, Span at);

#endif
