/* Philox 4x32-10, the counter-based generator of Salmon, Moraes, Dror and Shaw, "Parallel random
 * numbers: as easy as 1, 2, 3" (2011). */
#include "runtime/rt.h"

static void multiply(uint32_t a, uint32_t b, uint32_t *high, uint32_t *low) {
  uint64_t product = (uint64_t)a * b;
  *high = (uint32_t)(product >> 32);
  *low = (uint32_t)product;
}

void rt_philox(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4]) {
  uint32_t k0 = key[0], k1 = key[1], c0 = counter[0], c1 = counter[1], c2 = counter[2],
           c3 = counter[3];
  for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
    uint32_t h0, l0, h1, l1;
    multiply(0xD2511F53u, c0, &h0, &l0);
    multiply(0xCD9E8D57u, c2, &h1, &l1);
    uint32_t was1 = c1, was3 = c3;
    c0 = h1 ^ was1 ^ k0;
    c1 = l1;
    c2 = h0 ^ was3 ^ k1;
    c3 = l0;
  }
  out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}
