/* Commas, optional double quotes (doubled inside), LF or CRLF, an optional byte order mark. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dlrun/data/csv.h"

void csv_open(Csv *c, const char *path, Bytes text) {
  c->left = text;
  c->path = path;
  c->line = 1;
  c->at_start = true;
  if (bytes_start_with(text, "\xef\xbb\xbf", 3)) bytes_take(&c->left, 3);
}

static int peek(const Csv *c) { return c->left.left ? *c->left.at : -1; }

static bool append(Csv *c, size_t *n, uint8_t byte, Fault *f) {
  if (!byte) return fault(f, "%s:%lld: a zero byte: this is not text", c->path, (long long)c->line);
  if (*n == sizeof c->cell - 1)
    return fault(f, "%s:%lld: a cell is too long", c->path, (long long)c->line);
  c->cell[(*n)++] = (char)byte;
  return true;
}

static bool quoted_cell(Csv *c, size_t *n, Fault *f) {
  int64_t opened = c->line;
  bytes_take(&c->left, 1);
  for (;;) {
    const uint8_t *p = bytes_take(&c->left, 1);
    if (!p) return fault(f, "%s:%lld: a quote is not closed", c->path, (long long)opened);
    if (*p == '"' && peek(c) != '"') break;
    if (*p == '"') bytes_take(&c->left, 1);
    if (*p == '\n') c->line++;
    if (!append(c, n, *p, f)) return false;
  }
  int next = peek(c);
  if (next == -1 || next == ',' || next == '\n' || next == '\r') return true;
  return fault(f, "%s:%lld: text follows a closing quote", c->path, (long long)c->line);
}

static bool plain_cell(Csv *c, size_t *n, Fault *f) {
  for (int p = peek(c); p != -1 && p != ',' && p != '\n' && p != '\r'; p = peek(c))
    if (!append(c, n, *bytes_take(&c->left, 1), f)) return false;
  while (*n && (c->cell[*n - 1] == ' ' || c->cell[*n - 1] == '\t')) --*n;
  return true;
}

static bool skip_line_end(Csv *c) {
  if (peek(c) == '\r') bytes_take(&c->left, 1);
  if (peek(c) != '\n') return false;
  bytes_take(&c->left, 1);
  return true;
}

CsvStep csv_next(Csv *c, Fault *f) {
  while (c->at_start && skip_line_end(c)) c->line++;
  if (c->at_start && peek(c) == -1) return CSV_END;
  while (peek(c) == ' ' || peek(c) == '\t') bytes_take(&c->left, 1);
  size_t n = 0;
  if (!(peek(c) == '"' ? quoted_cell(c, &n, f) : plain_cell(c, &n, f))) return CSV_BAD;
  c->cell[n] = 0;
  c->at_start = peek(c) != ',';
  if (!c->at_start) return bytes_take(&c->left, 1), CSV_CELL;
  return CSV_LAST_CELL;
}

bool csv_number(const char *cell, double *out) {
  if (!*cell || strspn(cell, "0123456789+-.eE") != strlen(cell)) return false;
  char *end;
  *out = strtod(cell, &end);
  return !*end && isfinite(*out);
}

/* ---- shape ---- */

/* What to say of a file of one column that looks as if it had more. */
static const char *separator_hint(const char *line) {
  if (strchr(line, ';'))
    return "; its cells seem to be separated by semicolons, where commas are needed";
  if (strchr(line, '\t'))
    return "; its cells seem to be separated by tabs, where commas are needed";
  return "";
}

static bool first_row(Arena *a, Csv *c, CsvShape *out, Fault *f) {
  VEC(const char *) cells = {0};
  CsvStep step = CSV_CELL;
  int64_t words = 0;
  while (step == CSV_CELL) {
    step = csv_next(c, f);
    if (step == CSV_BAD) return false;
    if (step == CSV_END) return fault(f, "%s: the file is empty", c->path);
    double unused;
    if (cells.count == LIMIT_CSV_COLUMNS) return fault(f, "%s: too many columns", c->path);
    vec_push(a, &cells, arena_strdup(a, c->cell));
    words += !csv_number(c->cell, &unused);
  }
  out->columns = cells.count;
  out->header = words == cells.count ? cells.at : NULL;
  out->hint = cells.count > 1 ? "" : separator_hint(cells.at[0]);
  out->classes = cells.at; /* until shown otherwise */
  return true;
}

/* Cells of the row that starts here; 0 at the end, -1 after a fault. */
static int64_t count_row(Csv *c, Fault *f) {
  int64_t n = 0;
  for (CsvStep step = CSV_CELL; step == CSV_CELL; n++) {
    step = csv_next(c, f);
    if (step == CSV_BAD) return -1;
    if (step == CSV_END) return 0;
  }
  return n;
}

/* scikit-learn's files begin `150,4,setosa,versicolor,virginica`: rows, features, the classes'
 * names. */
static bool is_count_line(const CsvShape *s, int64_t rows, int64_t columns) {
  double said_rows, said_features;
  if (s->header || s->columns < 4) return false; /* two classes at least */
  if (!csv_number(s->classes[0], &said_rows) || !csv_number(s->classes[1], &said_features))
    return false;
  for (int64_t i = 2; i < s->columns; i++)
    if (csv_number(s->classes[i], &(double){0})) return false;
  return said_rows == (double)rows && said_features == (double)(columns - 1);
}

static bool count_rows(Csv *c, CsvShape *out, Fault *f) {
  int64_t columns = 0, first_line = 0, odd_line = 0, odd = 0;
  out->rows = 0;
  out->body = c->left;
  out->body_line = c->line;
  for (int64_t n = count_row(c, f); n; n = count_row(c, f)) {
    if (n < 0) return false;
    if (!columns) columns = n, first_line = c->line;
    if (n != columns && !odd_line) odd_line = c->line, odd = n;
    out->rows++;
  }
  bool counted = columns && is_count_line(out, out->rows, columns);
  if (!counted && columns && columns != out->columns)
    return fault(f, "%s:%lld: %lld cells, the first line has %lld", c->path, (long long)first_line,
                 (long long)columns, (long long)out->columns);
  if (odd_line)
    return fault(f, "%s:%lld: %lld cells, the lines before have %lld", c->path, (long long)odd_line,
                 (long long)odd, (long long)columns);
  out->class_count = counted ? out->columns - 2 : 0;
  out->classes = counted ? out->classes + 2 : NULL;
  if (counted) out->columns = columns;
  return true;
}

bool csv_shape(Arena *a, const char *path, Bytes text, CsvShape *out, Fault *f) {
  Csv *c = ARENA_NEW(a, Csv);
  csv_open(c, path, text);
  Bytes start = c->left;
  if (!first_row(a, c, out, f) || !count_rows(c, out, f)) return false;
  if (!out->header && !out->classes) { /* the first line is data too */
    out->body = start;
    out->body_line = 1;
    out->rows++;
  }
  return out->rows ? true : fault(f, "%s: no row follows the first line", path);
}

int64_t csv_column(const CsvShape *s, const char *name) {
  for (int64_t i = 0; s->header && i < s->columns; i++)
    if (strcmp(s->header[i], name) == 0) return i;
  return -1;
}
