#include "dlrun/journal.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { DRAW_EVERY = 1 }; /* seconds: a drawing takes longer than a short epoch */

static double wall_time(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

bool journal_open(Journal *j, const char *dir, const History *h, Fault *f) {
  *j = (Journal){.dir = dir, .history = h};
  if (!dir) return true;
  if (mkdir(dir, 0777) && errno != EEXIST) return fault(f, "%s: %s", dir, strerror(errno));
  return events_open(&j->events, h->arena, dir, f);
}

void journal_step(Journal *j, int64_t step, double loss) {
  if (j->events.file) events_scalar(&j->events, wall_time(), step, "loss/step", loss);
}

/* Tags of one quantity share what is before the slash, and so a panel of TensorBoard. */
static void put(Journal *j, int64_t step, const char *quantity, const char *part, double value) {
  char tag[EVENTS_TAG];
  if (isnan(value)) return;
  snprintf(tag, sizeof tag, "%s/%s", quantity, part);
  events_scalar(&j->events, wall_time(), step, tag, value);
}

static bool draw(Journal *j, Fault *f) {
  if (!history_draw(j->history, j->dir, f)) return false;
  j->stale = false;
  j->drawn = wall_time();
  return true;
}

bool journal_epoch(Journal *j, Fault *f) {
  if (!j->dir) return true;
  const History *h = j->history;
  const HistoryRow *row = &h->rows.at[h->rows.count - 1];
  put(j, row->step, "loss", "train", row->loss);
  if (h->valid) put(j, row->step, "loss", "valid", row->valid_loss);
  for (int i = 0; i < h->metrics; i++) {
    put(j, row->step, h->model->metrics[i], "train", row->metric[i]);
    if (h->valid) put(j, row->step, h->model->metrics[i], "valid", row->valid_metric[i]);
  }
  put(j, row->step, "train", "lr", row->lr);
  j->stale = true;
  if (!events_flush(&j->events, f) || !history_write(h, j->dir, f)) return false;
  return wall_time() < j->drawn + DRAW_EVERY || draw(j, f);
}

bool journal_close(Journal *j, Fault *f) {
  events_close(&j->events);
  return !j->stale || draw(j, f);
}
