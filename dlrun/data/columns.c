/* A CSV file as a table of samples.
 *
 * Columns go to the network's tensors like this: the column that label= names is the first target;
 * a column named as an input or target of one element is that; failing both, the column "label" is
 * the first target; then inputs in order, then targets in order, take the columns that are left.
 * Without columns for the targets the table has inputs only. Labels may be words: see words.h. */
#include <math.h>
#include <string.h>

#include "base/str.h"
#include "dlrun/data/csv.h"

typedef struct {
  int32_t tensor; /* -1: none */
  int64_t place;  /* which of its elements this column is */
} Column;

typedef struct {
  RawSet *set;
  const CsvShape *shape;
  const char *path;
  Column *column;
  int32_t inputs, tensors;
  int64_t *filled;             /* columns given to each tensor */
  double **data;               /* of each tensor; NULL where it is not wanted */
  int64_t *line;               /* of each row */
  bool word_seen, number_seen; /* among the labels, where the words are known */
} Table;

static const dlc_tensor *tensor_at(const Table *t, int32_t i) {
  const dlc_model *m = t->set->model;
  return i < t->inputs ? &m->inputs[i] : &m->targets[i - t->inputs];
}

static bool taken(const Table *t, int64_t column) { return t->column[column].tensor >= 0; }

static void give(Table *t, int64_t column, int32_t tensor) {
  t->column[column] = (Column){tensor, t->filled[tensor]++};
}

static void give_named(Table *t) {
  for (int32_t i = 0; i < t->tensors; i++) {
    const dlc_tensor *d = tensor_at(t, i);
    int64_t column = d->elements == 1 && !t->filled[i] ? csv_column(t->shape, d->name) : -1;
    if (column >= 0 && !taken(t, column)) give(t, column, i);
  }
}

static bool give_label(Table *t, const char *label, Fault *f) {
  int64_t column = csv_column(t->shape, label ? label : "label");
  if (column < 0 && label) return fault(f, "%s: no column is named %s", t->path, label);
  bool single = t->tensors > t->inputs && tensor_at(t, t->inputs)->elements == 1;
  if (label && !single)
    return fault(f, "%s: label=%s: the network has no first target of one number", t->path, label);
  if (column >= 0 && !taken(t, column) && single && !t->filled[t->inputs])
    give(t, column, t->inputs);
  return true;
}

static void give_rest(Table *t) {
  int64_t next = 0;
  for (int32_t i = 0; i < t->tensors; i++)
    while (t->filled[i] < tensor_at(t, i)->elements) {
      while (next < t->shape->columns && taken(t, next)) next++;
      if (next == t->shape->columns) return;
      give(t, next, i);
    }
}

static bool assign_columns(Table *t, const char *label, Fault *f) {
  if (label && !give_label(t, label, f)) return false;
  give_named(t);
  if (!label && !give_label(t, NULL, f)) return false;
  give_rest(t);
  int64_t inputs = 0, targets = 0, filled_in = 0, filled_out = 0, used = 0;
  for (int32_t i = 0; i < t->tensors; i++) {
    *(i < t->inputs ? &inputs : &targets) += tensor_at(t, i)->elements;
    *(i < t->inputs ? &filled_in : &filled_out) += t->filled[i];
    used += t->filled[i];
  }
  bool inputs_only = !filled_out && filled_in == inputs;
  if (used == t->shape->columns && filled_in == inputs && (filled_out == targets || inputs_only))
    return true;
  return fault(
      f, "%s: %lld columns; the network takes %lld for its inputs and %lld for its targets%s",
      t->path, (long long)t->shape->columns, (long long)inputs, (long long)targets, t->shape->hint);
}

static bool make_arrays(Table *t, Fault *f) {
  Arena *a = t->set->arena;
  t->data = ARENA_ARRAY(a, double *, t->tensors);
  t->line = ARENA_ARRAY(a, int64_t, t->shape->rows);
  for (int32_t i = 0; i < t->tensors; i++) {
    const dlc_tensor *d = tensor_at(t, i);
    if (!t->filled[i] || (i >= t->inputs && !t->set->targets)) continue;
    RawArray *r =
        raw_add(t->set, d->name, t->path, RAW_F64, 2, (int64_t[]){t->shape->rows, d->elements}, f);
    if (!r) return false;
    r->words = d->classes && !t->set->words->of[i].text.count;
    r->parts.at[0].line = t->line;
    t->data[i] = r->data;
  }
  return true;
}

/* ---- labels ---- */

/* Some of the words, for a message. */
static const char *some_words(const Table *t, const WordList *list) {
  enum { SOME = 6 };
  Str s = str_new(t->set->arena);
  for (int i = 0; i < list->text.count && i < SOME; i++)
    str_printf(&s, "%s%.40s", i ? ", " : "", list->text.at[i]);
  if (list->text.count > SOME) str_put(&s, ", ...");
  return s.text;
}

/* The file's first line names the classes of the tensor. */
static bool has_names(const Table *t, int32_t tensor) {
  return t->shape->classes && t->shape->class_count == tensor_at(t, tensor)->classes;
}

/* Then labels are numbers for these names. */
static bool named_label(const Table *t, const Csv *c, int32_t tensor, const char **out, Fault *f) {
  double v;
  *out = c->cell;
  if (!has_names(t, tensor)) return true;
  if (!csv_number(c->cell, &v) || v != floor(v) || v < 0 || v >= (double)t->shape->class_count)
    return fault(f, "%s:%lld: label %.60s; the first line names %lld classes", t->path,
                 (long long)c->line, c->cell, (long long)t->shape->class_count);
  *out = t->shape->classes[(int64_t)v];
  return true;
}

/* Where the words are known, a label is one of them; or, unless one of them is a number itself, all
 * labels of a file are numbers of classes. */
static bool known_label(Table *t, const Csv *c, const WordList *known, const char *label, double *v,
                        Fault *f) {
  int k = words_find(known, label);
  *v = k;
  if (k < 0 && !t->word_seen && csv_number(label, v)) {
    t->number_seen = true;
    for (int i = 0; i < known->text.count && t->number_seen; i++)
      t->number_seen = !csv_number(known->text.at[i], &(double){0});
    if (t->number_seen) return true;
  }
  t->word_seen = true;
  if (k >= 0 && !t->number_seen) return true;
  const char *from = t->set->words->from;
  return fault(f, "%s:%lld: \"%.60s\" is not one of the classes of %s: %s", t->path,
               (long long)c->line, label, from ? from : "the training data", some_words(t, known));
}

static bool new_label(Table *t, const Csv *c, int32_t tensor, const char *label, double *v,
                      Fault *f) {
  Arena *a = t->set->arena;
  NewWords *n = &t->set->fresh[tensor];
  if (!words_fit(label))
    return fault(f, "%s:%lld: the label is not UTF-8", t->path, (long long)c->line);
  if (!n->list.text.count && has_names(t, tensor)) {
    n->ordered = true;
    for (int64_t i = 0; i < t->shape->class_count; i++)
      words_add(a, &n->list, t->shape->classes[i]);
  }
  *v = words_add(a, &n->list, label);
  if (!n->first_word && !csv_number(label, &(double){0}))
    n->first_word =
        arena_printf(a, "%s:%lld: \"%.60s\" is no number", t->path, (long long)c->line, label);
  return true;
}

static bool label_value(Table *t, const Csv *c, int32_t tensor, double *v, Fault *f) {
  const WordList *known = &t->set->words->of[tensor];
  const char *label;
  if (!*c->cell) return fault(f, "%s:%lld: the label is missing", t->path, (long long)c->line);
  if (!named_label(t, c, tensor, &label, f)) return false;
  return known->text.count ? known_label(t, c, known, label, v, f)
                           : new_label(t, c, tensor, label, v, f);
}

/* ---- rows ---- */

static bool store_cell(Table *t, const Csv *c, int64_t row, int64_t column, Fault *f) {
  int32_t i = t->column[column].tensor;
  if (i < 0 || !t->data[i]) return true;
  double *to = &t->data[i][row * tensor_at(t, i)->elements + t->column[column].place];
  if (tensor_at(t, i)->classes) return label_value(t, c, i, to, f);
  return csv_number(c->cell, to) ||
         fault(f, "%s:%lld: \"%.60s\" in column %lld is not a number", t->path, (long long)c->line,
               c->cell, (long long)column + 1);
}

static bool store_rows(Table *t, Csv *c, Fault *f) {
  csv_open(c, t->path, t->shape->body);
  c->line = t->shape->body_line;
  for (int64_t row = 0; row < t->shape->rows; row++)
    for (int64_t column = 0; column < t->shape->columns; column++) {
      CsvStep step = csv_next(c, f);
      if (step == CSV_BAD || step == CSV_END) return false;
      if (!column) t->line[row] = c->line;
      if (!store_cell(t, c, row, column, f)) return false;
    }
  return true;
}

bool read_csv(RawSet *s, const char *path, const DataSpec *spec, Bytes text, Fault *f) {
  CsvShape shape;
  if (!csv_shape(s->arena, path, text, &shape, f)) return false;
  Table t = {.set = s, .shape = &shape, .path = path, .inputs = s->model->input_count};
  t.tensors = s->model->input_count + s->model->target_count;
  t.column = ARENA_ARRAY(s->arena, Column, shape.columns);
  for (int64_t i = 0; i < shape.columns; i++) t.column[i].tensor = -1;
  t.filled = ARENA_ARRAY(s->arena, int64_t, t.tensors);
  Csv *c = ARENA_NEW(s->arena, Csv);
  return assign_columns(&t, spec->label, f) && make_arrays(&t, f) && store_rows(&t, c, f);
}
