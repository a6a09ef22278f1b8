/* The interpreter against numbers worked out by hand. */
#include "tests/ir/fixture.h"

#include <math.h>

#include "ir/interp.h"

static Interp *interpret(Arena *a, const Graph *g, int64_t n) {
  OpError e = {.arena = a};
  Interp *p = interp_new(a, g, n, false, &e);
  if (!p) fail_msg("%s", e.text);
  return p;
}

static void run(Interp *p, Arena *a) {
  OpError e = {.arena = a};
  if (!interp_run(p, &e)) fail_msg("%s", e.text);
}

static void bind(Interp *p, const char *name, int count, const double *data) {
  assert_true(interp_bind(p, name, data, count));
}

static void expect(const Interp *p, const Node *n, int count, const double *want) {
  const Tensor *t = interp_value(p, n);
  assert_int_equal(t->n * type_elements(&t->type), count);
  for (int i = 0; i < count; i++)
    if (!(fabs(t->data[i] - want[i]) <= 1e-14 * (1 + fabs(want[i]))))
      fail_msg("%%%d: element %d is %.17g, not %.17g", n->id, i, t->data[i], want[i]);
}

#define NUMBERS(...) \
  (int)(sizeof((double[]){__VA_ARGS__}) / sizeof(double)), (double[]) { __VA_ARGS__ }

static void elementwise_broadcasts(void **state) {
  Arena *a = *state;
  Graph *g =
      parse(a,
            "graph g { %0 = input {name=\"x\", shape=[2,1,2], elem=\"f32\"}"
            " %1 = param {name=\"w\", shape=[3,1], init=constant(0)}"
            " %2 = add(%0, %1) %3 = constant {value=10} %4 = mul(%1, %3)"
            " %5 = batch_size %6 = input {name=\"s\", shape=[], elem=\"f32\"} %7 = mul(%6, %5)"
            " %8 = sub(%1, %6) }");
  Interp *p = interpret(a, g, 2);
  bind(p, "x", NUMBERS(1, 2, 3, 4, 5, 6, 7, 8));
  bind(p, "w", NUMBERS(10, 20, 30));
  bind(p, "s", NUMBERS(0.5, -1));
  run(p, a);
  expect(p, g->nodes.at[2],
         NUMBERS(11, 12, 21, 22, 31, 32, 13, 14, 23, 24, 33, 34, 15, 16, 25, 26, 35, 36, 17, 18, 27,
                 28, 37, 38));
  expect(p, g->nodes.at[4], NUMBERS(100, 200, 300));
  expect(p, g->nodes.at[7], NUMBERS(1, -2));
  expect(p, g->nodes.at[8], NUMBERS(9.5, 19.5, 29.5, 11, 21, 31));
}

static void expansions_are_evaluated(void **state) {
  Arena *a = *state;
  Graph *g = parse(a,
                   "graph g { %0 = input {name=\"x\", shape=[2], elem=\"f32\"}"
                   " %1 = target {name=\"y\", classes=2, shape=[], elem=\"i32\"}"
                   " %2 = param {name=\"w\", shape=[2,2], init=constant(0)}"
                   " %3 = linear(%0, %2, _) {out=2, bias=false} %4 = cross_entropy(%3, %1)"
                   " %5 = dropout(%3) %6 = softmax(%3) }");
  Interp *p = interpret(a, g, 2);
  bind(p, "x", NUMBERS(1, 2, 0, 1));
  bind(p, "y", NUMBERS(1, 0));
  bind(p, "w", NUMBERS(1, 0, 1, 1)); /* row 0 takes x0, row 1 the sum */
  run(p, a);
  expect(p, g->nodes.at[3], NUMBERS(1, 3, 0, 1));
  expect(p, g->nodes.at[4], NUMBERS(log1p(exp(-2)), log1p(exp(1))));
  expect(p, g->nodes.at[5], NUMBERS(1, 3, 0, 1)); /* evaluation: no mask */
  expect(p, g->nodes.at[6],
         NUMBERS(1 / (1 + exp(2)), 1 / (1 + exp(-2)), 1 / (1 + exp(1)), 1 / (1 + exp(-1))));
}

static void training_is_asked_for(void **state) {
  Arena *a = *state;
  Graph *g = parse(a,
                   "graph g { %0 = input {name=\"x\", shape=[1000], elem=\"f32\"}"
                   " %1 = dropout(%0) {p=0.25} }");
  OpError e = {.arena = a};
  Interp *p = interp_new(a, g, 1, true, &e);
  double *x = interp_leaf_named(p, "x", NULL);
  for (int i = 0; i < 1000; i++) x[i] = 3;
  interp_random(p, 1, 1);
  run(p, a);
  const double *y = interp_value(p, g->nodes.at[1])->data;
  int kept = 0, changed = 0;
  double first[1000];
  for (int i = 0; i < 1000; i++) {
    assert_true(y[i] == 0 || fabs(y[i] - 4) < 1e-12);
    kept += y[i] != 0;
    first[i] = y[i];
  }
  assert_true(kept > 650 && kept < 850);
  interp_random(p, 1, 2);
  run(p, a);
  for (int i = 0; i < 1000; i++) changed += first[i] != y[i];
  assert_true(changed > 100);
}

static void values_follow_the_leaves(void **state) {
  Arena *a = *state;
  Graph *g = parse(a,
                   "graph g { %0 = param {name=\"w\", shape=[2], init=constant(0)} %1 = square(%0)"
                   " %2 = hyper {name=\"lr\"} %3 = mul(%1, %2) }");
  Interp *p = interpret(a, g, 1);
  int64_t count;
  double *w = interp_leaf(p, g->nodes.at[0], &count);
  assert_int_equal(count, 2);
  w[0] = 3, w[1] = 4;
  interp_hyper(p, "lr", 0.5);
  run(p, a);
  expect(p, g->nodes.at[3], NUMBERS(4.5, 8));
  w[0] = 1;
  run(p, a);
  expect(p, g->nodes.at[3], NUMBERS(0.5, 8));
}

static void what_is_wrong_is_said(void **state) {
  Arena *a = *state;
  OpError e = {.arena = a};
  Graph *g = parse(a,
                   "graph g { %0 = input {name=\"x\", shape=[2], elem=\"f32\"}"
                   " %1 = target {name=\"y\", classes=2, shape=[], elem=\"i32\"} }");
  Interp *p = interpret(a, g, 1);
  assert_false(interp_run(p, &e));
  assert_string_equal(e.text, "x has no value");
  bind(p, "x", NUMBERS(1, 2));
  bind(p, "y", NUMBERS(2));
  assert_false(interp_run(p, &e));
  assert_string_equal(e.text, "y: 2 is not a label 0..1");
  assert_false(interp_bind(p, "x", (double[]){1}, 1));
  assert_false(interp_bind(p, "z", (double[]){1}, 1));
  assert_null(interp_leaf_named(p, "z", NULL));
  assert_null(interp_new(a, g, 0, false, &e));
  g = parse(a, "graph g { %0 = input {name=\"x\", shape=[], elem=\"f32\"} %1 = grad(%0, %0) }");
  assert_null(interp_new(a, g, 1, false, &e));
  assert_string_equal(e.text, "grad() is not resolved in this graph");
  g = parse(a,
            "graph g { %0 = input {name=\"x\", shape=[65536,65536], elem=\"f32\"} %1 = neg(%0) }");
  assert_null(interp_new(a, g, 1 << 20, false, &e));
  assert_string_equal(e.text, "this graph is too large to interpret");
}

static void random_data_suits_the_leaves(void **state) {
  Arena *a = *state;
  Graph *g = parse(a,
                   "graph g { %0 = input {name=\"i\", shape=[50], elem=\"u8\"}"
                   " %1 = input {name=\"w\", shape=[50], elem=\"i32\"}"
                   " %2 = target {name=\"c\", classes=3, shape=[50], elem=\"i32\"}"
                   " %3 = param {name=\"t\", shape=[6,4], init=constant(0)} %4 = take_rows(%3, %1)"
                   " %5 = buffer {name=\"v\", shape=[50], init=constant(0)} }");
  Interp *p = interpret(a, g, 4);
  interp_randomize(p, 1);
  double low[6] = {0, 0, 0, -1, 0, 0.5}, high[6] = {255, 5, 2, 1, 0, 1.5};
  for (int k = 0; k < 6; k++) {
    const Tensor *t = interp_value(p, g->nodes.at[k]);
    double least = HUGE_VAL, most = -HUGE_VAL;
    for (int64_t i = 0; i < t->n * type_elements(&t->type); i++) {
      least = fmin(least, t->data[i]);
      most = fmax(most, t->data[i]);
      if (t->type.elem != ELEM_F32) assert_true(t->data[i] == floor(t->data[i]));
    }
    assert_true(least >= low[k] && most <= high[k]);
    if (k != 4) assert_true(most - least > 0.5 * (high[k] - low[k]));
  }
  run(p, a);
  Interp *same = interpret(a, g, 4), *other = interpret(a, g, 4);
  interp_randomize(same, 1);
  interp_randomize(other, 2);
  const Node *v = g->nodes.at[5];
  assert_memory_equal(interp_value(p, v)->data, interp_value(same, v)->data, 50 * sizeof(double));
  assert_true(interp_value(p, v)->data[0] != interp_value(other, v)->data[0]);
}

/* All ops at once: every value that a program could print is a number. */
static void every_op_is_evaluated(void **state) {
  Arena *a = *state;
  Graph *g = parse(a, read_text(a, TEST_SOURCE_DIR "/tests/ir/all_ops.ir"));
  for (int i = 0; i < g->nodes.count; i++)
    if (g->nodes.at[i]->op == OP_grad) g->nodes.at[i] = NULL; /* nothing uses it */
  int count = 0;
  for (int i = 0; i < g->nodes.count; i++)
    if (g->nodes.at[i]) (g->nodes.at[count] = g->nodes.at[i])->id = count, count++;
  g->nodes.count = count;
  for (int training = 0; training < 2; training++) {
    OpError e = {.arena = a};
    Interp *p = interp_new(a, g, 3, training, &e);
    assert_non_null(p);
    interp_randomize(p, 5);
    run(p, a);
    for (int i = 0; i < g->nodes.count; i++) {
      const Tensor *t = interp_value(p, g->nodes.at[i]);
      Op op = g->nodes.at[i]->op;
      if (op == OP_constant || op == OP_auc) continue; /* a -inf; NaN by definition */
      for (int64_t k = 0; k < t->n * type_elements(&t->type); k++)
        if (!isfinite(t->data[k])) fail_msg("%s: %g", op_info[g->nodes.at[i]->op].name, t->data[k]);
    }
  }
}

/* The NaN of log(-1) and log(inf) do not move. 1e-30 squared is 0 in f32, so what it divides may
 * become infinite, which says nothing of the elements beside it. */
static void rounding_is_measured_by_element(void **state) {
  Arena *a = *state;
  Graph *g = parse(a,
                   "graph t { %0 = input {name=\"x\", shape=[4], elem=\"f32\"} %1 = log(%0)"
                   " %2 = mul(%0, %0) %3 = div(%0, %2) output y = %1 output z = %3 }");
  Interp *p = interpret(a, g, 1);
  assert_true(interp_bind(p, "x", (double[]){3, -1, INFINITY, 1e-30}, 4));
  run(p, a);
  Rounding r = {.exact = p, .arena = a, .bits = 24, .runs = 8};
  const double *y = rounding_spread(&r, g->results.at[0].node);
  for (int i = 0; i < 4; i++) assert_true(y[i] > 0 && y[i] < 1e-4);
  const double *z = rounding_spread(&r, g->results.at[1].node);
  assert_true(z[0] > 0 && z[0] < 1e-6 && z[1] == z[0] && z[2] == z[0] && isinf(z[3]));
}

/* 0.7 x - 0.7 x + 2^-22 is 4 units of rounding above 0: no rounding turns its sign, but 16 times as
 * much does. 2 y is as far off, however it is measured, as rounding y makes it. */
static void rounding_reaches_over_steps(void **state) {
  Arena *a = *state;
  Graph *g = parse(a,
                   "graph t { %0 = input {name=\"x\", shape=[64], elem=\"f32\"}"
                   " %1 = constant {value=0.7} %2 = mul(%0, %1) %3 = constant {value=-0.6999998}"
                   " %4 = mul(%0, %3) %5 = add(%2, %4) %6 = sign(%5)"
                   " output y = %6 output z = %2 }");
  Interp *p = interpret(a, g, 1);
  int64_t count;
  double *x = interp_leaf_named(p, "x", &count);
  for (int64_t i = 0; i < count; i++) x[i] = 1;
  run(p, a);
  Rounding r = {.exact = p, .arena = a, .bits = 24, .runs = 8};
  assert_true(interp_value(p, g->results.at[0].node)->data[0] == 1);
  assert_true(rounding_spread(&r, g->results.at[0].node)[0] * ROUNDING_ROOM >= 1);
  double z = rounding_spread(&r, g->results.at[1].node)[0];
  assert_true(z > 0x1p-26 && z <= 0x1p-24);
  Rounding near = {.exact = p, .arena = a, .bits = 24, .runs = 1};
  assert_true(rounding_spread(&near, g->results.at[0].node)[0] == 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(elementwise_broadcasts),      TEST(expansions_are_evaluated),
      TEST(training_is_asked_for),       TEST(values_follow_the_leaves),
      TEST(what_is_wrong_is_said),       TEST(random_data_suits_the_leaves),
      TEST(every_op_is_evaluated),       TEST(rounding_is_measured_by_element),
      TEST(rounding_reaches_over_steps),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
