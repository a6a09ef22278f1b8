/* Some of a file's tensors into a session, for fine-tuning: the body of another network, not its
 * head. */
#ifndef DLC_DLRUN_WEIGHTS_H
#define DLC_DLRUN_WEIGHTS_H

#include "dlrun/tool.h"

/* Loads the parameters and buffers whose names fit one of `only` (all, when there is none) and none
 * of `skip`; each of these must be in the file and fit. A pattern that fits nothing is a fault.
 * With `print`, says of every tensor of the network and the file what became of it. */
bool weights_load(Tool *t, const char *path, const TextList *only, const TextList *skip,
                  bool print);

#endif
