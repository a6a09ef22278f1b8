/* From one object file to what the user asked for, with the system's own tools, never through a
 * shell. */
#ifndef DLC_CODEGEN_LINK_H
#define DLC_CODEGEN_LINK_H

#include <stdbool.h>

#include "base/arena.h"

typedef enum { LINK_SHARED, LINK_OBJECT, LINK_ARCHIVE } LinkKind;

/* Links a network's object files with the runtime into `out`, showing nothing but `symbol`, by way
 * of `folder`. False with *why set, and then `out` may be there in part. */
bool link_artifact(Arena *a, LinkKind kind, const char *folder, int count,
                   const char *const *objects, const char *symbol, const char *out,
                   const char **why);

/* A fresh private folder for intermediate files, NULL with *why set; and its removal with the plain
 * files in it. */
const char *link_workspace(Arena *a, const char **why);
void link_workspace_remove(const char *folder);

#endif
