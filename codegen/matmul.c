/* Products of matrices, kept by everything that their code depends on: see matmul.h for the forms,
 * matmul_plan.c for the choice. */
#include "codegen/matmul.h"
#include "codegen/spec.h"

static const char *matmul_key(Cg *cg, const MatmulSpec *s) {
  Str key = str_new(cg->arena);
  const Extent extent[] = {s->m, s->n, s->k, s->batch[0], s->batch[1], s->batch[2]};
  str_printf(&key, "matmul %d %d", s->nbatch, s->scratch);
  for (int i = 0; i < 3 + s->nbatch; i++)
    str_printf(&key, " %lld+%lld", (long long)extent[i].each, (long long)extent[i].fixed);
  spec_view_text(&key, &s->a, s->nbatch + 2);
  spec_view_text(&key, &s->b, s->nbatch + 2);
  spec_view_text(&key, &s->c, s->nbatch + 2);
  if (s->epilogue) spec_text(&key, s->epilogue);
  return key.text;
}

static KernelList emit_product(Cg *cg, const MatmulSpec *spec) {
  Matmul mm;
  KernelList out = {0};
  matmul_plan(cg, spec, &mm);
  out.stage[out.count++] =
      mm.form == FORM_DOT ? matmul_emit_dot(cg, &mm) : matmul_emit_broadcast(cg, &mm);
  if (mm.partial) out.scratch_bytes = mm.batch * mm.m * mm.n * cg->real_bytes;
  return out;
}

KernelList kernel_matmul(Cg *cg, const MatmulSpec *spec) {
  const char *key = matmul_key(cg, spec);
  const KernelList *kept = cg_kernel_find(cg, key);
  if (kept) return *kept;
  KernelList *list = ARENA_NEW(cg->arena, KernelList);
  *list = emit_product(cg, spec);
  cg_kernel_keep(cg, key, list);
  return *list;
}
