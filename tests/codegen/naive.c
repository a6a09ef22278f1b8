#include "tests/codegen/naive.h"

#include <math.h>
#include <stdlib.h>

double naive_read(const View *v, void **buffers, int64_t at, int real_bytes) {
  void *p = buffers[v->slot];
  switch (v->elem) {
    case MEM_U8:
      return ((uint8_t *)p)[at];
    case MEM_I32:
      return ((int32_t *)p)[at];
    case MEM_F64:
      return ((double *)p)[at];
    default:
      return real_bytes == 8 ? ((double *)p)[at] : (double)((float *)p)[at];
  }
}

static void write_at(const View *v, void **buffers, int64_t at, int real_bytes, double x) {
  if (v->elem == MEM_I32)
    ((int32_t *)buffers[v->slot])[at] = (int32_t)x;
  else if (v->elem == MEM_F64 || real_bytes == 8)
    ((double *)buffers[v->slot])[at] = x;
  else
    ((float *)buffers[v->slot])[at] = (float)x;
}

static int64_t element(const View *v, const int64_t *i, const PointwiseSpec *s, bool result) {
  int64_t at = v->offset;
  for (int d = 0; d < s->rank; d++)
    if (!result || !s->reduced[d]) at += i[d] * v->stride[d];
  return at;
}

static double gathered(const BodyValue *v, void **buffers, const int64_t *i, const PointwiseSpec *s,
                       double index, int real_bytes) {
  if (!(index >= 0 && index < v->number)) return 0;
  return naive_read(&v->view, buffers,
                    element(&v->view, i, s, false) + (int64_t)index * v->view_step, real_bytes);
}

static double compute(const PointwiseSpec *s, int k, const double *value, const int64_t *i,
                      void **buffers, int real_bytes) {
  const BodyValue *v = &s->value[k];
  double x[SIG_OPERANDS];
  const uint64_t *words = buffers[v->view.slot];
  switch (v->kind) {
    case BODY_LOAD:
      return naive_read(&v->view, buffers, element(&v->view, i, s, false), real_bytes);
    case BODY_CONSTANT:
    case BODY_INTEGER:
      return v->number;
    case BODY_SAME:
      return value[v->arg[0]] == value[v->arg[1]];
    case BODY_COORD:
      return (double)i[v->dim];
    case BODY_GATHER:
      return gathered(v, buffers, i, s, value[v->arg[0]], real_bytes);
    case BODY_UNIFORM:
      return (philox(words[0], words[1], v->stream, (uint64_t)element(&v->view, i, s, false)) >>
              8) *
             0x1p-24;
    case BODY_OP:
      for (int a = 0; a < op_signature(v->node->op)->noperands; a++) x[a] = value[v->arg[a]];
      return op_info[v->node->op].eval_scalar(v->node, x);
    default:
      abort();
  }
}

static bool is_sum(ReduceKind kind) { return kind != REDUCE_MAX && kind != REDUCE_MIN; }

static double merge(ReduceKind kind, double acc, double x) {
  if (kind == REDUCE_VAR) return acc + x * x;
  if (is_sum(kind)) return acc + x;
  if (isnan(acc) || isnan(x)) return NAN;
  return kind == REDUCE_MAX ? fmax(acc, x) : fmin(acc, x);
}

/* Kept elements are numbered with the reduced dimensions left out. */
static int64_t kept_number(const PointwiseSpec *s, const int64_t *i, const int64_t *extent) {
  int64_t k = 0;
  for (int d = 0; d < s->rank; d++)
    if (!s->reduced[d]) k = k * extent[d] + i[d];
  return k;
}

typedef struct {
  int64_t extent[VIEW_RANK], i[VIEW_RANK], count;
} Walk;

static Walk walk_start(const PointwiseSpec *s, int64_t n) {
  Walk w = {.count = 1};
  for (int d = 0; d < s->rank; d++)
    w.count *= w.extent[d] = s->extent[d].each * n + s->extent[d].fixed;
  return w;
}

static void walk_next(Walk *w, int rank) {
  for (int d = rank - 1; d >= 0 && ++w->i[d] == w->extent[d]; d--) w->i[d] = 0;
}

static double result(const PointwiseSpec *s, int r, const double *acc, const int64_t *extent) {
  if (s->reduce[r].kind != REDUCE_VAR) return acc[r];
  double terms = 1;
  for (int d = 0; d < s->rank; d++) terms *= s->reduced[d] ? (double)extent[d] : 1;
  int sum = 0;
  while (s->reduce[sum].kind != REDUCE_WIDE || s->reduce[sum].value != s->reduce[r].value) sum++;
  double mean = acc[sum] / terms, square = mean * mean;
  return acc[r] / terms - square;
}

void naive_pointwise(const PointwiseSpec *s, void **buffers, int64_t n, int real_bytes) {
  Walk w = walk_start(s, n);
  double *value = calloc((size_t)s->nvalues + 1, sizeof *value);
  double *acc = malloc(((size_t)w.count * (size_t)s->nreduces + 1) * sizeof *acc);
  for (int64_t k = 0; k < w.count * s->nreduces; k++) {
    ReduceKind kind = s->reduce[k % s->nreduces].kind;
    acc[k] = is_sum(kind) ? 0 : kind == REDUCE_MAX ? -INFINITY : INFINITY;
  }
  for (int64_t e = 0; e < w.count; e++, walk_next(&w, s->rank)) {
    for (int k = 0; k < s->nvalues; k++) value[k] = compute(s, k, value, w.i, buffers, real_bytes);
    for (int k = 0; k < s->nstores; k++)
      write_at(&s->store[k].view, buffers, element(&s->store[k].view, w.i, s, false), real_bytes,
               value[s->store[k].value]);
    for (int r = 0; r < s->nreduces; r++) {
      double *a = &acc[kept_number(s, w.i, w.extent) * s->nreduces + r];
      *a = merge(s->reduce[r].kind, *a, value[s->reduce[r].value]);
    }
  }
  w = walk_start(s, n);
  for (int64_t e = 0; e < w.count; e++, walk_next(&w, s->rank))
    for (int r = 0; r < s->nreduces; r++)
      if (s->reduce[r].view.slot >= 0)
        write_at(&s->reduce[r].view, buffers, element(&s->reduce[r].view, w.i, s, true), real_bytes,
                 result(s, r, &acc[kept_number(s, w.i, w.extent) * s->nreduces], w.extent));
  free(value);
  free(acc);
}
