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

enum {
  BORDER = 3
}; /* columns and rows of zeros around a plane that is rotated: 1 before, 2 behind */

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
  g.active = wanted(m->training);
  g.bordered = ARENA_ARRAY(a, double *, m->input_count + 1);
  g.copy = ARENA_ARRAY(a, char *, m->input_count + 1);
  int images = 0;
  for (int i = 0; i < m->input_count && g.active; i++) {
    const dlc_tensor *t = &m->inputs[i];
    if (!is_image(t)) continue;
    images++;
    g.bordered[i] = ARENA_ARRAY(a, double, (t->dim[1] + BORDER) * (t->dim[2] + BORDER));
    g.copy[i] = arena_alloc(a, (size_t)(t->dim[1] * t->dim[2]), elem_size(t));
  }
  g.active = g.active && images;
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

/* ---- flips and shifts: pixels move as they are ---- */

static void move_plane(const dlc_tensor *t, const Change *c, const char *from, char *to) {
  int64_t h = t->dim[1], w = t->dim[2];
  size_t size = elem_size(t);
  memset(to, 0, (size_t)(h * w) * size);
  for (int64_t y = 0; y < h; y++) {
    int64_t sy = (c->vflip ? h - 1 - y : y) + c->dy;
    if (sy < 0 || sy >= h) continue;
    for (int64_t x = 0; x < w; x++) {
      int64_t sx = (c->hflip ? w - 1 - x : x) + c->dx;
      if (sx >= 0 && sx < w)
        memcpy(to + (size_t)(y * w + x) * size, from + (size_t)(sy * w + sx) * size, size);
    }
  }
}

/* ---- rotation: between pixels, linear; in a copy with a border of zeros ---- */

static double pixel(const dlc_tensor *t, const char *plane, int64_t i) {
  if (t->elem == DLC_U8) return ((const uint8_t *)plane)[i];
  return t->elem == DLC_F32 ? (double)((const float *)plane)[i] : ((const double *)plane)[i];
}

static void put(const dlc_tensor *t, char *plane, int64_t i, double v) {
  const double whole = 0x1.8p52; /* adding it leaves no place for a fraction */
  if (t->elem == DLC_U8)
    ((uint8_t *)plane)[i] = (uint8_t)(v + whole - whole);
  else if (t->elem == DLC_F32)
    ((float *)plane)[i] = (float)v;
  else
    ((double *)plane)[i] = v;
}

/* Element (y, x) goes to (y + 1, x + 1); the border stays zero. */
static void fill_bordered(const dlc_tensor *t, const char *plane, double *out) {
  int64_t h = t->dim[1], w = t->dim[2];
  for (int64_t y = 0; y < h; y++)
    for (int64_t x = 0; x < w; x++)
      out[(y + 1) * (w + BORDER) + x + 1] = pixel(t, plane, y * w + x);
}

/* What lies further out than the border is on it. */
static double within(double v, double size) { return v < -1 ? -1 : v > size ? size : v; }

static double sample_at(const double *bordered, int64_t h, int64_t w, double y, double x) {
  y = within(y, (double)h) + 1;
  x = within(x, (double)w) + 1;
  int64_t iy = (int64_t)y, ix = (int64_t)x; /* rounded down: neither is negative */
  double wy = y - (double)iy, wx = x - (double)ix;
  const double *p = bordered + iy * (w + BORDER) + ix, *q = p + w + BORDER;
  double top = (1 - wx) * p[0] + wx * p[1], bottom = (1 - wx) * q[0] + wx * q[1];
  return (1 - wy) * top + wy * bottom;
}

static void rotate_plane(const dlc_tensor *t, const Change *c, const double *bordered, char *to) {
  int64_t h = t->dim[1], w = t->dim[2];
  double my = (double)(h - 1) / 2, mx = (double)(w - 1) / 2;
  for (int64_t y = 0; y < h; y++) {
    double sy = (double)((c->vflip ? h - 1 - y : y) + c->dy) - my;
    for (int64_t x = 0; x < w; x++) {
      double sx = (double)((c->hflip ? w - 1 - x : x) + c->dx) - mx;
      put(t, to, y * w + x,
          sample_at(bordered, h, w, my + sy * c->cosine - sx * c->sine,
                    mx + sy * c->sine + sx * c->cosine));
    }
  }
}

static void change_image(const Augment *g, int input, const Change *c, char *image) {
  const dlc_tensor *t = &g->model->inputs[input];
  size_t plane = (size_t)(t->dim[1] * t->dim[2]) * elem_size(t);
  for (int64_t k = 0; k < t->dim[0]; k++, image += plane) {
    if (c->sine != 0) {
      fill_bordered(t, image, g->bordered[input]);
      rotate_plane(t, c, g->bordered[input], image);
    } else {
      memcpy(g->copy[input], image, plane);
      move_plane(t, c, g->copy[input], image);
    }
  }
}

void augment_batch(const Augment *g, Batch *b, int64_t step, int64_t n) {
  if (!g->active) return;
  for (int64_t k = 0; k < n; k++) {
    Change c = draw(g, step, k);
    for (int i = 0; i < g->model->input_count; i++) {
      const dlc_tensor *t = &g->model->inputs[i];
      if (is_image(t))
        change_image(g, i, &c, b->data[i] + (size_t)k * (size_t)t->elements * elem_size(t));
    }
  }
}
