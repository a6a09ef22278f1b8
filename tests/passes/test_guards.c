/* The guards of the fuse pass, each by its effect and its remark. */
#include "tests/passes/fused.h"

static void a_second_consumer_outside_has_the_value_stored(void **state) {
  Arena *a = *state;
  Fused f = fused(a, ROWS " %4 = exp(%0) !p\n %5 = tanh(%4) !q\n %6 = " DOT("%4", "%2") " !y\n"
                          " output a = %5\n output b = %6\n");
  assert_together(f, "p", "q");
  assert_apart(f, "p", "y");
  assert_true(is_stored(a, f, "p"));
}

/* One after the other, whichever comes first; what is read in between is stored as it is there. */
static void activations_of_an_epilogue_keep_their_order(void **state) {
  Arena *a = *state;
  static const char *const pair[][2] = {{"relu(%4)", "clamp(%5) {lo=-1, hi=2}"},
                                        {"clamp(%4) {lo=-1, hi=2}", "relu(%5)"}};
  for (int i = 0; i < 2; i++)
    for (int output = 0; output < 2; output++) {
      const char *body = arena_printf(a, "%s %%5 = %s !p\n %%6 = %s !q\n output y = %%6\n%s",
                                      ROWS " %4 = " DOT("%0", "%2") " !y\n", pair[i][0], pair[i][1],
                                      output ? " output between = %5\n" : "");
      Fused f = fused(a, body);
      assert_together(f, "y", "p");
      assert_together(f, "p", "q");
      assert_ptr_equal(labelled(f.graph, "q")->in[0], labelled(f.graph, "p"));
      assert_int_equal(labelled(f.graph, "p")->op == OP_relu, i == 0);
      assert_int_equal(is_stored(a, f, "p"), output);
      assert_false(is_stored(a, f, "y"));
    }
}

static void what_lies_in_memory_already_is_read_from_there(void **state) {
  Arena *a = *state;
  Fused f = fused(a, ROWS " %4 = exp(%0) !p\n %5 = " DOT("%4", "%2") " !y\n %6 = tanh(%4) !q\n"
                          " output a = %5\n output b = %6\n");
  assert_apart(f, "p", "q");
  assert_remark(f, "q", "lies in memory already");
}

static void another_shape_or_order(void **state) {
  Arena *a = *state;
  Fused f = fused(a, ROWS " %4 = exp(%3) !p\n %5 = add(%0, %4) !q\n output y = %5\n");
  assert_apart(f, "p", "q");
  assert_remark(f, "q", "another shape or memory order");
  f = fused(a,
            ROWS " %4 = exp(%0) !p order [1,0]\n %5 = tanh(%4) !q order [0,1]\n output y = %5\n");
  assert_apart(f, "p", "q");
  assert_remark(f, "q", "another shape or memory order");
}

static void a_value_that_waits_for_the_kernel(void **state) {
  Arena *a = *state;
  /* p must be complete before the product, whose result the sum needs as well */
  Fused f = fused(a, ROWS " %4 = exp(%0) !p\n %5 = " DOT(
                         "%4", "%2") " !y\n %6 = add(%4, %5) !r\n output y = %6\n");
  assert_apart(f, "p", "r");
  assert_together(f, "y", "r");
  f = fused(a, ROWS
            " %4 = exp(%0) !p\n %5 = permute(%4) {order=[1,0]}\n %6 = exp(%5) !t\n"
            " %7 = permute(%6) {order=[1,0]}\n %8 = add(%4, %7) !r\n output y = %8\n");
  assert_apart(f, "p", "r");
  assert_remark(f, "r", "waits for the kernel");
}

static void a_reduction_is_there_only_after_its_sweep(void **state) {
  Arena *a = *state;
  Fused f = fused(a, ROWS
                  " %4 = exp(%0) !p\n %5 = reduce_sum(%4) {dims=[0,1]} !sum\n %6 = div(%4, %5) !q\n"
                  " output y = %6\n");
  assert_together(f, "p", "sum");
  assert_apart(f, "p", "q");
  assert_true(is_stored(a, f, "sum"));
  f = fused(
      a, ROWS
      " %4 = exp(%0) !p\n %5 = reduce_sum(%4) {dims=[1]} !sum\n %6 = reshape(%5) {shape=[6,1]}\n"
      " %7 = div(%4, %6) !q\n output y = %7\n");
  assert_apart(f, "p", "q");
}

static void epilogues_know_no_coordinates(void **state) {
  Arena *a = *state;
  Fused f = fused(a, ROWS " %4 = " DOT("%0", "%2") " !y\n"
              " %5 = random_mask(%4) {keep=0.5, stream=1} !mask\n"
                          " %6 = mul(%4, %5) !r\n output y = %6\n");
  assert_apart(f, "y", "mask");
  assert_remark(f, "mask", "no coordinates");
  f = fused(a,
            " %0 = input {name=\"x\", shape=[6], elem=\"f32\"}\n"
            " %1 = target {name=\"t\", classes=4, shape=[], elem=\"i32\"}\n"
            " %2 = param {name=\"w\", shape=[6,4], init=constant(0)}\n"
            " %3 = one_hot(%1) {classes=4} !hot\n"
            " %4 = dot_general(%0, %2) {contract_a=[0], contract_b=[0]} !y\n %5 = sub(%4, %3) !r\n "
            "output y = %5\n");
  assert_apart(f, "hot", "y");
  assert_together(f, "y", "r");
}

static void epilogues_have_no_reductions(void **state) {
  Arena *a = *state;
  Fused f = fused(a, ROWS " %4 = " DOT("%0", "%2") " !y\n %5 = relu(%4) !r\n"
              " %6 = reduce_sum(%5) {dims=[1]} !sum\n"
                          " output y = %6\n");
  assert_together(f, "y", "r");
  assert_apart(f, "r", "sum");
  assert_true(is_stored(a, f, "r"));
}

static const Node *first_of(const Graph *g, Op op) {
  for (int i = 0; i < g->nodes.count; i++)
    if (g->nodes.at[i]->op == op) return g->nodes.at[i];
  fail_msg("no %s", op_info[op].name);
  return NULL;
}

/* Running statistics are there before the convolution: all that follows is its epilogue. Those of
 * the batch are its own sums, so that what they normalise waits for the whole kernel. */
static void normalisation_is_an_epilogue_in_evaluation_only(void **state) {
  Arena *a = *state;
  static const struct {
    Program program;
    bool epilogue;
  } mode[] = {{PROGRAM_INFER, true},
              {PROGRAM_EVALUATE, true},
              {PROGRAM_GRAD_EVAL, true},
              {PROGRAM_GRAD, false},
              {PROGRAM_TRAIN, false}};
  for (size_t i = 0; i < sizeof mode / sizeof *mode; i++) {
    Graph *g = program(a, net(a, "batch_norm"), mode[i].program, "fuse", 2);
    int conv = first_of(g, OP_conv)->group;
    assert_true((first_of(g, OP_relu)->group == conv) == mode[i].epilogue);
    assert_true(group_has(g, conv, OP_reduce_var) != mode[i].epilogue);
    assert_true(!result(g, RESULT_ASSIGN, "bn1.running_mean") == mode[i].epilogue);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_second_consumer_outside_has_the_value_stored),
      TEST(activations_of_an_epilogue_keep_their_order),
      TEST(what_lies_in_memory_already_is_read_from_there),
      TEST(another_shape_or_order),
      TEST(a_value_that_waits_for_the_kernel),
      TEST(a_reduction_is_there_only_after_its_sweep),
      TEST(epilogues_know_no_coordinates),
      TEST(epilogues_have_no_reductions),
      TEST(normalisation_is_an_epilogue_in_evaluation_only),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
