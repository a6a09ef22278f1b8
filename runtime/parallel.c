/* A small thread pool behind dlc_parallel_for.
 *
 * A loop is cut into pieces (eight a thread, so that a late thread does not hold up the rest),
 * published by one atomic store of the ticket and taken by compare-and-swap; the caller takes
 * pieces too. Workers spin briefly for the next loop, since a network is a run of loops
 * microseconds apart, then sleep. Which thread does which piece is left open: compiled code
 * computes the same bits for any cutting. */
#include <signal.h>
#include <string.h>

#include "runtime/rt.h"

enum { PIECES_PER_THREAD = 8, SPINS = 4000 };

static void pause_cpu(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

static uint32_t tickets_left(uint64_t ticket) { return (uint32_t)ticket; }

static int64_t piece_begin(int64_t count, int64_t pieces, int64_t i) {
  int64_t each = count / pieces, extra = count % pieces;
  return each * i + (i < extra ? i : extra);
}

static void piece_finished(Pool *p) {
  if (atomic_fetch_sub(&p->remaining, 1) != 1 || !atomic_load(&p->waiting)) return;
  pthread_mutex_lock(&p->lock);
  pthread_cond_broadcast(&p->done);
  pthread_mutex_unlock(&p->lock);
}

/* Takes one piece and runs it; 0 when none is left. The fields are read before the swap: when it
 * succeeds, the loop that they belong to had a piece left all the while, so they were not being
 * rewritten. */
static int take_piece(Pool *p) {
  uint64_t ticket = atomic_load(&p->ticket);
  while (tickets_left(ticket)) {
    int64_t pieces = atomic_load_explicit(&p->pieces, memory_order_relaxed);
    int64_t count = atomic_load_explicit(&p->count, memory_order_relaxed);
    dlc_range body = atomic_load_explicit(&p->body, memory_order_relaxed);
    void *context = atomic_load_explicit(&p->context, memory_order_relaxed);
    if (!atomic_compare_exchange_weak(&p->ticket, &ticket, ticket - 1)) continue;
    int64_t i = (int64_t)tickets_left(ticket) - 1;
    body(context, piece_begin(count, pieces, i), piece_begin(count, pieces, i + 1));
    piece_finished(p);
    return 1;
  }
  return 0;
}

static int idle(Pool *p) {
  return !tickets_left(atomic_load(&p->ticket)) && !atomic_load(&p->stop);
}

static void wait_for_work(Pool *p) {
  for (int i = 0; i < SPINS; i++) {
    if (!idle(p)) return;
    pause_cpu();
  }
  pthread_mutex_lock(&p->lock);
  atomic_fetch_add(&p->sleepers, 1);
  while (idle(p)) pthread_cond_wait(&p->work, &p->lock);
  atomic_fetch_sub(&p->sleepers, 1);
  pthread_mutex_unlock(&p->lock);
}

static void *worker(void *pool) {
  Pool *p = pool;
  while (!atomic_load(&p->stop))
    if (!take_piece(p)) wait_for_work(p);
  return NULL;
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

static void publish(Pool *p, int64_t count, int64_t pieces, dlc_range body, void *context) {
  atomic_store_explicit(&p->pieces, pieces, memory_order_relaxed);
  atomic_store_explicit(&p->count, count, memory_order_relaxed);
  atomic_store_explicit(&p->body, body, memory_order_relaxed);
  atomic_store_explicit(&p->context, context, memory_order_relaxed);
  atomic_store(&p->remaining, pieces);
  uint64_t generation = (atomic_load(&p->ticket) >> 32) + 1;
  atomic_store(&p->ticket, generation << 32 | (uint64_t)pieces);
}

void pool_for(void *pool, int64_t count, dlc_range body, void *context) {
  Pool *p = pool;
  if (count <= 0) return;
  /* A loop inside a loop, or one from a second thread, runs where it is. */
  if (p->threads == 1 || count == 1 || atomic_flag_test_and_set(&p->busy)) {
    body(context, 0, count);
    return;
  }
  int64_t pieces = (int64_t)p->threads * PIECES_PER_THREAD;
  publish(p, count, pieces < count ? pieces : count, body, context);
  wake(p);
  while (take_piece(p)) {
  }
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
  for (int i = 1; i < p->threads; i++) pthread_join(p->thread[i], NULL);
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
    failed = pthread_create(&p->thread[p->threads], NULL, worker, p);
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
