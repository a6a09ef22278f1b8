/* One LLVM module in the making, and what every emitter needs to know of the target. */
#ifndef DLC_CODEGEN_CG_H
#define DLC_CODEGEN_CG_H

#include <llvm-c/Core.h>
#include <llvm-c/TargetMachine.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

typedef struct {
  const char *triple; /* NULL: this machine's */
  const char *cpu;    /* "native", "x86-64", "haswell", ...; NULL: native */
  int real_bytes;     /* 4 or 8 */
  int level;          /* -O0 .. -O3 */
  bool debug;         /* -g */
} CgOptions;

typedef struct {
  Arena *arena;
  CgOptions options;
  LLVMContextRef context;
  LLVMModuleRef module;
  LLVMBuilderRef builder;
  LLVMTargetMachineRef machine;
  LLVMTargetDataRef layout;
  LLVMTypeRef real, i1, i8, i32, i64, f32, f64, ptr, void_;
  int real_bytes;
  int lanes;     /* reals in the widest vector register */
  int registers; /* vector registers: 16, or 32 with AVX-512 */
  bool masks;    /* masked loads and stores are one instruction (AVX, AVX-512) */
  bool fma;
  const char *features; /* what the code needs at run time: "avx512f,avx2,fma,..." */
  int64_t max_batch;
  struct KernelTable *kernels; /* by specification, see cg_kernel_find */
} Cg;

/* NULL with *why set when the triple or CPU is not known. Free with cg_free. */
Cg *cg_new(Arena *a, const char *module_name, const CgOptions *options, int64_t max_batch,
           const char **why);
void cg_free(Cg *cg);

/* Kernels already emitted, by the text of their specification (which names everything that the code
 * depends on). */
const void *cg_kernel_find(Cg *cg, const char *key);
void cg_kernel_keep(Cg *cg, const char *key, const void *list); /* `list` lives in cg->arena */

/* ---- small builders, so that emitters read like what they emit ---- */

/* Starts an internal function void(ptr, i64, i64, i64) and puts the builder at its entry. The name
 * is made unique. */
LLVMValueRef cg_function(Cg *cg, const char *name);
LLVMValueRef cg_int(Cg *cg, int64_t v);                        /* an i64 constant */
LLVMValueRef cg_real(Cg *cg, double v);                        /* a scalar real constant */
LLVMValueRef cg_splat(Cg *cg, LLVMValueRef scalar, int lanes); /* lanes 1: the scalar itself */
LLVMTypeRef cg_vector(Cg *cg, LLVMTypeRef element, int lanes); /* lanes 1: the element itself */
LLVMValueRef cg_add(Cg *cg, LLVMValueRef a, LLVMValueRef b);   /* i64, folded for constants */
LLVMValueRef cg_mul(Cg *cg, LLVMValueRef a, LLVMValueRef b);
LLVMValueRef cg_min(Cg *cg, LLVMValueRef a, LLVMValueRef b); /* of signed integers */
LLVMValueRef cg_max(Cg *cg, LLVMValueRef a, LLVMValueRef b);
LLVMValueRef cg_buffer(Cg *cg, LLVMValueRef buffers, int slot); /* the pointer in a slot */
LLVMValueRef cg_at(Cg *cg, LLVMTypeRef element, LLVMValueRef base,
                   LLVMValueRef index); /* address */
LLVMValueRef cg_fma(Cg *cg, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c);
/* Loads and stores of `lanes` consecutive elements; mask NULL = all lanes, masked-off lanes load 0.
 * Alignment is the element's: nothing about an address is assumed. */
LLVMValueRef cg_load(Cg *cg, LLVMTypeRef element, LLVMValueRef address, int lanes,
                     LLVMValueRef mask);
void cg_store(Cg *cg, LLVMValueRef value, LLVMValueRef address, LLVMValueRef mask);
/* The mask whose first `count` (i64) lanes are on. */
LLVMValueRef cg_mask(Cg *cg, LLVMValueRef count, int lanes);

/* The cache line at an address is wanted soon; it need not exist. */
typedef enum { CG_TO_L2 = 2, CG_TO_L1 = 3 } CgCache;
void cg_prefetch(Cg *cg, LLVMValueRef address, CgCache cache);

/* Says that what `load` reads does not change while the kernel runs; returns it. */
LLVMValueRef cg_invariant(Cg *cg, LLVMValueRef load);
/* Intrinsic `name` overloaded on `types`, called. */
LLVMValueRef cg_call(Cg *cg, const char *name, int ntypes, LLVMTypeRef *types, int nargs,
                     LLVMValueRef *args);
LLVMValueRef cg_iota(Cg *cg, LLVMTypeRef integer, int lanes); /* 0, 1, 2, ... */
LLVMValueRef cg_current(Cg *cg); /* the function that the builder is in */
LLVMBasicBlockRef cg_block(Cg *cg, LLVMValueRef function, const char *name);
/* What every function needs, for those not made by cg_function: the target's attributes. */
void cg_function_attributes(Cg *cg, LLVMValueRef function);

/* for (i = begin; i < end; i += step) { ... }: cg_loop opens the body, cg_loop_end closes it and
 * goes on after it. Loop-carried values: add phis to `carried` with cg_carry before the body uses
 * them, give the next value with cg_carry_next before cg_loop_end, read the final value from the
 * phi's exit after it with cg_carry_exit. */
typedef struct {
  LLVMBasicBlockRef head, body, after, entry;
  LLVMValueRef index, end, step;
  int ncarried;
  LLVMValueRef carried[64], next[64];
} CgLoop;
CgLoop cg_loop(Cg *cg, LLVMValueRef begin, LLVMValueRef end, int64_t step);
LLVMValueRef cg_carry(Cg *cg, CgLoop *l,
                      LLVMValueRef initial); /* returns the value inside the body */
void cg_carry_next(CgLoop *l, LLVMValueRef carried, LLVMValueRef next);
void cg_loop_end(Cg *cg, CgLoop *l); /* afterwards each carried phi is the final value */

/* if (condition) { ... } with nothing carried out. */
typedef struct {
  LLVMBasicBlockRef after;
} CgIf;
CgIf cg_if(Cg *cg, LLVMValueRef condition);
void cg_if_end(Cg *cg, CgIf *i);

#endif
