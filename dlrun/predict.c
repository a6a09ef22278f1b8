/* dlrun predict: the network's outputs for every sample. */
#include <string.h>

#include "dlrun/commands.h"
#include "dlrun/out.h"

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

static bool run(Tool *t, const char *weights, const char *inputs, int64_t batch, const char *out) {
  Dataset d;
  if (!tool_batch(t, batch, &batch) || !tool_load(t, weights)) return false;
  if (!dataset_open(t->arena, inputs, t->model, false, &d, &t->fault)) return false;
  Results r = make_results(t, d.n);
  if (!infer_all(t, &d, batch, &r)) return false;
  OutSet o = describe(t, d.n, &r);
  size_t length = strlen(out);
  if (length > 4 && strcmp(out + length - 4, ".csv") == 0) return out_csv(t, &o, d.n, out);
  return out_safetensors(t, &o, out);
}

int command_predict(int argc, char **argv) {
  const char *model, *weights = NULL, *inputs = NULL, *out = NULL;
  int64_t batch = 0, threads = 1;
  int status;
  const Opt opts[] = {
      {"--weights", OPT_TEXT, &weights, "W", "safetensors file", true},
      {"--inputs", OPT_TEXT, &inputs, "I", "the inputs, as --data of train; targets are not needed",
       true},
      {"-o", OPT_TEXT, &out, "FILE", "FILE.csv or FILE.safetensors to write", true},
      {"--batch", OPT_COUNT, &batch, "N", "samples at once (default: the train block's)", false},
      {"--threads", OPT_COUNT, &threads, "T", "threads (default 1)", false},
  };
  const Cli cli = {"predict", "Write the network's outputs for every sample.", opts,
                   OPT_LIST_COUNT(opts)};
  if (!cli_parse(&cli, argc, argv, &model, &status)) return status;
  Tool t;
  bool fine = tool_open(&t, model) && tool_session(&t, DLC_INFERENCE, threads, 0) &&
              run(&t, weights, inputs, batch, out);
  return tool_close(&t, fine);
}
