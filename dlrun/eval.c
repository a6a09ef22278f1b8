/* dlrun eval: loss and metrics of given weights on given data, in evaluation mode. */
#include <stdio.h>
#include <string.h>

#include "dlrun/commands.h"
#include "dlrun/evaluate.h"
#include "dlrun/json.h"

typedef struct {
  const char *weights, *data;
  int64_t batch, threads;
  bool auc, json;
} EvalOptions;

static bool has_metric(const dlc_model *m, const char *name) {
  for (int i = 0; i < m->metric_count; i++)
    if (strcmp(m->metrics[i], name) == 0) return true;
  return false;
}

static void print_json(const dlc_model *m, const Dataset *d, const Evaluation *e, bool classified) {
  json_object_t *o = json_new();
  json_integer_at(o, "samples", d->n);
  json_real_at(o, "loss", e->loss);
  for (int i = 0; i < m->metric_count; i++) json_real_at(o, m->metrics[i], e->metrics[i]);
  if (classified) {
    json_real_at(o, "auc", e->auc);
    json_real_at(o, "accuracy", e->accuracy);
  }
  json_print(o);
}

static void print_text(const dlc_model *m, const Dataset *d, const Evaluation *e, bool classified) {
  printf("%-12s %lld\n%-12s %.6g\n", "samples", (long long)d->n, "loss", e->loss);
  for (int i = 0; i < m->metric_count; i++) printf("%-12s %.6g\n", m->metrics[i], e->metrics[i]);
  if (classified && !has_metric(m, "auc")) printf("%-12s %.6g\n", "auc", e->auc);
  if (classified && !has_metric(m, "accuracy")) printf("%-12s %.6g\n", "accuracy", e->accuracy);
}

static bool run(Tool *t, const EvalOptions *o) {
  Dataset d;
  Evaluation e;
  Words words = words_new(t->arena, t->model);
  int64_t batch;
  if (!tool_batch(t, o->batch, &batch) || !tool_load(t, o->weights)) return false;
  if (!words_load(&words, o->weights, &t->fault) ||
      !dataset_open(t->arena, o->data, true, &words, &d, &t->fault))
    return false;
  if (!evaluate(t, &d, batch, o->auc, &e)) return false;
  if (o->auc && !e.classified)
    return fault(&t->fault, "--auc: %s has no label with an output of as many numbers as classes",
                 t->model->name);
  (o->json ? print_json : print_text)(t->model, &d, &e, o->auc);
  return true;
}

int command_eval(int argc, char **argv) {
  const char *model;
  EvalOptions o = {.threads = 1};
  int status;
  const Opt opts[] = {
      {"--weights", OPT_TEXT, &o.weights, "W", "safetensors file", true},
      {"--data", OPT_TEXT, &o.data, "D", "the data: files and options, see docs/data.md", true},
      {"--batch", OPT_COUNT, &o.batch, "N", "samples at once (default: the train block's)", false},
      {"--threads", OPT_COUNT, &o.threads, "T", "threads (default 1)", false},
      {"--auc", OPT_FLAG, &o.auc, NULL,
       "print AUC (mean over classes, each against the rest) and accuracy, from the probabilities",
       false},
      {"--json", OPT_FLAG, &o.json, NULL, "print JSON", false},
  };
  const Cli cli = {"eval", "Print loss and metrics on data.", opts, OPT_LIST_COUNT(opts)};
  if (!cli_parse(&cli, argc, argv, &model, &status)) return status;
  Tool t;
  bool fine = tool_open(&t, model) && tool_session(&t, DLC_INFERENCE, o.threads, 0) && run(&t, &o);
  return tool_close(&t, fine);
}
