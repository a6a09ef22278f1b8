/* The folder that --log names: log.csv, curves.svg and curves.png, anew after each epoch, and a
 * TensorBoard event file that grows with each step. */
#ifndef DLC_DLRUN_JOURNAL_H
#define DLC_DLRUN_JOURNAL_H

#include "dlrun/events.h"
#include "dlrun/history.h"

typedef struct {
  const char *dir; /* NULL: nothing is kept */
  const History *history;
  Events events;
} Journal;

/* Makes the folder. */
bool journal_open(Journal *j, const char *dir, const History *h, Fault *f);
/* After `step` steps; the loss of the last one. */
void journal_step(Journal *j, int64_t step, double loss);
/* The history's last row. */
bool journal_epoch(Journal *j, Fault *f);
void journal_close(Journal *j);

#endif
