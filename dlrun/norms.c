/* A layer is what its parameters' names share before the last dot. Norms are Euclidean, over all of
 * a layer's parameters, accumulated in double. A number below the smallest normal one of its type
 * (2^-126 in f32, 2^-1022 in f64) has lost precision or is zero: it has underflown. hypot does
 * not, where a square would. */
#include "dlrun/norms.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "dlrun/json.h"
#include "dlrun/oracle.h"
#include "dlrun/synthetic.h"
#include "dlrun/table.h"

typedef struct {
  const char *layer;
  int64_t elements;
  double compiled, interpreted;
} Norm;

typedef struct {
  Tool *tool;
  VEC(Norm) list;
} Norms;

static const char *layer_of(Arena *a, const char *parameter) {
  const char *dot = strrchr(parameter, '.');
  return dot ? arena_strndup(a, parameter, (size_t)(dot - parameter)) : parameter;
}

static Norm *norm_for(Norms *s, const char *parameter) {
  const char *layer = layer_of(s->tool->arena, parameter);
  for (int i = s->list.count - 1; i >= 0; i--)
    if (strcmp(s->list.at[i].layer, layer) == 0) return &s->list.at[i];
  vec_push(s->tool->arena, &s->list, (Norm){.layer = layer});
  return &s->list.at[s->list.count - 1];
}

static bool add_parameter(Norms *s, const Oracle *o, int32_t i) {
  Tool *t = s->tool;
  const dlc_parameter *p = &t->model->parameters[i];
  const Node *gradient = oracle_gradient(o, p->name);
  if (!gradient) return t->fault.internal = true, fault(&t->fault, "no gradient by %s", p->name);
  const Tensor *g = oracle_value(o, gradient);
  Arena *scratch = arena_new();
  void *data = arena_alloc(scratch, (size_t)p->elements + 1, (size_t)t->model->real_bytes);
  bool fine = tool_ok(t, t->api->get_gradient(t->session, i, data));
  Norm *norm = norm_for(s, p->name);
  for (int64_t k = 0; fine && k < p->elements; k++) {
    norm->compiled = hypot(norm->compiled, t->model->real_bytes == 8 ? ((double *)data)[k]
                                                                     : (double)((float *)data)[k]);
    norm->interpreted = hypot(norm->interpreted, g->data[k]);
  }
  norm->elements += p->elements;
  arena_free(scratch);
  return fine;
}

static bool measure(Norms *s, int64_t n, uint64_t seed, bool eval) {
  Tool *t = s->tool;
  const dlc_model *m = t->model;
  Oracle o;
  double loss;
  Batch b = synthetic_batch(t->arena, m, n, seed, RANDOM_CHECK);
  if (!oracle_new(t, n, !eval, seed, &o) || !oracle_run(&o, &b)) return false;
  if (!tool_ok(t, t->api->forward(t->session, eval, n, b.inputs, b.targets, NULL, &loss, NULL)) ||
      !tool_ok(t, t->api->backward(t->session, NULL)))
    return false;
  for (int32_t i = 0; i < m->parameter_count; i++)
    if (m->parameters[i].role == DLC_PARAM && m->parameters[i].trainable &&
        !add_parameter(s, &o, i))
      return false;
  return true;
}

static const char *mark(double norm, double smallest) { return norm < smallest ? "underflow" : ""; }

static double smallest_of(const Tool *t) { return t->model->real_bytes == 8 ? DBL_MIN : FLT_MIN; }

static void print_text(const Norms *s, int64_t n, bool eval) {
  const Tool *t = s->tool;
  bool wide = t->model->real_bytes == 8;
  Table table = table_new(t->arena, "lrrlrl");
  table_row(&table, "layer", "parameters", wide ? "compiled f64" : "compiled f32", "",
            "interpreted f64", "");
  for (int i = 0; i < s->list.count; i++) {
    const Norm *k = &s->list.at[i];
    table_row(&table, k->layer, arena_printf(t->arena, "%lld", (long long)k->elements),
              arena_printf(t->arena, "%.6g", k->compiled), mark(k->compiled, smallest_of(t)),
              arena_printf(t->arena, "%.6g", k->interpreted),
              mark(k->interpreted, FLT_MIN)[0] ? "below 2^-126" : "");
  }
  printf("%s, %s mode, batch %lld: norm of the gradient by each layer's parameters\n\n",
         t->model->name, eval ? "evaluation" : "training", (long long)n);
  table_print(&table, stdout);
}

static void print_json(const Norms *s, int64_t n, bool eval) {
  json_object_t *o = json_new();
  json_text_at(o, "network", s->tool->model->name);
  json_text_at(o, "mode", eval ? "evaluation" : "training");
  json_integer_at(o, "batch", n);
  json_object_t *list = json_list_at(o, "layers");
  for (int i = 0; i < s->list.count; i++) {
    const Norm *k = &s->list.at[i];
    json_object_t *row = json_append(list);
    json_text_at(row, "layer", k->layer);
    json_integer_at(row, "parameters", k->elements);
    json_real_at(row, "compiled", k->compiled);
    json_real_at(row, "interpreted", k->interpreted);
    json_flag_at(row, "underflow", k->compiled < smallest_of(s->tool));
  }
  json_print(o);
}

bool norms_run(Tool *t, int64_t n, uint64_t seed, bool eval, bool json) {
  Norms s = {.tool = t};
  if (!measure(&s, n, seed, eval)) return false;
  (json ? print_json : print_text)(&s, n, eval);
  return true;
}
