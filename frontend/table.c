/* Open addressing with linear probing; at most half of the slots are in use. */
#include "frontend/table.h"

#include <stdint.h>
#include <string.h>

static uint64_t hash(const char *s) {
  uint64_t h = 14695981039346656037u; /* FNV-1a */
  for (; *s; s++) h = (h ^ (unsigned char)*s) * 1099511628211u;
  return h;
}

/* The slot of the name, or the free one where it belongs. */
static int find(const Table *t, const char *name) {
  int i = (int)(hash(name) & (uint64_t)(t->slots - 1));
  while (t->slot[i] && strcmp(t->entries.at[t->slot[i] - 1].name, name) != 0)
    i = (i + 1) & (t->slots - 1);
  return i;
}

void *table_get(const Table *t, const char *name) {
  if (!t->slots) return NULL;
  int i = t->slot[find(t, name)];
  return i ? t->entries.at[i - 1].value : NULL;
}

static void grow(Arena *a, Table *t) {
  t->slots = t->slots ? 2 * t->slots : 16;
  t->slot = ARENA_ARRAY(a, int, t->slots);
  for (int i = 0; i < t->entries.count; i++) t->slot[find(t, t->entries.at[i].name)] = i + 1;
}

void table_put(Arena *a, Table *t, const char *name, void *value) {
  if (2 * (t->entries.count + 1) > t->slots) grow(a, t);
  int i = find(t, name);
  if (t->slot[i]) {
    t->entries.at[t->slot[i] - 1].value = value;
    return;
  }
  vec_push(a, &t->entries, ((TableEntry){name, value}));
  t->slot[i] = t->entries.count;
}
