/* Where everything in a plot goes; the pens turn that into SVG or pixels. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "dlrun/plot.h"

enum {
  PANEL_W = 420,
  PANEL_H = 280,
  LEFT = 62,
  RIGHT = 18,
  TOP = 34,
  BOTTOM = 46,
  HEAD = 40,
  ACROSS = 3,
  LEGEND = 22, /* of the key, before its name */
  LETTER = 7,
  DOTTED = 30 /* up to so many points, each has its dot */
};

typedef struct {
  double x0, x1, y0, y1;           /* values */
  double left, top, width, height; /* pixels */
} Frame;

int plot_ticks(double lo, double hi, double out[PLOT_TICKS]) {
  if (!(hi > lo)) hi = lo + (lo != 0 ? fabs(lo) : 1);
  double raw = (hi - lo) / 5, power = pow(10, floor(log10(raw))), part = raw / power;
  double step = power * (part <= 1 ? 1 : part <= 2 ? 2 : part <= 5 ? 5 : 10);
  int n = 0;
  for (double i = floor(lo / step); n < PLOT_TICKS; i++) {
    out[n++] = i * step;
    if (out[n - 1] >= hi) break;
  }
  return n;
}

static void grow(double *lo, double *hi, double v) {
  if (!isfinite(v)) return;
  if (v < *lo) *lo = v;
  if (v > *hi) *hi = v;
}

static Frame make_frame(const PlotPanel *p, double left, double top) {
  Frame f = {DBL_MAX,
             -DBL_MAX,
             DBL_MAX,
             -DBL_MAX,
             left + LEFT,
             top + TOP,
             PANEL_W - LEFT - RIGHT,
             PANEL_H - TOP - BOTTOM};
  for (int s = 0; s < p->series; s++)
    for (int i = 0; i < p->curve[s].count; i++) {
      grow(&f.x0, &f.x1, p->curve[s].x[i]);
      grow(&f.y0, &f.y1, p->curve[s].y[i]);
    }
  if (f.x0 > f.x1) f.x0 = 0, f.x1 = 1;
  if (f.y0 > f.y1) f.y0 = 0, f.y1 = 1;
  if (f.x0 == f.x1) f.x1 = f.x0 + 1;
  double tick[PLOT_TICKS];
  int n = plot_ticks(f.y0, f.y1, tick);
  f.y0 = tick[0];
  f.y1 = tick[n - 1];
  return f;
}

static double at_x(const Frame *f, double v) {
  return f->left + (v - f->x0) / (f->x1 - f->x0) * f->width;
}

static double at_y(const Frame *f, double v) {
  return f->top + f->height - (v - f->y0) / (f->y1 - f->y0) * f->height;
}

static void straight(const PlotPen *pen, PlotInk ink, double x0, double y0, double x1, double y1) {
  pen->line(pen->to, ink, 2, (double[]){x0, x1}, (double[]){y0, y1});
}

static void label(const PlotPen *pen, PlotAnchor anchor, double x, double y, double v) {
  char text[32];
  snprintf(text, sizeof text, "%.4g", v);
  pen->text(pen->to, TEXT_TICK, anchor, x, y, text);
}

static void draw_y_axis(const PlotPen *pen, const Frame *f) {
  double tick[PLOT_TICKS];
  int n = plot_ticks(f->y0, f->y1, tick);
  for (int i = 0; i < n; i++) {
    if (tick[i] > f->y1 * (1 + 1e-12) && tick[i] > f->y1) continue;
    double y = at_y(f, tick[i]);
    if (i) straight(pen, INK_GRID, f->left, y, f->left + f->width, y);
    label(pen, ANCHOR_END, f->left - 8, y + 4,
          fabs(tick[i]) < 1e-12 * fabs(f->y1 - f->y0) ? 0.0 : tick[i]);
  }
  straight(pen, INK_AXIS, f->left, f->top, f->left, f->top + f->height);
}

/* Epochs are whole. */
static void draw_x_axis(const PlotPen *pen, const Frame *f) {
  double tick[PLOT_TICKS], base = f->top + f->height;
  int n = plot_ticks(f->x0, f->x1, tick);
  straight(pen, INK_AXIS, f->left, base, f->left + f->width, base);
  for (int i = 0; i < n; i++) {
    if (tick[i] < f->x0 || tick[i] > f->x1 || tick[i] != floor(tick[i])) continue;
    straight(pen, INK_AXIS, at_x(f, tick[i]), base, at_x(f, tick[i]), base + 4);
    label(pen, ANCHOR_MIDDLE, at_x(f, tick[i]), base + 18, tick[i]);
  }
  pen->text(pen->to, TEXT_TICK, ANCHOR_MIDDLE, f->left + f->width / 2, base + 36, "epoch");
}

enum { STRETCH = 64 }; /* points of one line: longer ones are drawn in parts */

static void draw_curve(const PlotPen *pen, const PlotCurve *c, const Frame *f, PlotInk ink) {
  double x[STRETCH], y[STRETCH], last_x = NAN, last_y = NAN;
  int n = 0;
  for (int i = 0; i < c->count; i++) {
    if (!isfinite(c->y[i]) || !isfinite(c->x[i])) continue;
    x[n] = last_x = at_x(f, c->x[i]);
    y[n++] = last_y = at_y(f, c->y[i]);
    if (c->count <= DOTTED) pen->dot(pen->to, ink, last_x, last_y);
    if (n < STRETCH) continue;
    pen->line(pen->to, ink, n, x, y);
    x[0] = last_x;
    y[0] = last_y;
    n = 1;
  }
  if (n > 1) pen->line(pen->to, ink, n, x, y);
  if (isfinite(last_x) && c->count > DOTTED) pen->dot(pen->to, ink, last_x, last_y);
}

static double last_value(const PlotCurve *c) {
  for (int i = c->count - 1; i >= 0; i--)
    if (isfinite(c->y[i])) return c->y[i];
  return NAN;
}

/* From the right: the curves' names with their last values. */
static void draw_legend(const PlotPen *pen, const PlotPanel *p, const Frame *f) {
  double right = f->left + f->width, y = f->top - 16;
  for (int s = p->series - 1; s >= 0; s--) {
    char text[64];
    if (isnan(last_value(&p->curve[s]))) continue; /* nothing of it is shown */
    snprintf(text, sizeof text, "%.40s %.4g", p->curve[s].name, last_value(&p->curve[s]));
    double start = right - (double)strlen(text) * LETTER;
    pen->text(pen->to, TEXT_TICK, ANCHOR_START, start, y + 4, text);
    straight(pen, INK_CURVE + (PlotInk)s, start - LEGEND, y, start - LEGEND + 16, y);
    right = start - LEGEND - 10;
  }
}

void plot_size(int panels, int *width, int *height) {
  *width = (panels < ACROSS ? panels : ACROSS) * PANEL_W;
  *height = HEAD + (panels + ACROSS - 1) / ACROSS * PANEL_H;
}

void plot_draw(const PlotPen *pen, const char *title, const PlotPanel *panel, int count) {
  pen->text(pen->to, TEXT_HEAD, ANCHOR_START, LEFT, 26, title);
  for (int i = 0; i < count; i++) {
    Frame f = make_frame(&panel[i], i % ACROSS * PANEL_W, HEAD + i / ACROSS * PANEL_H);
    draw_y_axis(pen, &f);
    draw_x_axis(pen, &f);
    pen->text(pen->to, TEXT_TITLE, ANCHOR_START, f.left, f.top - 12, panel[i].title);
    for (int s = 0; s < panel[i].series; s++)
      draw_curve(pen, &panel[i].curve[s], &f, INK_CURVE + (PlotInk)s);
    draw_legend(pen, &panel[i], &f);
  }
}
