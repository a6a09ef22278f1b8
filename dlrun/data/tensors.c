/* safetensors as data: tensors named as the network's inputs and targets, the first dimension the
 * samples. */
#include <string.h>

#include "dlrun/data/limits.h"
#include "dlrun/data/raw.h"
#include "runtime/safetensors.h"

static RawElem elem_for(StType type) {
  if (type == ST_U8) return RAW_U8;
  if (type == ST_F64) return RAW_F64;
  return st_is_float(type) ? RAW_F32 : RAW_I64;
}

static int read_elements(StFile *file, const StTensor *t, RawArray *r, Arena *a) {
  if (r->elem == RAW_U8) return st_read_bytes(file, t->begin, r->data, (size_t)t->elements);
  if (r->elem == RAW_I64) return st_read_integers(file, t, 0, t->elements, r->data);
  if (r->elem == RAW_F64) return st_read_doubles(file, t, 0, t->elements, r->data);
  enum { CHUNK = 4096 };
  double *chunk = ARENA_ARRAY(a, double, CHUNK);
  for (int64_t i = 0; i < t->elements; i += CHUNK) {
    int64_t n = t->elements - i < CHUNK ? t->elements - i : CHUNK;
    int code = st_read_doubles(file, t, i, n, chunk);
    if (code != DLC_OK) return code;
    for (int64_t k = 0; k < n; k++) ((float *)r->data)[i + k] = (float)chunk[k];
  }
  return DLC_OK;
}

static bool read_one(RawSet *s, const char *path, StFile *file, const dlc_tensor *d, Fault *f) {
  const StTensor *t = st_find(file, d->name);
  if (!t) return true;
  if (!st_is_float(t->type) && !st_is_integer(t->type))
    return fault(f, "%s: %s is of type %s", path, d->name, st_type_name(t->type));
  if (!t->rank) return fault(f, "%s: %s has no dimension for the samples", path, d->name);
  RawArray *r = raw_add(s, d->name, path, elem_for(t->type), t->rank, t->dim, f);
  if (!r) return false;
  return read_elements(file, t, r, s->arena) == DLC_OK ||
         fault(f, "%s: %s: %s", path, d->name, file->error);
}

bool read_tensors(RawSet *s, const char *path, Fault *f) {
  StFile file;
  if (st_open(&file, path) != DLC_OK) return fault(f, "%s", file.error);
  bool fine = true;
  int before = s->list.count;
  const dlc_model *m = s->model;
  for (int i = 0; i < m->input_count && fine; i++)
    fine = read_one(s, path, &file, &m->inputs[i], f);
  for (int i = 0; i < m->target_count && fine; i++)
    fine = read_one(s, path, &file, &m->targets[i], f);
  for (int64_t i = 0; i < file.count; i++)
    if (!raw_tensor_name(m, file.tensor[i].name))
      vec_push(s->arena, &s->passed, arena_strdup(s->arena, file.tensor[i].name));
  if (fine && s->list.count == before)
    fine = fault(f, "%s: no tensor is named as an input of the network%s", path, raw_passed(s));
  st_close(&file);
  return fine;
}
