#include "codegen/accumulate.h"

#include <math.h>

static bool is_wide(ReduceKind kind) { return kind == REDUCE_WIDE || kind == REDUCE_VAR; }

double accumulate_identity(ReduceKind kind) {
  return kind == REDUCE_MAX ? -INFINITY : kind == REDUCE_MIN ? INFINITY : 0;
}

LLVMTypeRef accumulate_type(const Cg *cg, ReduceKind kind, bool narrow) {
  return is_wide(kind) || (!narrow && kind == REDUCE_SUM) ? cg->f64 : cg->real;
}

int accumulate_registers(const Cg *cg, ReduceKind kind) {
  return is_wide(kind) ? 8 / cg->real_bytes : 1;
}

LLVMValueRef accumulate_initial(Cg *cg, ReduceKind kind, bool narrow, int lanes) {
  LLVMTypeRef type = accumulate_type(cg, kind, narrow);
  return cg_splat(cg, LLVMConstReal(type, accumulate_identity(kind)), lanes);
}

LLVMValueRef accumulate_nothing(Cg *cg, ReduceKind kind, int lanes) {
  return cg_splat(cg, cg_real(cg, accumulate_identity(kind)), lanes);
}

/* NaN in either operand stays. */
LLVMValueRef accumulate_combine(Cg *cg, ReduceKind kind, LLVMValueRef acc, LLVMValueRef v) {
  LLVMBuilderRef b = cg->builder;
  if (kind != REDUCE_MAX && kind != REDUCE_MIN) return LLVMBuildFAdd(b, acc, v, "");
  LLVMValueRef better =
      LLVMBuildFCmp(b, kind == REDUCE_MAX ? LLVMRealOGT : LLVMRealOLT, v, acc, "");
  LLVMValueRef best = LLVMBuildSelect(b, better, v, acc, "");
  return LLVMBuildSelect(b, LLVMBuildFCmp(b, LLVMRealUNO, v, v, ""), v, best, "");
}

static LLVMValueRef as_type(Cg *cg, LLVMValueRef v, LLVMTypeRef element, int lanes) {
  LLVMTypeRef type = cg_vector(cg, element, lanes);
  return LLVMTypeOf(v) == type ? v : LLVMBuildFPExt(cg->builder, v, type, "");
}

LLVMValueRef accumulate_term(Cg *cg, ReduceKind kind, LLVMValueRef acc, LLVMValueRef v, int lanes) {
  if (is_wide(kind)) v = as_type(cg, v, cg->f64, lanes);
  return kind == REDUCE_VAR ? cg_fma(cg, v, v, acc) : accumulate_combine(cg, kind, acc, v);
}

LLVMValueRef accumulate_widen(Cg *cg, ReduceKind kind, LLVMValueRef acc, int lanes) {
  return as_type(cg, acc, accumulate_type(cg, kind, false), lanes);
}

LLVMValueRef accumulate_count(Cg *cg, const PointwiseSpec *s, LLVMValueRef n) {
  LLVMValueRef count = cg_int(cg, 1);
  for (int d = 0; d < s->rank; d++) {
    if (!s->reduced[d]) continue;
    LLVMValueRef extent =
        cg_add(cg, cg_mul(cg, n, cg_int(cg, s->extent[d].each)), cg_int(cg, s->extent[d].fixed));
    count = cg_mul(cg, count, extent);
  }
  return LLVMBuildSIToFP(cg->builder, count, cg->f64, "count");
}

/* E x^2 - (E x)^2, which rounding must not make negative. */
static LLVMValueRef variance(Cg *cg, LLVMValueRef squares, LLVMValueRef sum, LLVMValueRef count,
                             int lanes) {
  LLVMBuilderRef b = cg->builder;
  LLVMValueRef terms = cg_splat(cg, count, lanes);
  LLVMValueRef zero = cg_splat(cg, LLVMConstReal(cg->f64, 0), lanes);
  LLVMValueRef mean = LLVMBuildFDiv(b, sum, terms, "");
  LLVMValueRef v = LLVMBuildFSub(b, LLVMBuildFDiv(b, squares, terms, ""),
                                 LLVMBuildFMul(b, mean, mean, ""), "var");
  return LLVMBuildSelect(b, LLVMBuildFCmp(b, LLVMRealOLT, v, zero, ""), zero, v, "");
}

static int sum_of_same(const PointwiseSpec *s, int r) {
  int i = 0;
  while (s->reduce[i].kind != REDUCE_WIDE || s->reduce[i].value != s->reduce[r].value) i++;
  return i;
}

LLVMValueRef accumulate_result(Cg *cg, const PointwiseSpec *s, int r, const LLVMValueRef *acc,
                               LLVMValueRef count, int lanes) {
  if (s->reduce[r].kind != REDUCE_VAR) return acc[r];
  return variance(cg, acc[r], acc[sum_of_same(s, r)], count, lanes);
}
