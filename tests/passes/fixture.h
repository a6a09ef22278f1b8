/* What the tests of passes/ share: networks in text form, programs made of them, values through the
 * interpreter. */
#ifndef DLC_TESTS_PASSES_FIXTURE_H
#define DLC_TESTS_PASSES_FIXTURE_H

#include "tests/ir/fixture.h"

#include <dirent.h>
#include <math.h>

#include "ir/interp.h"
#include "passes/pass.h"

static inline Graph *net(Arena *a, const char *name) {
  return parse(a, read_text(a, arena_printf(a, TEST_SOURCE_DIR "/tests/passes/nets/%s.ir", name)));
}

/* Calls `visit` with the text of every network in nets/; returns how many there were. */
static inline int each_net(Arena *a, void *context,
                           void visit(Arena *a, const char *text, void *context)) {
  int networks = 0;
  DIR *d = opendir(TEST_SOURCE_DIR "/tests/passes/nets");
  assert_non_null(d);
  for (struct dirent *e; (e = readdir(d));) {
    if (!strstr(e->d_name, ".ir")) continue;
    visit(a, read_text(a, arena_printf(a, TEST_SOURCE_DIR "/tests/passes/nets/%s", e->d_name)),
          context);
    networks++;
  }
  closedir(d);
  return networks;
}

static inline PassOptions options_for(Arena *a, Graph *g) {
  Sources *s = g && g->sources ? g->sources : sources_new(a);
  return (PassOptions){.level = 2, .verify_each = true, .diags = diags_new(a, s)};
}

static inline const char *only_error(const PassOptions *o) {
  assert_int_equal(o->diags->errors, 1);
  return o->diags->list.at[0].text;
}

/* Must succeed; verified and interpreted after each pass. */
static inline Graph *program(Arena *a, Graph *source, Program p, const char *stop_after,
                             int level) {
  PassOptions o = options_for(a, source);
  o.level = level;
  o.stop_after = stop_after;
  Graph *g = pipeline_run(source, p, a, &o);
  diags_print(o.diags, stderr, false);
  assert_int_equal(o.diags->errors, 0);
  assert_non_null(g);
  return g;
}

static inline const Result *result(const Graph *g, ResultKind kind, const char *name) {
  for (int i = 0; i < g->results.count; i++) {
    const Result *r = &g->results.at[i];
    if (r->kind == kind && (!name || (r->name && !strcmp(r->name, name)))) return r;
  }
  return NULL;
}

static inline const Node *labelled(const Graph *g, const char *label) {
  for (int i = 0; i < g->nodes.count; i++)
    if (g->nodes.at[i]->label && !strcmp(g->nodes.at[i]->label, label)) return g->nodes.at[i];
  fail_msg("no node %s", label);
  return NULL;
}

static inline int count_op(const Graph *g, Op op) {
  int count = 0;
  for (int i = 0; i < g->nodes.count; i++) count += g->nodes.at[i]->op == op;
  return count;
}

/* Random leaves from `seed`. */
static inline Interp *interpreted(Arena *a, const Graph *g, int64_t n, bool training,
                                  uint64_t seed) {
  OpError e = {.arena = a};
  Interp *p = interp_new(a, g, n, training, &e);
  if (!p) fail_msg("%s", e.text);
  interp_random(p, seed, 3);
  interp_randomize(p, seed);
  return p;
}

static inline void run_again(Interp *p, Arena *a) {
  OpError e = {.arena = a};
  if (!interp_run(p, &e)) fail_msg("%s", e.text);
}

static inline void assert_close(double is, double should, double tolerance) {
  double size = fabs(should) > 1 ? fabs(should) : 1;
  if (!(fabs(is - should) <= tolerance * size)) fail_msg("%.17g should be %.17g", is, should);
}

#endif
