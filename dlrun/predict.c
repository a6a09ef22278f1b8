/* dlrun predict: the network's outputs for every sample, into a file; and of a network that tells
 * classes apart, the likeliest ones, printed. */
#include <stdio.h>
#include <string.h>

#include "dlrun/classes.h"
#include "dlrun/commands.h"
#include "dlrun/out.h"
#include "dlrun/table.h"

enum { TOP = 5 };

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

static bool infer_all(Tool *t, const Dataset *d, int64_t batch, const Results *r) {
  const dlc_model *m = t->model;
  Batch b = dataset_batch(t->arena, d, batch);
  void **to = ARENA_ARRAY(t->arena, void *, m->output_count + 1);
  for (int64_t at = 0; at < d->n; at += batch) {
    int64_t n = d->n - at < batch ? d->n - at : batch;
    dataset_gather(d, NULL, at, n, &b);
    for (int i = 0; i < m->output_count; i++)
      to[i] = r->data[i] + (m->outputs[i].shared ? 0 : (size_t)at * r->bytes[i]);
    if (!tool_ok(t, t->api->infer(t->session, n, b.inputs, to))) return false;
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
      out_add(t->arena, &o, out->name, m->real_bytes, out->rank, out->dim, r->data[i]);
    else
      out_add(t->arena, &o, out->name, m->real_bytes, out->rank + 1, dim, r->data[i]);
  }
  return o;
}

/* ---- classes ---- */

static double *class_scores(Tool *t, const Classes *c, int64_t n, const Results *r) {
  double *score = ARENA_ARRAY(t->arena, double, n * c->classes);
  const void *from = r->data[c->output];
  for (int64_t i = 0; i < n * c->classes; i++)
    score[i] =
        t->model->real_bytes == 8 ? ((const double *)from)[i] : (double)((const float *)from)[i];
  classes_normalize(score, n, c->classes);
  return score;
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

/* A line a sample: what it is called, then class and probability. */
static void print_classes(Tool *t, const Dataset *d, const Classes *c, const char **names,
                          const double *score) {
  Arena *a = t->arena;
  Table table = table_new(a, "llllll");
  for (int64_t i = 0; i < d->n; i++) {
    int64_t best[TOP];
    const double *row = score + i * c->classes;
    const char *cell[TOP] = {"", "", "", "", ""};
    int count = best_classes(row, c->classes, best);
    for (int k = 0; k < count; k++)
      cell[k] = names ? arena_printf(a, "%s %.4f", names[best[k]], row[best[k]])
                      : arena_printf(a, "%lld %.4f", (long long)best[k], row[best[k]]);
    table_row(&table, sample_name(a, d, i), cell[0], cell[1], cell[2], cell[3], cell[4]);
  }
  table_print(&table, stdout);
}

/* ---- where it goes ---- */

static bool write_out(Tool *t, const OutSet *o, int64_t n, const char *path) {
  size_t length = strlen(path);
  if (length > 4 && strcmp(path + length - 4, ".csv") == 0) return out_csv(t, o, n, path);
  return out_safetensors(t, o, path);
}

static bool run(Tool *t, const PredictOptions *o) {
  Dataset d;
  Classes c;
  int64_t batch;
  const char **names = NULL;
  bool classes = classes_find(t->model, &c);
  if (o->classes && !classes)
    return fault(&t->fault, "--classes: %s has no output with a number a class", t->model->name);
  if (o->classes && !(names = classes_names(t->arena, o->classes, c.classes, &t->fault)))
    return false;
  if (!tool_batch(t, o->batch, &batch) || !tool_load(t, o->weights)) return false;
  if (!dataset_open(t->arena, o->inputs, t->model, false, &d, &t->fault)) return false;
  Results r = make_results(t, d.n);
  if (!infer_all(t, &d, batch, &r)) return false;
  OutSet set = describe(t, d.n, &r);
  if (o->out && !write_out(t, &set, d.n, o->out)) return false;
  if (names || (!o->out && classes))
    print_classes(t, &d, &c, names, class_scores(t, &c, d.n, &r));
  else if (!o->out)
    out_csv_print(stdout, &set, d.n);
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
       "class names, a file with one a line or a,b,c: print the likeliest of each sample", false},
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
