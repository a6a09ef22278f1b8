/* What the tests of frontend/ share: files in a directory of their own, compiled from text, and
 * cases kept in files.
 *
 * A file of cases holds, for each: a line "=== name", the source, a line "---", the text expected.
 */
#ifndef DLC_TESTS_FRONTEND_FIXTURE_H
#define DLC_TESTS_FRONTEND_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "frontend/frontend.h"

/* Each test works in an empty directory, so that paths in messages are short. */
static inline int enter_directory(void **state) {
  char path[] = TEST_BINARY_DIR "/frontend_XXXXXX";
  if (!mkdtemp(path) || chdir(path)) return -1;
  *state = arena_new();
  return 0;
}

static inline int leave_directory(void **state) {
  arena_free(*state);
  char path[4096];
  if (!getcwd(path, sizeof path)) return -1;
  char command[5000];
  snprintf(command, sizeof command, "rm -rf '%s'", path);
  return chdir("/") || system(command);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, enter_directory, leave_directory)

static inline void write_bytes(const char *path, const char *text, size_t length) {
  unlink(
      path); /* a fresh file: some file systems flush one that is cut to nothing and written anew */
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(text, 1, length, f), length);
  assert_int_equal(fclose(f), 0);
}

static inline void write_file(const char *path, const char *text) {
  write_bytes(path, text, strlen(text));
}

static inline char *read_file(Arena *a, const char *path, size_t *length) {
  FILE *f = fopen(path, "rb");
  if (!f) fail_msg("cannot read %s", path);
  Str s = str_new(a);
  char part[4096];
  for (size_t n; (n = fread(part, 1, sizeof part, f));) str_putn(&s, part, n);
  fclose(f);
  if (length) *length = s.length;
  return s.text;
}

static inline char *diags_text(Diags *d) {
  char *text = NULL;
  size_t size = 0;
  FILE *f = open_memstream(&text, &size);
  diags_print(d, f, false);
  fclose(f);
  char *copy = arena_strndup(d->arena, text, size);
  free(text);
  return copy;
}

typedef struct {
  Graph *graph;
  const char *errors;
} Loaded;

static inline Loaded load_with(Arena *a, const char *path, const FrontendOptions *o) {
  Diags *d = diags_new(a, sources_new(a));
  Graph *g = frontend_load(a, d, path, o);
  if ((g == NULL) != (d->errors > 0)) fail_msg("%s: a graph and errors, or neither", path);
  return (Loaded){g, diags_text(d)};
}

static inline Loaded load(Arena *a, const char *path) {
  return load_with(a, path, &(FrontendOptions){0});
}

static inline Loaded load_text(Arena *a, const char *text) {
  write_file("t.net", text);
  return load(a, "t.net");
}

/* The IR without the places (" @1:4:3-4:12"), which make a test of everything else hard to read. */
static inline const char *graph_text(Arena *a, const Graph *g) {
  Str whole = str_new(a), s = str_new(a);
  ir_print(g, &whole);
  const char *at = whole.text, *place;
  while ((place = strstr(at, " @"))) {
    str_putn(&s, at, (size_t)(place - at));
    at = place + strcspn(place, "\n");
  }
  str_put(&s, at);
  return s.text;
}

static inline const char *loaded_text(Arena *a, Loaded l) {
  return l.graph ? graph_text(a, l.graph) : l.errors;
}

typedef struct {
  const char *name, *source, *expected;
} Case;

/* The text up to the marker, which *at then stands behind; all of it where there is no marker. */
static inline const char *take_until(Arena *a, const char **at, const char *marker) {
  const char *end = strstr(*at, marker);
  size_t n = end ? (size_t)(end - *at) : strlen(*at);
  const char *text = arena_strndup(a, *at, n);
  *at += n + (end ? strlen(marker) : 0);
  return text;
}

/* Runs the check on each case of a file; there must be some. */
static inline void for_cases(Arena *a, const char *path, void (*check)(Arena *, const Case *)) {
  const char *at = read_file(a, path, NULL);
  int count = 0;
  take_until(a, &at, "=== ");
  while (*at) {
    Case c;
    c.name = take_until(a, &at, "\n");
    c.source = take_until(a, &at, "---\n");
    c.expected = take_until(a, &at, "=== ");
    check(a, &c);
    count++;
  }
  assert_true(count > 10);
}

static inline void check_case(const Case *c, const char *got) {
  if (strcmp(got, c->expected) != 0)
    fail_msg("%s: expected\n%s\ngot\n%s", c->name, c->expected, got);
}

#endif
