/* Slots, views and the emission of kernel calls. */
#include <string.h>

#include "codegen/lower.h"

/* Less work than this stays on the caller's thread. Handing a loop to a thread that waits for it
 * costs less than a microsecond, and estimates are low rather than high. */
enum { PARALLEL_NANOSECONDS = 2000 };

Domain lower_domain(const Node *n) {
  Domain d = {.type = &n->type};
  if (n->type.batched) {
    d.extent[0] = (Extent){.each = 1};
    d.dim[d.rank++] = -1;
  }
  for (int i = 0; i < n->type.rank; i++) {
    int dim = memory_dim(n, i);
    d.extent[d.rank] = (Extent){.fixed = n->type.dim[dim]};
    d.dim[d.rank++] = dim;
  }
  if (!d.rank) d.extent[d.rank] = (Extent){.fixed = 1}, d.dim[d.rank++] = -1;
  return d;
}

static int new_slot(Lower *l, Base base, int64_t offset) {
  if (l->nslots == LOWER_SLOTS) {
    diag_error(l->diags, (Span){0}, "internal: a kernel touches more than %d places", LOWER_SLOTS);
    return 0;
  }
  l->slot[l->nslots] = (Slot){base, offset};
  return l->nslots++;
}

int lower_slot(Lower *l, Base base, int64_t offset) {
  for (int i = 0; i < l->nslots; i++)
    if (l->slot[i].base == base && l->slot[i].offset == offset) return i;
  return new_slot(l, base, offset);
}

/* Puts `bytes` bytes behind a scratch slot, apart from what lives in this step. Returns their end.
 */
static int64_t place_scratch(Lower *l, int slot, int64_t bytes) {
  Arena *scratch = arena_new();
  int64_t at =
      plan_gap(l->graph, l->plan, l->group, l->step_scratch, bytes, l->cg->real_bytes, scratch);
  arena_free(scratch);
  int64_t end = at + ((bytes + 63) & ~(int64_t)63);
  if (end > l->arena_bytes) l->arena_bytes = end;
  l->slot[slot].offset = at;
  return end;
}

int lower_scratch(Lower *l, int64_t bytes) {
  int slot = new_slot(l, BASE_SCRATCH, 0);
  if (bytes) l->step_scratch = place_scratch(l, slot, bytes);
  return slot;
}

MemElem lower_elem(const Node *n) {
  static const MemElem mem[] = {[ELEM_F32] = MEM_REAL, [ELEM_U8] = MEM_U8, [ELEM_I32] = MEM_I32};
  if (n->op == OP_hyper || n->op == OP_batch_size) return MEM_F64;
  return mem[n->type.elem];
}

/* Inputs come before targets in dlc_call.inputs. */
static int input_index(const Graph *g, const Node *leaf) {
  int inputs = 0, targets = 0;
  for (int i = 0; i < g->nodes.count; i++) {
    const Node *n = g->nodes.at[i];
    if (n == leaf && n->op == OP_input) return inputs;
    if (n == leaf) break;
    inputs += n->op == OP_input;
    targets += n->op == OP_target;
  }
  inputs = 0;
  for (int i = 0; i < g->nodes.count; i++) inputs += g->nodes.at[i]->op == OP_input;
  return inputs + targets;
}

static const char gradient_prefix[] = "gradient.";

static int parameter_slot(Lower *l, Base base, const char *name) {
  const BlockEntry *e = block_find(l->block, name);
  return lower_slot(l, base, e ? e->offset : 0);
}

static int leaf_slot(Lower *l, const Node *leaf) {
  static const char *const hyper[] = {"lr", "bias_correction1", "bias_correction2"};
  if (leaf->op == OP_input || leaf->op == OP_target)
    return lower_slot(l, BASE_INPUT, input_index(l->graph, leaf));
  if (leaf->op == OP_batch_size) return lower_slot(l, BASE_BATCH, 0);
  const char *name = node_str(leaf, "name");
  if (leaf->op == OP_hyper) {
    int k = 0;
    while (k < 2 && strcmp(hyper[k], name)) k++;
    return lower_slot(l, BASE_HYPER, k);
  }
  if (!strncmp(name, gradient_prefix, sizeof gradient_prefix - 1))
    return parameter_slot(l, BASE_GRADIENT, name + sizeof gradient_prefix - 1);
  return parameter_slot(l, BASE_PARAMETER, name);
}

int lower_storage(Lower *l, const Node *owner) {
  if (op_info[owner->op].kind == KIND_LEAF && !owner->group) return leaf_slot(l, owner);
  const Result *r = l->plan->placed[owner->id];
  if (r)
    return parameter_slot(l, r->kind == RESULT_GRAD ? BASE_GRADIENT : BASE_PARAMETER,
                          node_str(r->target, "name"));
  return lower_slot(l, BASE_ARENA, owner->offset);
}

View lower_memory_view(int slot, MemElem elem, const Memory *m, const Type *t,
                       const Domain *domain) {
  View v = {.slot = slot, .elem = elem, .offset = m->offset};
  int64_t stride[1 + LIMIT_RANK];
  memory_broadcast(m, t, domain->type, stride);
  for (int i = 0; i < domain->rank; i++)
    v.stride[i] = domain->dim[i] == AXIS_NONE ? 0 : stride[1 + domain->dim[i]];
  return v;
}

View lower_view(Lower *l, const Node *n, const Domain *domain) {
  const Memory *m = &l->plan->memory[n->id];
  return lower_memory_view(lower_storage(l, m->owner), lower_elem(m->owner), m, &n->type, domain);
}

bool lower_is_constant(const Lower *l, const Node *n, double *value) {
  const Node *owner = l->plan->memory[n->id].owner;
  if (owner->op != OP_constant || owner->group) return false;
  *value = node_float(owner, "value");
  return true;
}

/* ---- emission ---- */

/* dlc_call of runtime/dlc.h, field by field. */
enum {
  CALL_N,
  CALL_PARAMETERS,
  CALL_GRADIENTS,
  CALL_ARENA,
  CALL_INPUTS,
  CALL_OUTPUTS,
  CALL_INPUT_GRADIENTS,
  CALL_SCALARS,
  CALL_HYPER,
  CALL_SEED = CALL_HYPER + 4,
  CALL_STEP,
  CALL_THREADS,
  CALL_PARALLEL_FOR,
  CALL_EXECUTOR
};

static LLVMValueRef call_field(Lower *l, int field) {
  return cg_at(l->cg, l->cg->i64, l->call, cg_int(l->cg, field)); /* every field is 8 bytes */
}

static LLVMValueRef call_load(Lower *l, LLVMTypeRef type, int field) {
  return LLVMBuildLoad2(l->cg->builder, type, call_field(l, field), "");
}

static LLVMValueRef offset_from(Lower *l, int field, int64_t bytes) {
  return cg_at(l->cg, l->cg->i8, call_load(l, l->cg->ptr, field), cg_int(l->cg, bytes));
}

static LLVMValueRef element_of(Lower *l, int field, int64_t index) {
  LLVMValueRef table = call_load(l, l->cg->ptr, field);
  return LLVMBuildLoad2(l->cg->builder, l->cg->ptr,
                        cg_at(l->cg, l->cg->ptr, table, cg_int(l->cg, index)), "");
}

static LLVMValueRef slot_pointer(Lower *l, const Slot *s) {
  switch (s->base) {
    case BASE_ARENA:
    case BASE_SCRATCH:
      return offset_from(l, CALL_ARENA, s->offset);
    case BASE_PARAMETER:
      return offset_from(l, CALL_PARAMETERS, s->offset);
    case BASE_GRADIENT:
      return offset_from(l, CALL_GRADIENTS, s->offset);
    case BASE_INPUT:
      return element_of(l, CALL_INPUTS, s->offset);
    case BASE_OUTPUT:
      return element_of(l, CALL_OUTPUTS, s->offset);
    case BASE_INPUT_GRADIENT:
      return element_of(l, CALL_INPUT_GRADIENTS, s->offset);
    case BASE_SCALAR:
      return offset_from(l, CALL_SCALARS, 8 * s->offset);
    case BASE_HYPER:
      return call_field(l, CALL_HYPER + (int)s->offset);
    case BASE_RANDOM:
      return call_field(l, CALL_SEED);
    case BASE_BATCH:
      return l->batch_cell;
  }
  return NULL;
}

LLVMValueRef lower_slot_pointer(Lower *l, Base base, int64_t offset) {
  return slot_pointer(l, &(Slot){base, offset});
}

static void emit_buffers(Lower *l) {
  for (int i = 0; i < l->nslots; i++) {
    LLVMValueRef at = cg_at(l->cg, l->cg->ptr, l->buffers, cg_int(l->cg, i));
    LLVMBuildStore(l->cg->builder, slot_pointer(l, &l->slot[i]), at);
  }
}

/* The units of a stage at run time: parts * ceil((n * each + fixed) / per). */
static LLVMValueRef stage_units(Lower *l, const Kernel *k) {
  int64_t per = k->per ? k->per : 1;
  LLVMValueRef units = cg_add(l->cg, cg_mul(l->cg, l->n, cg_int(l->cg, k->units.each)),
                              cg_int(l->cg, k->units.fixed + per - 1));
  if (per > 1) units = LLVMBuildUDiv(l->cg->builder, units, cg_int(l->cg, per), "units");
  return cg_mul(l->cg, units, cg_int(l->cg, k->parts ? k->parts : 1));
}

static LLVMTypeRef kernel_type(Cg *cg) {
  return LLVMFunctionType(cg->void_, (LLVMTypeRef[]){cg->ptr, cg->i64, cg->i64, cg->i64}, 4, 0);
}

static LLVMValueRef begin_helper(Cg *cg, const char *name, LLVMTypeRef *parameters,
                                 unsigned count) {
  LLVMValueRef f =
      LLVMAddFunction(cg->module, name, LLVMFunctionType(cg->void_, parameters, count, 0));
  LLVMSetLinkage(f, LLVMInternalLinkage);
  LLVMPositionBuilderAtEnd(cg->builder, LLVMAppendBasicBlockInContext(cg->context, f, ""));
  return f;
}

/* void dispatch_range(context, begin, end): the kernel in context[0] on buffers and n, which follow
 * it. */
static LLVMValueRef emit_dispatch_range(Cg *cg) {
  LLVMValueRef f = begin_helper(cg, "dispatch_range", (LLVMTypeRef[]){cg->ptr, cg->i64, cg->i64},
                                3),
               field[3];
  for (int i = 0; i < 3; i++) {
    LLVMValueRef at = cg_at(cg, cg->ptr, LLVMGetParam(f, 0), cg_int(cg, i));
    field[i] = LLVMBuildLoad2(cg->builder, i == 2 ? cg->i64 : cg->ptr, at, "");
  }
  LLVMValueRef argument[] = {field[1], field[2], LLVMGetParam(f, 1), LLVMGetParam(f, 2)};
  LLVMBuildCall2(cg->builder, kernel_type(cg), field[0], argument, 4, "");
  LLVMBuildRetVoid(cg->builder);
  return f;
}

/* parallel_for(executor, units, dispatch_range, {kernel, buffers, n}) */
static void emit_parallel_for(Lower *l, LLVMValueRef range, const LLVMValueRef *context,
                              LLVMValueRef units) {
  Cg *cg = l->cg;
  LLVMValueRef cell = LLVMBuildArrayAlloca(cg->builder, cg->ptr, cg_int(cg, 3), "");
  for (int i = 0; i < 3; i++)
    LLVMBuildStore(cg->builder, context[i], cg_at(cg, cg->ptr, cell, cg_int(cg, i)));
  LLVMValueRef executor = call_load(l, cg->ptr, CALL_EXECUTOR);
  LLVMValueRef parallel_for = call_load(l, cg->ptr, CALL_PARALLEL_FOR);
  LLVMTypeRef type =
      LLVMFunctionType(cg->void_, (LLVMTypeRef[]){cg->ptr, cg->i64, cg->ptr, cg->ptr}, 4, 0);
  LLVMBuildCall2(cg->builder, type, parallel_for, (LLVMValueRef[]){executor, units, range, cell}, 4,
                 "");
}

/* void dispatch(call, kernel, buffers, n, units): through the session's executor when it has
 * threads. */
static LLVMValueRef dispatcher(Lower *l) {
  Cg *cg = l->cg;
  LLVMValueRef f = LLVMGetNamedFunction(cg->module, "dispatch");
  if (f) return f;
  LLVMBasicBlockRef back = LLVMGetInsertBlock(cg->builder);
  LLVMValueRef range = emit_dispatch_range(cg);
  f = begin_helper(cg, "dispatch", (LLVMTypeRef[]){cg->ptr, cg->ptr, cg->ptr, cg->i64, cg->i64}, 5);
  Lower inner = {.cg = cg, .call = LLVMGetParam(f, 0)};
  LLVMValueRef context[] = {LLVMGetParam(f, 1), LLVMGetParam(f, 2), LLVMGetParam(f, 3)},
               units = LLVMGetParam(f, 4);
  LLVMValueRef threads = call_load(&inner, cg->i64, CALL_THREADS);
  CgIf alone = cg_if(cg, LLVMBuildICmp(cg->builder, LLVMIntSLE, threads, cg_int(cg, 1), ""));
  LLVMValueRef all[] = {context[1], context[2], cg_int(cg, 0), units};
  LLVMBuildCall2(cg->builder, kernel_type(cg), context[0], all, 4, "");
  cg_if_end(cg, &alone);
  CgIf many = cg_if(cg, LLVMBuildICmp(cg->builder, LLVMIntSGT, threads, cg_int(cg, 1), ""));
  emit_parallel_for(&inner, range, context, units);
  cg_if_end(cg, &many);
  LLVMBuildRetVoid(cg->builder);
  LLVMPositionBuilderAtEnd(cg->builder, back);
  return f;
}

static void emit_stage(Lower *l, const Kernel *k) {
  Cg *cg = l->cg;
  LLVMValueRef units = stage_units(l, k);
  double total = k->work *
                 ((double)k->units.each * (double)cg->max_batch + (double)k->units.fixed) /
                 (double)(k->per ? k->per : 1) * (double)(k->parts ? k->parts : 1);
  if (total < PARALLEL_NANOSECONDS) {
    LLVMBuildCall2(cg->builder, kernel_type(cg), k->function,
                   (LLVMValueRef[]){l->buffers, l->n, cg_int(cg, 0), units}, 4, "");
    return;
  }
  LLVMValueRef f = dispatcher(l);
  LLVMBuildCall2(cg->builder, LLVMGlobalGetValueType(f), f,
                 (LLVMValueRef[]){l->call, k->function, l->buffers, l->n, units}, 5, "");
}

/* Emitting a kernel moves the builder into another function; the calling one goes on where it was.
 */
#define EMIT_APART(kind, Spec)                                   \
  KernelList lower_##kind##_kernel(Lower *l, const Spec *spec) { \
    LLVMBasicBlockRef here = LLVMGetInsertBlock(l->cg->builder); \
    KernelList list = kernel_##kind(l->cg, spec);                \
    LLVMPositionBuilderAtEnd(l->cg->builder, here);              \
    return list;                                                 \
  }
EMIT_APART(pointwise, PointwiseSpec)
EMIT_APART(matmul, MatmulSpec)
EMIT_APART(conv, ConvSpec)
EMIT_APART(pool, PoolSpec)
EMIT_APART(put_rows, PutRowsSpec)

void lower_run(Lower *l, const KernelList *list) {
  emit_buffers(l);
  for (int i = 0; i < list->count; i++) emit_stage(l, &list->stage[i]);
}

void lower_run_scratch(Lower *l, const KernelList *list, int slot) {
  if (list->scratch_bytes) place_scratch(l, slot, list->scratch_bytes);
  lower_run(l, list);
}
