/* Timing of emitted kernels beside libraries, on one thread.
 *
 * A row is one piece of work done by several contenders. They take turns, sample by sample, so that
 * a change of clock speed meets them all; a sample repeats the work for about two milliseconds; a
 * contender's figure is the median of its samples. A loop of multiply-adds in registers takes its
 * turn too: that is the peak of the row. */
#ifndef DLC_BENCH_H
#define DLC_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/codegen/harness.h"

typedef enum { BY_DLC, BY_OPENBLAS, BY_ONEDNN, BY_LIBXSMM, BENCH_PEERS } BenchPeer;

typedef struct {
  void (*run)(void *user); /* NULL: does not take part */
  void *user;
} BenchContender;

typedef struct {
  const char *name;
  double flops; /* of one run */
  bool avx2;    /* percentages are of the 256-bit peak */
  BenchContender by[BENCH_PEERS];
} BenchRow;

/* Times a row and prints it. Rows whose name does not contain the program's argument, if any, are
 * skipped: ask before preparing. */
bool bench_wanted(const char *name);
void bench_row(const BenchRow *row);

/* Random reals in [-1, 1). */
float *bench_random(int64_t count);

/* Emitted kernels as a contender: give `user` a BenchKernel. */
typedef struct {
  Harness *harness;
  KernelList list;
  int64_t n;
  void *buffers[8];
  void (*address[KERNEL_STAGES])(void **buffers, int64_t n, int64_t begin,
                                 int64_t end); /* set by bench_kernel_begin */
} BenchKernel;
void bench_kernel_begin(BenchKernel *k);
void bench_kernel_run(void *user);

/* The parts of the table. */
void bench_gemm(void);
void bench_conv(void);

#endif
