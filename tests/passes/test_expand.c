/* Expand and lower: what each program keeps and becomes. */
#include "tests/passes/fixture.h"

static Graph *expanded(Arena *a, const char *name, Program p) {
  return program(a, net(a, name), p, "expand", 2);
}

static int count_kind(const Graph *g, ResultKind kind) {
  int count = 0;
  for (int i = 0; i < g->results.count; i++) count += g->results.at[i].kind == kind;
  return count;
}

static void test_results_of_each_program(void **state) {
  /* outputs, losses, metrics, grads, assigns */
  static const int expected[PROGRAM_COUNT][5] = {
      [PROGRAM_INFER] = {1, 0, 0, 0, 0},     [PROGRAM_EVALUATE] = {1, 1, 1, 0, 0},
      [PROGRAM_TRAIN] = {0, 1, 1, 0, 12},    [PROGRAM_GRAD] = {1, 1, 1, 5, 0},
      [PROGRAM_GRAD_EVAL] = {1, 1, 1, 5, 0}, [PROGRAM_APPLY] = {0, 0, 0, 0, 12},
  };
  for (int p = 0; p < PROGRAM_COUNT; p++) {
    Graph *g = program(*state, net(*state, "dropout_mlp"), (Program)p, "grad", 2);
    assert_string_equal(g->program, program_name[p]);
    for (int k = 0; k < 5; k++) assert_int_equal(count_kind(g, (ResultKind)k), expected[p][k]);
  }
}

static void test_only_basic_ops_are_left(void **state) {
  static const char *const names[] = {"dropout_mlp", "batch_norm", "many_ops", "mixer",
                                      "conv_pool"};
  for (int i = 0; i < 5; i++)
    for (int p = 0; p < PROGRAM_COUNT; p++) {
      Graph *g = expanded(*state, names[i], (Program)p);
      for (int k = 0; k < g->nodes.count; k++) {
        OpKind kind = op_info[g->nodes.at[k]->op].kind;
        assert_true(kind == KIND_LEAF || kind == KIND_ELEMENTWISE || kind == KIND_PRIMITIVE ||
                    kind == KIND_FORMULA);
      }
      g = program(*state, net(*state, names[i]), (Program)p, "lower", 2);
      for (int k = 0; k < g->nodes.count; k++) assert_null(op_info[g->nodes.at[k]->op].expand);
    }
}

static void test_mode(void **state) {
  assert_int_equal(count_op(expanded(*state, "dropout_mlp", PROGRAM_TRAIN), OP_random_mask), 1);
  assert_int_equal(count_op(expanded(*state, "dropout_mlp", PROGRAM_GRAD), OP_random_mask), 1);
  assert_int_equal(count_op(expanded(*state, "dropout_mlp", PROGRAM_EVALUATE), OP_random_mask), 0);
  assert_int_equal(count_op(expanded(*state, "dropout_mlp", PROGRAM_GRAD_EVAL), OP_random_mask), 0);
  assert_int_equal(count_op(expanded(*state, "dropout_mlp", PROGRAM_INFER), OP_random_mask), 0);
}

/* Batch statistics and the updates of the running ones in training only. */
static void test_batch_norm(void **state) {
  static const char *const running[] = {"bn1.running_mean", "bn1.running_var"};
  for (int p = 0; p < PROGRAM_COUNT; p++) {
    Graph *g = expanded(*state, "batch_norm", (Program)p);
    bool training = p == PROGRAM_TRAIN || p == PROGRAM_GRAD;
    assert_int_equal(count_op(g, OP_standardize), training);
    for (int i = 0; i < 2; i++)
      assert_int_equal(result(g, RESULT_ASSIGN, running[i]) != NULL, training);
  }
}

static void test_inference_has_no_targets(void **state) {
  Graph *g = expanded(*state, "dropout_mlp", PROGRAM_INFER);
  assert_int_equal(count_op(g, OP_target), 0);
  assert_int_equal(count_op(g, OP_input), 1);
  assert_int_equal(count_op(g, OP_param), 4);
  assert_null(ir_verify(g, *state));
  assert_int_equal(count_op(expanded(*state, "dropout_mlp", PROGRAM_EVALUATE), OP_target), 1);
}

static const char *const terms =
    "graph g {\n"
    "  %%0 = input {name=\"x\", shape=[], elem=\"f32\"}\n"
    "  %%1 = param {name=\"w\", shape=[], init=constant(1)}\n"
    "  %%2 = square(%%0)\n"
    "  %%3 = square(%%1)\n"
    "  %%4 = add(%%2, %%3)\n"
    "  loss = %%%d\n"
    "  metric m = %%%d\n"
    "}\n";

/* x = 1, 2, 3 and w = 5: the loss of loss_node, and the metric. */
static void check_shared(Arena *a, int node, double loss, double metric) {
  Graph *g =
      program(a, parse(a, arena_printf(a, terms, node, node)), PROGRAM_EVALUATE, "expand", 2);
  Interp *p = interpreted(a, g, 3, false, 1);
  interp_bind(p, "x", (double[]){1, 2, 3}, 3);
  interp_bind(p, "w", (double[]){5}, 1);
  run_again(p, a);
  const Node *l = result(g, RESULT_LOSS, NULL)->node, *m = result(g, RESULT_METRIC, "m")->node;
  assert_false(l->type.batched || m->type.batched);
  assert_close(interp_value(p, l)->data[0], loss, 1e-15);
  assert_close(interp_value(p, m)->data[0], metric, 1e-15);
}

/* Per sample: averaged, and summed for the metric. Shared: as it is, counted once a sample in the
 * metric's sum. */
static void test_loss_and_metric_are_shared(void **state) {
  check_shared(*state, 2, 14.0 / 3, 14);
  check_shared(*state, 3, 25, 75);
  check_shared(*state, 4, 25 + 14.0 / 3, 14 + 75);
}

static void test_labels_follow_the_layer(void **state) {
  Graph *g = expanded(*state, "dropout_mlp", PROGRAM_EVALUATE);
  for (int i = 0; i < g->nodes.count; i++)
    if (g->nodes.at[i]->label && !strcmp(g->nodes.at[i]->label, "fc1")) {
      assert_int_equal(g->nodes.at[i]->op, OP_add);
      return;
    }
  fail_msg("no node is fc1");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_results_of_each_program),
      TEST(test_only_basic_ops_are_left),
      TEST(test_mode),
      TEST(test_batch_norm),
      TEST(test_inference_has_no_targets),
      TEST(test_loss_and_metric_are_shared),
      TEST(test_labels_follow_the_layer),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
