/* What training has reached: a row an epoch, kept as log.csv and drawn as curves.svg and .png. */
#ifndef DLC_DLRUN_HISTORY_H
#define DLC_DLRUN_HISTORY_H

#include "base/vec.h"
#include "dlrun/fault.h"
#include "runtime/dlc.h"

enum { HISTORY_METRICS = 16 };

typedef struct {
  int64_t epoch, step; /* both after it */
  double lr, seconds;
  double loss, metric[HISTORY_METRICS];
  double valid_loss, valid_metric[HISTORY_METRICS]; /* NaN without validation */
  bool best; /* so far, when it was reached; not kept on disk */
} HistoryRow;

typedef struct {
  Arena *arena;
  const dlc_model *model;
  int metrics; /* at most HISTORY_METRICS are kept */
  bool valid;
  VEC(HistoryRow) rows;
} History;

/* Writes DIR/log.csv anew; DIR/curves.svg and DIR/curves.png. */
bool history_write(const History *h, const char *dir, Fault *f);
bool history_draw(const History *h, const char *dir, Fault *f);
/* The rows of DIR/log.csv up to `epoch`, so that a resumed training goes on with them; none when
 * there is no file. */
bool history_read(History *h, const char *dir, int64_t epoch, Fault *f);

#endif
