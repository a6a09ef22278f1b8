/* The table of a network's layers: shape and trainable parameters of each, and the total. */
#ifndef DLC_PASSES_SUMMARY_H
#define DLC_PASSES_SUMMARY_H

#include "ir/ir.h"

void summary_print(const Graph *source, Str *out);

#endif
