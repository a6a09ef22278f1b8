#include "dlrun/synthetic.h"

static void *make(Arena *a, const dlc_tensor *t, const int32_t *limits, int64_t n, uint64_t seed,
                  RandomUse use, uint32_t round) {
  int64_t count = n * t->elements;
  double *d = arena_alloc(a, (size_t)count + 1, 8); /* room for any type */
  for (int64_t i = 0; i < count; i++) {
    double u = random_unit(seed, use, round, (uint64_t)i);
    int32_t below = limits ? limits[i % t->elements] : t->classes;
    if (t->elem == DLC_U8)
      ((uint8_t *)d)[i] = (uint8_t)(u * (below ? below : 256));
    else if (t->elem == DLC_I32)
      ((int32_t *)d)[i] = (int32_t)(u * (below ? below : 2));
    else if (t->elem == DLC_F32)
      ((float *)d)[i] = (float)(2 * u - 1);
    else
      d[i] = 2 * u - 1;
  }
  return d;
}

Batch synthetic_batch(Arena *a, const dlc_model *m, int64_t n, uint64_t seed, RandomUse use) {
  int32_t count = m->input_count + m->target_count;
  Batch b = {.data = ARENA_ARRAY(a, char *, count + 1),
             .inputs = ARENA_ARRAY(a, const void *, count + 1)};
  b.targets = b.inputs + m->input_count;
  for (int32_t i = 0; i < count; i++) {
    const dlc_tensor *t = i < m->input_count ? &m->inputs[i] : &m->targets[i - m->input_count];
    b.inputs[i] = b.data[i] =
        make(a, t, m->limits ? m->limits[i] : NULL, n, seed, use, (uint32_t)i);
  }
  return b;
}
