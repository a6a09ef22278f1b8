#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "netgen.h"
#include "passes/pipeline.h"
#include "tests/golden/golden.h"

/* ---- reading ---- */

static bool is_ir(const char *text) {
  while (*text == ' ' || *text == '\n' || *text == '#')
    text += *text == '#' ? strcspn(text, "\n") : 1;
  return !strncmp(text, "graph", 5);
}

Graph *netgen_read(Arena *a, const char *text) {
  if (is_ir(text)) return golden_parse(a, text);
  char path[] = "/tmp/netgen-XXXXXX";
  int fd = mkstemp(path);
  size_t length = strlen(text);
  if (fd < 0 || write(fd, text, length) != (ssize_t)length || close(fd))
    fail_msg("no temporary file");
  Graph *g = golden_load(a, path);
  unlink(path);
  return g;
}

/* ---- the text form ---- */

static const char *printed(Arena *a, const Graph *g) {
  Str s = str_new(a);
  ir_print(g, &s);
  return s.text;
}

static void check_text(Arena *a, const Graph *g, const char *of) {
  const char *first = printed(a, g);
  Graph *again = golden_parse(a, first);
  const char *second = printed(a, again);
  if (strcmp(first, second) != 0)
    fail_msg("%s: printed, parsed and printed differ:\n%s\n%s", of, first, second);
  if (!ir_equal(g, again)) fail_msg("%s: parsed is not equal", of);
}

/* ---- passes ---- */

/* The optional passes any number of times, wherever they may stand. */
static const char *draw_passes(Arena *a, Rng *r) {
  static const char *const fixed[] = {"expand", "grad", "lower", "layout,fuse,plan"};
  static const char *const optional[] = {"simplify", "clean"};
  Str s = str_new(a);
  for (int i = 0; i < 4; i++) {
    for (int64_t k = rng_int(r, 0, 2); k > 0 && i; k--)
      str_printf(&s, "%s,", optional[rng_int(r, 0, 1)]);
    str_printf(&s, "%s%s", fixed[i], i < 3 ? "," : "");
  }
  return s.text;
}

static void check_program(Arena *a, const Graph *source, Program p, Rng *r, bool all) {
  PassOptions o = {.verify_each = true,
                   .level = rng_chance(r, 50) ? 3 : 0,
                   .diags = diags_new(a, source->sources ? source->sources : sources_new(a))};
  Graph *g = ir_copy(source, a);
  g->train.batch = NETGEN_BATCH;
  Graph *made = pipeline_run(g, p, a, &o);
  golden_stop_on_errors(o.diags);
  assert_non_null(made);
  check_text(a, made, program_name[p]);
  if (!all && rng_chance(r, 50)) return;
  const char *list = draw_passes(a, r);
  g->program = program_name[p];
  if (!pipeline_passes(g, list, &o)) fprintf(stderr, "passes %s\n", list);
  golden_stop_on_errors(o.diags);
}

static void check_passes(const Graph *g, Rng *r, bool all) {
  for (int p = 0; p < PROGRAM_COUNT; p++) {
    bool skip = !all && !rng_chance(r, 35);
    if (skip || (p != PROGRAM_INFER && !netgen_loss(g))) continue;
    Arena *a = arena_new();
    check_program(a, g, (Program)p, r, all);
    arena_free(a);
  }
}

/* ---- compiled ---- */

static const char *const cpus[] = {NULL, "haswell", "x86-64"};

static bool runs_here(const char *cpu) {
#if defined(__x86_64__)
  return !cpu || strcmp(cpu, "haswell") != 0 ||
         (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"));
#else
  return !cpu;
#endif
}

static void check_way(const Graph *g, GoldenCase c, CheckCount *count) {
  c.tolerance = c.real_bytes == 8 ? 1e-9 : 5e-4;
  c.max_batch = NETGEN_BATCH;
  c.excused = &count->excused;
  count->compared += golden_check(g, &c);
}

static void check_all_ways(const Graph *g, Rng *r, CheckCount *count) {
  for (int k = 0; k < 12; k++) {
    GoldenCase c = {.real_bytes = k & 1 ? 8 : 4, .level = k & 2 ? 3 : 0, .cpu = cpus[k / 4]};
    c.n = rng_int(r, 1, NETGEN_BATCH);
    c.seed = (unsigned)rng_int(r, 1, 1000000);
    c.threads = 3;
    if (runs_here(c.cpu)) check_way(g, c, count);
  }
}

static void check_one_way(const Graph *g, Rng *r, CheckCount *count) {
  GoldenCase c = {.real_bytes = rng_chance(r, 50) ? 8 : 4, .level = rng_chance(r, 60) ? 3 : 0};
  c.n = rng_int(r, 1, NETGEN_BATCH);
  c.seed = (unsigned)rng_int(r, 1, 1000000);
  c.cpu = cpus[rng_chance(r, 60) ? 0 : rng_int(r, 1, 2)];
  c.threads = rng_chance(r, 50) ? 3 : 1;
  if (!runs_here(c.cpu)) c.cpu = NULL;
  check_way(g, c, count);
}

void netgen_check(const Graph *g, uint64_t seed, CheckCount *count) {
  Rng passes = {seed}, r = {seed + 1};
  Arena *a = arena_new();
  check_text(a, g, "source");
  arena_free(a);
  check_passes(g, &passes, count->all);
  netgen_check_derivatives(g, seed);
  if (count->all)
    check_all_ways(g, &r, count);
  else
    check_one_way(g, &r, count);
}
