/* Optimizer updates against numbers from PyTorch (torch.optim in float64): three steps on one
 * parameter of three elements, given gradients, through the program `apply`. */
#include "tests/passes/fixture.h"

static const double start[] = {0.5, -1.25, 2.0};
static const double gradient[3][3] = {{0.1, -0.2, 0.3}, {-0.4, 0.05, 0.6}, {0.7, 0.8, -0.9}};

typedef struct {
  const char *optimizer;
  double beta1, beta2;
  double param[3];
  struct {
    const char *name;
    double value[3];
  } state[2];
} Case;

static const Case cases[] = {
    {"sgd {lr=0.1}", 0, 0, {0.46, -1.315, 2.0}, {{0}}},
    {"sgd {lr=0.1, weight_decay=0.05}",
     0,
     0,
     {0.4524371875, -1.2965180937499998, 1.9707489999999999},
     {{0}}},
    {"sgd {lr=0.1, momentum=0.9, weight_decay=0.05}",
     0,
     0,
     {0.46492468750000004, -1.2507418437499997, 1.8397089999999998},
     {{"momentum_buffer", {0.48887812499999983, 0.5173559375, 0.14490999999999998}}}},
    {"sgd {lr=0.1, momentum=0.9, nesterov=true}",
     0,
     0,
     {0.44100999999999996, -1.34677, 1.90523},
     {{"momentum_buffer", {0.42099999999999993, 0.683, -0.11699999999999999}}}},
    {"adam {lr=0.1}",
     0.9,
     0.999,
     {0.4228415530469759, -1.1558697079860296, 1.810141704240801},
     {{"exp_avg", {0.042099999999999985, 0.06829999999999999, -0.011699999999999997}},
      {"exp_avg_sq", {0.0006598200100000005, 0.0006824175400000007, 0.0012594600900000012}}}},
    {"adam {lr=0.1, beta1=0.8, beta2=0.95, eps=1e-4, weight_decay=0.05}",
     0.8,
     0.95,
     {0.41244218004129723, -1.1344691463846568, 1.801101815300201},
     {{"exp_avg", {0.09974558758830614, 0.11435817475423314, 0.00041249008429783467}},
      {"exp_avg_sq", {0.03368048636768884, 0.030922382734229276, 0.06296379269512027}}}},
    {"adamw {lr=0.1, weight_decay=0.02}",
     0.9,
     0.999,
     {0.42013524831204563, -1.1488781915938486, 1.798758324628576},
     {{"exp_avg", {0.042099999999999985, 0.06829999999999999, -0.011699999999999997}},
      {"exp_avg_sq", {0.0006598200100000005, 0.0006824175400000007, 0.0012594600900000012}}}},
    {"rmsprop {lr=0.1}",
     0,
     0,
     {-0.3923883214248648, -1.4626323688427962, 0.9081819271297151},
     {{"square_avg", {0.006582010000000005, 0.006816790000000007, 0.012546090000000011}}}},
    {"rmsprop {lr=0.1, alpha=0.9, eps=1e-3, momentum=0.5, weight_decay=0.05}",
     0,
     0,
     {0.13345485211887198, -1.0098663345590826, 1.273739050004484},
     {{"square_avg", {0.06637600402001523, 0.06345466274494095, 0.1252131780190786}},
      {"momentum_buffer", {2.041587211060447, 2.246458088030637, -0.19799848238158235}}}},
};
enum { CASES = sizeof cases / sizeof cases[0] };

static Graph *network(Arena *a, const char *train) {
  return parse(a, arena_printf(a,
                               "graph g {\n  train { %s }\n"
                               "  %%0 = param {name=\"p\", shape=[3], init=constant(0)}\n"
                               "  %%1 = param {name=\"q\", shape=[2], init=constant(0)}\n"
                               "  %%2 = square(%%0)\n  %%3 = sum(%%2)\n"
                               "  %%4 = square(%%1)\n  %%5 = sum(%%4)\n  %%6 = add(%%3, %%5)\n"
                               "  loss = %%6\n}\n",
                               train));
}

/* Every leaf of the program 0, but the parameters. */
static Interp *started(Arena *a, const Graph *g) {
  Interp *p = interpreted(a, g, 1, true, 1);
  for (int i = 0; i < g->nodes.count; i++) {
    if (g->nodes.at[i]->op != OP_buffer) continue;
    int64_t count;
    double *leaf = interp_leaf(p, g->nodes.at[i], &count);
    memset(leaf, 0, (size_t)count * sizeof *leaf);
  }
  assert_true(interp_bind(p, "p", start, 3));
  assert_true(interp_bind(p, "q", (double[]){1, 2}, 2));
  return p;
}

/* One step; the assigned values are all taken before any is stored. */
static void one_step(Arena *a, const Graph *g, Interp *p, const Case *c, int t) {
  interp_hyper(p, "lr", 0.1);
  interp_hyper(p, "bias_correction1", 1 - pow(c->beta1, t));
  interp_hyper(p, "bias_correction2", 1 - pow(c->beta2, t));
  run_again(p, a);
  double *value[16];
  assert_true(g->results.count <= 16);
  for (int i = 0; i < g->results.count; i++) {
    const Tensor *t_i = interp_value(p, g->results.at[i].node);
    value[i] = ARENA_ARRAY(a, double, type_elements(&t_i->type));
    memcpy(value[i], t_i->data, (size_t)type_elements(&t_i->type) * sizeof *value[i]);
  }
  for (int i = 0; i < g->results.count; i++) {
    int64_t count;
    double *leaf = interp_leaf(p, g->results.at[i].target, &count);
    memcpy(leaf, value[i], (size_t)count * sizeof *leaf);
  }
}

static void assert_values(Interp *p, const char *name, const double *expected, int n) {
  int64_t count;
  const double *is = interp_leaf_named(p, name, &count);
  assert_non_null(is);
  assert_int_equal(count, n);
  for (int i = 0; i < n; i++) assert_close(is[i], expected[i], 1e-13);
}

static void check_case(Arena *a, const Case *c, int level) {
  Graph *g = program(a, network(a, arena_printf(a, "optimizer %s", c->optimizer)), PROGRAM_APPLY,
                     "clean", level);
  Interp *p = started(a, g);
  for (int t = 1; t <= 3; t++) {
    assert_true(interp_bind(p, "gradient.p", gradient[t - 1], 3));
    one_step(a, g, p, c, t);
  }
  assert_values(p, "p", c->param, 3);
  int states = 0;
  for (; states < 2 && c->state[states].name; states++)
    assert_values(p, arena_printf(a, "optimizer.p.%s", c->state[states].name),
                  c->state[states].value, 3);
  assert_int_equal(count_op(g, OP_buffer),
                   2 * (1 + states)); /* of p and q: the gradient, and no other state */
}

static void test_as_pytorch(void **state) {
  for (int i = 0; i < CASES; i++) check_case(*state, &cases[i], 2);
}

static void test_as_pytorch_without_optimisation(void **state) {
  for (int i = 0; i < CASES; i++) check_case(*state, &cases[i], 0);
}

/* clip_grad_norm_ over both parameters: the first and last step are clipped, the second is too. */
static void test_clipping(void **state) {
  static const double other[3][2] = {{0.3, 0.4}, {0.01, 0.02}, {-1.0, 2.0}};
  Graph *source = network(*state, "optimizer sgd {lr=0.1} clip_grad_norm 0.75");
  Graph *g = program(*state, source, PROGRAM_APPLY, "clean", 2);
  Interp *p = started(*state, g);
  for (int t = 0; t < 3; t++) {
    interp_bind(p, "gradient.p", gradient[t], 3);
    interp_bind(p, "gradient.q", other[t], 2);
    one_step(*state, g, p, &cases[0], t + 1);
  }
  assert_values(p, "p", (double[]){0.5100712800923092, -1.2577756798945037, 1.9356226398813168}, 3);
  assert_values(p, "q", (double[]){0.9974695998681298, 1.9010608002637404}, 2);
}

/* The order of updates is the parameters', and a network without a train block steps by plain SGD.
 */
static void test_order_and_default(void **state) {
  Graph *g = program(*state, network(*state, "optimizer adam {lr=0.1}"), PROGRAM_TRAIN, "grad", 2);
  const char *const order[] = {"optimizer.p.exp_avg", "optimizer.p.exp_avg_sq", "p",
                               "optimizer.q.exp_avg", "optimizer.q.exp_avg_sq", "q"};
  int k = 0;
  for (int i = 0; i < g->results.count; i++)
    if (g->results.at[i].kind == RESULT_ASSIGN)
      assert_string_equal(g->results.at[i].name, order[k++]);
  assert_int_equal(k, 6);
  Graph *plain = network(*state, "batch 4");
  plain->train.optimizer = (TrainItem){0};
  plain = program(*state, plain, PROGRAM_TRAIN, "clean", 2);
  Interp *p = started(*state, plain);
  interp_hyper(p, "lr", 0.01);
  run_again(p, *state);
  const double *is = interp_value(p, result(plain, RESULT_ASSIGN, "p")->node)->data;
  for (int i = 0; i < 3; i++) assert_close(is[i], start[i] - 0.01 * 2 * start[i], 1e-15);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_as_pytorch),
      TEST(test_as_pytorch_without_optimisation),
      TEST(test_clipping),
      TEST(test_order_and_default),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
