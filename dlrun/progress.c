#include "dlrun/progress.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "dlrun/tool.h"

enum { BAR = 24 };

Progress progress_new(const dlc_model *m, int64_t epochs, int64_t samples) {
  Progress p = {.model = m,
                .live = tool_is_terminal(),
                .unicode = tool_unicode(),
                .colour = tool_colour(),
                .epochs = epochs,
                .samples = samples,
                .width = 80};
  struct winsize size;
  if (p.live && !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col > 20) p.width = size.ws_col;
  return p;
}

void progress_epoch(Progress *p, int64_t done) {
  p->epoch_start = tool_seconds();
  p->last_draw = 0;
  p->begin = done;
}

static int digits(int64_t v) {
  int n = 1;
  while (v >= 10) v /= 10, n++;
  return n;
}

static void duration(char *out, size_t size, double seconds) {
  long s = seconds < 0 || !isfinite(seconds) ? 0 : seconds > 1e9 ? 1000000000 : lround(seconds);
  if (s >= 3600)
    snprintf(out, size, "%ldh%02ldm", s / 3600, s / 60 % 60);
  else if (s >= 60)
    snprintf(out, size, "%ldm%02lds", s / 60, s % 60);
  else
    snprintf(out, size, "%lds", s);
}

/* BAR columns, of which `part` is done. */
static void bar(const Progress *p, char *out, size_t size, double part) {
  int full = (int)(part * BAR);
  size_t at = 0;
  if (p->colour) at += (size_t)snprintf(out, size, "\x1b[32m");
  for (int i = 0; i < BAR; i++) {
    if (i == full && p->colour) at += (size_t)snprintf(out + at, size - at, "\x1b[90m");
    const char *c = p->unicode ? "━" : i < full ? "=" : "-";
    if (p->unicode && !p->colour && i >= full) c = "─";
    at += (size_t)snprintf(out + at, size - at, "%s", c);
  }
  if (p->colour) snprintf(out + at, size - at, "\x1b[0m");
}

static void put_metrics(const Progress *p, char *out, size_t size, double loss,
                        const double *metrics) {
  size_t at = (size_t)snprintf(out, size, "  loss %.4g", loss);
  for (int i = 0; i < p->model->metric_count && i < HISTORY_METRICS && at < size; i++)
    if (!isnan(metrics[i]))
      at += (size_t)snprintf(out + at, size - at, "  %s %.4f", p->model->metrics[i], metrics[i]);
}

static void draw(Progress *p, int64_t epoch, int64_t done, double loss, const double *metrics) {
  char b[256], elapsed[32], left[32], text[512], tail[512];
  double seconds = tool_seconds() - p->epoch_start,
         rate = (double)(done - p->begin) / (seconds > 0 ? seconds : 1e-9);
  duration(elapsed, sizeof elapsed, seconds);
  duration(left, sizeof left, (double)(p->samples - done) / (rate > 0 ? rate : 1e-9));
  bar(p, b, sizeof b, (double)done / (double)p->samples);
  put_metrics(p, tail, sizeof tail, loss, metrics);
  int head = snprintf(text, sizeof text, "epoch %*lld/%lld ", digits(p->epochs),
                      (long long)epoch + 1, (long long)p->epochs);
  char after[640];
  snprintf(after, sizeof after, " %lld/%lld %s<%s %.0f/s%s", (long long)done, (long long)p->samples,
           elapsed, left, rate, tail);
  int room = p->width - 1 - head - BAR; /* never onto a second line */
  printf("\r%s%s%.*s\x1b[K", text, b, room > 0 ? room : 0, after);
  fflush(stdout);
}

void progress_step(Progress *p, int64_t epoch, int64_t done, double loss, const double *metrics) {
  if (!p->live) return;
  double now = tool_seconds();
  if (now - p->last_draw < 0.1 && done < p->samples) return;
  p->last_draw = now;
  draw(p, epoch, done, loss, metrics);
}

void progress_clear(Progress *p) {
  if (p->live) printf("\r\x1b[K");
  fflush(stdout);
}

void progress_row(Progress *p, const History *h) {
  const HistoryRow *row = &h->rows.at[h->rows.count - 1];
  progress_clear(p);
  printf("epoch %*lld/%lld  loss %-9.5g", digits(p->epochs), (long long)row->epoch,
         (long long)p->epochs, row->loss);
  for (int i = 0; i < h->metrics; i++)
    if (!isnan(row->metric[i])) printf("  %s %.4f", h->model->metrics[i], row->metric[i]);
  if (h->valid) printf("  valid loss %-9.5g", row->valid_loss);
  for (int i = 0; h->valid && i < h->metrics; i++)
    printf("  valid %s %.4f", h->model->metrics[i], row->valid_metric[i]);
  printf("  lr %.3g  %.2f s%s\n", row->lr, row->seconds, row->best ? "  best" : "");
  fflush(stdout);
}
