#include "dlrun/plot.h"

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

static void svg_line(void *to, PlotInk ink, int points, const double *x, const double *y) {
  FILE *out = to;
  fprintf(out, "<polyline class=\"i%d\" points=\"", (int)ink);
  for (int i = 0; i < points; i++) fprintf(out, "%s%.1f,%.1f", i ? " " : "", x[i], y[i]);
  fprintf(out, "\"/>\n");
}

static void svg_dot(void *to, PlotInk ink, double x, double y) {
  fprintf(to, "<circle class=\"d%d\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.5\"/>\n", (int)ink, x, y);
}

static void svg_text(void *to, PlotText size, PlotAnchor anchor, double x, double y,
                     const char *text) {
  static const char *const anchors[] = {"start", "middle", "end"};
  fprintf(to, "<text class=\"t%d\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", (int)size, x, y,
          anchors[anchor]);
  escaped(to, text);
  fprintf(to, "</text>\n");
}

void plot_svg(FILE *out, const char *title, const PlotPanel *panel, int count) {
  const PlotPen pen = {out, svg_line, svg_dot, svg_text};
  int w, h;
  plot_size(count, &w, &h);
  fprintf(out,
          "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
          "height=\"%d\">\n",
          w, h, w, h);
  fprintf(out,
          "<style>text{font:12px system-ui,sans-serif;fill:#444}"
          ".t1{font-size:14px;font-weight:600;fill:#222}"
          ".t2{font-size:17px;font-weight:600;fill:#111}"
          "polyline{fill:none;stroke-linejoin:round}.i0{stroke:#e3e3e3}.i1{stroke:#888}"
          ".i2{stroke:#2166ac;stroke-width:2}.i3{stroke:#d6604d;stroke-width:2}"
          ".d2{fill:#2166ac}.d3{fill:#d6604d}</style>\n"
          "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n");
  plot_draw(&pen, title, panel, count);
  fprintf(out, "</svg>\n");
}
