#include "dlrun/oracle.h"

#include <math.h>
#include <string.h>

#include "dlrun/graph.h"
#include "passes/pipeline.h"

enum { F32_BITS = 24, ROUNDINGS = 8 };

static const Result *find_result(const Graph *g, ResultKind kind, const char *name) {
  for (int i = 0; i < g->results.count; i++) {
    const Result *r = &g->results.at[i];
    if (r->kind != kind) continue;
    const char *own = kind == RESULT_GRAD ? node_str(r->target, "name") : r->name;
    if (!name || (own && strcmp(own, name) == 0)) return r;
  }
  return NULL;
}

static bool pass_fault(Tool *t, const Diags *diags, const char *what) {
  t->fault.internal = true;
  return fault(&t->fault, "%s: %s", what,
               diags->list.count ? diags->list.at[diags->list.count - 1].text : "failed");
}

static Graph *run_passes(Tool *t, const Graph *source, bool training, const char *last,
                         Diags *diags) {
  PassOptions options = {.stop_after = last, .diags = diags};
  return pipeline_run(source, training ? PROGRAM_GRAD : PROGRAM_GRAD_EVAL, t->arena, &options);
}

bool oracle_new(Tool *t, int64_t n, bool training, uint64_t seed, Oracle *o) {
  Diags *diags;
  OpError e = {.arena = t->arena};
  *o = (Oracle){.tool = t, .n = n};
  Graph *source = graph_load(t, &diags);
  if (!source) return false;
  o->gradients = run_passes(t, source, training, "grad", diags);
  o->forward = o->gradients ? run_passes(t, source, training, "expand", diags) : NULL;
  if (!o->forward) return pass_fault(t, diags, "the graph cannot be differentiated");
  o->with = interp_new(t->arena, o->gradients, n, training, &e);
  if (!o->with) return fault(&t->fault, "%s", e.text);
  /* a loss that itself holds grad() can only be evaluated once that is resolved */
  o->without = interp_new(t->arena, o->forward, n, training, &e);
  if (!o->without) o->forward = o->gradients, o->without = o->with;
  const Result *loss = find_result(o->forward, RESULT_LOSS, NULL);
  if (!loss) return fault(&t->fault, "%s has no loss", t->model->name);
  o->loss = loss->node;
  o->rounding =
      (Rounding){.exact = o->with, .arena = t->arena, .bits = F32_BITS, .runs = ROUNDINGS};
  interp_random(o->with, seed, 0);
  interp_random(o->without, seed, 0);
  return true;
}

static double element(int32_t elem, const void *data, int64_t i) {
  if (elem == DLC_U8) return ((const uint8_t *)data)[i];
  if (elem == DLC_I32) return ((const int32_t *)data)[i];
  return elem == DLC_F64 ? ((const double *)data)[i] : (double)((const float *)data)[i];
}

/* A leaf that the graph no longer has is not needed. */
static bool fill(Tool *t, Interp *p, const char *name, int32_t elem, const void *data,
                 int64_t count) {
  int64_t has;
  double *to = interp_leaf_named(p, name, &has);
  if (!to) return true;
  if (has != count) {
    t->fault.internal = true;
    return fault(&t->fault, "%s has %lld elements in the graph, %lld in the code", name,
                 (long long)has, (long long)count);
  }
  for (int64_t i = 0; i < count; i++) to[i] = element(elem, data, i);
  return true;
}

static bool fill_tensors(Tool *t, Interp *p, int64_t n, int32_t count, const dlc_tensor *list,
                         const void *const *data) {
  for (int32_t i = 0; i < count; i++) {
    if (!data)
      interp_leaf_named(p, list[i].name, NULL); /* bound, as zeros */
    else if (!fill(t, p, list[i].name, list[i].elem, data[i], n * list[i].elements))
      return false;
  }
  return true;
}

static bool fill_parameter(Tool *t, Interp *p, int32_t i) {
  const dlc_model *m = t->model;
  const dlc_parameter *q = &m->parameters[i];
  Arena *scratch = arena_new();
  void *data = arena_alloc(scratch, (size_t)q->elements + 1, (size_t)m->real_bytes);
  bool fine = tool_ok(t, t->api->get_parameter(t->session, i, data)) &&
              fill(t, p, q->name, m->real_bytes == 8 ? DLC_F64 : DLC_F32, data, q->elements);
  arena_free(scratch);
  return fine;
}

bool oracle_fill(Tool *t, Interp *p, int64_t n, const Batch *b) {
  const dlc_model *m = t->model;
  if (!fill_tensors(t, p, n, m->input_count, m->inputs, b->inputs) ||
      !fill_tensors(t, p, n, m->target_count, m->targets, b->targets))
    return false;
  for (int32_t i = 0; i < m->parameter_count; i++)
    if (m->parameters[i].role != DLC_STATE && !fill_parameter(t, p, i)) return false;
  return true;
}

bool oracle_run(Oracle *o, const Batch *b) {
  OpError e = {.arena = o->tool->arena};
  Tool *t = o->tool;
  if (!oracle_fill(t, o->with, o->n, b) || !oracle_fill(t, o->without, o->n, b)) return false;
  if (!interp_run(o->with, &e) || !interp_run(o->without, &e))
    return fault(&t->fault, "%s", e.text);
  return true;
}

static const Node *node_of(const Result *r) { return r ? r->node : NULL; }

const Node *oracle_loss(const Oracle *o) {
  return node_of(find_result(o->gradients, RESULT_LOSS, NULL));
}

const Node *oracle_output(const Oracle *o, const char *name) {
  return node_of(find_result(o->gradients, RESULT_OUTPUT, name));
}

const Node *oracle_gradient(const Oracle *o, const char *name) {
  return node_of(find_result(o->gradients, RESULT_GRAD, name));
}

const Tensor *oracle_value(const Oracle *o, const Node *n) { return interp_value(o->with, n); }

double oracle_rounding(Oracle *o, const Node *n) {
  const Tensor *t = oracle_value(o, n);
  const double *spread = rounding_spread(&o->rounding, n);
  double most = 0;
  for (int64_t i = 0; i < t->n * type_elements(&t->type); i++)
    if (isfinite(spread[i])) most = fmax(most, spread[i]);
  return most;
}

bool oracle_difference(Oracle *o, const char *leaf, int64_t i, double h, double *out) {
  OpError e = {.arena = o->tool->arena};
  double *x = interp_leaf_named(o->without, leaf, NULL), was = x ? x[i] : 0, loss[2];
  *out = 0;
  if (!x) return true; /* the loss does not depend on it */
  for (int k = 0; k < 2; k++) {
    x[i] = k ? was - h : was + h;
    if (!interp_run(o->without, &e)) return fault(&o->tool->fault, "%s", e.text);
    loss[k] = interp_value(o->without, o->loss)->data[0];
  }
  x[i] = was;
  *out = (loss[0] - loss[1]) / (2 * h);
  /* one interpreter for both: what is read from it next must be the values at the leaf's own place
   */
  return o->without != o->with || interp_run(o->without, &e) ||
         fault(&o->tool->fault, "%s", e.text);
}
