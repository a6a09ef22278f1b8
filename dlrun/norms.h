/* dlrun check --norms: how large the gradient of each layer's parameters is. */
#ifndef DLC_DLRUN_NORMS_H
#define DLC_DLRUN_NORMS_H

#include "dlrun/tool.h"

/* Of the mean loss over n made-up samples, by compiled code and in double by the interpreter. */
bool norms_run(Tool *t, int64_t n, uint64_t seed, bool eval, bool json);

#endif
