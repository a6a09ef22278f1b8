#include "codegen/matmul.h"
Kernel matmul_emit_dot(Cg *cg, const Matmul *mm) { return matmul_emit_broadcast(cg, mm); }
