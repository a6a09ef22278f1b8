/* The kinds of --emit that are text for people: ir, dot, math, plan, summary, header. */
#include <string.h>

#include "codegen/artifact.h"
#include "codegen/header.h"
#include "driver/output.h"
#include "passes/dot.h"
#include "passes/math.h"
#include "passes/plan.h"
#include "passes/summary.h"

/* The program that --program names; training where the network can, else inference. */
static bool find_program(Compilation *c, Program *out) {
  *out = driver_has_loss(c->source) && !c->options->inference_only ? PROGRAM_TRAIN : PROGRAM_INFER;
  if (!c->options->program) return true;
  for (int i = 0; i < PROGRAM_COUNT; i++)
    if (!strcmp(program_name[i], c->options->program)) return *out = (Program)i, true;
  const char *near = near_name(c->options->program, program_name, PROGRAM_COUNT);
  diag_error(c->diags, (Span){0}, "there is no program '%s'", c->options->program);
  if (near) diag_note(c->diags, (Span){0}, "did you mean '%s'?", near);
  return false;
}

static Graph *run_until(Compilation *c, Program p, const char *stop) {
  PassOptions options = driver_pass_options(c);
  if (stop) options.stop_after = stop;
  return pipeline_run(c->source, p, c->arena, &options);
}

static bool stop_after(Compilation *c, Str *out) {
  Program p;
  Graph *g = find_program(c, &p) ? run_until(c, p, NULL) : NULL;
  if (g) ir_print(g, out);
  return g;
}

static bool print_source(Compilation *c, Str *out) { return ir_print(c->source, out), true; }
static bool print_dot(Compilation *c, Str *out) { return dot_print(c->source, out), true; }
static bool print_summary(Compilation *c, Str *out) { return summary_print(c->source, out), true; }

static bool print_math(Compilation *c, Str *out) {
  Graph *g = run_until(c, driver_has_loss(c->source) ? PROGRAM_GRAD : PROGRAM_INFER, "simplify");
  if (g) math_print(g, out);
  return g;
}

static bool is_picture(const char *path) {
  size_t n = path ? strlen(path) : 0;
  return n > 4 && !strcmp(path + n - 4, ".svg");
}

/* Where the program's kernels are emitted too, to know their scratch: the arena that a session has.
 */
static bool print_plan(Compilation *c, Str *out) {
  Program p;
  Artifact art = driver_artifact(c);
  if (!find_program(c, &p)) return false;
  Cg *cg = driver_compile(c, &art);
  if (!cg) return false;
  cg_free(cg);
  if (!art.program[p]) return run_until(c, p, NULL); /* which says why there is none */
  if (is_picture(c->options->output)) {
    plan_svg(art.program[p], art.arena_bytes[p], out, c->arena, c->options->real_bytes);
    return true;
  }
  plan_print(art.program[p], out, c->arena, c->options->real_bytes);
  str_printf(out, "arena %lld bytes, with the scratch of kernels\n", (long long)art.arena_bytes[p]);
  return true;
}

static bool print_header(Compilation *c, Str *out) {
  Artifact art = driver_artifact(c);
  PassOptions options = driver_pass_options(c);
  if (!artifact_compile(&art, c->arena, &options, c->options->inference_only)) return false;
  header_print(&art, out);
  return true;
}

bool emit_text(Compilation *c) {
  static bool (*const rule[])(Compilation *, Str *) = {
      [EMIT_IR] = print_source,    [EMIT_AST] = print_source, [EMIT_DOT] = print_dot,
      [EMIT_MATH] = print_math,    [EMIT_PLAN] = print_plan,  [EMIT_SUMMARY] = print_summary,
      [EMIT_HEADER] = print_header};
  Str text = str_new(c->arena);
  bool ok = c->options->stop_after ? stop_after(c, &text) : rule[c->options->emit](c, &text);
  return ok && !c->diags->errors && output_text(c, c->options->output, text.text);
}
