/* The JSON of a safetensors header, and no other:
 *
 *   { "__metadata__": { "key": "value", ... },
 *     "name": { "dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24] }, ... }
 *
 * Strings are decoded in place (a decoded string is never longer than its source). No recursion:
 * the depth is fixed. Every number is a non-negative integer below 2^63. */
#include <stdlib.h>
#include <string.h>

#include "runtime/dlc.h"
#include "runtime/safetensors.h"

typedef struct {
  char *at, *end;
  const char *error;
} Json;

static int json_fail(Json *j, const char *why) {
  if (!j->error) j->error = why;
  return 0;
}

static void skip_space(Json *j) {
  while (j->at < j->end && (*j->at == ' ' || *j->at == '\t' || *j->at == '\n' || *j->at == '\r'))
    j->at++;
}

static int peek(Json *j) {
  skip_space(j);
  return j->at < j->end ? *j->at : -1;
}

static int accept(Json *j, char c) {
  if (peek(j) != c) return 0;
  j->at++;
  return 1;
}

static int expect(Json *j, char c, const char *why) { return accept(j, c) || json_fail(j, why); }

static int hex4(Json *j, uint32_t *out) {
  if (j->end - j->at < 4) return json_fail(j, "an escape is cut off");
  uint32_t v = 0;
  for (int i = 0; i < 4; i++) {
    char c = *j->at++;
    int digit = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
    if (digit < 0) return json_fail(j, "a bad \\u escape");
    v = v << 4 | (uint32_t)digit;
  }
  *out = v;
  return 1;
}

static char *put_utf8(char *out, uint32_t c) {
  if (c < 0x80) {
    *out++ = (char)c;
  } else if (c < 0x800) {
    *out++ = (char)(0xc0 | c >> 6);
    *out++ = (char)(0x80 | (c & 0x3f));
  } else if (c < 0x10000) {
    *out++ = (char)(0xe0 | c >> 12);
    *out++ = (char)(0x80 | (c >> 6 & 0x3f));
    *out++ = (char)(0x80 | (c & 0x3f));
  } else {
    *out++ = (char)(0xf0 | c >> 18);
    *out++ = (char)(0x80 | (c >> 12 & 0x3f));
    *out++ = (char)(0x80 | (c >> 6 & 0x3f));
    *out++ = (char)(0x80 | (c & 0x3f));
  }
  return out;
}

static char *unicode_escape(Json *j, char *out) {
  uint32_t c, low;
  if (!hex4(j, &c)) return NULL;
  if (c >= 0xdc00 && c < 0xe000) return json_fail(j, "half a surrogate pair"), NULL;
  if (c >= 0xd800 && c < 0xdc00) {
    if (j->end - j->at < 2 || j->at[0] != '\\' || j->at[1] != 'u')
      return json_fail(j, "half a surrogate pair"), NULL;
    j->at += 2;
    if (!hex4(j, &low)) return NULL;
    if (low < 0xdc00 || low >= 0xe000) return json_fail(j, "half a surrogate pair"), NULL;
    c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
  }
  if (!c) return json_fail(j, "a zero byte in a string"), NULL;
  return put_utf8(out, c);
}

static char *escape(Json *j, char *out) {
  static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
  if (j->at == j->end) return json_fail(j, "a string has no end"), NULL;
  char c = *j->at++;
  if (c == 'u') return unicode_escape(j, out);
  const char *place = c ? strchr(from, c) : NULL;
  if (!place) return json_fail(j, "an unknown escape"), NULL;
  *out++ = to[place - from];
  return out;
}

static const char *string(Json *j) {
  if (!expect(j, '"', "a string is expected")) return NULL;
  char *start = j->at, *out = start;
  while (j->at < j->end && *j->at != '"') {
    if ((unsigned char)*j->at < 0x20) return json_fail(j, "a control character in a string"), NULL;
    if (*j->at != '\\') {
      *out++ = *j->at++;
      continue;
    }
    j->at++;
    out = escape(j, out);
    if (!out) return NULL;
  }
  if (j->at == j->end) return json_fail(j, "a string has no end"), NULL;
  j->at++;
  *out = 0; /* at the latest where the closing quote was */
  return start;
}

static int number(Json *j, int64_t *out) {
  int c = peek(j);
  if (c < '0' || c > '9') return json_fail(j, "a non-negative integer is expected");
  char *start = j->at;
  int64_t v = 0;
  while (j->at < j->end && *j->at >= '0' && *j->at <= '9') {
    if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *j->at - '0', &v))
      return json_fail(j, "a number is too large");
    j->at++;
  }
  if (*start == '0' && j->at - start > 1) return json_fail(j, "a number starts with 0");
  *out = v;
  return 1;
}

/* [a, b, ...] of at most `most` numbers; returns how many, -1 after an error. */
static int numbers(Json *j, int64_t *out, int most) {
  if (!expect(j, '[', "a list is expected")) return -1;
  if (accept(j, ']')) return 0;
  int n = 0;
  do {
    if (n == most) return json_fail(j, "a list is too long"), -1;
    if (!number(j, &out[n++])) return -1;
  } while (accept(j, ','));
  return expect(j, ']', "a list has no end") ? n : -1;
}

static StType type_by_name(const char *name) {
  for (int i = 0; i < ST_TYPES; i++)
    if (strcmp(st_type_name((StType)i), name) == 0) return (StType)i;
  return ST_TYPES;
}

static int field(Json *j, StTensor *t, unsigned *seen) {
  const char *key = string(j);
  if (!key || !expect(j, ':', "a colon is expected")) return 0;
  static const char *const keys[] = {"dtype", "shape", "data_offsets"};
  int which = 0;
  while (which < 3 && strcmp(key, keys[which])) which++;
  if (which == 3) return json_fail(j, "a tensor has an unknown property");
  if (*seen >> which & 1) return json_fail(j, "a tensor has a property twice");
  *seen |= 1u << which;
  if (which == 0) {
    const char *type = string(j);
    if (!type) return 0;
    t->type = type_by_name(type);
    return t->type != ST_TYPES || json_fail(j, "an unknown dtype");
  }
  if (which == 1) return (t->rank = numbers(j, t->dim, ST_RANK)) >= 0;
  int64_t range[2];
  int n = numbers(j, range, 2);
  if (n < 0) return 0;
  if (n != 2 || range[0] > range[1]) return json_fail(j, "data_offsets must be [begin, end]");
  t->begin = (uint64_t)range[0];
  t->end = (uint64_t)range[1];
  return 1;
}

static int tensor(Json *j, StTensor *t) {
  unsigned seen = 0;
  if (!expect(j, '{', "a tensor's properties are expected")) return 0;
  if (peek(j) != '}') do {
      if (!field(j, t, &seen)) return 0;
    } while (accept(j, ','));
  if (!expect(j, '}', "a tensor's properties have no end")) return 0;
  return seen == 7 || json_fail(j, "a tensor lacks dtype, shape or data_offsets");
}

/* Room for one more of `size` bytes in a list that doubles; the header's own length bounds it. */
static void *grow(void *list, int64_t count, size_t size) {
  if (count && (count & (count - 1))) return list;
  return realloc(list, (size_t)(count ? 2 * count : 1) * size);
}

static int metadata(Json *j, StFile *f) {
  if (!expect(j, '{', "__metadata__ must be an object")) return 0;
  if (accept(j, '}')) return 1;
  do {
    StPair *list = grow(f->meta, f->meta_count, sizeof *list);
    if (!list) return json_fail(j, ST_NO_MEMORY);
    f->meta = list;
    StPair *pair = &list[f->meta_count];
    pair->key = string(j);
    if (!pair->key || !expect(j, ':', "a colon is expected")) return 0;
    pair->value = string(j);
    if (!pair->value) return 0;
    f->meta_count++;
  } while (accept(j, ','));
  return expect(j, '}', "__metadata__ has no end");
}

static int entry(Json *j, StFile *f) {
  const char *name = string(j);
  if (!name || !expect(j, ':', "a colon is expected")) return 0;
  if (strcmp(name, "__metadata__") == 0) {
    if (f->meta) return json_fail(j, "__metadata__ twice");
    return metadata(j, f);
  }
  StTensor *list = grow(f->tensor, f->count, sizeof *list);
  if (!list) return json_fail(j, ST_NO_MEMORY);
  f->tensor = list;
  memset(&list[f->count], 0, sizeof *list);
  list[f->count].name = name;
  return tensor(j, &list[f->count++]);
}

const char *st_parse_header(StFile *f, size_t length) {
  Json j = {f->header, f->header + length, NULL};
  if (!length || *f->header != '{') return "the header does not start with {";
  j.at++;
  if (peek(&j) != '}') do {
      if (!entry(&j, f)) return j.error;
    } while (accept(&j, ','));
  if (!expect(&j, '}', "the header has no end")) return j.error;
  return peek(&j) == -1 ? NULL : "something follows the header's end";
}
