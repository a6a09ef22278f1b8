/* bench_threads [THREADS]: what several processors of this machine have of one, before any network
 * runs: multiply-adds in registers, sweeps over memory of each thread's own (three streams read and
 * written, as an optimizer's step does), and the way of a cache line to another processor and back,
 * which tells whether the two share a cache. Threads stay on processors 0, 1, ... */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LANES = 16, CHAINS = 16, STREAMS = 3, MOST = 64, TRIPS = 20000, BEST_OF = 10 };
#define SECONDS 0.3

typedef float Vec __attribute__((vector_size(4 * LANES)));

typedef struct {
  int number;
  size_t bytes; /* of a stream; 0: multiply-adds */
  pthread_barrier_t *together;
  double rate; /* a nanosecond */
} Thread;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void stay_on(int processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(processor, &set);
  pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

/* Returns the operations. */
static double multiply_adds(volatile float *sink) {
  enum { STEPS = 20000 };
  Vec acc[CHAINS], x;
  for (int i = 0; i < LANES; i++) x[i] = *sink;
  for (int i = 0; i < CHAINS; i++) acc[i] = x + (float)i;
  for (int s = 0; s < STEPS; s++)
    for (int i = 0; i < CHAINS; i++) acc[i] = acc[i] * x + x;
  for (int i = 0; i < CHAINS; i++) *sink = acc[i][0];
  return 2.0 * LANES * CHAINS * STEPS;
}

/* Returns the bytes moved. */
static double sweep(Vec *const *stream, size_t bytes) {
  for (size_t i = 0; i < bytes / sizeof(Vec); i++)
    for (int s = 0; s < STREAMS; s++) stream[s][i] = stream[s][i] * 0.999f + 0.001f;
  return 2.0 * STREAMS * (double)bytes;
}

static void *run(void *thread) {
  Thread *t = thread;
  stay_on(t->number);
  Vec *stream[STREAMS] = {0};
  volatile float sink = 0.5f;
  for (int s = 0; t->bytes && s < STREAMS; s++) {
    stream[s] = aligned_alloc(4096, t->bytes);
    if (!stream[s]) exit(70);
    memset(stream[s], 0, t->bytes);
  }
  pthread_barrier_wait(t->together);
  double start = now(), done = 0;
  while (now() - start < SECONDS) done += t->bytes ? sweep(stream, t->bytes) : multiply_adds(&sink);
  t->rate = done / (now() - start) * 1e-9;
  pthread_barrier_wait(t->together);
  for (int s = 0; s < STREAMS; s++) free(stream[s]);
  return NULL;
}

static double rate(int threads, size_t bytes) {
  pthread_barrier_t together;
  pthread_t id[MOST];
  Thread t[MOST];
  double sum = 0;
  pthread_barrier_init(&together, NULL, (unsigned)threads);
  for (int i = 0; i < threads; i++) {
    t[i] = (Thread){i, bytes, &together, 0};
    if (pthread_create(&id[i], NULL, run, &t[i])) exit(70);
  }
  for (int i = 0; i < threads; i++) pthread_join(id[i], NULL), sum += t[i].rate;
  pthread_barrier_destroy(&together);
  return sum;
}

static _Alignas(64) _Atomic int ball;

static void *answer(void *none) {
  stay_on(1);
  for (int i = 0; i < TRIPS * BEST_OF; i++) {
    while (atomic_load(&ball) != 2 * i + 1) {
    }
    atomic_store(&ball, 2 * i + 2);
  }
  return none;
}

/* Nanoseconds. */
static double round_trip(void) {
  pthread_t other;
  double best = 1;
  if (pthread_create(&other, NULL, answer, NULL)) exit(70);
  stay_on(0);
  for (int k = 0; k < BEST_OF; k++) {
    double start = now();
    for (int i = k * TRIPS; i < (k + 1) * TRIPS; i++) {
      atomic_store(&ball, 2 * i + 1);
      while (atomic_load(&ball) != 2 * i + 2) {
      }
    }
    double trip = (now() - start) / TRIPS;
    if (trip < best) best = trip;
  }
  pthread_join(other, NULL);
  return best * 1e9;
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    size_t bytes;
  } rows[] = {{"multiply-adds, GFLOP/s", 0},
              {"sweep of 3 x 128 KB, GB/s", 128 << 10},
              {"sweep of 3 x 48 MB, GB/s", 48 << 20}};
  int most = argc > 1 ? atoi(argv[1]) : 2;
  if (most < 1 || most > MOST) most = 2;
  printf("| threads |");
  for (int n = 1; n <= most; n *= 2) printf(" %d |", n);
  printf("\n|---|");
  for (int n = 1; n <= most; n *= 2) printf("---|");
  for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
    printf("\n| %s |", rows[r].name);
    for (int n = 1; n <= most; n *= 2) printf(" %.1f |", rate(n, rows[r].bytes));
  }
  printf("\n");
  if (most > 1)
    printf("A cache line goes from processor 0 to 1 and back in %.0f ns.\n", round_trip());
  return 0;
}
