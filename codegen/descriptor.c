/* The descriptor: dlc_model and all that it points to, as constants of the module. Each record
 * below lists the fields of its struct in runtime/dlc.h, in order. */
#include <string.h>

#include "codegen/artifact.h"
#include "passes/memory.h"
#include "runtime/dlc.h"

enum { RECORD_FIELDS = 32 };

typedef struct {
  Cg *cg;
  int count;
  LLVMValueRef field[RECORD_FIELDS];
} Record;

static void put(Record *r, LLVMValueRef v) { r->field[r->count++] = v; }
static void put_i32(Record *r, int64_t v) { put(r, LLVMConstInt(r->cg->i32, (uint64_t)v, 1)); }
static void put_i64(Record *r, int64_t v) { put(r, LLVMConstInt(r->cg->i64, (uint64_t)v, 1)); }
static void put_f64(Record *r, double v) { put(r, LLVMConstReal(r->cg->f64, v)); }

static LLVMValueRef record_end(Record *r) {
  return LLVMConstStructInContext(r->cg->context, r->field, (unsigned)r->count, 0);
}

/* A private constant; its address. */
static LLVMValueRef constant(Cg *cg, LLVMValueRef value) {
  LLVMValueRef g = LLVMAddGlobal(cg->module, LLVMTypeOf(value), "");
  LLVMSetInitializer(g, value);
  LLVMSetGlobalConstant(g, 1);
  LLVMSetLinkage(g, LLVMPrivateLinkage);
  return g;
}

static void put_text(Record *r, const char *text) {
  if (!text) {
    put(r, LLVMConstNull(r->cg->ptr));
    return;
  }
  put(r, constant(r->cg, LLVMConstStringInContext2(r->cg->context, text, strlen(text), 0)));
}

static void put_table(Record *r, LLVMValueRef *rows, int count) {
  if (!count) {
    put(r, LLVMConstNull(r->cg->ptr));
    return;
  }
  put(r, constant(r->cg, LLVMConstArray2(LLVMTypeOf(rows[0]), rows, (uint64_t)count)));
}

static void put_dims(Record *r, const Type *t) {
  LLVMValueRef d[8];
  for (int i = 0; i < 8; i++)
    d[i] = LLVMConstInt(r->cg->i64, i < t->rank ? (uint64_t)t->dim[i] : 0, 1);
  put(r, LLVMConstArray2(r->cg->i64, d, 8));
}

/* ---- tensors ---- */

static int elem_code(const Cg *cg, Elem e) {
  return e == ELEM_U8 ? DLC_U8 : e == ELEM_I32 ? DLC_I32 : cg->real_bytes == 8 ? DLC_F64 : DLC_F32;
}

static LLVMValueRef tensor_record(Cg *cg, const char *name, const Node *n, int elem,
                                  int64_t classes) {
  Record r = {.cg = cg};
  put_text(&r, name);
  put_i32(&r, elem);
  put_i32(&r, n->type.rank);
  put_dims(&r, &n->type);
  put_i64(&r, type_elements(&n->type));
  put_i32(&r, classes);
  put_i32(&r, !n->type.batched);
  return record_end(&r);
}

static void put_leaves(Record *r, const Artifact *art, Arena *a, Op op) {
  VEC(LLVMValueRef) rows = {0};
  for (int i = 0; i < art->source->nodes.count; i++) {
    const Node *n = art->source->nodes.at[i];
    if (n->op == op)
      vec_push(a, &rows,
               tensor_record(r->cg, node_str(n, "name"), n, elem_code(r->cg, n->type.elem),
                             art->range[i].all));
  }
  put_table(r, rows.at, rows.count);
}

static LLVMValueRef limits_of(Cg *cg, const IndexRange *range, int64_t elements, Arena *a) {
  if (!range->each) return LLVMConstNull(cg->ptr);
  LLVMValueRef *limit = ARENA_ARRAY(a, LLVMValueRef, elements + 1);
  for (int64_t k = 0; k < elements; k++)
    limit[k] = LLVMConstInt(cg->i32, (uint64_t)range->each[k], 0);
  return constant(cg, LLVMConstArray2(cg->i32, limit, (uint64_t)elements));
}

/* Of inputs, then targets. */
static void put_limits(Record *r, const Artifact *art, Arena *a) {
  static const Op leaves[] = {OP_input, OP_target};
  VEC(LLVMValueRef) rows = {0};
  bool any = false;
  for (int k = 0; k < 2; k++)
    for (int i = 0; i < art->source->nodes.count; i++) {
      const Node *n = art->source->nodes.at[i];
      if (n->op != leaves[k]) continue;
      vec_push(a, &rows, limits_of(r->cg, &art->range[i], type_elements(&n->type), a));
      any |= art->range[i].each != NULL;
    }
  put_table(r, rows.at, any ? rows.count : 0);
}

static int count_ops(const Graph *g, Op op) {
  int count = 0;
  for (int i = 0; i < g->nodes.count; i++) count += g->nodes.at[i]->op == op;
  return count;
}

static int count_results(const Graph *g, ResultKind kind) {
  int count = 0;
  for (int i = 0; i < g->results.count; i++) count += g->results.at[i].kind == kind;
  return count;
}

static void put_outputs(Record *r, const Artifact *art, Arena *a) {
  VEC(LLVMValueRef) rows = {0};
  const Graph *g = art->program[PROGRAM_INFER];
  for (int i = 0; i < g->results.count; i++) {
    const Result *o = &g->results.at[i];
    if (o->kind == RESULT_OUTPUT)
      vec_push(
          a, &rows,
          tensor_record(r->cg, o->name, o->node, r->cg->real_bytes == 8 ? DLC_F64 : DLC_F32, 0));
  }
  put_table(r, rows.at, rows.count);
}

static void put_metrics(Record *r, const Artifact *art, Arena *a) {
  VEC(LLVMValueRef) rows = {0};
  for (int i = 0; i < art->source->results.count; i++) {
    if (art->source->results.at[i].kind != RESULT_METRIC) continue;
    Record text = {.cg = r->cg};
    put_text(&text, art->source->results.at[i].name);
    vec_push(a, &rows, text.field[0]);
  }
  put_table(r, rows.at, rows.count);
}

/* ---- parameters ---- */

static LLVMValueRef parameter_record(Cg *cg, const BlockEntry *e) {
  static const int init_code[] = {
      [INIT_CONSTANT] = 1, [INIT_UNIFORM] = 2, [INIT_NORMAL] = 3, [INIT_ORTHOGONAL] = 4};
  const Node *n = e->leaf;
  Record r = {.cg = cg};
  put_text(&r, e->name);
  put_i32(&r, e->role == ROLE_PARAM ? DLC_PARAM : e->role == ROLE_BUFFER ? DLC_BUFFER : DLC_STATE);
  put_i32(&r, n->op == OP_param && node_bool(n, "trainable"));
  put_i32(&r, n->type.rank);
  put_i32(&r, n->type.rank);
  put_dims(&r, &n->type);
  put_dims(&r, &n->type);
  LLVMValueRef order[8];
  for (int i = 0; i < 8; i++)
    order[i] = LLVMConstInt(cg->i32, i < n->type.rank ? (uint64_t)memory_dim(n, i) : 0, 1);
  put(&r, LLVMConstArray2(cg->i32, order, 8));
  put_i64(&r, type_elements(&n->type));
  put_i64(&r, e->offset);
  Init init = node_attr(n, "init")->init;
  put_i32(&r, init_code[init.kind]);
  put_i32(&r, 0);
  put_f64(&r, init.a);
  put_f64(&r, init.b);
  return record_end(&r);
}

static void put_parameters(Record *r, const Block *block, Arena *a) {
  VEC(LLVMValueRef) rows = {0};
  for (int i = 0; i < block->entries.count; i++)
    vec_push(a, &rows, parameter_record(r->cg, &block->entries.at[i]));
  put_table(r, rows.at, rows.count);
}

/* ---- training ---- */

static double number(TrainKind kind, const TrainItem *item, const char *name) {
  const Attr *x = train_attr(kind, item, name);
  return !x ? 0 : x->kind == ATTR_FLOAT ? x->f : (double)x->i;
}

static double augment(const Train *t, const char *row, const char *name) {
  for (int i = 0; i < t->augment.count; i++)
    if (!strcmp(t->augment.at[i].name, row)) return number(TRAIN_AUGMENT, &t->augment.at[i], name);
  return 0;
}

static void put_training(Record *model, const Artifact *art) {
  static const char *const optimizer[] = {"lr",    "momentum", "beta1",       "beta2",
                                          "alpha", "eps",      "weight_decay"};
  static const char *const schedule[] = {"size", "gamma", "period", "min_lr", "epochs", "end"};
  const Train *t = &art->source->train;
  if (!art->program[PROGRAM_TRAIN]) {
    put(model, LLVMConstNull(model->cg->ptr));
    return;
  }
  Record r = {.cg = model->cg};
  put_text(&r, t->optimizer.name ? t->optimizer.name : "sgd");
  for (int i = 0; i < 7; i++) put_f64(&r, number(TRAIN_OPTIMIZER, &t->optimizer, optimizer[i]));
  put_i32(&r, number(TRAIN_OPTIMIZER, &t->optimizer, "nesterov") != 0);
  put_i32(&r, 0);
  put_text(&r, t->schedule.name ? t->schedule.name : "constant");
  for (int i = 0; i < 6; i++) put_f64(&r, number(TRAIN_SCHEDULE, &t->schedule, schedule[i]));
  put_i64(&r, t->warmup_steps);
  put_i64(&r, t->batch);
  put_i64(&r, t->epochs);
  put_i64(&r, t->seed);
  put_f64(&r, t->clip_grad_norm);
  put_f64(&r, augment(t, "hflip", "p"));
  put_f64(&r, augment(t, "vflip", "p"));
  put_f64(&r, augment(t, "rotate", "degrees"));
  put_i64(&r, (int64_t)augment(t, "crop", "padding"));
  put(model, constant(model->cg, record_end(&r)));
}

/* ---- the whole ---- */

static void put_programs(Record *model, const ProgramCode *programs) {
  LLVMValueRef rows[DLC_PROGRAMS];
  for (int i = 0; i < DLC_PROGRAMS; i++) {
    Record r = {.cg = model->cg};
    put(&r, programs[i].code ? programs[i].code : LLVMConstNull(model->cg->ptr));
    put_i64(&r, programs[i].arena_bytes);
    put_f64(&r, programs[i].flops);
    rows[i] = record_end(&r);
  }
  put(model, LLVMConstArray2(LLVMTypeOf(rows[0]), rows, DLC_PROGRAMS));
}

static void put_ir(Record *r, const Artifact *art, Arena *a) {
  if (!art->keep_ir) {
    put_text(r, NULL);
    return;
  }
  Str text = str_new(a);
  ir_print(art->source, &text);
  put_text(r, text.text);
}

void descriptor_emit(Cg *cg, const Artifact *art, const Block *block, const ProgramCode *programs) {
  Arena *a = cg->arena;
  const Graph *g = art->source;
  LLVMValueRef api = LLVMAddGlobal(cg->module, cg->ptr, "dlc_api_v1");
  LLVMSetVisibility(api, LLVMHiddenVisibility);
  Record r = {.cg = cg};
  put_i32(&r, DLC_ABI_VERSION);
  put_i32(&r, cg->real_bytes);
  put_text(&r, g->name);
  put_text(&r, cg->features);
  put_i64(&r, cg->max_batch);
  put_i32(&r, count_ops(g, OP_input));
  put_i32(&r, count_ops(g, OP_target));
  put_i32(&r, count_results(g, RESULT_OUTPUT));
  put_i32(&r, count_results(g, RESULT_METRIC));
  put_i32(&r, block->entries.count);
  put_i32(&r, DLC_ABI_MINOR);
  put_leaves(&r, art, a, OP_input);
  put_leaves(&r, art, a, OP_target);
  put_outputs(&r, art, a);
  put_metrics(&r, art, a);
  put_parameters(&r, block, a);
  put_i64(&r, block->parameter_bytes);
  put_i64(&r, block->state_bytes);
  put_programs(&r, programs);
  put_training(&r, art);
  put_ir(&r, art, a);
  put(&r, api);
  put_limits(&r, art, a);
  LLVMValueRef value = record_end(&r);
  LLVMValueRef model =
      LLVMAddGlobal(cg->module, LLVMTypeOf(value), arena_printf(a, "dlc_v1_%s", g->name));
  LLVMSetInitializer(model, value);
  LLVMSetGlobalConstant(model, 1);
  LLVMSetAlignment(model, 64);
}
