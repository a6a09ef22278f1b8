/* Types: the element type, per sample or shared, and the dimensions of one sample. */
#include "ir/op.h"

#include <string.h>

bool type_equal(const Type *a, const Type *b) {
  return a->elem == b->elem && a->batched == b->batched && a->rank == b->rank &&
         !memcmp(a->dim, b->dim, (size_t)a->rank * sizeof *a->dim);
}

int64_t type_elements(const Type *t) {
  int64_t n = 1;
  for (int i = 0; i < t->rank; i++) n *= t->dim[i];
  return n;
}

Type type_scalar(bool batched) { return (Type){.elem = ELEM_F32, .batched = batched}; }

Type type_of(Elem elem, bool batched, int rank, const int64_t *dim) {
  Type t = {.elem = elem, .batched = batched, .rank = rank};
  if (rank) memcpy(t.dim, dim, (size_t)rank * sizeof *dim);
  return t;
}

const char *type_text(Arena *a, const Type *t) {
  static const char *const elem[] = {"f32", "u8", "i32"};
  Str s = str_new(a);
  str_put(&s, elem[t->elem]);
  if (!t->batched && !t->rank) return s.text;
  str_put(&s, t->batched ? "[*" : "[");
  for (int i = 0; i < t->rank; i++)
    str_printf(&s, "%s%lld", i || t->batched ? "," : "", (long long)t->dim[i]);
  str_put(&s, "]");
  return s.text;
}

bool type_valid(const Type *t, OpError *e) {
  if (t->rank < 0 || t->rank > LIMIT_RANK)
    return op_error(e, "the result has %d dimensions; at most %d are possible", t->rank,
                    LIMIT_RANK);
  int64_t n = 1;
  for (int i = 0; i < t->rank; i++) {
    if (t->dim[i] < 1 || t->dim[i] > LIMIT_DIM)
      return op_error(e, "dimension %d of the result would be %lld", i, (long long)t->dim[i]);
    if (t->dim[i] > LIMIT_ELEMENTS / n) return op_error(e, "the result has too many elements");
    n *= t->dim[i];
  }
  return true;
}

/* Dimension i counted from the end, 1 where the type has none. */
static int64_t dim_from_end(const Type *t, int i) {
  return i < t->rank ? t->dim[t->rank - 1 - i] : 1;
}

bool type_broadcast(const Type *a, const Type *b, Type *out, OpError *e) {
  Type t = {.elem = a->elem, .batched = a->batched || b->batched};
  t.rank = a->rank > b->rank ? a->rank : b->rank;
  for (int i = 0; i < t.rank; i++) {
    int64_t x = dim_from_end(a, i), y = dim_from_end(b, i);
    if (x != y && x != 1 && y != 1) {
      bool known = e && e->arena;
      return op_error(e, "shapes do not broadcast: %s and %s", known ? type_text(e->arena, a) : "",
                      known ? type_text(e->arena, b) : "");
    }
    t.dim[t.rank - 1 - i] = x == 1 ? y : x;
  }
  *out = t;
  return type_valid(&t, e);
}
