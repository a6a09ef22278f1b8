/* The lexer of the text form: no state but the place, nothing that a file can hold is trusted. */
#include "ir/lex.h"
#include "base/limits.h"
#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int peek(const Lexer *l, int ahead) {
  return l->end - l->at > ahead ? (unsigned char)l->at[ahead] : 0;
}

static void advance(Lexer *l) {
  if (*l->at++ == '\n')
    l->line++, l->col = 1;
  else
    l->col++;
}

static void skip_blank(Lexer *l) {
  for (;;) {
    while (l->at < l->end && peek(l, 0) && strchr(" \t\r\n", peek(l, 0))) advance(l);
    if (peek(l, 0) != '#') return;
    while (l->at < l->end && *l->at != '\n') advance(l);
  }
}

static bool is_word_byte(int c) { return isalnum(c) || c == '_' || c == '.'; }

static Token bad(Token t, const char *why) {
  t.kind = TOKEN_BAD;
  t.text = why;
  return t;
}

static Token lex_word(Lexer *l, Token t) {
  const char *start = l->at;
  while (is_word_byte(peek(l, 0))) advance(l);
  t.kind = TOKEN_WORD;
  t.text = arena_strndup(l->arena, start, (size_t)(l->at - start));
  return t;
}

static void digits(Lexer *l) {
  while (isdigit(peek(l, 0))) advance(l);
}

static bool exponent_follows(const Lexer *l) {
  if (peek(l, 0) != 'e' && peek(l, 0) != 'E') return false;
  int sign = peek(l, 1) == '-' || peek(l, 1) == '+';
  return isdigit(peek(l, 1 + sign));
}

static Token lex_number(Lexer *l, Token t) {
  char text[64];
  const char *start = l->at;
  t.kind = TOKEN_INT;
  digits(l);
  if (peek(l, 0) == '.') t.kind = TOKEN_FLOAT, advance(l), digits(l);
  if (exponent_follows(l)) t.kind = TOKEN_FLOAT, advance(l), advance(l), digits(l);
  size_t n = (size_t)(l->at - start);
  if (n >= sizeof text) return bad(t, "this number is too long");
  memcpy(text, start, n);
  text[n] = 0;
  errno = 0;
  if (t.kind == TOKEN_INT) t.i = strtoll(text, NULL, 10);
  if (errno) t.kind = TOKEN_FLOAT; /* 1e18 and more may be printed without an exponent */
  t.f = strtod(text, NULL);
  return t;
}

static int hex(int c) {
  if (isdigit(c)) return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte after a backslash; -1 where it is none. NUL cannot be written. */
static int unescape(Lexer *l) {
  int c = peek(l, 0);
  if (c == '"' || c == '\\') {
    advance(l);
    return c;
  }
  if (c != 'x') return -1;
  int high = hex(peek(l, 1)), low = hex(peek(l, 2));
  if (high < 0 || low < 0 || !(high + low)) return -1;
  for (int i = 0; i < 3; i++) advance(l);
  return high * 16 + low;
}

static Token lex_string(Lexer *l, Token t) {
  Str s = str_new(l->arena);
  advance(l);
  while (peek(l, 0) != '"') {
    int c = peek(l, 0);
    if (c < 0x20) return bad(t, "this string has no end on its line");
    advance(l);
    if (c == '\\') c = unescape(l);
    if (c < 0) return bad(t, "unknown escape in this string");
    str_putn(&s, (char[]){(char)c}, 1);
  }
  advance(l);
  t.kind = TOKEN_STRING;
  t.text = s.text;
  return t;
}

static Token lex_node(Lexer *l, Token t) {
  advance(l);
  if (!isdigit(peek(l, 0))) return bad(t, "a node's number must follow %");
  t = lex_number(l, t);
  if (t.kind != TOKEN_INT) return t.kind == TOKEN_BAD ? t : bad(t, "a node's number is an integer");
  t.kind = TOKEN_NODE;
  return t;
}

static Token lex_token(Lexer *l, Token t) {
  int c = peek(l, 0);
  if (l->at >= l->end) return t;
  if (isalpha(c) || c == '_') return lex_word(l, t);
  if (isdigit(c)) return lex_number(l, t);
  if (c == '"') return lex_string(l, t);
  if (c == '%') return lex_node(l, t);
  if (!c || !strchr("{}()[]=,:!@*-", c)) return bad(t, "this character has no meaning here");
  advance(l);
  t.kind = TOKEN_MARK;
  t.mark = (char)c;
  return t;
}

Token lex_next(Lexer *l) {
  skip_blank(l);
  Token t = {.kind = TOKEN_END};
  Span start = {l->file, l->line, l->col, l->line, l->col + 1};
  t = lex_token(l, t);
  t.span = start;
  if (l->line == start.line && l->col > start.col) t.span.end_col = l->col;
  return t;
}
