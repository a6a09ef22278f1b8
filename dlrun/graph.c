#include "dlrun/graph.h"

#include <string.h>

Graph *graph_load(Tool *t, Diags **diags) {
  if (!t->model->ir)
    return fault(&t->fault, "%s was compiled without its graph (--no-ir)", t->model->name), NULL;
  Sources *sources = sources_new(t->arena);
  *diags = diags_new(t->arena, sources);
  int file =
      sources_add(sources, "the graph inside the network", t->model->ir, strlen(t->model->ir));
  Graph *g = ir_parse(t->arena, *diags, file);
  if (g) return g;
  t->fault.internal = true;
  const char *why = (*diags)->list.count ? (*diags)->list.at[0].text : "no reason given";
  return fault(&t->fault, "%s: its graph cannot be read: %s", t->model->name, why), NULL;
}
