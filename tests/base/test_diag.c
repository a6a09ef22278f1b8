/* Diagnostics as printed, byte for byte; sources from files; near names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/diag.h"
#include "base/limits.h"
#include "base/str.h"

typedef struct {
  Arena *arena;
  Diags *diags;
  int file;
} World;

static World world(const char *text, size_t length) {
  World w = {.arena = arena_new()};
  w.diags = diags_new(w.arena, sources_new(w.arena));
  w.file = sources_add(w.diags->sources, "a.net", text, length);
  return w;
}

static Span at(const World *w, int line, int col, int end_col) {
  return (Span){w->file, line, col, line, end_col};
}

static char *printed(const World *w, bool colour) {
  char *text = NULL;
  size_t length = 0;
  FILE *f = open_memstream(&text, &length);
  diags_print(w->diags, f, colour);
  fclose(f);
  char *copy = arena_strndup(w->arena, text, length);
  free(text);
  return copy;
}

static void expect(World *w, const char *text) {
  assert_string_equal(printed(w, false), text);
  arena_free(w->arena);
}

#define WORLD(text) world(text, sizeof(text) - 1)

static void test_form(void **state) {
  (void)state;
  World w = WORLD("one\n  two = three;\n");
  diag_error(w.diags, at(&w, 2, 9, 14), "%s is not defined", "three");
  diag_note(w.diags, at(&w, 1, 1, 4), "this is %d", 1);
  diag_note(w.diags, (Span){0}, "no place");
  expect(&w,
         "a.net:2:9: error: three is not defined\n"
         "   2 |   two = three;\n"
         "     |         ^~~~~\n"
         "a.net:1:1: note: this is 1\n"
         "   1 | one\n"
         "     | ^~~\n"
         "note: no place\n");
}

static void test_sorted_by_place_then_order(void **state) {
  (void)state;
  World w = WORLD("abc\nabc\n");
  diag_error(w.diags, at(&w, 2, 1, 2), "fourth");
  diag_warning(w.diags, at(&w, 1, 3, 4), "third");
  diag_remark(w.diags, at(&w, 1, 2, 3), "first");
  diag_error(w.diags, at(&w, 1, 2, 3), "second");
  expect(&w,
         "a.net:1:2: remark: first\n   1 | abc\n     |  ^\n"
         "a.net:1:2: error: second\n   1 | abc\n     |  ^\n"
         "a.net:1:3: warning: third\n   1 | abc\n     |   ^\n"
         "a.net:2:1: error: fourth\n   2 | abc\n     | ^\n");
}

/* Tabs stay tabs, a character of several bytes is one column wide, places beyond the line are its
 * end. */
static void test_carets(void **state) {
  (void)state;
  World w = WORLD("\tx = \xc3\xa4\xc3\xb6 + y\r\nlast");
  diag_error(w.diags, at(&w, 1, 6, 10), "letters");
  diag_error(w.diags, (Span){w.file, 1, 13, 2, 3}, "two lines");
  diag_error(w.diags, at(&w, 2, 5, 5), "the end");
  diag_error(w.diags, at(&w, 2, 400, 500), "beyond");
  diag_error(w.diags, at(&w, 9, 1, 2), "no such line");
  expect(&w,
         "a.net:1:6: error: letters\n"
         "   1 | \tx = \xc3\xa4\xc3\xb6 + y\n"
         "     | \t    ^~\n"
         "a.net:1:13: error: two lines\n"
         "   1 | \tx = \xc3\xa4\xc3\xb6 + y\n"
         "     | \t         ^\n"
         "a.net:2:5: error: the end\n   2 | last\n     |     ^\n"
         "a.net:2:400: error: beyond\n   2 | last\n     |     ^\n"
         "a.net:9:1: error: no such line\n");
}

/* Nothing in a source or message reaches a terminal as a command. */
static void test_control_bytes(void **state) {
  (void)state;
  World w = WORLD(
      "a\033[31m\0b\x7f\xff\xc2\x9b"
      "c\n");
  diag_error(w.diags, at(&w, 1, 2, 3), "say %s", "\033]0;x\007");
  expect(&w, "a.net:1:2: error: say ?]0;x?\n   1 | a?[31m?b????c\n     |  ^\n");
}

static void test_long_line_is_cut(void **state) {
  (void)state;
  char text[5000];
  memset(text, 'x', sizeof text);
  World w = world(text, sizeof text);
  diag_error(w.diags, at(&w, 1, 3001, 5001), "far");
  const char *out = printed(&w, false);
  assert_true(strlen(out) < 500);
  const char *caret = strchr(out, '^'), *line = strrchr(out, '|');
  assert_int_equal(caret - line, 2 + 80);
  assert_int_equal(strspn(caret + 1, "~"), 79);
  arena_free(w.arena);
}

static void test_limit(void **state) {
  (void)state;
  World w = WORLD("0123456789012345678901234567890\n");
  for (int i = 30; i > 0; i--) diag_error(w.diags, at(&w, 1, i, i + 1), "error %d", i);
  diag_warning(w.diags, at(&w, 1, 31, 32), "a warning");
  assert_int_equal(w.diags->errors, 30);
  const char *out = printed(&w, false);
  assert_non_null(strstr(out, "error: error 20\n"));
  assert_null(strstr(out, "error: error 21\n"));
  assert_non_null(strstr(out, "a warning"));
  assert_non_null(strstr(out, "\n10 more errors not shown\n"));
  arena_free(w.arena);
}

/* An unrolled loop reports once; what is past the limit is counted and takes no memory. */
static void test_repeated_and_dropped(void **state) {
  (void)state;
  World w = WORLD("abc\n");
  for (int i = 0; i < 3; i++) {
    diag_error(w.diags, at(&w, 1, 1, 2), "again");
    diag_note(w.diags, (Span){0}, "note %d", i);
  }
  assert_int_equal(w.diags->errors, 1);
  assert_string_equal(printed(&w, false),
                      "a.net:1:1: error: again\n   1 | abc\n     | ^\nnote: note 0\n");
  for (int i = 0; i < 100000; i++) diag_error(w.diags, at(&w, 1, 2, 3), "number %d", i);
  assert_int_equal(w.diags->errors, 100001);
  assert_true(w.diags->list.count < 1000);
  arena_free(w.arena);
}

static void test_colour(void **state) {
  (void)state;
  World w = WORLD("abc\n");
  diag_error(w.diags, at(&w, 1, 1, 2), "red");
  assert_string_equal(printed(&w, true),
                      "\033[1ma.net:1:1: \033[1;31merror: \033[0mred\n"
                      "   1 | abc\n     | \033[1;32m^\033[0m\n");
  arena_free(w.arena);
}

/* ---- sources ---- */

static void test_load(void **state) {
  (void)state;
  char path[] = TEST_BINARY_DIR "/base_XXXXXX";
  int fd = mkstemp(path);
  assert_int_equal(write(fd, "a\0b\n", 4), 4);
  Arena *a = arena_new();
  Sources *s = sources_new(a);
  const char *why = NULL;
  int file = sources_load(s, path, &why);
  assert_int_equal(file, 1);
  assert_int_equal(s->files.at[file].length, 4);
  assert_memory_equal(s->files.at[file].text, "a\0b\n", 5);
  assert_int_equal(ftruncate(fd, LIMIT_SOURCE_BYTES + 1), 0);
  assert_int_equal(sources_load(s, path, &why), 0);
  assert_string_equal(why, "the file is too large");
  close(fd);
  unlink(path);
  assert_int_equal(sources_load(s, path, &why), 0);
  assert_string_equal(why, "No such file or directory");
  assert_int_equal(sources_load(s, TEST_BINARY_DIR, &why), 0);
  assert_string_equal(why, "not a regular file");
  assert_int_equal(mkfifo(path, 0600), 0); /* would wait for a writer for ever */
  assert_int_equal(sources_load(s, path, &why), 0);
  assert_string_equal(why, "not a regular file");
  unlink(path);
  arena_free(a);
}

/* ---- near names ---- */

static void test_near_names(void **state) {
  (void)state;
  static const char *const names[] = {"relu", "softmax", "log_softmax", "conv2d", "x", "max"};
  enum { N = sizeof names / sizeof *names };
  assert_string_equal(near_name("softmx", names, N), "softmax");
  assert_string_equal(near_name("rleu", names, N), "relu");
  assert_string_equal(near_name("covn2d", names, N), "conv2d");
  assert_string_equal(near_name("logsoftmax", names, N), "log_softmax");
  assert_null(near_name("transformer", names, N));
  assert_null(near_name("y", names, N)); /* every letter is near every other */
  assert_null(near_name("relu", names, 0));
  char word[5000];
  memset(word, 'a', sizeof word - 1);
  word[sizeof word - 1] = 0;
  assert_null(near_name(word, names, N));
  const char *const long_names[] = {word};
  assert_null(near_name("aaa", long_names, 1));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_form),
                                     cmocka_unit_test(test_sorted_by_place_then_order),
                                     cmocka_unit_test(test_carets),
                                     cmocka_unit_test(test_control_bytes),
                                     cmocka_unit_test(test_long_line_is_cut),
                                     cmocka_unit_test(test_limit),
                                     cmocka_unit_test(test_repeated_and_dropped),
                                     cmocka_unit_test(test_colour),
                                     cmocka_unit_test(test_load),
                                     cmocka_unit_test(test_near_names)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
