/* Several files, values from the command line, and the examples. */
#include "fixture.h"

#include <dirent.h>

static const char *errors_of(void **state, const char *path, const FrontendOptions *o) {
  Loaded l = load_with(*state, path, o);
  assert_null(l.graph);
  return l.errors;
}

#define NET "network t { input x : f32; output o = x * k; }\n"

/* ---- include ---- */

static void test_include_once(void **state) {
  mkdir("lib", 0777);
  write_file("a.net",
             "include \"lib/c.net\"; include \"b.net\"; include \"./lib/../b.net\";\n" NET);
  write_file("b.net", "include \"lib/c.net\";\nconst k = base + 1;\n");
  write_file("lib/c.net", "include \"d.net\";\nconst base = 4;\nblock f(x) { return x; }\n");
  write_file("lib/d.net", "const other = 4;\n");
  Loaded l = load(*state, "a.net");
  assert_string_equal(l.errors, "");
  assert_non_null(strstr(graph_text(*state, l.graph), "constant {value=5}"));
}

static void test_include_directories(void **state) {
  FrontendOptions o = {.include_dirs = (const char *[]){"first", "second"}, .ninclude_dirs = 2};
  mkdir("first", 0777);
  mkdir("second", 0777);
  write_file("a.net", "include \"k.net\";\n" NET);
  write_file("second/k.net", "const k = 2;\n");
  Loaded l = load_with(*state, "a.net", &o);
  assert_non_null(strstr(loaded_text(*state, l), "constant {value=2}"));
  write_file("first/k.net", "const k = 1;\n");
  l = load_with(*state, "a.net", &o);
  assert_non_null(strstr(loaded_text(*state, l), "constant {value=1}"));
  write_file("k.net", "const k = 0;\n"); /* beside the including file: before both */
  l = load_with(*state, "a.net", &o);
  assert_non_null(strstr(loaded_text(*state, l), "constant {value=0}"));
}

static void test_include_cycle(void **state) {
  write_file("a.net", "include \"b.net\";\nconst k = 1;\n" NET);
  write_file("b.net", "include \"c.net\";\n");
  write_file("c.net", "\ninclude \"a.net\";\n");
  assert_string_equal(errors_of(state, "a.net", &(FrontendOptions){0}),
                      "c.net:2:9: error: 'a.net' includes itself\n"
                      "   2 | include \"a.net\";\n"
                      "     |         ^~~~~~~\n");
}

static void test_include_stays_inside(void **state) {
  const char *const paths[] = {"../out.net", "/etc/passwd", "in/../../out.net", "link.net", ""};
  mkdir("in", 0777);
  mkdir("in/in", 0777);
  write_file("out.net", "const k = 1;\n");
  assert_int_equal(symlink("../out.net", "in/link.net"), 0);
  for (int i = 0; i < 5; i++) {
    write_file("in/a.net", arena_printf(*state, "include \"%s\";\n" NET, paths[i]));
    const char *errors = errors_of(state, "in/a.net", &(FrontendOptions){0});
    const char *start =
        "in/a.net:1:9: error: an included file must be inside the directory it is looked for in\n";
    assert_memory_equal(errors, start, strlen(start));
  }
  FrontendOptions o = {.include_dirs = (const char *[]){"."}, .ninclude_dirs = 1};
  write_file("in/a.net", "include \"out.net\";\n" NET);
  assert_non_null(load_with(*state, "in/a.net", &o).graph);
}

static void test_included_file_is_a_library(void **state) {
  write_file("a.net", "include \"b.net\";\n" NET);
  write_file("b.net", "const k = 1;\n" NET "train { }\n");
  assert_string_equal(
      errors_of(state, "a.net", &(FrontendOptions){0}),
      "b.net:2:9: error: an included file holds consts and blocks only, not a network\n"
      "   2 | " NET
      "     |         ^\n"
      "b.net:3:1: error: an included file holds consts and blocks only, not a train block\n"
      "   3 | train { }\n"
      "     | ^~~~~\n");
}

static void test_error_in_included_file(void **state) {
  write_file("a.net", "include \"b.net\";\nnetwork t { input x : f32; h = f(x); output o = h; }\n");
  write_file("b.net", "block f(x) {\n  return x + y;\n}\n");
  assert_string_equal(errors_of(state, "a.net", &(FrontendOptions){0}),
                      "b.net:2:14: error: y is not defined\n"
                      "   2 |   return x + y;\n"
                      "     |              ^\n"
                      "a.net:2:32: note: in this call of f\n"
                      "   2 | network t { input x : f32; h = f(x); output o = h; }\n"
                      "     |                                ^~~~\n");
}

static void test_include_chain(void **state) {
  enum { FILES = LIMIT_NESTING + 10 };
  write_file("a.net", "include \"0.net\";\n" NET);
  for (int i = 0; i < FILES; i++)
    write_file(arena_printf(*state, "%d.net", i),
               arena_printf(*state, "include \"%d.net\";\n", i + 1));
  const char *errors = errors_of(state, "a.net", &(FrontendOptions){0});
  assert_non_null(strstr(errors, "error: includes are nested more than 200 levels deep"));
}

/* ---- -D ---- */

static const char *defined(void **state, const char *define) {
  write_file("a.net",
             "const hidden = 4;\nconst rate = 0.5;\nconst mode = \"none\";\nconst on = true;\n"
             "const sizes = [1, 2];\nconst twice = hidden * 2;\n"
             "network t {\n  input x : f32[twice];\n  h = gelu(x * rate, approximate=mode);\n"
             "  if on { h = relu(h); }\n  for s in sizes { h = h + s; }\n  output o = h;\n}\n");
  FrontendOptions o = {.defines = &define, .ndefines = 1};
  return loaded_text(*state, load_with(*state, "a.net", &o));
}

static void test_defines(void **state) {
  assert_non_null(strstr(defined(state, "hidden=16"), "shape=[32]"));
  assert_non_null(strstr(defined(state, "hidden=2*3"), "shape=[12]"));
  assert_non_null(strstr(defined(state, "rate=2"), "constant {value=2}"));
  assert_non_null(strstr(defined(state, "rate=-1e-3"), "constant {value=-0.001}"));
  assert_non_null(strstr(defined(state, "mode=tanh"), "gelu(%2) {approximate=\"tanh\"}"));
  assert_non_null(strstr(defined(state, "mode=\"tanh\""), "gelu(%2) {approximate=\"tanh\"}"));
  assert_non_null(strstr(defined(state, "on=true"), "relu"));
  assert_null(strstr(defined(state, "on=false"), "relu"));
  assert_non_null(strstr(defined(state, "sizes=[7]"), "constant {value=7}"));
}

static void test_bad_defines(void **state) {
  assert_string_equal(defined(state, "hiden=16"),
                      "-D:1:7: error: the network has no const hiden\n"
                      "   1 | const hiden = 16;\n"
                      "     |       ^~~~~\n"
                      "note: did you mean hidden?\n");
  assert_string_equal(defined(state, "hidden=0.5"),
                      "-D:1:16: error: const hidden is an integer, not a number\n"
                      "   1 | const hidden = 0.5;\n"
                      "     |                ^~~\n"
                      "a.net:1:1: note: it is defined here\n"
                      "   1 | const hidden = 4;\n"
                      "     | ^~~~~~~~~~~~~~~~~\n");
  assert_string_equal(defined(state, "hidden"), "error: -D takes name=value, not 'hidden'\n");
  assert_string_equal(defined(state, "=3"), "error: -D takes name=value, not '=3'\n");
  assert_string_equal(defined(state, "hidden=1; const z = 2"),
                      "error: -D takes name=value, not 'hidden=1; const z = 2'\n");
  assert_non_null(strstr(defined(state, "hidden="), "error: expected an expression, not ';'"));
  assert_non_null(strstr(defined(state, "1x=3"), "-D:1:7: error: "));
}

/* ---- examples ---- */

static bool is_network(Arena *a, const char *name) {
  size_t n = strlen(name);
  if (n < 4 || strcmp(name + n - 4, ".net") != 0) return false;
  const char *text = read_file(a, arena_printf(a, TEST_SOURCE_DIR "/examples/%s", name), NULL);
  return strstr(text, "\nnetwork ") || !strncmp(text, "network ", 8);
}

static void test_examples(void **state) {
  DIR *dir = opendir(TEST_SOURCE_DIR "/examples");
  int count = 0;
  assert_non_null(dir);
  for (struct dirent *e; (e = readdir(dir));) {
    if (!is_network(*state, e->d_name)) continue;
    Loaded l = load(*state, arena_printf(*state, TEST_SOURCE_DIR "/examples/%s", e->d_name));
    if (*l.errors) fail_msg("%s", l.errors);
    const char *wrong = ir_verify(l.graph, *state);
    if (wrong) fail_msg("%s: %s", e->d_name, wrong);
    count++;
  }
  closedir(dir);
  assert_true(count >= 6);
}

int main(void) {
  const struct CMUnitTest tests[] = {TEST(test_include_once),
                                     TEST(test_include_directories),
                                     TEST(test_include_cycle),
                                     TEST(test_include_stays_inside),
                                     TEST(test_included_file_is_a_library),
                                     TEST(test_error_in_included_file),
                                     TEST(test_include_chain),
                                     TEST(test_defines),
                                     TEST(test_bad_defines),
                                     TEST(test_examples)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
