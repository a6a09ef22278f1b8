/* What the tests of ir/ share: a graph from text, text from a graph. */
#ifndef DLC_TESTS_IR_FIXTURE_H
#define DLC_TESTS_IR_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "ir/op.h"

static inline int setup_arena(void **state) {
  *state = arena_new();
  return 0;
}

static inline int teardown_arena(void **state) {
  arena_free(*state);
  return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_arena, teardown_arena)

static inline Graph *parse_into(Arena *a, const char *text, size_t length, Diags **d) {
  Sources *s = sources_new(a);
  int file = sources_add(s, "test.ir", text, length);
  *d = diags_new(a, s);
  return ir_parse(a, *d, file);
}

/* The graph must parse. */
static inline Graph *parse(Arena *a, const char *text) {
  Diags *d;
  Graph *g = parse_into(a, text, strlen(text), &d);
  if (!g) diags_print(d, stderr, false);
  assert_non_null(g);
  return g;
}

static inline const char *print(Arena *a, const Graph *g) {
  Str s = str_new(a);
  ir_print(g, &s);
  return s.text;
}

static inline char *read_text(Arena *a, const char *path) {
  FILE *f = fopen(path, "rb");
  assert_non_null(f);
  Str s = str_new(a);
  char part[4096];
  for (size_t n; (n = fread(part, 1, sizeof part, f));) str_putn(&s, part, n);
  fclose(f);
  return s.text;
}

#endif
