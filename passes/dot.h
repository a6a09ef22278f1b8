/* --emit=dot: the graph for Graphviz, clustered by the dotted names of layers. */
#ifndef DLC_PASSES_DOT_H
#define DLC_PASSES_DOT_H

#include "ir/ir.h"

void dot_print(const Graph *g, Str *out);

#endif
