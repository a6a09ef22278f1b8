#include "dlrun/schedule.h"

#include <math.h>
#include <string.h>

static double by_steps(const dlc_training *t, double base, double epoch) {
  return t->schedule_size > 0 ? base * pow(t->schedule_gamma, floor(epoch / t->schedule_size))
                              : base;
}

static double by_cosine(const dlc_training *t, double base, double epoch) {
  if (!(t->schedule_period > 0)) return base;
  return t->schedule_min_lr +
         (base - t->schedule_min_lr) * (1 + cos(M_PI * epoch / t->schedule_period)) / 2;
}

static double by_line(const dlc_training *t, double base, double epoch) {
  if (!(t->schedule_epochs > 0)) return base;
  double part = epoch < t->schedule_epochs ? epoch / t->schedule_epochs : 1;
  return base * (1 + (t->schedule_end - 1) * part);
}

double schedule_rate(const dlc_training *t, double base, int64_t epoch, int64_t step) {
  static const struct {
    const char *name;
    double (*rate)(const dlc_training *, double, double);
  } table[] = {{"step", by_steps}, {"cosine", by_cosine}, {"linear", by_line}};
  double rate = base;
  for (size_t i = 0; t->schedule && i < sizeof table / sizeof *table; i++)
    if (strcmp(t->schedule, table[i].name) == 0) rate = table[i].rate(t, base, (double)epoch);
  if (step < t->warmup_steps) rate *= (double)(step + 1) / (double)t->warmup_steps;
  return rate;
}
