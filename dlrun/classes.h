/* Networks that tell classes apart: which output has the probabilities, what follows from them. */
#ifndef DLC_DLRUN_CLASSES_H
#define DLC_DLRUN_CLASSES_H

#include "base/arena.h"
#include "dlrun/fault.h"
#include "dlrun/heads.h"
#include "runtime/dlc.h"

/* The first target that is one label a sample, and the output that scores its classes: the one
 * known to (heads.h), probabilities before logits; else the first with a number a class. */
typedef struct {
  int32_t output, target;
  int64_t classes;
  HeadKind kind;
} Classes;

/* False when there is none. */
bool classes_find(const dlc_model *m, const Head *heads, Classes *out);

/* n rows of k scores become probabilities. */
void classes_normalize(HeadKind kind, double *score, int64_t n, int64_t k);
/* The mean over classes of the area under the ROC curve, each class against the rest; ties count
 * half. Classes without a sample, or with all of them, are left out; NaN when that is all. */
double classes_auc(Arena *a, const double *score, const int32_t *label, int64_t n, int64_t k);
double classes_accuracy(const double *score, const int32_t *label, int64_t n, int64_t k);

/* Whether a metric's name is this kind's, or that and a number: accuracy, accuracy2. */
bool metric_is(const char *name, const char *kind);

/* Names of k classes: a file with a name a line, or names between commas. */
const char **classes_names(Arena *a, const char *text, int64_t k, Fault *f);

#endif
