#include "dlrun/evaluate.h"

#include <math.h>
#include <string.h>

typedef struct {
  Classes classes;
  double *score;  /* of each sample, each class */
  int32_t *label; /* of each sample */
  void **outputs; /* of one batch */
} Scores;

bool evaluate_is_auc(const dlc_model *m, int i) { return metric_is(m->metrics[i], "auc"); }

static bool has_auc(const dlc_model *m) {
  for (int i = 0; i < m->metric_count; i++)
    if (evaluate_is_auc(m, i)) return true;
  return false;
}

static Scores make_scores(Arena *a, const dlc_model *m, Classes c, int64_t n, int64_t batch) {
  Scores s = {.classes = c};
  s.score = ARENA_ARRAY(a, double, n *c.classes);
  s.label = ARENA_ARRAY(a, int32_t, n);
  s.outputs = ARENA_ARRAY(a, void *, m->output_count);
  s.outputs[c.output] = arena_alloc(a, (size_t)(batch * c.classes), (size_t)m->real_bytes);
  return s;
}

/* n samples from the `first` on, as the last run left them. */
static void keep_scores(const Scores *s, const dlc_model *m, const Batch *b, int64_t first,
                        int64_t n) {
  int64_t k = s->classes.classes;
  const void *from = s->outputs[s->classes.output];
  for (int64_t i = 0; i < n * k; i++)
    s->score[first * k + i] =
        m->real_bytes == 8 ? ((const double *)from)[i] : (double)((const float *)from)[i];
  memcpy(s->label + first, b->targets[s->classes.target], (size_t)n * sizeof *s->label);
}

static bool run_all(Tool *t, const Dataset *d, int64_t batch, const Scores *s, Arena *scratch,
                    Evaluation *out) {
  int count = t->model->metric_count;
  double one, *some = ARENA_ARRAY(scratch, double, count + 1);
  Batch b = dataset_batch(scratch, d, batch);
  for (int64_t at = 0; at < d->n; at += batch) {
    int64_t n = d->n - at < batch ? d->n - at : batch;
    double weight = (double)n / (double)d->n;
    dataset_gather(d, NULL, at, n, &b);
    if (!tool_ok(t, t->api->evaluate(t->session, n, b.inputs, b.targets, s->outputs, &one, some)))
      return false;
    if (s->score) keep_scores(s, t->model, &b, at, n);
    out->loss += one * weight;
    for (int i = 0; i < count; i++) out->metrics[i] += some[i] * weight;
  }
  return true;
}

static void classify_all(Arena *scratch, const dlc_model *m, const Scores *s, int64_t n,
                         Evaluation *out) {
  int64_t k = s->classes.classes;
  classes_normalize(s->classes.kind, s->score, n, k);
  out->classified = true;
  out->auc = classes_auc(scratch, s->score, s->label, n, k);
  out->accuracy = classes_accuracy(s->score, s->label, n, k);
  for (int i = 0; i < m->metric_count; i++)
    if (evaluate_is_auc(m, i)) out->metrics[i] = out->auc;
}

bool evaluate(Tool *t, const Dataset *d, int64_t batch, bool classify, Evaluation *out) {
  const dlc_model *m = t->model;
  Classes c;
  Scores s = {.score = NULL};
  *out = (Evaluation){.metrics = ARENA_ARRAY(t->arena, double, m->metric_count + 1)};
  Arena *scratch = arena_new();
  bool labelled = classes_find(m, tool_heads(t), &c);
  if ((classify || has_auc(m)) && labelled) s = make_scores(scratch, m, c, d->n, batch);
  bool fine = run_all(t, d, batch, &s, scratch, out);
  if (fine && s.score) classify_all(scratch, m, &s, d->n, out);
  for (int i = 0; fine && !s.score && i < m->metric_count; i++)
    if (evaluate_is_auc(m, i)) out->metrics[i] = NAN;
  arena_free(scratch);
  return fine;
}
