#include "dlrun/history.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dlrun/data/csv.h"
#include "dlrun/interrupt.h"
#include "dlrun/plot.h"

static void write_csv(const History *h, FILE *f) {
  fprintf(f, "epoch,step,lr,seconds,loss");
  for (int i = 0; i < h->metrics; i++) fprintf(f, ",%s", h->model->metrics[i]);
  if (h->valid) fprintf(f, ",valid_loss");
  for (int i = 0; h->valid && i < h->metrics; i++) fprintf(f, ",valid_%s", h->model->metrics[i]);
  fprintf(f, "\n");
  for (int r = 0; r < h->rows.count; r++) {
    const HistoryRow *row = &h->rows.at[r];
    fprintf(f, "%lld,%lld,%.9g,%.3f,%.9g", (long long)row->epoch, (long long)row->step, row->lr,
            row->seconds, row->loss);
    for (int i = 0; i < h->metrics; i++) fprintf(f, ",%.9g", row->metric[i]);
    if (h->valid) fprintf(f, ",%.9g", row->valid_loss);
    for (int i = 0; h->valid && i < h->metrics; i++) fprintf(f, ",%.9g", row->valid_metric[i]);
    fprintf(f, "\n");
  }
}

static double row_value(const HistoryRow *row, int which, bool valid) {
  if (which < 0) return valid ? row->valid_loss : row->loss;
  return valid ? row->valid_metric[which] : row->metric[which];
}

/* Panel `which`: -1 the loss, else a metric; one curve for training, one for validation. */
static PlotPanel make_panel(const History *h, int which) {
  PlotPanel p = {.title = which < 0 ? "loss" : h->model->metrics[which],
                 .series = h->valid ? 2 : 1};
  for (int s = 0; s < p.series; s++) {
    double *x = ARENA_ARRAY(h->arena, double, h->rows.count),
           *y = ARENA_ARRAY(h->arena, double, h->rows.count);
    for (int r = 0; r < h->rows.count; r++) {
      x[r] = (double)h->rows.at[r].epoch;
      y[r] = row_value(&h->rows.at[r], which, s == 1);
    }
    p.curve[s] = (PlotCurve){s ? "validation" : "training", h->rows.count, x, y};
  }
  return p;
}

static int make_panels(const History *h, PlotPanel *panel) {
  for (int i = 0; i <= h->metrics; i++) panel[i] = make_panel(h, i - 1);
  return h->metrics + 1;
}

static void write_svg(const History *h, FILE *f) {
  PlotPanel panel[1 + HISTORY_METRICS];
  int count = make_panels(h, panel);
  plot_svg(f, h->model->name, panel, count);
}

static bool write_png(const History *h, const char *dir, Fault *f) {
  PlotPanel panel[1 + HISTORY_METRICS];
  int count = make_panels(h, panel);
  Arena *a = arena_new();
  Image m = plot_image(a, h->model->name, panel, count);
  bool fine = image_write_png(a, &m, arena_printf(a, "%s/curves.png", dir), f);
  arena_free(a);
  return fine;
}

typedef void Writer(const History *, FILE *);

static bool write_whole(const History *h, const char *dir, const char *name, Writer *write,
                        Fault *f) {
  char path[4096], temporary[4200];
  if (snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path)
    return fault(f, "%s: too long", dir);
  snprintf(temporary, sizeof temporary, "%s.tmp", path);
  FILE *file = fopen(temporary, "w");
  if (!file) return fault(f, "%s: %s", path, strerror(errno));
  write(h, file);
  bool bad = ferror(file);
  bad = fclose(file) || bad;
  if (!bad && !rename(temporary, path)) return true;
  int why = errno;
  unlink(temporary);
  return fault(f, "%s: %s", path, strerror(why));
}

static bool write_file(const History *h, const char *dir, const char *name, Writer *write,
                       Fault *f) {
  interrupt_hold();
  bool fine = write_whole(h, dir, name, write, f);
  interrupt_release();
  return fine;
}

bool history_write(const History *h, const char *dir, Fault *f) {
  return write_file(h, dir, "log.csv", write_csv, f);
}

bool history_draw(const History *h, const char *dir, Fault *f) {
  return write_file(h, dir, "curves.svg", write_svg, f) && write_png(h, dir, f);
}

/* ---- reading ---- */

static void set_cell(History *h, HistoryRow *row, int64_t column, double v) {
  double *const first[] = {&row->lr, &row->seconds, &row->loss};
  int64_t k = column - 5;
  if (column == 0)
    row->epoch = (int64_t)v;
  else if (column == 1)
    row->step = (int64_t)v;
  else if (column < 5)
    *first[column - 2] = v;
  else if (k < h->metrics)
    row->metric[k] = v;
  else if (k == h->metrics)
    row->valid_loss = v;
  else
    row->valid_metric[k - h->metrics - 1] = v;
}

static bool read_rows(History *h, const char *path, const CsvShape *shape, int64_t epoch,
                      Fault *f) {
  Csv *c = ARENA_NEW(h->arena, Csv);
  csv_open(c, path, shape->body);
  for (int64_t r = 0; r < shape->rows; r++) {
    HistoryRow row = {.valid_loss = NAN};
    for (int i = 0; i < HISTORY_METRICS; i++) row.valid_metric[i] = NAN;
    for (int64_t k = 0; k < shape->columns; k++) {
      CsvStep step = csv_next(c, f);
      if (step == CSV_BAD || step == CSV_END) return false;
      set_cell(h, &row, k, strtod(c->cell, NULL)); /* nan is written, so it is read */
    }
    if (row.epoch <= epoch) vec_push(h->arena, &h->rows, row);
  }
  return true;
}

bool history_read(History *h, const char *dir, int64_t epoch, Fault *f) {
  char *path = arena_printf(h->arena, "%s/log.csv", dir);
  CsvShape shape;
  Bytes text;
  void *owner;
  if (access(path, F_OK)) return true;
  if (!bytes_load(path, &text, &owner, f)) return false;
  bool fine = csv_shape(h->arena, path, text, &shape, f);
  int64_t plain = 5 + h->metrics, full = plain + 1 + h->metrics;
  if (fine && shape.columns != plain && shape.columns != full)
    fine = fault(f, "%s: not the log of this network; choose another --log", path);
  fine = fine && read_rows(h, path, &shape, epoch, f);
  free(owner);
  return fine;
}
