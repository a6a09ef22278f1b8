/* The pipeline's own work: order, options, dumps that parse back, and naming the pass that broke
 * something. */
#include "tests/passes/fixture.h"

#include <stdlib.h>
#include <unistd.h>

#include "passes/check.h"

static const char *const nets[] = {"regression_mlp", "concat_dropout", "conv_pool",
                                   "batch_norm",     "mixer",          "sigmoid_regression",
                                   "dropout_mlp",    "second_order",   "many_ops"};
static const char *const passes[] = {
#define PASS(name, level, meaning) #name,
#include "passes/passes.def"
#undef PASS
};
enum { NETS = sizeof nets / sizeof nets[0], PASSES = sizeof passes / sizeof passes[0] };

/* Every pass on every program, verified and interpreted before and after; then each graph's text
 * parses back. */
static void test_every_stop_parses_back(void **state) {
  for (int i = 0; i < NETS; i++)
    for (int p = 0; p < PROGRAM_COUNT; p++) {
      Graph *source = net(*state, nets[i]);
      const char *before = print(*state, source);
      for (int k = 0; k < PASSES; k++) {
        Graph *g = program(*state, source, (Program)p, passes[k], 2);
        assert_true(ir_equal(parse(*state, print(*state, g)), g));
      }
      assert_string_equal(print(*state, source), before);
    }
}

/* One pass after the other on the text of the last gives what the whole pipeline gives. */
static void test_passes_run_alone(void **state) {
  Graph *source = net(*state, "dropout_mlp");
  Graph *whole = program(*state, source, PROGRAM_TRAIN, "clean", 2);
  const char *text = print(*state, source);
  text = arena_printf(*state, "graph dropout_mlp program train {%s", strchr(text, '{') + 1);
  for (int k = 0; k < PASSES; k++) {
    Graph *g = parse(*state, text);
    PassOptions o = options_for(*state, g);
    assert_true(pipeline_passes(g, passes[k], &o));
    text = print(*state, g);
    if (!strcmp(passes[k], "clean")) break;
  }
  assert_string_equal(text, print(*state, whole));
}

static void test_level_gates_optimisation(void **state) {
  Graph *g = program(*state, net(*state, "concat_dropout"), PROGRAM_GRAD, "clean", 0);
  assert_true(count_op(g, OP_permute) >
              0); /* the transposes that simplify takes into the products */
  g = program(*state, net(*state, "concat_dropout"), PROGRAM_INFER, "clean", 1);
  assert_int_equal(count_op(g, OP_permute), 0);
}

static void test_unknown_passes(void **state) {
  Graph *g = net(*state, "mixer");
  PassOptions o = options_for(*state, g);
  assert_false(pipeline_passes(g, "simplify,fold", &o));
  assert_string_equal(only_error(&o), "there is no pass 'fold'");
  o = options_for(*state, g);
  o.stop_after = "simplfy";
  assert_null(pipeline_run(g, PROGRAM_INFER, *state, &o));
  assert_string_equal(only_error(&o), "there is no pass 'simplfy'");
  assert_string_equal(o.diags->list.at[0].notes->text, "did you mean 'simplify'?");
  o = options_for(*state, g);
  o.dump = "nothing";
  assert_null(pipeline_run(g, PROGRAM_INFER, *state, &o));
  assert_string_equal(only_error(&o), "there is no pass 'nothing'");
}

static void test_training_needs_a_loss(void **state) {
  Graph *g = parse(*state,
                   "graph lossless {\n  %0 = input {name=\"x\", shape=[2], elem=\"f32\"}\n"
                   "  output y = %0\n}\n");
  const Program needs[] = {PROGRAM_TRAIN, PROGRAM_GRAD, PROGRAM_GRAD_EVAL, PROGRAM_APPLY};
  for (int i = 0; i < 4; i++) {
    PassOptions o = options_for(*state, g);
    assert_null(pipeline_run(g, needs[i], *state, &o));
    assert_string_equal(only_error(&o), "network lossless has no loss to train with");
  }
  program(*state, g, PROGRAM_INFER, NULL, 2);
}

/* What `run` prints to stdout. */
static char *captured(Arena *a, Graph *g, const char *dump) {
  char path[] = "/tmp/dlc-dump-XXXXXX";
  fflush(stdout);
  int file = mkstemp(path), keep = dup(STDOUT_FILENO);
  dup2(file, STDOUT_FILENO);
  PassOptions o = options_for(a, g);
  o.dump = dump;
  Graph *r = pipeline_run(g, PROGRAM_TRAIN, a, &o);
  fflush(stdout);
  dup2(keep, STDOUT_FILENO);
  close(keep);
  close(file);
  assert_non_null(r);
  char *text = read_text(a, path);
  unlink(path);
  return text;
}

static void test_dump(void **state) {
  Graph *g = net(*state, "dropout_mlp");
  char *text = captured(*state, g, "grad");
  assert_true(ir_equal(parse(*state, text), program(*state, g, PROGRAM_TRAIN, "grad", 2)));
  char *all = captured(*state, g, "all");
  for (int k = 0; k < PASSES; k++)
    assert_non_null(
        strstr(all, arena_printf(*state, "# dropout_mlp, train, after %s\n", passes[k])));
}

/* ---- naming the culprit ---- */

static const char *const small =
    "graph g {\n"
    "  %0 = input {name=\"x\", shape=[2], elem=\"f32\"}\n"
    "  %1 = param {name=\"w\", shape=[2], init=constant(1)}\n"
    "  %2 = mul(%0, %1)\n  %3 = add(%2, %1)\n"
    "  output y = %3\n  output z = %2\n}\n";

static void test_a_changed_answer_is_named(void **state) {
  Graph *g = parse(*state, small);
  PassOptions o = options_for(*state, g);
  Check *c = check_before(g, *state);
  g->results.at[0].node->in[1] = g->results.at[0].node->in[0]; /* x w + x w instead of x w + w */
  check_after(c, g, "culprit", o.diags);
  assert_non_null(
      strstr(only_error(&o), "internal fault: pass 'culprit' changed the answer of 'y': "));
}

/* Neither NaN in one element, nor rounding that makes one infinite, excuses another. */
static void test_one_element_excuses_no_other(void **state) {
  Graph *g = parse(*state,
                   "graph g {\n"
                   "  %0 = input {name=\"x\", shape=[64], elem=\"f32\"}\n"
                   "  %1 = constant {value=0.9} %2 = log(%0) %3 = mul(%2, %1)\n"
                   "  output y = %3\n}\n");
  PassOptions o = options_for(*state, g);
  Check *c = check_before(g, *state); /* of x on (-1, 1) */
  g->results.at[0].node->in[1] = ir_constant(g, 0.8);
  Node *scaled = g->results.at[0].node;
  ir_tidy(g);
  assert_int_equal(scaled->op, OP_mul);
  check_after(c, g, "culprit", o.diags);
  assert_non_null(strstr(only_error(&o), "changed the answer of 'y': "));
}

static void test_an_equal_answer_is_not(void **state) {
  Graph *g = parse(*state, small);
  PassOptions o = options_for(*state, g);
  Check *c = check_before(g, *state);
  Node *sum = g->results.at[0].node, *first = sum->in[0];
  sum->in[0] = sum->in[1];
  sum->in[1] = first;
  g->results.count = 1; /* results that went are not compared */
  ir_tidy(g);
  check_after(c, g, "innocent", o.diags);
  assert_int_equal(o.diags->errors, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_every_stop_parses_back),       TEST(test_passes_run_alone),
      TEST(test_level_gates_optimisation),     TEST(test_unknown_passes),
      TEST(test_training_needs_a_loss),        TEST(test_dump),
      TEST(test_a_changed_answer_is_named),    TEST(test_an_equal_answer_is_not),
      TEST(test_one_element_excuses_no_other),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
