/* Growable arrays in an arena: declare with VEC(T), grow with vec_push. Old storage stays in the
 * arena. */
#ifndef DLC_BASE_VEC_H
#define DLC_BASE_VEC_H

#include <string.h>

#include "base/arena.h"

#define VEC(T)           \
  struct {               \
    T *at;               \
    int count, capacity; \
  }

#define vec_push(arena, v, x)                                                            \
  do {                                                                                   \
    if ((v)->count == (v)->capacity)                                                     \
      (v)->at = vec_grow((arena), (v)->at, (v)->count, &(v)->capacity, sizeof *(v)->at); \
    (v)->at[(v)->count++] = (x);                                                         \
  } while (0)

static inline void *vec_grow(Arena *a, const void *old, int count, int *capacity, size_t size) {
  *capacity = *capacity ? 2 * *capacity : 8;
  void *bigger = arena_alloc(a, (size_t)*capacity, size);
  if (count) memcpy(bigger, old, (size_t)count * size);
  return bigger;
}

#endif
