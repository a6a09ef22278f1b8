/* The notation of ops.def and train.def, parsed: operands, then `;`, then attributes
 * `name:type=default`. The text is part of the program, so a mistake in it aborts. */
#include "ir/op.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  Arena *arena;
  const char *text, *at;
  Signature *out;
} Scan;

static _Noreturn void malformed(const Scan *s) {
  fprintf(stderr, "malformed signature \"%s\" at \"%s\"\n", s->text, s->at);
  abort();
}

static void skip_space(Scan *s) {
  while (*s->at == ' ') s->at++;
}

static bool accept(Scan *s, const char *token) {
  skip_space(s);
  size_t n = strlen(token);
  if (strncmp(s->at, token, n) != 0) return false;
  s->at += n;
  return true;
}

static void expect(Scan *s, const char *token) {
  if (!accept(s, token)) malformed(s);
}

static const char *name(Scan *s) {
  skip_space(s);
  const char *start = s->at;
  while (isalnum((unsigned char)*s->at) || *s->at == '_') s->at++;
  if (s->at == start) malformed(s);
  return arena_strndup(s->arena, start, (size_t)(s->at - start));
}

static const char *quoted(Scan *s) {
  expect(s, "\"");
  const char *start = s->at;
  while (*s->at && *s->at != '"') s->at++;
  const char *word = arena_strndup(s->arena, start, (size_t)(s->at - start));
  expect(s, "\"");
  return word;
}

static double number(Scan *s) {
  char *end;
  double x = strtod(s->at, &end);
  if (end == s->at) malformed(s);
  s->at = end;
  return x;
}

static AttrKind attr_kind(Scan *s) {
  static const char *const kinds[] = {"int",  "float", "bool", "dim",   "ints", "dims",
                                      "pair", "pads",  "str",  "words", "init", "pairs"};
  const char *word = name(s);
  for (int i = 0; i < (int)(sizeof kinds / sizeof *kinds); i++)
    if (!strcmp(word, kinds[i])) return (AttrKind)i;
  malformed(s);
}

static void words(Scan *s, SigAttr *a) {
  expect(s, "(");
  int n = 0;
  do {
    if (n == SIG_WORDS - 1) malformed(s);
    a->words[n++] = quoted(s);
  } while (accept(s, "|"));
  expect(s, ")");
}

static Attr pair_of(Scan *s, int64_t x) {
  int64_t *v = ARENA_ARRAY(s->arena, int64_t, 2);
  v[0] = v[1] = x;
  return (Attr){.n = 2, .v = v};
}

static Attr list_value(Scan *s, AttrKind kind) {
  if (kind == ATTR_DIMS && accept(s, "all")) return (Attr){.n = -1};
  if (kind == ATTR_PADS && accept(s, "\"same\"")) return (Attr){.n = -1};
  if (accept(s, "[]")) return (Attr){.n = 0};
  if (kind == ATTR_PAIR || kind == ATTR_PADS) return pair_of(s, (int64_t)number(s));
  malformed(s);
}

/* A default that is a word is an earlier attribute's name, except where the kind has words of its
 * own. */
static void default_value(Scan *s, SigAttr *a) {
  skip_space(s);
  switch (a->kind) {
    case ATTR_FLOAT:
      a->value.f = number(s);
      break;
    case ATTR_INT:
    case ATTR_DIM:
      a->value.i = (int64_t)number(s);
      break;
    case ATTR_BOOL:
      a->value.i = accept(s, "true");
      if (!a->value.i) expect(s, "false");
      break;
    case ATTR_STR:
    case ATTR_WORDS:
      a->value.s = quoted(s);
      break;
    case ATTR_INIT:
      expect(s, "default");
      break;
    default:
      a->value = list_value(s, a->kind);
      break;
  }
  a->value.kind = a->kind;
}

static int earlier(Scan *s) {
  for (int i = 0; i < s->out->nattrs; i++) {
    size_t n = strlen(s->out->attr[i].name);
    if (strncmp(s->at, s->out->attr[i].name, n) != 0 || isalnum((unsigned char)s->at[n])) continue;
    s->at += n;
    return i;
  }
  return -1;
}

static void attribute(Scan *s) {
  Signature *out = s->out;
  if (out->nattrs == SIG_ATTRS) malformed(s);
  SigAttr a = {.copies = -1};
  a.name = name(s);
  expect(s, ":");
  a.kind = attr_kind(s);
  if (a.kind == ATTR_WORDS) words(s, &a);
  a.required = !accept(s, "=");
  if (!a.required) {
    skip_space(s);
    a.copies = earlier(s);
    if (a.copies < 0) default_value(s, &a);
  }
  out->attr[out->nattrs++] = a;
}

static void operand(Scan *s) {
  Signature *out = s->out;
  if (out->noperands == SIG_OPERANDS) malformed(s);
  SigOperand *o = &out->operand[out->noperands++];
  o->parameter = accept(s, "@");
  o->name = name(s);
  o->variadic = accept(s, "...");
  o->optional = accept(s, "?");
}

static void signature_scan(Scan *s, bool operands) {
  if (operands) {
    skip_space(s);
    if (*s->at && *s->at != ';') do
        operand(s);
      while (accept(s, ","));
    if (!accept(s, ";")) return;
  }
  skip_space(s);
  if (*s->at) do
      attribute(s);
    while (accept(s, ","));
  skip_space(s);
  if (*s->at) malformed(s);
}

/* Rows of train.def have attributes only, and no `;`: an operand has no colon after its name. */
static bool has_operands(const char *text) {
  while (isalnum((unsigned char)*text) || *text == '_' || *text == ' ') text++;
  return *text != ':';
}

void signature_parse(Arena *a, const char *text, Signature *out) {
  *out = (Signature){0};
  Scan s = {a, text, text, out};
  signature_scan(&s, has_operands(text));
}

int signature_complete(const Signature *s, Attr *attr, const bool *given) {
  int missing = -1;
  for (int i = 0; i < s->nattrs; i++) {
    if (given && given[i]) continue;
    const SigAttr *a = &s->attr[i];
    if (a->required && missing < 0) missing = i;
    attr[i] = a->copies < 0 ? a->value : attr[a->copies];
    attr[i].kind = a->kind;
  }
  return missing;
}
