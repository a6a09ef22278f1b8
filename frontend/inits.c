/* Initialisers: values like normal(std=0.02), or zeros without parentheses. */
#include <math.h>
#include <string.h>

#include "frontend/check.h"

typedef struct {
  const char *name, *signature;
  InitKind kind;
  double a; /* of a constant that is in the name */
} InitRow;

#define KAIMING "a:float=0, mode:words(\"fan_in\"|\"fan_out\")=\"fan_in\""

static const InitRow rows[] = {
    {"zeros", "", INIT_CONSTANT, 0},
    {"ones", "", INIT_CONSTANT, 1},
    {"constant", "c:float", INIT_CONSTANT, 0},
    {"normal", "mean:float=0, std:float=1", INIT_NORMAL, 0},
    {"uniform", "lo:float, hi:float", INIT_UNIFORM, 0},
    {"xavier_uniform", "", INIT_XAVIER_UNIFORM, 0},
    {"xavier_normal", "", INIT_XAVIER_NORMAL, 0},
    {"kaiming_uniform", KAIMING, INIT_KAIMING_UNIFORM, 0},
    {"kaiming_normal", KAIMING, INIT_KAIMING_NORMAL, 0},
    {"orthogonal", "", INIT_ORTHOGONAL, 0},
};

static const InitRow *row_of(const char *name) {
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    if (!strcmp(rows[i].name, name)) return &rows[i];
  return NULL;
}

bool init_exists(const char *name) { return row_of(name) != NULL; }

/* What depends on the shape is said where that is known. */
static Value checked(Checker *c, const Call *call, const Matched *m, const Init *init) {
  const char *wrong = init_fault(*init, LIMIT_RANK);
  Span at = init->kind == INIT_NORMAL && m->attr_span[1].file ? m->attr_span[1] : call->span;
  if (wrong) return check_error(c, at, "%s", wrong);
  Init *copy = ARENA_NEW(c->arena, Init);
  *copy = *init;
  return (Value){.kind = VALUE_INIT, .init = copy};
}

Value init_call(Checker *c, const Call *call) {
  const InitRow *row = row_of(call->what);
  Signature s;
  Matched m;
  signature_parse(c->arena, row->signature, &s);
  if (!match_arguments(c, call, &s, &m)) return value_failed();
  Init init = {.kind = row->kind, .a = row->a};
  if (s.nattrs > 0) init.a = m.attr[0].f;
  bool words = s.nattrs > 1 && m.attr[1].kind == ATTR_WORDS;
  if (s.nattrs > 1) init.b = words ? !strcmp(m.attr[1].s, "fan_out") : m.attr[1].f;
  return checked(c, call, &m, &init);
}

Value init_bare(Checker *c, const char *name, Span at) {
  Call call = {.what = name, .span = at, .name_span = at};
  return init_call(c, &call);
}
