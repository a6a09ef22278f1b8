/* Made-up samples that fit a network: reals in [-1, 1), pixels, labels and indices within their
 * classes. */
#ifndef DLC_DLRUN_SYNTHETIC_H
#define DLC_DLRUN_SYNTHETIC_H

#include "dlrun/data/dataset.h"
#include "dlrun/random.h"

Batch synthetic_batch(Arena *a, const dlc_model *model, int64_t n, uint64_t seed, RandomUse use);

#endif
