/* The machine's peak, as a side: PEAK_MFLOP million multiply-adds' flops in registers. Compiled
 * with -O2 -march=native. */
#include "serve.h"

#ifdef __AVX512F__
enum { LANES = 16 };
#else
enum { LANES = 8 };
#endif
enum { CHAINS = 12, PEAK_MFLOP = 100, STEPS = PEAK_MFLOP * 1000000 / (2 * LANES * CHAINS) };
typedef float Vector __attribute__((vector_size(4 * LANES)));

static volatile float seed = 1;

static void multiply_adds(void *user) {
  (void)user;
  Vector x = (Vector){0} + seed, chain[CHAINS];
  for (int i = 0; i < CHAINS; i++) chain[i] = x + (float)i;
  for (int k = 0; k < STEPS; k++)
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; i++) chain[i] = chain[i] * x + x;
  for (int i = 1; i < CHAINS; i++) chain[0] += chain[i];
  if (chain[0][0] < 0) seed = 1;
}

int main(void) {
  serve(multiply_adds, NULL, 1e6 * PEAK_MFLOP);
  return 0;
}
