/* Networks that tell classes apart: which output has the probabilities, what follows from them. */
#ifndef DLC_DLRUN_CLASSES_H
#define DLC_DLRUN_CLASSES_H

#include "base/arena.h"
#include "dlrun/fault.h"
#include "runtime/dlc.h"

/* The output with one number a class: that of the first target that is one label a sample, or,
 * where none is, of the first per-sample vector. Among several, the one called "probabilities" is
 * meant, else the first. */
typedef struct {
  int32_t output, target; /* target -1: the network has no label */
  int64_t classes;
} Classes;

/* False when there is none. */
bool classes_find(const dlc_model *m, Classes *out);

/* n rows of k scores: where one is outside [0, 1], all are logits, and rows become their softmax.
 */
void classes_normalize(double *score, int64_t n, int64_t k);
/* The mean over classes of the area under the ROC curve, each class against the rest; ties count
 * half. Classes without a sample, or with all of them, are left out; NaN when that is all. */
double classes_auc(Arena *a, const double *score, const int32_t *label, int64_t n, int64_t k);
double classes_accuracy(const double *score, const int32_t *label, int64_t n, int64_t k);

/* Whether a metric's name is this kind's, or that and a number: accuracy, accuracy2. */
bool metric_is(const char *name, const char *kind);

/* Names of k classes: a file with a name a line, or names between commas. */
const char **classes_names(Arena *a, const char *text, int64_t k, Fault *f);

#endif
