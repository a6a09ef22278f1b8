/* Arenas: memory that is freed all at once. A function that takes no Arena does not allocate.
 * Allocation never fails from the caller's point of view: when memory is out, the process prints
 * one line and exits with status 70 (the compiler has nothing to save). Not thread-safe. Built with
 * -DARENA_MALLOC, each object is its own malloc, so that ASan sees every overrun. */
#ifndef DLC_BASE_ARENA_H
#define DLC_BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

typedef struct Arena Arena;

Arena *arena_new(void);
void arena_free(Arena *a); /* NULL is fine */

/* Zeroed, aligned to 16 bytes. `count * size` is checked for overflow. */
void *arena_alloc(Arena *a, size_t count, size_t size);

char *arena_strdup(Arena *a, const char *s);
char *arena_strndup(Arena *a, const char *s, size_t n);
char *arena_printf(Arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(Arena *a, const char *fmt, va_list ap);

#define ARENA_NEW(a, T) ((T *)arena_alloc((a), 1, sizeof(T)))
#define ARENA_ARRAY(a, T, n) ((T *)arena_alloc((a), (size_t)(n), sizeof(T)))

#endif
