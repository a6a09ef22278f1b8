/* Products of matrices: see matmul.h for the forms, matmul_plan.c for the choice. */
#include "codegen/matmul.h"

KernelList kernel_matmul(Cg *cg, const MatmulSpec *spec) {
  Matmul mm;
  KernelList out = {0};
  matmul_plan(cg, spec, &mm);
  out.stage[out.count++] = mm.form == FORM_DOT ? matmul_emit_dot(cg, &mm) : matmul_emit_broadcast(cg, &mm);
  if (mm.partial) out.scratch_bytes = mm.batch * mm.m * mm.n * cg->real_bytes;
  return out;
}
