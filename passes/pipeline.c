/* The pipeline: the rows of passes.def, in order, over a copy of the frontend's graph.
 *
 * After each pass, in builds without NDEBUG or with verify_each, ir_verify; with verify_each also
 * passes/check.h, which interprets the graph before and after and names the pass that changed an
 * answer. */
#include "passes/pipeline.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "passes/check.h"
#include "passes/pass.h"

typedef struct {
  const char *name;
  Pass *run;
  int level;
} Row;

static const Row row[] = {
#define PASS(name, level, meaning) {#name, pass_##name, level},
#include "passes/passes.def"
#undef PASS
};
enum { ROWS = sizeof row / sizeof row[0] };

static const Row *row_find(const char *name, size_t length) {
  for (int i = 0; i < ROWS; i++)
    if (strlen(row[i].name) == length && !memcmp(row[i].name, name, length)) return &row[i];
  return NULL;
}

static bool row_missing(const char *name, const PassOptions *options) {
  const char *names[ROWS + 1];
  for (int i = 0; i < ROWS; i++) names[i] = row[i].name;
  diag_error(options->diags, (Span){0}, "there is no pass '%s'", name);
  const char *near = near_name(name, names, ROWS);
  if (near) diag_note(options->diags, (Span){0}, "did you mean '%s'?", near);
  return false;
}

static bool options_valid(const PassOptions *o) {
  if (o->stop_after && !row_find(o->stop_after, strlen(o->stop_after)))
    return row_missing(o->stop_after, o);
  if (o->dump && strcmp(o->dump, "all") && !row_find(o->dump, strlen(o->dump)))
    return row_missing(o->dump, o);
  return true;
}

/* ---- one pass ---- */

static void dump(const Graph *g, const Row *r, const PassOptions *options, Arena *scratch) {
  if (!options->dump || (strcmp(options->dump, "all") && strcmp(options->dump, r->name))) return;
  Str text = str_new(scratch);
  ir_print(g, &text);
  printf("# %s, %s, after %s\n%s", g->name ? g->name : "graph",
         g->program ? g->program : "any program", r->name, text.text);
}

static bool must_verify(const PassOptions *options) {
#ifdef NDEBUG
  return options->verify_each;
#else
  (void)options;
  return true;
#endif
}

static void verify(const Graph *g, const Row *r, const PassOptions *options, Arena *scratch) {
  const char *broken = ir_verify(g, scratch);
  if (broken)
    diag_error(options->diags, (Span){0}, "internal fault: after pass '%s': %s", r->name, broken);
}

/* Seconds taken, or a negative number after an error. */
static double pass_run(Graph *g, const Row *r, const PassOptions *options) {
  int errors = options->diags->errors;
  Arena *scratch = arena_new();
  Check *check = options->verify_each ? check_before(g, scratch) : NULL;
  struct timespec from, to;
  clock_gettime(CLOCK_MONOTONIC, &from);
  r->run(g, scratch, options);
  clock_gettime(CLOCK_MONOTONIC, &to);
  dump(g, r, options, scratch);
  if (must_verify(options)) verify(g, r, options, scratch);
  if (check && options->diags->errors == errors) check_after(check, g, r->name, options->diags);
  arena_free(scratch);
  double seconds = (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec);
  return options->diags->errors == errors ? seconds : -1;
}

static void print_time(const Graph *g, const char *name, double seconds,
                       const PassOptions *options) {
  if (!options->time_passes) return;
  fprintf(stderr, "%-10s %-10s %9.3f ms %7d nodes\n", g->program ? g->program : "-", name,
          1e3 * seconds, g->nodes.count);
}

static bool step(Graph *g, const Row *r, const PassOptions *options) {
  double seconds = pass_run(g, r, options);
  if (seconds < 0) return false;
  print_time(g, r->name, seconds, options);
  return true;
}

/* ---- all of them ---- */

static bool has_loss(const Graph *g) {
  for (int i = 0; i < g->results.count; i++)
    if (g->results.at[i].kind == RESULT_LOSS) return true;
  return false;
}

Graph *pipeline_run(const Graph *source, Program program, Arena *a, const PassOptions *options) {
  if (!options_valid(options)) return NULL;
  bool trains = program_trains(program) || program_has_grads(program);
  if (trains && !has_loss(source)) {
    diag_error(options->diags, (Span){0}, "network %s has no loss to train with", source->name);
    return NULL;
  }
  Graph *g = ir_copy(source, a);
  g->program = program_name[program];
  for (int i = 0; i < ROWS; i++) {
    if (row[i].level <= options->level && !step(g, &row[i], options)) return NULL;
    if (options->stop_after && !strcmp(options->stop_after, row[i].name)) break;
  }
  return g;
}

bool pipeline_passes(Graph *g, const char *list, const PassOptions *options) {
  if (!options_valid(options)) return false;
  while (*list) {
    size_t length = strcspn(list, ",");
    const Row *r = row_find(list, length);
    if (!r) return row_missing(arena_strndup(options->diags->arena, list, length), options);
    if (!step(g, r, options)) return false;
    list += length + (list[length] == ',');
  }
  return true;
}
