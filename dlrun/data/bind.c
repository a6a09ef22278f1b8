/* Which array is which tensor, and its elements in the tensor's type. Shapes need agree in the
 * number of elements only, except that images [H, W, C] are turned where the network wants [C, H,
 * W]. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "dlrun/data/bind.h"

static size_t elem_size(int32_t elem) { return elem == DLC_U8 ? 1 : elem == DLC_F64 ? 8 : 4; }

static void shape_text(char *out, size_t size, int rank, const int64_t *dim) {
  size_t at = (size_t)snprintf(out, size, "[");
  for (int d = 0; d < rank && at < size; d++)
    at += (size_t)snprintf(out + at, size - at, "%s%lld", d ? ", " : "", (long long)dim[d]);
  if (at < size) snprintf(out + at, size - at, "]");
}

static bool check_shape(const RawArray *r, const dlc_tensor *t, Fault *f) {
  if (r->each == t->elements) return true;
  char has[128], wants[128];
  shape_text(has, sizeof has, r->rank - 1, r->dim + 1);
  shape_text(wants, sizeof wants, t->rank, t->dim);
  return fault(f, "%s: samples of shape %s do not fit %s, which is %s", r->where, has, t->name,
               wants);
}

static bool channels_last(const RawArray *r, const dlc_tensor *t) {
  if (r->rank != 4 || t->rank != 3) return false;
  const int64_t *has = r->dim + 1, *wants = t->dim;
  bool same = has[0] == wants[0] && has[1] == wants[1] && has[2] == wants[2];
  return !same && has[0] == wants[1] && has[1] == wants[2] && has[2] == wants[0];
}

/* Where element i of the tensor lies within the array's sample. */
static int64_t source_of(const dlc_tensor *t, bool turned, int64_t i) {
  if (!turned) return i;
  int64_t pixels = t->dim[1] * t->dim[2];
  return i % pixels * t->dim[0] + i / pixels;
}

static void range_of(const dlc_tensor *t, double *lo, double *hi) {
  *lo = t->elem == DLC_U8 || t->classes ? 0 : INT32_MIN;
  *hi = t->classes ? t->classes - 1 : t->elem == DLC_U8 ? 255 : INT32_MAX;
}

/* False for a number that the type does not have. */
static bool store(const dlc_tensor *t, double v, char *to) {
  if (t->elem == DLC_F32) return memcpy(to, &(float){(float)v}, 4), true;
  if (t->elem == DLC_F64) return memcpy(to, &v, 8), true;
  double lo, hi;
  range_of(t, &lo, &hi);
  if (!(v >= lo && v <= hi) || v != floor(v)) return false;
  if (t->elem == DLC_U8)
    *(uint8_t *)to = (uint8_t)v;
  else
    memcpy(to, &(int32_t){(int32_t)v}, 4);
  return true;
}

static bool misfit(Arena *a, const RawArray *r, const dlc_tensor *t, int64_t sample, double v,
                   Fault *f) {
  double lo, hi;
  range_of(t, &lo, &hi);
  return fault(f, "%s: %s is %g; it must be an integer from %g to %g", raw_place(a, r, sample),
               t->name, v, lo, hi);
}

static bool convert(Arena *a, const RawArray *r, const dlc_tensor *t, const char **out, Fault *f) {
  bool turned = channels_last(r, t);
  bool as_is =
      !turned && !t->classes &&
      ((t->elem == DLC_U8 && r->elem == RAW_U8) || (t->elem == DLC_F32 && r->elem == RAW_F32) ||
       (t->elem == DLC_F64 && r->elem == RAW_F64));
  if (as_is) return *out = r->data, true;
  size_t size = elem_size(t->elem);
  char *to = arena_alloc(a, (size_t)(r->dim[0] * r->each) + 1, size);
  *out = to;
  for (int64_t s = 0; s < r->dim[0]; s++)
    for (int64_t i = 0; i < r->each; i++, to += size) {
      double v = raw_double(r, s * r->each + source_of(t, turned, i));
      if (!store(t, v, to)) return misfit(a, r, t, s, v, f);
    }
  return true;
}

static const RawArray *unnamed_array(const RawSet *s, int k) {
  for (int i = 0; i < s->list.count; i++)
    if (!s->list.at[i].name && k-- == 0) return &s->list.at[i];
  return NULL;
}

static const RawArray *array_for(const RawSet *s, const dlc_tensor *t, int *unnamed) {
  for (int i = 0; i < s->list.count; i++)
    if (s->list.at[i].name && strcmp(s->list.at[i].name, t->name) == 0) return &s->list.at[i];
  const RawArray *r = unnamed_array(s, *unnamed);
  *unnamed += r != NULL;
  return r;
}

static bool bind_one(RawSet *s, const dlc_tensor *t, int32_t i, int *unnamed, Dataset *d,
                     Fault *f) {
  const RawArray *r = array_for(s, t, unnamed);
  if (!r) return fault(f, "%s: the data has nothing for %s%s", s->files, t->name, raw_passed(s));
  if (!check_shape(r, t, f)) return false;
  if (d->n >= 0 && r->dim[0] != d->n)
    return fault(f, "%s: %lld samples for %s, but %lld for what comes before", r->where,
                 (long long)r->dim[0], t->name, (long long)d->n);
  d->n = r->dim[0];
  d->bytes[i] = elem_size(t->elem) * (size_t)t->elements;
  return convert(s->arena, r, t, &d->data[i], f);
}

bool bind_arrays(RawSet *s, bool targets, Dataset *d, Fault *f) {
  const dlc_model *m = s->model;
  int unnamed = 0;
  d->n = -1;
  d->inputs = m->input_count;
  d->tensors = m->input_count + (targets ? m->target_count : 0);
  d->data = ARENA_ARRAY(s->arena, const char *, d->tensors);
  d->bytes = ARENA_ARRAY(s->arena, size_t, d->tensors);
  for (int32_t i = 0; i < d->tensors; i++) {
    const dlc_tensor *t = i < d->inputs ? &m->inputs[i] : &m->targets[i - d->inputs];
    if (!bind_one(s, t, i, &unnamed, d, f)) return false;
  }
  /* targets that are not wanted may be there all the same */
  const RawArray *more = unnamed_array(s, unnamed + (targets ? 0 : m->target_count));
  if (more) return fault(f, "%s: more than the network has inputs and targets for", more->where);
  return d->n > 0 ? true : fault(f, "the data has no samples");
}
