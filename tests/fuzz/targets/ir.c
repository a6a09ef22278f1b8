/* IR text: refused with one error, or it verifies, prints as text that parses back to the same, and
 * small graphs are interpreted. */
#include <stdio.h>
#include <string.h>

#include "ir/interp.h"
#include "targets.h"

enum { SMALL = 2000 };

static Graph *parsed(Arena *a, const char *text, size_t size, int *errors) {
  Diags *d = diags_new(a, sources_new(a));
  Graph *g = ir_parse(a, d, sources_add(d->sources, "fuzz.ir", text, size));
  *errors = d->errors;
  return g;
}

static const char *printed(const Graph *g) {
  Str s = str_new(g->arena);
  ir_print(g, &s);
  return s.text;
}

static void check_text(const Graph *g) {
  int errors;
  const char *once = printed(g);
  Graph *again = parsed(g->arena, once, strlen(once), &errors);
  if (!again || strcmp(once, printed(again)) != 0) fuzz_broken("the printed graph is another");
}

static bool is_small(const Graph *g) {
  int64_t total = 0;
  for (int i = 0; i < g->nodes.count && total < SMALL; i++) {
    if (g->nodes.at[i]->op == OP_grad) return false;
    total += type_elements(&g->nodes.at[i]->type);
  }
  return total < SMALL;
}

static void interpret(const Graph *g, bool training) {
  OpError e = {.arena = g->arena};
  Interp *p = interp_new(g->arena, g, 2, training, &e);
  if (!p) return; /* the expansion may be large */
  interp_randomize(p, 1);
  if (!interp_run(p, &e)) fuzz_broken(e.text);
}

int fuzz_ir(const uint8_t *data, size_t size) {
  Arena *a = arena_new();
  int errors;
  Graph *g = parsed(a, (const char *)data, size, &errors);
  if (errors != !g) fuzz_broken(g ? "a graph with errors" : "no graph, and not one error");
  if (g) {
    check_text(g);
    if (is_small(g)) interpret(g, size & 1);
  }
  arena_free(a);
  return 0;
}
