#include "golden.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/Orc.h>

#include "codegen/artifact.h"
#include "codegen/object.h"
#include "ir/interp.h"
#include "runtime/dlc.h"

typedef struct {
  Arena *arena;
  const GoldenCase *config;
  Artifact art;
  LLVMOrcLLJITRef jit;
  const dlc_model *model;
  dlc_session *session;
  Interp *interp; /* of the program being compared */
  Rounding rounding;
  const Node *node; /* whose value is being compared */
  uint64_t bits;    /* a hash of every number that compiled code gave */
  int64_t compared;
} Golden;

void golden_stop_on_errors(Diags *d) {
  if (!d->errors) return;
  diags_print(d, stderr, false);
  fail_msg("%d errors", d->errors);
}

Graph *golden_parse(Arena *a, const char *ir) {
  Diags *d = diags_new(a, sources_new(a));
  Graph *g = ir_parse(a, d, sources_add(d->sources, "test.ir", ir, strlen(ir)));
  golden_stop_on_errors(d);
  return g;
}

/* ---- compiling ---- */

/* The runtime that the test program itself is linked with. */
extern const dlc_api dlc_api_v1;

static void must(LLVMErrorRef error) {
  if (error) fail_msg("%s", LLVMGetErrorMessage(error));
}

static void link_in_memory(Golden *t, LLVMMemoryBufferRef object) {
  must(LLVMOrcCreateLLJIT(&t->jit, NULL));
  LLVMOrcJITDylibRef lib = LLVMOrcLLJITGetMainJITDylib(t->jit);
  LLVMOrcDefinitionGeneratorRef libc;
  must(LLVMOrcCreateDynamicLibrarySearchGeneratorForProcess(&libc, 0, NULL, NULL));
  LLVMOrcJITDylibAddGenerator(lib, libc);
  LLVMOrcCSymbolMapPair api = {
      .Name = LLVMOrcLLJITMangleAndIntern(t->jit, "dlc_api_v1"),
      .Sym = {.Address = (LLVMOrcExecutorAddress)(uintptr_t)&dlc_api_v1,
              .Flags = {.GenericFlags = LLVMJITSymbolGenericFlagsExported}}};
  must(LLVMOrcJITDylibDefine(lib, LLVMOrcAbsoluteSymbols(&api, 1)));
  must(LLVMOrcLLJITAddObjectFile(t->jit, lib, object));
  LLVMOrcExecutorAddress at = 0;
  must(LLVMOrcLLJITLookup(t->jit, &at, arena_printf(t->arena, "dlc_v1_%s", t->art.source->name)));
  t->model = (const dlc_model *)(uintptr_t)at;
}

static void compile(Golden *t, const Graph *source) {
  const char *why = "";
  Diags *d = diags_new(t->arena, sources_new(t->arena));
  PassOptions options = {
      .level = t->config->level, .real_bytes = t->config->real_bytes, .diags = d};
  t->art = (Artifact){
      .source = ir_copy(source, t->arena),
      .max_batch = t->config->max_batch,
      .diags = d,
      .target = {
          .cpu = t->config->cpu, .real_bytes = t->config->real_bytes, .level = t->config->level}};
  bool ok = artifact_compile(&t->art, t->arena, &options, false);
  golden_stop_on_errors(d);
  assert_true(ok);
  Cg *cg = artifact_emit(&t->art, t->arena);
  golden_stop_on_errors(d);
  assert_non_null(cg);
  if (!object_optimise(cg, &why)) fail_msg("%s", why);
  LLVMMemoryBufferRef object = object_memory(cg, OBJECT_OBJ, &why);
  if (!object) fail_msg("%s", why);
  cg_free(cg);
  link_in_memory(t, object);
  dlc_mode mode = t->model->training ? DLC_TRAINING : DLC_INFERENCE;
  assert_int_equal(t->model->api->create(t->model, mode, &t->session), DLC_OK);
}

static void release(Golden *t) {
  t->model->api->destroy(t->session);
  must(LLVMOrcDisposeLLJIT(t->jit));
}

/* ---- numbers ---- */

static double get_real(const Golden *t, const void *data, int64_t i) {
  return t->config->real_bytes == 8 ? ((const double *)data)[i] : (double)((const float *)data)[i];
}

static void set_real(const Golden *t, void *data, int64_t i, double x) {
  if (t->config->real_bytes == 8)
    ((double *)data)[i] = x;
  else
    ((float *)data)[i] = (float)x;
}

/* ---- how far rounding alone moves a result ---- */

enum { ROUNDINGS = 16 };

static bool excused(Golden *t, int64_t element, double error) {
  if (!t->config->excused || !t->node) return false;
  double spread = rounding_spread(&t->rounding, t->node)[element];
  if (!(error <= ROUNDING_ROOM * spread || isinf(spread))) return false;
  ++*t->config->excused;
  return true;
}

static void hash_bits(Golden *t, const void *data, int64_t count) {
  const unsigned char *byte = data;
  for (int64_t i = 0; i < count * t->config->real_bytes; i++)
    t->bits = (t->bits ^ byte[i]) * 1099511628211u;
}

static void compare(Golden *t, const char *what, const char *name, const double *want,
                    const void *got, int64_t count) {
  double largest = 0;
  for (int64_t i = 0; i < count; i++)
    if (fabs(want[i]) > largest && isfinite(want[i])) largest = fabs(want[i]);
  for (int64_t i = 0; i < count; i++) {
    double x = get_real(t, got, i), error = fabs(x - want[i]);
    bool same = x == want[i] || (isnan(x) && isnan(want[i]));
    if (!same && !(error <= t->config->tolerance * largest) && !excused(t, i, error))
      fail_msg(
          "%s %s[%lld]: compiled %.17g, interpreted %.17g (largest %g, -O%d, %d bytes, n=%lld)",
          what, name, (long long)i, x, want[i], largest, t->config->level, t->config->real_bytes,
          (long long)t->config->n);
  }
  t->compared += count;
  hash_bits(t, got, count);
}

/* ---- data: what the interpreter drew, rounded to what compiled code can hold ---- */

/* The place among inputs and targets of a leaf that is one of them, or -1. */
static int tensor_index(const dlc_model *m, const Node *leaf) {
  const dlc_tensor *list = leaf->op == OP_input ? m->inputs : m->targets;
  int count = leaf->op == OP_input ? m->input_count : leaf->op == OP_target ? m->target_count : 0;
  for (int i = 0; i < count; i++)
    if (!strcmp(list[i].name, node_str(leaf, "name")))
      return leaf->op == OP_input ? i : m->input_count + i;
  return -1;
}

/* A program may not have the table that an index is for, but the session knows its rows. */
static void round_index(const Golden *t, const Node *leaf, double *x, int64_t count) {
  const dlc_model *m = t->model;
  int at = tensor_index(m, leaf);
  if (at < 0) return;
  const dlc_tensor *of = at < m->input_count ? &m->inputs[at] : &m->targets[at - m->input_count];
  const int32_t *each = m->limits ? m->limits[at] : NULL;
  for (int64_t i = 0; i < count; i++) {
    int32_t below = each ? each[i % of->elements] : of->classes;
    if (below) x[i] = fmod(x[i], below);
  }
}

static void round_leaf(Golden *t, const Node *leaf) {
  int64_t count;
  double *x = interp_leaf(t->interp, leaf, &count);
  if (leaf->type.elem != ELEM_F32) round_index(t, leaf, x, count);
  for (int64_t i = 0; leaf->type.elem == ELEM_F32 && i < count; i++) {
    if (t->config->integers) x[i] = rint(4 * x[i]);
    if (t->config->real_bytes == 4) x[i] = (float)x[i];
  }
}

static Interp *interp_begin(Golden *t, Program p) {
  OpError e = {.arena = t->arena};
  Interp *i = interp_new(t->arena, t->art.program[p], t->config->n, false, &e);
  if (!i) fail_msg("%s", e.text);
  interp_hyper(i, "lr", t->session ? t->model->api->learning_rate(t->session) : 0);
  interp_hyper(i, "bias_correction1", t->model->training ? 1 - t->model->training->beta1 : 1);
  interp_hyper(i, "bias_correction2", t->model->training ? 1 - t->model->training->beta2 : 1);
  interp_random(i, 7, 0);
  return i;
}

static bool is_data(const Node *n) {
  return n->op == OP_input || n->op == OP_target || n->op == OP_param || n->op == OP_buffer;
}

static void interpret(Golden *t, Program p) {
  OpError e = {.arena = t->arena};
  const Graph *g = t->art.program[p];
  t->interp = interp_begin(t, p);
  t->rounding = (Rounding){.exact = t->interp,
                           .arena = t->arena,
                           .bits = t->config->real_bytes == 4 ? 24 : 44,
                           .runs = ROUNDINGS};
  for (int i = 0; i < t->model->parameter_count; i++)
    if (t->model->parameters[i].role == DLC_STATE) {
      int64_t count;
      double *x = interp_leaf_named(t->interp, t->model->parameters[i].name, &count);
      for (int64_t k = 0; x && k < count; k++) x[k] = 0;
    }
  interp_randomize(t->interp, t->config->seed);
  for (int i = 0; i < g->nodes.count; i++)
    if (is_data(g->nodes.at[i])) round_leaf(t, g->nodes.at[i]);
  if (!interp_run(t->interp, &e)) fail_msg("%s", e.text);
}

static const void *leaf_memory(Golden *t, const Node *leaf) {
  int64_t count;
  const double *x = interp_leaf(t->interp, leaf, &count);
  void *data = arena_alloc(t->arena, (size_t)count, 8);
  for (int64_t i = 0; i < count; i++) {
    if (leaf->type.elem == ELEM_U8)
      ((uint8_t *)data)[i] = (uint8_t)x[i];
    else if (leaf->type.elem == ELEM_I32)
      ((int32_t *)data)[i] = (int32_t)x[i];
    else
      set_real(t, data, i, x[i]);
  }
  return data;
}

static const void **leaf_table(Golden *t, const Graph *g, Op op) {
  VEC(const void *) table = {0};
  for (int i = 0; i < t->art.source->nodes.count; i++) {
    const Node *n = t->art.source->nodes.at[i];
    if (n->op != op) continue;
    const Node *leaf = ir_find_leaf(g, op, node_str(n, "name"));
    vec_push(t->arena, &table, leaf ? leaf_memory(t, leaf) : arena_alloc(t->arena, 1, 8));
  }
  vec_push(t->arena, &table, NULL);
  return table.at;
}

/* The session's parameters become the interpreter's; optimizer state and step start again. */
static void load_parameters(Golden *t, const Graph *g) {
  assert_int_equal(t->model->api->initialize(t->session, 1), DLC_OK);
  assert_int_equal(t->model->api->set_seed(t->session, 7), DLC_OK);
  for (int i = 0; i < t->model->parameter_count; i++) {
    const dlc_parameter *p = &t->model->parameters[i];
    const Node *leaf = ir_find_leaf(g, p->role == DLC_PARAM ? OP_param : OP_buffer, p->name);
    if (leaf)
      assert_int_equal(t->model->api->set_parameter(t->session, i, leaf_memory(t, leaf)), DLC_OK);
  }
}

static int parameter_index(const Golden *t, const char *name) {
  for (int i = 0; i < t->model->parameter_count; i++)
    if (!strcmp(t->model->parameters[i].name, name)) return i;
  fail_msg("no parameter %s", name);
  return -1;
}

/* ---- what the programs give ---- */

typedef struct {
  void **outputs, **input_gradients;
  double loss, metrics[16];
} Given;

static Given make_room(Golden *t) {
  Given v = {.outputs = ARENA_ARRAY(t->arena, void *, t->model->output_count + 1),
             .input_gradients = ARENA_ARRAY(t->arena, void *, t->model->input_count + 1)};
  for (int i = 0; i < t->model->output_count; i++)
    v.outputs[i] = arena_alloc(t->arena, (size_t)(t->config->n * t->model->outputs[i].elements), 8);
  for (int i = 0; i < t->model->input_count; i++)
    v.input_gradients[i] =
        arena_alloc(t->arena, (size_t)(t->config->n * t->model->inputs[i].elements), 8);
  return v;
}

static void compare_scalar(Golden *t, const char *what, const char *name, double want, double got) {
  double room[1];
  set_real(t, room, 0, got);
  compare(t, what, name, &want, room, 1);
}

static void compare_parameter(Golden *t, const char *what, const Result *r, const Tensor *want,
                              bool gradient) {
  int64_t count = type_elements(&r->target->type);
  void *got = arena_alloc(t->arena, (size_t)count, 8);
  int index = parameter_index(t, node_str(r->target, "name"));
  assert_int_equal(gradient ? t->model->api->get_gradient(t->session, index, got)
                            : t->model->api->get_parameter(t->session, index, got),
                   DLC_OK);
  compare(t, what, t->model->parameters[index].name, want->data, got, count);
}

static void compare_results(Golden *t, const Graph *g, const Given *v, const char *what) {
  int output = 0, metric = 0;
  for (int i = 0; i < g->results.count; i++) {
    const Result *r = &g->results.at[i];
    const Tensor *want = interp_value(t->interp, r->node);
    t->node = r->node;
    int64_t count = type_elements(&r->node->type) * want->n;
    double n = (double)t->config->n;
    if (r->kind == RESULT_OUTPUT)
      compare(t, what, r->name, want->data, v->outputs[output++], count);
    if (r->kind == RESULT_LOSS) compare_scalar(t, what, "loss", want->data[0], v->loss);
    if (r->kind == RESULT_METRIC)
      compare_scalar(t, what, r->name, want->data[0] / n, v->metrics[metric++]);
    if (r->kind == RESULT_ASSIGN) compare_parameter(t, what, r, want, false);
    if (r->kind == RESULT_GRAD && r->target->op != OP_input)
      compare_parameter(t, what, r, want, true);
    if (r->kind == RESULT_GRAD && r->target->op == OP_input)
      compare(t, what, r->name, want->data, v->input_gradients[tensor_index(t->model, r->target)],
              count);
  }
}

static void check_infer(Golden *t) {
  const Graph *g = t->art.program[PROGRAM_INFER];
  interpret(t, PROGRAM_INFER);
  load_parameters(t, g);
  Given v = make_room(t);
  assert_int_equal(
      t->model->api->infer(t->session, t->config->n, leaf_table(t, g, OP_input), v.outputs),
      DLC_OK);
  compare_results(t, g, &v, "infer");
}

static void check_gradients(Golden *t, Program p, int eval) {
  const Graph *g = t->art.program[p];
  interpret(t, p);
  load_parameters(t, g);
  Given v = make_room(t);
  assert_int_equal(
      t->model->api->forward(t->session, eval, t->config->n, leaf_table(t, g, OP_input),
                             leaf_table(t, g, OP_target), v.outputs, &v.loss, v.metrics),
      DLC_OK);
  assert_int_equal(t->model->api->backward(t->session, v.input_gradients), DLC_OK);
  compare_results(t, g, &v, eval ? "grad_eval" : "grad");
}

static void check_evaluate(Golden *t) {
  const Graph *g = t->art.program[PROGRAM_EVALUATE];
  interpret(t, PROGRAM_EVALUATE);
  load_parameters(t, g);
  Given v = make_room(t);
  assert_int_equal(
      t->model->api->evaluate(t->session, t->config->n, leaf_table(t, g, OP_input),
                              leaf_table(t, g, OP_target), v.outputs, &v.loss, v.metrics),
      DLC_OK);
  compare_results(t, g, &v, "evaluate");
}

static void check_train(Golden *t) {
  const Graph *g = t->art.program[PROGRAM_TRAIN];
  interpret(t, PROGRAM_TRAIN);
  load_parameters(t, g);
  Given v = make_room(t);
  assert_int_equal(t->model->api->train_step(t->session, t->config->n, leaf_table(t, g, OP_input),
                                             leaf_table(t, g, OP_target), &v.loss, v.metrics),
                   DLC_OK);
  compare_results(t, g, &v, "train");
}

/* The same step in its three parts gives the same parameters. */
static void check_parts(Golden *t) {
  const Graph *g = t->art.program[PROGRAM_TRAIN];
  interpret(t, PROGRAM_TRAIN);
  load_parameters(t, g);
  Given v = make_room(t);
  assert_int_equal(t->model->api->forward(t->session, 0, t->config->n, leaf_table(t, g, OP_input),
                                          leaf_table(t, g, OP_target), NULL, &v.loss, v.metrics),
                   DLC_OK);
  assert_int_equal(t->model->api->backward(t->session, NULL), DLC_OK);
  assert_int_equal(t->model->api->apply(t->session), DLC_OK);
  compare_results(t, g, &v, "parts");
}

static uint64_t check_programs(Golden *t) {
  t->bits = 0;
  check_infer(t);
  if (t->model->training) {
    check_evaluate(t);
    check_gradients(t, PROGRAM_GRAD, 0);
    check_gradients(t, PROGRAM_GRAD_EVAL, 1);
    check_train(t);
    check_parts(t);
  }
  return t->bits;
}

int64_t golden_check(const Graph *source, const GoldenCase *c) {
  Golden t = {.arena = arena_new(), .config = c};
  compile(&t, source);
  uint64_t bits = check_programs(&t);
  if (c->threads > 1) {
    assert_int_equal(t.model->api->set_threads(t.session, c->threads), DLC_OK);
    if (check_programs(&t) != bits)
      fail_msg("other bits with %d threads than with one (-O%d, %d bytes, n=%lld)", c->threads,
               c->level, c->real_bytes, (long long)c->n);
  }
  release(&t);
  arena_free(t.arena);
  return t.compared;
}
