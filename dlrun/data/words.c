#include "dlrun/data/words.h"

#include <jansson.h>
#include <string.h>

#include "dlrun/data/limits.h"
#include "runtime/safetensors.h"

/* FNV-1a */
static uint64_t hash(const char *text) {
  uint64_t h = 0xcbf29ce484222325u;
  for (; *text; text++) h = (h ^ (uint8_t)*text) * 0x100000001b3u;
  return h;
}

static int *find_slot(const WordList *w, const char *text) {
  uint64_t mask = (uint64_t)w->slots - 1, i = hash(text) & mask;
  /* What stands in a slot is in the list. NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
  while (w->slot[i] && strcmp(w->text.at[w->slot[i] - 1], text)) i = (i + 1) & mask;
  return &w->slot[i];
}

int words_find(const WordList *w, const char *text) {
  return w->slots ? *find_slot(w, text) - 1 : -1;
}

/* At most half of the slots are taken. */
static void make_room(Arena *a, WordList *w) {
  if (2 * (w->text.count + 1) <= w->slots) return;
  w->slots = w->slots ? 2 * w->slots : 16;
  w->slot = ARENA_ARRAY(a, int, w->slots);
  for (int i = 0; i < w->text.count; i++) *find_slot(w, w->text.at[i]) = i + 1;
}

int words_add(Arena *a, WordList *w, const char *text) {
  make_room(a, w);
  int *slot = find_slot(w, text);
  if (!*slot) {
    vec_push(a, &w->text, arena_strdup(a, text));
    *slot = w->text.count;
  }
  return *slot - 1;
}

/* ---- of a network ---- */

Words words_new(Arena *a, const dlc_model *m) {
  return (Words){a, m, ARENA_ARRAY(a, WordList, m->input_count + m->target_count + 1), NULL};
}

const dlc_tensor *words_tensor(const Words *w, int32_t i) {
  const dlc_model *m = w->model;
  return i < m->input_count ? &m->inputs[i] : &m->targets[i - m->input_count];
}

static const char *key_of(const Words *w, int32_t i) {
  return arena_printf(w->arena, "classes.%s", words_tensor(w, i)->name);
}

static bool parse(Words *w, int32_t i, const char *text, const char *weights, Fault *f) {
  json_t *list = json_loads(text, 0, NULL);
  int64_t classes = words_tensor(w, i)->classes;
  bool fine = json_is_array(list) && (int64_t)json_array_size(list) == classes &&
              classes <= LIMIT_CSV_CLASSES;
  for (size_t k = 0; fine && k < json_array_size(list); k++) {
    const char *word = json_string_value(json_array_get(list, k));
    fine = word && words_add(w->arena, &w->of[i], word) == (int)k;
  }
  json_decref(list);
  return fine || fault(f, "%s: %s in its metadata is not a list of %lld names", weights,
                       key_of(w, i), (long long)classes);
}

bool words_load(Words *w, const char *weights, Fault *f) {
  StFile file;
  if (st_open(&file, weights) != DLC_OK) return fault(f, "%s", file.error);
  bool fine = true;
  for (int32_t i = 0; i < w->model->input_count + w->model->target_count && fine; i++) {
    const char *text = words_tensor(w, i)->classes ? st_meta(&file, key_of(w, i)) : NULL;
    if (!text) continue;
    w->of[i] = (WordList){.slots = 0};
    w->from = weights;
    fine = parse(w, i, text, weights, f);
  }
  st_close(&file);
  return fine;
}

bool words_fit(const char *text) {
  json_t *s = json_string(text);
  json_decref(s);
  return s != NULL;
}

static const char *list_text(const Words *w, int32_t i) {
  json_t *list = json_array();
  for (int k = 0; k < w->of[i].text.count; k++)
    json_array_append_new(list, json_string(w->of[i].text.at[k]));
  char *text = json_dumps(list, 0);
  const char *kept = arena_strdup(w->arena, text ? text : "[]");
  free(text);
  json_decref(list);
  return kept;
}

const char *const *words_metadata(const Words *w, int32_t *count) {
  int32_t tensors = w->model->input_count + w->model->target_count;
  const char **pair = ARENA_ARRAY(w->arena, const char *, 2 * tensors + 1);
  *count = 0;
  for (int32_t i = 0; i < tensors; i++) {
    if (!w->of[i].text.count) continue;
    pair[2 * *count] = key_of(w, i);
    pair[2 * *count + 1] = list_text(w, i);
    ++*count;
  }
  return pair;
}

const char *const *words_names(const Words *w, const char *name) {
  for (int32_t i = 0; i < w->model->input_count + w->model->target_count; i++)
    if (w->of[i].text.count && strcmp(words_tensor(w, i)->name, name) == 0) return w->of[i].text.at;
  return NULL;
}
