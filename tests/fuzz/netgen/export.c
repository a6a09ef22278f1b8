/* A network with the interpreter's numbers, for an oracle outside this program
 * (tests/pytorch/netgen.py). */
#include <math.h>
#include <stdio.h>

#include "ir/index.h"
#include "ir/interp.h"
#include "ir/text.h"
#include "netgen.h"
#include "passes/pipeline.h"
#include "runtime/dlc.h"
#include "runtime/safetensors.h"
#include "tests/golden/golden.h"

enum { SAMPLES = 3, SPREAD_RUNS = 16, SPREAD_BITS = 44 };

typedef struct {
  Arena *arena;
  VEC(StTensor) list;
  VEC(const double *) data;
} Export;

/* Without its shape, which the graph tells. */
static void put(Export *e, const char *name, const double *data, int64_t count) {
  vec_push(e->arena, &e->list,
           ((StTensor){.name = name, .type = ST_F64, .rank = 1, .dim = {count}}));
  vec_push(e->arena, &e->data, data);
}

static bool is_data(const Node *n) {
  return n->op == OP_input || n->op == OP_target || n->op == OP_param || n->op == OP_buffer;
}

static void put_leaves(Export *e, Interp *p, const Graph *g, const char *mode) {
  for (int i = 0; i < g->nodes.count; i++) {
    const Node *n = g->nodes.at[i];
    if (!is_data(n)) continue;
    int64_t count;
    const double *x = interp_leaf(p, n, &count);
    put(e, arena_printf(e->arena, "%s.leaf.%s", mode, node_str(n, "name")), x, count);
  }
}

static void put_results(Export *e, Rounding *r, const Graph *g, const char *mode) {
  for (int i = 0; i < g->results.count; i++) {
    const Result *result = &g->results.at[i];
    const Tensor *t = interp_value(r->exact, result->node);
    int64_t count = t->n * type_elements(&t->type);
    const char *of = result->target ? node_str(result->target, "name") : result->name;
    const char *name = arena_printf(e->arena, "%s.%s", text_result[result->kind], of);
    put(e, arena_printf(e->arena, "%s.%s", mode, name), t->data, count);
    put(e, arena_printf(e->arena, "%s.spread.%s", mode, name), rounding_spread(r, result->node),
        count);
  }
}

/* What a session would refuse no oracle need know: indices are kept below what they are for. */
static void fold_indices(Interp *p, const Graph *g, const Graph *source, const IndexRange *range) {
  for (int i = 0; i < g->nodes.count; i++) {
    const Node *n = g->nodes.at[i];
    if (!is_data(n) || n->type.elem == ELEM_F32) continue;
    const IndexRange *r = &range[ir_find_leaf(source, n->op, node_str(n, "name"))->id];
    int64_t count, elements = type_elements(&n->type);
    double *x = interp_leaf(p, n, &count);
    for (int64_t k = 0; k < count; k++) {
      int32_t below = r->each ? r->each[k % elements] : r->all;
      if (below) x[k] = fmod(x[k], below);
    }
  }
}

static bool put_program(Export *e, const Graph *source, Program program, const char *mode) {
  Arena *a = e->arena;
  Span span;
  OpError error = {.arena = a};
  PassOptions o = {.stop_after = "grad", .diags = diags_new(a, sources_new(a))};
  const Graph *g = pipeline_run(source, program, a, &o);
  golden_stop_on_errors(o.diags);
  Interp *p = interp_new(a, g, SAMPLES, false, &error);
  const IndexRange *range = index_ranges(source, a, &error, &span);
  if (!p || !range) return false;
  interp_randomize(p, 1);
  fold_indices(p, g, source, range);
  if (!interp_run(p, &error)) return false;
  Rounding r = {.exact = p, .arena = a, .bits = SPREAD_BITS, .runs = SPREAD_RUNS};
  put_leaves(e, p, g, mode);
  put_results(e, &r, g, mode);
  return true;
}

static bool write_tensors(const Export *e, const char *path) {
  StWriter w;
  bool fine = st_create(&w, path, e->list.at, e->list.count, NULL, 0) == DLC_OK;
  for (int i = 0; fine && i < e->list.count; i++)
    fine = st_write(&w, e->data.at[i], (size_t)e->list.at[i].dim[0] * sizeof(double)) == DLC_OK;
  return fine && st_commit(&w) == DLC_OK;
}

static bool write_text(const Graph *g, Arena *a, const char *path) {
  FILE *f = fopen(path, "w");
  if (!f) return false;
  Str s = str_new(a);
  ir_print(g, &s);
  bool fine = fputs(s.text, f) >= 0;
  return !fclose(f) && fine;
}

bool netgen_export(const Graph *g, const char *stem) {
  Export e = {.arena = arena_new()};
  bool loss = netgen_loss(g);
  bool fine = put_program(&e, g, loss ? PROGRAM_GRAD_EVAL : PROGRAM_INFER, "eval") &&
              (!loss || put_program(&e, g, PROGRAM_GRAD, "train")) &&
              write_tensors(&e, arena_printf(e.arena, "%s.safetensors", stem)) &&
              write_text(g, e.arena, arena_printf(e.arena, "%s.ir", stem));
  arena_free(e.arena);
  return fine;
}
