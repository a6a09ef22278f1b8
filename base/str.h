/* A growing text in an arena, for printers and emitters. */
#ifndef DLC_BASE_STR_H
#define DLC_BASE_STR_H

#include <stdbool.h>

#include "base/arena.h"

typedef struct {
  Arena *arena;
  char *text; /* NUL-terminated once anything was written; never NULL after str_new */
  size_t length, capacity;
} Str;

Str str_new(Arena *a);
void str_put(Str *s, const char *text);
void str_putn(Str *s, const char *text, size_t n);
void str_printf(Str *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Whether a text ends like this, with something before it. */
bool has_suffix(const char *text, const char *suffix);

/* The shortest decimal text that reads back to the same double; "inf", "-inf" and "nan" as such. */
void str_double(Str *s, double x);

#endif
