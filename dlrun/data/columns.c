/* A CSV file as a table of samples.
 *
 * Columns go to the network's tensors like this: a column named as an input or target of one
 * element is that; the column named by label= (or, failing that, "label") is the first target; then
 * inputs in order, then targets in order, take the columns that are left. Without columns for the
 * targets the table has inputs only. Labels may be words: the words, sorted, are classes 0, 1, ...
 */
#include <stdlib.h>
#include <string.h>

#include "dlrun/data/csv.h"

typedef struct {
  double *data;        /* of the tensor */
  int64_t each, place; /* elements of one sample; which of them this column is */
  bool is_class;
} Column;

typedef struct {
  RawSet *set;
  const CsvShape *shape;
  const char *path;
  Column *column;
  int32_t inputs, tensors;
  int64_t *filled;    /* columns given to each tensor */
  const char **words; /* of the label column, sorted; NULL: labels are numbers */
  int64_t word_count;
} Table;

static const dlc_tensor *tensor_at(const Table *t, int32_t i) {
  const dlc_model *m = t->set->model;
  return i < t->inputs ? &m->inputs[i] : &m->targets[i - t->inputs];
}

static bool taken(const Table *t, int64_t column) { return t->column[column].each != 0; }

static void give(Table *t, int64_t column, int32_t tensor) {
  const dlc_tensor *d = tensor_at(t, tensor);
  t->column[column] = (Column){NULL, d->elements, t->filled[tensor]++, d->classes > 0};
  t->column[column].data = (double *)(uintptr_t)(tensor + 1); /* replaced once the arrays exist */
}

static void give_named(Table *t) {
  for (int32_t i = 0; i < t->tensors; i++) {
    const dlc_tensor *d = tensor_at(t, i);
    int64_t column = d->elements == 1 ? csv_column(t->shape, d->name) : -1;
    if (column >= 0 && !taken(t, column)) give(t, column, i);
  }
}

static bool give_label(Table *t, const char *label, Fault *f) {
  int64_t column = csv_column(t->shape, label ? label : "label");
  if (column < 0 && label) return fault(f, "%s: no column is named %s", t->path, label);
  bool free_target =
      t->tensors > t->inputs && tensor_at(t, t->inputs)->elements == 1 && !t->filled[t->inputs];
  if (column >= 0 && !taken(t, column) && free_target) give(t, column, t->inputs);
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
  give_named(t);
  if (!give_label(t, label, f)) return false;
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
  return fault(f,
               "%s: %lld columns; the network takes %lld for its inputs and %lld for its targets",
               t->path, (long long)t->shape->columns, (long long)inputs, (long long)targets);
}

static bool make_arrays(Table *t, Fault *f) {
  for (int32_t i = 0; i < t->tensors; i++) {
    const dlc_tensor *d = tensor_at(t, i);
    if (!t->filled[i]) continue;
    RawArray *r =
        raw_add(t->set, d->name, t->path, RAW_F64, 2, (int64_t[]){t->shape->rows, d->elements}, f);
    if (!r) return false;
    for (int64_t c = 0; c < t->shape->columns; c++)
      if ((uintptr_t)t->column[c].data == (uintptr_t)i + 1) t->column[c].data = r->data;
  }
  return true;
}

/* ---- words ---- */

static int by_text(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const char **find_word(const Table *t, const char *word) {
  return t->word_count ? bsearch(&word, t->words, (size_t)t->word_count, sizeof *t->words, by_text)
                       : NULL;
}

static bool add_word(Table *t, const char *word, int64_t *capacity, Fault *f) {
  if (find_word(t, word)) return true;
  if (t->word_count == LIMIT_CSV_CLASSES) return fault(f, "%s: too many different labels", t->path);
  if (t->word_count == *capacity) {
    const char **bigger = ARENA_ARRAY(t->set->arena, const char *, *capacity = 2 * *capacity + 8);
    if (t->word_count) memcpy(bigger, t->words, (size_t)t->word_count * sizeof *bigger);
    t->words = bigger;
  }
  int64_t i = t->word_count++;
  for (; i && strcmp(t->words[i - 1], word) > 0; i--) t->words[i] = t->words[i - 1];
  t->words[i] = arena_strdup(t->set->arena, word);
  return true;
}

/* The label column's distinct cells, when one of them is not a number. */
static bool collect_words(Table *t, int64_t column, int64_t classes, Csv *c, Fault *f) {
  int64_t capacity = 0;
  bool numbers = true;
  csv_open(c, t->path, t->shape->body);
  for (int64_t i = 0;; i++) {
    CsvStep step = csv_next(c, f);
    if (step == CSV_BAD) return false;
    if (step == CSV_END) break;
    if (i == column) {
      numbers = numbers && csv_number(c->cell, &(double){0});
      if (!numbers && !t->words &&
          !capacity) { /* the first word: start over, numbers are words too */
        capacity = 8;
        t->words = ARENA_ARRAY(t->set->arena, const char *, capacity);
        csv_open(c, t->path, t->shape->body);
        i = -1;
        continue;
      }
      if (!numbers && !add_word(t, c->cell, &capacity, f)) return false;
    }
    if (step == CSV_LAST_CELL) i = -1;
  }
  if (numbers || t->word_count == classes) return true;
  return fault(f, "%s: the label column has %lld different words, the network %lld classes",
               t->path, (long long)t->word_count, (long long)classes);
}

/* ---- rows ---- */

static bool store_cell(Table *t, const Csv *c, int64_t row, int64_t column, Fault *f) {
  Column *to = &t->column[column];
  double v;
  const char **word = to->is_class ? find_word(t, c->cell) : NULL;
  if (word)
    v = (double)(word - t->words);
  else if (!csv_number(c->cell, &v))
    return fault(f, "%s:%lld: \"%.60s\" in column %lld is not a number", t->path,
                 (long long)c->line, c->cell, (long long)column + 1);
  if (to->data) to->data[row * to->each + to->place] = v;
  return true;
}

static bool store_rows(Table *t, Csv *c, Fault *f) {
  csv_open(c, t->path, t->shape->body);
  c->line = t->shape->body_line;
  for (int64_t row = 0; row < t->shape->rows; row++)
    for (int64_t column = 0; column < t->shape->columns; column++) {
      CsvStep step = csv_next(c, f);
      if (step == CSV_BAD || step == CSV_END) return false;
      if (!store_cell(t, c, row, column, f)) return false;
    }
  return true;
}

static bool read_words(Table *t, Csv *c, Fault *f) {
  for (int64_t i = 0; i < t->shape->columns; i++)
    if (t->column[i].is_class && !t->words) {
      int64_t classes = 0;
      for (int32_t k = 0; k < t->tensors; k++)
        if ((uintptr_t)t->column[i].data == (uintptr_t)k + 1) classes = tensor_at(t, k)->classes;
      if (!collect_words(t, i, classes, c, f)) return false;
    }
  return true;
}

bool read_csv(RawSet *s, const char *path, const DataSpec *spec, Bytes text, Fault *f) {
  CsvShape shape;
  if (!csv_shape(s->arena, path, text, &shape, f)) return false;
  Table t = {.set = s, .shape = &shape, .path = path, .inputs = s->model->input_count};
  t.tensors = s->model->input_count + s->model->target_count;
  t.column = ARENA_ARRAY(s->arena, Column, shape.columns);
  t.filled = ARENA_ARRAY(s->arena, int64_t, t.tensors);
  Csv *c = ARENA_NEW(s->arena, Csv);
  return assign_columns(&t, spec->label, f) && read_words(&t, c, f) && make_arrays(&t, f) &&
         store_rows(&t, c, f);
}
