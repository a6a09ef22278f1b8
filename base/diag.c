/* Sources and diagnostics: see base/diag.h. What is printed is safe for a terminal: control bytes
 * and broken UTF-8 show as '?', and of a very long line only the part around the place is shown. */
#include "base/diag.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/limits.h"

enum { KEPT = 10 * LIMIT_DIAGNOSTICS, SHOWN_WIDTH = 160 };

/* ---- sources ---- */

Sources *sources_new(Arena *a) {
  Sources *s = ARENA_NEW(a, Sources);
  s->arena = a;
  vec_push(a, &s->files, ((Source){"", "", 0}));
  return s;
}

int sources_add(Sources *s, const char *path, const char *text, size_t length) {
  Source f = {.path = arena_strdup(s->arena, path), .length = length};
  char *copy = arena_alloc(s->arena, length + 1, 1);
  if (length) memcpy(copy, text, length);
  f.text = copy;
  vec_push(s->arena, &s->files, f);
  return s->files.count - 1;
}

/* Reads until the end or until `length` bytes are there; -1 on error. */
static ssize_t read_all(int fd, char *to, size_t length) {
  size_t got = 0;
  while (got < length) {
    ssize_t n = read(fd, to + got, length - got);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -1;
    if (n == 0) break;
    got += (size_t)n;
  }
  return (ssize_t)got;
}

static int load_open(Sources *s, const char *path, int fd, const char **why) {
  struct stat st;
  if (fstat(fd, &st)) return *why = strerror(errno), 0;
  if (!S_ISREG(st.st_mode)) return *why = "not a regular file", 0;
  if (st.st_size > LIMIT_SOURCE_BYTES) return *why = "the file is too large", 0;
  char *text = arena_alloc(s->arena, (size_t)st.st_size + 1, 1);
  ssize_t n = read_all(fd, text, (size_t)st.st_size);
  if (n < 0) return *why = strerror(errno), 0;
  text[n] = 0;
  Source f = {arena_strdup(s->arena, path), text, (size_t)n};
  vec_push(s->arena, &s->files, f);
  return s->files.count - 1;
}

int sources_load(Sources *s, const char *path, const char **why) {
  int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return *why = strerror(errno), 0;
  int file = load_open(s, path, fd, why);
  close(fd);
  return file;
}

/* ---- collecting ---- */

Diags *diags_new(Arena *a, Sources *sources) {
  Diags *d = ARENA_NEW(a, Diags);
  d->arena = a;
  d->sources = sources;
  return d;
}

static bool same_span(Span a, Span b) {
  return a.file == b.file && a.line == b.line && a.col == b.col && a.end_line == b.end_line &&
         a.end_col == b.end_col;
}

/* An unrolled loop says the same thing at the same place many times. */
static bool repeated(const Diags *d, const Diag *x) {
  for (int i = 0; i < d->list.count; i++) {
    const Diag *y = &d->list.at[i];
    if (x->level == y->level && same_span(x->span, y->span) && !strcmp(x->text, y->text))
      return true;
  }
  return false;
}

static void report(Diags *d, DiagLevel level, Span at, const char *fmt, va_list ap) {
  bool full = level == DIAG_ERROR && d->errors >= KEPT;
  if (full) {
    d->errors++;
    d->dropped = true;
    return;
  }
  Diag x = {.level = level, .span = at, .order = d->list.count};
  x.text = arena_vprintf(d->arena, fmt, ap);
  d->dropped = repeated(d, &x);
  if (d->dropped) return;
  if (level == DIAG_ERROR) d->errors++;
  vec_push(d->arena, &d->list, x);
}

#define REPORT(level)            \
  va_list ap;                    \
  va_start(ap, fmt);             \
  report(d, level, at, fmt, ap); \
  va_end(ap)

void diag_error(Diags *d, Span at, const char *fmt, ...) { REPORT(DIAG_ERROR); }
void diag_warning(Diags *d, Span at, const char *fmt, ...) { REPORT(DIAG_WARNING); }
void diag_remark(Diags *d, Span at, const char *fmt, ...) { REPORT(DIAG_REMARK); }

void diag_note(Diags *d, Span at, const char *fmt, ...) {
  if (d->dropped || !d->list.count) return;
  DiagNote *n = ARENA_NEW(d->arena, DiagNote);
  va_list ap;
  va_start(ap, fmt);
  n->text = arena_vprintf(d->arena, fmt, ap);
  va_end(ap);
  n->span = at;
  DiagNote **end = &d->list.at[d->list.count - 1].notes;
  while (*end) end = &(*end)->next;
  *end = n;
}

/* ---- printing ---- */

typedef struct {
  FILE *out;
  const Sources *sources;
  const char *program;
  bool colour;
} Printer;

static const Source *source_of(const Printer *p, Span at) {
  bool known = p->sources && at.file > 0 && at.file < p->sources->files.count;
  return known ? &p->sources->files.at[at.file] : NULL;
}

static void paint(const Printer *p, const char *code) {
  if (p->colour) fprintf(p->out, "\033[%sm", code);
}

/* Finds line number `line`; false when the file has fewer. */
static bool find_line(const Source *f, int line, const char **start, size_t *length) {
  const char *at = f->text, *end = f->text + f->length;
  for (int i = 1; i < line; i++) {
    at = memchr(at, '\n', (size_t)(end - at));
    if (!at) return false;
    at++;
  }
  const char *stop = memchr(at, '\n', (size_t)(end - at));
  *start = at;
  *length = (size_t)((stop ? stop : end) - at);
  if (*length && at[*length - 1] == '\r') --*length;
  return true;
}

/* Spaces as wide as the text; tabs stay tabs. */
static void put_blank(FILE *out, const char *s, size_t n) {
  for (size_t i = 0; i < n;) {
    size_t k = utf8_length(s + i, n - i);
    fputc(s[i] == '\t' ? '\t' : ' ', out);
    i += k ? k : 1;
  }
}

static void put_underline(FILE *out, const char *s, size_t n) {
  fputc('^', out);
  size_t k = n ? utf8_length(s, n) : 1;
  for (size_t i = k ? k : 1; i < n;) {
    k = utf8_length(s + i, n - i);
    fputc('~', out);
    i += k ? k : 1;
  }
}

static size_t limited(size_t x, size_t most) { return x < most ? x : most; }

static void print_excerpt(const Printer *p, Span at) {
  const Source *f = source_of(p, at);
  const char *line;
  size_t length;
  if (!f || at.line < 1 || !find_line(f, at.line, &line, &length)) return;
  size_t start = limited(at.col > 0 ? (size_t)at.col - 1 : 0, length);
  size_t end = at.end_line == at.line && at.end_col > at.col ? (size_t)at.end_col - 1 : length;
  if (at.end_line <= at.line && at.end_col <= at.col) end = start;
  end = limited(end, length);
  size_t from = start > SHOWN_WIDTH / 2 && length > SHOWN_WIDTH ? start - SHOWN_WIDTH / 2 : 0;
  size_t to = limited(length, from + SHOWN_WIDTH);
  int width = fprintf(p->out, "%4d", at.line);
  fputs(" | ", p->out);
  clean_print(p->out, line + from, to - from);
  fprintf(p->out, "\n%*s | ", width, "");
  put_blank(p->out, line + from, start - from);
  paint(p, "1;32");
  size_t last = limited(end, to);
  put_underline(p->out, line + start, last > start ? last - start : 0);
  paint(p, "0");
  fputc('\n', p->out);
}

static void print_message(const Printer *p, Span at, const char *colour, const char *kind,
                          const char *text) {
  const Source *f = source_of(p, at);
  paint(p, "1");
  if (f) {
    clean_print(p->out, f->path, strlen(f->path));
    if (at.line > 0) fprintf(p->out, ":%d:%d", at.line, at.col);
    fputs(": ", p->out);
  }
  paint(p, colour);
  fprintf(p->out, "%s: ", kind);
  paint(p, "0");
  clean_print(p->out, text, strlen(text));
  fputc('\n', p->out);
  print_excerpt(p, at);
}

static void print_diag(const Printer *p, const Diag *x) {
  static const char *const kind[] = {"error", "warning", "remark"};
  static const char *const colour[] = {"1;31", "1;35", "1;34"};
  if (!source_of(p, x->span) && p->program) fprintf(p->out, "%s: ", p->program);
  print_message(p, x->span, colour[x->level], kind[x->level], x->text);
  for (const DiagNote *n = x->notes; n; n = n->next)
    print_message(p, n->span, "1;36", "note", n->text);
}

static int by_place(const void *a, const void *b) {
  const Diag *x = a, *y = b;
  if (x->span.file != y->span.file) return x->span.file < y->span.file ? -1 : 1;
  if (x->span.line != y->span.line) return x->span.line < y->span.line ? -1 : 1;
  if (x->span.col != y->span.col) return x->span.col < y->span.col ? -1 : 1;
  return x->order < y->order ? -1 : x->order > y->order;
}

void diags_print(Diags *d, FILE *out, bool colour) {
  Printer p = {out, d->sources, d->program, colour};
  int shown = 0;
  if (d->list.count) qsort(d->list.at, (size_t)d->list.count, sizeof *d->list.at, by_place);
  for (int i = 0; i < d->list.count; i++) {
    if (d->list.at[i].level == DIAG_ERROR && shown++ >= LIMIT_DIAGNOSTICS) continue;
    print_diag(&p, &d->list.at[i]);
  }
  int more = d->errors - LIMIT_DIAGNOSTICS;
  if (more > 0) fprintf(out, "%d more error%s not shown\n", more, more == 1 ? "" : "s");
}

/* ---- near names ---- */

static int least(int a, int b) { return a < b ? a : b; }

/* In whatever case: BatchNorm is near batch_norm. */
static bool same_letter(char a, char b) {
  return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* Edit distance with transpositions of neighbours (optimal string alignment). */
static int distance(const char *a, int n, const char *b, int m) {
  int row[3][LIMIT_NAME_BYTES + 1];
  for (int j = 0; j <= m; j++) row[0][j] = j;
  for (int i = 1; i <= n; i++) {
    int *now = row[i % 3], *up = row[(i + 2) % 3], *upper = row[(i + 1) % 3];
    now[0] = i;
    for (int j = 1; j <= m; j++) {
      int change = up[j - 1] + !same_letter(a[i - 1], b[j - 1]);
      now[j] = least(change, least(up[j], now[j - 1]) + 1);
      bool swapped =
          i > 1 && j > 1 && same_letter(a[i - 1], b[j - 2]) && same_letter(a[i - 2], b[j - 1]);
      if (swapped) now[j] = least(now[j], upper[j - 2] + 1);
    }
  }
  return row[n % 3][m];
}

const char *near_name(const char *word, const char *const *names, int count) {
  size_t n = strlen(word);
  if (n > LIMIT_NAME_BYTES) return NULL;
  int best = ((int)n + 2) / 3 + 1; /* one more than the furthest that counts as near */
  const char *nearest = NULL;
  for (int i = 0; i < count; i++) {
    size_t m = strlen(names[i]);
    if (m > LIMIT_NAME_BYTES) continue;
    int d = distance(word, (int)n, names[i], (int)m);
    if (d >= best || d >= (int)m) continue;
    best = d;
    nearest = names[i];
  }
  return nearest;
}
