#include "dlrun/image.h"

#include <errno.h>
#include <math.h>
#include <png.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dlrun/interrupt.h"

Image image_new(Arena *a, int width, int height, uint32_t colour) {
  Image m = {width, height, arena_alloc(a, (size_t)width * (size_t)height, 3)};
  image_fill(&m, 0, 0, width, height, colour);
  return m;
}

/* `part` of the colour over what is there. */
static void blend(Image *m, int x, int y, double part, uint32_t colour) {
  if (x < 0 || y < 0 || x >= m->width || y >= m->height || !(part > 0)) return;
  uint8_t *p = m->rgb + ((size_t)y * (size_t)m->width + (size_t)x) * 3;
  for (int k = 0; k < 3; k++) {
    double v = (double)(colour >> (16 - 8 * k) & 0xff);
    p[k] = (uint8_t)lrint(p[k] + (v - p[k]) * (part < 1 ? part : 1));
  }
}

void image_fill(Image *m, int x, int y, int width, int height, uint32_t colour) {
  for (int row = y; row < y + height; row++)
    for (int column = x; column < x + width; column++) blend(m, column, row, 1, colour);
}

static double segment_distance(double x, double y, double x0, double y0, double x1, double y1) {
  double dx = x1 - x0, dy = y1 - y0, length = dx * dx + dy * dy;
  double t = length > 0 ? ((x - x0) * dx + (y - y0) * dy) / length : 0;
  t = t < 0 ? 0 : t > 1 ? 1 : t;
  return hypot(x - x0 - t * dx, y - y0 - t * dy);
}

/* A pixel is covered by how far its centre lies within the edge, from half a pixel out to half in.
 */
void image_line(Image *m, double x0, double y0, double x1, double y1, double width,
                uint32_t colour) {
  double reach = width / 2 + 1;
  int left = (int)floor(fmin(x0, x1) - reach), right = (int)ceil(fmax(x0, x1) + reach);
  int top = (int)floor(fmin(y0, y1) - reach), bottom = (int)ceil(fmax(y0, y1) + reach);
  for (int y = top < 0 ? 0 : top; y <= bottom && y < m->height; y++)
    for (int x = left < 0 ? 0 : left; x <= right && x < m->width; x++) {
      double d = segment_distance(x + 0.5, y + 0.5, x0, y0, x1, y1);
      blend(m, x, y, width / 2 + 0.5 - d, colour);
    }
}

void image_disc(Image *m, double x, double y, double radius, uint32_t colour) {
  image_line(m, x, y, x, y, 2 * radius, colour);
}

static void draw_glyph(Image *m, int x, int y, const uint8_t *rows, uint32_t colour) {
  for (int row = 0; row < IMAGE_FONT_HEIGHT; row++)
    for (int column = 0; column < 8; column++)
      if (rows[row] & 0x80 >> column) blend(m, x + column, y - IMAGE_FONT_ASCENT + row, 1, colour);
}

void image_text(Image *m, int x, int y, const char *text, bool bold, uint32_t colour) {
  for (; *text; text++, x += IMAGE_FONT_WIDTH + bold) {
    const uint8_t *rows = font_rows((unsigned char)*text);
    draw_glyph(m, x, y, rows, colour);
    if (bold) draw_glyph(m, x + 1, y, rows, colour);
  }
}

static bool write_png(Arena *a, const Image *m, const char *path, Fault *f) {
  png_image png = {.version = PNG_IMAGE_VERSION,
                   .width = (png_uint_32)m->width,
                   .height = (png_uint_32)m->height,
                   .format = PNG_FORMAT_RGB};
  char *temporary = arena_printf(a, "%s.tmp%ld", path, (long)getpid());
  if (!png_image_write_to_file(&png, temporary, 0, m->rgb, 0, NULL)) {
    unlink(temporary);
    return fault(f, "%s: %s", path, png.message);
  }
  if (!rename(temporary, path)) return true;
  int why = errno;
  unlink(temporary);
  return fault(f, "%s: %s", path, strerror(why));
}

bool image_write_png(Arena *a, const Image *m, const char *path, Fault *f) {
  interrupt_hold();
  bool fine = write_png(a, m, path, f);
  interrupt_release();
  return fine;
}
