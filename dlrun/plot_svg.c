#include <float.h>
#include <math.h>
#include <string.h>

#include "dlrun/plot.h"

enum {
  PANEL_W = 420,
  PANEL_H = 280,
  LEFT = 62,
  RIGHT = 16,
  TOP = 34,
  BOTTOM = 44,
  HEAD = 40,
  ACROSS = 3
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

static void escaped(FILE *out, const char *s) {
  for (; *s; s++) {
    if (*s == '<')
      fprintf(out, "&lt;");
    else if (*s == '&')
      fprintf(out, "&amp;");
    else
      fputc(*s, out);
  }
}

static void draw_axes(FILE *out, const PlotPanel *p, const Frame *f) {
  double tick[PLOT_TICKS];
  int n = plot_ticks(f->y0, f->y1, tick);
  for (int i = 0; i < n; i++) {
    if (tick[i] > f->y1 * (1 + 1e-12) && tick[i] > f->y1) continue;
    double y = at_y(f, tick[i]);
    fprintf(out, "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>\n",
            f->left, f->left + f->width, y, y);
    fprintf(out, "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%.4g</text>\n",
            f->left - 8, y + 4, fabs(tick[i]) < 1e-12 * fabs(f->y1 - f->y0) ? 0.0 : tick[i]);
  }
  n = plot_ticks(f->x0, f->x1, tick);
  for (int i = 0; i < n; i++) {
    if (tick[i] < f->x0 || tick[i] > f->x1 || tick[i] != floor(tick[i])) continue;
    fprintf(out, "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%.6g</text>\n",
            at_x(f, tick[i]), f->top + f->height + 18, tick[i]);
  }
  fprintf(out, "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">epoch</text>\n",
          f->left + f->width / 2, f->top + f->height + 36);
  fprintf(out, "<text class=\"title\" x=\"%.1f\" y=\"%.1f\">", f->left, f->top - 12);
  escaped(out, p->title);
  fprintf(out, "</text>\n");
}

static void draw_curve(FILE *out, const PlotCurve *c, const Frame *f, int s) {
  fprintf(out, "<polyline class=\"c%d\" points=\"", s);
  for (int i = 0; i < c->count; i++)
    if (isfinite(c->y[i])) fprintf(out, "%.1f,%.1f ", at_x(f, c->x[i]), at_y(f, c->y[i]));
  fprintf(out, "\"/>\n");
  for (int i = c->count - 1; i >= 0; i--)
    if (isfinite(c->y[i])) {
      fprintf(out, "<circle class=\"d%d\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"/>\n", s, at_x(f, c->x[i]),
              at_y(f, c->y[i]));
      break;
    }
}

static void draw_panel(FILE *out, const PlotPanel *p, double left, double top) {
  Frame f = make_frame(p, left, top);
  draw_axes(out, p, &f);
  for (int s = 0; s < p->series; s++) draw_curve(out, &p->curve[s], &f, s);
  for (int s = 0; p->series > 1 && s < p->series; s++) {
    double x = f.left + f.width - 172 + 84 * s, y = f.top - 16;
    fprintf(out, "<line class=\"c%d\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>\n", s, x,
            x + 16, y, y);
    fprintf(out, "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\">%s</text>\n", x + 20, y + 4,
            p->curve[s].name);
  }
}

void plot_svg(FILE *out, const char *title, const PlotPanel *panel, int count) {
  int across = count < ACROSS ? count : ACROSS, down = (count + ACROSS - 1) / ACROSS;
  int w = across * PANEL_W, h = HEAD + down * PANEL_H;
  fprintf(out,
          "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
          "height=\"%d\">\n",
          w, h, w, h);
  fprintf(out,
          "<style>text{font:12px "
          "system-ui,sans-serif;fill:#444}.head{font-size:17px;font-weight:600;fill:#111}"
          ".title{font-size:14px;font-weight:600;fill:#222}.grid{stroke:#e3e3e3}polyline{fill:none}"
          ".c0{stroke:#2166ac;stroke-width:2}.c1{stroke:#d6604d;stroke-width:2}.d0{fill:#2166ac}"
          ".d1{fill:#d6604d}</style>\n<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n");
  fprintf(out, "<text class=\"head\" x=\"%d\" y=\"26\">", LEFT);
  escaped(out, title);
  fprintf(out, "</text>\n");
  for (int i = 0; i < count; i++)
    draw_panel(out, &panel[i], (double)(i % ACROSS * PANEL_W),
               (double)(HEAD + i / ACROSS * PANEL_H));
  fprintf(out, "</svg>\n");
}
