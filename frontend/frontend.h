/* The frontend: a .net file in, a graph of language-level ops out. All errors in what the user
 * wrote are found here and go to Diags; see docs/language.md for the language. */
#ifndef DLC_FRONTEND_FRONTEND_H
#define DLC_FRONTEND_FRONTEND_H

#include <stdio.h>

#include "ir/ir.h"

typedef struct {
  const char *const *defines; /* "name=value": takes the place of a const's value */
  int ndefines;
  const char *const *include_dirs; /* searched after the including file's own directory */
  int ninclude_dirs;
} FrontendOptions;

/* Reads, checks and builds the network of a file. NULL after errors, which are in d. */
Graph *frontend_load(Arena *a, Diags *d, const char *path, const FrontendOptions *o);

/* Prints the syntax tree of one file (its includes are shown, not followed). */
void frontend_print_ast(Arena *a, Diags *d, const char *path, FILE *out);

#endif
