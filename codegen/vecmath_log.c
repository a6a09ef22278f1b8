/* log and log1p, after FreeBSD's msun e_log.c, s_log1p.c and e_logf.c (Sun Microsystems, 1993).
 *
 * x = 2^k (1 + f) with sqrt(1/2) <= 1 + f < sqrt(2); s = f / (2 + f);
 * log(1 + f) = f - (f^2/2 - s (f^2/2 + R)), R = s^2 (Lg1 + s^2 (Lg2 + ...)), whose error is below
 * one ulp; log x = k ln2_high - ((f^2/2 - (s (f^2/2 + R) + k ln2_low + c)) - f), where c corrects
 * log1p's rounded 1 + x. */
#include "codegen/vecmath_poly.h"

static const double lg_f32[] = {0xaaaaaa.0p-24, 0xccce13.0p-25, 0x91e9ee.0p-25, 0xf89e26.0p-26};
static const double lg_f64[] = {6.666666666666735130e-01, 3.999999999940941908e-01,
                                2.857142874366239149e-01, 2.222219843214978396e-01,
                                1.818357216161805012e-01, 1.531383769920937332e-01,
                                1.479819860511658591e-01};

typedef struct {
  double ln2_high, ln2_low, least_normal, up, integer,
      tiny; /* up: makes a denormal normal; 2^mantissa */
  unsigned mantissa;
  int bias;
  uint64_t one, root, mask,
      integer_bits; /* bits of 1, of sqrt(1/2), of the mantissa, of `integer` */
  Poly lg;
} Range;

static const Range range_f32 = {
    6.9313812256e-01, 9.0580006145e-06, 0x1p-126, 0x1p25,     0x1p23,      0x1p-30, 23, 127,
    0x3f800000,       0x3f3504f3,       0x7fffff, 0x4b000000, POLY(lg_f32)};
static const Range range_f64 = {6.93147180369123816490e-01,
                                1.90821492927058770002e-10,
                                0x1p-1022,
                                0x1p54,
                                0x1p52,
                                0x1p-60,
                                52,
                                1023,
                                0x3ff0000000000000,
                                0x3fe6a09e667f3bcd,
                                0xfffffffffffff,
                                0x4330000000000000,
                                POLY(lg_f64)};

static const Range *range_of(const VecMath *m) { return wide_(m) ? &range_f64 : &range_f32; }

typedef struct {
  V k, f;
} Parts;

/* For positive x. The exponent becomes a real through the bits of 2^mantissa + exponent. */
static Parts split(VecMath *m, V x) {
  const Range *g = range_of(m);
  V denormal = less_(m, x, k_(m, g->least_normal));
  V normal = select_(m, denormal, mul_(m, x, k_(m, g->up)), x);
  V i = iadd_(m, bits_(m, normal), ik_(m, g->one - g->root));
  V exponent = LLVMBuildLShr(m->cg->builder, i, ik_(m, g->mantissa), "");
  V big = real_(m, LLVMBuildOr(m->cg->builder, exponent, ik_(m, g->integer_bits), ""));
  double up = wide_(m) ? 54 : 25;
  V bias = select_(m, denormal, k_(m, g->integer + g->bias + up), k_(m, g->integer + g->bias));
  V significand = real_(m, iadd_(m, iand_(m, i, ik_(m, g->mask)), ik_(m, g->root)));
  return (Parts){sub_(m, big, bias), sub_(m, significand, k_(m, 1))};
}

/* c NULL: no correction. */
static V join(VecMath *m, Parts p, V c) {
  const Range *g = range_of(m);
  V s = div_(m, p.f, add_(m, p.f, k_(m, 2)));
  V z = mul_(m, s, s);
  V r = mul_(m, z, horner_(m, &g->lg, z));
  V half = mul_(m, mul_(m, p.f, p.f), k_(m, 0.5));
  V low = c ? fma_(m, p.k, k_(m, g->ln2_low), c) : mul_(m, p.k, k_(m, g->ln2_low));
  V inner = sub_(m, half, fma_(m, s, add_(m, half, r), low));
  return fma_(m, p.k, k_(m, g->ln2_high), sub_(m, p.f, inner));
}

/* -inf at 0, NaN below and for NaN, infinity at infinity; `y` elsewhere. */
static V edges(VecMath *m, V x, V y) {
  LLVMBuilderRef b = m->cg->builder;
  V zero = k_(m, 0), infinity = k_(m, __builtin_inf());
  V inside = LLVMBuildAnd(b, less_(m, zero, x), less_(m, x, infinity), "");
  V at_zero = LLVMBuildFCmp(b, LLVMRealOEQ, x, zero, "");
  V below = LLVMBuildFCmp(b, LLVMRealOLT, x, zero, "");
  V other =
      select_(m, at_zero, k_(m, -__builtin_inf()), select_(m, below, k_(m, __builtin_nan("")), x));
  return select_(m, inside, y, other);
}

EmitValue vecmath_log(Emit *e, EmitValue value) {
  VecMath *m = (VecMath *)e;
  V x = vecmath_out(value);
  return vecmath_in(edges(m, x, join(m, split(m, x), NULL)));
}

/* u = 1 + x rounded; what was lost is 1 - (u - x) for large x, x - (u - 1) for small, and log u
 * changes by lost / u. */
EmitValue vecmath_log1p(Emit *e, EmitValue value) {
  VecMath *m = (VecMath *)e;
  V x = vecmath_out(value), one = k_(m, 1);
  V u = add_(m, x, one);
  V lost = select_(m, less_(m, one, x), sub_(m, one, sub_(m, u, x)), sub_(m, x, sub_(m, u, one)));
  V y = edges(m, u, join(m, split(m, u), div_(m, lost, u)));
  V tiny = less_(m, abs_(m, x), k_(m, range_of(m)->tiny));
  return vecmath_in(select_(m, tiny, x, y));
}
