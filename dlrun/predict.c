/* dlrun predict: the network's outputs for every sample, into a file or printed: of an output that
 * scores classes the likeliest ones, of another its numbers. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "dlrun/classes.h"
#include "dlrun/commands.h"
#include "dlrun/out.h"
#include "dlrun/table.h"

enum { TOP = 5, VALUES = 8 }; /* printed of one sample: classes; numbers */

typedef struct {
  const char *weights, *inputs, *out, *classes;
  int64_t batch, threads;
} PredictOptions;

typedef struct {
  char **data;   /* of each output: all samples */
  size_t *bytes; /* of one sample; of the whole, for a shared output */
} Results;

static Results make_results(Tool *t, int64_t n) {
  const dlc_model *m = t->model;
  Results r = {ARENA_ARRAY(t->arena, char *, m->output_count + 1),
               ARENA_ARRAY(t->arena, size_t, m->output_count + 1)};
  for (int i = 0; i < m->output_count; i++) {
    r.bytes[i] = (size_t)m->outputs[i].elements * (size_t)m->real_bytes;
    r.data[i] = arena_alloc(t->arena, m->outputs[i].shared ? 1 : (size_t)n, r.bytes[i]);
  }
  return r;
}

/* What the samples share may still come from them: the gradient by a parameter is a sum over the
 * batch. `again` is what a later batch has in its place. */
static bool check_shared(Tool *t, int64_t samples, const Results *r, void *const *again) {
  const dlc_model *m = t->model;
  for (int i = 0; i < m->output_count; i++) {
    if (!m->outputs[i].shared || memcmp(r->data[i], again[i], r->bytes[i]) == 0) continue;
    return fault(&t->fault,
                 "output %s depends on the batch, and %lld samples are several batches; "
                 "%s--batch %lld takes all at once",
                 m->outputs[i].name, (long long)samples,
                 samples <= m->max_batch ? "" : "a network compiled by dlc ", (long long)samples);
  }
  return true;
}

static bool infer_all(Tool *t, const Dataset *d, int64_t batch, const Results *r) {
  const dlc_model *m = t->model;
  Batch b = dataset_batch(t->arena, d, batch);
  Results later = make_results(t, 1); /* of the shared outputs */
  void **to = ARENA_ARRAY(t->arena, void *, m->output_count + 1);
  for (int64_t at = 0; at < d->n; at += batch) {
    int64_t n = d->n - at < batch ? d->n - at : batch;
    dataset_gather(d, NULL, at, n, &b);
    for (int i = 0; i < m->output_count; i++)
      to[i] = !m->outputs[i].shared ? r->data[i] + (size_t)at * r->bytes[i]
              : at                  ? later.data[i]
                                    : r->data[i];
    if (!tool_ok(t, t->api->infer(t->session, n, b.inputs, to))) return false;
    if (at && !check_shared(t, d->n, r, to)) return false;
  }
  return true;
}

static OutSet describe(Tool *t, int64_t n, const Results *r) {
  const dlc_model *m = t->model;
  OutSet o = {0};
  for (int i = 0; i < m->output_count; i++) {
    const dlc_tensor *out = &m->outputs[i];
    int64_t dim[9] = {n};
    memcpy(dim + 1, out->dim, sizeof out->dim);
    if (out->shared)
      out_add_shared(t->arena, &o, out->name, m->real_bytes, out->rank, out->dim, r->data[i]);
    else
      out_add(t->arena, &o, out->name, m->real_bytes, out->rank + 1, dim, r->data[i]);
  }
  return o;
}

/* ---- printed ---- */

static double value_at(const Tool *t, const void *data, int64_t i) {
  return t->model->real_bytes == 8 ? ((const double *)data)[i] : (double)((const float *)data)[i];
}

/* What a class output is printed from. */
typedef struct {
  const double *score;      /* probabilities, of each sample */
  const char *const *names; /* of the classes, or NULL */
} Scores;

static Scores make_scores(Tool *t, int32_t i, int64_t n, const Results *r, const Words *words,
                          const char *const *given) {
  const Head *head = &tool_heads(t)[i];
  int64_t count = n * t->model->outputs[i].elements;
  double *score = ARENA_ARRAY(t->arena, double, count);
  for (int64_t k = 0; k < count; k++) score[k] = value_at(t, r->data[i], k);
  classes_normalize(head->kind, score, n, t->model->outputs[i].elements);
  const char *target = head->target < 0 ? NULL : t->model->targets[head->target].name;
  return (Scores){score, given ? given : target ? words_names(words, target) : NULL};
}

/* The classes of the highest scores, best first; equal ones in their order. */
static int best_classes(const double *score, int64_t classes, int64_t out[TOP]) {
  int count = 0;
  for (int64_t c = 0; c < classes; c++) {
    int at = count < TOP ? count++ : TOP;
    for (; at > 0 && !(score[c] <= score[out[at - 1]]); at--)
      if (at < TOP) out[at] = out[at - 1];
    if (at < TOP) out[at] = c;
  }
  return count;
}

static const char *sample_name(Arena *a, const Dataset *d, int64_t i) {
  int64_t row = d->row ? d->row[i] : i;
  return d->name ? d->name[row] : arena_printf(a, "%lld", (long long)row);
}

/* Each of the likeliest classes, with its probability. */
static void class_cells(Tool *t, const Scores *s, int64_t i, int64_t classes,
                        const char *cell[TOP]) {
  int64_t best[TOP];
  const double *row = s->score + i * classes;
  int count = best_classes(row, classes, best);
  for (int k = 0; k < TOP; k++) cell[k] = "";
  for (int k = 0; k < count; k++)
    cell[k] = s->names ? arena_printf(t->arena, "%s %.4f", s->names[best[k]], row[best[k]])
                       : arena_printf(t->arena, "%lld %.4f", (long long)best[k], row[best[k]]);
}

static const char *classes_text(Tool *t, const Scores *s, int64_t i, int64_t classes) {
  const char *cell[TOP];
  Str text = str_new(t->arena);
  class_cells(t, s, i, classes, cell);
  for (int k = 0; k < TOP && *cell[k]; k++) str_printf(&text, "%s%s", k ? "  " : "", cell[k]);
  return text.text;
}

/* `count` numbers from `first` on: all, or the first ones and the range of all. */
static const char *values_text(const Tool *t, const void *data, int64_t first, int64_t count) {
  Str s = str_new(t->arena);
  int64_t shown = count <= VALUES ? count : VALUES - 2;
  double least = INFINITY, most = -INFINITY;
  for (int64_t k = 0; k < count; k++) {
    double v = value_at(t, data, first + k);
    if (k < shown) str_printf(&s, "%s%.6g", k ? " " : "", v);
    least = fmin(least, v);
    most = fmax(most, v);
  }
  if (shown < count)
    str_printf(&s, " ... (%lld values, %.6g to %.6g)", (long long)count, least, most);
  return s.text;
}

static void print_classes(Tool *t, const Dataset *d, const Scores *s, int64_t classes) {
  Table table = table_new(t->arena, "llllll");
  for (int64_t i = 0; i < d->n; i++) {
    const char *c[TOP];
    class_cells(t, s, i, classes, c);
    table_row(&table, sample_name(t->arena, d, i), c[0], c[1], c[2], c[3], c[4]);
  }
  table_print(&table, stdout);
}

/* A line a sample and output; outputs of the whole batch come last. */
static void print_named(Tool *t, const Dataset *d, const Results *r, const Scores *scores) {
  const dlc_model *m = t->model;
  Table table = table_new(t->arena, "lll");
  for (int64_t i = 0; i < d->n; i++)
    for (int32_t k = 0; k < m->output_count; k++) {
      const dlc_tensor *o = &m->outputs[k];
      if (o->shared) continue;
      const char *text = scores[k].score ? classes_text(t, &scores[k], i, o->elements)
                                         : values_text(t, r->data[k], i * o->elements, o->elements);
      table_row(&table, sample_name(t->arena, d, i), o->name, text);
    }
  for (int32_t k = 0; k < m->output_count; k++)
    if (m->outputs[k].shared)
      table_row(&table, "all", m->outputs[k].name,
                values_text(t, r->data[k], 0, m->outputs[k].elements));
  table_print(&table, stdout);
}

static void print_outputs(Tool *t, const Dataset *d, const Results *r, const Words *words,
                          const char *const *given) {
  const dlc_model *m = t->model;
  Scores *scores = ARENA_ARRAY(t->arena, Scores, m->output_count + 1);
  for (int32_t k = 0; k < m->output_count; k++)
    if (tool_heads(t)[k].kind != HEAD_PLAIN) scores[k] = make_scores(t, k, d->n, r, words, given);
  if (m->output_count == 1 && scores[0].score)
    print_classes(t, d, scores, m->outputs[0].elements);
  else
    print_named(t, d, r, scores);
}

/* ---- where it goes ---- */

/* Names given by --classes are for outputs of one number of classes. */
static bool given_names(Tool *t, const char *text, const char *const **out) {
  int64_t classes = 0;
  *out = NULL;
  if (!text) return true;
  for (int32_t i = 0; i < t->model->output_count; i++) {
    if (tool_heads(t)[i].kind == HEAD_PLAIN) continue;
    if (classes && classes != t->model->outputs[i].elements)
      return fault(&t->fault, "--classes: %s has outputs of different classes", t->model->name);
    classes = t->model->outputs[i].elements;
  }
  if (!classes)
    return fault(&t->fault, "--classes: %s has no output that scores classes", t->model->name);
  *out = classes_names(t->arena, text, classes, &t->fault);
  return *out != NULL;
}

static bool run(Tool *t, const PredictOptions *o) {
  Dataset d;
  int64_t batch;
  const char *const *names;
  Words words = words_new(t->arena, t->model);
  tool_reads(t, o->weights);
  tool_reads(t, o->classes);
  if (!tool_reads_data(t, o->inputs) || (o->out && !out_check(t, o->out, true)) ||
      !given_names(t, o->classes, &names) || !tool_batch(t, o->batch, &batch))
    return false;
  if (!tool_load(t, o->weights) || !words_load(&words, o->weights, &t->fault) ||
      !dataset_open(t->arena, o->inputs, false, &words, &d, &t->fault))
    return false;
  Results r = make_results(t, d.n);
  if (!infer_all(t, &d, batch, &r)) return false;
  OutSet set = describe(t, d.n, &r);
  if (o->out && !out_file(t, &set, d.n, o->out)) return false;
  if (names || !o->out) print_outputs(t, &d, &r, &words, names);
  return true;
}

int command_predict(int argc, char **argv) {
  const char *model;
  PredictOptions o = {.threads = 1};
  int status;
  const Opt opts[] = {
      {"--weights", OPT_TEXT, &o.weights, "W", "safetensors file", true},
      {"--inputs", OPT_TEXT, &o.inputs, "I",
       "the inputs, as --data of train; targets are not needed", true},
      {"-o", OPT_TEXT, &o.out, "FILE", "FILE.csv or FILE.safetensors to write (default: print)",
       false},
      {"--classes", OPT_TEXT, &o.classes, "NAMES",
       "class names, a file with one a line or a,b,c (default: the words in the weights)", false},
      {"--batch", OPT_COUNT, &o.batch, "N", "samples at once (default: the train block's)", false},
      {"--threads", OPT_COUNT, &o.threads, "T", "threads (default 1)", false},
  };
  const Cli cli = {"predict", "Write or print the network's outputs for every sample.", opts,
                   OPT_LIST_COUNT(opts)};
  if (!cli_parse(&cli, argc, argv, &model, &status)) return status;
  Tool t;
  bool fine = tool_open(&t, model) && tool_session(&t, DLC_INFERENCE, o.threads, 0) && run(&t, &o);
  return tool_close(&t, fine);
}
