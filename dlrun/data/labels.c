/* Once all files are read: what their label columns hold. Numbers are classes as they are; as soon
 * as one label of a tensor is a word, all of them are, and the words, sorted, are classes 0, 1, ...
 */
#include <stdlib.h>
#include <string.h>

#include "dlrun/data/csv.h"

static int by_text(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void take_numbers(const NewWords *n, double *map) {
  for (int i = 0; i < n->list.text.count; i++) csv_number(n->list.text.at[i], &map[i]);
}

static bool take_words(RawSet *s, int32_t i, double *map, Fault *f) {
  const NewWords *n = &s->fresh[i];
  int count = n->list.text.count, classes = words_tensor(s->words, i)->classes;
  if (count != classes)
    return fault(f, "%s, so labels are words: %d different words, the network %d classes",
                 n->first_word, count, classes);
  if (count > LIMIT_CSV_CLASSES) return fault(f, "%s: too many different words", n->first_word);
  const char **sorted = ARENA_ARRAY(s->arena, const char *, count);
  memcpy(sorted, n->list.text.at, (size_t)count * sizeof *sorted);
  if (!n->ordered) qsort(sorted, (size_t)count, sizeof *sorted, by_text);
  for (int k = 0; k < count; k++) words_add(s->words->arena, &s->words->of[i], sorted[k]);
  for (int k = 0; k < count; k++) map[k] = words_find(&s->words->of[i], n->list.text.at[k]);
  return true;
}

bool raw_settle_words(RawSet *s, Fault *f) {
  for (int32_t i = 0; i < s->model->input_count + s->model->target_count; i++) {
    const NewWords *n = &s->fresh[i];
    if (!n->list.text.count) continue;
    double *map = ARENA_ARRAY(s->arena, double, n->list.text.count);
    if (!n->first_word)
      take_numbers(n, map);
    else if (!take_words(s, i, map, f))
      return false;
    for (int k = 0; k < s->list.count; k++) {
      RawArray *r = &s->list.at[k];
      if (!r->words || strcmp(r->name, words_tensor(s->words, i)->name) != 0) continue;
      double *v = r->data;
      for (int64_t at = 0; at < r->dim[0] * r->each; at++) v[at] = map[(int)v[at]];
    }
  }
  return true;
}
