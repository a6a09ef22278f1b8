#include "codegen/header.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* runtime/dlc.h, put in by the build. */
extern const char header_runtime_text[];

typedef VEC(const char *) MacroList;

typedef struct {
  Str *out;
  const Artifact *art;
  Arena *arena;
  const char *name, *upper, *real;
  MacroList *macros; /* defined so far */
} Header;

static const char *upper_case(Arena *a, const char *name) {
  char *s = arena_strdup(a, name);
  for (char *c = s; *c; c++)
    *c = isalnum((unsigned char)*c) ? (char)toupper((unsigned char)*c) : '_';
  return s;
}

static const char *c_type(const Header *h, const Node *n) {
  return n->type.elem == ELEM_U8 ? "uint8_t" : n->type.elem == ELEM_I32 ? "int32_t" : h->real;
}

/* ---- constants ---- */

static bool is_defined(const Header *h, const char *macro) {
  for (int i = 0; i < h->macros->count; i++)
    if (!strcmp(h->macros->at[i], macro)) return true;
  return false;
}

/* Names that differ in case or dots only, or an input's and an output's, would be one macro: later
 * ones are numbered. */
static const char *macro_name(const Header *h, const char *wanted) {
  const char *macro = wanted;
  for (int k = 2; is_defined(h, macro); k++) macro = arena_printf(h->arena, "%s_%d", wanted, k);
  vec_push(h->arena, h->macros, macro);
  return macro;
}

static void print_elements(const Header *h, const char *what, const char *name, const Node *n,
                           const char *type) {
  const char *macro =
      arena_printf(h->arena, "%s_%s_ELEMENTS", h->upper, upper_case(h->arena, name));
  str_printf(h->out, "#define %s %lld /* %s %s: %s%s */\n", macro_name(h, macro),
             (long long)type_elements(&n->type), what, name, type,
             n->type.batched ? ", per sample" : ", for the whole batch");
}

static void print_parameters(const Header *h) {
  int index = 0;
  str_put(h->out, "\n/* Indices of the parameters and buffers. */\n");
  for (int i = 0; i < h->art->source->nodes.count; i++) {
    const Node *n = h->art->source->nodes.at[i];
    if (n->op != OP_param && n->op != OP_buffer) continue;
    const char *name = node_str(n, "name");
    const char *macro = arena_printf(h->arena, "%s_P_%s", h->upper, upper_case(h->arena, name));
    str_printf(h->out, "#define %s %d /* %s %s */\n", macro_name(h, macro), index++, name,
               type_text(h->arena, &n->type));
  }
  str_printf(h->out, "#define %s_PARAMETERS %d\n", h->upper, index);
}

static void print_constants(const Header *h) {
  const Graph *g = h->art->source;
  str_printf(h->out, "#define %s_MAX_BATCH %lld\n", h->upper, (long long)h->art->max_batch);
  for (int i = 0; i < g->nodes.count; i++) {
    const Node *n = g->nodes.at[i];
    if (n->op == OP_input || n->op == OP_target)
      print_elements(h, op_info[n->op].name, node_str(n, "name"), n, c_type(h, n));
  }
  for (int i = 0; i < g->results.count; i++)
    if (g->results.at[i].kind == RESULT_OUTPUT)
      print_elements(h, "output", g->results.at[i].name, g->results.at[i].node, h->real);
  print_parameters(h);
}

/* ---- argument lists ---- */

static void declare_leaves(const Header *h, Op op, const char *prefix) {
  for (int i = 0; i < h->art->source->nodes.count; i++) {
    const Node *n = h->art->source->nodes.at[i];
    if (n->op == op)
      str_printf(h->out, ", const %s *%s_%s", c_type(h, n), prefix, node_str(n, "name"));
  }
}

static void declare_outputs(const Header *h) {
  for (int i = 0; i < h->art->source->results.count; i++)
    if (h->art->source->results.at[i].kind == RESULT_OUTPUT)
      str_printf(h->out, ", %s *out_%s", h->real, h->art->source->results.at[i].name);
}

static void declare_gradients(const Header *h) {
  for (int i = 0; i < h->art->source->nodes.count; i++) {
    const Node *n = h->art->source->nodes.at[i];
    if (n->op == OP_input && n->type.elem == ELEM_F32)
      str_printf(h->out, ", %s *grad_%s", h->real, node_str(n, "name"));
  }
}

/* A table of pointers; C89 wants constant initialisers, so each is stored on its own. */
static void fill_leaves(const Header *h, Op op, const char *table, const char *prefix) {
  int k = 0;
  for (int i = 0; i < h->art->source->nodes.count; i++)
    if (h->art->source->nodes.at[i]->op == op)
      str_printf(h->out, "  %s[%d] = %s_%s;\n", table, k++, prefix,
                 node_str(h->art->source->nodes.at[i], "name"));
}

static void fill_outputs(const Header *h) {
  int k = 0;
  for (int i = 0; i < h->art->source->results.count; i++)
    if (h->art->source->results.at[i].kind == RESULT_OUTPUT)
      str_printf(h->out, "  outputs[%d] = out_%s;\n", k++, h->art->source->results.at[i].name);
}

static void fill_gradients(const Header *h) {
  int k = 0;
  for (int i = 0; i < h->art->source->nodes.count; i++) {
    const Node *n = h->art->source->nodes.at[i];
    if (n->op != OP_input) continue;
    if (n->type.elem == ELEM_F32)
      str_printf(h->out, "  gradients[%d] = grad_%s;\n", k++, node_str(n, "name"));
    else
      str_printf(h->out, "  gradients[%d] = NULL;\n", k++);
  }
}

/* ---- functions ---- */

static int count(const Header *h, Op op) {
  int k = 0;
  for (int i = 0; i < h->art->source->nodes.count; i++) k += h->art->source->nodes.at[i]->op == op;
  return k;
}

static int count_outputs(const Header *h) {
  int k = 0;
  for (int i = 0; i < h->art->source->results.count; i++)
    k += h->art->source->results.at[i].kind == RESULT_OUTPUT;
  return k;
}

static void declare_tables(const Header *h, bool targets, bool outputs) {
  str_printf(h->out, "  const void *inputs[%d];\n", count(h, OP_input) + 1);
  if (targets) str_printf(h->out, "  const void *targets[%d];\n", count(h, OP_target) + 1);
  if (outputs) str_printf(h->out, "  void *outputs[%d];\n", count_outputs(h) + 1);
  fill_leaves(h, OP_input, "inputs", "in");
  if (targets) fill_leaves(h, OP_target, "targets", "target");
  if (outputs) fill_outputs(h);
}

static void print_create(const Header *h) {
  str_printf(
      h->out,
      "\n/* A session of this network; see dlc_api.create for errors and ownership. */\n"
      "DLC_INLINE int %s_create(dlc_mode mode, dlc_session **session) {\n"
      "  return dlc_v1_%s.api->create(&dlc_v1_%s, mode, session);\n}\n"
      "DLC_INLINE void %s_destroy(dlc_session *session) { dlc_v1_%s.api->destroy(session); }\n",
      h->name, h->name, h->name, h->name, h->name);
}

static void print_infer(const Header *h) {
  str_printf(h->out,
             "\n/* Outputs of n samples, 1 <= n <= %s_MAX_BATCH. An output may be NULL. */\n"
             "DLC_INLINE int %s_infer(dlc_session *session, int64_t n",
             h->upper, h->name);
  declare_leaves(h, OP_input, "in");
  declare_outputs(h);
  str_put(h->out, ") {\n");
  declare_tables(h, false, true);
  str_printf(h->out, "  return dlc_v1_%s.api->infer(session, n, inputs, outputs);\n}\n", h->name);
}

static void print_train_step(const Header *h) {
  str_printf(
      h->out,
      "\n/* One optimizer step on n samples. `loss` and `metrics` (one a metric) may be NULL. */\n"
      "DLC_INLINE int %s_train_step(dlc_session *session, int64_t n",
      h->name);
  declare_leaves(h, OP_input, "in");
  declare_leaves(h, OP_target, "target");
  str_put(h->out, ", double *loss, double *metrics) {\n");
  declare_tables(h, true, false);
  str_printf(h->out,
             "  return dlc_v1_%s.api->train_step(session, n, inputs, targets, loss, metrics);\n}\n",
             h->name);
}

static void print_evaluating(const Header *h, const char *name, const char *comment,
                             const char *call) {
  str_printf(h->out, "\n/* %s */\nDLC_INLINE int %s_%s(dlc_session *session, int64_t n", comment,
             h->name, name);
  declare_leaves(h, OP_input, "in");
  declare_leaves(h, OP_target, "target");
  declare_outputs(h);
  str_put(h->out, ", double *loss, double *metrics) {\n");
  declare_tables(h, true, true);
  str_printf(h->out, "  return dlc_v1_%s.api->%s;\n}\n", h->name, call);
}

static void print_backward(const Header *h) {
  str_printf(h->out,
             "\n/* Gradients of the last forward's loss; by inputs too, where not NULL. */\n"
             "DLC_INLINE int %s_backward(dlc_session *session",
             h->name);
  declare_gradients(h);
  str_printf(h->out, ") {\n  void *gradients[%d];\n", count(h, OP_input) + 1);
  fill_gradients(h);
  str_printf(h->out, "  return dlc_v1_%s.api->backward(session, gradients);\n}\n", h->name);
  str_printf(
      h->out,
      "\n/* One optimizer step from those gradients. */\n"
      "DLC_INLINE int %s_apply(dlc_session *session) { return dlc_v1_%s.api->apply(session); }\n",
      h->name, h->name);
}

static void print_functions(const Header *h) {
  print_create(h);
  print_infer(h);
  if (!h->art->program[PROGRAM_TRAIN]) return;
  print_train_step(h);
  print_evaluating(h, "evaluate",
                   "Evaluation mode: outputs, loss and metrics; each result may be NULL.",
                   "evaluate(session, n, inputs, targets, outputs, loss, metrics)");
  print_evaluating(h, "forward", "Training mode, first part of a step; each result may be NULL.",
                   "forward(session, 0, n, inputs, targets, outputs, loss, metrics)");
  print_backward(h);
}

static const char prologue[] =
    "#ifndef DLC_INLINE\n"
    "#if defined(__cplusplus) || (defined(__STDC_VERSION__) && __STDC_VERSION__ >= 199901L)\n"
    "#define DLC_INLINE static inline\n"
    "#elif defined(__GNUC__)\n"
    "#define DLC_INLINE static __inline__\n"
    "#else\n"
    "#define DLC_INLINE static\n"
    "#endif\n"
    "#endif\n\n"
    "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n";

void header_print(const Artifact *art, Str *out) {
  Arena *a = out->arena;
  Header h = {.out = out,
              .art = art,
              .arena = a,
              .macros = ARENA_NEW(a, MacroList),
              .name = art->source->name,
              .upper = upper_case(a, art->source->name),
              .real = art->target.real_bytes == 8 ? "double" : "float"};
  str_printf(out, "/* %s: a compiled network. Generated; edit the .net file instead. */\n", h.name);
  str_put(out, header_runtime_text);
  str_printf(out, "\n#ifndef DLC_NETWORK_%s_H\n#define DLC_NETWORK_%s_H\n\n", h.name, h.name);
  str_put(out, prologue);
  str_printf(
      out,
      "/* The network: code, shapes, parameters. Everything below is reached through it. */\n"
      "extern const dlc_model dlc_v1_%s;\n\n",
      h.name);
  print_constants(&h);
  print_functions(&h);
  str_put(out, "\n#ifdef __cplusplus\n}\n#endif\n#endif\n");
}
