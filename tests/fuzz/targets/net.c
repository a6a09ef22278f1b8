/* .net text: a graph that verifies, prints and parses back, or errors. Includes find no file. */
#include <stdio.h>
#include <string.h>

#include "frontend/frontend.h"
#include "targets.h"

static const char *printed(const Graph *g) {
  Str s = str_new(g->arena);
  ir_print(g, &s);
  return s.text;
}

static void check_graph(const Graph *g) {
  const char *why = ir_verify(g, g->arena), *once = printed(g);
  if (why) fuzz_broken(why);
  Diags *d = diags_new(g->arena, sources_new(g->arena));
  Graph *again = ir_parse(g->arena, d, sources_add(d->sources, "fuzz.ir", once, strlen(once)));
  if (!again) diags_print(d, stderr, false);
  if (!again || strcmp(once, printed(again)) != 0) fuzz_broken("the printed graph is another");
}

int fuzz_net(const uint8_t *data, size_t size) {
  static FILE *nowhere;
  if (!nowhere) nowhere = fopen("/dev/null", "w");
  Arena *a = arena_new();
  Diags *d = diags_new(a, sources_new(a));
  Graph *g = frontend_load(a, d, fuzz_file(data, size), &(FrontendOptions){0});
  if (!g != !!d->errors) fuzz_broken(g ? "a graph with errors" : "no graph and no error");
  if (g) check_graph(g);
  diags_print(d, nowhere, false);
  arena_free(a);
  return 0;
}
