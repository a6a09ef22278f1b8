/* dlrun grad: loss, outputs and every gradient of one batch, as tensors
 *   loss, output.<name>, grad.<parameter>, grad.<input> (of the inputs that are real). */
#include <string.h>

#include "dlrun/commands.h"
#include "dlrun/out.h"

typedef struct {
  Tool *tool;
  OutSet out;
  int64_t n;
  double loss;
  void **outputs, **input_gradients;
} GradRun;

static bool is_real(const dlc_tensor *t) { return t->elem == DLC_F32 || t->elem == DLC_F64; }

/* Room for a per-sample tensor, entered among the results. */
static void *add_tensor(GradRun *g, const char *prefix, const dlc_tensor *t) {
  Arena *a = g->tool->arena;
  int64_t dim[9] = {g->n};
  int real = g->tool->model->real_bytes, rank = t->shared ? t->rank : t->rank + 1;
  memcpy(dim + 1, t->dim, sizeof t->dim);
  void *data = arena_alloc(a, (size_t)(t->shared ? 1 : g->n) * (size_t)t->elements, (size_t)real);
  out_add(a, &g->out, arena_printf(a, "%s%s", prefix, t->name), real, rank,
          t->shared ? t->dim : dim, data);
  return data;
}

static void prepare(GradRun *g) {
  const dlc_model *m = g->tool->model;
  g->outputs = ARENA_ARRAY(g->tool->arena, void *, m->output_count + 1);
  g->input_gradients = ARENA_ARRAY(g->tool->arena, void *, m->input_count + 1);
  out_add(g->tool->arena, &g->out, "loss", 8, 0, NULL, &g->loss);
  for (int i = 0; i < m->output_count; i++)
    g->outputs[i] = add_tensor(g, "output.", &m->outputs[i]);
  for (int i = 0; i < m->input_count; i++)
    if (is_real(&m->inputs[i])) g->input_gradients[i] = add_tensor(g, "grad.", &m->inputs[i]);
}

static bool collect(GradRun *g) {
  Tool *t = g->tool;
  for (int32_t i = 0; i < t->model->parameter_count; i++) {
    const dlc_parameter *p = &t->model->parameters[i];
    if (p->role != DLC_PARAM || !p->trainable) continue;
    void *data = arena_alloc(t->arena, (size_t)p->elements, (size_t)t->model->real_bytes);
    if (!tool_ok(t, t->api->get_gradient(t->session, i, data))) return false;
    out_add(t->arena, &g->out, arena_printf(t->arena, "grad.%s", p->name), t->model->real_bytes,
            p->rank, p->dim, data);
  }
  return true;
}

static bool run(Tool *t, const char *weights, const char *inputs, const char *out, bool eval) {
  GradRun g = {.tool = t};
  Dataset d;
  Words words = words_new(t->arena, t->model);
  tool_reads(t, weights);
  if (!tool_reads_data(t, inputs) || !out_check(t, out, false)) return false;
  if (!tool_load(t, weights) || !words_load(&words, weights, &t->fault) ||
      !dataset_open(t->arena, inputs, true, &words, &d, &t->fault))
    return false;
  if (d.n > t->model->max_batch)
    return fault(&t->fault,
                 "%s has %lld samples; %s was compiled for at most %lld at once (dlc --batch)",
                 inputs, (long long)d.n, t->model->name, (long long)t->model->max_batch);
  g.n = d.n;
  Batch b = dataset_batch(t->arena, &d, d.n);
  dataset_gather(&d, NULL, 0, d.n, &b);
  prepare(&g);
  return tool_ok(t, t->api->forward(t->session, eval, g.n, b.inputs, b.targets, g.outputs, &g.loss,
                                    NULL)) &&
         tool_ok(t, t->api->backward(t->session, g.input_gradients)) && collect(&g) &&
         out_file(t, &g.out, g.n, out);
}

int command_grad(int argc, char **argv) {
  const char *model, *weights = NULL, *inputs = NULL, *out = NULL;
  uint64_t seed = 0;
  int64_t threads = 1;
  bool eval = false;
  int status;
  const Opt opts[] = {
      {"--weights", OPT_TEXT, &weights, "W", "safetensors file", true},
      {"--inputs", OPT_TEXT, &inputs, "I", "inputs and targets of one batch, by name", true},
      {"-o", OPT_TEXT, &out, "FILE", "the safetensors file to write", true},
      {"--eval", OPT_FLAG, &eval, NULL, "evaluation mode: running statistics, no random masks",
       false},
      {"--seed", OPT_SEED, &seed, "S", "seed of the random masks (default 0)", false},
      {"--threads", OPT_COUNT, &threads, "T", "threads (default 1)", false},
  };
  const Cli cli = {"grad", "Write loss, outputs and every gradient of one batch.", opts,
                   OPT_LIST_COUNT(opts)};
  if (!cli_parse(&cli, argc, argv, &model, &status)) return status;
  Tool t;
  bool fine = tool_open(&t, model) && tool_session(&t, DLC_TRAINING, threads, 0) &&
              tool_ok(&t, t.api->set_seed(t.session, seed)) && run(&t, weights, inputs, out, eval);
  return tool_close(&t, fine);
}
