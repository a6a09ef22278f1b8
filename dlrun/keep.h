/* What training keeps on disk. --save w.safetensors names three files: the weights as they are
 * after the last epoch; w.resume.safetensors, the checkpoint with the optimizer's state; and, where
 * there is data to validate on, w.best.safetensors, the weights of the best epoch so far. */
#ifndef DLC_DLRUN_KEEP_H
#define DLC_DLRUN_KEEP_H

#include "dlrun/tool.h"

typedef struct {
  Tool *tool;
  const char *save; /* NULL: nothing is kept */
  int metric;       /* what the best is best by: a metric of the model, or -1: the loss */
  bool any;         /* a best has been seen: */
  double value, loss;
} Keep;

/* `best` is "loss" or a metric's name; NULL: the first metric that grows (accuracy, top_k, auc),
 * else the loss. */
bool keep_new(Tool *t, const char *save, const char *best, Keep *out);
/* The weights and the checkpoint. */
bool keep_last(const Keep *k);
/* After a validation: saves the weights when they are the best. Between equals the smaller loss is
 * better, then the earlier. Sets *better. */
bool keep_best(Keep *k, double loss, const double *metrics, bool *better);

/* `path` with .kind before its suffix. */
const char *keep_name(Arena *a, const char *path, const char *kind);
/* Loads the checkpoint that `path` is, or that lies beside it; *seed is its seed. */
bool keep_resume(Tool *t, const char *path, uint64_t *seed);
/* Loads the weights that were best when training stopped at the checkpoint `path`; *found is false
 * where there are none. */
bool keep_load_best(Tool *t, const char *path, bool *found);

#endif
