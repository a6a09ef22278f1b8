/* Philox 4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3",
 * SC 2011. */
#include "ir/op.h"

static void mul_wide(uint32_t a, uint32_t b, uint32_t *high, uint32_t *low) {
  uint64_t p = (uint64_t)a * b;
  *high = (uint32_t)(p >> 32);
  *low = (uint32_t)p;
}

/* One round: x0, x2 go through the multipliers; x1, x3 and the key are mixed in the high halves. */
static void philox_round(uint32_t x[4], uint32_t k0, uint32_t k1) {
  uint32_t high0, low0, high1, low1;
  mul_wide(0xD2511F53u, x[0], &high0, &low0);
  mul_wide(0xCD9E8D57u, x[2], &high1, &low1);
  x[0] = high1 ^ x[1] ^ k0;
  x[1] = low1;
  x[2] = high0 ^ x[3] ^ k1;
  x[3] = low0;
}

uint32_t philox(uint64_t seed, uint64_t step, uint32_t stream, uint64_t element) {
  uint32_t x[4] = {(uint32_t)element, (uint32_t)(element >> 32), stream, (uint32_t)step};
  uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
  for (int i = 0; i < 10; i++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) philox_round(x, k0, k1);
  return x[0];
}
