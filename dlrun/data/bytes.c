#include "dlrun/data/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "dlrun/data/limits.h"

const uint8_t *bytes_take(Bytes *b, size_t n) {
  if (n > b->left) return NULL;
  const uint8_t *p = b->at;
  b->at += n;
  b->left -= n;
  return p;
}

bool bytes_little(Bytes *b, int size, uint64_t *out) {
  const uint8_t *p = bytes_take(b, (size_t)size);
  if (!p) return false;
  *out = 0;
  for (int i = 0; i < size; i++) *out |= (uint64_t)p[i] << (8 * i);
  return true;
}

bool bytes_big(Bytes *b, int size, uint64_t *out) {
  const uint8_t *p = bytes_take(b, (size_t)size);
  if (!p) return false;
  *out = 0;
  for (int i = 0; i < size; i++) *out = *out << 8 | p[i];
  return true;
}

bool bytes_start_with(Bytes b, const void *prefix, size_t n) {
  return b.left >= n && memcmp(b.at, prefix, n) == 0;
}

/* Reads to the end into a buffer that doubles: memory follows what really came, not what a header
 * says. */
static bool read_all(gzFile file, const char *path, size_t most, Bytes *out, void **owner,
                     Fault *f) {
  size_t capacity = 1 << 16, used = 0;
  uint8_t *buffer = malloc(capacity);
  for (int got = 1; buffer && got > 0 && used <= most; used += (size_t)(got > 0 ? got : 0)) {
    if (used == capacity) {
      uint8_t *bigger = realloc(buffer, capacity *= 2);
      if (!bigger) break;
      buffer = bigger;
    }
    size_t room = capacity - used;
    got = gzread(file, buffer + used, (unsigned)(room < (1u << 30) ? room : 1u << 30));
    int code = Z_OK;
    const char *why = gzerror(file, &code);
    if (got < 0 || (got == 0 && code != Z_OK && code != Z_STREAM_END)) {
      free(buffer);
      return fault(f, "%s: %s", path, code == Z_BUF_ERROR ? "the compressed file is cut off" : why);
    }
    if (got == 0) {
      *owner = buffer;
      *out = (Bytes){buffer, used};
      return true;
    }
  }
  free(buffer);
  if (used <= most) return fault(f, "%s: out of memory", path);
  return fault(f, "%s: unpacks to more than %zu MB; unpack it first, if that is right", path,
               most >> 20);
}

/* Deflate packs at most 1032 to 1; what comes near that is no data. */
static size_t most_bytes(size_t packed) {
  if (packed > (LIMIT_DATA_BYTES - LIMIT_GZIP_FREE) / LIMIT_GZIP_RATIO) return LIMIT_DATA_BYTES;
  return LIMIT_GZIP_FREE + LIMIT_GZIP_RATIO * packed;
}

bool bytes_load(const char *path, Bytes *out, void **owner, Fault *f) {
  *owner = NULL;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat st;
  if (fd < 0) return fault(f, "%s: %s", path, strerror(errno));
  if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
    close(fd);
    return fault(f, "%s: not a regular file", path);
  }
  gzFile file = gzdopen(fd, "rb");
  if (!file) {
    close(fd);
    return fault(f, "%s: out of memory", path);
  }
  gzbuffer(file, 1 << 17);
  bool fine = read_all(file, path, most_bytes((size_t)st.st_size), out, owner, f);
  gzclose(file);
  return fine;
}
