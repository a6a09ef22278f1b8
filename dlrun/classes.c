#include "dlrun/classes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dlrun/data/bytes.h"

/* How well an output fits: 0 not at all. */
static int fit(const dlc_tensor *t, const Head *h, const Classes *c) {
  if (t->shared || t->rank == 0 || t->elements != c->classes) return 0;
  if (h->target != c->target || h->kind == HEAD_PLAIN) return 1;
  return h->kind == HEAD_LOGITS ? 2 : 3;
}

bool classes_find(const dlc_model *m, const Head *heads, Classes *out) {
  *out = (Classes){.output = -1, .target = -1};
  for (int32_t i = 0; i < m->target_count && out->target < 0; i++)
    if (m->targets[i].classes > 1 && m->targets[i].elements == 1) {
      out->target = i;
      out->classes = m->targets[i].classes;
    }
  int best = 0;
  for (int32_t i = 0; i < m->output_count && out->target >= 0; i++) {
    int here = fit(&m->outputs[i], &heads[i], out);
    if (here <= best) continue;
    best = here;
    out->output = i;
    out->kind = here > 1 ? heads[i].kind : HEAD_GUESS;
  }
  return out->output >= 0;
}

static void softmax(double *x, int64_t k) {
  double most = -INFINITY, sum = 0;
  for (int64_t i = 0; i < k; i++) most = fmax(most, x[i]);
  for (int64_t i = 0; i < k; i++) sum += x[i] = exp(x[i] - most);
  for (int64_t i = 0; i < k; i++) x[i] /= sum;
}

void classes_normalize(HeadKind kind, double *score, int64_t n, int64_t k) {
  bool logits = kind == HEAD_LOGITS;
  for (int64_t i = 0; kind == HEAD_GUESS && i < n * k && !logits; i++)
    logits = score[i] < 0 || score[i] > 1;
  for (int64_t i = 0; logits && i < n; i++) softmax(score + i * k, k);
}

typedef struct {
  double score;
  bool positive;
} Ranked;

static int by_score(const void *a, const void *b) {
  double x = ((const Ranked *)a)->score, y = ((const Ranked *)b)->score;
  return x < y ? -1 : x > y;
}

/* The share of (positive, negative) pairs in order. Sorted by score, a positive is above all
 * negatives before its run of equal scores, and level with those in it. */
static double auc_sorted(const Ranked *r, int64_t n) {
  double below = 0, positives = 0, ordered = 0;
  for (int64_t i = 0, end; i < n; i = end) {
    double run[2] = {0, 0};
    for (end = i; end < n && !(r[end].score > r[i].score); end++) run[r[end].positive]++;
    ordered += run[1] * (below + run[0] / 2);
    below += run[0];
    positives += run[1];
  }
  return ordered / (positives * below); /* NaN where a side is empty */
}

double classes_auc(Arena *a, const double *score, const int32_t *label, int64_t n, int64_t k) {
  Ranked *r = ARENA_ARRAY(a, Ranked, n + 1);
  double sum = 0;
  int64_t counted = 0;
  for (int64_t c = 0; c < k; c++) {
    for (int64_t i = 0; i < n; i++) {
      r[i] = (Ranked){score[i * k + c], label[i] == c};
      if (isnan(r[i].score)) return NAN;
    }
    qsort(r, (size_t)n, sizeof *r, by_score);
    double one = auc_sorted(r, n);
    if (!isnan(one)) sum += one, counted++;
  }
  return counted ? sum / (double)counted : NAN;
}

double classes_accuracy(const double *score, const int32_t *label, int64_t n, int64_t k) {
  int64_t right = 0;
  for (int64_t i = 0; i < n; i++) {
    int64_t best = 0;
    for (int64_t c = 1; c < k; c++)
      if (score[i * k + c] > score[i * k + best]) best = c;
    right += best == label[i];
  }
  return n ? (double)right / (double)n : NAN;
}

/* ---- names ---- */

bool metric_is(const char *name, const char *kind) {
  size_t n = strlen(kind);
  return strncmp(name, kind, n) == 0 && name[n + strspn(name + n, "0123456789")] == 0;
}

/* Cuts at any of `ends`; with `lines`, a carriage return at the end of a name goes, and so do empty
 * lines. */
static int64_t cut(Arena *a, Bytes text, const char *ends, bool lines, const char **out,
                   int64_t k) {
  int64_t n = 0;
  for (size_t at = 0; at < text.left || (!lines && at == text.left); at++) {
    size_t begin = at;
    while (at < text.left && !strchr(ends, text.at[at])) at++;
    size_t length = at - begin;
    if (lines && length && text.at[at - 1] == '\r') length--;
    if (lines && !length) continue;
    if (n < k) out[n] = arena_strndup(a, (const char *)text.at + begin, length);
    n++;
  }
  return n;
}

const char **classes_names(Arena *a, const char *text, int64_t k, Fault *f) {
  const char **name = ARENA_ARRAY(a, const char *, k + 1);
  Bytes b = {(const uint8_t *)text, strlen(text)};
  void *owner = NULL;
  bool file = !strchr(text, ',') && access(text, F_OK) == 0;
  if (file && !bytes_load(text, &b, &owner, f)) return NULL;
  int64_t n = cut(a, b, file ? "\n" : ",", file, name, k);
  free(owner);
  if (n == k) return name;
  if (!file && n == 1) return fault(f, "%s: there is no such file of class names", text), NULL;
  return fault(f, "%s: %lld class names for %lld classes", text, (long long)n, (long long)k), NULL;
}
