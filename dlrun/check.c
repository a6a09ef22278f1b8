/* dlrun check: loss, outputs and every gradient, three ways.
 *
 *   compiled    against interpreted: |c - i| at most 1e-5 (f32) or 1e-10 (f64) of the tensor's
 * largest interpreted against central differences of the interpreter's loss, h = 1e-6, on sampled
 * elements: |i - d| at most 1e-5 + 1e-3 |i|
 *
 * What is further than that but no further than the interpreter's own value moves when every value
 * on the way is rounded to f32, up or down by chance (the largest of eight runs), is as right as
 * f32 can be: sums that cancel, such as the gradient of a shift over large images.
 *
 * A gradient that is zero but for rounding (its largest below 1e-9 of the largest of all) is
 * measured by the largest of all: the bias before a batch norm is one. Initial biases, scales and
 * running statistics are moved by up to 0.1, off the values (0, 1) at which an error could hide, or
 * a ReLU sit on its kink. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "dlrun/commands.h"
#include "dlrun/json.h"
#include "dlrun/norms.h"
#include "dlrun/oracle.h"
#include "dlrun/synthetic.h"
#include "dlrun/table.h"

static const double step_h = 1e-6, absolute = 1e-5, relative = 1e-3, budget_seconds = 30;
enum { SAMPLES_MOST = 20, SAMPLES_LEAST = 3, CHECK_BATCH = 3 };

typedef struct {
  Tool *tool;
  Oracle oracle;
  int64_t n;
  Batch batch;
  double tolerance, largest; /* of all gradients */
  double loss;
  void **outputs, **input_gradients;
  int samples;
  uint64_t seed;
  Table table;
  json_object_t *json, *rows; /* NULL: not wanted */
  int failures, rounded;      /* rows */
} Checker;

static double real_at(const Checker *c, const void *data, int64_t i) {
  return c->tool->model->real_bytes == 8 ? ((const double *)data)[i]
                                         : (double)((const float *)data)[i];
}

static bool is_real(const dlc_tensor *t) { return t->elem == DLC_F32 || t->elem == DLC_F64; }

/* ---- the compiled side ---- */

static void *room(Checker *c, int64_t elements) {
  return arena_alloc(c->tool->arena, (size_t)elements + 1, (size_t)c->tool->model->real_bytes);
}

static bool run_compiled(Checker *c, bool eval) {
  Tool *t = c->tool;
  const dlc_model *m = t->model;
  c->outputs = ARENA_ARRAY(t->arena, void *, m->output_count + 1);
  c->input_gradients = ARENA_ARRAY(t->arena, void *, m->input_count + 1);
  for (int i = 0; i < m->output_count; i++) c->outputs[i] = room(c, c->n * m->outputs[i].elements);
  for (int i = 0; i < m->input_count; i++)
    if (is_real(&m->inputs[i])) c->input_gradients[i] = room(c, c->n * m->inputs[i].elements);
  return tool_ok(t, t->api->forward(t->session, eval, c->n, c->batch.inputs, c->batch.targets,
                                    c->outputs, &c->loss, NULL)) &&
         tool_ok(t, t->api->backward(t->session, c->input_gradients));
}

/* ---- comparing ---- */

static double largest_of(const Tensor *t) {
  double most = 0;
  int64_t count = t->n * type_elements(&t->type);
  for (int64_t i = 0; i < count; i++)
    if (fabs(t->data[i]) > most) most = fabs(t->data[i]);
  return most;
}

static void find_largest(Checker *c) {
  const Graph *g = c->oracle.gradients;
  for (int i = 0; i < g->results.count; i++)
    if (g->results.at[i].kind == RESULT_GRAD) {
      double most = largest_of(oracle_value(&c->oracle, g->results.at[i].node));
      if (most > c->largest) c->largest = most;
    }
}

/* The largest |compiled - interpreted| over the scale; infinite when either is not finite. */
static double distance(const Checker *c, const Tensor *t, const void *compiled, double scale) {
  double most = 0;
  int64_t count = t->n * type_elements(&t->type);
  for (int64_t i = 0; i < count; i++) {
    double d = fabs(real_at(c, compiled, i) - t->data[i]);
    if (!(d <= most)) most = isfinite(d) ? d : INFINITY;
  }
  if (most == 0) return 0;
  return scale > 0 ? most / scale : INFINITY;
}

/* The largest |i - d| / (1e-5 + 1e-3 |i|) over sampled elements. */
static bool differences(Checker *c, const char *name, const Tensor *t, uint32_t round,
                        double *worst) {
  int64_t count = t->n * type_elements(&t->type), samples = count < c->samples ? count : c->samples;
  *worst = 0;
  for (int64_t k = 0; k < samples; k++) {
    int64_t i =
        samples == count
            ? k
            : (int64_t)(random_unit(c->seed, RANDOM_CHECK, round, (uint64_t)k) * (double)count);
    double d;
    if (!oracle_difference(&c->oracle, name, i, step_h, &d)) return false;
    double off = fabs(d - t->data[i]) / (absolute + relative * fabs(t->data[i]));
    if (!(off <= *worst)) *worst = isfinite(off) ? off : INFINITY;
  }
  return true;
}

typedef struct {
  const char *name;
  const Node *node;
  const Tensor *value;
  double largest, scale; /* of the value; what `off` is measured by */
  double off, worst;     /* from the compiled value; from the differences */
  bool differenced;
} Row;

static bool is_rounding(Checker *c, const Row *r) {
  if (c->tool->model->real_bytes == 8 || !isfinite(r->off)) return false;
  return r->off * r->scale <= ROUNDING_ROOM * oracle_rounding(&c->oracle, r->node);
}

static const char *verdict(Checker *c, const Row *r) {
  if (r->differenced && !(r->worst <= 1)) return "WRONG";
  return r->off <= c->tolerance ? "ok" : is_rounding(c, r) ? "rounding" : "WRONG";
}

static void add_row(Checker *c, const Row *r) {
  Arena *a = c->tool->arena;
  const char *word = verdict(c, r);
  int64_t elements = r->value->n * type_elements(&r->value->type);
  bool fine = strcmp(word, "WRONG") != 0;
  c->failures += !fine;
  c->rounded += strcmp(word, "rounding") == 0;
  if (c->rows) {
    json_object_t *row = json_append(c->rows);
    json_text_at(row, "tensor", r->name);
    json_integer_at(row, "elements", elements);
    json_real_at(row, "largest", r->largest);
    json_real_at(row, "compiled", r->off);
    if (r->differenced) json_real_at(row, "differences", r->worst);
    json_flag_at(row, "ok", fine);
  }
  table_row(&c->table, r->name, arena_printf(a, "%lld", (long long)elements),
            arena_printf(a, "%.3g", r->largest), arena_printf(a, "%.1e", r->off),
            r->differenced ? arena_printf(a, "%.3f", r->worst) : "", word);
}

static bool check_gradient(Checker *c, const char *name, const void *compiled, uint32_t round) {
  Row r = {.name = arena_printf(c->tool->arena, "grad.%s", name),
           .node = oracle_gradient(&c->oracle, name),
           .differenced = true};
  if (!r.node) {
    c->tool->fault.internal = true;
    return fault(&c->tool->fault, "the graph has no gradient by %s", name);
  }
  r.value = oracle_value(&c->oracle, r.node);
  r.largest = largest_of(r.value);
  r.scale = r.largest < 1e-9 * c->largest ? c->largest : r.largest;
  r.off = distance(c, r.value, compiled, r.scale);
  if (!differences(c, name, r.value, round, &r.worst)) return false;
  add_row(c, &r);
  return true;
}

static bool check_parameters(Checker *c) {
  const dlc_model *m = c->tool->model;
  for (int32_t i = 0; i < m->parameter_count; i++) {
    const dlc_parameter *p = &m->parameters[i];
    if (p->role != DLC_PARAM || !p->trainable) continue;
    void *data = room(c, p->elements);
    if (!tool_ok(c->tool, c->tool->api->get_gradient(c->tool->session, i, data))) return false;
    if (!check_gradient(c, p->name, data, (uint32_t)i)) return false;
  }
  for (int32_t i = 0; i < m->input_count; i++)
    if (c->input_gradients[i] && !check_gradient(c, m->inputs[i].name, c->input_gradients[i],
                                                 (uint32_t)(m->parameter_count + i)))
      return false;
  return true;
}

static void check_value(Checker *c, const char *name, const Node *n, const void *compiled) {
  Row r = {.name = name, .node = n, .value = oracle_value(&c->oracle, n)};
  r.largest = r.scale = largest_of(r.value);
  r.off = distance(c, r.value, compiled, r.scale);
  add_row(c, &r);
}

static void check_values(Checker *c) {
  const dlc_model *m = c->tool->model;
  float small = (float)c->loss;
  check_value(c, "loss", oracle_loss(&c->oracle),
              m->real_bytes == 8 ? (const void *)&c->loss : (const void *)&small);
  for (int i = 0; i < m->output_count; i++) {
    const Node *n = oracle_output(&c->oracle, m->outputs[i].name);
    if (n)
      check_value(c, arena_printf(c->tool->arena, "output.%s", m->outputs[i].name), n,
                  c->outputs[i]);
  }
}

/* As many samples a tensor as fit the time, between SAMPLES_LEAST and SAMPLES_MOST. */
static bool choose_samples(Checker *c) {
  const dlc_model *m = c->tool->model;
  const char *leaf = m->input_count       ? m->inputs[0].name
                     : m->parameter_count ? m->parameters[0].name
                                          : "";
  double start = tool_seconds(), d;
  if (!oracle_difference(&c->oracle, leaf, 0, step_h, &d)) return false;
  double each = tool_seconds() - start,
         most = budget_seconds / (each * (m->parameter_count + m->input_count));
  c->samples = most < SAMPLES_LEAST  ? SAMPLES_LEAST
               : most > SAMPLES_MOST ? SAMPLES_MOST
                                     : (int)most;
  return true;
}

/* Adds up to 0.1 to every tensor of rank 0 or 1; variances stay positive. */
static bool move_vectors(Checker *c) {
  Tool *t = c->tool;
  for (int32_t i = 0; i < t->model->parameter_count; i++) {
    const dlc_parameter *p = &t->model->parameters[i];
    if (p->role == DLC_STATE || p->rank > 1) continue;
    void *data = room(c, p->elements);
    if (!tool_ok(t, t->api->get_parameter(t->session, i, data))) return false;
    for (int64_t k = 0; k < p->elements; k++) {
      double u = 0.1 * random_unit(c->seed, RANDOM_MOVE, (uint32_t)i, (uint64_t)k);
      if (t->model->real_bytes == 8)
        ((double *)data)[k] += u;
      else
        ((float *)data)[k] += (float)u;
    }
    if (!tool_ok(t, t->api->set_parameter(t->session, i, data))) return false;
  }
  return true;
}

static void print_result(Checker *c, bool eval) {
  const dlc_model *m = c->tool->model;
  if (c->json) {
    json_flag_at(c->json, "ok", !c->failures);
    json_print(c->json);
    return;
  }
  printf(
      "%s, %s mode, batch %lld: compiled %s against interpreter (tolerance %.0e of each tensor's "
      "largest),\n"
      "interpreter against central differences (%d elements a tensor; at most 1 of 1e-5 + 1e-3 "
      "|gradient|)\n\n",
      m->name, eval ? "evaluation" : "training", (long long)c->n,
      m->real_bytes == 8 ? "f64" : "f32", c->tolerance, c->samples);
  table_print(&c->table, stdout);
  if (c->rounded)
    printf(
        "\nrounding: within %d times what rounding every value to f32 moves the interpreter's "
        "own\n",
        ROUNDING_ROOM);
}

static void begin_json(Checker *c, bool eval) {
  c->json = json_new();
  json_text_at(c->json, "network", c->tool->model->name);
  json_text_at(c->json, "mode", eval ? "evaluation" : "training");
  json_integer_at(c->json, "batch", c->n);
  json_real_at(c->json, "tolerance", c->tolerance);
  c->rows = json_list_at(c->json, "tensors");
}

static bool run(Checker *c, bool eval, bool json) {
  Tool *t = c->tool;
  c->batch = synthetic_batch(t->arena, t->model, c->n, c->seed, RANDOM_CHECK);
  /* before the forward pass: training mode moves running statistics, which the interpreter must see
   * as they were */
  if (!oracle_new(t, c->n, !eval, c->seed, &c->oracle) || !oracle_run(&c->oracle, &c->batch))
    return false;
  if (!run_compiled(c, eval)) return false;
  find_largest(c);
  if (!choose_samples(c)) return false;
  c->table = table_new(t->arena, "lrrrrl");
  table_row(&c->table, "tensor", "elements", "largest", "compiled", "differences", "");
  if (json) begin_json(c, eval);
  check_values(c);
  if (!check_parameters(c)) return json_drop(c->json), false;
  print_result(c, eval);
  if (!c->failures) return true;
  return fault(&t->fault, "%d of %d tensors are past tolerance", c->failures,
               c->table.rows.count - 1);
}

int command_check(int argc, char **argv) {
  const char *model, *weights = NULL;
  bool eval = false, norms = false, json = false;
  int status;
  Checker c = {0};
  const Opt opts[] = {
      {"--weights", OPT_TEXT, &weights, "W",
       "at these weights (default: initial values of the seed)", false},
      {"--batch", OPT_COUNT, &c.n, "N", "samples (default 3)", false},
      {"--eval", OPT_FLAG, &eval, NULL, "evaluation mode: running statistics, no random masks",
       false},
      {"--seed", OPT_SEED, &c.seed, "S", "of weights, samples and masks (default 0)", false},
      {"--norms", OPT_FLAG, &norms, NULL,
       "print the norm of each layer's gradient instead, marking what underflows", false},
      {"--json", OPT_FLAG, &json, NULL, "print JSON", false},
  };
  const Cli cli = {"check", "Check every gradient: compiled, interpreted, central differences.",
                   opts, OPT_LIST_COUNT(opts)};
  if (!cli_parse(&cli, argc, argv, &model, &status)) return status;
  Tool t;
  c.tool = &t;
  bool fine = tool_open(&t, model) && tool_session(&t, DLC_TRAINING, 1, c.seed) &&
              (weights ? tool_load(&t, weights) : norms || move_vectors(&c));
  if (fine && !c.n) c.n = t.model->max_batch < CHECK_BATCH ? t.model->max_batch : CHECK_BATCH;
  if (fine && norms) return tool_close(&t, norms_run(&t, c.n, c.seed, eval, json));
  c.tolerance = fine && t.model->real_bytes == 8 ? 1e-10 : 1e-5;
  fine = fine && run(&c, eval, json);
  return tool_close(&t, fine);
}
