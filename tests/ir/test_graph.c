/* Making, typing, changing and copying graphs. */
#include "tests/ir/fixture.h"

static const Span nowhere;

static Node *input(Graph *g, const char *name, int rank, const int64_t *dim) {
  Attr attr[] = {attr_str(name), attr_int(0), attr_ints(rank, dim), attr_words("f32")};
  return ir_make(g, OP_input, 0, NULL, attr);
}

static Node *param(Graph *g, const char *name, int rank, const int64_t *dim) {
  Attr attr[] = {attr_str(name), attr_ints(rank, dim), attr_init((Init){INIT_NORMAL, 0, 1}),
                 attr_bool(true)};
  return ir_make(g, OP_param, 0, NULL, attr);
}

#define DIMS(...) \
  (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]) { __VA_ARGS__ }

static void expect_type(const Node *n, const char *text) {
  assert_non_null(n);
  Arena *a = arena_new();
  assert_string_equal(type_text(a, &n->type), text);
  arena_free(a);
}

static void elementwise_types_broadcast(void **state) {
  Graph *g = ir_graph_new(*state, NULL, "g");
  Node *x = input(g, "x", DIMS(4, 1, 3)), *w = param(g, "w", DIMS(5, 1));
  expect_type(ir_binary(g, OP_add, x, w), "f32[*,4,5,3]");
  expect_type(ir_binary(g, OP_mul, w, ir_constant(g, 2)), "f32[5,1]");
  expect_type(ir_constant(g, 2), "f32");
  expect_type(ir_sum(g, x, DIMS(0, 1, 2), false), "f32[*]");
  expect_type(ir_sum(g, x, DIMS(0), true), "f32[1,3]");
}

static void bad_operands_are_said(void **state) {
  Arena *a = *state;
  Graph *g = ir_graph_new(a, NULL, "g");
  Node *x = input(g, "x", DIMS(4)), *y = input(g, "y", DIMS(3));
  OpError e = {.arena = a};
  int before = g->nodes.count;
  assert_null(ir_try(g, OP_add, 2, (Node *[]){x, y}, NULL, nowhere, &e));
  assert_int_equal(e.operand, 1);
  assert_string_equal(e.text, "shapes do not broadcast: f32[*,4] and f32[*,3]");
  assert_null(ir_try(g, OP_add, 1, (Node *[]){x}, NULL, nowhere, &e));
  assert_int_equal(e.operand, 1);
  assert_string_equal(e.text, "operand b of add is missing");
  assert_null(ir_try(g, OP_exp, 2, (Node *[]){x, y}, NULL, nowhere, &e));
  assert_string_equal(e.text, "exp takes 1 operand, not 2");
  assert_int_equal(e.operand, -1);
  assert_int_equal(g->nodes.count, before);
}

static void bad_attributes_are_said(void **state) {
  Arena *a = *state;
  Graph *g = ir_graph_new(a, NULL, "g");
  Node *x = input(g, "x", DIMS(4));
  OpError e = {.arena = a};
  assert_null(ir_try(g, OP_clamp, 1, &x, NULL, nowhere, &e));
  assert_int_equal(e.attribute, 0);
  assert_string_equal(e.text, "lo of clamp is missing");
  assert_null(ir_try(g, OP_gelu, 1, &x, (Attr[]){attr_words("erf")}, nowhere, &e));
  assert_string_equal(e.text, "approximate of gelu must be \"none\" or \"tanh\"");
  assert_null(ir_try(g, OP_softmax, 1, &x, (Attr[]){attr_dim(1)}, nowhere, &e));
  assert_int_equal(e.attribute, 0);
  assert_string_equal(e.text, "dimension 1 is out of range -1 to 0");
  assert_null(ir_try(g, OP_pow, 1, &x, (Attr[]){attr_str("2")}, nowhere, &e));
  assert_string_equal(e.text, "exponent of pow must be a number");
  int64_t twice[] = {0, -1};
  assert_null(
      ir_try(g, OP_sum, 1, &x, (Attr[]){attr_dims(2, twice), attr_bool(false)}, nowhere, &e));
  assert_string_equal(e.text, "dimension 0 is named twice");
}

static void attributes_are_normalised_and_copied(void **state) {
  Arena *a = *state;
  Graph *g = ir_graph_new(a, NULL, "g");
  Node *x = input(g, "x", DIMS(2, 8, 8));
  Node *s = ir_with(g, OP_softmax, x, attr_dim(-2));
  assert_int_equal(node_int(s, "dim"), 1);
  int64_t dims[] = {-1, 0};
  Node *m = ir_with(g, OP_mean, x, attr_dims(2, dims), attr_bool(true));
  dims[0] = 77;
  assert_int_equal(node_ints(m, "dim")[0], 2);
  assert_int_equal(node_ints(m, "dim")[1], 0);
  expect_type(m, "f32[*,1,8,1]");
  Node *u = ir_with(g, OP_unsqueeze, x, attr_dim(-1));
  assert_int_equal(node_int(u, "dim"), 3);
  expect_type(u, "f32[*,2,8,8,1]");
  expect_type(ir_with(g, OP_pow, x, attr_int(2)), "f32[*,2,8,8]"); /* a number may be whole */
}

static void composites_have_the_type_of_their_expansion(void **state) {
  Arena *a = *state;
  Graph *g = ir_graph_new(a, NULL, "g");
  Node *x = input(g, "x", DIMS(10)), *y = input(g, "y", DIMS(10)), *z = input(g, "z", DIMS(9));
  int before = g->nodes.count;
  expect_type(ir_binary(g, OP_mse, x, y), "f32[*]");
  expect_type(ir_unary(g, OP_flatten, x), "f32[*,10]");
  assert_int_equal(g->nodes.count, before + 2); /* the trial leaves nothing behind */
  OpError e = {.arena = a};
  assert_null(ir_try(g, OP_mse, 2, (Node *[]){x, z}, NULL, nowhere, &e));
  assert_non_null(e.text);
  assert_int_equal(g->nodes.count, before + 2);
}

static void helpers_do_nothing_where_nothing_is_to_do(void **state) {
  Graph *g = ir_graph_new(*state, NULL, "g");
  Node *x = input(g, "x", DIMS(4, 3));
  int64_t straight[] = {0, 1};
  assert_ptr_equal(ir_scale(g, x, 1), x);
  assert_ptr_equal(ir_shift(g, x, 0), x);
  assert_ptr_equal(ir_permute(g, x, straight), x);
  assert_ptr_equal(ir_reshape(g, x, 2, x->type.dim), x);
  assert_ptr_equal(ir_broadcast(g, x, &x->type), x);
  assert_ptr_equal(ir_sum(g, x, 0, NULL, false), x);
  assert_int_equal(g->nodes.count, 1);
}

static void helpers_make_what_they_say(void **state) {
  Graph *g = ir_graph_new(*state, NULL, "g");
  Node *x = input(g, "x", DIMS(4, 3)), *w = param(g, "w", DIMS(1, 3));
  int64_t turned[] = {1, 0}, first[] = {0};
  expect_type(ir_permute(g, x, turned), "f32[*,3,4]");
  expect_type(ir_reshape(g, x, DIMS(12)), "f32[*,12]");
  Node *b = ir_broadcast(g, w, &x->type);
  expect_type(b, "f32[*,4,3]");
  expect_type(ir_sum_to(g, b, &w->type), "f32[1,3]");
  assert_ptr_equal(ir_sum_to(g, x, &x->type), x);
  Node *s = ir_sum(g, x, 1, first, false);
  expect_type(s, "f32[*,3]");
  expect_type(ir_keepdims(g, s, &x->type, 1, first), "f32[*,1,3]");
  Node *m = ir_mean(g, x, 1, first, true);
  expect_type(m, "f32[3]");
  assert_int_equal(m->op, OP_div);
  assert_int_equal(m->in[1]->op, OP_batch_size);
}

/* y = exp(x); z = y + y; out z. Substituting log(x) for y leaves exp dead. */
static void substitution_and_tidying(void **state) {
  Arena *a = *state;
  Graph *g = ir_graph_new(a, NULL, "g");
  Node *x = input(g, "x", DIMS(4)), *spare = input(g, "spare", DIMS(1));
  Node *y = ir_unary(g, OP_exp, x), *z = ir_binary(g, OP_add, y, y);
  ir_result(g, RESULT_OUTPUT, "z", z, NULL);
  Node *l = ir_unary(g, OP_log, x);
  Node **to = ARENA_ARRAY(a, Node *, g->nodes.count);
  to[y->id] = l;
  ir_substitute(g, to);
  assert_ptr_equal(z->in[0], l);
  assert_ptr_equal(z->in[1], l);
  ir_tidy(g);
  assert_int_equal(g->nodes.count, 4); /* x, spare, log, add */
  assert_int_equal(spare->id, 1);
  assert_int_equal(l->id, 2);
  assert_int_equal(z->id, 3);
  assert_null(ir_verify(g, a));
  int *uses = ir_use_counts(g, a);
  assert_int_equal(uses[x->id], 1);
  assert_int_equal(uses[l->id], 2);
  assert_int_equal(uses[z->id], 1);
}

static void substitution_is_transitive(void **state) {
  Arena *a = *state;
  Graph *g = ir_graph_new(a, NULL, "g");
  Node *x = input(g, "x", DIMS(4)), *y = ir_unary(g, OP_neg, x), *z = ir_unary(g, OP_neg, y);
  Node *w = ir_unary(g, OP_exp, z);
  ir_result(g, RESULT_OUTPUT, "w", z, NULL);
  Node **to = ARENA_ARRAY(a, Node *, g->nodes.count);
  to[z->id] = y;
  to[y->id] = x;
  ir_substitute(g, to);
  assert_ptr_equal(w->in[0], x);
  assert_ptr_equal(g->results.at[0].node, x);
}

/* A chain longer than any stack of calls would bear, in reverse order. */
static void tidying_sorts_deep_graphs(void **state) {
  Arena *a = *state;
  Graph *g = ir_graph_new(a, NULL, "g");
  enum { LENGTH = 100000 };
  Node *x = input(g, "x", DIMS(1));
  for (int i = 0; i < LENGTH; i++) x = ir_unary(g, OP_neg, x);
  ir_result(g, RESULT_OUTPUT, "x", x, NULL);
  for (int i = 0, k = g->nodes.count - 1; i < k; i++, k--) {
    Node *n = g->nodes.at[i];
    g->nodes.at[i] = g->nodes.at[k];
    g->nodes.at[k] = n;
  }
  for (int i = 0; i < g->nodes.count; i++) g->nodes.at[i]->id = i;
  assert_non_null(ir_verify(g, a));
  ir_tidy(g);
  assert_int_equal(g->nodes.count, LENGTH + 1);
  for (int i = 1; i < g->nodes.count; i++) assert_int_equal(g->nodes.at[i]->in[0]->id, i - 1);
}

static void copies_are_deep(void **state) {
  Arena *a = *state, *b = arena_new();
  Graph *g =
      parse(b,
            "graph g program train { train { optimizer adam {lr=0.5} augment crop {padding=4}"
            " freeze \"a*\" batch 3 } %0 = input {name=\"x\", shape=[2], elem=\"f32\"} !x group 2 "
            "offset 64"
            " %1 = param {name=\"w\", shape=[2], init=constant(1)} %2 = mul(%0, %1) order [0]"
            " output y = %2 assign w = %1 of %1 }");
  Graph *c = ir_copy(g, a);
  assert_true(ir_equal(g, c));
  arena_free(b); /* the copy lives on */
  assert_int_equal(c->train.batch, 3);
  assert_string_equal(c->train.freeze.at[0], "a*");
  assert_ptr_equal(c->nodes.at[2]->in[0], c->nodes.at[0]);
  assert_ptr_equal(c->results.at[1].target, c->nodes.at[1]);
  assert_ptr_equal(ir_find_leaf(c, OP_param, "w"), c->nodes.at[1]);
  assert_null(ir_find_leaf(c, OP_buffer, "w"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(elementwise_types_broadcast),
      TEST(bad_operands_are_said),
      TEST(bad_attributes_are_said),
      TEST(attributes_are_normalised_and_copied),
      TEST(composites_have_the_type_of_their_expansion),
      TEST(helpers_do_nothing_where_nothing_is_to_do),
      TEST(helpers_make_what_they_say),
      TEST(substitution_and_tidying),
      TEST(substitution_is_transitive),
      TEST(tidying_sorts_deep_graphs),
      TEST(copies_are_deep),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
