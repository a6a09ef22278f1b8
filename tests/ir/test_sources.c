/* The rules that the sources themselves keep: which folder may include which, how long files and
 * functions are, and that ops are told apart by the op table, never by a switch. */
#include "tests/ir/fixture.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { FILE_LINES = 600, FUNCTION_LINES = 100 };

/* base <- ir <- {frontend, passes} <- codegen; the driver and dlrun stand on top; the runtime on
 * nothing. */
static const struct {
  const char *folder, *may[8];
} arrows[] = {
    {"base", {"base"}},
    {"ir", {"base", "ir"}},
    {"frontend", {"base", "ir", "frontend"}},
    {"passes", {"base", "ir", "passes"}},
    {"codegen", {"base", "ir", "passes", "codegen", "runtime", "llvm-c"}},
    {"runtime", {"runtime"}},
    {"driver", {"base", "ir", "frontend", "passes", "codegen", "runtime", "driver"}},
    {"dlrun", {"base", "ir", "passes", "runtime", "dlrun"}},
};
enum { FOLDERS = sizeof arrows / sizeof *arrows };

typedef struct {
  const char *path; /* below the root */
  int folder;       /* in arrows, or -1 */
  int line, opened; /* `opened`: where the function began, 0 outside */
  bool body;        /* its brace has been seen */
  int files, functions, includes, faults;
} Scan;

static void fault(Scan *s, const char *what, const char *more) {
  print_message("%s:%d: %s %s\n", s->path, s->line, what, more);
  s->faults++;
}

static bool among(const char *const *names, const char *word, size_t n) {
  for (int i = 0; i < 8 && names[i]; i++)
    if (strlen(names[i]) == n && !strncmp(names[i], word, n)) return true;
  return false;
}

static bool is_folder(const char *word, size_t n) {
  for (int i = 0; i < FOLDERS; i++)
    if (strlen(arrows[i].folder) == n && !strncmp(arrows[i].folder, word, n)) return true;
  return n == 6 && !strncmp(word, "llvm-c", n);
}

/* Only names that start with one of our folders, or llvm-c, are looked at. */
static void check_include(Scan *s, const char *line) {
  while (*line == ' ') line++;
  if (*line++ != '#') return;
  while (*line == ' ') line++;
  if (strncmp(line, "include", 7) != 0) return;
  const char *name = line + 7 + strspn(line + 7, " \"<"), *slash = strchr(name, '/');
  if (!slash || !is_folder(name, (size_t)(slash - name)) || s->folder < 0) return;
  s->includes++;
  if (!among(arrows[s->folder].may, name, (size_t)(slash - name)))
    fault(s, "an include against the direction:", name);
}

/* A function starts with a line at the margin that has a parenthesis; it is one if a brace opens
 * before a line ends in a semicolon, and ends with the next brace at the margin. */
static void check_function(Scan *s, const char *line) {
  size_t n = strlen(line);
  bool margin = n && line[0] != ' ' && line[0] != '#' && line[0] != '/' && line[0] != '}';
  if (!s->opened && margin && strchr(line, '(')) s->opened = s->line, s->body = false;
  if (!s->opened) return;
  bool opens = strchr(line, '{') != NULL;
  bool whole = !s->body && opens && strchr(strchr(line, '{'), '}');
  if (!s->body && !opens && n && line[n - 1] == ';') s->opened = 0;
  s->body = s->body || opens;
  if (!whole && (!s->body || line[0] != '}')) return;
  s->functions++;
  if (s->line - s->opened + 1 > FUNCTION_LINES)
    fault(s, "the end of a function of over 100 lines", "");
  s->opened = 0;
}

static void check_line(Scan *s, const char *line) {
  check_include(s, line);
  check_function(s, line);
  if (strstr(line,
             "case OP"
             "_"))
    fault(s, "a switch over ops:", line);
}

static void check_file(Scan *s, const char *path) {
  Arena *a = arena_new();
  char *text = read_text(a, path), *line = text;
  s->files++;
  s->opened = 0;
  for (s->line = 1; *line; s->line++) {
    char *end = strchr(line, '\n');
    if (end) *end = 0;
    check_line(s, line);
    if (!end) break;
    line = end + 1;
  }
  if (s->line - 1 > FILE_LINES) fault(s, "a file of over 600 lines", "");
  arena_free(a);
}

static bool is_source(const char *name) {
  const char *dot = strrchr(name, '.');
  return dot && strchr("chly", dot[1]) && dot[1] && !dot[2];
}

static int folder_of(const char *path) {
  for (int i = 0; i < FOLDERS; i++) {
    size_t n = strlen(arrows[i].folder);
    if (!strncmp(path, arrows[i].folder, n) && path[n] == '/') return i;
  }
  return -1;
}

/* Hidden folders and build trees, which a checkout may hold, are passed over. */
static bool is_ours(const char *root, const char *name) {
  char cache[4096];
  snprintf(cache, sizeof cache, "%s/%s/CMakeCache.txt", root, name);
  struct stat st;
  return name[0] != '.' && stat(cache, &st) != 0;
}

static void scan_folder(Scan *s, const char *path) {
  DIR *d = opendir(path);
  assert_non_null(d);
  for (struct dirent *e; (e = readdir(d));) {
    char below[4096];
    struct stat st;
    if (!is_ours(path, e->d_name)) continue;
    snprintf(below, sizeof below, "%s/%s", path, e->d_name);
    if (lstat(below, &st) != 0) continue;
    s->path = below + strlen(TEST_SOURCE_DIR) + 1;
    s->folder = folder_of(s->path);
    if (S_ISDIR(st.st_mode))
      scan_folder(s, below);
    else if (S_ISREG(st.st_mode) && is_source(e->d_name))
      check_file(s, below);
  }
  closedir(d);
}

static void the_tree_keeps_the_rules(void **state) {
  (void)state;
  Scan s = {0};
  scan_folder(&s, TEST_SOURCE_DIR);
  assert_int_equal(s.faults, 0);
  assert_true(s.files > 30 && s.functions > 300 && s.includes > 50); /* the scan does see them */
}

/* ---- the scanner itself ---- */

static Scan scan_lines(const char *folder, int count, const char *const *lines) {
  Scan s = {.path = "(lines of a test)", .folder = folder_of(folder)};
  for (int i = 0; i < count; i++) {
    s.line++;
    check_line(&s, lines[i]);
  }
  return s;
}

#define LINES(...) \
  (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)), (const char *[]) { __VA_ARGS__ }

static void arrows_are_seen(void **state) {
  (void)state;
  assert_int_equal(scan_lines("ir/", LINES("#include \"passes/pass.h\"")).faults, 1);
  assert_int_equal(scan_lines("ir/", LINES("#  include \"ir/op.h\"")).faults, 0);
  assert_int_equal(scan_lines("passes/", LINES("#include <llvm-c/Core.h>")).faults, 1);
  assert_int_equal(scan_lines("codegen/", LINES("#include <llvm-c/Core.h>")).faults, 0);
  assert_int_equal(scan_lines("runtime/", LINES("#include \"base/arena.h\"")).faults, 1);
  assert_int_equal(
      scan_lines("frontend/", LINES("#include <stdio.h>", "#include \"parser.h\"")).faults, 0);
  assert_int_equal(scan_lines("ir/", LINES("    case OP"
                                           "_add:"))
                       .faults,
                   1);
}

static void long_functions_are_seen(void **state) {
  (void)state;
  const char *lines[102] = {"static void f(int x,", "              int y) {"};
  for (int i = 2; i < 101; i++) lines[i] = i % 2 ? "  if (x) {" : "  }";
  lines[99] = "}";
  Scan s = scan_lines("ir/", 100, lines);
  assert_int_equal(s.functions, 1);
  assert_int_equal(s.faults, 0);
  lines[99] = "";
  lines[100] = "}";
  assert_int_equal(scan_lines("ir/", 101, lines).faults, 1);
  s = scan_lines("ir/",
                 LINES("int f(void) { return 1; }", "int g(int);", "static const int x[] = {", "};",
                       "int h(void)", "{", "  return 1;", "}"));
  assert_int_equal(s.functions, 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(arrows_are_seen),
      cmocka_unit_test(long_functions_are_seen),
      cmocka_unit_test(the_tree_keeps_the_rules),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
