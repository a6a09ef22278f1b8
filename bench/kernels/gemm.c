/* Products: C = A B (nn), A^T B (tn: weight gradients), A B^T (nt: input gradients), against sgemm.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench/kernels/bench.h"

#ifdef HAVE_OPENBLAS
#include <cblas.h>
#endif
#ifdef HAVE_DNNL
#include <dnnl.h>
#endif
#ifdef HAVE_XSMM
#include <libxsmm.h>
#endif

typedef struct {
  const char *name;
  int m, k, n;
  bool ta, tb;
  const char *cpu;
} Gemm;

static const Gemm gemms[] = {
    {"gemm nn 64x784x512", 64, 784, 512, 0, 0, "native"},
    {"gemm nn 256x512x512", 256, 512, 512, 0, 0, "native"},
    {"gemm nn 1024x1024x1024", 1024, 1024, 1024, 0, 0, "native"},
    {"gemm nn 2048x2048x2048", 2048, 2048, 2048, 0, 0, "native"},
    {"gemm nn 64x2048x4096", 64, 2048, 4096, 0, 0, "native"},
    {"gemm nn 64x1024x10", 64, 1024, 10, 0, 0, "native"},
    {"gemm nn 150x4x16", 150, 4, 16, 0, 0, "native"},
    {"gemm nn 32x10x100", 32, 10, 100, 0, 0, "native"},
    {"gemm nn 64x96x512", 64, 96, 512, 0, 0, "native"},
    {"gemm nn 1x1024x1024", 1, 1024, 1024, 0, 0, "native"},
    {"gemm nn 4x64x3", 4, 64, 3, 0, 0, "native"},
    {"gemm tn 784x64x512", 784, 64, 512, 1, 0, "native"},
    {"gemm tn 1024x64x10", 1024, 64, 10, 1, 0, "native"},
    {"gemm tn 10x64x1024", 10, 64, 1024, 1, 0, "native"},
    {"gemm tn 2048x64x2048", 2048, 64, 2048, 1, 0, "native"},
    {"gemm tn 64x12544x256", 64, 12544, 256, 1, 0, "native"},
    {"gemm nt 64x512x784", 64, 512, 784, 0, 1, "native"},
    {"gemm nt 64x10x1024", 64, 10, 1024, 0, 1, "native"},
    {"gemm nt 1024x1024x1024", 1024, 1024, 1024, 0, 1, "native"},
    {"gemm nt 1x1024x1024", 1, 1024, 1024, 0, 1, "native"},
    {"gemm nt 128x64x128", 128, 64, 128, 0, 1, "native"},
    {"gemm nt 2048x64x512", 2048, 64, 512, 0, 1, "native"},
    {"gemm avx2 nn 64x784x512", 64, 784, 512, 0, 0, "haswell"},
    {"gemm avx2 nn 256x512x512", 256, 512, 512, 0, 0, "haswell"},
    {"gemm avx2 nn 1024x1024x1024", 1024, 1024, 1024, 0, 0, "haswell"},
    {"gemm avx2 nt 64x512x784", 64, 512, 784, 0, 1, "haswell"},
    {"gemm avx2 tn 784x64x512", 784, 64, 512, 1, 0, "haswell"},
};

typedef struct {
  Gemm g;
  float *a, *b, *c, *blas_c;
} Operands;

#ifdef HAVE_OPENBLAS
static void run_openblas(void *user) {
  Operands *o = user;
  const Gemm *g = &o->g;
  cblas_sgemm(CblasRowMajor, g->ta ? CblasTrans : CblasNoTrans, g->tb ? CblasTrans : CblasNoTrans,
              g->m, g->n, g->k, 1, o->a, g->ta ? g->m : g->k, o->b, g->tb ? g->k : g->n, 0,
              o->blas_c, g->n);
}
#endif

#ifdef HAVE_DNNL
static void run_dnnl(void *user) {
  Operands *o = user;
  const Gemm *g = &o->g;
  dnnl_sgemm(g->ta ? 'T' : 'N', g->tb ? 'T' : 'N', g->m, g->n, g->k, 1, o->a, g->ta ? g->m : g->k,
             o->b, g->tb ? g->k : g->n, 0, o->blas_c, g->n);
}
#endif

#ifdef HAVE_XSMM
/* Column-major: C^T = B^T A^T. */
static void run_xsmm(void *user) {
  Operands *o = user;
  const Gemm *g = &o->g;
  const libxsmm_blasint m = g->n, n = g->m, k = g->k, lda = g->tb ? g->k : g->n,
                        ldb = g->ta ? g->m : g->k;
  const float one = 1, zero = 0;
  libxsmm_sgemm(g->tb ? "T" : "N", g->ta ? "T" : "N", &m, &n, &k, &one, o->b, &lda, o->a, &ldb,
                &zero, o->blas_c, &m);
}
#endif

static MatmulSpec gemm_spec(const Gemm *g) {
  MatmulSpec s = {.m = {0, g->m}, .n = {0, g->n}, .k = {0, g->k}, .scratch = 3};
  s.a.slot = 0;
  s.b.slot = 1;
  s.c.slot = 2;
  s.a.stride[0] = g->ta ? 1 : g->k;
  s.a.stride[1] = g->ta ? g->m : 1;
  s.b.stride[0] = g->tb ? 1 : g->n;
  s.b.stride[1] = g->tb ? g->k : 1;
  s.c.stride[0] = g->n;
  s.c.stride[1] = 1;
  return s;
}

/* The largest difference from the library's result, relative to the scale of a sum of k products.
 */
static void compare(const Operands *o) {
  double worst = 0, scale = 0.34 * o->g.k + 1;
  for (int64_t i = 0; i < (int64_t)o->g.m * o->g.n; i++) {
    double d = o->c[i] - o->blas_c[i];
    if (!(d <= worst && -d <= worst)) worst = d < 0 ? -d : d;
  }
  if (!(worst < 1e-4 * scale)) printf("WRONG by %g: %s\n", worst, o->g.name);
}

static void one_gemm(const Gemm *g) {
  Operands o = {*g, bench_random((int64_t)g->m * g->k), bench_random((int64_t)g->k * g->n),
                bench_random((int64_t)g->m * g->n), bench_random((int64_t)g->m * g->n)};
  Cg *cg = harness_cg(g->cpu, 4, 1);
  MatmulSpec spec = gemm_spec(g);
  BenchKernel k = {.list = kernel_matmul(cg, &spec), .n = 1};
  k.harness = harness_new(cg);
  void *buffers[] = {o.a, o.b, o.c, bench_random(k.list.scratch_bytes / 4 + 16)};
  for (int i = 0; i < 4; i++) k.buffers[i] = buffers[i];
  BenchRow row = {g->name, 2.0 * g->m * g->n * g->k, g->cpu[0] == 'h', {{bench_kernel_run, &k}}};
  bench_kernel_begin(&k);
  bench_kernel_run(&k);
#ifdef HAVE_OPENBLAS
  run_openblas(&o);
  compare(&o);
  if (!row.avx2) row.by[BY_OPENBLAS] = (BenchContender){run_openblas, &o};
#endif
#ifdef HAVE_DNNL
  if (!row.avx2) row.by[BY_ONEDNN] = (BenchContender){run_dnnl, &o};
#endif
#ifdef HAVE_XSMM
  if (!row.avx2) row.by[BY_LIBXSMM] = (BenchContender){run_xsmm, &o};
#endif
  bench_row(&row);
  harness_free(k.harness);
  harness_cg_free(cg);
  for (int i = 0; i < 4; i++) free(buffers[i]);
  free(o.blas_c);
}

void bench_gemm(void) {
  for (size_t i = 0; i < sizeof gemms / sizeof *gemms; i++)
    if (bench_wanted(gemms[i].name)) one_gemm(&gemms[i]);
}
