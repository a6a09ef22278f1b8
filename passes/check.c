#include "passes/check.h"

#include <math.h>
#include <string.h>

#include "ir/interp.h"
#include "passes/pass.h"

enum { CHECK_BATCH = 3, CHECK_SEED = 20240521, ROUND_BITS = 44, ROUNDINGS = 8 };

struct Check {
  Arena *arena;
  Graph *graph; /* a copy of what was interpreted */
  Interp *interp;
  Rounding rounding;
};

/* The data of `like`, where it has a leaf of that name: what is drawn for indices depends on the
 * graph. */
static void bind_leaves(Interp *i, const Graph *g, Interp *like, const Graph *old) {
  for (int k = 0; k < old->nodes.count; k++) {
    const Node *n = old->nodes.at[k];
    if (n->op != OP_input && n->op != OP_target && n->op != OP_param && n->op != OP_buffer)
      continue;
    const Node *same = ir_find_leaf(g, n->op, node_str(n, "name"));
    if (!same || !type_equal(&same->type, &n->type)) continue;
    int64_t count;
    double *to = interp_leaf(i, same, &count);
    memcpy(to, interp_leaf(like, n, NULL), (size_t)count * sizeof *to);
  }
}

static Interp *interpret(Graph *copy, Arena *a, const Check *like) {
  OpError e = {.arena = a};
  Program p = pass_program(copy);
  Interp *i = interp_new(a, copy, CHECK_BATCH, p == PROGRAM_TRAIN || p == PROGRAM_GRAD, &e);
  if (!i) return NULL;
  interp_random(i, CHECK_SEED, 1);
  if (like) bind_leaves(i, copy, like->interp, like->graph);
  interp_randomize(i, CHECK_SEED);
  return interp_run(i, &e) ? i : NULL;
}

Check *check_before(const Graph *g, Arena *scratch) {
  Check *c = ARENA_NEW(scratch, Check);
  c->arena = scratch;
  c->graph = ir_copy(g, scratch);
  c->interp = interpret(c->graph, scratch, NULL);
  c->rounding =
      (Rounding){.exact = c->interp, .arena = scratch, .bits = ROUND_BITS, .runs = ROUNDINGS};
  return c;
}

/* What expand makes of the loss (its mean over the batch) and of metrics (their sum). */
static Tensor shared(Arena *a, const Tensor *t, ResultKind kind) {
  if (kind != RESULT_LOSS && kind != RESULT_METRIC) return *t;
  Tensor s = *t;
  int64_t each = type_elements(&t->type);
  s.type.batched = false;
  s.n = 1;
  s.data = ARENA_ARRAY(a, double, each);
  for (int64_t i = 0; i < CHECK_BATCH * each; i++) s.data[i % each] += t->data[i % (t->n * each)];
  for (int64_t i = 0; kind == RESULT_LOSS && i < each; i++) s.data[i] /= CHECK_BATCH;
  return s;
}

static bool close_to(double a, double b, double size) {
  if (isnan(a) || isnan(b)) return isnan(a) && isnan(b);
  return a == b || fabs(a - b) <= 1e-9 * (1 + size);
}

/* The first element that differs, and by more than rounding alone moves it (`spread`: the network
 * amplifies it, or stands at a kink; NULL: by nothing); or -1. */
static int64_t difference(const Tensor *a, const Tensor *b, const double *spread) {
  int64_t count = a->n * type_elements(&a->type);
  double size = 0;
  if (count != b->n * type_elements(&b->type)) return 0;
  for (int64_t i = 0; i < count; i++)
    if (isfinite(a->data[i])) size = fmax(size, fabs(a->data[i]));
  for (int64_t i = 0; i < count; i++) {
    if (close_to(a->data[i], b->data[i], size)) continue;
    if (!spread || !(isinf(spread[i]) || fabs(a->data[i] - b->data[i]) <= spread[i])) return i;
  }
  return -1;
}

static const char *target_name(const Result *r) {
  return r->target ? node_str(r->target, "name") : "";
}

static const Result *find(const Graph *g, const Result *like) {
  for (int i = 0; i < g->results.count; i++) {
    const Result *r = &g->results.at[i];
    bool same_name =
        (!r->name && !like->name) || (r->name && like->name && !strcmp(r->name, like->name));
    if (r->kind == like->kind && same_name && !strcmp(target_name(r), target_name(like))) return r;
  }
  return NULL;
}

static bool compare(Check *c, const Result *old, const Interp *now, const Result *new,
                    const char *pass, Diags *d) {
  Tensor before = *interp_value(c->interp, old->node), after = *interp_value(now, new->node);
  Tensor spread = before;
  bool expanded = c->graph->program && !strcmp(pass, "expand");
  if (expanded) before = shared(c->arena, &before, old->kind);
  int64_t at = difference(&before, &after, NULL);
  if (at < 0) return true;
  spread.data = (double *)rounding_spread(&c->rounding, old->node);
  if (expanded) spread = shared(c->arena, &spread, old->kind);
  at = difference(&before, &after, spread.data);
  if (at < 0) return true;
  diag_error(d, old->node->span,
             "internal fault: pass '%s' changed the answer of '%s': %.17g became %.17g at %lld",
             pass, old->name ? old->name : "loss", before.data[at], after.data[at], (long long)at);
  return false;
}

void check_after(Check *c, const Graph *g, const char *pass, Diags *diags) {
  if (!c->interp) return;
  Graph *copy = ir_copy(g, c->arena);
  Interp *now = interpret(copy, c->arena, c);
  if (!now) {
    diag_error(diags, (Span){0}, "internal fault: after pass '%s' the graph cannot be interpreted",
               pass);
    return;
  }
  for (int i = 0; i < c->graph->results.count; i++) {
    const Result *old = &c->graph->results.at[i], *new = find(copy, old);
    if (new && !compare(c, old, now, new, pass, diags)) return;
  }
}
