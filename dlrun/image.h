/* Pictures in memory: drawing for plots and grids, and PNG files, over libpng. */
#ifndef DLC_DLRUN_IMAGE_H
#define DLC_DLRUN_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "dlrun/fault.h"

typedef struct {
  int width, height;
  uint8_t *rgb; /* rows from the top, three bytes a pixel */
} Image;

enum { IMAGE_FONT_WIDTH = 6, IMAGE_FONT_HEIGHT = 13, IMAGE_FONT_ASCENT = 11 };

/* Colours are 0xrrggbb. */
Image image_new(Arena *a, int width, int height, uint32_t colour);
/* What lies outside the picture is cut off. */
void image_fill(Image *m, int x, int y, int width, int height, uint32_t colour);
/* Smooth edges; coordinates are of pixel corners, as in SVG. */
void image_line(Image *m, double x0, double y0, double x1, double y1, double width,
                uint32_t colour);
void image_disc(Image *m, double x, double y, double radius, uint32_t colour);
/* ASCII in a fixed font; (x, y) is the left end of the base line. Bold draws each glyph
 * twice and is a pixel wider. */
void image_text(Image *m, int x, int y, const char *text, bool bold, uint32_t colour);

/* Written under a temporary name and renamed. */
bool image_write_png(Arena *a, const Image *m, const char *path, Fault *f);

/* Rows of glyph c (32 to 126), its leftmost pixel in the highest bit. */
const uint8_t *font_rows(int c);

#endif
