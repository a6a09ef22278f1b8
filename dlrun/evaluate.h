/* Loss and metrics over a whole data set, in evaluation mode. */
#ifndef DLC_DLRUN_EVALUATE_H
#define DLC_DLRUN_EVALUATE_H

#include "dlrun/classes.h"
#include "dlrun/tool.h"

typedef struct {
  double loss, *metrics; /* one a metric of the model */
  bool classified;       /* the two below are there */
  double auc, accuracy;
} Evaluation;

/* A metric called auc says nothing about a part of the data: it is worked out here from all
 * samples' probabilities. With `classify`, AUC and accuracy are, for any network that has labels.
 */
bool evaluate(Tool *t, const Dataset *d, int64_t batch, bool classify, Evaluation *out);
/* Whether the model's metric i is an AUC. */
bool evaluate_is_auc(const dlc_model *m, int i);

#endif
