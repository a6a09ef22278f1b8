/* An augmented pixel (y, x) comes from the source position
 *   flip, then rotation by -angle about the centre (bilinear, zero outside), then the crop's shift.
 */
#include "dlrun/augment.h"

#include <math.h>
#include <string.h>

#include "dlrun/random.h"

typedef struct {
  bool hflip, vflip;
  double sine, cosine;
  int64_t dy, dx;
} Change;

static bool is_image(const dlc_tensor *t) {
  return t->rank == 3 && (t->elem == DLC_U8 || t->elem == DLC_F32 || t->elem == DLC_F64) &&
         !t->classes;
}

static size_t elem_size(const dlc_tensor *t) {
  return t->elem == DLC_U8 ? 1 : t->elem == DLC_F32 ? 4 : 8;
}

static bool wanted(const dlc_training *t) {
  return t && (t->hflip > 0 || t->vflip > 0 || t->rotate_degrees > 0 || t->crop_padding > 0);
}

Augment augment_new(Arena *a, const dlc_model *m, uint64_t seed) {
  Augment g = {.model = m, .seed = seed};
  size_t most = 0;
  for (int i = 0; i < m->input_count; i++) {
    if (!is_image(&m->inputs[i])) continue;
    size_t bytes = (size_t)m->inputs[i].elements * elem_size(&m->inputs[i]);
    if (bytes > most) most = bytes;
  }
  g.active = most && wanted(m->training);
  if (g.active) g.scratch = arena_alloc(a, most, 1);
  return g;
}

static Change draw(const Augment *g, int64_t step, int64_t sample) {
  const dlc_training *t = g->model->training;
  double u[5];
  for (int i = 0; i < 5; i++)
    u[i] = random_unit(g->seed, RANDOM_AUGMENT, (uint32_t)step, (uint64_t)(sample * 8 + i));
  double angle = (2 * u[2] - 1) * t->rotate_degrees * M_PI / 180;
  int64_t range = 2 * t->crop_padding + 1;
  return (Change){u[0] < t->hflip,
                  u[1] < t->vflip,
                  sin(angle),
                  cos(angle),
                  (int64_t)(u[3] * (double)range) - t->crop_padding,
                  (int64_t)(u[4] * (double)range) - t->crop_padding};
}

static double pixel(const dlc_tensor *t, const char *plane, int64_t y, int64_t x) {
  if (y < 0 || x < 0 || y >= t->dim[1] || x >= t->dim[2]) return 0;
  int64_t i = y * t->dim[2] + x;
  if (t->elem == DLC_U8) return ((const uint8_t *)plane)[i];
  return t->elem == DLC_F32 ? (double)((const float *)plane)[i] : ((const double *)plane)[i];
}

static double sample_at(const dlc_tensor *t, const char *plane, double y, double x) {
  double fy = floor(y), fx = floor(x), wy = y - fy, wx = x - fx;
  int64_t iy = (int64_t)fy, ix = (int64_t)fx;
  if (wy == 0 && wx == 0) return pixel(t, plane, iy, ix);
  double top = (1 - wx) * pixel(t, plane, iy, ix) + wx * pixel(t, plane, iy, ix + 1);
  double bottom = (1 - wx) * pixel(t, plane, iy + 1, ix) + wx * pixel(t, plane, iy + 1, ix + 1);
  return (1 - wy) * top + wy * bottom;
}

static void put(const dlc_tensor *t, char *plane, int64_t i, double v) {
  if (t->elem == DLC_U8)
    ((uint8_t *)plane)[i] = (uint8_t)lrint(v);
  else if (t->elem == DLC_F32)
    ((float *)plane)[i] = (float)v;
  else
    ((double *)plane)[i] = v;
}

static void change_plane(const dlc_tensor *t, const Change *c, const char *from, char *to) {
  int64_t h = t->dim[1], w = t->dim[2];
  double my = (double)(h - 1) / 2, mx = (double)(w - 1) / 2;
  for (int64_t y = 0; y < h; y++)
    for (int64_t x = 0; x < w; x++) {
      double sy = (double)((c->vflip ? h - 1 - y : y) + c->dy),
             sx = (double)((c->hflip ? w - 1 - x : x) + c->dx);
      double ry = sy, rx = sx;
      if (c->sine != 0) {
        ry = my + (sy - my) * c->cosine - (sx - mx) * c->sine;
        rx = mx + (sy - my) * c->sine + (sx - mx) * c->cosine;
      }
      put(t, to, y * w + x, sample_at(t, from, ry, rx));
    }
}

static void change_image(const Augment *g, const dlc_tensor *t, const Change *c, char *image) {
  size_t plane = (size_t)(t->dim[1] * t->dim[2]) * elem_size(t);
  memcpy(g->scratch, image, plane * (size_t)t->dim[0]);
  for (int64_t k = 0; k < t->dim[0]; k++)
    change_plane(t, c, g->scratch + (size_t)k * plane, image + (size_t)k * plane);
}

void augment_batch(const Augment *g, Batch *b, int64_t step, int64_t n) {
  if (!g->active) return;
  for (int64_t k = 0; k < n; k++) {
    Change c = draw(g, step, k);
    for (int i = 0; i < g->model->input_count; i++) {
      const dlc_tensor *t = &g->model->inputs[i];
      if (is_image(t))
        change_image(g, t, &c, b->data[i] + (size_t)k * (size_t)t->elements * elem_size(t));
    }
  }
}
