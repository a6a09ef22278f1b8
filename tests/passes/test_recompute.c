/* Recomputation under a memory budget: the graph keeps its answers (the interpreter runs before and
 * after each pass), the plan runs, and the arena shrinks as asked. */
#include "tests/passes/machine.h"

#include "passes/cost.h"

static const Program with_backward[] = {PROGRAM_TRAIN, PROGRAM_GRAD, PROGRAM_GRAD_EVAL};

static Graph *within(Arena *a, const char *text, Program p, int level, int64_t budget) {
  Graph *source = parse(a, text);
  PassOptions o = options_for(a, source);
  o.level = level;
  o.memory_budget = budget;
  source->train.batch = 3;
  Graph *g = pipeline_run(source, p, a, &o);
  diags_print(o.diags, stderr, false);
  assert_non_null(g);
  simulate(a, g);
  return g;
}

static int64_t peak(Arena *a, const Graph *g) {
  return cost_arena(g, plan_read(g, a, REAL), REAL, a);
}

/* `blocks` of convolution, group norm, ReLU, dropout, convolution, residual add; the nodes of one
 * take 10 numbers. */
static const char *residual(Arena *a, int blocks) {
  Str s = str_new(a);
  str_put(&s,
          "graph residual {\n train { optimizer sgd {lr=0.1} batch 3 }\n"
          " %0 = input {name=\"x\", shape=[4,6,6], elem=\"f32\"}\n"
          " %1 = target {name=\"y\", classes=4, shape=[], elem=\"i32\"}\n");
  int x = 0;
  for (int i = 0; i < blocks; i++) {
    int n = 10 + 10 * i;
    for (int k = 0; k < 2; k++)
      str_printf(&s, " %%%d = param {name=\"w%d.%d\", shape=[4,4,3,3], init=uniform(-0.3, 0.3)}\n",
                 n + k, i, k);
    str_printf(&s,
               " %%%d = conv2d(%%%d, %%%d, _) {out=4, kernel=[3,3], padding=[1,1], bias=false}\n",
               n + 2, x, n);
    str_printf(&s, " %%%d = group_norm(%%%d, _, _) {groups=2, affine=false}\n", n + 3, n + 2);
    str_printf(&s, " %%%d = relu(%%%d)\n %%%d = dropout(%%%d) {p=0.3}\n", n + 4, n + 3, n + 5,
               n + 4);
    str_printf(&s,
               " %%%d = conv2d(%%%d, %%%d, _) {out=4, kernel=[3,3], padding=[1,1], bias=false}\n",
               n + 6, n + 5, n + 1);
    str_printf(&s, " %%%d = add(%%%d, %%%d)\n %%%d = tanh(%%%d)\n", n + 7, n + 6, x, n + 8, n + 7);
    x = n + 8;
  }
  str_printf(&s,
             " %%%d = global_avg_pool(%%%d)\n %%%d = cross_entropy(%%%d, %%1)\n loss = %%%d\n}\n",
             x + 1, x, x + 2, x + 1, x + 2);
  return s.text;
}

static void a_budget_is_kept(void **state) {
  Arena *a = *state;
  const char *text = residual(a, 6);
  for (int level = 0; level <= 2; level += 2)
    for (int i = 0; i < 3; i++) {
      Program p = with_backward[i];
      int64_t all = peak(a, within(a, text, p, level, 0));
      int64_t least = peak(a, within(a, text, p, level, 1));
      if (least >= all * 3 / 4)
        fail_msg("%s -O%d: from %lld only to %lld bytes", program_name[p], level, (long long)all,
                 (long long)least);
      for (int64_t budget = least; budget <= all; budget += (all - least) / 3)
        assert_true(peak(a, within(a, text, p, level, budget)) <= budget);
    }
}

static int kernels(Arena *a, const Graph *g) { return plan_read(g, a, REAL)->ngroups; }

/* Less memory costs time, and no kernel runs a third time. */
static void less_memory_takes_more_kernels(void **state) {
  Arena *a = *state;
  const char *text = residual(a, 6);
  Graph *all = within(a, text, PROGRAM_TRAIN, 2, 0), *least = within(a, text, PROGRAM_TRAIN, 2, 1);
  Graph *some = within(a, text, PROGRAM_TRAIN, 2, (3 * peak(a, all) + peak(a, least)) / 4);
  assert_true(kernels(a, some) > kernels(a, all));
  assert_true(kernels(a, least) > kernels(a, some));
  assert_true(count_op(least, OP_conv) <= 2 * count_op(all, OP_conv));
}

/* Masks are drawn again from the same stream: the interpreter has seen to the values. */
static void masks_are_drawn_twice(void **state) {
  Arena *a = *state;
  const char *text = residual(a, 4);
  Graph *all = within(a, text, PROGRAM_TRAIN, 2, 0);
  int64_t most = peak(a, all);
  int twice = 0;
  for (int i = 1; i < 8; i++)
    twice += count_op(within(a, text, PROGRAM_TRAIN, 2, most * i / 8), OP_random_mask) >
             count_op(all, OP_random_mask);
  assert_true(twice > 0);
}

static void what_fits_is_left_alone(void **state) {
  Arena *a = *state;
  const char *text = residual(a, 3);
  for (int p = 0; p < PROGRAM_COUNT; p++) {
    Graph *all = within(a, text, (Program)p, 2, 0);
    assert_true(ir_equal(all, within(a, text, (Program)p, 2, peak(a, all) + 64)));
  }
  Graph *infer = within(a, text, PROGRAM_INFER, 2, 0);
  assert_true(ir_equal(infer, within(a, text, PROGRAM_INFER, 2, 1)));
}

static void stays_right(Arena *a, const char *text, void *unused) {
  (void)unused;
  for (int level = 0; level <= 2; level += 2)
    for (int i = 0; i < 3; i++) within(a, text, with_backward[i], level, 1);
}

static void every_network_stays_right(void **state) {
  assert_true(each_net(*state, NULL, stays_right) > 5);
}

/* Only products with pixels count, not those with the padding: all pairs of an output and a tap. */
static void products_of_conv_are_counted(void **state) {
  enum { SIZE = 9, OUT = 2 };
  int below = 0;
  for (int taps = 1; taps <= 11; taps += 2)
    for (int stride = 1; stride <= 3; stride++)
      for (int dilation = 1; dilation <= 3; dilation++)
        for (int pad = 0; pad <= 12; pad += 4) {
          if ((taps - 1) * dilation + 1 > SIZE + 2 * pad) continue;
          Graph *g = parse(
              *state, arena_printf(*state,
                                   "graph g { %%0 = input {name=x, shape=[1,%d,1], elem=\"f32\"}"
                                   " %%1 = param {name=w, shape=[%d,1,%d,1], init=default}"
                                   " %%2 = conv(%%0, %%1) {stride=[%d,1], pads=[%d,%d,0,0],"
                                   " dilation=[%d,1]} output y = %%2 }",
                                   SIZE, OUT, taps, stride, pad, pad, dilation));
          const Node *conv = g->nodes.at[2];
          int64_t products = 0;
          for (int64_t o = 0; o < conv->type.dim[1]; o++)
            for (int64_t k = 0; k < taps; k++) {
              int64_t i = o * stride + k * dilation - pad;
              products += i >= 0 && i < SIZE;
            }
          assert_true(cost_flops(conv) == (double)(2 * OUT * products));
          below += products < conv->type.dim[1] * taps;
        }
  assert_true(below > 20);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_budget_is_kept),          TEST(less_memory_takes_more_kernels),
      TEST(masks_are_drawn_twice),     TEST(what_fits_is_left_alone),
      TEST(every_network_stays_right), TEST(products_of_conv_are_counted),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
