/* Reproducible choices of the tool: permutations and augmentation, from the runtime's Philox. */
#ifndef DLC_DLRUN_RANDOM_H
#define DLC_DLRUN_RANDOM_H

#include <stdint.h>

typedef enum {
  RANDOM_SHUFFLE = 0x53485546,
  RANDOM_FOLD,
  RANDOM_AUGMENT,
  RANDOM_BENCH,
  RANDOM_CHECK,
  RANDOM_MOVE
} RandomUse;

/* A number in [0, 1) that is a function of its arguments. */
double random_unit(uint64_t seed, RandomUse use, uint32_t round, uint64_t index);
/* 0 .. n-1 in the order of (seed, use, round). */
void random_permutation(uint64_t seed, RandomUse use, uint32_t round, int64_t n, int64_t *out);

#endif
