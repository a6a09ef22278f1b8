/* Compiled networks as shared libraries. */
#ifndef DLC_DLRUN_MODEL_H
#define DLC_DLRUN_MODEL_H

#include "dlrun/fault.h"
#include "runtime/dlc.h"

/* Opens the library and finds its one symbol dlc_v1_*; *handle is for dlclose. */
bool model_open(const char *path, void **handle, const dlc_model **out, Fault *f);

#endif
