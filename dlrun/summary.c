/* dlrun summary: the table of layers, from the graph inside the network; without it, a line a
 * parameter. */
#include <stdio.h>
#include <string.h>

#include "dlrun/commands.h"
#include "dlrun/graph.h"
#include "dlrun/json.h"
#include "dlrun/table.h"
#include "ir/op.h"
#include "passes/summary.h"

static const char *shape_of(Arena *a, int rank, const int64_t *dim) {
  Str s = str_new(a);
  str_put(&s, "[");
  for (int d = 0; d < rank; d++) str_printf(&s, "%s%lld", d ? "," : "", (long long)dim[d]);
  str_put(&s, "]");
  return s.text;
}

static const char *count_text(Arena *a, int64_t n) { return arena_printf(a, "%lld", (long long)n); }

static void print_graph(Arena *a, const Summary *s) {
  Table table = table_new(a, "lllr");
  table_row(&table, "layer", "op", "output shape", "parameters");
  for (int i = 0; i < s->rows.count; i++) {
    const SummaryRow *r = &s->rows.at[i];
    const Type *t = &r->node->type;
    table_row(&table, r->name, op_info[r->node->op].name, shape_of(a, t->rank, t->dim),
              count_text(a, r->trainable));
  }
  table_row(&table, "Total", "", "", count_text(a, s->trainable));
  if (s->frozen) table_row(&table, "Frozen", "", "", count_text(a, s->frozen));
  table_print(&table, stdout);
}

static void add_graph(json_object_t *json, const Summary *s) {
  json_object_t *list = json_list_at(json, "layers");
  for (int i = 0; i < s->rows.count; i++) {
    const SummaryRow *r = &s->rows.at[i];
    json_object_t *row = json_append(list);
    json_text_at(row, "layer", r->name);
    json_text_at(row, "op", op_info[r->node->op].name);
    json_integers_at(row, "shape", r->node->type.rank, r->node->type.dim);
    json_integer_at(row, "parameters", r->trainable);
  }
  json_integer_at(json, "parameters", s->trainable);
  json_integer_at(json, "frozen", s->frozen);
}

static void print_parameters(Tool *t, json_object_t *json) {
  const dlc_model *m = t->model;
  int64_t total = 0;
  json_object_t *list = json ? json_list_at(json, "tensors") : NULL;
  Table table = table_new(t->arena, "llr");
  table_row(&table, "tensor", "shape", "parameters");
  for (int32_t i = 0; i < m->parameter_count; i++) {
    const dlc_parameter *p = &m->parameters[i];
    if (p->role == DLC_STATE) continue;
    int64_t own = p->role == DLC_PARAM && p->trainable ? p->elements : 0;
    total += own;
    table_row(&table, p->name, shape_of(t->arena, p->rank, p->dim), count_text(t->arena, own));
    if (!list) continue;
    json_object_t *row = json_append(list);
    json_text_at(row, "tensor", p->name);
    json_integers_at(row, "shape", p->rank, p->dim);
    json_integer_at(row, "parameters", own);
  }
  if (json) {
    json_integer_at(json, "parameters", total);
    return;
  }
  table_row(&table, "Total", "", count_text(t->arena, total));
  table_print(&table, stdout);
}

static const char *tensor_text(Arena *a, const dlc_tensor *t) {
  static const char *const elem[] = {"f32", "u8", "i32", "f64"};
  const char *shape = t->rank ? shape_of(a, t->rank, t->dim) : "";
  if (t->classes) return arena_printf(a, "%s : class[%d]%s", t->name, (int)t->classes, shape);
  return arena_printf(a, "%s : %s%s", t->name, elem[t->elem & 3], shape);
}

static void print_tensors(Tool *t, const char *kind, int32_t count, const dlc_tensor *list) {
  for (int32_t i = 0; i < count; i++) printf("  %-7s %s\n", kind, tensor_text(t->arena, &list[i]));
}

static void print_model(Tool *t) {
  const dlc_model *m = t->model;
  printf("%s: %s, batch up to %lld%s%s\n", m->name, m->real_bytes == 8 ? "f64" : "f32",
         (long long)m->max_batch, *m->cpu_features ? ", for processors with " : "",
         m->cpu_features);
  print_tensors(t, "input", m->input_count, m->inputs);
  print_tensors(t, "target", m->target_count, m->targets);
  print_tensors(t, "output", m->output_count, m->outputs);
  if (m->training)
    printf("  %-7s %s, lr %g, %s schedule, batch %lld, %lld epochs\n", "train",
           m->training->optimizer, m->training->lr,
           m->training->schedule ? m->training->schedule : "constant",
           (long long)m->training->batch, (long long)m->training->epochs);
  printf("\n");
}

static void print_memory(const dlc_model *m, json_object_t *json) {
  int64_t training = m->programs[DLC_TRAIN].arena_bytes,
          inference = m->programs[DLC_INFER].arena_bytes;
  if (!json) {
    printf("\nmemory: parameters %lld bytes, optimizer %lld, arena %lld training, %lld inference\n",
           (long long)m->parameter_bytes, (long long)m->state_bytes, (long long)training,
           (long long)inference);
    return;
  }
  json_integer_at(json, "parameter_bytes", m->parameter_bytes);
  json_integer_at(json, "optimizer_bytes", m->state_bytes);
  json_integer_at(json, "arena_bytes_train", training);
  json_integer_at(json, "arena_bytes_inference", inference);
}

static json_object_t *begin_json(const dlc_model *m) {
  json_object_t *o = json_new();
  json_text_at(o, "network", m->name);
  json_text_at(o, "precision", m->real_bytes == 8 ? "f64" : "f32");
  json_integer_at(o, "max_batch", m->max_batch);
  return o;
}

static bool run(Tool *t, bool want_json) {
  Diags *diags;
  Graph *g = t->model->ir ? graph_load(t, &diags) : NULL;
  if (t->model->ir && !g) return false;
  json_object_t *json = want_json ? begin_json(t->model) : NULL;
  if (!json) print_model(t);
  Summary s = {.trainable = 0};
  if (g) s = summary_of(g, t->arena);
  if (!g)
    print_parameters(t, json);
  else if (json)
    add_graph(json, &s);
  else
    print_graph(t->arena, &s);
  print_memory(t->model, json);
  if (json) json_print(json);
  return true;
}

int command_summary(int argc, char **argv) {
  const char *model;
  bool json = false;
  int status;
  const Opt opts[] = {{"--json", OPT_FLAG, &json, NULL, "print JSON", false}};
  const Cli cli = {"summary", "Print the network's layers, output shapes and trainable parameters.",
                   opts, OPT_LIST_COUNT(opts)};
  if (!cli_parse(&cli, argc, argv, &model, &status)) return status;
  Tool t;
  bool fine = tool_open(&t, model) && run(&t, json);
  return tool_close(&t, fine);
}
