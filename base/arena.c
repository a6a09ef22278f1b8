#include "base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Under ASan the bytes of a chunk that no object has are poisoned, and each object is followed by
 * some. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
enum { GAP_BYTES = 16 };
#else
#define ASAN_POISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
enum { GAP_BYTES = 0 };
#endif

/* A chunk is one malloc; objects are cut from it in order. With ARENA_MALLOC a chunk holds one
 * object. */
typedef struct Chunk {
  struct Chunk *next;
  size_t used, size;
  _Alignas(16) unsigned char bytes[];
} Chunk;

struct Arena {
  Chunk *chunks;
};

#ifdef ARENA_MALLOC
enum { CHUNK_BYTES = 0 };
#else
enum { CHUNK_BYTES = 64 << 10 };
#endif

static _Noreturn void out_of_memory(size_t size) {
  fprintf(stderr, "error: out of memory (%zu bytes wanted)\n", size);
  exit(70);
}

Arena *arena_new(void) {
  Arena *a = calloc(1, sizeof *a);
  if (!a) out_of_memory(sizeof *a);
  return a;
}

void arena_free(Arena *a) {
  if (!a) return;
  for (Chunk *c = a->chunks, *next; c; c = next) {
    next = c->next;
    free(c);
  }
  free(a);
}

static Chunk *chunk_new(Arena *a, size_t size) {
  size_t capacity = size > CHUNK_BYTES ? size : CHUNK_BYTES;
  Chunk *c = calloc(1, sizeof *c + capacity);
  if (!c) out_of_memory(capacity);
  c->size = capacity;
  c->next = a->chunks;
  a->chunks = c;
  ASAN_POISON_MEMORY_REGION(c->bytes, capacity);
  return c;
}

void *arena_alloc(Arena *a, size_t count, size_t size) {
  if (size && count > (SIZE_MAX / 2) / size) out_of_memory(SIZE_MAX);
  size_t bytes = ((count * size + 15) & ~(size_t)15) + GAP_BYTES;
  Chunk *c = a->chunks;
  if (!c || c->size - c->used < bytes) c = chunk_new(a, bytes);
  void *p = c->bytes + c->used;
  c->used += bytes;
  ASAN_UNPOISON_MEMORY_REGION(p, count * size);
  return p;
}

char *arena_strndup(Arena *a, const char *s, size_t n) {
  char *copy = arena_alloc(a, n + 1, 1);
  memcpy(copy, s, n);
  return copy;
}

char *arena_strdup(Arena *a, const char *s) { return arena_strndup(a, s, strlen(s)); }

char *arena_vprintf(Arena *a, const char *fmt, va_list ap) {
  va_list again;
  va_copy(again, ap);
  int n = vsnprintf(NULL, 0, fmt, again);
  va_end(again);
  char *s = arena_alloc(a, (size_t)n + 1, 1);
  vsnprintf(s, (size_t)n + 1, fmt, ap);
  return s;
}

char *arena_printf(Arena *a, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  char *s = arena_vprintf(a, fmt, ap);
  va_end(ap);
  return s;
}
