/* What each part of the language builds: graphs.txt holds sources and their graphs, without places.
 */
#include "fixture.h"

#include "ir/op.h"

static void check(Arena *a, const Case *c) {
  Loaded l = load_text(a, c->source);
  check_case(c, loaded_text(a, l));
  const char *wrong = ir_verify(l.graph, a);
  if (wrong) fail_msg("%s: %s", c->name, wrong);
}

static void test_graphs(void **state) {
  for_cases(*state, TEST_SOURCE_DIR "/tests/frontend/graphs.txt", check);
}

/* The text of a graph from the frontend gives that graph back. */
static void reparse(Arena *a, const Case *c) {
  Loaded l = load_text(a, c->source);
  Str s = str_new(a);
  ir_print(l.graph, &s);
  Diags *d = diags_new(a, sources_new(a));
  Graph *again = ir_parse(a, d, sources_add(d->sources, "t.ir", s.text, s.length));
  if (!again) fail_msg("%s: %s", c->name, diags_text(d));
  assert_true(ir_equal(l.graph, again));
}

static void test_text_form(void **state) {
  for_cases(*state, TEST_SOURCE_DIR "/tests/frontend/graphs.txt", reparse);
}

/* A node comes from the call, a label and its arguments included, or the operator. */
static void test_places(void **state) {
  Loaded l = load_text(*state,
                       "network t {\n"
                       "  input x : f32[4];\n"
                       "  h = x |> linear(2,\n"
                       "        bias=false) as fc |> relu;\n"
                       "  output o = h + 1;\n"
                       "}\n");
  assert_non_null(l.graph);
  struct {
    Op op;
    Span span;
  } expected[] = {{OP_input, {1, 2, 3, 2, 20}},     {OP_param, {1, 3, 12, 4, 26}},
                  {OP_linear, {1, 3, 12, 4, 26}},   {OP_relu, {1, 4, 30, 4, 34}},
                  {OP_constant, {1, 5, 18, 5, 19}}, {OP_add, {1, 5, 14, 5, 19}}};
  assert_int_equal(l.graph->nodes.count, 6);
  for (int i = 0; i < 6; i++) {
    const Node *n = l.graph->nodes.at[i];
    assert_int_equal(n->op, expected[i].op);
    assert_memory_equal(&n->span, &expected[i].span, sizeof n->span);
  }
}

static void test_syntax_tree(void **state) {
  write_file("t.net",
             "include \"b.net\";\n"
             "const k = [1, -2.5, \"s\"];\n"
             "block f(x, n=2) { if n == 2 { return x; } else { y, z = g(x); } return x, y; }\n"
             "network t {\n"
             "  input x : u8[1, 2];\n"
             "  for i in 0..k { h = x |> f(i, n=3) as a[i] |> relu; }\n"
             "  param w : f32[3] = zeros;\n"
             "  output o = 1 + 2 * x;\n"
             "}\n"
             "train { optimizer sgd(lr=1); batch 3; }\n");
  char *text = NULL;
  size_t size = 0;
  FILE *f = open_memstream(&text, &size);
  Diags *d = diags_new(*state, sources_new(*state));
  frontend_print_ast(*state, d, "t.net", f);
  fclose(f);
  assert_int_equal(d->errors, 0);
  assert_string_equal(text,
                      "(include \"b.net\")\n"
                      "(const k [1 (- 2.5) \"s\"])\n"
                      "(block f (x n=2)\n"
                      "  (if (== n 2)\n"
                      "    (do\n"
                      "      (return x))\n"
                      "    (else\n"
                      "      (bind y z (g x))))\n"
                      "  (return x y))\n"
                      "(network t\n"
                      "  (input x : u8[1 2])\n"
                      "  (for i 0 .. k\n"
                      "    (do\n"
                      "      (bind h (|> (|> x (f i n=3 as a[i])) (relu)))))\n"
                      "  (param w : f32[3] zeros)\n"
                      "  (output o (+ 1 (* 2 x))))\n"
                      "(train\n"
                      "  (optimizer (sgd lr=1))\n"
                      "  (batch 3))\n");
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {TEST(test_graphs), TEST(test_text_form), TEST(test_places),
                                     TEST(test_syntax_tree)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
