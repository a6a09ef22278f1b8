#include <math.h>
#include <string.h>

#include "dlrun/plot.h"

static const uint32_t colour[] = {
    [INK_GRID] = 0xe3e3e3, [INK_AXIS] = 0x888888, [INK_CURVE] = 0x2166ac, [INK_CURVE_2] = 0xd6604d};

/* Thin lines are straight ones along the axes: centred on pixels, they stay sharp. */
static void draw_line(void *to, PlotInk ink, int points, const double *x, const double *y) {
  bool thin = ink < INK_CURVE;
  for (int i = 1; i < points; i++) {
    double at[] = {x[i - 1], y[i - 1], x[i], y[i]};
    for (int k = 0; thin && k < 4; k++) at[k] = floor(at[k]) + 0.5;
    image_line(to, at[0], at[1], at[2], at[3], thin ? 1 : 2, colour[ink]);
  }
}

static void draw_dot(void *to, PlotInk ink, double x, double y) {
  image_disc(to, x, y, 2.5, colour[ink]);
}

static void draw_text(void *to, PlotText size, PlotAnchor anchor, double x, double y,
                      const char *text) {
  bool bold = size != TEXT_TICK;
  int width = (int)strlen(text) * (IMAGE_FONT_WIDTH + bold);
  int left = (int)lrint(x) - (anchor == ANCHOR_START ? 0
                              : anchor == ANCHOR_END ? width
                                                     : width / 2);
  image_text(to, left, (int)lrint(y), text, bold, bold ? 0x111111 : 0x444444);
}

Image plot_image(Arena *a, const char *title, const PlotPanel *panel, int count) {
  int w, h;
  plot_size(count, &w, &h);
  Image m = image_new(a, w, h, 0xffffff);
  const PlotPen pen = {&m, draw_line, draw_dot, draw_text};
  plot_draw(&pen, title, panel, count);
  return m;
}
