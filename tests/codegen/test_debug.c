/* -g: line tables that name the source file and its lines, functions named after layers. Read back
 * with readelf and gdb; skipped where they are not installed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "codegen/artifact.h"
#include "codegen/object.h"

static const char network[] =
    "graph mini {\n"
    "  file 1 \"nets/mini.net\"\n"
    "  train { optimizer sgd {lr=0.1} batch 4 }\n"
    "  %0 = input {name=\"x\", shape=[2,6,6], elem=\"f32\"} @1:2:3-2:9\n"
    "  %1 = target {name=\"y\", classes=3, shape=[], elem=\"i32\"} @1:3:3-3:9\n"
    "  %2 = param {name=\"conv1.weight\", shape=[4,2,3,3], init=uniform(-1, 1)} !conv1 "
    "@1:17:5-17:20\n"
    "  %3 = param {name=\"fc.weight\", shape=[3,64], init=uniform(-1, 1)} !fc @1:23:5-23:20\n"
    "  %4 = conv2d(%0, %2, _) {out=4, kernel=[3,3], bias=false} !conv1 @1:17:5-17:20\n"
    "  %5 = relu(%4) @1:18:5-18:9\n"
    "  %6 = flatten(%5) @1:19:5-19:9\n"
    "  %7 = linear(%6, %3, _) {out=3, bias=false} !fc @1:23:5-23:20\n"
    "  %8 = cross_entropy(%7, %1) @1:29:3-29:30\n"
    "  output p = %7\n"
    "  loss = %8\n"
    "}\n";

static void compile(const char *path, bool debug) {
  Arena *a = arena_new();
  Diags *d = diags_new(a, sources_new(a));
  Graph *g = ir_parse(a, d, sources_add(d->sources, "mini.ir", network, strlen(network)));
  assert_non_null(g);
  Artifact art = {.source = g,
                  .max_batch = 4,
                  .diags = d,
                  .target = {.real_bytes = 4, .level = 2, .debug = debug}};
  PassOptions options = {.level = 2, .real_bytes = 4, .diags = d};
  const char *why = "";
  assert_true(artifact_compile(&art, a, &options, false));
  Cg *cg = artifact_emit(&art, a);
  assert_non_null(cg);
  if (!object_optimise(cg, &why) || !object_emit(cg, OBJECT_OBJ, path, &why)) fail_msg("%s", why);
  cg_free(cg);
  arena_free(a);
}

/* What a tool prints about an object; NULL where there is no such tool. */
static char *output_of(Arena *a, const char *tool, const char *arguments, const char *path) {
  if (system(arena_printf(a, "command -v %s > /dev/null", tool))) return NULL;
  FILE *p = popen(arena_printf(a, "%s %s %s 2>&1", tool, arguments, path), "r");
  assert_non_null(p);
  Str s = str_new(a);
  char part[4096];
  for (size_t n; (n = fread(part, 1, sizeof part, p));) str_putn(&s, part, n);
  pclose(p);
  return s.text;
}

typedef struct {
  Arena *arena;
  char path[64];
} Object;

static int setup(void **state) {
  Object *o = calloc(1, sizeof *o);
  o->arena = arena_new();
  strcpy(o->path, "/tmp/dlc-debug-XXXXXX");
  int fd = mkstemp(o->path);
  close(fd);
  compile(o->path, true);
  *state = o;
  return 0;
}

static int teardown(void **state) {
  Object *o = *state;
  unlink(o->path);
  arena_free(o->arena);
  free(o);
  return 0;
}

static void assert_says(const char *text, const char *words) {
  if (!strstr(text, words)) fail_msg("'%s' is not in:\n%.2000s", words, text);
}

/* Is there a row of the line table for this line of the source? */
static bool has_line(const char *table, int line) {
  for (const char *row = table; (row = strstr(row, "\nmini.net ")); row++) {
    int found;
    if (sscanf(row, " mini.net %d", &found) == 1 && found == line) return true;
  }
  return false;
}

static void lines_of_the_source(void **state) {
  Object *o = *state;
  const char *table = output_of(o->arena, "readelf", "--debug-dump=decodedline", o->path);
  if (!table) skip();
  static const int lines[] = {17, 18, 23, 29};
  for (int i = 0; i < 4; i++)
    if (!has_line(table, lines[i])) fail_msg("no code for line %d:\n%.2000s", lines[i], table);
  assert_false(has_line(table, 12)); /* nothing stands there */
}

static void functions_named_after_layers(void **state) {
  Object *o = *state;
  const char *info = output_of(o->arena, "readelf", "--debug-dump=info", o->path);
  if (!info) skip();
  assert_says(info, "DW_TAG_subprogram");
  assert_says(info, "mini.net");
  assert_says(info, "conv1 conv");
  assert_says(info, "conv1 conv_weight");
  assert_says(info, "fc dot_general");
  assert_says(info, "train_step");
}

static void gdb_finds_them(void **state) {
  Object *o = *state;
  const char *functions =
      output_of(o->arena, "gdb", "-nx -batch -ex 'info functions conv1'", o->path);
  if (!functions) skip();
  assert_says(functions, "mini.net:");
  assert_says(functions, "17:");
  assert_says(functions, "conv1 conv");
}

static void nothing_without_the_option(void **state) {
  Object *o = *state;
  compile(o->path, false);
  const char *info = output_of(o->arena, "readelf", "--debug-dump=info", o->path);
  if (!info) skip();
  assert_null(strstr(info, "DW_TAG_compile_unit"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(lines_of_the_source, setup, teardown),
      cmocka_unit_test_setup_teardown(functions_named_after_layers, setup, teardown),
      cmocka_unit_test_setup_teardown(gdb_finds_them, setup, teardown),
      cmocka_unit_test_setup_teardown(nothing_without_the_option, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
