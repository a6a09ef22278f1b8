/* The Emit table of ir/emit.h on LLVM vectors of the real type, with polynomials for the
 * transcendentals. */
#ifndef DLC_CODEGEN_VECMATH_H
#define DLC_CODEGEN_VECMATH_H

#include "codegen/cg.h"
#include "ir/emit.h"

typedef struct {
  Emit emit; /* first: an Emit * is a VecMath * */
  Cg *cg;
  int lanes;
  LLVMTypeRef type, itype; /* vectors of reals, and of integers as wide */
} VecMath;

VecMath vecmath_new(Cg *cg, int lanes);

static inline EmitValue vecmath_in(LLVMValueRef v) { return (EmitValue)v; }
static inline LLVMValueRef vecmath_out(EmitValue v) { return (LLVMValueRef)v; }

/* The transcendentals, each in the file of its family (vecmath_exp.c, vecmath_log.c). */
EmitValue vecmath_exp(Emit *e, EmitValue x);
EmitValue vecmath_expm1(Emit *e, EmitValue x);
EmitValue vecmath_tanh(Emit *e, EmitValue x);
EmitValue vecmath_erf(Emit *e, EmitValue x);
EmitValue vecmath_log(Emit *e, EmitValue x);
EmitValue vecmath_log1p(Emit *e, EmitValue x);

#endif
