/* Arrays as files hold them: counts checked, numbers of any width and byte order brought to four
 * kinds. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "dlrun/data/limits.h"
#include "dlrun/data/raw.h"

size_t raw_size(RawElem elem) { return elem == RAW_U8 ? 1 : elem == RAW_F32 ? 4 : 8; }

double raw_double(const RawArray *r, int64_t i) {
  if (r->elem == RAW_U8) return ((const uint8_t *)r->data)[i];
  if (r->elem == RAW_I64) return (double)((const int64_t *)r->data)[i];
  if (r->elem == RAW_F32) return (double)((const float *)r->data)[i];
  return ((const double *)r->data)[i];
}

bool raw_count(int rank, const int64_t *dim, int64_t most, int64_t *out) {
  *out = 1;
  for (int d = 0; d < rank; d++)
    if (dim[d] < 0 || __builtin_mul_overflow(*out, dim[d], out) || *out > most) return false;
  return true;
}

RawArray *raw_add(RawSet *s, const char *name, const char *where, RawElem elem, int rank,
                  const int64_t *dim, Fault *f) {
  RawArray r = {.name = name, .where = where, .elem = elem, .rank = rank};
  int64_t count;
  if (rank < 1 || rank > RAW_RANK)
    return fault(f, "%s: an array of %d dimensions", where, rank), NULL;
  if (s->list.count == LIMIT_DATA_ARRAYS) return fault(f, "%s: too many arrays", where), NULL;
  if (!raw_count(rank, dim, (int64_t)(LIMIT_DATA_BYTES / 8), &count) ||
      !raw_count(rank - 1, dim + 1, (int64_t)(LIMIT_DATA_BYTES / 8), &r.each))
    return fault(f, "%s: an array is too large", where), NULL;
  memcpy(r.dim, dim, (size_t)rank * sizeof *dim);
  r.room = dim[0];
  r.data = arena_alloc(s->arena, (size_t)count + 1, raw_size(elem));
  vec_push(s->arena, &r.parts, ((RawPart){where, 0, NULL}));
  vec_push(s->arena, &s->list, r);
  return &s->list.at[s->list.count - 1];
}

const char *raw_tensor_name(const dlc_model *m, const char *name) {
  for (int i = 0; i < m->input_count; i++)
    if (strcmp(m->inputs[i].name, name) == 0) return m->inputs[i].name;
  for (int i = 0; i < m->target_count; i++)
    if (strcmp(m->targets[i].name, name) == 0) return m->targets[i].name;
  return NULL;
}

const char *raw_passed(const RawSet *s) {
  enum { SHOWN = 8 };
  Str text = str_new(s->arena);
  for (int i = 0; i < s->passed.count && i < SHOWN; i++)
    str_printf(&text, "%s%.60s", i ? ", " : "; its other arrays: ", s->passed.at[i]);
  if (s->passed.count > SHOWN) str_put(&text, ", ...");
  return text.text;
}

static bool same_key(const RawArray *a, const RawArray *b) {
  if (a->name && b->name) return strcmp(a->name, b->name) == 0;
  return !a->name && !b->name && a->kind && b->kind && strcmp(a->kind, b->kind) == 0;
}

static bool same_sample(const RawArray *a, const RawArray *b) {
  if (a->elem != b->elem || a->rank != b->rank || a->words != b->words) return false;
  for (int d = 1; d < a->rank; d++)
    if (a->dim[d] != b->dim[d]) return false;
  return true;
}

static void grow(RawSet *s, RawArray *a, int64_t room) {
  size_t size = raw_size(a->elem);
  void *data = arena_alloc(s->arena, (size_t)(room * a->each) + 1, size);
  memcpy(data, a->data, (size_t)(a->dim[0] * a->each) * size);
  a->data = data;
  a->room = room;
}

/* b behind a, in a's place. */
static bool append(RawSet *s, RawArray *a, const RawArray *b, Fault *f) {
  if (!same_sample(a, b)) return fault(f, "%s and %s hold different samples", a->where, b->where);
  int64_t total = a->dim[0] + b->dim[0], limit = (int64_t)(LIMIT_DATA_BYTES / 8);
  if (a->each && total > limit / a->each) return fault(f, "%s: too many samples", b->where);
  size_t size = raw_size(a->elem), first = (size_t)(a->dim[0] * a->each) * size;
  if (total > a->room) grow(s, a, 2 * a->room > total ? 2 * a->room : total);
  memcpy((char *)a->data + first, b->data, (size_t)(b->dim[0] * b->each) * size);
  RawPart part = b->parts.at[0];
  part.first = a->dim[0];
  vec_push(s->arena, &a->parts, part);
  a->dim[0] = total;
  return true;
}

const char *raw_place(Arena *a, const RawArray *r, int64_t i) {
  int k = r->parts.count - 1;
  while (k && r->parts.at[k].first > i) k--;
  const RawPart *p = &r->parts.at[k];
  int64_t own = i - p->first;
  if (p->line) return arena_printf(a, "%s:%lld", p->where, (long long)p->line[own]);
  return arena_printf(a, "%s: sample %lld", p->where, (long long)own + 1);
}

bool raw_join(RawSet *s, Fault *f) {
  int kept = 0;
  for (int i = 0; i < s->list.count; i++) {
    int k = 0;
    while (k < kept && !same_key(&s->list.at[k], &s->list.at[i])) k++;
    if (k == kept)
      s->list.at[kept++] = s->list.at[i];
    else if (!append(s, &s->list.at[k], &s->list.at[i], f))
      return false;
  }
  s->list.count = kept;
  return true;
}

RawElem raw_elem_for(Scalar s) {
  if (s.kind == 'f') return s.size == 8 ? RAW_F64 : RAW_F32;
  return s.kind == 'u' && s.size == 1 ? RAW_U8 : RAW_I64;
}

static float half_to_float(uint16_t h) {
  uint32_t exponent = h >> 10 & 0x1f, mantissa = h & 0x3ffu, bits = (uint32_t)(h >> 15) << 31;
  float v;
  if (!exponent) return (float)mantissa * (bits ? -0x1p-24f : 0x1p-24f);
  bits |= (exponent == 0x1f ? 0xffu : exponent + 112) << 23 | mantissa << 13;
  memcpy(&v, &bits, sizeof v);
  return v;
}

static void store_one(RawArray *r, Scalar s, int64_t i, uint64_t bits) {
  uint32_t low = (uint32_t)bits;
  if (s.kind == 'f' && s.size == 8)
    memcpy((double *)r->data + i, &bits, 8);
  else if (s.kind == 'f' && s.size == 4)
    memcpy((float *)r->data + i, &low, 4);
  else if (s.kind == 'f')
    ((float *)r->data)[i] = half_to_float((uint16_t)bits);
  else if (r->elem == RAW_U8)
    ((uint8_t *)r->data)[i] = (uint8_t)bits;
  else {
    int unused = 64 - 8 * s.size;
    int64_t v = (int64_t)(bits << unused);
    ((int64_t *)r->data)[i] = s.kind == 'u' ? (int64_t)bits : v >> unused;
  }
}

bool raw_fill(RawArray *r, Scalar s, Bytes *b, Fault *f) {
  int64_t count = r->dim[0] * r->each;
  if ((uint64_t)count > b->left / (size_t)s.size)
    return fault(f, "%s: the file is cut off", r->where);
  if (r->elem == RAW_U8) {
    memcpy(r->data, bytes_take(b, (size_t)count), (size_t)count);
    return true;
  }
  for (int64_t i = 0; i < count; i++) {
    uint64_t bits;
    if (!(s.big_endian ? bytes_big(b, s.size, &bits) : bytes_little(b, s.size, &bits)))
      return fault(f, "%s: the file is cut off", r->where);
    store_one(r, s, i, bits);
  }
  return true;
}
