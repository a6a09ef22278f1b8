/* Copies a panel of B, so that the product reads it from one place in order. B with bn = 1 goes row by row; with
 * bk = 1, in squares transposed in registers; with other strides, element by element. */
#include "codegen/matmul.h"

typedef struct {
  Cg *cg;
  const Matmul *mm;
  LLVMValueRef from, to;       /* B at the first row and column; the copy */
  LLVMValueRef steps, columns; /* how much there is of B; columns may be more than a panel */
  int64_t bk, bn;
} Pack;

/* Rows as they are: k after k, `vectors` vectors each, masked in the last panel. */
static void copy_rows(Pack *p, bool masked) {
  Cg *cg = p->cg;
  int vectors = (int)(p->mm->panel / cg->lanes);
  LLVMValueRef mask[MICRO_VECTORS] = {0};
  for (int v = 0; v < vectors && masked; v++)
    mask[v] = cg_mask(cg, LLVMBuildSub(cg->builder, p->columns, cg_int(cg, (int64_t)v * cg->lanes), ""), cg->lanes);
  CgLoop l = cg_loop(cg, cg_int(cg, 0), p->steps, 1);
  LLVMValueRef from = cg_at(cg, cg->real, p->from, cg_mul(cg, l.index, cg_int(cg, p->bk)));
  LLVMValueRef to = cg_at(cg, cg->real, p->to, cg_mul(cg, l.index, cg_int(cg, p->mm->panel)));
  for (int v = 0; v < vectors; v++) {
    LLVMValueRef at = cg_int(cg, (int64_t)v * cg->lanes);
    cg_store(cg, cg_load(cg, cg->real, cg_at(cg, cg->real, from, at), cg->lanes, mask[v]),
             cg_at(cg, cg->real, to, at), NULL);
  }
  cg_loop_end(cg, &l);
}

static void pack_rows(Pack *p) {
  Cg *cg = p->cg;
  LLVMValueRef whole = LLVMBuildICmp(cg->builder, LLVMIntSGE, p->columns, cg_int(cg, p->mm->panel), "");
  CgIf yes = cg_if(cg, whole);
  copy_rows(p, false);
  cg_if_end(cg, &yes);
  CgIf no = cg_if(cg, LLVMBuildNot(cg->builder, whole, ""));
  copy_rows(p, true);
  cg_if_end(cg, &no);
}

/* Transposes `count` lines of `length` elements, `stride` apart, at most `lanes` of them: a square after the other.
 * Lines past the last are the last one again; elements past the end are zero. */
typedef struct {
  LLVMValueRef from, count, length;
  int64_t stride;
  LLVMValueRef to;       /* the first line's first element */
  int64_t next, between; /* distance in `to` from one square to the next, and between lines within one */
} Strip;

static void square(Cg *cg, const Strip *s, const LLVMValueRef *line, LLVMValueRef at, LLVMValueRef mask) {
  LLVMValueRef v[64];
  for (int i = 0; i < cg->lanes; i++) v[i] = cg_load(cg, cg->real, cg_at(cg, cg->real, line[i], at), cg->lanes, mask);
  matmul_transpose(cg, v, cg->lanes);
  LLVMValueRef to = cg_at(cg, cg->real, s->to, cg_mul(cg, at, cg_int(cg, s->next)));
  for (int i = 0; i < cg->lanes; i++)
    cg_store(cg, v[i], cg_at(cg, cg->real, to, cg_int(cg, i * s->between)), NULL);
}

static void transpose_strip(Cg *cg, const Strip *s) {
  LLVMValueRef line[64], last = LLVMBuildSub(cg->builder, s->count, cg_int(cg, 1), "");
  for (int i = 0; i < cg->lanes; i++)
    line[i] = cg_at(cg, cg->real, s->from,
                    cg_mul(cg, i ? matmul_min(cg, cg_int(cg, i), last) : cg_int(cg, 0), cg_int(cg, s->stride)));
  LLVMValueRef whole = LLVMBuildAnd(cg->builder, s->length, cg_int(cg, -cg->lanes), "");
  CgLoop l = cg_loop(cg, cg_int(cg, 0), whole, cg->lanes);
  square(cg, s, line, l.index, NULL);
  cg_loop_end(cg, &l);
  if (LLVMIsAConstantInt(s->length) && LLVMConstIntGetZExtValue(s->length) % (unsigned)cg->lanes == 0) return;
  CgIf some = cg_if(cg, LLVMBuildICmp(cg->builder, LLVMIntSLT, whole, s->length, ""));
  square(cg, s, line, whole, cg_mask(cg, LLVMBuildSub(cg->builder, s->length, whole, ""), cg->lanes));
  cg_if_end(cg, &some);
}

/* bk = 1: lines are columns of B, squares follow k. */
static void pack_columns(Pack *p) {
  Cg *cg = p->cg;
  CgLoop n = cg_loop(cg, cg_int(cg, 0), matmul_min(cg, p->columns, cg_int(cg, p->mm->panel)), cg->lanes);
  Strip s = {.length = p->steps, .stride = p->bn, .next = p->mm->panel, .between = p->mm->panel};
  s.from = cg_at(cg, cg->real, p->from, cg_mul(cg, n.index, cg_int(cg, p->bn)));
  s.count = LLVMBuildSub(cg->builder, p->columns, n.index, "");
  s.to = cg_at(cg, cg->real, p->to, n.index);
  transpose_strip(cg, &s);
  cg_loop_end(cg, &n);
}

/* Any strides: one element after the other. */
static void pack_elements(Pack *p) {
  Cg *cg = p->cg;
  LLVMValueRef zero = cg_int(cg, 0);
  CgLoop k = cg_loop(cg, zero, p->steps, 1);
  CgLoop n = cg_loop(cg, zero, matmul_min(cg, p->columns, cg_int(cg, p->mm->panel)), 1);
  LLVMValueRef from = cg_add(cg, cg_mul(cg, k.index, cg_int(cg, p->bk)), cg_mul(cg, n.index, cg_int(cg, p->bn)));
  LLVMValueRef to = cg_add(cg, cg_mul(cg, k.index, cg_int(cg, p->mm->panel)), n.index);
  LLVMValueRef x = cg_load(cg, cg->real, cg_at(cg, cg->real, p->from, from), 1, NULL);
  cg_store(cg, x, cg_at(cg, cg->real, p->to, to), NULL);
  cg_loop_end(cg, &n);
  cg_loop_end(cg, &k);
}

/* DOT: B [k][n] with bn = 1 to [n][kpad]; lines are rows of B, of which n is at most one vector. */
static void pack_dot(Pack *p) {
  Cg *cg = p->cg;
  CgLoop k = cg_loop(cg, cg_int(cg, 0), p->steps, cg->lanes);
  LLVMValueRef v[64], mask = cg_mask(cg, p->columns, cg->lanes);
  LLVMValueRef last = LLVMBuildSub(cg->builder, p->steps, cg_int(cg, 1), "");
  for (int i = 0; i < cg->lanes; i++) {
    LLVMValueRef row = matmul_min(cg, cg_add(cg, k.index, cg_int(cg, i)), last);
    v[i] = cg_load(cg, cg->real, cg_at(cg, cg->real, p->from, cg_mul(cg, row, cg_int(cg, p->bk))), cg->lanes, mask);
  }
  matmul_transpose(cg, v, cg->lanes);
  LLVMValueRef to = cg_at(cg, cg->real, p->to, k.index);
  for (int i = 0; i < cg->lanes; i++)
    cg_store(cg, v[i], cg_at(cg, cg->real, to, cg_int(cg, i * p->mm->kpad)), NULL);
  cg_loop_end(cg, &k);
}

LLVMValueRef matmul_panel_room(Cg *cg, const Matmul *mm) {
  LLVMTypeRef type = LLVMArrayType2(cg->real, (uint64_t)(mm->kpad * mm->panel));
  LLVMValueRef room = LLVMBuildAlloca(cg->builder, type, "panel");
  LLVMSetAlignment(room, 64);
  return room;
}

void matmul_pack(Cg *cg, const Matmul *mm, LLVMValueRef b, LLVMValueRef k0, LLVMValueRef steps, LLVMValueRef column,
                 LLVMValueRef end, LLVMValueRef to) {
  Pack p = {.cg = cg, .mm = mm, .to = to, .steps = steps};
  p.bk = mm->s.b.stride[mm->s.nbatch];
  p.bn = mm->s.b.stride[mm->s.nbatch + 1];
  p.columns = LLVMBuildSub(cg->builder, end, column, "");
  p.from = cg_at(cg, cg->real, b, cg_add(cg, cg_mul(cg, k0, cg_int(cg, p.bk)), cg_mul(cg, column, cg_int(cg, p.bn))));
  if (mm->form == FORM_DOT) pack_dot(&p);
  else if (p.bn == 1) pack_rows(&p);
  else if (p.bk == 1) pack_columns(&p);
  else pack_elements(&p);
}
