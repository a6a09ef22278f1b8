/* Inner part of pass fuse. */
#ifndef DLC_PASSES_FUSE_REPEAT_H
#define DLC_PASSES_FUSE_REPEAT_H

#include "passes/memory.h"

/* Groups are numbered 1 .. groups; nodes are added, and what nothing reads any more goes. */
void fuse_repeat(Graph *g, const Memory *memory, int groups, Arena *scratch);

#endif
