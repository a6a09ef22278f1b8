/* Accumulators of reductions, as vectors in registers: of sweeps (nest_reduce.c), of their second
 * stage (reduce.c) and of convolutions' epilogues (conv_finish.c).
 *
 * A sum of f32 is f32 on the narrow level, of few terms, and f64 above it. REDUCE_WIDE and
 * REDUCE_VAR are f64 on both: a variance is the difference of two sums, E x^2 - (E x)^2, and loses
 * as many digits as the mean's square is larger: in double, with a mean 10^4 deviations away, 8
 * of 16. */
#ifndef DLC_CODEGEN_ACCUMULATE_H
#define DLC_CODEGEN_ACCUMULATE_H

#include "codegen/kernel.h"

double accumulate_identity(ReduceKind kind);
LLVMTypeRef accumulate_type(const Cg *cg, ReduceKind kind, bool narrow);
int accumulate_registers(const Cg *cg, ReduceKind kind); /* of a narrow one, in vectors of reals */
LLVMValueRef accumulate_initial(Cg *cg, ReduceKind kind, bool narrow, int lanes);
/* What changes nothing, as a term. */
LLVMValueRef accumulate_nothing(Cg *cg, ReduceKind kind, int lanes);
/* A vector of reals into an accumulator. */
LLVMValueRef accumulate_term(Cg *cg, ReduceKind kind, LLVMValueRef acc, LLVMValueRef v, int lanes);
/* Two accumulators of one type. */
LLVMValueRef accumulate_combine(Cg *cg, ReduceKind kind, LLVMValueRef acc, LLVMValueRef other);
/* Of the narrow level as one of the wide. */
LLVMValueRef accumulate_widen(Cg *cg, ReduceKind kind, LLVMValueRef acc, int lanes);

/* How many terms a result has, as an f64, at run-time batch n. */
LLVMValueRef accumulate_count(Cg *cg, const PointwiseSpec *s, LLVMValueRef n);
/* What reduction r comes to; `acc` are all of the specification's, complete. */
LLVMValueRef accumulate_result(Cg *cg, const PointwiseSpec *s, int r, const LLVMValueRef *acc,
                               LLVMValueRef count, int lanes);

#endif
