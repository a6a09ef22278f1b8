/* Curves: as SVG, as a picture and as text. */
#ifndef DLC_DLRUN_PLOT_H
#define DLC_DLRUN_PLOT_H

#include <stdbool.h>
#include <stdio.h>

#include "dlrun/image.h"

enum { PLOT_CURVES = 2, PLOT_TICKS = 12 };

typedef struct {
  const char *name;
  int count;
  const double *x, *y; /* points that are not finite are left out */
} PlotCurve;

typedef struct {
  const char *title;
  int series;
  PlotCurve curve[PLOT_CURVES];
} PlotPanel;

/* Panels side by side, three a row, over epochs. */
void plot_svg(FILE *f, const char *title, const PlotPanel *panel, int count);
Image plot_image(Arena *a, const char *title, const PlotPanel *panel, int count);

/* Round numbers that cover [lo, hi]: at most PLOT_TICKS, 1, 2 or 5 times a power of ten apart. */
int plot_ticks(double lo, double hi, double out[PLOT_TICKS]);

/* A chart of `rows` lines and at most `columns` of y over its index, the value range at the left.
 */
void plot_text(FILE *f, const double *y, int count, int columns, int rows, bool unicode);

/* ---- inside: what a picture is drawn with ---- */

typedef enum { INK_GRID, INK_AXIS, INK_CURVE, INK_CURVE_2 } PlotInk;
typedef enum { TEXT_TICK, TEXT_TITLE, TEXT_HEAD } PlotText;
typedef enum { ANCHOR_START, ANCHOR_MIDDLE, ANCHOR_END } PlotAnchor;

typedef struct {
  void *to;
  void (*line)(void *to, PlotInk ink, int points, const double *x, const double *y);
  void (*dot)(void *to, PlotInk ink, double x, double y);
  void (*text)(void *to, PlotText size, PlotAnchor anchor, double x, double y, const char *text);
} PlotPen;

void plot_size(int panels, int *width, int *height);
void plot_draw(const PlotPen *pen, const char *title, const PlotPanel *panel, int count);

#endif
