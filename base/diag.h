/* Source files, places in them, and diagnostics in clang's form:
 *
 *   file:line:col: error: what is wrong
 *     12 |   h = x |> conv2d(32, kernel=2);
 *        |            ^~~~~~~~~~~~~~~~~~~~
 *   file:3:5: note: the mend, a near name, the shapes
 *
 * Diagnostics are collected, sorted by place and printed once; at most LIMIT_DIAGNOSTICS errors. */
#ifndef DLC_BASE_DIAG_H
#define DLC_BASE_DIAG_H

#include <stdbool.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/vec.h"

/* A place: `file` is an index into Sources (0 = no place), lines and columns count from 1,
 * columns in bytes; `end_col` is one past the last byte on `end_line`. */
typedef struct {
  int file, line, col, end_line, end_col;
} Span;

typedef struct {
  const char *path; /* as the user wrote it */
  const char *text; /* NUL-terminated; may hold NULs inside, `length` counts */
  size_t length;
} Source;

typedef struct {
  Arena *arena;
  VEC(Source) files; /* files.at[0] is a place holder */
} Sources;

typedef enum { DIAG_ERROR, DIAG_WARNING, DIAG_REMARK } DiagLevel;

typedef struct DiagNote {
  Span span;
  const char *text;
  struct DiagNote *next;
} DiagNote;

typedef struct {
  DiagLevel level;
  Span span;
  const char *text;
  DiagNote *notes;
  int order; /* of reporting: ties in place keep it */
} Diag;

typedef struct {
  Arena *arena;
  Sources *sources;
  const char *program; /* "dlc": what errors without a place begin with, or NULL */
  VEC(Diag) list;
  int errors;   /* all reported errors, also those past the limit */
  bool dropped; /* the last one reported was a repetition, or past what is kept: its notes are
                   dropped too */
} Diags;

Sources *sources_new(Arena *a);
/* Takes a copy of the text. Returns the file's index. */
int sources_add(Sources *s, const char *path, const char *text, size_t length);
/* Reads a whole regular file of at most LIMIT_SOURCE_BYTES; on failure returns 0 and sets *why. */
int sources_load(Sources *s, const char *path, const char **why);

Diags *diags_new(Arena *a, Sources *sources);
void diag_error(Diags *d, Span at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void diag_warning(Diags *d, Span at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void diag_remark(Diags *d, Span at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Adds a note to the diagnostic reported last; a Span with file 0 prints without a place. */
void diag_note(Diags *d, Span at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void diags_print(Diags *d, FILE *out, bool colour);

/* The nearest of `names` to `word` by edit distance, or NULL when none is close. */
const char *near_name(const char *word, const char *const *names, int count);

#endif
