/* A small thread pool behind dlc_parallel_for.
 *
 * A loop is cut into one share a thread, the same fraction of every loop. A thread takes its own
 * share first, so that it finds in its caches what it wrote in the loops before; then it helps with
 * the others, so that a late thread does not hold up the rest. What is taken at once is half of
 * what is left of a share: large pieces while there is much, small ones for an even end. Shares are
 * published by atomic stores of their tickets, pieces taken by compare-and-swap. Workers spin
 * briefly for the next loop, since a network is a run of loops microseconds apart, then sleep.
 * Which thread does which piece is left open: compiled code computes the same bits for any cutting.
 */
#include <signal.h>
#include <string.h>

#include "runtime/rt.h"

enum { SMALLEST_PIECE = 64 /* the part of a share */, SPINS = 4000 };

static void pause_cpu(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

static uint32_t units_left(uint64_t ticket) { return (uint32_t)ticket; }

/* Where share i begins. */
static int64_t share_begin(const Pool *p, int64_t count, int i) {
  int64_t each = count / p->threads, extra = count % p->threads;
  return each * i + (i < extra ? i : extra);
}

static int64_t piece_size(int64_t share, int64_t left) {
  int64_t half = (left + 1) / 2, least = share / SMALLEST_PIECE;
  return half > least ? half : left < least ? left : least;
}

/* Takes one piece of share i and runs it; its units, 0 when none are left. The fields are read
 * before the swap: when it succeeds, the loop that they belong to had a piece left all the while,
 * so they were not being rewritten. */
static int64_t take_piece(Pool *p, int i) {
  uint64_t ticket = atomic_load(&p->share[i].ticket);
  while (units_left(ticket)) {
    int64_t count = atomic_load_explicit(&p->count, memory_order_relaxed);
    dlc_range body = atomic_load_explicit(&p->body, memory_order_relaxed);
    void *context = atomic_load_explicit(&p->context, memory_order_relaxed);
    int64_t end = share_begin(p, count, i + 1), begin = end - units_left(ticket);
    int64_t size = piece_size(end - share_begin(p, count, i), end - begin);
    uint64_t rest = ticket - (uint64_t)size;
    if (!atomic_compare_exchange_weak(&p->share[i].ticket, &ticket, rest)) continue;
    body(context, begin, begin + size);
    return size;
  }
  return 0;
}

static void units_finished(Pool *p, int64_t done) {
  if (atomic_fetch_sub(&p->remaining, done) != done || !atomic_load(&p->waiting)) return;
  pthread_mutex_lock(&p->lock);
  pthread_cond_broadcast(&p->done);
  pthread_mutex_unlock(&p->lock);
}

/* Takes all that can be had, the share of thread `self` first. */
static void work(Pool *p, int self) {
  int64_t done = 0, units;
  for (int i = 0; i < p->threads; i++)
    while ((units = take_piece(p, (self + i) % p->threads))) done += units;
  if (done) units_finished(p, done);
}

static int idle(Pool *p, uint32_t seen) {
  return atomic_load(&p->generation) == seen && !atomic_load(&p->stop);
}

static void wait_for_loop(Pool *p, uint32_t seen) {
  for (int i = 0; i < SPINS; i++) {
    if (!idle(p, seen)) return;
    pause_cpu();
  }
  pthread_mutex_lock(&p->lock);
  atomic_fetch_add(&p->sleepers, 1);
  while (idle(p, seen)) pthread_cond_wait(&p->work, &p->lock);
  atomic_fetch_sub(&p->sleepers, 1);
  pthread_mutex_unlock(&p->lock);
}

static void *worker(void *share) {
  Share *own = share;
  Pool *p = own->pool;
  uint32_t seen = own->first;
  for (;;) {
    wait_for_loop(p, seen);
    if (atomic_load(&p->stop)) return NULL;
    seen = atomic_load(&p->generation);
    work(p, (int)(own - p->share));
  }
}

static void wake(Pool *p) {
  if (!atomic_load(&p->sleepers)) return;
  pthread_mutex_lock(&p->lock);
  pthread_cond_broadcast(&p->work);
  pthread_mutex_unlock(&p->lock);
}

static void wait_until_done(Pool *p) {
  for (int i = 0; i < SPINS; i++) {
    if (!atomic_load(&p->remaining)) return;
    pause_cpu();
  }
  pthread_mutex_lock(&p->lock);
  atomic_store(&p->waiting, 1);
  while (atomic_load(&p->remaining)) pthread_cond_wait(&p->done, &p->lock);
  atomic_store(&p->waiting, 0);
  pthread_mutex_unlock(&p->lock);
}

static void publish(Pool *p, int64_t count, dlc_range body, void *context) {
  atomic_store_explicit(&p->count, count, memory_order_relaxed);
  atomic_store_explicit(&p->body, body, memory_order_relaxed);
  atomic_store_explicit(&p->context, context, memory_order_relaxed);
  atomic_store(&p->remaining, count);
  uint32_t generation = atomic_load(&p->generation) + 1;
  for (int i = 0; i < p->threads; i++) {
    int64_t units = share_begin(p, count, i + 1) - share_begin(p, count, i);
    atomic_store(&p->share[i].ticket, (uint64_t)generation << 32 | (uint64_t)units);
  }
  atomic_store(&p->generation, generation);
}

void pool_for(void *pool, int64_t count, dlc_range body, void *context) {
  Pool *p = pool;
  if (count <= 0) return;
  /* A loop inside a loop, or one from a second thread, runs where it is; so does one that no ticket
   * can hold. */
  if (p->threads == 1 || count == 1 || count > UINT32_MAX || atomic_flag_test_and_set(&p->busy)) {
    body(context, 0, count);
    return;
  }
  publish(p, count, body, context);
  wake(p);
  work(p, 0);
  wait_until_done(p);
  atomic_flag_clear(&p->busy);
}

void pool_init(Pool *p) {
  memset(p, 0, sizeof *p);
  pthread_mutex_init(&p->lock, NULL);
  pthread_cond_init(&p->work, NULL);
  pthread_cond_init(&p->done, NULL);
  atomic_flag_clear(&p->busy);
  p->threads = 1;
}

static void stop_threads(Pool *p) {
  atomic_store(&p->stop, 1);
  pthread_mutex_lock(&p->lock);
  pthread_cond_broadcast(&p->work);
  pthread_mutex_unlock(&p->lock);
  for (int i = 1; i < p->threads; i++) pthread_join(p->share[i].thread, NULL);
  p->threads = 1;
  atomic_store(&p->stop, 0);
}

int pool_resize(Pool *p, int threads) {
  if (threads == p->threads) return DLC_OK;
  stop_threads(p);
  /* Signals are the application's: its threads take them. */
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int failed = 0;
  while (p->threads < threads && !failed) {
    Share *next = &p->share[p->threads];
    next->pool = p;
    next->first = atomic_load(&p->generation);
    failed = pthread_create(&next->thread, NULL, worker, next);
    if (!failed) p->threads++;
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (!failed) return DLC_OK;
  stop_threads(p);
  return DLC_ENOMEM;
}

void pool_stop(Pool *p) {
  stop_threads(p);
  pthread_cond_destroy(&p->done);
  pthread_cond_destroy(&p->work);
  pthread_mutex_destroy(&p->lock);
}
