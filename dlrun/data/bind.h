/* From arrays as files hold them to the network's tensors. */
#ifndef DLC_DLRUN_BIND_H
#define DLC_DLRUN_BIND_H

#include "dlrun/data/dataset.h"
#include "dlrun/data/raw.h"

/* Names first, then place among the unnamed. */
bool bind_arrays(RawSet *s, bool targets, Dataset *out, Fault *f);
/* fold, part, split and limit; `whole` when the reader has already cut the part. */
bool bind_rows(Arena *a, const DataSpec *spec, bool whole, Dataset *d, Fault *f);

#endif
