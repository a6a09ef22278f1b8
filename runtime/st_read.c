/* Reading safetensors. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/dlc.h"
#include "runtime/safetensors.h"

static const struct {
  const char *name;
  uint8_t size, is_float;
} type_table[ST_TYPES] = {
    [ST_BOOL] = {"BOOL", 1, 0},       [ST_U8] = {"U8", 1, 0},           [ST_I8] = {"I8", 1, 0},
    [ST_F8_E5M2] = {"F8_E5M2", 1, 0}, [ST_F8_E4M3] = {"F8_E4M3", 1, 0}, [ST_I16] = {"I16", 2, 0},
    [ST_U16] = {"U16", 2, 0},         [ST_F16] = {"F16", 2, 1},         [ST_BF16] = {"BF16", 2, 1},
    [ST_I32] = {"I32", 4, 0},         [ST_U32] = {"U32", 4, 0},         [ST_F32] = {"F32", 4, 1},
    [ST_F64] = {"F64", 8, 1},         [ST_I64] = {"I64", 8, 0},         [ST_U64] = {"U64", 8, 0},
};

size_t st_type_size(StType type) { return type_table[type].size; }

const char *st_type_name(StType type) { return type_table[type].name; }

int st_is_float(StType type) { return type_table[type].is_float; }

int st_is_integer(StType type) {
  return type == ST_U8 || type == ST_I8 || type == ST_I16 || type == ST_U16 || type == ST_I32 ||
         type == ST_U32 || type == ST_I64;
}

/* ---- opening ---- */

static int open_fail(StFile *f, int code, const char *path, const char *why) {
  st_close(f);
  snprintf(f->error, sizeof f->error, "%.160s: %s", path, why);
  return code;
}

int st_read_bytes(StFile *f, uint64_t at, void *out, size_t bytes) {
  char *to = out;
  while (bytes) {
    ssize_t got = pread(f->fd, to, bytes, (off_t)(f->data_at + at));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      snprintf(f->error, sizeof f->error, "%s", got ? strerror(errno) : "the file ends too early");
      return DLC_EIO;
    }
    to += got;
    at += (uint64_t)got;
    bytes -= (size_t)got;
  }
  return DLC_OK;
}

/* qsort takes no NULL, which the list of a file without tensors is. */
static void sort(StFile *f, int (*order)(const void *, const void *)) {
  if (f->count) qsort(f->tensor, (size_t)f->count, sizeof *f->tensor, order);
}

static int by_name(const void *a, const void *b) {
  return strcmp(((const StTensor *)a)->name, ((const StTensor *)b)->name);
}

static int by_place(const void *a, const void *b) {
  const StTensor *x = a, *y = b;
  if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
  return x->end < y->end ? -1 : x->end > y->end;
}

static const char *check_size(StTensor *t) {
  int64_t elements = 1, bytes;
  int empty = 0;
  for (int d = 0; d < t->rank; d++) {
    if (!t->dim[d])
      empty = 1;
    else if (__builtin_mul_overflow(elements, t->dim[d], &elements))
      return "a shape is too large";
  }
  t->elements = empty ? 0 : elements;
  if (__builtin_mul_overflow(t->elements, (int64_t)st_type_size(t->type), &bytes))
    return "a shape is too large";
  return t->end - t->begin == (uint64_t)bytes ? NULL
                                              : "a tensor's shape and its data_offsets disagree";
}

/* The tensors, in order of place, must cover [0, data_bytes) without overlap or hole. */
static const char *check_tiling(StFile *f, uint64_t data_bytes) {
  sort(f, by_place);
  uint64_t at = 0;
  for (int64_t i = 0; i < f->count; i++) {
    const char *why = check_size(&f->tensor[i]);
    if (why) return why;
    if (f->tensor[i].begin < at) return "two tensors overlap";
    if (f->tensor[i].begin > at) return "there is a hole between tensors";
    at = f->tensor[i].end;
    if (at > data_bytes) return "a tensor reaches past the end of the file";
  }
  return at == data_bytes ? NULL : "bytes follow the last tensor";
}

static const char *check_names(StFile *f) {
  sort(f, by_name);
  for (int64_t i = 1; i < f->count; i++)
    if (strcmp(f->tensor[i - 1].name, f->tensor[i].name) == 0) return "two tensors have one name";
  return NULL;
}

static int read_header(StFile *f, const char *path, uint64_t file_bytes) {
  uint8_t raw[8];
  if (file_bytes < 8) return open_fail(f, DLC_EFORMAT, path, "too short for a safetensors file");
  if (st_read_bytes(f, 0, raw, 8) != DLC_OK) return open_fail(f, DLC_EIO, path, "cannot be read");
  uint64_t length = 0;
  for (int i = 0; i < 8; i++) length |= (uint64_t)raw[i] << (8 * i);
  if (length > ST_MAX_HEADER || length > file_bytes - 8)
    return open_fail(f, DLC_EFORMAT, path,
                     "not a safetensors file: the header's length is impossible");
  f->header = malloc((size_t)length + 1);
  if (!f->header) return open_fail(f, DLC_ENOMEM, path, ST_NO_MEMORY);
  if (st_read_bytes(f, 8, f->header, (size_t)length) != DLC_OK)
    return open_fail(f, DLC_EIO, path, "cannot be read");
  f->header[length] = 0;
  f->data_at = 8 + length;
  const char *why = st_parse_header(f, (size_t)length);
  if (why && strcmp(why, ST_NO_MEMORY) == 0) return open_fail(f, DLC_ENOMEM, path, why);
  if (!why) why = check_tiling(f, file_bytes - f->data_at);
  if (!why) why = check_names(f);
  return why ? open_fail(f, DLC_EFORMAT, path, why) : DLC_OK;
}

int st_open(StFile *f, const char *path) {
  memset(f, 0, sizeof *f);
  f->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (f->fd < 0) return open_fail(f, DLC_EIO, path, strerror(errno));
  struct stat st;
  if (fstat(f->fd, &st) || !S_ISREG(st.st_mode))
    return open_fail(f, DLC_EIO, path, "not a regular file");
  return read_header(f, path, (uint64_t)st.st_size);
}

void st_close(StFile *f) {
  if (f->fd >= 0) close(f->fd);
  free(f->header);
  free(f->tensor);
  free(f->meta);
  f->fd = -1;
  f->header = NULL;
  f->tensor = NULL;
  f->meta = NULL;
  f->count = f->meta_count = 0;
}

const StTensor *st_find(const StFile *f, const char *name) {
  StTensor key = {.name = name};
  return f->count ? bsearch(&key, f->tensor, (size_t)f->count, sizeof key, by_name) : NULL;
}

const char *st_meta(const StFile *f, const char *key) {
  for (int64_t i = 0; i < f->meta_count; i++)
    if (strcmp(f->meta[i].key, key) == 0) return f->meta[i].value;
  return NULL;
}

/* ---- conversions ---- */

static double from_bits(uint32_t bits) {
  float v;
  memcpy(&v, &bits, sizeof v);
  return v;
}

static double half_value(uint16_t h) {
  uint32_t sign = (uint32_t)(h >> 15) << 31, exponent = h >> 10 & 0x1f, mantissa = h & 0x3ffu;
  if (exponent == 0x1f) return from_bits(sign | 0x7f800000u | mantissa << 13);
  if (exponent) return from_bits(sign | (exponent + 112) << 23 | mantissa << 13);
  double tiny = mantissa * 0x1p-24;
  return sign ? -tiny : tiny;
}

/* The file is little-endian, as is every processor that the compiler makes code for. */
static int64_t integer_from(StType type, const uint8_t *b) {
  int64_t v = 0;
  memcpy(&v, b, st_type_size(type));
  switch (type) {
    case ST_I8:
      return (int8_t)v;
    case ST_I16:
      return (int16_t)v;
    case ST_I32:
      return (int32_t)v;
    default:
      return v;
  }
}

static double double_from(StType type, const uint8_t *b) {
  uint16_t half;
  float f;
  double d;
  switch (type) {
    case ST_F64:
      return memcpy(&d, b, 8), d;
    case ST_F32:
      return memcpy(&f, b, 4), f;
    case ST_F16:
      return memcpy(&half, b, 2), half_value(half);
    case ST_BF16:
      return memcpy(&half, b, 2), from_bits((uint32_t)half << 16);
    default:
      return (double)integer_from(type, b);
  }
}

enum { CHUNK_BYTES = 1 << 14 };

int st_read_doubles(StFile *f, const StTensor *t, int64_t first, int64_t count, double *out) {
  uint8_t chunk[CHUNK_BYTES];
  int64_t size = (int64_t)st_type_size(t->type);
  if (!st_is_float(t->type) && !st_is_integer(t->type)) return DLC_EFORMAT;
  if (first < 0 || count < 0 || first > t->elements || count > t->elements - first)
    return DLC_EFORMAT;
  while (count) {
    int64_t now = count < CHUNK_BYTES / size ? count : CHUNK_BYTES / size;
    int code = st_read_bytes(f, t->begin + (uint64_t)(first * size), chunk, (size_t)(now * size));
    if (code != DLC_OK) return code;
    for (int64_t i = 0; i < now; i++) out[i] = double_from(t->type, chunk + i * size);
    first += now;
    count -= now;
    out += now;
  }
  return DLC_OK;
}

int st_read_integers(StFile *f, const StTensor *t, int64_t first, int64_t count, int64_t *out) {
  uint8_t chunk[CHUNK_BYTES];
  int64_t size = (int64_t)st_type_size(t->type);
  if (!st_is_integer(t->type)) return DLC_EFORMAT;
  if (first < 0 || count < 0 || first > t->elements || count > t->elements - first)
    return DLC_EFORMAT;
  while (count) {
    int64_t now = count < CHUNK_BYTES / size ? count : CHUNK_BYTES / size;
    int code = st_read_bytes(f, t->begin + (uint64_t)(first * size), chunk, (size_t)(now * size));
    if (code != DLC_OK) return code;
    for (int64_t i = 0; i < now; i++) out[i] = integer_from(t->type, chunk + i * size);
    first += now;
    count -= now;
    out += now;
  }
  return DLC_OK;
}
