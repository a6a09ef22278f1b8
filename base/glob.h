/* Patterns as in file names. */
#ifndef DLC_BASE_GLOB_H
#define DLC_BASE_GLOB_H

#include <stdbool.h>

/* Whether the whole name fits: `*` stands for any run of characters, `?` for one. */
bool glob_fits(const char *pattern, const char *name);

#endif
