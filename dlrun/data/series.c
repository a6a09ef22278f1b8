/* Sliding windows over the numeric columns of a CSV file (a date column is passed over).
 *
 * Rows are cut into train, valid and test parts (split=, default 60, 20 and 20 %), of which part=
 * takes one, or else the first. Each column is
 * standardised by the mean and deviation of its training part. Sample t has rows t .. t+window-1 as
 * input and the next `horizon` rows as target; it belongs to the part that its target lies in
 * wholly, so a window may reach back into the part before. An input of `window` elements gets each
 * column as a sample of its own, one after the other; one of window * columns gets them together,
 * as [window, columns] or [columns, window] by its shape. */
#include <math.h>
#include <string.h>

#include "dlrun/data/csv.h"

typedef struct {
  const char *path;
  int64_t rows, columns;
  double *value;                 /* [rows][columns] */
  int64_t begin, end, train_end; /* rows of the part asked for; of the training part */
} Series;

static bool numeric_columns(Arena *a, const CsvShape *shape, Csv *c, bool **out, int64_t *count,
                            Fault *f) {
  *out = ARENA_ARRAY(a, bool, shape->columns);
  *count = 0;
  csv_open(c, c->path, shape->body);
  for (int64_t i = 0; i < shape->columns; i++) {
    if (csv_next(c, f) == CSV_BAD) return false;
    *count += (*out)[i] = csv_number(c->cell, &(double){0});
  }
  return *count ? true : fault(f, "%s: no column of numbers%s", c->path, shape->hint);
}

static bool read_values(Arena *a, const CsvShape *shape, Csv *c, Series *s, Fault *f) {
  bool *numeric;
  if (!numeric_columns(a, shape, c, &numeric, &s->columns, f)) return false;
  s->rows = shape->rows;
  s->value = ARENA_ARRAY(a, double, s->rows * s->columns);
  csv_open(c, s->path, shape->body);
  c->line = shape->body_line;
  double *to = s->value;
  for (int64_t row = 0; row < s->rows; row++)
    for (int64_t i = 0; i < shape->columns; i++) {
      if (csv_next(c, f) == CSV_BAD) return false;
      if (!numeric[i]) continue;
      if (!csv_number(c->cell, to++))
        return fault(f, "%s:%lld: \"%.60s\" in column %lld is not a number", s->path,
                     (long long)c->line, c->cell, (long long)i + 1);
    }
  return true;
}

static bool cut_parts(Series *s, const DataSpec *spec, Fault *f) {
  int64_t a = s->rows * 6 / 10, b = s->rows * 2 / 10, split[3] = {a, b, s->rows - a - b};
  if (spec->split[0]) memcpy(split, spec->split, sizeof split);
  s->train_end = split[0];
  return raw_part(spec, split, s->rows, &s->begin, &s->end) ||
         fault(f, "%s: %lld rows, fewer than split= adds up to", s->path, (long long)s->rows);
}

static void standardise(Series *s) {
  for (int64_t k = 0; k < s->columns; k++) {
    double mean = 0, square = 0;
    for (int64_t i = 0; i < s->train_end; i++)
      mean += s->value[i * s->columns + k] / (double)s->train_end;
    for (int64_t i = 0; i < s->train_end; i++) {
      double d = s->value[i * s->columns + k] - mean;
      square += d * d / (double)s->train_end;
    }
    double scale = square > 0 ? 1 / sqrt(square) : 1;
    for (int64_t i = 0; i < s->rows; i++)
      s->value[i * s->columns + k] = (s->value[i * s->columns + k] - mean) * scale;
  }
}

/* `length` rows from `row` on: one column, or all of them with rows (or columns) outermost. */
static void copy_window(const Series *s, int64_t row, int64_t length, int64_t column,
                        bool columns_first, float *to) {
  int64_t first = column < 0 ? 0 : column, count = column < 0 ? s->columns : 1;
  for (int64_t t = 0; t < length; t++)
    for (int64_t k = 0; k < count; k++)
      to[columns_first ? k * length + t : t * count + k] =
          (float)s->value[(row + t) * s->columns + first + k];
}

static bool columns_first(const dlc_tensor *d, int64_t length) {
  return d->rank == 2 && d->dim[1] == length;
}

static bool cut_windows(RawSet *set, const Series *s, const DataSpec *spec, bool together,
                        Fault *f) {
  const dlc_model *m = set->model;
  int64_t w = spec->window, h = spec->horizon, each = together ? s->columns : 1;
  int64_t first = s->begin >= w ? s->begin - w : 0, starts = s->end - h - w - first + 1;
  if (starts < 1)
    return fault(f, "%s: the part has too few rows for window=%lld,horizon=%lld", s->path,
                 (long long)w, (long long)h);
  int64_t runs = together ? 1 : s->columns, n = starts * runs;
  RawArray *x = raw_add(set, m->inputs[0].name, s->path, RAW_F32, 2, (int64_t[]){n, w * each}, f);
  float *in = x ? x->data : NULL;
  RawArray *y = raw_add(set, m->targets[0].name, s->path, RAW_F32, 2, (int64_t[]){n, h * each}, f);
  if (!in || !y) return false;
  for (int64_t i = 0; i < n; i++) {
    int64_t row = first + i % starts, column = together ? -1 : i / starts;
    copy_window(s, row, w, column, columns_first(&m->inputs[0], w), in + i * w * each);
    copy_window(s, row + w, h, column, columns_first(&m->targets[0], h),
                (float *)y->data + i * h * each);
  }
  return true;
}

bool read_series(RawSet *set, const char *path, const DataSpec *spec, Bytes text, Fault *f) {
  const dlc_model *m = set->model;
  CsvShape shape;
  Series s = {.path = path};
  Csv *c = ARENA_NEW(set->arena, Csv);
  c->path = path;
  if (m->input_count != 1 || m->target_count != 1)
    return fault(f, "%s: windows of a series need a network of one input and one target", path);
  if (!csv_shape(set->arena, path, text, &shape, f) || !read_values(set->arena, &shape, c, &s, f))
    return false;
  if (spec->window > s.rows || spec->horizon > s.rows)
    return fault(f, "%s: fewer rows than a window has", path);
  if (!cut_parts(&s, spec, f)) return false;
  standardise(&s);
  bool together = m->inputs[0].elements == spec->window * s.columns;
  if (!together && m->inputs[0].elements != spec->window)
    return fault(f,
                 "%s: windows of %lld rows and %lld columns do not fit input %s of %lld elements",
                 path, (long long)spec->window, (long long)s.columns, m->inputs[0].name,
                 (long long)m->inputs[0].elements);
  return cut_windows(set, &s, spec, together, f);
}
