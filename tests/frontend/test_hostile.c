/* Nothing that is written in a file crashes, hangs or fills memory: files cut and changed at every
 * byte, and texts made to go past each limit. What is not accepted is an error; load() checks that
 * there is one. */
#include "fixture.h"

static const char *const examples[] = {"blocks",         "iris",           "mnist_cnn", "mixer",
                                       "concat_dropout", "regression_mlp", "residual"};
enum { EXAMPLES = sizeof examples / sizeof *examples };

static char *example(Arena *a, int i, size_t *length) {
  return read_file(a, arena_printf(a, TEST_SOURCE_DIR "/examples/%s.net", examples[i]), length);
}

static void load_bytes(const char *text, size_t length) {
  Arena *a = arena_new();
  write_bytes("t.net", text, length);
  load(a, "t.net");
  arena_free(a);
}

static void test_cut_at_every_byte(void **state) {
  for (int i = 0; i < EXAMPLES; i++) {
    size_t length;
    char *text = example(*state, i, &length);
    write_bytes(i == 0 ? "blocks.net" : "other.net", text, length); /* residual includes it */
    for (size_t n = 0; n < length; n++) load_bytes(text, n);
  }
}

static void test_changed_at_every_byte(void **state) {
  static const char bytes[] = {0, '\n', '"', '(', '}', ';', '-', '9', (char)0xc3};
  for (int i = 0; i < EXAMPLES; i += 3) {
    size_t length;
    char *text = example(*state, i, &length);
    for (size_t n = 0; n < length; n++) {
      char was = text[n];
      text[n] = bytes[n % sizeof bytes];
      load_bytes(text, length);
      text[n] = was;
    }
  }
}

static void test_statements_removed(void **state) {
  size_t length;
  char *text = example(*state, 2, &length);
  for (size_t from = 0; from < length; from += 1 + strcspn(text + from, "\n")) {
    size_t line = strcspn(text + from, "\n");
    char *less = arena_strdup(*state, text);
    memset(less + from, ' ', line);
    load_bytes(less, length);
  }
}

/* ---- limits ---- */

/* A network whose body is `n` times `part` between two texts. */
static const char *repeated(Arena *a, const char *before, const char *part, int n,
                            const char *after) {
  Str s = str_new(a);
  str_put(&s, "network t {\n  input x : f32[2];\n");
  str_put(&s, before);
  for (int i = 0; i < n; i++) str_put(&s, part);
  str_put(&s, after);
  str_put(&s, "\n  output o = x;\n}\n");
  return s.text;
}

static void expect_error(void **state, const char *text, const char *part) {
  Loaded l = load_text(*state, text);
  assert_null(l.graph);
  if (!strstr(l.errors, part)) fail_msg("expected \"%s\" in\n%.2000s", part, l.errors);
}

static void test_nesting(void **state) {
  Arena *a = *state;
  const char *deep = "levels deep";
  expect_error(state, repeated(a, "h = ", "(", 100000, ";"), deep);
  expect_error(state, repeated(a, "h = ", "[", 100000, ";"), deep);
  expect_error(state, repeated(a, "h = ", "relu(", 100000, ";"), deep);
  expect_error(state, repeated(a, "", "if true { ", 100000, ""), deep);
  expect_error(state, repeated(a, "h = ", "- ", 5000, "1;"), "nested more than 1000 levels deep");
  expect_error(state, repeated(a, "h = ", "- ", 100000, "1;"), "nested too deeply");
  expect_error(state, repeated(a, "h = ", "not ", 5000, "true;"), deep);
  expect_error(state, repeated(a, "if false { } ", "else if false { } ", 1200, ""), deep);
}

static void test_nesting_within_the_limit(void **state) {
  Str s = str_new(*state);
  for (int i = 0; i < 190; i++) str_put(&s, "relu(");
  str_put(&s, "x");
  for (int i = 0; i < 190; i++) str_put(&s, ")");
  Loaded l = load_text(*state, repeated(*state, "h = ", s.text, 1, ";"));
  assert_string_equal(l.errors, "");
}

/* Chains that lean left cost no stack, however long. */
static void test_long_chains(void **state) {
  Loaded l = load_text(*state, repeated(*state, "h = x", " |> relu", 20000, ";"));
  assert_string_equal(l.errors, "");
  l = load_text(*state, repeated(*state, "h = 1", " + 1", 200000, "; y = x * h;"));
  assert_string_equal(l.errors, "");
  assert_non_null(strstr(graph_text(*state, l.graph), "constant {value=200001}"));
  write_file("t.net", repeated(*state, "h = x", " |> relu", 100000, ";"));
  FILE *f = fopen("/dev/null", "w");
  Diags *d = diags_new(*state, sources_new(*state));
  frontend_print_ast(*state, d, "t.net", f);
  fclose(f);
  assert_int_equal(d->errors, 0);
}

/* Blocks that call the next one twice: 2^60 calls without a layer. */
static void test_doubling_blocks(void **state) {
  Str s = str_new(*state);
  str_put(&s, "block b0(x) { return x; }\n");
  for (int i = 1; i <= 60; i++)
    str_printf(&s, "block b%d(x) { x = b%d(x) as x; return b%d(x) as y; }\n", i, i - 1, i - 1);
  str_put(&s, "network t { input x : f32; output o = b60(x); }\n");
  expect_error(state, s.text, "more than 100000 calls of blocks");
}

/* Lists of lists: 2^60 elements by sharing, and a list nested 400000 deep. Comparing and flattening
 * walk them. */
static void test_lists_within_lists(void **state) {
  static const char *const grow[] = {"a = [1]; for i in 0..60 { a = [a, a]; } ",
                                     "a = []; for i in 0..60 { a = [a, a]; } ",
                                     "a = [1]; for i in 0..400000 { a = [a]; } "};
  static const char *const use[] = {"b = a == a;", "b = reshape(x, a);", "if a != [1] { b = x; }"};
  for (int i = 0; i < 9; i++) {
    const char *body = arena_printf(*state, "%s%s", grow[i / 3], use[i % 3]);
    expect_error(state, repeated(*state, body, "", 0, ""), "a list of more than 4096 elements");
  }
}

static void test_chain_of_blocks(void **state) {
  Str s = str_new(*state);
  str_put(&s, "block b0(x) { return x; }\n");
  for (int i = 1; i <= 3000; i++)
    str_printf(&s, "block b%d(x) { return b%d(x) as c; }\n", i, i - 1);
  str_put(&s, "network t { input x : f32; output o = b3000(x); }\n");
  expect_error(state, s.text, "error: the full name of this layer is longer than 255 bytes");
}

static void test_too_much(void **state) {
  Arena *a = *state;
  expect_error(state, repeated(a, "for i in 0..1000000000000 { h = relu(x); }", "", 0, ""),
               "the network has more than 100000 layers");
  expect_error(state, repeated(a, "for i in 0..9223372036854775807 { h = i; }", "", 0, ""),
               "more than 1000000 loop steps");
  expect_error(
      state,
      repeated(a, "for i in 0..999 { for j in 0..999 { h = [", "[1, 2, 3, 4], ", 500, "1]; } }"),
      "more than 10000000 evaluations");
  expect_error(state, repeated(a, "h = [", "1, ", 5000, "1];"),
               "a list of more than 4096 elements");
  expect_error(state, repeated(a, "h = concat(", "x, ", 4096, "x);"),
               "t.net:3:5: error: concat takes at most 4096 operands, not 4097");
  expect_error(state,
               repeated(a, "for i in 0..900000 { h = missing; k = relu(1, 2, 3); }", "", 0, ""),
               "missing is not defined");
  expect_error(state, repeated(a, "h = ", "n", 256, ";"), "this name is too long");
  expect_error(state, repeated(a, "h = reshape(x, [", "1, ", 20, "2]);"),
               "shape of reshape must be");
  expect_error(state, repeated(a, "h = linear(x, 4294967296);", "", 0, ""),
               "out of linear must be");
  expect_error(state, repeated(a, "h = linear(x, 2147483648) |> linear(2147483648);", "", 0, ""),
               "error: ");
}

static void test_many_names(void **state) {
  Str s = str_new(*state);
  str_put(&s, "network t {\n  input x : f32;\n");
  for (int i = 0; i < 50000; i++) str_printf(&s, "  a%d = %d;\n", i, i);
  for (int i = 0; i < 3000; i++) str_printf(&s, "  b%d = missing%d;\n", i, i);
  str_put(&s, "  output o = x;\n}\n");
  expect_error(state, s.text, "missing0 is not defined");
}

/* As many layers as are allowed, each with its own parameters. */
static void test_many_layers(void **state) {
  Loaded l = load_text(
      *state,
      repeated(*state, "for i in 0..30000 { x = x |> linear(2) as fc[i] |> relu; }", "", 0, ""));
  assert_string_equal(l.errors, "");
  assert_int_equal(l.graph->nodes.count, 1 + 4 * 30000);
  assert_non_null(ir_find_leaf(l.graph, OP_param, "fc.29999.weight"));
}

static void test_bytes_that_are_no_text(void **state) {
  write_bytes("t.net", "network t {\n  x\x1b[1;31m\x7f\0\0 y\0", 28);
  assert_string_equal(load(*state, "t.net").errors,
                      "t.net:2:4: error: byte 27 here: this is not a text file\n"
                      "   2 |   x?[1;31m??? y?\n"
                      "     |    ^\n");
  Loaded marked =
      load_text(*state, "\xef\xbb\xbf# UTF-8\r\nnetwork t { input x : f32; output o = x; }\r\n");
  assert_string_equal(marked.errors, "");
  char text[256];
  for (int i = 0; i < 256; i++) text[i] = (char)i;
  load_bytes(text, sizeof text);
  load_bytes("\0\0\0", 3);
  load_bytes("network t { input x : f32; output o = x; \0 }", 45);
  mkdir("t.dir", 0777);
  Loaded l = load(*state, "t.dir");
  assert_string_equal(l.errors, "error: cannot read 't.dir': not a regular file\n");
}

int main(void) {
  const struct CMUnitTest tests[] = {TEST(test_cut_at_every_byte),
                                     TEST(test_changed_at_every_byte),
                                     TEST(test_statements_removed),
                                     TEST(test_nesting),
                                     TEST(test_nesting_within_the_limit),
                                     TEST(test_long_chains),
                                     TEST(test_doubling_blocks),
                                     TEST(test_lists_within_lists),
                                     TEST(test_chain_of_blocks),
                                     TEST(test_too_much),
                                     TEST(test_many_names),
                                     TEST(test_many_layers),
                                     TEST(test_bytes_that_are_no_text)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
