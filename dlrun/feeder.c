/* Two slots: batch k is made in slot k mod 2 once batch k - 2 is done with. */
#include "dlrun/feeder.h"

void feeder_init(Feeder *f, Arena *a, const Dataset *d, const Augment *g, int64_t batch) {
  *f = (Feeder){.data = d, .augment = g, .batch = batch, .ahead = g->active};
  for (int i = 0; i < (f->ahead ? 2 : 1); i++) f->slot[i] = dataset_batch(a, d, batch);
  if (!f->ahead) f->slot[1] = f->slot[0];
  pthread_mutex_init(&f->lock, NULL);
  pthread_cond_init(&f->changed, NULL);
}

static int64_t samples_of(const Feeder *f, int64_t k) {
  int64_t left = f->data->n - f->first - k * f->batch;
  return left < f->batch ? left : f->batch;
}

static void make(Feeder *f, int64_t k) {
  int64_t n = samples_of(f, k);
  dataset_gather(f->data, f->order, f->first + k * f->batch, n, &f->slot[k % 2]);
  augment_batch(f->augment, &f->slot[k % 2], f->step + k, n);
}

static void *work(void *feeder) {
  Feeder *f = feeder;
  for (int64_t k = 0; samples_of(f, k) > 0; k++) {
    pthread_mutex_lock(&f->lock);
    while (k - f->used >= 2 && !f->stop) pthread_cond_wait(&f->changed, &f->lock);
    bool stop = f->stop;
    pthread_mutex_unlock(&f->lock);
    if (stop) break;
    make(f, k);
    pthread_mutex_lock(&f->lock);
    f->made = k + 1;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
  }
  return NULL;
}

void feeder_begin(Feeder *f, const int64_t *order, int64_t first, int64_t step) {
  f->order = order;
  f->first = first;
  f->step = step;
  f->given = f->made = f->used = 0;
  f->stop = false;
  f->running = f->ahead && !pthread_create(&f->thread, NULL, work, f);
}

static void wait_for(Feeder *f, int64_t k) {
  pthread_mutex_lock(&f->lock);
  f->used = k; /* the batches before this one are done with */
  pthread_cond_broadcast(&f->changed);
  while (f->made <= k) pthread_cond_wait(&f->changed, &f->lock);
  pthread_mutex_unlock(&f->lock);
}

const Batch *feeder_next(Feeder *f, int64_t *n) {
  int64_t k = f->given;
  *n = samples_of(f, k);
  if (*n <= 0) return NULL;
  if (f->running)
    wait_for(f, k);
  else
    make(f, k);
  f->given++;
  return &f->slot[k % 2];
}

void feeder_end(Feeder *f) {
  if (!f->running) return;
  pthread_mutex_lock(&f->lock);
  f->stop = true;
  pthread_cond_broadcast(&f->changed);
  pthread_mutex_unlock(&f->lock);
  pthread_join(f->thread, NULL);
  f->running = false;
}
