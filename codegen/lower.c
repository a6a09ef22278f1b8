/* The way from a planned graph to a function: each kernel of the plan in order, then the results.
 */
#include "codegen/lower.h"

#include "passes/cost.h"
#include "passes/fusible.h"

/* ---- one kernel ---- */

static LowerStep *const step_rule[OP_COUNT] = {
    [OP_dot_general] = lower_product,
    [OP_conv] = lower_conv,
    [OP_conv_input] = lower_conv,
    [OP_conv_weight] = lower_conv,
    [OP_max_pool2d] = lower_pool,
    [OP_max_pool2d_put] = lower_pool,
    [OP_max_pool2d_take] = lower_pool,
    [OP_avg_pool2d] = lower_pool,
    [OP_avg_pool2d_put] = lower_pool,
    [OP_adaptive_avg_pool2d] = lower_pool,
    [OP_adaptive_avg_pool2d_put] = lower_pool,
    [OP_adaptive_max_pool2d] = lower_pool,
    [OP_adaptive_max_pool2d_put] = lower_pool,
    [OP_adaptive_max_pool2d_take] = lower_pool,
    [OP_concat] = lower_concat,
    [OP_surround] = lower_surround,
    [OP_argmax] = lower_argmax,
    [OP_take_rows] = lower_take_rows,
    [OP_put_rows] = lower_put_rows,
    [OP_reshape] = lower_copy,
    [OP_constant] = lower_fill,
};

static LowerStep *rule_for(Op op) {
  return fusible_pointwise(op) || fusible_reduction(op) ? lower_sweep : step_rule[op];
}

/* The member that the kernel is built around: the one that is no part of a sweep, if there is such
 * a one. */
static const Node *anchor(const PlanGroup *g) {
  for (int i = 0; i < g->members.count; i++) {
    const Node *n = g->members.at[i];
    if (!fusible_pointwise(n->op) && !fusible_reduction(n->op)) return n;
  }
  return g->members.at[0];
}

static bool lower_step(Lower *l, const PlanGroup *g) {
  const Node *n = anchor(g);
  l->n = l->batch;
  l->nslots = 0;
  l->step_scratch = 0;
  LowerStep *rule = rule_for(n->op);
  if (!rule) {
    diag_error(l->diags, n->span, "'%s' cannot be compiled yet", op_info[n->op].name);
    return false;
  }
  for (int i = 0; i < g->members.count; i++) l->flops += cost_flops(g->members.at[i]);
  bool ok = rule(l, g, n);
  debug_kernels(l->debug, l->graph, n);
  debug_function(l->debug, l->function, l->name, n->span);
  return ok;
}

/* ---- results ---- */

/* Row-major as the user sees it. */
static void copy_result(Lower *l, const Node *x, Base base, int64_t index, MemElem elem) {
  l->nslots = 0;
  l->step_scratch = 0;
  Node plain = *x;
  plain.ordered = false;
  Memory own = memory_own(&plain);
  Domain domain = lower_domain(x);
  lower_copy_to(l, x, &domain,
                lower_memory_view(lower_slot(l, base, index), elem, &own, &x->type, &domain));
}

/* Into the parameter block, in the target's order. */
static void copy_to_target(Lower *l, const Result *r) {
  if (l->plan->placed[r->node->id] == r) return;
  l->nslots = 0;
  l->step_scratch = 0;
  Domain domain = lower_domain(r->target);
  Memory own = memory_own(r->target);
  const BlockEntry *e = block_find(l->block, node_str(r->target, "name"));
  int slot =
      lower_slot(l, r->kind == RESULT_GRAD ? BASE_GRADIENT : BASE_PARAMETER, e ? e->offset : 0);
  lower_copy_to(l, r->node, &domain,
                lower_memory_view(slot, MEM_REAL, &own, &r->target->type, &domain));
}

/* Copies to a place that the caller may not want: only where its pointer is not NULL. */
static void copy_if_wanted(Lower *l, const Node *x, Base base, int64_t index) {
  l->nslots = 0;
  lower_slot(l, base, index);
  CgIf wanted = cg_if(
      l->cg, LLVMBuildIsNotNull(l->cg->builder, lower_slot_pointer(l, base, index), "wanted"));
  copy_result(l, x, base, index, MEM_REAL);
  cg_if_end(l->cg, &wanted);
}

static int input_number(const Graph *g, const Node *input) {
  int k = 0;
  for (int i = 0; i < g->nodes.count && g->nodes.at[i] != input; i++)
    k += g->nodes.at[i]->op == OP_input;
  return k;
}

static void lower_copies(Lower *l, ResultKind kind) {
  int64_t index = 0;
  for (int i = 0; i < l->graph->results.count; i++) {
    const Result *r = &l->graph->results.at[i];
    if (r->kind != kind) continue;
    if (kind == RESULT_OUTPUT) copy_if_wanted(l, r->node, BASE_OUTPUT, index);
    if (kind == RESULT_LOSS) copy_result(l, r->node, BASE_SCALAR, 0, MEM_F64);
    if (kind == RESULT_METRIC) copy_result(l, r->node, BASE_SCALAR, 1 + index, MEM_F64);
    if (kind == RESULT_GRAD && r->target->op == OP_input)
      copy_if_wanted(l, r->node, BASE_INPUT_GRADIENT, input_number(l->graph, r->target));
    else if (r->target)
      copy_to_target(l, r);
    index++;
  }
}

/* Parameters are stored when nothing reads their old values any more. */
static void lower_results(Lower *l, bool gradients, bool others) {
  static const ResultKind kinds[] = {RESULT_OUTPUT, RESULT_LOSS, RESULT_METRIC, RESULT_ASSIGN};
  for (size_t i = 0; others && i < sizeof kinds / sizeof *kinds; i++) lower_copies(l, kinds[i]);
  if (gradients) lower_copies(l, RESULT_GRAD);
}

/* ---- the function ---- */

static void begin_function(Lower *l, const char *name) {
  Cg *cg = l->cg;
  LLVMTypeRef type = LLVMFunctionType(cg->void_, (LLVMTypeRef[]){cg->ptr}, 1, 0);
  LLVMValueRef f = LLVMAddFunction(cg->module, name, type);
  LLVMSetLinkage(f, LLVMInternalLinkage);
  LLVMPositionBuilderAtEnd(cg->builder, LLVMAppendBasicBlockInContext(cg->context, f, "entry"));
  l->name = name;
  l->function = f;
  l->call = LLVMGetParam(f, 0);
  l->n = l->batch = LLVMBuildLoad2(cg->builder, cg->i64, l->call, "n");
  l->buffers = LLVMBuildArrayAlloca(cg->builder, cg->ptr, cg_int(cg, LOWER_SLOTS), "buffers");
  l->batch_cell = LLVMBuildAlloca(cg->builder, cg->f64, "batch");
  LLVMBuildStore(cg->builder, LLVMBuildSIToFP(cg->builder, l->n, cg->f64, ""), l->batch_cell);
}

LLVMValueRef lower_function(Lower *l, const char *name, int first, int last, bool gradients,
                            bool others) {
  begin_function(l, name);
  bool ok = true;
  l->arena_bytes = l->plan->peak;
  for (l->group = first; l->group <= last; l->group++)
    ok &= lower_step(l, &l->plan->groups[l->group]);
  l->n = l->batch;
  if (ok) lower_results(l, gradients, others);
  LLVMBuildRetVoid(l->cg->builder);
  debug_function(l->debug, l->function, name, (Span){0});
  return ok ? l->function : NULL;
}
