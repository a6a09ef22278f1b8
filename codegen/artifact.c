#include "codegen/artifact.h"

#include <string.h>

#include "codegen/lower.h"
#include "runtime/dlc.h"

/* ---- the pipeline, once a program ---- */

static bool has_loss(const Graph *g) {
  for (int i = 0; i < g->results.count; i++)
    if (g->results.at[i].kind == RESULT_LOSS) return true;
  return false;
}

static bool is_stored(const Node *n) { return n->op == OP_param || n->op == OP_buffer; }

/* The first program compiled decides where each dimension of a parameter lies; the others must
 * agree. */
static void fix_orders(const Graph *source, const Graph *compiled) {
  for (int i = 0; i < source->nodes.count; i++) {
    Node *n = source->nodes.at[i];
    const Node *c = is_stored(n) ? ir_find_leaf(compiled, n->op, node_str(n, "name")) : NULL;
    if (!c || n->ordered) continue;
    for (int d = 0; d < n->type.rank; d++) n->order[d] = (uint8_t)memory_dim(c, d);
    n->ordered = true;
  }
}

static bool compile_program(Artifact *art, Arena *a, const PassOptions *options, Program p) {
  art->program[p] = pipeline_run(art->source, p, a, options);
  if (!art->program[p]) return false;
  fix_orders(art->source, art->program[p]);
  return true;
}

static bool find_ranges(Artifact *art, Arena *a) {
  OpError e = {.arena = a};
  Span span = {0};
  art->range = index_ranges(art->source, a, &e, &span);
  if (!art->range) diag_error(art->diags, span, "%s", e.text);
  return art->range;
}

bool artifact_compile(Artifact *art, Arena *a, const PassOptions *options, bool inference_only) {
  static const Program training[] = {PROGRAM_GRAD, PROGRAM_TRAIN, PROGRAM_EVALUATE,
                                     PROGRAM_GRAD_EVAL, PROGRAM_APPLY};
  bool train = has_loss(art->source) && !inference_only;
  art->source->train.batch = art->max_batch;
  if (!find_ranges(art, a)) return false;
  if (!train) return compile_program(art, a, options, PROGRAM_INFER);
  for (size_t i = 0; i < sizeof training / sizeof *training; i++)
    if (!compile_program(art, a, options, training[i])) return false;
  return compile_program(art, a, options, PROGRAM_INFER);
}

/* ---- code ---- */

/* What each function of the descriptor is made of. */
typedef struct {
  Program program;
  const char *name;
  enum { WHOLE, FORWARD_PART, BACKWARD_PART } part;
} Function;

static const Function function[DLC_PROGRAMS] = {
    [DLC_INFER] = {PROGRAM_INFER, "infer", WHOLE},
    [DLC_EVALUATE] = {PROGRAM_EVALUATE, "evaluate", WHOLE},
    [DLC_TRAIN] = {PROGRAM_TRAIN, "train_step", WHOLE},
    [DLC_FORWARD] = {PROGRAM_GRAD, "forward", FORWARD_PART},
    [DLC_BACKWARD] = {PROGRAM_GRAD, "backward", BACKWARD_PART},
    [DLC_APPLY] = {PROGRAM_APPLY, "apply", WHOLE},
    [DLC_FORWARD_EVAL] = {PROGRAM_GRAD_EVAL, "forward_eval", FORWARD_PART},
    [DLC_BACKWARD_EVAL] = {PROGRAM_GRAD_EVAL, "backward_eval", BACKWARD_PART},
};

static ProgramCode emit_function(Cg *cg, const Artifact *art, Arena *a, const Block *block,
                                 Debug *debug, const Function *f) {
  Graph *g = art->program[f->program];
  if (!g) return (ProgramCode){0};
  Lower l = {.cg = cg,
             .graph = g,
             .plan = plan_read(g, a, cg->real_bytes),
             .block = block,
             .diags = art->diags,
             .remarks = art->remarks,
             .debug = debug,
             .arena = a};
  int first = f->part == BACKWARD_PART ? l.plan->cut + 1 : 1;
  int last = f->part == FORWARD_PART ? l.plan->cut : l.plan->ngroups;
  ProgramCode code = {.code = lower_function(&l, f->name, first, last, f->part == BACKWARD_PART,
                                             f->part != BACKWARD_PART)};
  code.arena_bytes = l.arena_bytes;
  code.flops = l.flops;
  return code;
}

Cg *artifact_emit(Artifact *art, Arena *a) {
  const char *why = NULL;
  Cg *cg = cg_new(a, art->source->name, &art->target, art->max_batch, &why);
  if (!cg) {
    diag_error(art->diags, (Span){0}, "%s", why);
    return NULL;
  }
  Block *block = block_build(art->source, art->program[PROGRAM_TRAIN], cg->real_bytes, a);
  ProgramCode programs[DLC_PROGRAMS];
  int errors = art->diags->errors;
  memset(art->arena_bytes, 0, sizeof art->arena_bytes);
  Debug *debug = debug_new(cg, art->source);
  for (int i = 0; i < DLC_PROGRAMS; i++) {
    programs[i] = emit_function(cg, art, a, block, debug, &function[i]);
    int64_t *most = &art->arena_bytes[function[i].program];
    if (programs[i].arena_bytes > *most) *most = programs[i].arena_bytes;
  }
  debug_finish(debug);
  if (art->diags->errors > errors) {
    cg_free(cg);
    return NULL;
  }
  descriptor_emit(cg, art, block, programs);
  return cg;
}
