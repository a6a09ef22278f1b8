/* The live line of training on a terminal, and the line that each epoch leaves behind. */
#ifndef DLC_DLRUN_PROGRESS_H
#define DLC_DLRUN_PROGRESS_H

#include "dlrun/history.h"

typedef struct {
  const dlc_model *model;
  bool live, unicode, colour;
  int64_t epochs, samples; /* in all; of one epoch */
  double epoch_start, last_draw;
  int64_t begin; /* samples of this epoch done before it started here */
  int width;     /* columns of the terminal */
} Progress;

Progress progress_new(const dlc_model *m, int64_t epochs, int64_t samples);
void progress_epoch(Progress *p, int64_t done);
/* Draws at most ten times a second. `done` samples of epoch `epoch` (from 0), with means so far. */
void progress_step(Progress *p, int64_t epoch, int64_t done, double loss, const double *metrics);
void progress_row(Progress *p, const History *h);
/* Clears the live line. */
void progress_clear(Progress *p);

#endif
