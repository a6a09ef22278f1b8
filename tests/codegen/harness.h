/* Runs emitted kernels in the test process: the module is optimised and compiled as the compiler
 * does it, then linked by LLVM's ORC JIT. */
#ifndef DLC_TESTS_CODEGEN_HARNESS_H
#define DLC_TESTS_CODEGEN_HARNESS_H

#include "codegen/kernel.h"

typedef struct Harness Harness;

/* A module for `cpu` ("native", "haswell", "x86-64"); fails the test when it cannot be. Frees with
 * harness_cg_free. */
Cg *harness_cg(const char *cpu, int real_bytes, int64_t max_batch);
Cg *harness_cg_at(const char *cpu, int real_bytes, int64_t max_batch, int level); /* -O0 .. -O3 */
void harness_cg_free(Cg *cg); /* its arena as well */

/* Compiles everything emitted so far; no more kernels may be added to cg. */
Harness *harness_new(Cg *cg);
void harness_free(Harness *h);

/* Runs every stage over all its units. seed 0: in one piece; otherwise cut into random pieces, done
 * in random order. Buffers are the caller's; the scratch slot must hold list->scratch_bytes. */
void harness_run(Harness *h, const KernelList *list, void **buffers, int64_t n, unsigned seed);

/* How many units a stage has for a batch of n. */
int64_t harness_units(const Kernel *k, int64_t n);

/* Seconds of one harness_run in one piece: the best of several. */
double harness_time(Harness *h, const KernelList *list, void **buffers, int64_t n);

/* The address of a function of the module. */
void *harness_address(Harness *h, LLVMValueRef function);

#endif
