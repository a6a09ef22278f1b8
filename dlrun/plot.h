/* Curves, as SVG and as text. */
#ifndef DLC_DLRUN_PLOT_H
#define DLC_DLRUN_PLOT_H

#include <stdbool.h>
#include <stdio.h>

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

/* Panels side by side, three a row. */
void plot_svg(FILE *f, const char *title, const PlotPanel *panel, int count);

/* Round numbers that cover [lo, hi]: at most PLOT_TICKS, 1, 2 or 5 times a power of ten apart. */
int plot_ticks(double lo, double hi, double out[PLOT_TICKS]);

/* A chart of `rows` lines and at most `columns` of y over its index, the value range at the left.
 */
void plot_text(FILE *f, const double *y, int count, int columns, int rows, bool unicode);

#endif
