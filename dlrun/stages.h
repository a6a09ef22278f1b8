/* The feature maps of a network worth looking at. */
#ifndef DLC_DLRUN_STAGES_H
#define DLC_DLRUN_STAGES_H

#include "base/vec.h"
#include "dlrun/cli.h"
#include "ir/ir.h"

typedef struct {
  const Node *node; /* per sample, [C, H, W] */
  const char *name; /* the layer it comes from, and the op where that is another */
} Stage;
typedef struct {
  VEC(Stage) list;
} Stages;

/* Of the nodes that the outputs need, in their order: each image input; then the last map before
 * the height or width changes, and the last of all, unless nothing with parameters lies between it
 * and the input. With patterns, every map whose layer's label fits one, instead. */
Stages stages_find(Arena *a, const Graph *g, const TextList *patterns);

#endif
