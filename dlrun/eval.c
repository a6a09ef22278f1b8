/* dlrun eval: loss and metrics of given weights on given data, in evaluation mode. */
#include <stdio.h>

#include "dlrun/commands.h"
#include "dlrun/json.h"
#include "dlrun/tool.h"

static void print_result(const Tool *t, const Dataset *d, bool json, double loss,
                         const double *metrics) {
  const dlc_model *m = t->model;
  if (json) {
    json_object_t *o = json_new();
    json_integer_at(o, "samples", d->n);
    json_real_at(o, "loss", loss);
    for (int i = 0; i < m->metric_count; i++) json_real_at(o, m->metrics[i], metrics[i]);
    json_print(o);
    return;
  }
  printf("%-12s %lld\n%-12s %.6g\n", "samples", (long long)d->n, "loss", loss);
  for (int i = 0; i < m->metric_count; i++) printf("%-12s %.6g\n", m->metrics[i], metrics[i]);
}

static bool run(Tool *t, const char *weights, const char *data, int64_t batch, bool json) {
  Dataset d;
  double loss, *metrics = ARENA_ARRAY(t->arena, double, t->model->metric_count + 1);
  if (!tool_batch(t, batch, &batch) || !tool_load(t, weights)) return false;
  if (!dataset_open(t->arena, data, t->model, true, &d, &t->fault)) return false;
  if (!tool_evaluate(t, &d, batch, &loss, metrics)) return false;
  print_result(t, &d, json, loss, metrics);
  return true;
}

int command_eval(int argc, char **argv) {
  const char *model, *weights = NULL, *data = NULL;
  int64_t batch = 0, threads = 1;
  bool json = false;
  int status;
  const Opt opts[] = {
      {"--weights", OPT_TEXT, &weights, "W", "safetensors file", true},
      {"--data", OPT_TEXT, &data, "D", "the data: files and options, see docs/data.md", true},
      {"--batch", OPT_COUNT, &batch, "N", "samples at once (default: the train block's)", false},
      {"--threads", OPT_COUNT, &threads, "T", "threads (default 1)", false},
      {"--json", OPT_FLAG, &json, NULL, "print JSON", false},
  };
  const Cli cli = {"eval", "Print loss and metrics on data.", opts, OPT_LIST_COUNT(opts)};
  if (!cli_parse(&cli, argc, argv, &model, &status)) return status;
  Tool t;
  bool fine = tool_open(&t, model) && tool_session(&t, DLC_INFERENCE, threads, 0) &&
              run(&t, weights, data, batch, json);
  return tool_close(&t, fine);
}
