/* .npz: a zip archive of .npy members, stored or deflated. The central directory is believed only
 * as far as it agrees with the file: places, sizes and the checksum are checked, and deflate cannot
 * expand more than 1032 to 1. */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "dlrun/data/limits.h"
#include "dlrun/data/raw.h"

typedef struct {
  char name[256];
  uint64_t method, crc, packed, size, offset;
} Member;

enum { END_RECORD = 22, END_SEARCH = END_RECORD + 65535 };

static bool find_end(Bytes whole, Bytes *out) {
  size_t most = whole.left < END_SEARCH ? whole.left : END_SEARCH;
  for (size_t back = END_RECORD; back <= most; back++) {
    const uint8_t *p = whole.at + whole.left - back;
    if (memcmp(p, "PK\5\6", 4) == 0) return *out = (Bytes){p + 4, back - 4}, true;
  }
  return false;
}

static bool fields(Bytes *b, int count, const int *sizes, uint64_t *out) {
  for (int i = 0; i < count; i++)
    if (!bytes_little(b, sizes[i], &out[i])) return false;
  return true;
}

/* The zip64 extra field holds, in this order, those of size, packed and offset that are all ones.
 */
static bool zip64(Bytes extra, Member *m) {
  while (extra.left >= 4) {
    uint64_t id = 0, length = 0;
    bytes_little(&extra, 2, &id);
    bytes_little(&extra, 2, &length);
    const uint8_t *at = bytes_take(&extra, (size_t)length);
    if (!at) return false;
    if (id != 1) continue;
    Bytes b = {at, (size_t)length};
    uint64_t *wanted[] = {&m->size, &m->packed, &m->offset};
    for (int i = 0; i < 3; i++)
      if (*wanted[i] == 0xffffffffu && !bytes_little(&b, 8, wanted[i])) return false;
  }
  return true;
}

static bool next_member(Bytes *directory, Member *m) {
  static const int sizes[] = {2, 2, 2, 2, 2, 2, 4, 4, 4, 2, 2, 2, 2, 2, 4, 4};
  uint64_t v[16];
  const uint8_t *magic = bytes_take(directory, 4);
  if (!magic || memcmp(magic, "PK\1\2", 4) || !fields(directory, 16, sizes, v)) return false;
  const uint8_t *name = bytes_take(directory, (size_t)v[9]);
  const uint8_t *extra = bytes_take(directory, (size_t)v[10]);
  if (!name || !extra || !bytes_take(directory, (size_t)v[11]) || v[9] >= sizeof m->name)
    return false;
  *m = (Member){.method = v[3], .crc = v[6], .packed = v[7], .size = v[8], .offset = v[15]};
  if (v[2] & 1) m->method = 99; /* encrypted */
  memcpy(m->name, name, (size_t)v[9]);
  return !memchr(m->name, 0, (size_t)v[9]) && zip64((Bytes){extra, (size_t)v[10]}, m);
}

/* The member's bytes as they lie in the file. */
static bool locate(Bytes whole, const Member *m, Bytes *out) {
  static const int sizes[] = {2, 2, 2, 2, 2, 4, 4, 4, 2, 2};
  uint64_t v[10];
  if (m->offset > whole.left || !bytes_take(&whole, (size_t)m->offset)) return false;
  const uint8_t *magic = bytes_take(&whole, 4);
  if (!magic || memcmp(magic, "PK\3\4", 4) || !fields(&whole, 10, sizes, v)) return false;
  if (!bytes_take(&whole, (size_t)v[8]) || !bytes_take(&whole, (size_t)v[9]) ||
      m->packed > whole.left)
    return false;
  *out = (Bytes){whole.at, (size_t)m->packed};
  return true;
}

static bool inflate_raw(Bytes from, uint8_t *to, size_t size) {
  z_stream z = {0};
  if (inflateInit2(&z, -MAX_WBITS) != Z_OK) return false;
  int code = Z_OK;
  size_t out = 0;
  z.next_in = (Bytef *)(uintptr_t)from.at;
  while (code == Z_OK) {
    size_t in_chunk = from.left < (1u << 30) ? from.left : 1u << 30;
    size_t out_chunk = size - out < (1u << 30) ? size - out : 1u << 30;
    z.avail_in = (uInt)in_chunk;
    z.avail_out = (uInt)out_chunk;
    z.next_out = to + out;
    code = inflate(&z, Z_NO_FLUSH);
    from.left -= in_chunk - z.avail_in;
    out += out_chunk - z.avail_out;
    if (code == Z_OK && z.avail_in == in_chunk && z.avail_out == out_chunk) break; /* no progress */
  }
  inflateEnd(&z);
  return code == Z_STREAM_END && out == size;
}

static bool unpack(Bytes from, const Member *m, uint8_t *to) {
  if (m->method == 0)
    memcpy(to, from.at, (size_t)m->size);
  else if (!inflate_raw(from, to, (size_t)m->size))
    return false;
  return crc32_z(0, to, (size_t)m->size) == m->crc;
}

static bool read_member(RawSet *s, const char *path, const char *name, const Member *m, Bytes whole,
                        Fault *f) {
  Bytes packed;
  if (!locate(whole, m, &packed)) return fault(f, "%s: %s lies outside the file", path, m->name);
  if (m->method != 0 && m->method != 8)
    return fault(f, "%s: %s is compressed in an unknown way", path, m->name);
  if (m->size > LIMIT_DATA_BYTES ||
      (m->method == 0 ? m->size != m->packed : m->size / 1032 > m->packed + 1))
    return fault(f, "%s: %s has an impossible size", path, m->name);
  uint8_t *data = malloc((size_t)m->size + 1);
  if (!data) return fault(f, "%s: out of memory", path);
  bool fine = unpack(packed, m, data) || fault(f, "%s: %s is damaged", path, m->name);
  fine = fine && read_npy(s, path, name, (Bytes){data, (size_t)m->size}, f);
  free(data);
  return fine;
}

/* Which of the model's tensors the array is: by its own name, or as MedMNIST names them,
 * <part>_images and <part>_labels for the first input and target. NULL: not wanted. */
static const char *role_of(const dlc_model *m, const char *name, const char *part) {
  size_t n = part ? strlen(part) : 0;
  if (!part) return raw_tensor_name(m, name);
  if (strncmp(name, part, n) || name[n] != '_') return NULL;
  if (strcmp(name + n, "_images") == 0 && m->input_count) return m->inputs[0].name;
  if (strcmp(name + n, "_labels") == 0 && m->target_count) return m->targets[0].name;
  return raw_tensor_name(m, name + n + 1);
}

static bool read_directory(RawSet *s, const char *path, const char *part, Bytes whole,
                           Bytes directory, uint64_t entries, Fault *f) {
  int before = s->list.count;
  for (uint64_t i = 0; i < entries; i++) {
    Member m;
    if (!next_member(&directory, &m))
      return fault(f, "%s: the archive's directory is malformed", path);
    char *dot = strrchr(m.name, '.');
    if (!dot || strcmp(dot, ".npy")) continue;
    *dot = 0;
    const char *role = role_of(s->model, m.name, part);
    for (int k = before; role && k < s->list.count; k++)
      if (strcmp(s->list.at[k].name, role) == 0)
        return fault(f, "%s: %s is there twice", path, m.name);
    if (!role) vec_push(s->arena, &s->passed, arena_strdup(s->arena, m.name));
    if (role && !read_member(s, path, role, &m, whole, f)) return false;
  }
  return true;
}

bool read_npz(RawSet *s, const char *path, const char *part, Bytes whole, Fault *f) {
  static const int sizes[] = {2, 2, 2, 2, 4, 4, 2};
  Bytes end, directory = whole;
  uint64_t v[7];
  if (!find_end(whole, &end) || !fields(&end, 7, sizes, v))
    return fault(f, "%s: not an npz archive", path);
  if (v[3] > LIMIT_ZIP_ENTRIES || v[5] > whole.left || !bytes_take(&directory, (size_t)v[5]))
    return fault(f, "%s: the archive's directory is malformed", path);
  int before = s->list.count;
  if (!read_directory(s, path, part, whole, directory, v[3], f)) return false;
  if (s->list.count > before) return true;
  return fault(f, "%s: no array is named as %s, an input of the network%s%s%s%s", path,
               s->model->input_count ? s->model->inputs[0].name : "x", part ? ", or as part " : "",
               part ? part : "", raw_passed(s),
               part ? "" : "; the part of a MedMNIST file is named like this: FILE.npz:train");
}
