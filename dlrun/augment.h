/* Random changes of image inputs [C, H, W] while training: flips, rotation, shifted crops. */
#ifndef DLC_DLRUN_AUGMENT_H
#define DLC_DLRUN_AUGMENT_H

#include "dlrun/data/dataset.h"

typedef struct {
  const dlc_model *model;
  bool active;
  uint64_t seed;
  /* of each image input: room for one plane, and for one with a border */
  char **copy;
  double **bordered;
} Augment;

Augment augment_new(Arena *a, const dlc_model *model, uint64_t seed);
/* Changes the n samples of the batch. What happens to sample k depends on (seed, step, k) alone. */
void augment_batch(const Augment *g, Batch *b, int64_t step, int64_t n);

#endif
