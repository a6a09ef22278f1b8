/* The plain operations of the Emit table: each is one LLVM instruction on vectors. No fast-math
 * flags: NaN, infinities and signed zeros are IEEE's. */
#include "codegen/vecmath.h"

#define M(e) ((VecMath *)(e))
#define B(e) (M(e)->cg->builder)
#define OUT(v) vecmath_out(v)
#define IN(v) vecmath_in(v)

static EmitValue constant(Emit *e, double x) {
  return IN(cg_splat(M(e)->cg, cg_real(M(e)->cg, x), M(e)->lanes));
}

static EmitValue add(Emit *e, EmitValue a, EmitValue b) {
  return IN(LLVMBuildFAdd(B(e), OUT(a), OUT(b), ""));
}
static EmitValue sub(Emit *e, EmitValue a, EmitValue b) {
  return IN(LLVMBuildFSub(B(e), OUT(a), OUT(b), ""));
}
static EmitValue mul(Emit *e, EmitValue a, EmitValue b) {
  return IN(LLVMBuildFMul(B(e), OUT(a), OUT(b), ""));
}
static EmitValue divide(Emit *e, EmitValue a, EmitValue b) {
  return IN(LLVMBuildFDiv(B(e), OUT(a), OUT(b), ""));
}
static EmitValue neg(Emit *e, EmitValue a) { return IN(LLVMBuildFNeg(B(e), OUT(a), "")); }

static EmitValue fused(Emit *e, EmitValue a, EmitValue b, EmitValue c) {
  return IN(cg_fma(M(e)->cg, OUT(a), OUT(b), OUT(c)));
}

static EmitValue intrinsic(Emit *e, const char *name, int n, LLVMValueRef *args) {
  return IN(cg_call(M(e)->cg, name, 1, &M(e)->type, n, args));
}

static EmitValue absolute(Emit *e, EmitValue a) {
  return intrinsic(e, "llvm.fabs", 1, (LLVMValueRef[]){OUT(a)});
}
static EmitValue root(Emit *e, EmitValue a) {
  return intrinsic(e, "llvm.sqrt", 1, (LLVMValueRef[]){OUT(a)});
}

static EmitValue sign_of(Emit *e, EmitValue magnitude, EmitValue sign) {
  return intrinsic(e, "llvm.copysign", 2, (LLVMValueRef[]){OUT(magnitude), OUT(sign)});
}

static EmitValue compare(Emit *e, LLVMRealPredicate p, EmitValue a, EmitValue b) {
  return IN(LLVMBuildFCmp(B(e), p, OUT(a), OUT(b), ""));
}
static EmitValue less(Emit *e, EmitValue a, EmitValue b) { return compare(e, LLVMRealOLT, a, b); }
static EmitValue less_equal(Emit *e, EmitValue a, EmitValue b) {
  return compare(e, LLVMRealOLE, a, b);
}
static EmitValue equal(Emit *e, EmitValue a, EmitValue b) { return compare(e, LLVMRealOEQ, a, b); }
static EmitValue not_equal(Emit *e, EmitValue a, EmitValue b) {
  return compare(e, LLVMRealUNE, a, b);
}

static EmitValue choose(Emit *e, EmitValue mask, EmitValue a, EmitValue b) {
  return IN(LLVMBuildSelect(B(e), OUT(mask), OUT(a), OUT(b), ""));
}

static const Emit table = {
    .constant = constant,
    .add = add,
    .sub = sub,
    .mul = mul,
    .div = divide,
    .neg = neg,
    .fma = fused,
    .abs = absolute,
    .sqrt = root,
    .copysign = sign_of,
    .less = less,
    .less_equal = less_equal,
    .equal = equal,
    .not_equal = not_equal,
    .select = choose,
    .exp = vecmath_exp,
    .expm1 = vecmath_expm1,
    .log = vecmath_log,
    .log1p = vecmath_log1p,
    .tanh = vecmath_tanh,
    .erf = vecmath_erf,
};

VecMath vecmath_new(Cg *cg, int lanes) {
  return (VecMath){.emit = table,
                   .cg = cg,
                   .lanes = lanes,
                   .type = cg_vector(cg, cg->real, lanes),
                   .itype = cg_vector(cg, cg->real_bytes == 8 ? cg->i64 : cg->i32, lanes)};
}
