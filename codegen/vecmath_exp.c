/* exp, expm1, tanh and erf.
 *
 * exp(x) = 2^n exp(r), n = round(x / ln 2), |r| <= ln(2) / 2, with r = x - n ln 2 in two parts (the
 * high part has so many zero bits that n times it is exact). exp(r) = 1 + r + r^2 q(r), where q is
 * a minimax polynomial for (exp(r) - 1 - r) / r^2 found by Remez exchange; the errors below are
 * those of exp(r). n is rounded by adding 1.5 * 2^(mantissa bits), which leaves n as an integer in
 * the low bits. */
#include "codegen/vecmath_poly.h"

/* Weighted for the error relative to exp(r): 2^-28. */
static const double exp_f32[] = {0.499999933663612852, 0.166665195152669674, 0.041668402266569656,
                                 0.0083688520568110013, 0.00138142712166983556};
/* Weighted for the error relative to r, as expm1 needs: 2^-32 and 2^-61.7. */
static const double expm1_f32[] = {0.500000004691720341,   0.166666668206353485,
                                   0.0416663522981559486,  0.0083332721798999429,
                                   0.00139412080359782603, 0.000199146617640945481};
static const double exp_f64[] = {0.5,
                                 0.166666666666666768,
                                 0.0416666666666667021,
                                 0.0083333333333214356,
                                 0.00138888888888664759,
                                 0.000198412698866753351,
                                 0.0000248015873612799599,
                                 2.75572436071032772e-6,
                                 2.7557242136505389e-7,
                                 2.51092625549974519e-8,
                                 2.0924636633905954e-9};

/* Per precision: the bounds past which the result is infinity or 0; where expm1 is -1. */
typedef struct {
  double magic, ln2_high, ln2_low, overflow, underflow, minus_one, tiny;
  unsigned mantissa;
  uint64_t one; /* the bits of 1 */
  Poly exp, expm1;
} Range;

static const Range range_f32 = {
    0x1.8p23,   0.693359375,   -2.12194440054690583e-4, 89, -104, -18, 0x1p-30, 23,
    0x3f800000, POLY(exp_f32), POLY(expm1_f32)};
static const Range range_f64 = {0x1.8p52,
                                6.93147180369123816490e-01,
                                1.90821492927058770002e-10,
                                710,
                                -746,
                                -40,
                                0x1p-60,
                                52,
                                0x3ff0000000000000,
                                POLY(exp_f64),
                                POLY(exp_f64)};

static const Range *range_of(const VecMath *m) { return wide_(m) ? &range_f64 : &range_f32; }

typedef struct {
  V shifted, n, r; /* n + magic, n, the reduced argument */
} Reduced;

static Reduced reduce(VecMath *m, V x) {
  const Range *g = range_of(m);
  V magic = k_(m, g->magic);
  V shifted = fma_(m, x, k_(m, 1.44269504088896340736), magic);
  V n = sub_(m, shifted, magic);
  V r = fma_(m, n, k_(m, -g->ln2_high), x);
  return (Reduced){shifted, n, fma_(m, n, k_(m, -g->ln2_low), r)};
}

/* 2^n for a normal result, from n + magic: only the low bits of the magic number's sum are n's. */
static V power(VecMath *m, V shifted) {
  const Range *g = range_of(m);
  V up = LLVMBuildShl(m->cg->builder, bits_(m, shifted), ik_(m, g->mantissa), "");
  return real_(m, iadd_(m, up, ik_(m, g->one)));
}

static bool has_scalef(const VecMath *m) {
  return m->cg->registers == 32 && m->cg->lanes * m->cg->real_bytes == 64;
}

/* p * 2^n with overflow and gradual underflow: one instruction on AVX-512, else in two halves of n.
 */
static V scale(VecMath *m, V p, const Reduced *d) {
  const Range *g = range_of(m);
  Cg *cg = m->cg;
  if (has_scalef(m) && m->lanes == cg->lanes) {
    const char *name =
        wide_(m) ? "llvm.x86.avx512.mask.scalef.pd.512" : "llvm.x86.avx512.mask.scalef.ps.512";
    LLVMTypeRef mask = LLVMIntTypeInContext(cg->context, (unsigned)m->lanes);
    V args[] = {p, d->n, p, LLVMConstAllOnes(mask), LLVMConstInt(cg->i32, 4, false)};
    return cg_call(cg, name, 0, NULL, 5, args);
  }
  V magic = k_(m, g->magic);
  V half = fma_(m, d->n, k_(m, 0.5), magic);
  V rest = add_(m, sub_(m, d->n, sub_(m, half, magic)), magic);
  return mul_(m, mul_(m, p, power(m, half)), power(m, rest));
}

/* 1 + r + r^2 q(r) */
static V exp_reduced(VecMath *m, V r) {
  V q = horner_(m, &range_of(m)->exp, r);
  return add_(m, fma_(m, mul_(m, r, r), q, r), k_(m, 1));
}

EmitValue vecmath_exp(Emit *e, EmitValue value) {
  VecMath *m = (VecMath *)e;
  const Range *g = range_of(m);
  V x = least_(m, most_(m, vecmath_out(value), g->overflow), g->underflow);
  Reduced d = reduce(m, x);
  return vecmath_in(scale(m, exp_reduced(m, d.r), &d));
}

V vecmath_exp_inside(VecMath *m, V x) {
  Reduced d = reduce(m, x);
  return mul_(m, exp_reduced(m, d.r), power(m, d.shifted));
}

/* exp(r) - 1 = r + r^2 q(r) for the reduced argument, with 2^(n-1): expm1 = 2 (s u + (s - 1/2)).
 * Half the scale so that n = 128 (1024) does not overflow before the result does. */
static V expm1_inside(VecMath *m, V x) {
  Reduced d = reduce(m, x);
  V u = fma_(m, mul_(m, d.r, d.r), horner_(m, &range_of(m)->expm1, d.r), d.r);
  V s = power(m, sub_(m, d.shifted, k_(m, 1)));
  V half = fma_(m, s, u, sub_(m, s, k_(m, 0.5)));
  return add_(m, half, half);
}

/* Where x is so small that f(x) = x to the last bit: also keeps -0. */
static V unless_tiny(VecMath *m, V x, V result) {
  return select_(m, less_(m, abs_(m, x), k_(m, range_of(m)->tiny)), x, result);
}

EmitValue vecmath_expm1(Emit *e, EmitValue value) {
  VecMath *m = (VecMath *)e;
  const Range *g = range_of(m);
  V x = vecmath_out(value);
  V y = expm1_inside(m, least_(m, most_(m, x, g->overflow), g->minus_one));
  return vecmath_in(unless_tiny(m, x, y));
}

/* tanh |x| = t / (t + 2) with t = expm1(2 |x|); beyond 10 (20) it is 1 to the last bit. */
EmitValue vecmath_tanh(Emit *e, EmitValue value) {
  VecMath *m = (VecMath *)e;
  V x = vecmath_out(value);
  V a = most_(m, abs_(m, x), wide_(m) ? 20 : 10);
  V t = expm1_inside(m, add_(m, a, a));
  V y = div_(m, t, add_(m, t, k_(m, 2)));
  return vecmath_in(unless_tiny(m, x, sign_(m, y, x)));
}

/* ---- erf ----
 *
 * |x| <= 1: x + x p(x^2), p minimax for erf(x) / x - 1 relative to erf (2^-29.6, 2^-62.7).
 * |x| > 1: 1 - exp(-h(t)), h minimax for -log erfc(t), weighted with erfc / erf, so the error is
 * that of erf: f32 on [1, 4], 2^-29.8; f64 on [1, 6] in t - 2, 2^-54.8. Past the end erf is 1 to
 * the last bit. */

static const double erf_small_f32[] = {0.128379165729559368,    -0.376126258374651042,
                                       0.112835852486056348,    -0.0268538145820725174,
                                       0.00518833048259248783,  -0.000801020269927250679,
                                       0.0000785384982842940885};
static const double erf_small_f64[] = {
    0.128379167095512574,    -0.376126389031837476,     0.112837916709548579,
    -0.0268661706450729592,  0.00522397762478136979,    -0.000854832697876514882,
    0.000120553310375511081, -0.0000149255935187282267, 1.64609729541537657e-6,
    -1.63500261920772685e-7, 1.46578835309196535e-8,    -1.13656706718271593e-9,
    5.94525558422348744e-11};
static const double erf_large_f32[] = {
    0.000341574475884728123, 1.12708897386993143,    0.63814520715575008,     0.10310641315274346,
    -0.0218378910972565126,  0.00294761225322105566, -0.000186374159451494863};
static const double erf_large_f64[] = {
    5.3649412646166323,       4.41816080599433281,     0.923750841824039759,
    0.01646511814058249,      -0.00357075634372069344, 0.000732399351849268412,
    -0.000135309381104155114, 0.000020706542647211806, -1.95200426382853269e-6,
    -2.03805575912480301e-7,  1.72877095872075114e-7,  -5.76602005563523284e-8,
    1.42327336626152589e-8,   -2.62539539928815873e-9, 1.53056130115190607e-10,
    8.52771343858260683e-11,  -1.77035854297681268e-11};
static const Poly small[2] = {POLY(erf_small_f32), POLY(erf_small_f64)};
static const Poly large[2] = {POLY(erf_large_f32), POLY(erf_large_f64)};

EmitValue vecmath_erf(Emit *e, EmitValue value) {
  VecMath *m = (VecMath *)e;
  bool wide = wide_(m);
  V x = vecmath_out(value);
  V near = fma_(m, horner_(m, &small[wide], mul_(m, x, x)), x, x);
  V t = most_(m, abs_(m, x), wide ? 6 : 4);
  V h = horner_(m, &large[wide], wide ? sub_(m, t, k_(m, 2)) : t);
  V far = sign_(m, sub_(m, k_(m, 1), vecmath_exp_inside(m, neg_(m, h))), x);
  V inside = LLVMBuildFCmp(m->cg->builder, LLVMRealOLE, t, k_(m, 1), "");
  return vecmath_in(select_(m, inside, near, far));
}
