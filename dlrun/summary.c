/* dlrun summary: a line a layer, from the graph inside the network; without it, a line a parameter.
 * Layers are the ops that the outputs need; each parameter is counted where it is used first. */
#include <stdio.h>
#include <string.h>

#include "dlrun/commands.h"
#include "dlrun/graph.h"
#include "dlrun/json.h"
#include "dlrun/table.h"
#include "ir/op.h"

static const char *shape_of(Arena *a, int rank, const int64_t *dim) {
  Str s = str_new(a);
  str_put(&s, "[");
  for (int d = 0; d < rank; d++) str_printf(&s, "%s%lld", d ? "," : "", (long long)dim[d]);
  str_put(&s, "]");
  return s.text;
}

static const char *count_text(Arena *a, int64_t n) { return arena_printf(a, "%lld", (long long)n); }

/* Nodes that an output needs (all results', when there is no output), by id. */
static bool *needed_nodes(const Graph *g, Arena *a) {
  bool *needed = ARENA_ARRAY(a, bool, g->nodes.count + 1), any = false;
  for (int i = 0; i < g->results.count; i++)
    if (g->results.at[i].kind == RESULT_OUTPUT) needed[g->results.at[i].node->id] = any = true;
  for (int i = 0; !any && i < g->results.count; i++) needed[g->results.at[i].node->id] = true;
  for (int i = g->nodes.count - 1; i >= 0; i--)
    for (int k = 0; needed[i] && k < g->nodes.at[i]->nin; k++)
      if (g->nodes.at[i]->in[k]) needed[g->nodes.at[i]->in[k]->id] = true;
  return needed;
}

typedef struct {
  int64_t trainable, frozen;
} Counts;

static void count_parameters(const Node *n, bool *counted, Counts *c) {
  for (int k = 0; k < n->nin; k++) {
    const Node *p = n->in[k];
    if (!p || p->op != OP_param || counted[p->id]) continue;
    counted[p->id] = true;
    *(node_bool(p, "trainable") ? &c->trainable : &c->frozen) += type_elements(&p->type);
  }
}

/* One layer, as a row of the table and, where JSON is wanted, of that. */
static void add_layer(Arena *a, Table *table, json_object_t *list, const Node *n, Counts own) {
  const char *label = n->label ? n->label : "";
  table_row(table, label, op_info[n->op].name, shape_of(a, n->type.rank, n->type.dim),
            count_text(a, own.trainable));
  if (!list) return;
  json_object_t *row = json_append(list);
  json_text_at(row, "layer", label);
  json_text_at(row, "op", op_info[n->op].name);
  json_integers_at(row, "shape", n->type.rank, n->type.dim);
  json_integer_at(row, "parameters", own.trainable);
}

static void print_graph(Tool *t, const Graph *g, json_object_t *json) {
  Arena *a = t->arena;
  json_object_t *list = json ? json_list_at(json, "layers") : NULL;
  bool *needed = needed_nodes(g, a), *counted = ARENA_ARRAY(a, bool, g->nodes.count + 1);
  Counts total = {0, 0};
  Table table = table_new(a, "lllr");
  table_row(&table, "layer", "op", "output shape", "parameters");
  for (int i = 0; i < g->nodes.count; i++) {
    const Node *n = g->nodes.at[i];
    if (!needed[i] || op_info[n->op].kind == KIND_LEAF) continue;
    Counts own = {0, 0};
    count_parameters(n, counted, &own);
    total.trainable += own.trainable;
    total.frozen += own.frozen;
    add_layer(a, &table, list, n, own);
  }
  if (json) {
    json_integer_at(json, "parameters", total.trainable);
    json_integer_at(json, "frozen", total.frozen);
    return;
  }
  table_row(&table, "Total", "", "", count_text(a, total.trainable));
  if (total.frozen) table_row(&table, "Frozen", "", "", count_text(a, total.frozen));
  table_print(&table, stdout);
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
  if (g)
    print_graph(t, g, json);
  else
    print_parameters(t, json);
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
