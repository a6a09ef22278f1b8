/* NumPy's .npy: magic, version, a Python dictionary of descr, fortran_order and shape, data. Only
 * this dictionary is understood, in any order of its keys; no objects, no structures. */
#include <stdlib.h>
#include <string.h>

#include "dlrun/data/limits.h"
#include "dlrun/data/raw.h"

typedef struct {
  Scalar scalar;
  int rank;
  int64_t dim[RAW_RANK];
  unsigned seen;
} NpyHeader;

static void skip(Bytes *b) {
  while (b->left && (*b->at == ' ' || *b->at == '\n' || *b->at == '\t')) bytes_take(b, 1);
}

static bool accept(Bytes *b, const char *word) {
  skip(b);
  if (!bytes_start_with(*b, word, strlen(word))) return false;
  bytes_take(b, strlen(word));
  return true;
}

/* A quoted string of at most 30 bytes. */
static bool quoted(Bytes *b, char out[32]) {
  skip(b);
  if (!b->left || (*b->at != '\'' && *b->at != '"')) return false;
  uint8_t quote = *bytes_take(b, 1);
  for (int n = 0; n < 31; n++) {
    const uint8_t *c = bytes_take(b, 1);
    if (!c) return false;
    if (*c == quote) return out[n] = 0, true;
    out[n] = (char)*c;
  }
  return false;
}

static bool scalar_type(const char *descr, Scalar *out) {
  static const char kinds[] = "uifb";
  if (strlen(descr) != 3 || !strchr("<>|=", descr[0]) || !strchr(kinds, descr[1])) return false;
  int size = descr[2] - '0';
  char kind = descr[1];
  if (kind == 'b') kind = 'u';
  *out = (Scalar){kind, size, descr[0] == '>'};
  if (size != 1 && size != 2 && size != 4 && size != 8) return false;
  return descr[1] == 'f' ? size > 1 : descr[1] == 'b' ? size == 1 : true;
}

static bool dimension(Bytes *b, int64_t *out) {
  skip(b);
  *out = 0;
  bool any = false;
  while (b->left && *b->at >= '0' && *b->at <= '9') {
    if (__builtin_mul_overflow(*out, 10, out) || __builtin_add_overflow(*out, *b->at - '0', out))
      return false;
    bytes_take(b, 1);
    any = true;
  }
  return any;
}

static bool shape(Bytes *b, NpyHeader *h) {
  if (!accept(b, "(")) return false;
  while (!accept(b, ")")) {
    if (h->rank == RAW_RANK || !dimension(b, &h->dim[h->rank])) return false;
    h->rank++;
    if (!accept(b, ",")) return accept(b, ")");
  }
  return true;
}

static const char *entry(Bytes *b, NpyHeader *h) {
  char key[32], descr[32] = "";
  if (!quoted(b, key) || !accept(b, ":")) return "its header is malformed";
  if (strcmp(key, "descr") == 0) {
    h->seen |= 1;
    if (!quoted(b, descr)) return "its elements are structures, which are not supported";
    return scalar_type(descr, &h->scalar) ? NULL : "its element type is not supported";
  }
  if (strcmp(key, "fortran_order") == 0) {
    h->seen |= 2;
    if (accept(b, "True")) return "it is in Fortran order; save it with numpy.ascontiguousarray";
    return accept(b, "False") ? NULL : "its header is malformed";
  }
  if (strcmp(key, "shape") != 0) return "its header has an unknown key";
  h->seen |= 4;
  h->rank = 0;
  return shape(b, h) ? NULL : "its shape is malformed";
}

static const char *header(Bytes b, NpyHeader *h) {
  if (!accept(&b, "{")) return "its header is malformed";
  while (!accept(&b, "}")) {
    const char *why = entry(&b, h);
    if (why) return why;
    if (!accept(&b, ",") && !bytes_start_with(b, "}", 1)) return "its header is malformed";
  }
  return h->seen == 7 ? NULL : "its header lacks descr, fortran_order or shape";
}

bool read_npy(RawSet *s, const char *path, const char *name, Bytes b, Fault *f) {
  const uint8_t *magic = bytes_take(&b, 8);
  uint64_t length;
  if (!magic || memcmp(magic, "\x93NUMPY", 6) || magic[6] < 1 || magic[6] > 3)
    return fault(f, "%s: not an npy array", path);
  if (!bytes_little(&b, magic[6] == 1 ? 2 : 4, &length) || length > LIMIT_NPY_HEADER ||
      length > b.left)
    return fault(f, "%s: the array's header is cut off", path);
  NpyHeader h = {.rank = 0};
  Bytes text = {bytes_take(&b, (size_t)length), (size_t)length};
  const char *why = header(text, &h);
  if (why) return fault(f, "%s: %s%s%s", path, name ? name : "", name ? ": " : "", why);
  int64_t count;
  if (!h.rank) h.dim[h.rank++] = 1; /* a scalar is one sample */
  if (!raw_count(h.rank, h.dim, (int64_t)(b.left / (size_t)h.scalar.size), &count))
    return fault(f, "%s: the array is cut off", path);
  if ((uint64_t)count * (size_t)h.scalar.size != b.left)
    return fault(f, "%s: bytes follow the array", path);
  RawArray *r = raw_add(s, name, path, raw_elem_for(h.scalar), h.rank, h.dim, f);
  return r && raw_fill(r, h.scalar, &b, f);
}
