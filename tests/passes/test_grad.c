/* Gradients: every one against central differences through the interpreter, what is pruned, grads
 * in grads. */
#include "tests/passes/fixture.h"

#include "passes/grad.h"

/* d loss / d leaf[i] by central differences. */
static double difference(Arena *a, Interp *p, const Node *loss, double *leaf, int64_t i) {
  const double eps = 1e-6, at = leaf[i];
  leaf[i] = at + eps;
  run_again(p, a);
  double up = interp_value(p, loss)->data[0];
  leaf[i] = at - eps;
  run_again(p, a);
  double down = interp_value(p, loss)->data[0];
  leaf[i] = at;
  return (up - down) / (2 * eps);
}

/* A handful of elements of one gradient. */
static int check_result(Arena *a, const Graph *g, Interp *p, const Result *r) {
  const Node *loss = result(g, RESULT_LOSS, NULL)->node;
  int64_t count;
  double *leaf = interp_leaf(p, r->target, &count);
  int checked = 0;
  for (int64_t i = 0; i < count; i += count / 7 + 1) {
    double by_difference = difference(a, p, loss, leaf, i);
    run_again(p, a);
    assert_close(interp_value(p, r->node)->data[i], by_difference, 1e-5);
    checked++;
  }
  return checked;
}

static void check_network(Arena *a, const char *name, Program program_of, int level,
                          const char *stop_after) {
  Graph *g = program(a, net(a, name), program_of, stop_after, level);
  Interp *p = interpreted(a, g, 3, program_of == PROGRAM_GRAD, 11);
  int checked = 0;
  for (int i = 0; i < g->results.count; i++)
    if (g->results.at[i].kind == RESULT_GRAD) checked += check_result(a, g, p, &g->results.at[i]);
  assert_true(checked > 5);
}

static const char *const nets[] = {"regression_mlp", "concat_dropout", "conv_pool",
                                   "batch_norm",     "mixer",          "sigmoid_regression",
                                   "dropout_mlp",    "second_order",   "many_ops"};
enum { NETS = sizeof nets / sizeof nets[0] };

static void test_training_gradients(void **state) {
  for (int i = 0; i < NETS; i++) check_network(*state, nets[i], PROGRAM_GRAD, 2, "clean");
}

static void test_evaluation_gradients(void **state) {
  for (int i = 0; i < NETS; i++) check_network(*state, nets[i], PROGRAM_GRAD_EVAL, 2, "clean");
}

static void test_gradients_without_optimisation(void **state) {
  for (int i = 0; i < NETS; i++) check_network(*state, nets[i], PROGRAM_GRAD, 0, "lower");
}

static void test_every_parameter_and_real_input_has_one(void **state) {
  Graph *g = program(*state, net(*state, "many_ops"), PROGRAM_GRAD, "grad", 2);
  const char *const names[] = {"table", "w", "u", "x"};
  for (int i = 0; i < 4; i++) {
    const Result *r = result(g, RESULT_GRAD, names[i]);
    assert_non_null(r);
    assert_string_equal(node_str(r->target, "name"), names[i]);
    assert_true(type_equal(&r->node->type, &r->target->type));
  }
  assert_null(result(g, RESULT_GRAD, "frozen"));
  assert_null(result(g, RESULT_GRAD, "k"));
}

/* ---- pruning ---- */

static const char *const two_layers =
    "graph g {\n"
    "  %%0 = input {name=\"x\", shape=[4], elem=\"f32\"}\n"
    "  %%1 = target {name=\"y\", shape=[3], elem=\"f32\"}\n"
    "  %%2 = param {name=\"body\", shape=[5,4], init=constant(1)%s}\n"
    "  %%3 = param {name=\"head\", shape=[3,5], init=constant(1)%s}\n"
    "  %%4 = matmul(%%2, %%0)\n"
    "  %%5 = sigmoid(%%4)\n"
    "  %%6 = matmul(%%3, %%5)\n"
    "  %%7 = sse(%%6, %%1)\n"
    "  loss = %%7\n"
    "}\n";

static Graph *trained(Arena *a, bool body, bool head) {
  const char *frozen = ", trainable=false";
  Graph *g = parse(a, arena_printf(a, two_layers, body ? "" : frozen, head ? "" : frozen));
  return program(a, g, PROGRAM_TRAIN, "grad", 2);
}

/* Freezing the body, only the head's product is left of the way back; freezing the head, the way
 * through it stays. */
static void test_frozen_parameters_are_pruned(void **state) {
  Graph *all = trained(*state, true, true), *head = trained(*state, false, true);
  Graph *body = trained(*state, true, false), *none = trained(*state, false, false);
  assert_int_equal(count_op(all, OP_dot_general), 2 + 3);
  assert_int_equal(count_op(head, OP_dot_general), 2 + 1);
  assert_int_equal(count_op(body, OP_dot_general), 2 + 2);
  assert_int_equal(count_op(none, OP_dot_general), 2);
  assert_non_null(result(head, RESULT_ASSIGN, "head"));
  assert_null(result(head, RESULT_ASSIGN, "body"));
  assert_null(result(none, RESULT_ASSIGN, NULL));
}

/* ---- grad_build ---- */

static void test_unreached_targets_get_zeros(void **state) {
  Graph *g = parse(*state,
                   "graph g {\n"
                   "  %0 = input {name=\"x\", shape=[2], elem=\"f32\"}\n"
                   "  %1 = param {name=\"w\", shape=[3], init=constant(1)}\n"
                   "  %2 = sum(%0)\n"
                   "  output s = %2\n"
                   "}\n");
  pass_expand(g, *state, NULL);
  Node *w = ir_find_leaf(g, OP_param, "w"), *x = ir_find_leaf(g, OP_input, "x"), *out[2];
  assert_true(grad_build(g, g->results.at[0].node, (Node *[]){w, x}, 2, out));
  assert_true(type_equal(&out[0]->type, &w->type));
  assert_true(type_equal(&out[1]->type, &x->type));
  ir_result(g, RESULT_OUTPUT, "dw", out[0], NULL);
  ir_result(g, RESULT_OUTPUT, "dx", out[1], NULL);
  ir_tidy(g);
  Interp *p = interpreted(*state, g, 2, false, 5);
  run_again(p, *state);
  for (int i = 0; i < 3; i++) assert_true(interp_value(p, out[0])->data[i] == 0);
  for (int i = 0; i < 4; i++) assert_true(interp_value(p, out[1])->data[i] == 1);
}

static void test_only_scalars_have_gradients(void **state) {
  Graph *g = parse(*state,
                   "graph g {\n  %0 = input {name=\"x\", shape=[2], elem=\"f32\"}\n"
                   "  %1 = exp(%0)\n  output y = %1\n}\n");
  Node *x = g->nodes.at[0], *out[1];
  assert_false(grad_build(g, g->nodes.at[1], &x, 1, out));
}

/* Each sample's own gradient: of x^3, samples 3 and -2. */
static void test_grad_of_grad_by_sample(void **state) {
  Graph *g = parse(*state,
                   "graph g {\n"
                   "  %0 = input {name=\"x\", shape=[], elem=\"f32\"}\n"
                   "  %1 = pow(%0) {exponent=3}\n"
                   "  %2 = grad(%1, %0)\n"
                   "  %3 = grad(%2, %0)\n"
                   "  %4 = grad(%3, %0)\n"
                   "  output d1 = %2\n  output d2 = %3\n  output d3 = %4\n"
                   "}\n");
  Graph *e = program(*state, g, PROGRAM_INFER, "clean", 2);
  assert_int_equal(count_op(e, OP_grad), 0);
  Interp *p = interpreted(*state, e, 2, false, 5);
  assert_true(interp_bind(p, "x", (double[]){3, -2}, 2));
  run_again(p, *state);
  const char *const names[] = {"d1", "d2", "d3"};
  const double expected[3][2] = {{27, 12}, {18, -12}, {6, 6}};
  for (int i = 0; i < 3; i++) {
    const double *is = interp_value(p, result(e, RESULT_OUTPUT, names[i])->node)->data;
    assert_close(is[0], expected[i][0], 1e-14);
    assert_close(is[1], expected[i][1], 1e-14);
  }
}

/* By something shared the samples' gradients are summed; sharing a sweep with a gradient by x
 * changes nothing. */
static void test_grads_of_one_scalar(void **state) {
  Graph *g = parse(*state,
                   "graph g {\n"
                   "  %0 = input {name=\"x\", shape=[2], elem=\"f32\"}\n"
                   "  %1 = param {name=\"w\", shape=[2], init=constant(1)}\n"
                   "  %2 = dot(%0, %1)\n"
                   "  %3 = square(%2)\n"
                   "  %4 = grad(%3, %1)\n"
                   "  %5 = grad(%3, %0)\n"
                   "  %6 = grad(%3, %2)\n"
                   "  output dw = %4\n  output dx = %5\n  output ds = %6\n"
                   "}\n");
  Graph *e = program(*state, g, PROGRAM_EVALUATE, "clean", 2);
  Interp *p = interpreted(*state, e, 2, false, 5);
  interp_bind(p, "x", (double[]){1, 2, 3, -1}, 4);
  interp_bind(p, "w", (double[]){2, 1}, 2);
  run_again(p, *state); /* s = 4, 5 */
  const double *dw = interp_value(p, result(e, RESULT_OUTPUT, "dw")->node)->data;
  const double *dx = interp_value(p, result(e, RESULT_OUTPUT, "dx")->node)->data;
  const double *ds = interp_value(p, result(e, RESULT_OUTPUT, "ds")->node)->data;
  assert_true(dw[0] == 8 * 1 + 10 * 3 && dw[1] == 8 * 2 - 10 * 1);
  assert_true(dx[0] == 16 && dx[1] == 8 && dx[2] == 20 && dx[3] == 10);
  assert_true(ds[0] == 8 && ds[1] == 10);
}

/* A value that is the same as another, in this mode or always, is one of its own: s = y^2 + x y z,
 * where y, z = x. */
static void test_grads_by_what_is_the_same(void **state) {
  static const char *const same[] = {"dropout(%0)",         "min(%0)",
                                     "dropout2d(%0) {p=0}", "flatten(%0)",
                                     "pad(%0) {pad=[0,0]}", "upsample(%0) {scale=[1,1]}"};
  static const char *const shape[] = {"", "", "1", "1", "1", "1,1,1"};
  for (int i = 0; i < 6; i++) {
    const char *text = arena_printf(*state,
                                    "graph g {\n"
                                    "  %%0 = input {name=\"x\", shape=[%s], elem=\"f32\"}\n"
                                    "  %%1 = %s\n  %%2 = %s\n  %%3 = square(%%1)\n"
                                    "  %%4 = mul(%%0, %%1)\n  %%5 = mul(%%4, %%2)\n"
                                    "  %%6 = add(%%3, %%5)\n  %%7 = sum(%%6)\n"
                                    "  %%8 = grad(%%7, %%1)\n  output d = %%8\n}\n",
                                    shape[i], same[i], same[i]);
    Graph *e = program(*state, parse(*state, text), PROGRAM_EVALUATE, "clean", 2);
    Interp *p = interpreted(*state, e, 2, false, 5);
    assert_true(interp_bind(p, "x", (double[]){3, -2}, 2));
    run_again(p, *state); /* 2 y + x z */
    const double *d = interp_value(p, result(e, RESULT_OUTPUT, "d")->node)->data;
    assert_true(d[0] == 15 && d[1] == 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_training_gradients),
      TEST(test_evaluation_gradients),
      TEST(test_gradients_without_optimisation),
      TEST(test_every_parameter_and_real_input_has_one),
      TEST(test_frozen_parameters_are_pruned),
      TEST(test_unreached_targets_get_zeros),
      TEST(test_only_scalars_have_gradients),
      TEST(test_grad_of_grad_by_sample),
      TEST(test_grads_of_one_scalar),
      TEST(test_grads_by_what_is_the_same),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
