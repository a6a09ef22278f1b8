/* The learning rate of each step. */
#ifndef DLC_DLRUN_SCHEDULE_H
#define DLC_DLRUN_SCHEDULE_H

#include "runtime/dlc.h"

/* `base` at the start; `epoch` from 0 and `step` from 0 over the whole training. The formulas are
 * PyTorch's StepLR, CosineAnnealingLR and LinearLR, stepped once an epoch; warm-up scales the first
 * steps by (step + 1) / warmup. */
double schedule_rate(const dlc_training *t, double base, int64_t epoch, int64_t step);

#endif
