/* dlc: main starts here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/streams.h"
#include "driver/fatal.h"
#include "driver/output.h"
#include "frontend/frontend.h"

static const char version[] = "dlc " DLC_VERSION "\n";

PassOptions driver_pass_options(const Compilation *c) {
  const Options *o = c->options;
  return (PassOptions){.verify_each = o->verify_each,
                       .remarks = o->remarks,
                       .time_passes = o->time_passes,
                       .level = o->level,
                       .dump = o->dump,
                       .stop_after = o->stop_after,
                       .real_bytes = o->real_bytes,
                       .memory_budget = o->memory_budget,
                       .diags = c->diags};
}

Artifact driver_artifact(const Compilation *c) {
  const Options *o = c->options;
  return (Artifact){.source = c->source,
                    .max_batch = driver_batch(c),
                    .keep_ir = !o->no_ir,
                    .diags = c->diags,
                    .target = {.triple = o->target,
                               .cpu = o->cpu,
                               .real_bytes = o->real_bytes,
                               .level = o->level,
                               .debug = o->debug}};
}

int64_t driver_batch(const Compilation *c) {
  if (c->options->batch) return c->options->batch;
  return c->source->train.batch > 0 ? c->source->train.batch : 1;
}

bool driver_has_loss(const Graph *g) {
  for (int i = 0; i < g->results.count; i++)
    if (g->results.at[i].kind == RESULT_LOSS) return true;
  return false;
}

/* ---- input ---- */

static Graph *load_ir(Compilation *c) {
  const char *why = NULL;
  int file = sources_load(c->diags->sources, c->options->input, &why);
  if (file) return ir_parse(c->arena, c->diags, file);
  diag_error(c->diags, (Span){0}, "cannot read '%s': %s", c->options->input, why);
  return NULL;
}

static Graph *load_net(Compilation *c) {
  const Options *o = c->options;
  FrontendOptions f = {.defines = o->defines.at,
                       .ndefines = o->defines.count,
                       .include_dirs = o->include_dirs.at,
                       .ninclude_dirs = o->include_dirs.count};
  return frontend_load(c->arena, c->diags, o->input, &f);
}

/* ---- one compilation ---- */

static bool run_passes(Compilation *c) {
  PassOptions options = driver_pass_options(c);
  options.stop_after = NULL;
  if (!pipeline_passes(c->source, c->options->passes, &options)) return false;
  Str text = str_new(c->arena);
  ir_print(c->source, &text);
  return output_text(c, c->options->output, text.text);
}

static bool print_ast(Compilation *c) {
  char *text = NULL;
  size_t size;
  FILE *f = open_memstream(&text, &size);
  if (!f) return false;
  frontend_print_ast(c->arena, c->diags, c->options->input, f);
  bool ok = !fclose(f) && !c->diags->errors && output_text(c, c->options->output, text);
  free(text);
  return ok;
}

static bool compile(Compilation *c) {
  const Options *o = c->options;
  bool ir = has_suffix(o->input, ".ir"), text = o->emit >= EMIT_IR || o->stop_after || o->passes;
  if (text && !output_check_text(c, o->output)) return false;
  if (o->emit == EMIT_AST && !ir) return print_ast(c);
  c->source = ir ? load_ir(c) : load_net(c);
  if (!c->source) return false;
  if (o->passes) return run_passes(c);
  c->source->train.batch = driver_batch(c);
  return text ? emit_text(c) : emit_code(c);
}

static int run(const Options *o, Arena *a) {
  Diags *d = diags_new(a, sources_new(a));
  d->program = "dlc";
  Compilation c = {.arena = a, .options = o, .diags = d};
  bool ok = compile(&c);
  bool colour = isatty(STDERR_FILENO) && !getenv("NO_COLOR");
  diags_print(d, stderr, colour);
  return ok && !d->errors ? EXIT_FINE : EXIT_DIAGNOSED;
}

int main(int argc, char **argv) {
  Options o;
  streams_open();
  fatal_install();
  Arena *a = arena_new();
  const char *why = NULL;
  int status;
  if (!options_parse(a, argc, argv, &o, &why)) {
    fprintf(stderr, "dlc: error: %s\n(dlc --help lists the options)\n", why);
    status = EXIT_USAGE;
  } else if (o.help || o.version) {
    fputs(o.help ? options_help : version, stdout);
    status = streams_flush("dlc") ? EXIT_FINE : EXIT_DIAGNOSED;
  } else {
    status = run(&o, a);
  }
  fatal_finish();
  arena_free(a);
  return status;
}
