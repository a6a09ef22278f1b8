/* The layout pass: where orders come from, how far they spread, what keeps its own. */
#include "tests/passes/fixture.h"

#include "passes/memory.h"

static Graph *laid_out(Arena *a, const char *body) {
  Graph *g = parse(a, arena_printf(a, "graph g {\n%s}\n", body));
  PassOptions o = options_for(a, g);
  assert_true(pipeline_passes(g, "layout", &o));
  return g;
}

/* "120" for [H, W, C]. */
static const char *order_of(Arena *a, const Node *n) {
  Str s = str_new(a);
  for (int i = 0; i < n->type.rank; i++) str_printf(&s, "%d", memory_dim(n, i));
  return s.text;
}

#define ASSERT_ORDER(g, label, want) \
  assert_string_equal(order_of(a, labelled((g), (label))), (want))

/* ---- seeds ---- */

static void images_and_weights_of_convolutions(void **state) {
  Arena *a = *state;
  Graph *g = laid_out(a,
                      " %0 = input {name=\"x\", shape=[2,6,6], elem=\"f32\"} !x\n"
                      " %1 = param {name=\"w\", shape=[4,2,3,3], init=constant(0)} !w\n"
                      " %2 = param {name=\"b\", shape=[4,1,1], init=constant(0)} !b\n"
                      " %3 = exp(%0) !before\n"
                      " %4 = conv(%3, %1) {pads=[1,1,1,1]} !y\n"
                      " %5 = add(%4, %2) !after\n"
                      " %6 = conv_input(%5, %1) {size=[6,6], pads=[1,1,1,1]} !dx\n"
                      " %7 = conv_weight(%0, %5) {kernel=[3,3], pads=[1,1,1,1]} !dw\n"
                      " output a = %6\n output b = %7\n");
  ASSERT_ORDER(g, "x", "012"); /* the user's memory */
  ASSERT_ORDER(g, "before", "120");
  ASSERT_ORDER(g, "w", "2310");
  ASSERT_ORDER(g, "y", "120");
  ASSERT_ORDER(g, "after", "120");
  ASSERT_ORDER(g, "b", "012"); /* broadcast: its own shape */
  ASSERT_ORDER(g, "dx", "120");
  ASSERT_ORDER(g, "dw", "2310");
}

static void images_of_pools(void **state) {
  Arena *a = *state;
  Graph *g = laid_out(a,
                      " %0 = input {name=\"x\", shape=[2,6,6], elem=\"f32\"}\n"
                      " %1 = exp(%0) !in\n"
                      " %2 = max_pool2d(%1) {kernel=[2,2]} !out\n"
                      " %3 = max_pool2d_put(%1, %2) {kernel=[2,2]} !put\n"
                      " %4 = add(%3, %1) !sum\n"
                      " output y = %4\n");
  ASSERT_ORDER(g, "in", "120");
  ASSERT_ORDER(g, "out", "120");
  ASSERT_ORDER(g, "put", "120");
  ASSERT_ORDER(g, "sum", "120");
}

static void weights_of_linear_layers(void **state) {
  Arena *a = *state;
  Graph *g = laid_out(a,
                      " %0 = input {name=\"x\", shape=[6], elem=\"f32\"}\n"
                      " %1 = param {name=\"w\", shape=[4,6], init=constant(0)} !w\n"
                      " %2 = param {name=\"v\", shape=[6,4], init=constant(0)} !v\n"
                      " %3 = dot_general(%0, %1) {contract_a=[0], contract_b=[1]} !y\n"
                      " %4 = dot_general(%0, %2) {contract_a=[0], contract_b=[0]}\n"
                      " output y = %3\n output z = %4\n");
  ASSERT_ORDER(g, "w", "10");
  ASSERT_ORDER(g, "v", "01"); /* [in, out] already */
}

/* ---- spreading ---- */

static void through_data_movement_of_one_rank(void **state) {
  Arena *a = *state;
  Graph *g = laid_out(a,
                      " %0 = input {name=\"x\", shape=[2,6,6], elem=\"f32\"}\n"
                      " %1 = max_pool2d(%0) {kernel=[2,2]} !pool\n"
                      " %2 = cut(%1) {start=[0,1,0], size=[2,2,3], step=[1,1,1]} !cut\n"
                      " %3 = concat(%2, %2) {dim=0} !joined\n"
                      " %4 = surround(%3) {low=[0,1,0], high=[0,0,1], inner=[0,0,0]} !padded\n"
                      " %5 = random_mask(%4) {keep=0.5, stream=1} !mask\n"
                      " %6 = mul(%4, %5) !masked\n"
                      " %7 = permute(%6) {order=[2,0,1]} !turned\n"
                      " %8 = reduce_sum(%6) {dims=[1]} !sum\n"
                      " output y = %7\n output z = %8\n");
  ASSERT_ORDER(g, "cut", "120");
  ASSERT_ORDER(g, "joined", "120");
  ASSERT_ORDER(g, "padded", "120");
  ASSERT_ORDER(g, "mask", "120");
  ASSERT_ORDER(g, "turned", "201"); /* [W, C, H] in memory [H, W, C]: a view that is dense */
  ASSERT_ORDER(g, "sum", "01");
}

static void backwards_through_a_permutation(void **state) {
  Arena *a = *state;
  Graph *g = laid_out(a,
                      " %0 = input {name=\"x\", shape=[6,6,2], elem=\"f32\"}\n"
                      " %1 = exp(%0) !rows\n"
                      " %2 = permute(%1) {order=[2,0,1]} !image\n"
                      " %3 = exp(%2)\n"
                      " %4 = max_pool2d(%3) {kernel=[2,2]}\n"
                      " output y = %4\n");
  ASSERT_ORDER(g, "image", "120");
  ASSERT_ORDER(g, "rows", "012"); /* the image's memory, seen as [H, W, C] */
}

static void reshapes_and_constants_stay_row_major(void **state) {
  Arena *a = *state;
  Graph *g = laid_out(a,
                      " %0 = input {name=\"x\", shape=[72], elem=\"f32\"}\n"
                      " %1 = exp(%0)\n"
                      " %2 = reshape(%1) {shape=[2,6,6]} !image\n"
                      " %3 = constant {value=2, shape=[2,6,6]} !c\n"
                      " %4 = add(%2, %3) !sum\n"
                      " %5 = max_pool2d(%4) {kernel=[2,2]}\n"
                      " output y = %5\n");
  ASSERT_ORDER(g, "image", "012");
  ASSERT_ORDER(g, "c", "012");
  ASSERT_ORDER(g, "sum", "120");
}

static void tables_of_images_stay_row_major(void **state) {
  Arena *a = *state;
  Graph *g = laid_out(a,
                      " %0 = input {name=\"i\", classes=5, shape=[3], elem=\"i32\"}\n"
                      " %1 = param {name=\"t\", shape=[5,4,4], init=constant(0)} !table\n"
                      " %2 = param {name=\"m\", shape=[5,4], init=constant(0)} !matrix\n"
                      " %3 = take_rows(%1, %0)\n"
                      " %4 = put_rows(%3, %0) {count=5} !back\n"
                      " %5 = max_pool2d(%4) {kernel=[2,2]}\n"
                      " %6 = take_rows(%2, %0)\n"
                      " %7 = put_rows(%6, %0) {count=5} !rows\n"
                      " %8 = input {name=\"x\", shape=[4], elem=\"f32\"}\n"
                      " %9 = dot_general(%8, %2) {contract_a=[0], contract_b=[1]}\n"
                      " output a = %5\n output b = %9\n grad m = %7 of %2\n");
  ASSERT_ORDER(g, "back", "012");
  ASSERT_ORDER(g, "matrix", "10");
  ASSERT_ORDER(g, "rows", "10"); /* a gradient in its parameter's order */
}

/* ---- orders that are fixed before ---- */

static void preset_orders_win(void **state) {
  Arena *a = *state;
  Graph *g =
      laid_out(a,
               " %0 = input {name=\"x\", shape=[2,6,6], elem=\"f32\"}\n"
               " %1 = param {name=\"w\", shape=[4,2,3,3], init=constant(0)} !w order [3,2,1,0]\n"
               " %2 = param {name=\"v\", shape=[4,2,3,3], init=constant(0)} !v order [0,1,2,3]\n"
               " %3 = conv(%0, %1) {pads=[0,0,0,0]} !y\n"
               " %4 = conv_weight(%0, %3) {kernel=[3,3], pads=[0,0,0,0]} !dw\n"
               " %5 = conv_weight(%0, %3) {kernel=[3,3], pads=[0,0,0,0]} !dv\n"
               " %6 = sub(%1, %4) !new_w\n"
               " %7 = sub(%2, %5) !new_v\n"
               " output y = %3\n assign w = %6 of %1\n assign v = %7 of %2\n");
  ASSERT_ORDER(g, "w", "3210");
  ASSERT_ORDER(g, "new_w", "3210");
  ASSERT_ORDER(g, "dw", "3210");
  ASSERT_ORDER(g, "v", "0123");
  ASSERT_ORDER(g, "new_v", "0123");
  ASSERT_ORDER(g, "y", "120");
}

/* ---- whole networks ---- */

static bool is_free(const Node *n) {
  return n->op != OP_reshape && n->op != OP_constant && n->op != OP_permute;
}

static void check_network(Arena *a, const char *text, void *unused) {
  (void)unused;
  for (int p = PROGRAM_TRAIN; p < PROGRAM_COUNT; p++) {
    Graph *g = program(a, parse(a, text), (Program)p, "layout", 2);
    for (int i = 0; i < g->nodes.count; i++) {
      const Node *n = g->nodes.at[i];
      if (n->op == OP_input || n->op == OP_target) assert_false(n->ordered);
      if (n->op == OP_conv) {
        assert_string_equal(order_of(a, n), "120");
        assert_string_equal(order_of(a, n->in[1]), "2310");
      }
    }
    for (int i = 0; i < g->results.count; i++) {
      const Result *r = &g->results.at[i];
      if (r->target && r->target->op != OP_input && is_free(r->node))
        assert_true(memory_same_order(r->node, r->target));
    }
  }
}

/* New values and gradients come in the order of the parameter that they belong to, in every
 * program. */
static void results_in_their_targets_order(void **state) {
  assert_true(each_net(*state, NULL, check_network) > 5);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(images_and_weights_of_convolutions), TEST(images_of_pools),
      TEST(weights_of_linear_layers),           TEST(through_data_movement_of_one_rank),
      TEST(backwards_through_a_permutation),    TEST(reshapes_and_constants_stay_row_major),
      TEST(tables_of_images_stay_row_major),    TEST(preset_orders_win),
      TEST(results_in_their_targets_order),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
