/* Values, and what every part of the walk uses: errors and limits. */
#include "frontend/check.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

/* Walked pieces bound memory as well as time: each may leave a value in the arena. */
enum { LIMIT_DEPTH = 5 * LIMIT_NESTING, LIMIT_REPORTS = 50 * LIMIT_DIAGNOSTICS };
#define LIMIT_WORK (10 * (int64_t)LIMIT_LOOP_STEPS)

bool value_is_number(const Value *v) { return v->kind == VALUE_INT || v->kind == VALUE_FLOAT; }

double value_number(const Value *v) { return v->kind == VALUE_INT ? (double)v->i : v->f; }

const char *value_kind_text(const Value *v) {
  static const char *const text[] = {"a failed value", "an integer", "a number",
                                     "true or false",  "a string",   "a list",
                                     "an initialiser", "a tensor",   "several returned values"};
  return text[v->kind];
}

const char *value_text(Arena *a, const Value *v) {
  if (v->kind == VALUE_INT) return arena_printf(a, "%lld", (long long)v->i);
  if (v->kind == VALUE_STRING) return arena_printf(a, "\"%s\"", v->s);
  if (v->kind != VALUE_FLOAT) return value_kind_text(v);
  Str s = str_new(a);
  str_double(&s, v->f);
  if (!strpbrk(s.text, ".en")) str_put(&s, ".0");
  return s.text;
}

void value_note_integer(Checker *c, const Value *v) {
  if (v->kind != VALUE_FLOAT || v->f != rint(v->f) || fabs(v->f) > 1e15) return;
  check_note(c, no_place(), "an integer is written %.0f; a // b divides integers", v->f);
}

const char *names_text(Arena *a, const char *const *names, int count) {
  Str s = str_new(a);
  for (int i = 0; i < count; i++) str_printf(&s, "%s%s", i ? ", " : "", names[i]);
  return s.text;
}

Value check_error(Checker *c, Span at, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  const char *text = arena_vprintf(c->arena, fmt, ap);
  va_end(ap);
  diag_error(c->diags, at, "%s", text);
  if (++c->reports >= LIMIT_REPORTS) c->stopped = true;
  return value_failed();
}

const char *check_near(Checker *c, const char *word, const Table *t) {
  if (c->diags->errors > LIMIT_DIAGNOSTICS) return NULL;
  VEC(const char *) names = {0};
  for (int i = 0; i < t->entries.count; i++) vec_push(c->arena, &names, t->entries.at[i].name);
  return near_name(word, names.at, names.count);
}

static bool stop(Checker *c, Span at, const char *fmt, long long limit) {
  if (!c->stopped) diag_error(c->diags, at, fmt, limit);
  c->stopped = true;
  return false;
}

bool check_work(Checker *c, Span at) {
  if (c->stopped) return false;
  if (++c->work <= LIMIT_WORK) return true;
  return stop(c, at, "unrolling stops here: it takes more than %lld evaluations", LIMIT_WORK);
}

bool check_enter(Checker *c, Span at) {
  if (!check_work(c, at)) return false;
  if (c->depth >= LIMIT_DEPTH) return stop(c, at, "nested more than %lld levels deep", LIMIT_DEPTH);
  c->depth++;
  return true;
}

bool check_step(Checker *c, Span at) {
  if (c->stopped) return false;
  if (++c->steps <= LIMIT_LOOP_STEPS) return true;
  return stop(c, at, "unrolling stops here: it takes more than %lld loop steps", LIMIT_LOOP_STEPS);
}

bool check_block_call(Checker *c, Span at) {
  if (c->stopped) return false;
  if (++c->block_calls <= LIMIT_LAYERS) return true;
  return stop(c, at, "unrolling stops here: it takes more than %lld calls of blocks", LIMIT_LAYERS);
}

bool tensor_count(Checker *c, Span at) {
  if (c->stopped) return false;
  if (++c->layers <= LIMIT_LAYERS) return true;
  return stop(c, at, "the network has more than %lld layers", LIMIT_LAYERS);
}
