/* Shorthand for writing the transcendentals: values are LLVM's, `m` is the VecMath. */
#ifndef DLC_CODEGEN_VECMATH_POLY_H
#define DLC_CODEGEN_VECMATH_POLY_H

#include "codegen/vecmath.h"

typedef LLVMValueRef V;
typedef struct {
  int n;
  const double *c; /* c[0] + c[1] x + ... */
} Poly;
#define POLY(array) {(int)(sizeof(array) / sizeof *(array)), array}

static inline V k_(VecMath *m, double x) { return vecmath_out(m->emit.constant(&m->emit, x)); }
static inline V add_(VecMath *m, V a, V b) { return LLVMBuildFAdd(m->cg->builder, a, b, ""); }
static inline V sub_(VecMath *m, V a, V b) { return LLVMBuildFSub(m->cg->builder, a, b, ""); }
static inline V mul_(VecMath *m, V a, V b) { return LLVMBuildFMul(m->cg->builder, a, b, ""); }
static inline V div_(VecMath *m, V a, V b) { return LLVMBuildFDiv(m->cg->builder, a, b, ""); }
static inline V neg_(VecMath *m, V a) { return LLVMBuildFNeg(m->cg->builder, a, ""); }
static inline V fma_(VecMath *m, V a, V b, V c) { return cg_fma(m->cg, a, b, c); }
static inline V abs_(VecMath *m, V a) { return vecmath_out(m->emit.abs(&m->emit, vecmath_in(a))); }
static inline V less_(VecMath *m, V a, V b) {
  return LLVMBuildFCmp(m->cg->builder, LLVMRealOLT, a, b, "");
}
static inline V select_(VecMath *m, V mask, V a, V b) {
  return LLVMBuildSelect(m->cg->builder, mask, a, b, "");
}
/* The lesser of x and a constant, and the greater; NaN stays. Written so that each is one min or
 * max instruction. */
static inline V most_(VecMath *m, V x, double hi) {
  return select_(m, less_(m, k_(m, hi), x), k_(m, hi), x);
}
static inline V least_(VecMath *m, V x, double lo) {
  return select_(m, LLVMBuildFCmp(m->cg->builder, LLVMRealOGT, k_(m, lo), x, ""), k_(m, lo), x);
}
static inline V sign_(VecMath *m, V magnitude, V sign) {
  return vecmath_out(m->emit.copysign(&m->emit, vecmath_in(magnitude), vecmath_in(sign)));
}
static inline V bits_(VecMath *m, V x) { return LLVMBuildBitCast(m->cg->builder, x, m->itype, ""); }
static inline V real_(VecMath *m, V i) { return LLVMBuildBitCast(m->cg->builder, i, m->type, ""); }
static inline V ik_(VecMath *m, uint64_t x) {
  LLVMTypeRef t = m->cg->real_bytes == 8 ? m->cg->i64 : m->cg->i32;
  return cg_splat(m->cg, LLVMConstInt(t, x, false), m->lanes);
}
static inline V iadd_(VecMath *m, V a, V b) { return LLVMBuildAdd(m->cg->builder, a, b, ""); }
static inline V iand_(VecMath *m, V a, V b) { return LLVMBuildAnd(m->cg->builder, a, b, ""); }
static inline V horner_(VecMath *m, const Poly *p, V x) {
  V sum = k_(m, p->c[p->n - 1]);
  for (int i = p->n - 2; i >= 0; i--) sum = fma_(m, sum, x, k_(m, p->c[i]));
  return sum;
}
static inline bool wide_(const VecMath *m) { return m->cg->real_bytes == 8; }

/* exp of x, which must lie where neither the result nor 2^n of its reduction leaves the normal
 * range. */
V vecmath_exp_inside(VecMath *m, V x);

#endif
