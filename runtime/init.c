/* Initial values. Element i of parameter k is a function of (seed, k, i) alone, drawn in double in
 * the row-major order of the PyTorch shape: neither the compiler's layout nor --precision changes
 * the network one starts from. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/rt.h"

enum { INIT_CONSTANT_A = 1, INIT_UNIFORM_AB = 2, INIT_NORMAL_AB = 3, INIT_ORTHOGONAL_Q = 4 };

/* Counters of initial values end in this word; those of random masks end in the step. */
#define INIT_WORD 0x494E4954u

typedef struct {
  uint32_t key[2], stream;
} Draw;

/* Uniforms 2*pair and 2*pair + 1 of the stream, in [0, 1) with 53 bits. */
static void draw_pair(const Draw *d, uint64_t pair, double u[2]) {
  uint32_t counter[4] = {(uint32_t)pair, (uint32_t)(pair >> 32), d->stream, INIT_WORD}, r[4];
  rt_philox(d->key, counter, r);
  for (int i = 0; i < 2; i++) {
    uint64_t bits = (uint64_t)r[2 * i] << 32 | r[2 * i + 1];
    u[i] = (double)(bits >> 11) * 0x1p-53;
  }
}

/* Box and Muller: two independent normals from two uniforms. */
static void draw_normals(const Draw *d, uint64_t pair, double z[2]) {
  double u[2];
  draw_pair(d, pair, u);
  double radius = sqrt(-2 * log(1 - u[0])), angle = 6.283185307179586476925 * u[1];
  z[0] = radius * cos(angle);
  z[1] = radius * sin(angle);
}

static void value_pair(const Draw *d, const dlc_parameter *p, uint64_t pair, double v[2]) {
  if (p->init == INIT_UNIFORM_AB) {
    draw_pair(d, pair, v);
    for (int i = 0; i < 2; i++) v[i] = p->init_a + (p->init_b - p->init_a) * v[i];
  } else if (p->init == INIT_NORMAL_AB) {
    draw_normals(d, pair, v);
    for (int i = 0; i < 2; i++) v[i] = p->init_a + p->init_b * v[i];
  } else {
    v[0] = v[1] = p->init == INIT_CONSTANT_A ? p->init_a : 0;
  }
}

static void store_real(void *base, int real, int64_t at, double v) {
  if (real == 8)
    ((double *)base)[at] = v;
  else
    ((float *)base)[at] = (float)v;
}

static void fill_drawn(const dlc_parameter *p, int real, const Draw *d, void *base) {
  LayoutCursor c = layout_start(p);
  double v[2] = {0, 0};
  for (int64_t i = 0; i < p->elements; i++, layout_next(&c)) {
    if (i % 2 == 0) value_pair(d, p, (uint64_t)i / 2, v);
    store_real(base, real, c.at, v[i % 2]);
  }
}

static double inner(const double *a, const double *b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}

static void subtract(double *a, const double *b, double factor, int64_t n) {
  for (int64_t i = 0; i < n; i++) a[i] -= factor * b[i];
}

/* Gram and Schmidt, each vector projected twice ("twice is enough", Kahan and Parlett): `count`
 * orthonormal vectors of `length` >= count. Dividing by a positive norm is QR with R's diagonal
 * positive, as PyTorch fixes the signs. */
static void orthonormalize(double *q, int64_t count, int64_t length) {
  for (int64_t i = 0; i < count; i++) {
    double *v = q + i * length;
    for (int pass = 0; pass < 2; pass++)
      for (int64_t j = 0; j < i; j++)
        subtract(v, q + j * length, inner(v, q + j * length, length), length);
    double norm = sqrt(inner(v, v, length));
    for (int64_t k = 0; k < length; k++) v[k] = norm > 0 ? v[k] / norm : 0;
  }
}

/* The matrix [dim 0, all others] gets orthonormal rows or columns, whichever are fewer. */
static int fill_orthogonal(const dlc_parameter *p, int real, const Draw *d, void *base) {
  int64_t rows = p->rank ? p->dim[0] : 1, columns = rows ? p->elements / rows : 0;
  int64_t count = rows < columns ? rows : columns, length = rows < columns ? columns : rows;
  double *q = calloc((size_t)(p->elements ? p->elements : 1), sizeof *q), z[2] = {0, 0};
  if (!q) return DLC_ENOMEM;
  for (int64_t i = 0; i < p->elements; i++) {
    if (i % 2 == 0) draw_normals(d, (uint64_t)i / 2, z);
    q[i] = z[i % 2];
  }
  orthonormalize(q, count, length);
  LayoutCursor c = layout_start(p);
  for (int64_t row = 0; row < rows; row++)
    for (int64_t column = 0; column < columns; column++, layout_next(&c)) {
      int64_t at = rows < columns ? row * length + column : column * length + row;
      store_real(base, real, c.at, q[at]);
    }
  free(q);
  return DLC_OK;
}

static int draw(dlc_session *s, uint64_t seed) {
  const dlc_model *m = s->model;
  int training = s->mode == DLC_TRAINING;
  memset(s->parameters, 0, (size_t)m->parameter_bytes + (size_t)(training ? m->state_bytes : 0));
  for (int32_t i = 0; i < m->parameter_count; i++) {
    const dlc_parameter *p = &m->parameters[i];
    if (p->role == DLC_STATE && !training) continue;
    Draw d = {{(uint32_t)seed, (uint32_t)(seed >> 32)}, (uint32_t)i};
    if (p->init != INIT_ORTHOGONAL_Q)
      fill_drawn(p, m->real_bytes, &d, s->parameters + p->offset);
    else if (fill_orthogonal(p, m->real_bytes, &d, s->parameters + p->offset) != DLC_OK)
      return rt_error(s, DLC_ENOMEM, "no memory to make %.100s orthogonal", p->name);
  }
  s->undrawn = 0;
  return DLC_OK;
}

int param_initialize(dlc_session *s, uint64_t seed) {
  if (!s) return DLC_EINVAL;
  int code = draw(s, seed);
  if (code != DLC_OK) return code;
  s->step = 0;
  session_forget_forward(s);
  s->gradient_state = GRADIENTS_NONE;
  return DLC_OK;
}

static int needs_memory(const dlc_model *m) {
  for (int32_t i = 0; i < m->parameter_count; i++)
    if (m->parameters[i].init == INIT_ORTHOGONAL_Q) return 1;
  return 0;
}

int param_start(dlc_session *s) {
  s->undrawn = !needs_memory(s->model);
  return s->undrawn ? DLC_OK : param_initialize(s, 0);
}

void param_ensure(const dlc_session *s) {
  if (s->undrawn) draw((dlc_session *)(uintptr_t)s, 0);
}
