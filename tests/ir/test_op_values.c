/* Ops against PyTorch: op_values.txt holds graphs with the values, gradients and stored statistics
 * that PyTorch computes in double for them (op_values.py wrote it, and says what the leaves hold).
 */
#include "tests/ir/fixture.h"

#include <math.h>
#include <stdlib.h>

#include "ir/interp.h"
#include "passes/expand.h"
#include "passes/grad.h"

enum { BATCH = 2, LEAVES = 5, NUMBERS = 512 };

typedef struct {
  int count; /* -1: not in the file */
  double at[NUMBERS];
} Numbers;

typedef struct {
  char name[80], kinds[LEAVES + 1], graph[2048];
  bool training;
  Numbers given[LEAVES], value, grad[LEAVES], assigned[LEAVES];
} Values;

/* ---- the file ---- */

static void values_clear(Values *v) {
  memset(v, 0, sizeof *v);
  v->value.count = -1;
  for (int i = 0; i < LEAVES; i++) v->given[i].count = v->grad[i].count = v->assigned[i].count = -1;
}

static void read_numbers(Numbers *n, const char *text) {
  char *end;
  n->count = 0;
  for (double x = strtod(text, &end); end != text; x = strtod(text, &end)) {
    assert_true(n->count < NUMBERS);
    n->at[n->count++] = x;
    text = end;
  }
}

static void read_line(Values *v, const char *line) {
  const char *numbers = strchr(line, ':');
  int k = 0;
  if (sscanf(line, " kinds: %5s", v->kinds) == 1)
    v->training = strstr(line, "training") != NULL;
  else if (line[0] == '|')
    strncat(v->graph, line + 1, sizeof v->graph - strlen(v->graph) - 1);
  else if (sscanf(line, " given %d", &k) == 1)
    read_numbers(&v->given[k], numbers + 1);
  else if (sscanf(line, " grad %d", &k) == 1)
    read_numbers(&v->grad[k], numbers + 1);
  else if (sscanf(line, " assigned %d", &k) == 1)
    read_numbers(&v->assigned[k], numbers + 1);
  else if (!strncmp(line, "  value", 7))
    read_numbers(&v->value, numbers + 1);
  else
    fail_msg("op_values.txt: %s", line);
}

/* ---- a case ---- */

typedef struct {
  Arena *arena;
  const Values *v;
  Graph *graph;
  Interp *interp;
  Node *y, *c, *leaf[LEAVES], *target[LEAVES], *grad[LEAVES];
  int of[LEAVES], ntargets; /* of: which leaf a target is */
} Case;

static double formula(char kind, int k, int64_t i) {
  double r = (double)((i * 37 + k * 11 + 5) % 23);
  return kind == 'f' ? (r - 11) / 4 : kind == 'l' ? (double)((i * 2 + 1) % 3) : (r + 1) / 25;
}

static Node *find_leaf(const Graph *g, const char *name) {
  Node *n = ir_find_leaf(g, OP_input, name);
  if (!n) n = ir_find_leaf(g, OP_param, name);
  return n ? n : ir_find_leaf(g, OP_buffer, name);
}

static void case_open(Case *c) {
  Str text = str_new(c->arena);
  str_printf(&text, "graph t {\n%s}\n", c->v->graph);
  c->graph = parse(c->arena, text.text);
  expand_nodes(c->graph, c->v->training, false, c->arena);
  c->y = c->graph->results.at[0].node;
  for (int k = 0; c->v->kinds[k]; k++) {
    c->leaf[k] = find_leaf(c->graph, arena_printf(c->arena, "x%d", k));
    assert_non_null(c->leaf[k]);
    if (c->v->grad[k].count < 0) continue;
    c->of[c->ntargets] = k;
    c->target[c->ntargets++] = c->leaf[k];
  }
}

/* L = sum(c y) */
static void case_differentiate(Case *c) {
  Graph *g = c->graph;
  const Type *t = &c->y->type;
  int64_t dims[LIMIT_RANK];
  for (int d = 0; d < t->rank; d++) dims[d] = d;
  Attr shape = attr_ints(t->rank, t->dim);
  Attr input[] = {attr_str("c"), attr_int(0), shape, attr_words("f32")};
  c->c = ir_make(g, OP_input, 0, NULL, input);
  Node *loss = ir_sum(g, ir_binary(g, OP_mul, c->y, c->c), t->rank, dims, true);
  assert_true(grad_build(g, loss, c->target, c->ntargets, c->grad));
}

static void case_fill(Case *c) {
  int64_t count;
  for (int k = 0; c->v->kinds[k]; k++) {
    double *x = interp_leaf(c->interp, c->leaf[k], &count);
    const Numbers *given = &c->v->given[k];
    if (given->count >= 0) assert_int_equal(given->count, count);
    for (int64_t i = 0; i < count; i++)
      x[i] = given->count >= 0 ? given->at[i] : formula(c->v->kinds[k], k, i);
  }
  double *x = interp_leaf(c->interp, c->c, &count);
  for (int64_t i = 0; i < count; i++) x[i] = ((double)((i * 13 + 1) % 7) - 3) / 2;
}

static bool is_close(double x, double y) {
  if (isnan(x) || isnan(y)) return isnan(x) && isnan(y);
  return x == y || fabs(x - y) <= 1e-11 + 1e-10 * fabs(y);
}

static void compare(const Case *c, const char *what, int k, const Node *n, const Numbers *want) {
  const Tensor *t = interp_value(c->interp, n);
  if (t->n * type_elements(&t->type) != want->count)
    fail_msg("%s: %s %d has %lld elements, PyTorch's %d", c->v->name, what, k,
             (long long)(t->n * type_elements(&t->type)), want->count);
  for (int i = 0; i < want->count; i++)
    if (!is_close(t->data[i], want->at[i]))
      fail_msg("%s: %s %d, element %d is %.13g, PyTorch's %.13g", c->v->name, what, k, i,
               t->data[i], want->at[i]);
}

static void check(const Values *v) {
  Case c = {.arena = arena_new(), .v = v};
  OpError e = {.arena = c.arena};
  case_open(&c);
  case_differentiate(&c);
  c.interp = interp_new(c.arena, c.graph, BATCH, v->training, &e);
  assert_non_null(c.interp);
  case_fill(&c);
  assert_true(interp_run(c.interp, &e));
  compare(&c, "value", 0, c.y, &v->value);
  for (int i = 0; i < c.ntargets; i++)
    compare(&c, "gradient", c.of[i], c.grad[i], &v->grad[c.of[i]]);
  int assigns = 0;
  for (int i = 1; i < c.graph->results.count; i++, assigns++)
    compare(&c, "assigned", assigns, c.graph->results.at[i].node, &v->assigned[assigns]);
  assert_int_equal(assigns, v->training ? 2 : 0);
  arena_free(c.arena);
}

static void as_pytorch(void **state) {
  (void)state;
  static Values v;
  static char line[8192];
  int cases = 0;
  FILE *f = fopen(TEST_SOURCE_DIR "/tests/ir/op_values.txt", "r");
  assert_non_null(f);
  values_clear(&v);
  while (fgets(line, sizeof line, f)) {
    if (strncmp(line, "case ", 5) != 0) {
      read_line(&v, line);
      continue;
    }
    if (cases++) check(&v);
    values_clear(&v);
    snprintf(v.name, sizeof v.name, "%.*s", (int)strcspn(line + 5, "\n"), line + 5);
  }
  check(&v);
  fclose(f);
  assert_true(cases >= 140);
}

/* ---- what no difference and no formula shows ---- */

/* The values of `line` of x0 for these doubles, one sample an element. */
static void values_of(Arena *a, const char *line, int n, const double *x, double *y) {
  OpError e = {.arena = a};
  Graph *g = parse(a, arena_printf(a,
                                   "graph t { %%0 = input {name=x0, shape=[], elem=\"f32\"}\n"
                                   "%%1 = %s output y = %%1 }",
                                   line));
  Interp *p = interp_new(a, g, n, false, &e);
  assert_true(interp_bind(p, "x0", x, n) && interp_run(p, &e));
  memcpy(y, interp_value(p, g->results.at[0].node)->data, (size_t)n * sizeof *y);
}

static void nan_stays(void **state) {
  static const char *const lines[] = {
      "relu(%0)",   "relu6(%0)",    "leaky_relu(%0)", "elu(%0)",          "selu(%0)",
      "gelu(%0)",   "silu(%0)",     "sigmoid(%0)",    "hard_sigmoid(%0)", "hard_swish(%0)",
      "tanh(%0)",   "softplus(%0)", "sign(%0)",       "abs(%0)",          "clamp(%0) {lo=0, hi=1}",
      "square(%0)", "exp(%0)",      "log(%0)",        "sqrt(%0)"};
  double x = NAN, y;
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
    values_of(*state, lines[i], 1, &x, &y);
    if (!isnan(y)) fail_msg("%s loses a NaN", lines[i]);
  }
}

static void far_from_zero(void **state) {
  double x[] = {-1000, 1000, -INFINITY, INFINITY}, y[4];
  values_of(*state, "sigmoid(%0)", 4, x, y);
  assert_true(y[0] == 0 && y[1] == 1 && y[2] == 0 && y[3] == 1);
  values_of(*state, "softplus(%0)", 4, x, y);
  assert_true(y[0] == 0 && y[1] == 1000 && y[2] == 0 && y[3] == INFINITY);
  values_of(*state, "elu(%0)", 4, x, y);
  assert_true(y[0] == -1 && y[1] == 1000 && y[2] == -1 && y[3] == INFINITY);
}

/* bce and its gradient are finite for probabilities of exactly 0 and 1; 0 log 0 is 0 in kl_div. */
static void certain_probabilities(void **state) {
  Arena *a = *state;
  OpError e = {.arena = a};
  Graph *g = parse(a,
                   "graph t { %0 = input {name=p, shape=[], elem=\"f32\"}\n"
                   "%1 = input {name=q, shape=[], elem=\"f32\"}\n"
                   "%2 = bce(%0, %1) %3 = grad(%2, %0) %4 = kl_div(%0, %1)\n"
                   "output a = %2 output b = %3 output c = %4 }");
  expand_nodes(g, false, false, a);
  grad_resolve(g, a);
  Interp *p = interp_new(a, g, 4, false, &e);
  assert_true(interp_bind(p, "p", (double[]){0, 1, 0, 1}, 4));
  assert_true(interp_bind(p, "q", (double[]){0, 1, 1, 0}, 4) && interp_run(p, &e));
  const double *loss = interp_value(p, g->results.at[0].node)->data;
  const double *grad = interp_value(p, g->results.at[1].node)->data;
  const double *kl = interp_value(p, g->results.at[2].node)->data;
  assert_true(loss[0] == 0 && loss[1] == 0 && loss[2] == 100 && loss[3] == 100);
  for (int i = 0; i < 4; i++) assert_true(isfinite(grad[i]));
  assert_true(kl[0] == 0 && kl[1] == -1 && kl[2] == 0 && kl[3] == 0);
}

/* Deviation 1 around a mean of 1e4: the moments are taken in two passes. */
static void standardize_far_from_zero(void **state) {
  Arena *a = *state;
  OpError e = {.arena = a};
  Graph *g = parse(a,
                   "graph t { %0 = input {name=x, shape=[4], elem=\"f32\"}\n"
                   "%1 = standardize(%0) {dims=[0], batch=true, eps=0} output y = %1 }");
  Interp *p = interp_new(a, g, 1, true, &e);
  assert_true(interp_bind(p, "x", (double[]){1e9 + 1, 1e9 - 1, 1e9 + 1, 1e9 - 1}, 4));
  assert_true(interp_run(p, &e));
  const double *y = interp_value(p, g->results.at[0].node)->data;
  for (int i = 0; i < 4; i++) assert_true(fabs(y[i] - (i % 2 ? -1 : 1)) <= 1e-9);
}

/* A mask is 0 or 1, 1 as often as asked, and the same for the same seed, step and stream only. */
static void masks(void **state) {
  Arena *a = *state;
  OpError e = {.arena = a};
  enum { COUNT = 20000 };
  Graph *g = parse(a,
                   "graph t { %0 = input {name=x, shape=[20000], elem=\"f32\"}\n"
                   "%1 = dropout(%0) {p=0.25} %2 = bernoulli_mask(%0) {keep=0.25}\n"
                   "%3 = dropout(%0) {p=1} %4 = random_uniform(%0) {lo=2, hi=4, stream=9}\n"
                   "output a = %1 output b = %2 output c = %3 output d = %4 }");
  Interp *p = interp_new(a, g, 1, true, &e);
  double *x = interp_leaf_named(p, "x", NULL), sum[4] = {0};
  for (int i = 0; i < COUNT; i++) x[i] = 1;
  interp_random(p, 5, 3);
  assert_true(interp_run(p, &e));
  const double *v[4];
  for (int k = 0; k < 4; k++) v[k] = interp_value(p, g->results.at[k].node)->data;
  for (int i = 0; i < COUNT; i++) {
    for (int k = 0; k < 4; k++) sum[k] += v[k][i] / COUNT;
    assert_true(v[0][i] == 0 || v[0][i] == 1 / 0.75);
    assert_true(v[1][i] == 0 || v[1][i] == 1);
    assert_true(v[3][i] >= 2 && v[3][i] < 4);
  }
  assert_true(fabs(sum[0] - 1) <= 0.02);
  assert_true(fabs(sum[1] - 0.25) <= 0.02);
  assert_true(sum[2] == 0);
  assert_true(fabs(sum[3] - 3) <= 0.02);
  for (uint64_t k = 0, i; k < 3; k++) {
    double first[64];
    memcpy(first, v[1], sizeof first);
    interp_random(p, k == 1 ? 6 : 5, k == 2 ? 4 : 3);
    assert_true(interp_run(p, &e));
    for (i = 0; i < 64 && first[i] == v[1][i];) i++;
    assert_int_equal(i == 64, k == 0);
    interp_random(p, 5, 3);
    assert_true(interp_run(p, &e));
  }
  for (int i = 0, differ = 0; i < 64; i++) {
    differ += (v[0][i] != 0) != (v[1][i] != 0);
    if (i == 63) assert_true(differ > 8); /* two streams */
  }
}

/* In training rrelu's slopes are spread over [lower, upper], one an element, and what is positive
 * stays; otherwise each is the mean. dropout2d keeps or drops all of a channel at once. */
static void random_layers(void **state) {
  Arena *a = *state;
  OpError e = {.arena = a};
  Graph *g = parse(a,
                   "graph t { %0 = input {name=x, shape=[1000,4], elem=\"f32\"}\n"
                   "%1 = rrelu(%0) {lower=0.2, upper=0.6} %2 = dropout2d(%0) {p=0.25}\n"
                   "output a = %1 output b = %2 }");
  enum { COUNT = 4000 };
  for (int training = 0; training < 2; training++) {
    Interp *p = interp_new(a, g, 1, training, &e);
    double *x = interp_leaf_named(p, "x", NULL), sum = 0, kept = 0, lowest = 1, highest = 0;
    for (int i = 0; i < COUNT; i++) x[i] = i % 4 ? -1 : 1;
    assert_true(interp_run(p, &e));
    const double *slope = interp_value(p, g->results.at[0].node)->data;
    const double *drop = interp_value(p, g->results.at[1].node)->data;
    for (int i = 0; i < COUNT; i++) {
      if (i % 4 == 0) assert_true(slope[i] == 1);
      if (i % 4 == 0) kept += drop[i] != 0;
      assert_true(drop[i] == (drop[i / 4 * 4] != 0 ? training ? x[i] / 0.75 : x[i] : 0));
      if (i % 4 == 0) continue;
      sum -= slope[i] / 3000;
      lowest = fmin(lowest, -slope[i]), highest = fmax(highest, -slope[i]);
    }
    assert_true(lowest >= 0.2 && highest <= 0.6 && fabs(sum - 0.4) <= 0.01);
    assert_true(training ? highest - lowest > 0.39 : highest - lowest < 1e-12);
    assert_true(training ? fabs(kept / 1000 - 0.75) <= 0.05 : kept == 1000);
  }
}

/* Among equal scores the lower class comes first; a NaN comes before all. */
static void top_k_of_ties(void **state) {
  Arena *a = *state;
  OpError e = {.arena = a};
  Graph *g = parse(a,
                   "graph t { %0 = input {name=x, shape=[4], elem=\"f32\"}\n"
                   "%1 = target {name=y, classes=4, shape=[], elem=\"i32\"}\n"
                   "%2 = top_k(%0, %1) {k=1} %3 = top_k(%0, %1) {k=2} %4 = accuracy(%0, %1)\n"
                   "output a = %2 output b = %3 output c = %4 }");
  static const double rows[][5] = {/* four scores and the label */
                                   {1, 1, 1, 1, 0},  {1, 1, 1, 1, 1},   {1, 1, 1, 1, 2},
                                   {0, 3, 3, 1, 2},  {0, 3, NAN, 5, 3}, {0, NAN, 2, 1, 1},
                                   {NAN, 7, 7, 7, 2}};
  enum { ROWS = sizeof rows / sizeof *rows };
  static const double first[ROWS] = {1, 0, 0, 0, 0, 0, 0}, second[ROWS] = {1, 1, 0, 1, 1, 0, 0};
  Interp *p = interp_new(a, g, ROWS, false, &e);
  double *x = interp_leaf_named(p, "x", NULL), *y = interp_leaf_named(p, "y", NULL);
  for (int i = 0; i < 4 * ROWS; i++) x[i] = rows[i / 4][i % 4];
  for (int i = 0; i < ROWS; i++) y[i] = rows[i][4];
  assert_true(interp_run(p, &e));
  const double *v[3];
  for (int k = 0; k < 3; k++) v[k] = interp_value(p, g->results.at[k].node)->data;
  for (int i = 0; i < ROWS; i++) {
    assert_true(v[0][i] == first[i] && v[1][i] == second[i]);
    if (i < 4) assert_true(v[2][i] == first[i]);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(as_pytorch),
                                     TEST(nan_stays),
                                     TEST(far_from_zero),
                                     TEST(certain_probabilities),
                                     TEST(standardize_far_from_zero),
                                     TEST(masks),
                                     TEST(random_layers),
                                     TEST(top_k_of_ties)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
