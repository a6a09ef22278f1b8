/* IDX (big-endian: two zero bytes, type, rank, dimensions, data) and CIFAR-10's binary records. */
#include "dlrun/data/raw.h"

static bool idx_scalar(uint8_t code, Scalar *out) {
  static const struct {
    uint8_t code;
    Scalar scalar;
  } table[] = {{0x08, {'u', 1, true}}, {0x09, {'i', 1, true}}, {0x0b, {'i', 2, true}},
               {0x0c, {'i', 4, true}}, {0x0d, {'f', 4, true}}, {0x0e, {'f', 8, true}}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    if (table[i].code == code) return *out = table[i].scalar, true;
  return false;
}

bool read_idx(RawSet *s, const char *path, Bytes b, Fault *f) {
  const uint8_t *magic = bytes_take(&b, 4);
  Scalar scalar;
  if (!magic || magic[0] || magic[1] || !idx_scalar(magic[2], &scalar) || !magic[3] ||
      magic[3] > RAW_RANK)
    return fault(f, "%s: not an IDX file", path);
  int rank = magic[3];
  int64_t dim[RAW_RANK], count;
  for (int d = 0; d < rank; d++) {
    uint64_t v;
    if (!bytes_big(&b, 4, &v)) return fault(f, "%s: the file is cut off", path);
    dim[d] = (int64_t)v;
  }
  if (!raw_count(rank, dim, (int64_t)(b.left / (size_t)scalar.size), &count))
    return fault(f, "%s: the file is cut off: its header promises more than %zu bytes", path,
                 b.left);
  if ((uint64_t)count * (size_t)scalar.size != b.left)
    return fault(f, "%s: bytes follow the last element", path);
  RawArray *r = raw_add(s, NULL, path, raw_elem_for(scalar), rank, dim, f);
  return r && raw_fill(r, scalar, &b, f);
}

enum { CIFAR_IMAGE = 3 * 32 * 32, CIFAR_RECORD = 1 + CIFAR_IMAGE };

/* Records of a label and a [3, 32, 32] image; images become the first unnamed array, labels the
 * second. */
bool read_cifar(RawSet *s, const char *path, Bytes b, Fault *f) {
  if (!b.left || b.left % CIFAR_RECORD)
    return fault(f, "%s: not CIFAR-10 records: %zu bytes is no multiple of %d", path, b.left,
                 CIFAR_RECORD);
  int64_t n = (int64_t)(b.left / CIFAR_RECORD);
  RawArray *images = raw_add(s, NULL, path, RAW_U8, 4, (int64_t[]){n, 3, 32, 32}, f);
  uint8_t *pixel = images ? images->data : NULL;
  RawArray *labels = raw_add(s, NULL, path, RAW_U8, 1, &n, f);
  if (!pixel || !labels) return false;
  labels[-1].kind = "CIFAR images";
  labels->kind = "CIFAR labels";
  for (int64_t i = 0; i < n; i++) {
    ((uint8_t *)labels->data)[i] = *bytes_take(&b, 1);
    const uint8_t *image = bytes_take(&b, CIFAR_IMAGE);
    for (int k = 0; k < CIFAR_IMAGE; k++) pixel[i * CIFAR_IMAGE + k] = image[k];
  }
  return true;
}
