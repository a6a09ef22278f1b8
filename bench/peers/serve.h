/* The loop of a side's process: "ready" and the flops of a run go out; then, for each line with
 * seconds that comes in, the median milliseconds of a run. */
#ifndef BENCH_SERVE_H
#define BENCH_SERVE_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { RUNS_LEAST = 3, RUNS_MOST = 100000 };

static double now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median_ms(void (*run)(void *user), void *user, double seconds) {
  static double taken[RUNS_MOST];
  int runs = 0;
  double before = now_ms(), stop = before + 1e3 * seconds;
  while (runs < RUNS_LEAST || (before < stop && runs < RUNS_MOST)) {
    run(user);
    double after = now_ms();
    taken[runs++] = after - before;
    before = after;
  }
  qsort(taken, (size_t)runs, sizeof *taken, by_value);
  return taken[runs / 2];
}

static void serve(void (*run)(void *user), void *user, double flops) {
  char line[64];
  for (int i = 0; i < 3; i++) run(user);
  printf("ready %.9g\n", flops);
  fflush(stdout);
  while (fgets(line, sizeof line, stdin)) {
    printf("%.9g\n", median_ms(run, user, atof(line)));
    fflush(stdout);
  }
}

#endif
