/* Every transcendental against libm over dense samples and the edges, with a bound in ulp. f32 is
 * compared with libm in double, f64 with libm in long double. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include "codegen/vecmath.h"
#include "tests/codegen/harness.h"

enum { SAMPLES = 400000 };

typedef struct {
  const char *name;
  size_t slot; /* of the function in Emit */
  long double (*exact)(long double);
  double bound[2]; /* ulp, f32 and f64 */
} Function;

static const Function functions[] = {
    {"exp", offsetof(Emit, exp), expl, {1.2, 1.5}},
    {"expm1", offsetof(Emit, expm1), expm1l, {2, 2}},
    {"log", offsetof(Emit, log), logl, {1, 1}},
    {"log1p", offsetof(Emit, log1p), log1pl, {1.5, 1.5}},
    {"tanh", offsetof(Emit, tanh), tanhl, {2.5, 2.5}},
    {"erf", offsetof(Emit, erf), erfl, {1.5, 1.5}},
};
enum { FUNCTIONS = sizeof functions / sizeof *functions };

typedef EmitValue Unary(Emit *e, EmitValue x);

/* y[i] = f(x[i]) for i in [begin, end), whole vectors. */
static KernelList emit_map(Cg *cg, const Function *f, int lanes) {
  LLVMValueRef fn = cg_function(cg, f->name);
  LLVMValueRef x = cg_buffer(cg, LLVMGetParam(fn, 0), 0), y = cg_buffer(cg, LLVMGetParam(fn, 0), 1);
  VecMath m = vecmath_new(cg, lanes);
  Unary *op;
  memcpy(&op, (char *)&m.emit + f->slot, sizeof op);
  CgLoop l = cg_loop(cg, cg_int(cg, 0), LLVMGetParam(fn, 1), lanes);
  LLVMValueRef v = cg_load(cg, cg->real, cg_at(cg, cg->real, x, l.index), lanes, NULL);
  cg_store(cg, vecmath_out(op(&m.emit, vecmath_in(v))), cg_at(cg, cg->real, y, l.index), NULL);
  cg_loop_end(cg, &l);
  LLVMBuildRetVoid(cg->builder);
  return (KernelList){.count = 1, .stage = {{.function = fn, .units = {0, 1}}}};
}

static const double edges[] = {
    0.0,     -0.0,      1,         -1,        0.5,     -0.5,   2,       INFINITY, -INFINITY,
    NAN,     88.72283,  88.72284,  -103.97,   -103.98, -87.4,  709.78,  709.79,   -745.13,
    -745.14, -708.5,    1e-45,     -1e-45,    1e-39,   5e-324, -5e-324, 1e-310,   3.4e38,
    1.7e308, 0.6931471, 0.3465736, 1.0397208, 4,       6,      -4,      9.1,      20};

/* A third near the interesting range, a third over all exponents, the edges. */
static void fill(double *x, int f32) {
  uint64_t s = 88172645463325252ull;
  for (int i = 0; i < SAMPLES; i++) {
    s ^= s << 13, s ^= s >> 7, s ^= s << 17;
    double u = (double)(s >> 11) * 0x1p-53 * 2 - 1;
    int e = (int)(s % (f32 ? 300 : 2200)) - (f32 ? 160 : 1100);
    x[i] = i % 4 == 0 ? u : i % 4 == 1 ? u * 12 : i % 4 == 2 ? u * (f32 ? 110 : 750) : ldexp(u, e);
  }
  memcpy(x, edges, sizeof edges);
}

/* The distance of y from the exact value in units in the last place of the exact value (of its
 * least normal below). */
static double ulps(double y, long double exact, int digits, int least) {
  if (isnan(exact)) return isnan(y) ? 0 : INFINITY;
  if (y == (double)exact) return 0;
  long double largest =
      digits == 24 ? (long double)0x1.fffffep127 : (long double)0x1.fffffffffffffp1023L;
  if (isinf(y) || isinf(exact))
    return isinf(y) && fabsl(exact) >= largest * (1 - 1e-6L) && y > 0 ? 0 : INFINITY;
  int e = exact == 0 ? least : ilogbl(exact);
  if (e < least) e = least;
  return (double)(fabsl((long double)y - exact) / ldexpl(1, e - digits + 1));
}

static void check(const Function *f, const char *cpu, int bytes, const double *x) {
  Cg *cg = harness_cg(cpu, bytes, 1);
  KernelList wide = emit_map(cg, f, cg->lanes), narrow = emit_map(cg, f, 1);
  Harness *h = harness_new(cg);
  size_t size = SAMPLES * (size_t)bytes;
  void *in = malloc(size), *out = malloc(size), *one = malloc(size);
  for (int i = 0; i < SAMPLES; i++)
    if (bytes == 4)
      ((float *)in)[i] = (float)x[i];
    else
      ((double *)in)[i] = x[i];
  harness_run(h, &wide, (void *[]){in, out}, SAMPLES, 0);
  harness_run(h, &narrow, (void *[]){in, one}, SAMPLES, 0);
  double worst = 0, where = 0;
  for (int i = 0; i < SAMPLES; i++) {
    double a = bytes == 4 ? (double)((float *)in)[i] : ((double *)in)[i];
    double y = bytes == 4 ? (double)((float *)out)[i] : ((double *)out)[i];
    double y1 = bytes == 4 ? (double)((float *)one)[i] : ((double *)one)[i];
    if (memcmp(&y, &y1, 8) && !(isnan(y) && isnan(y1)))
      fail_msg("%s(%.17g): vector and scalar differ", f->name, a);
    long double exact = f->exact((long double)a);
    double u = ulps(y, exact, bytes == 4 ? 24 : 53, bytes == 4 ? -126 : -1022);
    if (!isnan(y) && y == 0 && exact == 0 && !signbit(y) != !signbit(exact))
      fail_msg("%s(%g): sign", f->name, a);
    if (u > worst) worst = u, where = a;
  }
  double bound = f->bound[bytes == 8];
  if (getenv("HARNESS_VERBOSE"))
    printf("%s %s f%d: %.3f ulp at %.9g\n", f->name, cpu, bytes * 8, worst, where);
  if (!(worst <= bound))
    fail_msg("%s on %s, f%d: %g ulp at %.17g", f->name, cpu, bytes * 8, worst, where);
  free(in), free(out), free(one);
  harness_free(h);
  harness_cg_free(cg);
}

static void check_all(int bytes) {
  double *x = malloc(SAMPLES * sizeof *x);
  fill(x, bytes == 4);
  static const char *const cpus[] = {"native", "haswell", "x86-64"};
  for (int i = 0; i < FUNCTIONS; i++)
    for (int c = 0; c < 3; c++) check(&functions[i], cpus[c], bytes, x);
  free(x);
}

static void test_f32(void **state) {
  (void)state;
  check_all(4);
}

static void test_f64(void **state) {
  (void)state;
  check_all(8);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_f32), cmocka_unit_test(test_f64)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
