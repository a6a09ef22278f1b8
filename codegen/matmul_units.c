/* Units of a product, and what its emitters share. */
#include "codegen/matmul.h"

#include "codegen/body.h"

int64_t matmul_most(const Cg *cg, Extent e) { return e.each * cg->max_batch + e.fixed; }

LLVMValueRef matmul_extent(Cg *cg, Extent e, LLVMValueRef n) {
  if (!e.each) return cg_int(cg, e.fixed);
  return cg_add(cg, cg_mul(cg, n, cg_int(cg, e.each)), cg_int(cg, e.fixed));
}

LLVMValueRef matmul_blocks(Cg *cg, LLVMValueRef extent, int64_t size) {
  LLVMValueRef up = cg_add(cg, extent, cg_int(cg, size - 1));
  return size == 1 ? up : LLVMBuildUDiv(cg->builder, up, cg_int(cg, size), "");
}

/* Splits *u into u / by and u % by; the quotient stays in *u. */
static LLVMValueRef split(Cg *cg, LLVMValueRef *u, LLVMValueRef by) {
  LLVMValueRef whole = LLVMBuildUDiv(cg->builder, *u, by, "");
  LLVMValueRef rest = LLVMBuildSub(cg->builder, *u, cg_mul(cg, whole, by), "");
  *u = whole;
  return rest;
}

MatmulUnits matmul_units(Cg *cg, const Matmul *mm, LLVMValueRef function) {
  MatmulUnits u = {.buffers = LLVMGetParam(function, 0)};
  LLVMValueRef n = LLVMGetParam(function, 1), batch[3];
  u.m = matmul_extent(cg, mm->s.m, n);
  u.n = matmul_extent(cg, mm->s.n, n);
  u.k = matmul_extent(cg, mm->s.k, n);
  LLVMValueRef row_blocks = matmul_blocks(cg, u.m, mm->rows),
               column_blocks = matmul_blocks(cg, u.n, mm->columns);
  LLVMValueRef total = cg_mul(cg, row_blocks, column_blocks);
  for (int i = 0; i < mm->s.nbatch; i++) {
    batch[i] = matmul_extent(cg, mm->s.batch[i], n);
    total = cg_mul(cg, total, batch[i]);
  }
  LLVMValueRef end = cg_min(cg, LLVMGetParam(function, 3), total);
  u.loop = cg_loop(cg, LLVMGetParam(function, 2), end, 1);
  LLVMValueRef left = u.loop.index;
  u.row = split(cg, &left, row_blocks);
  u.column = split(cg, &left, column_blocks);
  for (int i = mm->s.nbatch - 1; i >= 0; i--) u.batch[i] = split(cg, &left, batch[i]);
  return u;
}

void matmul_units_end(Cg *cg, MatmulUnits *u) {
  cg_loop_end(cg, &u->loop);
  LLVMBuildRetVoid(cg->builder);
}

static Extent scaled(Extent e, int64_t by) { return (Extent){e.each * by, e.fixed * by}; }

/* ceil(e / size) blocks, times `by`: (e + size - 1) * by / size is never less. */
static void count_blocks(Extent e, int64_t size, int64_t by, Kernel *out) {
  out->units = scaled((Extent){e.each, e.fixed + size - 1}, by);
  out->per = size;
}

static int64_t fixed_blocks(Extent e, int64_t size) { return (e.fixed + size - 1) / size; }

void matmul_count_units(const Cg *cg, const Matmul *mm, Kernel *out) {
  const MatmulSpec *s = &mm->s;
  Extent varying = {0, 1};
  int64_t others = 1;
  for (int i = 0; i < s->nbatch; i++) {
    if (s->batch[i].each)
      varying = s->batch[i];
    else
      others *= s->batch[i].fixed;
  }
  out->per = 1;
  if (s->m.each)
    count_blocks(s->m, mm->rows, others * fixed_blocks(s->n, mm->columns), out);
  else if (s->n.each)
    count_blocks(s->n, mm->columns, others * fixed_blocks(s->m, mm->rows), out);
  else
    out->units =
        scaled(varying, others * fixed_blocks(s->m, mm->rows) * fixed_blocks(s->n, mm->columns));
  double rows = (double)(mm->rows < mm->m ? mm->rows : mm->m);
  double columns = (double)(mm->columns < mm->n ? mm->columns : mm->n);
  out->work = 5 + rows * columns * (0.1 + (double)mm->k * (cg->fma ? 0.3 : 0.6) / cg->lanes / 2);
}

LLVMValueRef matmul_base(Cg *cg, const Matmul *mm, const MatmulUnits *u, const View *v) {
  LLVMValueRef at = cg_int(cg, v->offset);
  for (int i = 0; i < mm->s.nbatch; i++)
    at = cg_add(cg, at, cg_mul(cg, u->batch[i], cg_int(cg, v->stride[i])));
  return cg_at(cg, cg->real, cg_buffer(cg, u->buffers, v->slot), at);
}

LLVMValueRef matmul_partial(Cg *cg, const Matmul *mm, const MatmulUnits *u) {
  LLVMValueRef at = cg_int(cg, 0);
  for (int i = 0; i < mm->s.nbatch; i++)
    at = cg_add(cg, cg_mul(cg, at, cg_int(cg, matmul_most(cg, mm->s.batch[i]))), u->batch[i]);
  return cg_at(cg, cg->real, cg_buffer(cg, u->buffers, mm->s.scratch),
               cg_mul(cg, at, cg_int(cg, mm->m * mm->n)));
}

MatmulHelper matmul_helper(Cg *cg, const char *name, int count, LLVMTypeRef *types) {
  MatmulHelper h = {.back = LLVMGetInsertBlock(cg->builder)};
  h.function =
      LLVMAddFunction(cg->module, name, LLVMFunctionType(cg->void_, types, (unsigned)count, false));
  LLVMSetLinkage(h.function, LLVMInternalLinkage);
  cg_function_attributes(cg, h.function);
  LLVMPositionBuilderAtEnd(cg->builder, cg_block(cg, h.function, "entry"));
  return h;
}

void matmul_helper_end(Cg *cg, const MatmulHelper *h) {
  LLVMBuildRetVoid(cg->builder);
  LLVMPositionBuilderAtEnd(cg->builder, h->back);
}

void matmul_helper_call(Cg *cg, LLVMValueRef function, int count, LLVMValueRef *args) {
  LLVMBuildCall2(cg->builder, LLVMGlobalGetValueType(function), function, args, (unsigned)count,
                 "");
}

void matmul_turn(Cg *cg, LLVMValueRef *v, LLVMValueRef at, int64_t between) {
  int group = view_group(cg), lanes = cg->lanes;
  view_turn(cg, v, lanes);
  for (int j = 0; j < lanes; j++) {
    int pick[4];
    for (int i = 0; i < group; i++) pick[i] = j / group * group + i;
    LLVMValueRef part =
        lanes == group ? v[j % group] : view_pick(cg, v[j % group], v[j % group], pick, group);
    cg_store(cg, part, cg_at(cg, cg->real, at, cg_int(cg, j * between)), NULL);
  }
}

static void result_index(const Matmul *mm, const MatmulUnits *u, LLVMValueRef row,
                         LLVMValueRef column, LLVMValueRef *index) {
  int nb = mm->s.nbatch;
  for (int i = 0; i < nb; i++) index[i] = u->batch[i];
  index[nb] = row;
  index[nb + 1] = column;
}

void matmul_prefetch(Cg *cg, const Matmul *mm, const MatmulUnits *u, LLVMValueRef row,
                     LLVMValueRef column) {
  LLVMValueRef index[VIEW_RANK];
  if (!mm->store) return;
  Body body = body_new(cg, mm->store, u->buffers, mm->store->rank - 1);
  result_index(mm, u, row, column, index);
  body_prefetch(&body, index);
}

void matmul_put(Cg *cg, const Matmul *mm, const MatmulUnits *u, LLVMValueRef row,
                LLVMValueRef column, int lanes, LLVMValueRef mask, LLVMValueRef value) {
  if (mm->store) {
    LLVMValueRef index[VIEW_RANK];
    result_index(mm, u, row, column, index);
    body_emit(cg, mm->store, u->buffers, index, lanes, mask, value);
    return;
  }
  const View *c = &mm->s.c;
  int64_t stride = c->stride[mm->s.nbatch + (mm->turned ? 1 : 0)];
  LLVMValueRef at = cg_add(cg, cg_mul(cg, row, cg_int(cg, stride)), column);
  cg_store(cg, value, cg_at(cg, cg->real, matmul_base(cg, mm, u, c), at), mask);
}
