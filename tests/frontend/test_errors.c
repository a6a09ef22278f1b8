/* Every error message in full: errors.txt holds sources and what is reported of them. What is only
 * warned of compiles. */
#include "fixture.h"

static void check(Arena *a, const Case *c) {
  Loaded l = load_text(a, c->source);
  check_case(c, l.errors);
  assert_int_equal(l.graph == NULL, strstr(c->expected, ": error: ") != NULL);
}

static void test_messages(void **state) {
  for_cases(*state, TEST_SOURCE_DIR "/tests/frontend/errors.txt", check);
}

/* At most LIMIT_DIAGNOSTICS are shown, sorted by place, and the rest is counted. */
static void test_at_most_twenty(void **state) {
  Str s = str_new(*state);
  str_put(&s, "network t {\n");
  for (int i = 0; i < 50; i++) str_printf(&s, "  a%d = missing%d;\n", i, i);
  str_put(&s, "  input x : f32;\n  output o = x;\n}\n");
  Loaded l = load_text(*state, s.text);
  int shown = 0;
  for (const char *at = l.errors; (at = strstr(at, ": error: ")); at++) shown++;
  assert_int_equal(shown, LIMIT_DIAGNOSTICS);
  assert_non_null(strstr(l.errors, "t.net:2:8: error: missing0 is not defined"));
  assert_non_null(strstr(l.errors, "missing19"));
  assert_null(strstr(l.errors, "missing20"));
  assert_non_null(strstr(l.errors, "30 more errors not shown"));
}

static void test_file_that_is_not_there(void **state) {
  Loaded l = load(*state, "nowhere.net");
  assert_string_equal(l.errors, "error: cannot read 'nowhere.net': No such file or directory\n");
}

static void test_warning_without_loss(void **state) {
  Loaded l = load_text(*state, "network t { input x : f32; output o = x; }\ntrain { batch 3; }\n");
  assert_non_null(l.graph);
  assert_string_equal(l.errors,
                      "t.net:2:1: warning: the network has no loss, so nothing is trained\n"
                      "   2 | train { batch 3; }\n"
                      "     | ^~~~~\n");
}

static void test_warning_of_auc(void **state) {
  static const char source[] =
      "network t {\n input x : f32[3];\n target y : class[3];\n output o = %s;\n"
      " param s : f32 = ones; loss cross_entropy(s * x, y);\n metric auc(x, y);\n}\n";
  static const char *const fine[] = {"x", "softmax(x)", "log_softmax(x, dim=-1)"};
  for (int i = 0; i < 3; i++) {
    Loaded l = load_text(*state, arena_printf(*state, source, fine[i]));
    assert_non_null(l.graph);
    assert_string_equal(l.errors, "");
  }
  Loaded l = load_text(*state, arena_printf(*state, source, "exp(x)"));
  assert_non_null(l.graph);
  assert_string_equal(l.errors,
                      "t.net:6:9: warning: auc cannot be worked out: no output has these scores\n"
                      "   6 |  metric auc(x, y);\n"
                      "     |         ^~~~~~~~~\n"
                      "note: as in output probabilities = softmax(logits);\n");
}

int main(void) {
  const struct CMUnitTest tests[] = {TEST(test_messages), TEST(test_at_most_twenty),
                                     TEST(test_file_that_is_not_there),
                                     TEST(test_warning_without_loss), TEST(test_warning_of_auc)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
