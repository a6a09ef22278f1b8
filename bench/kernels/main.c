/* bench_kernels [TEXT]: rows whose name contains TEXT, as a Markdown table. See bench.h for how it
 * is timed. */
#include "bench/kernels/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef HAVE_OPENBLAS
#include <cblas.h>
#endif

enum { ROUNDS = 15, PEAK_ACCUMULATORS = 12 };
#define SAMPLE_SECONDS 0.002

static const char *wanted;

bool bench_wanted(const char *name) { return !wanted || strstr(name, wanted); }

float *bench_random(int64_t count) {
  float *x = aligned_alloc(64, (size_t)((count * 4 + 127) / 64 * 64));
  if (!x) exit(70);
  unsigned seed = 1;
  for (int64_t i = 0; i < count; i++) x[i] = (float)(rand_r(&seed) % 20001 - 10000) / 10000;
  return x;
}

void bench_kernel_run(void *user) {
  BenchKernel *k = user;
  for (int i = 0; i < k->list.count; i++)
    k->address[i](k->buffers, k->n, 0, harness_units(&k->list.stage[i], k->n));
}

void bench_kernel_begin(BenchKernel *k) {
  for (int i = 0; i < k->list.count; i++)
    *(void **)&k->address[i] = harness_address(k->harness, k->list.stage[i].function);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* what others run beside us does not count */
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- the peak: chains of multiply-adds, enough of them to hide the latency ---- */

enum { PEAK_STEPS = 20000 };

static KernelList emit_peak(Cg *cg) {
  Kernel k = {.function = cg_function(cg, "peak"), .units = {0, 1}};
  LLVMValueRef acc[PEAK_ACCUMULATORS], out = cg_buffer(cg, LLVMGetParam(k.function, 0), 0);
  LLVMValueRef x = cg_load(cg, cg->real, out, cg->lanes, NULL);
  for (int i = 0; i < PEAK_ACCUMULATORS; i++)
    acc[i] = LLVMBuildFAdd(cg->builder, x, cg_splat(cg, cg_real(cg, i), cg->lanes), "");
  CgLoop l = cg_loop(cg, cg_int(cg, 0), cg_int(cg, PEAK_STEPS), 1);
  for (int i = 0; i < PEAK_ACCUMULATORS; i++) acc[i] = cg_carry(cg, &l, acc[i]);
  for (int i = 0; i < PEAK_ACCUMULATORS; i++) cg_carry_next(&l, acc[i], cg_fma(cg, acc[i], x, x));
  cg_loop_end(cg, &l);
  LLVMValueRef sum = acc[0];
  for (int i = 1; i < PEAK_ACCUMULATORS; i++) sum = LLVMBuildFAdd(cg->builder, sum, acc[i], "");
  cg_store(cg, sum, cg_at(cg, cg->real, out, cg_int(cg, cg->lanes)), NULL);
  LLVMBuildRetVoid(cg->builder);
  return (KernelList){.count = 1, .stage = {k}};
}

typedef struct {
  BenchKernel kernel;
  double flops;
} Peak;

static Peak peak_new(const char *cpu) {
  Peak p;
  Cg *cg = harness_cg(cpu, 4, 1);
  p.kernel.list = emit_peak(cg);
  p.kernel.harness = harness_new(cg);
  p.kernel.n = 1;
  bench_kernel_begin(&p.kernel);
  p.kernel.buffers[0] = calloc(64, sizeof(float));
  p.flops = 2.0 * cg->lanes * PEAK_ACCUMULATORS * PEAK_STEPS;
  return p;
}

static Peak peaks[2];

/* ---- rows ---- */

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static double seconds(const BenchContender *c, int repeats) {
  double t = now();
  for (int i = 0; i < repeats; i++) c->run(c->user);
  return (now() - t) / repeats;
}

static int repeats_of(const BenchContender *c) {
  seconds(c, 1);
  double once = seconds(c, 1);
  once = seconds(c, 1 + (int)(1e-5 / (once + 1e-9)));
  return 1 + (int)(SAMPLE_SECONDS / (once + 1e-9));
}

void bench_row(const BenchRow *row) {
  BenchContender all[BENCH_PEERS + 1];
  double time[BENCH_PEERS + 1][ROUNDS], rate[BENCH_PEERS + 1] = {0};
  int repeats[BENCH_PEERS + 1];
  Peak *peak = &peaks[row->avx2];
  memcpy(all, row->by, sizeof row->by);
  all[BENCH_PEERS] = (BenchContender){bench_kernel_run, &peak->kernel};
  for (int i = 0; i <= BENCH_PEERS; i++) repeats[i] = all[i].run ? repeats_of(&all[i]) : 0;
  for (int r = 0; r < ROUNDS; r++)
    for (int i = 0; i <= BENCH_PEERS; i++)
      if (all[i].run) time[i][r] = seconds(&all[i], repeats[i]);
  for (int i = 0; i <= BENCH_PEERS; i++) {
    if (!all[i].run) continue;
    qsort(time[i], ROUNDS, sizeof(double), by_value);
    rate[i] = (i == BENCH_PEERS ? peak->flops : row->flops) / time[i][ROUNDS / 2] / 1e9;
  }
  printf("| %s | %.2f | %.1f | %.0f %% |", row->name, row->flops / rate[BY_DLC] / 1e3, rate[BY_DLC],
         100 * rate[BY_DLC] / rate[BENCH_PEERS]);
  for (int i = 1; i < BENCH_PEERS; i++) {
    if (rate[i] > 0)
      printf(" %.1f (%.2fx) |", rate[i], rate[BY_DLC] / rate[i]);
    else
      printf(" |");
  }
  printf(" %.1f |\n", rate[BENCH_PEERS]);
  fflush(stdout);
}

int main(int argc, char **argv) {
  wanted = argc > 1 ? argv[1] : NULL;
#ifdef HAVE_OPENBLAS
  openblas_set_num_threads(1);
#endif
  setenv("OMP_NUM_THREADS", "1", 1);
  peaks[0] = peak_new("native");
  peaks[1] = peak_new("haswell");
  printf(
      "| work | us | dlc GFLOP/s | of peak | OpenBLAS (dlc is) | oneDNN | libxsmm | peak |\n"
      "|---|---|---|---|---|---|---|---|\n");
  bench_gemm();
  bench_conv();
  return 0;
}
