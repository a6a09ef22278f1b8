/* The batches of an epoch, one after the other. Where making one takes work (augmentation), a
 * thread of its own makes the next while the network trains on this one; the batches are the same.
 */
#ifndef DLC_DLRUN_FEEDER_H
#define DLC_DLRUN_FEEDER_H

#include <pthread.h>

#include "dlrun/augment.h"

typedef struct {
  const Dataset *data;
  const Augment *augment;
  int64_t batch; /* samples a batch */
  Batch slot[2];
  bool ahead; /* a thread prepares batches */
  /* of the epoch in progress */
  const int64_t *order;
  int64_t first, step; /* sample and step at which it starts here */
  int64_t given;       /* batches handed out */
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  int64_t made, used; /* by `lock`: batches made, and done with */
  bool running, stop;
} Feeder;

void feeder_init(Feeder *f, Arena *a, const Dataset *d, const Augment *g, int64_t batch);
/* From sample `first` of `order` on; `step` is the number of the first batch's step. */
void feeder_begin(Feeder *f, const int64_t *order, int64_t first, int64_t step);
/* The next batch, of *n samples, good until the next call; NULL at the end of the epoch. */
const Batch *feeder_next(Feeder *f, int64_t *n);
/* Ends the epoch, at its end or before. */
void feeder_end(Feeder *f);

#endif
