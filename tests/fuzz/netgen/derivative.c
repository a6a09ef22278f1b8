/* The gradients of a whole network against differences: along a random direction v of all leaves
 * that have one,
 *
 *   sum over leaves of <dL/dx, v>  =  (L(x + h v) - L(x - h v)) / 2h  +  O(h^2)
 *
 * by the interpreter, on the graph as the grad pass leaves it. Differences for h and h/2 that
 * disagree show a kink or a stiff network, and bound the error. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "ir/interp.h"
#include "netgen.h"
#include "passes/pipeline.h"
#include "tests/golden/golden.h"

enum { BATCH = 2 };

const Result *netgen_loss(const Graph *g) {
  for (int i = 0; i < g->results.count; i++)
    if (g->results.at[i].kind == RESULT_LOSS) return &g->results.at[i];
  return NULL;
}

/* The derivative of detach is not the one it has by definition. */
static bool is_honest(const Graph *g) {
  for (int i = 0; i < g->nodes.count; i++)
    if (g->nodes.at[i]->op == OP_detach) return false;
  return true;
}

static double direction(uint64_t seed, int64_t i) {
  return rng_chance(&(Rng){seed + (uint64_t)i * 7919}, 50) ? 1 : -1;
}

/* The network at x + step * v. */
static Interp *moved(Arena *a, const Graph *g, uint64_t seed, double step) {
  OpError e = {.arena = a};
  Interp *p = interp_new(a, g, BATCH, false, &e);
  if (!p) return NULL;
  interp_random(p, seed, 1);
  interp_randomize(p, seed);
  for (int i = 0; i < g->results.count; i++) {
    const Result *r = &g->results.at[i];
    if (r->kind != RESULT_GRAD) continue;
    int64_t count;
    double *x = interp_leaf(p, r->target, &count);
    for (int64_t k = 0; k < count; k++) x[k] += step * direction(seed + (uint64_t)i, k);
  }
  return interp_run(p, &e) ? p : NULL;
}

static double loss_at(Arena *a, const Graph *g, uint64_t seed, double step) {
  Interp *p = moved(a, g, seed, step);
  return p ? interp_value(p, netgen_loss(g)->node)->data[0] : NAN;
}

/* <dL/dx, v>, and the sum of the terms' sizes. */
static double slope(Arena *a, const Graph *g, uint64_t seed, double *size) {
  Interp *p = moved(a, g, seed, 0);
  double sum = 0;
  for (int i = 0; p && i < g->results.count; i++) {
    const Result *r = &g->results.at[i];
    if (r->kind != RESULT_GRAD) continue;
    const Tensor *d = interp_value(p, r->node);
    for (int64_t k = 0; k < d->n * type_elements(&d->type); k++) {
      sum += d->data[k] * direction(seed + (uint64_t)i, k);
      *size += fabs(d->data[k]);
    }
  }
  return p ? sum : NAN;
}

/* Central differences of L at step h, and the change of slope across [-h, h]. */
typedef struct {
  double slope, bend;
} Difference;

static Difference difference(Arena *a, const Graph *g, uint64_t seed, double at, double h) {
  double high = loss_at(a, g, seed, h), low = loss_at(a, g, seed, -h);
  return (Difference){(high - low) / (2 * h), (high - 2 * at + low) / h};
}

/* A kink at distance d < h moves the slope at h and at h/2 by as much when d is small; but the
 * bend, which is h L'' of a smooth L, then stays as it is from h to h/2. */
static void compare_slopes(Arena *a, const Graph *g, uint64_t seed, const char *program) {
  const double h = 1e-4;
  double size = 0, is = slope(a, g, seed, &size), at = loss_at(a, g, seed, 0);
  Difference whole = difference(a, g, seed, at, h), half = difference(a, g, seed, at, h / 2);
  double should = (4 * half.slope - whole.slope) / 3;
  double kink = fabs(half.slope - whole.slope) + fabs(whole.bend - 2 * half.bend);
  double room = 1e-6 * (size + fabs(at)) + 4 * kink;
  if (isfinite(is) && isfinite(should) && !(fabs(is - should) <= room))
    fail_msg("derivative (%s): %.12g along a direction, by differences %.12g (room %g)", program,
             is, should, room);
}

void netgen_check_derivatives(const Graph *source, uint64_t seed) {
  Arena *a = arena_new();
  for (int p = PROGRAM_GRAD; p <= PROGRAM_GRAD_EVAL && netgen_loss(source) && is_honest(source);
       p++) {
    PassOptions o = {.stop_after = "grad", .diags = diags_new(a, sources_new(a))};
    Graph *g = pipeline_run(source, (Program)p, a, &o);
    golden_stop_on_errors(o.diags);
    compare_slopes(a, g, seed, program_name[p]);
  }
  arena_free(a);
}
