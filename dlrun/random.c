#include "dlrun/random.h"

#include "runtime/rt.h"

static uint64_t draw(uint64_t seed, RandomUse use, uint32_t round, uint64_t index) {
  uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)}, out[4];
  uint32_t counter[4] = {(uint32_t)index, (uint32_t)(index >> 32), round, (uint32_t)use};
  rt_philox(key, counter, out);
  return (uint64_t)out[0] << 32 | out[1];
}

double random_unit(uint64_t seed, RandomUse use, uint32_t round, uint64_t index) {
  return (double)(draw(seed, use, round, index) >> 11) * 0x1p-53;
}

/* Fisher and Yates; the bias of taking 64 bits modulo at most 2^40 is below 2^-24. */
void random_permutation(uint64_t seed, RandomUse use, uint32_t round, int64_t n, int64_t *out) {
  for (int64_t i = 0; i < n; i++) out[i] = i;
  for (int64_t i = n - 1; i > 0; i--) {
    int64_t j = (int64_t)(draw(seed, use, round, (uint64_t)i) % (uint64_t)(i + 1));
    int64_t was = out[i];
    out[i] = out[j];
    out[j] = was;
  }
}
