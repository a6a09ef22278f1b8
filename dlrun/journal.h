/* The folder that --log names: log.csv, anew after each epoch; curves.svg and curves.png, at most
 * once a second and at the end; and a TensorBoard event file that grows with each step. */
#ifndef DLC_DLRUN_JOURNAL_H
#define DLC_DLRUN_JOURNAL_H

#include "dlrun/events.h"
#include "dlrun/history.h"

typedef struct {
  const char *dir; /* NULL: nothing is kept */
  const History *history;
  Events events;
  double drawn; /* when */
  bool stale;   /* the curves lack the last row */
} Journal;

/* Makes the folder. */
bool journal_open(Journal *j, const char *dir, const History *h, Fault *f);
/* After `step` steps; the loss of the last one. */
void journal_step(Journal *j, int64_t step, double loss);
/* The history's last row. */
bool journal_epoch(Journal *j, Fault *f);
bool journal_close(Journal *j, Fault *f);

#endif
