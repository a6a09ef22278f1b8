/* What training keeps on disk. --save w.safetensors names three files: the weights as they are
 * after the last epoch; w.resume.safetensors, the checkpoint with the optimizer's state; and, where
 * there is data to validate on, w.best.safetensors, the weights of the best epoch so far. */
#ifndef DLC_DLRUN_KEEP_H
#define DLC_DLRUN_KEEP_H

#include "dlrun/tool.h"

/* What a checkpoint says of the training that wrote it; 0 (lr: negative) where it does not. */
typedef struct {
  const char *path;
  uint64_t seed;
  int64_t step, batch, epochs, samples;
  double lr; /* before schedule and warm-up */
} Resume;

typedef struct {
  Tool *tool;
  const char *save; /* NULL: nothing is kept */
  int metric;       /* what the best is best by: a metric of the model, or -1: the loss */
  bool any;         /* a best has been seen: */
  double value, loss;
  /* metadata of the weights, and, after it, more of the checkpoint: pairs */
  const char *const *pairs;
  int32_t weights_pairs, all_pairs;
} Keep;

/* `best` is "loss" or a metric's name; NULL: the first metric that grows (accuracy, top_k, auc),
 * else the loss. */
bool keep_new(Tool *t, const char *save, const char *best, Keep *out);
/* What the files say besides: the words that classes stand for, and the training's numbers. */
void keep_describe(Keep *k, const Words *words, const Resume *training);
/* The weights and the checkpoint. */
bool keep_last(const Keep *k);
/* After a validation: saves the weights when they are the best. Between equals the smaller loss is
 * better, then the earlier. Sets *better. */
bool keep_best(Keep *k, double loss, const double *metrics, bool *better);

/* `path` with .kind before its suffix. */
const char *keep_name(Arena *a, const char *path, const char *kind);
/* Reads the position of the checkpoint that `path` is, or that lies beside it. */
bool keep_find(Tool *t, const char *path, Resume *out);
/* Loads the weights that were best when training stopped at the checkpoint `path`; *found is false
 * where there are none. */
bool keep_load_best(Tool *t, const char *path, bool *found);

#endif
