/* From text to syntax tree: what lexer.l and parser.y share. */
#ifndef DLC_FRONTEND_PARSE_H
#define DLC_FRONTEND_PARSE_H

#include "frontend/ast.h"

typedef struct {
  Arena *arena;
  Diags *diags;
  int file, line, col;
  int nesting;      /* open brackets */
  bool fatal;       /* no more tokens, and no more errors */
  Span now, before; /* the last token read, and the one before it */
  Items items;
} Parse;

/* Parses a source file; false after errors, which are in d. */
bool parse_source(Arena *a, Diags *d, int file, Items *out);

#endif
