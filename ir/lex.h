/* Tokens of the text form. */
#ifndef DLC_IR_LEX_H
#define DLC_IR_LEX_H

#include "base/diag.h"

#include <stdint.h>

typedef enum {
  TOKEN_END,
  TOKEN_WORD,   /* text */
  TOKEN_STRING, /* text, unescaped */
  TOKEN_INT,    /* i and f */
  TOKEN_FLOAT,  /* f */
  TOKEN_NODE,   /* %i */
  TOKEN_MARK,   /* the one character `mark` */
  TOKEN_BAD     /* text says what is wrong */
} TokenKind;

typedef struct {
  TokenKind kind;
  Span span;
  const char *text;
  char mark;
  int64_t i;
  double f;
} Token;

typedef struct {
  Arena *arena;
  const char *at, *end;
  int file, line, col;
} Lexer;

/* Spaces and `#` comments are skipped. After TOKEN_END or TOKEN_BAD the lexer need not be asked
 * again. */
Token lex_next(Lexer *l);

#endif
