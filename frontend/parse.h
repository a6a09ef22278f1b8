/* From text to syntax tree: what lexer.l and parser.y share. */
#ifndef DLC_FRONTEND_PARSE_H
#define DLC_FRONTEND_PARSE_H

#include <string.h>

#include "frontend/ast.h"

typedef struct {
  Arena *arena;
  Diags *diags;
  int file, line, col;
  int nesting; /* open brackets */
  bool fatal;  /* no more tokens, and no more errors */
  int quiet;   /* the line of a broken statement, on which no more errors of tokens are reported */
  bool in_header;    /* of a broken `for`: a ';' is no end there */
  bool without_body; /* in a broken statement: { ... } belongs to it */
  bool in_body;      /* the same, with the { read */
  bool unclosed; /* an item began in a body: a '}' is missing, or it stands in the wrong place */
  bool resumed;  /* the broken statement ends where its ';' was missed */
  int missed;    /* tokens to be read once more: the ';' that was missing, what came in its place */
  Name name;     /* of the last token, when that was a name */
  bool swallowed;   /* a broken statement may have swallowed another, or bound more than is known */
  Span now, before; /* the last token read, and the one before it */
  int token, previous; /* their kinds */
  VEC(Span)
  broken; /* statements that hold errors, and of which it is known what they would have bound */
  Items items;
} Parse;

/* The token is one of these characters. */
static inline bool is_mark(int token, const char *marks) {
  return token > 0 && token < 128 && strchr(marks, token);
}

typedef enum {
  PARSED_NOT,    /* what is there does not say what was meant */
  PARSED_BROKEN, /* errors, all of them in statements that stand in the tree with values EXPR_FAILED
                  */
  PARSED
} Parsed;

/* Parses a source file; the errors are in d. */
Parsed parse_source(Arena *a, Diags *d, int file, Items *out);

#endif
