/* Whole files in memory, and the one bounds-checked way to read them. */
#ifndef DLC_DLRUN_BYTES_H
#define DLC_DLRUN_BYTES_H

#include <stddef.h>
#include <stdint.h>

#include "dlrun/fault.h"

typedef struct {
  const uint8_t *at;
  size_t left;
} Bytes;

/* The next n bytes, or NULL when fewer are left. */
const uint8_t *bytes_take(Bytes *b, size_t n);
/* A number of `size` bytes (at most 8). */
bool bytes_little(Bytes *b, int size, uint64_t *out);
bool bytes_big(Bytes *b, int size, uint64_t *out);
bool bytes_start_with(Bytes b, const void *prefix, size_t n);

/* A regular file, unpacked when it is gzip. Free *owner with free(). */
bool bytes_load(const char *path, Bytes *out, void **owner, Fault *f);

#endif
