/* Names to pointers: a hash table in an arena, which remembers the order of insertion. */
#ifndef DLC_FRONTEND_TABLE_H
#define DLC_FRONTEND_TABLE_H

#include "base/arena.h"
#include "base/vec.h"

typedef struct {
  const char *name;
  void *value;
} TableEntry;

typedef struct {
  VEC(TableEntry) entries; /* in order */
  int *slot;               /* index + 1 of an entry, 0 where free */
  int slots;               /* a power of two */
} Table;

/* NULL when there is none. */
void *table_get(const Table *t, const char *name);
/* Adds, or replaces the value. */
void table_put(Arena *a, Table *t, const char *name, void *value);

#endif
