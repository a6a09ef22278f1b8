#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Str str_new(Arena *a) {
  Str s = {.arena = a, .capacity = 128};
  s.text = arena_alloc(a, s.capacity, 1);
  return s;
}

static void reserve(Str *s, size_t more) {
  if (s->length + more + 1 <= s->capacity) return;
  while (s->capacity < s->length + more + 1) s->capacity *= 2;
  char *bigger = arena_alloc(s->arena, s->capacity, 1);
  memcpy(bigger, s->text, s->length + 1);
  s->text = bigger;
}

void str_putn(Str *s, const char *text, size_t n) {
  reserve(s, n);
  memcpy(s->text + s->length, text, n);
  s->length += n;
  s->text[s->length] = 0;
}

void str_put(Str *s, const char *text) { str_putn(s, text, strlen(text)); }

void str_printf(Str *s, const char *fmt, ...) {
  va_list ap, again;
  va_start(ap, fmt);
  va_copy(again, ap);
  int n = vsnprintf(NULL, 0, fmt, again);
  va_end(again);
  reserve(s, (size_t)n);
  vsnprintf(s->text + s->length, (size_t)n + 1, fmt, ap);
  va_end(ap);
  s->length += (size_t)n;
}

void str_double(Str *s, double x) {
  char text[40];
  for (int digits = 1; digits <= 17; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, x);
    if (strtod(text, NULL) == x) break;
  }
  str_put(s, text);
}

bool has_suffix(const char *text, const char *suffix) {
  size_t n = strlen(text), m = strlen(suffix);
  return n > m && strcmp(text + n - m, suffix) == 0;
}
