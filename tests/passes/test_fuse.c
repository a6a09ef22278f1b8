/* The fuse pass: what runs as one kernel, sums in epilogues, values computed again, limits. */
#include "passes/fusible.h"
#include "passes/memory.h"
#include "tests/passes/fused.h"

/* ---- what fuses ---- */

static void chains_are_one_sweep(void **state) {
  Arena *a = *state;
  Fused f = fused(
      a, ROWS " %4 = exp(%0) !p\n %5 = add(%4, %3) !q\n %6 = mul(%5, %1) !r\n output y = %6\n");
  assert_together(f, "p", "q");
  assert_together(f, "q", "r");
  assert_remark(f, "q", "fused into exp's kernel");
  assert_false(is_stored(a, f, "p"));
  assert_true(is_stored(a, f, "r"));
  assert_int_equal(labelled(f.graph, "x")->group, 0);
}

static void epilogues_of_products_and_convolutions(void **state) {
  Arena *a = *state;
  Fused f = fused(a, ROWS " %4 = " DOT("%0", "%2") " !y\n %5 = add(%4, %3) !q\n %6 = relu(%5) !r\n"
                          " %7 = add(%6, %0) !s\n output y = %7\n");
  assert_together(f, "y", "s");
  assert_false(is_stored(a, f, "y"));
  f = fused(a,
            " %0 = input {name=\"x\", shape=[2,6,6], elem=\"f32\"}\n"
            " %1 = param {name=\"w\", shape=[4,2,3,3], init=constant(0)}\n"
            " %2 = param {name=\"b\", shape=[4,1,1], init=constant(0)}\n"
            " %3 = conv(%0, %1) {pads=[0,0,0,0]} !y\n %4 = add(%3, %2)\n %5 = relu(%4) !r\n output "
            "y = %5\n");
  assert_together(f, "y", "r");
}

static void reductions_end_the_sweep_of_their_operand(void **state) {
  Arena *a = *state;
  Fused f = fused(a, ROWS
                  " %4 = mul(%0, %1) !p\n %5 = reduce_sum(%4) {dims=[1]} !sum\n"
                  " %6 = square(%4) !q\n %7 = reduce_sum(%6) {dims=[1]} !squares\n"
                  " output a = %5\n output b = %7\n");
  assert_together(f, "p", "sum");
  assert_together(f, "p", "squares");
  assert_false(is_stored(a, f, "p"));
}

static void sweeps_over_one_operand_are_one(void **state) {
  Arena *a = *state;
  Fused f = fused(a, ROWS
                  " %4 = reduce_sum(%0) {dims=[0]} !sum\n %5 = reduce_max(%0) {dims=[0]} !most\n"
                  " output a = %4\n output b = %5\n");
  assert_together(f, "sum", "most");
}

static void groups_that_meet_become_one(void **state) {
  Arena *a = *state;
  Fused f =
      fused(a, ROWS " %4 = exp(%0) !p\n %5 = tanh(%1) !q\n %6 = add(%4, %5) !r\n output y = %6\n");
  assert_together(f, "p", "q");
  assert_together(f, "q", "r");
  f = fused(a, ROWS " %4 = exp(%1) !p\n %5 = " DOT(
                   "%0", "%2") " !y\n %6 = add(%4, %5) !r\n output y = %6\n");
  assert_together(f, "p", "y"); /* the sweep moves into the epilogue */
  assert_together(f, "y", "r");
}

static void views_and_constants_belong_to_no_kernel(void **state) {
  Arena *a = *state;
  Fused f = fused(
      a, ROWS
      " %4 = exp(%0) !p\n %5 = permute(%4) {order=[1,0]} !v\n %6 = tanh(%5) !q\n"
      " %7 = constant {value=2, shape=[8,8]} !c\n %8 = constant {value=3} !k\n"
      " %9 = mul(%6, %8) !r\n %10 = " DOT("%0", "%7") " !y\n output a = %9\n output b = %10\n");
  assert_int_equal(group(f, "v"), 0);
  assert_int_equal(group(f, "k"), 0);
  assert_int_not_equal(group(f, "c"), 0); /* a product reads memory: a kernel fills it */
  assert_apart(f, "c", "y");
  assert_apart(f, "p", "q"); /* through a view there is no joining */
}

/* ---- sums in a convolution's epilogue ---- */

#define IMAGE(width)                                              \
  " %0 = input {name=\"x\", shape=[2,6," width                    \
  "], elem=\"f32\"} !x\n"                                         \
  " %1 = param {name=\"w\", shape=[4,2,3,3], init=constant(0)}\n" \
  " %2 = conv(%0, %1) {pads=[1,1,1,1]} !y\n"

static void sums_over_pixels_end_a_convolution(void **state) {
  Arena *a = *state;
  Fused f = fused(a, IMAGE("6") " %3 = reduce_sum(%2) {dims=[1,2], batch=true} !sum\n"
                                " %4 = reduce_var(%2) {dims=[1,2], batch=true} !var\n"
                                " output y = %2\n output a = %3\n output b = %4\n");
  assert_together(f, "y", "sum");
  assert_together(f, "y", "var");
  assert_remark(f, "sum", "fused into conv's kernel");
  /* of what follows in the epilogue, also with a grouped convolution */
  f = fused(
      a,
      " %0 = input {name=\"x\", shape=[4,6,6], elem=\"f32\"}\n"
      " %1 = param {name=\"w\", shape=[4,2,3,3], init=constant(0)}\n"
      " %2 = conv(%0, %1) {pads=[1,1,1,1], groups=2} !y\n %3 = relu(%2) !r\n %4 = mul(%3, %0) !p\n"
      " %5 = reduce_sum(%4) {dims=[1,2], batch=true} !sum\n output y = %3\n output a = %5\n");
  assert_together(f, "y", "p");
  assert_together(f, "y", "sum");
  assert_false(is_stored(a, f, "p"));
}

/* What needs the sums waits for the whole kernel. */
static void normalisation_is_one_sweep_after_its_sums(void **state) {
  Arena *a = *state;
  Fused f = fused(a, IMAGE("6") " %3 = reduce_sum(%2) {dims=[1,2], batch=true} !sum\n"
                                " %4 = reshape(%3) {shape=[4,1,1]}\n %5 = sub(%2, %4) !centred\n"
                                " %6 = relu(%5) !r\n output y = %6\n");
  assert_together(f, "y", "sum");
  assert_apart(f, "y", "centred");
  assert_together(f, "centred", "r");
  assert_false(is_stored(a, f, "centred"));
}

static void assert_sum_apart(Arena *a, const char *image, const char *sum, const char *why) {
  Fused f =
      fused(a, arena_printf(a, "%s %%3 = %s !sum\n output y = %%2\n output a = %%3\n", image, sum));
  assert_apart(f, "y", "sum");
  assert_remark(f, "sum", why);
}

static void other_reductions_are_no_epilogue(void **state) {
  Arena *a = *state;
  static const char *const why = "only sums over all pixels, one a channel";
  assert_sum_apart(a, IMAGE("6"), "reduce_sum(%2) {dims=[1,2]}", why);
  assert_sum_apart(a, IMAGE("6"), "reduce_sum(%2) {dims=[1], batch=true}", why);
  assert_sum_apart(a, IMAGE("6"), "reduce_sum(%2) {dims=[0,1,2], batch=true}", why);
  assert_sum_apart(a, IMAGE("6"), "reduce_max(%2) {dims=[1,2], batch=true}", why);
  assert_sum_apart(a, IMAGE("2000"), "reduce_sum(%2) {dims=[1,2], batch=true}",
                   why); /* a long row */
  Fused f = fused(a, ROWS " %4 = " DOT("%0", "%2") " !y\n %5 = reduce_sum(%4) {dims=[0], batch=true} !sum\n"
                                                   " output y = %4\n output a = %5\n");
  assert_apart(f, "y", "sum");
  assert_remark(f, "sum", "epilogue of a product has no sums");
}

static void kernels_have_a_limit_of_sums(void **state) {
  Arena *a = *state;
  Str s = str_new(a);
  str_put(&s, ROWS " %4 = exp(%0)\n");
  for (int i = 5; i <= 5 + FUSIBLE_REDUCES; i++)
    str_printf(&s, " %%%d = pow(%%4) {exponent=%d.5}\n %%%d = reduce_sum(%%%d) {dims=[1]}\n", 2 * i,
               i, 2 * i + 1, 2 * i);
  for (int i = 5; i <= 5 + FUSIBLE_REDUCES; i++)
    str_printf(&s, " output o%d = %%%d\n", i, 2 * i + 1);
  Fused f = fused(a, s.text);
  int reduces[64] = {0};
  for (int i = 0; i < f.graph->nodes.count; i++)
    if (fusible_reduction(f.graph->nodes.at[i]->op)) reduces[f.graph->nodes.at[i]->group]++;
  int most = 0;
  for (int k = 0; k < 64; k++) most = reduces[k] > most ? reduces[k] : most;
  assert_int_equal(most, FUSIBLE_REDUCES);
}

/* ---- values computed again ---- */

/* A value of y and its sums that two kernels read, one of which waits for the other. */
static const char *twice(Arena *a, const char *centred, const char *more) {
  static const char image[] =
      IMAGE("6") " %3 = param {name=\"v\", shape=[4,4,3,3], init=constant(0)}\n"
                 " %4 = reduce_sum(%2) {dims=[1,2], batch=true} !sum\n"
                 " %5 = reshape(%4) {shape=[4,1,1]}\n";
  static const char rest[] =
      " !c\n %7 = relu(%6) !r\n %8 = conv(%7, %3) {pads=[1,1,1,1]} !u\n"
      " %9 = mul(%8, %6) !p\n output y = %9\n";
  return arena_printf(a, "%s %%6 = %s%s%s", image, centred, rest, more);
}

static int count_in_group(Fused f, Op op, const char *label) {
  int count = 0;
  for (int i = 0; i < f.graph->nodes.count; i++)
    count += f.graph->nodes.at[i]->op == op && f.graph->nodes.at[i]->group == group(f, label);
  return count;
}

static void cheap_values_are_computed_again(void **state) {
  Arena *a = *state;
  Fused f = fused(a, twice(a, "sub(%2, %5)", ""));
  assert_int_equal(count_in_group(f, OP_sub, "r"), 1);
  assert_int_equal(count_in_group(f, OP_sub, "u"), 1);
  assert_false(is_stored(a, f, "c"));
  assert_true(is_stored(a, f, "y"));
  assert_null(ir_verify(f.graph, a));
}

static void assert_not_again(Arena *a, const char *value, Op op, const char *more) {
  Fused f = fused(a, twice(a, value, more));
  assert_int_equal(count_in_group(f, op, "u"), 0);
  assert_true(is_stored(a, f, "c"));
}

static void other_values_are_not(void **state) {
  Arena *a = *state;
  assert_not_again(a, "div(%2, %5)", OP_div, "");                 /* dear */
  assert_not_again(a, "sub(%2, %5)", OP_sub, " output c = %6\n"); /* stored anyway */
  Fused f = fused_at(a, twice(a, "sub(%2, %5)", ""), 0);
  assert_int_equal(count_op(f.graph, OP_sub), 1);
}

/* Two large operands are more to read than the value itself. */
static void values_of_two_tensors_are_stored(void **state) {
  Arena *a = *state;
  Fused f =
      fused(a,
            " %0 = input {name=\"x\", shape=[4,6,6], elem=\"f32\"}\n"
            " %1 = param {name=\"w\", shape=[4,4,3,3], init=constant(0)}\n"
            " %2 = input {name=\"z\", shape=[4,6,6], elem=\"f32\"}\n"
            " %3 = mul(%0, %2) !c\n %4 = relu(%3) !r\n %5 = conv(%4, %1) {pads=[1,1,1,1]} !u\n"
            " %6 = mul(%5, %3) !p\n output y = %6\n");
  assert_int_equal(count_op(f.graph, OP_mul), 2);
  assert_true(is_stored(a, f, "c"));
}

/* relu(x) is stored for the convolution, but where x is read already it costs less than a load. */
static void stored_values_are_computed_again_beside_their_operand(void **state) {
  Arena *a = *state;
  Fused f = fused(a,
                  " %0 = input {name=\"x\", shape=[4,6,6], elem=\"f32\"}\n"
                  " %1 = param {name=\"w\", shape=[4,4,3,3], init=constant(0)}\n"
                  " %2 = relu(%0) !r\n %3 = conv(%2, %1) {pads=[1,1,1,1]} !u\n"
                  " %4 = mul(%3, %0) !p\n %5 = mul(%4, %2) !q\n output y = %5\n");
  assert_int_equal(count_in_group(f, OP_relu, "u"), 1);
  assert_true(is_stored(a, f, "r"));
}

static void epilogues_of_high_rank(void **state) {
  Arena *a = *state;
  Fused f =
      fused(a,
            " %0 = input {name=\"x\", shape=[2,3,4,5], elem=\"f32\"}\n"
            " %1 = param {name=\"w\", shape=[5,5], init=constant(0)}\n"
            " %2 = dot_general(%0, %1) {contract_a=[3], contract_b=[0]} !y\n %3 = relu(%2) !r\n"
            " output y = %3\n");
  assert_apart(f, "y", "r");
  assert_remark(f, "r", "rank is too high");
}

static void two_products_stay_two(void **state) {
  Arena *a = *state;
  Fused f = fused(a, ROWS " %4 = " DOT("%0", "%2") " !y\n %5 = " DOT("%1", "%2") " !u\n"
              " %6 = add(%4, %5) !r\n"
                          " output y = %6\n");
  assert_apart(f, "y", "u");
}

static void sums_over_other_dimensions(void **state) {
  Arena *a = *state;
  Fused f = fused(
      a, ROWS
      " %4 = mul(%0, %1) !p\n %5 = reduce_sum(%4) {dims=[1]} !rows\n"
      " %6 = reduce_sum(%4) {dims=[0]} !columns\n %7 = reduce_sum(%4) {dims=[1], batch=true} !all\n"
      " output a = %5\n output b = %6\n output c = %7\n");
  assert_together(f, "p", "rows");
  assert_apart(f, "rows", "columns");
  assert_apart(f, "rows", "all");
}

static void meeting_groups_with_other_sums_stay_apart(void **state) {
  Arena *a = *state;
  Fused f =
      fused(a, ROWS
            " %4 = exp(%0) !p\n %5 = reduce_sum(%4) {dims=[1]} !rows\n"
            " %6 = tanh(%1) !q\n %7 = reduce_sum(%6) {dims=[0]} !columns\n %8 = add(%4, %6) !r\n"
            " output a = %5\n output b = %7\n output c = %8\n");
  assert_together(f, "p", "rows");
  assert_together(f, "q", "columns");
  assert_apart(f, "p", "q");
}

static void kernels_have_a_limit(void **state) {
  Arena *a = *state;
  Str s = str_new(a);
  str_put(&s, " %0 = input {name=\"x\", shape=[6,8], elem=\"f32\"}\n %1 = tanh(%0) !n1\n");
  for (int i = 2; i <= 3 * FUSIBLE_MEMBERS; i++)
    str_printf(&s, " %%%d = tanh(%%%d) !n%d\n", i, i - 1, i);
  str_printf(&s, " output y = %%%d\n", 3 * FUSIBLE_MEMBERS);
  Fused f = fused(a, s.text);
  int members[8] = {0};
  for (int i = 0; i < f.graph->nodes.count; i++) members[f.graph->nodes.at[i]->group]++;
  for (int k = 1; k <= 3; k++) assert_int_equal(members[k], FUSIBLE_MEMBERS);
  assert_remark(f, "n65", "the kernel is full");
}

static int reads_from_outside(const Graph *g, int group) {
  int count = 0;
  for (int i = 0; i < g->nodes.count; i++)
    for (int k = 0; g->nodes.at[i]->group == group && k < g->nodes.at[i]->nin; k++)
      count += g->nodes.at[i]->in[k]->group != group;
  return count;
}

static void kernels_read_a_limited_number_of_values(void **state) {
  Arena *a = *state;
  Str s = str_new(a);
  enum { TERMS = 3 * FUSIBLE_READS };
  str_put(&s, ROWS " %10 = " DOT("%0", "%2") "\n");
  for (int i = 0; i < TERMS; i++) {
    str_printf(&s, " %%%d = param {name=\"p%d\", shape=[8], init=constant(0)}\n", 2 * i + 11, i);
    str_printf(&s, " %%%d = add(%%%d, %%%d)\n", 2 * i + 12, 2 * i + 10, 2 * i + 11);
  }
  str_printf(&s, " output y = %%%d\n", 2 * TERMS + 10);
  Fused f = fused(a, s.text);
  int groups = 0;
  for (int i = 0; i < f.graph->nodes.count; i++)
    if (f.graph->nodes.at[i]->group > groups) groups = f.graph->nodes.at[i]->group;
  assert_in_range(groups, 3, 5);
  for (int k = 1; k <= groups; k++)
    assert_in_range(reads_from_outside(f.graph, k), 1, FUSIBLE_READS);
}

/* Sweeps with many members meet in a node that would make one too many. */
static void merging_keeps_the_limit(void **state) {
  Arena *a = *state;
  Str s = str_new(a);
  str_put(&s, ROWS);
  for (int side = 0; side < 2; side++)
    for (int i = 0; i < FUSIBLE_MEMBERS / 2; i++)
      str_printf(&s, " %%%d = tanh(%%%d)\n", 100 * (side + 1) + i,
                 i ? 100 * (side + 1) + i - 1 : side);
  str_printf(&s, " %%300 = add(%%%d, %%%d)\n output y = %%300\n", 99 + FUSIBLE_MEMBERS / 2,
             199 + FUSIBLE_MEMBERS / 2);
  Fused f = fused(a, s.text);
  int members[4] = {0};
  for (int i = 0; i < f.graph->nodes.count; i++) {
    assert_in_range(f.graph->nodes.at[i]->group, 0, 3);
    members[f.graph->nodes.at[i]->group]++;
  }
  for (int k = 1; k < 4; k++) assert_in_range(members[k], 0, FUSIBLE_MEMBERS);
}

static void what_is_moved_is_counted(void **state) {
  Arena *a = *state;
  Fused f = fused(a, IMAGE("6") " %3 = reshape(%2) {shape=[144]} !flat\n %4 = exp(%3)\n"
                                " %5 = concat(%2, %2) {dim=0}\n %6 = reshape(%0) {shape=[72]}\n"
                                " output y = %4\n output z = %5\n output v = %6\n");
  const Diag *last = NULL;
  for (int i = 0; i < f.diags->list.count; i++)
    if (!f.diags->list.at[i].span.file) last = &f.diags->list.at[i];
  assert_non_null(last); /* the last reshape is a view */
  assert_string_equal(last->text, "graph: 1 transposes, 1 copies (1728 bytes a sample)");
}

static void nothing_fuses_at_level_0(void **state) {
  Arena *a = *state;
  Fused f = fused_at(a, ROWS " %4 = exp(%0) !p\n %5 = mul(%4, %1) !q\n"
              " %6 = " DOT("%5", "%2") " !y\n %7 = relu(%6) !r\n"
                             " %8 = reduce_sum(%7) {dims=[1]} !sum\n output y = %8\n", 0);
  static const char *const names[] = {"p", "q", "y", "r", "sum"};
  for (int i = 0; i < 5; i++)
    for (int k = 0; k < i; k++) assert_apart(f, names[i], names[k]);
}

/* ---- networks ---- */

/* The weight's gradient never lies in memory. */
static void updates_run_in_the_epilogue_of_their_gradient(void **state) {
  Arena *a = *state;
  Graph *g = program(a, net(a, "conv_pool"), PROGRAM_TRAIN, "fuse", 2);
  const Result *r = result(g, RESULT_ASSIGN, "fc.weight");
  assert_non_null(r);
  assert_true(group_has(g, r->node->group, OP_dot_general));
  g = program(a, net(a, "conv_pool"), PROGRAM_TRAIN, "fuse", 0);
  r = result(g, RESULT_ASSIGN, "fc.weight");
  assert_false(group_has(g, r->node->group, OP_dot_general));
}

static void every_kernel_has_one_anchor(void **state) {
  Arena *a = *state;
  static const char *const nets[] = {"batch_norm", "conv_pool",    "mixer",
                                     "many_ops",   "second_order", "concat_dropout"};
  for (size_t i = 0; i < sizeof nets / sizeof *nets; i++) {
    Graph *g = program(a, net(a, nets[i]), PROGRAM_TRAIN, "fuse", 2);
    bool *anchored = ARENA_ARRAY(a, bool, g->nodes.count + 1);
    Memory *memory = memory_map(g, a);
    for (int k = 0; k < g->nodes.count; k++) {
      const Node *n = g->nodes.at[k];
      bool leaf = op_info[n->op].kind == KIND_LEAF && n->op != OP_constant,
           view = memory[k].owner != n;
      if (leaf || view) assert_int_equal(n->group, 0);
      if (!leaf && !view && n->op != OP_constant) assert_int_not_equal(n->group, 0);
      if (!n->group || fusible_pointwise(n->op) || fusible_reduction(n->op)) continue;
      assert_false(anchored[n->group]);
      anchored[n->group] = true;
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(chains_are_one_sweep),
      TEST(epilogues_of_products_and_convolutions),
      TEST(reductions_end_the_sweep_of_their_operand),
      TEST(sweeps_over_one_operand_are_one),
      TEST(groups_that_meet_become_one),
      TEST(views_and_constants_belong_to_no_kernel),
      TEST(sums_over_pixels_end_a_convolution),
      TEST(normalisation_is_one_sweep_after_its_sums),
      TEST(other_reductions_are_no_epilogue),
      TEST(kernels_have_a_limit_of_sums),
      TEST(cheap_values_are_computed_again),
      TEST(other_values_are_not),
      TEST(values_of_two_tensors_are_stored),
      TEST(stored_values_are_computed_again_beside_their_operand),
      TEST(epilogues_of_high_rank),
      TEST(two_products_stay_two),
      TEST(sums_over_other_dimensions),
      TEST(meeting_groups_with_other_sums_stay_apart),
      TEST(kernels_have_a_limit),
      TEST(kernels_read_a_limited_number_of_values),
      TEST(merging_keeps_the_limit),
      TEST(what_is_moved_is_counted),
      TEST(nothing_fuses_at_level_0),
      TEST(updates_run_in_the_epilogue_of_their_gradient),
      TEST(every_kernel_has_one_anchor),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
