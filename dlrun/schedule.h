/* The learning rate of each step. */
#ifndef DLC_DLRUN_SCHEDULE_H
#define DLC_DLRUN_SCHEDULE_H

#include "runtime/dlc.h"

/* `base` at the start; `epoch` e from 0 and `step` from 0 over the whole training. As PyTorch's
 * StepLR, CosineAnnealingLR and LinearLR (start_factor 1), stepped once an epoch:
 *   step    base gamma^floor(e / size)
 *   cosine  min_lr + (base - min_lr) (1 + cos(pi e / period)) / 2
 *   linear  base (1 + (end - 1) min(e / epochs, 1))
 * Warm-up scales the first steps by (step + 1) / warmup. */
double schedule_rate(const dlc_training *t, double base, int64_t epoch, int64_t step);

#endif
