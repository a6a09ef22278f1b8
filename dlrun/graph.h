/* The graph that a compiled network carries as text. */
#ifndef DLC_DLRUN_GRAPH_H
#define DLC_DLRUN_GRAPH_H

#include "dlrun/tool.h"
#include "ir/ir.h"

/* NULL after a fault: stripped, or not understood. Diagnostics of later passes go to *diags. */
Graph *graph_load(Tool *t, Diags **diags);

#endif
