/* A column an average of neighbouring points, its height in eighths of a line. */
#include <float.h>
#include <math.h>

#include "dlrun/plot.h"

enum { MOST_COLUMNS = 200 };

/* Averages into columns; NaN where nothing finite falls in one. */
static int gather(const double *y, int count, int columns, double *out) {
  int n = count < columns ? count : columns;
  for (int c = 0; c < n; c++) {
    double sum = 0;
    int used = 0;
    for (int i = (int)((long)c * count / n); i < (int)((long)(c + 1) * count / n); i++)
      if (isfinite(y[i])) sum += y[i], used++;
    out[c] = used ? sum / used : NAN;
  }
  return n;
}

static void put_column(FILE *f, double v, int row, bool unicode) {
  static const char *const blocks[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  static const char *const plain[] = {" ", ".", ".", ".", ":", ":", ":", "|", "|"};
  int eighths = isfinite(v) ? (int)lround(v * 8) - 8 * row : 0;
  eighths = eighths < 0 ? 0 : eighths > 8 ? 8 : eighths;
  fputs((unicode ? blocks : plain)[eighths], f);
}

void plot_text(FILE *f, const double *y, int count, int columns, int rows, bool unicode) {
  double column[MOST_COLUMNS], lo = DBL_MAX, hi = -DBL_MAX;
  int n = gather(y, count, columns < MOST_COLUMNS ? columns : MOST_COLUMNS, column);
  for (int c = 0; c < n; c++) {
    if (!isfinite(column[c])) continue;
    if (column[c] < lo) lo = column[c];
    if (column[c] > hi) hi = column[c];
  }
  if (lo > hi) return;
  double range = hi > lo ? hi - lo : 1;
  /* the lowest value still shows one eighth of a line */
  for (int c = 0; c < n; c++) column[c] = 0.125 + (column[c] - lo) / range * (rows - 0.125);
  for (int r = rows - 1; r >= 0; r--) {
    if (r == rows - 1)
      fprintf(f, "%10.4g ", hi);
    else if (r == 0)
      fprintf(f, "%10.4g ", lo);
    else
      fprintf(f, "%10s ", "");
    fputs(unicode ? "│" : "|", f);
    for (int c = 0; c < n; c++) put_column(f, column[c], r, unicode);
    fputc('\n', f);
  }
}
