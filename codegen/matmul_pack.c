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

/* Loads `lanes` rows of the source from row y, `lanes` long from x, of at most ny rows and nx columns; rows past the
 * end are the last one again, columns past the end zero. */
static void load_square(Cg *cg, LLVMValueRef base, int64_t stride, LLVMValueRef y, LLVMValueRef ny, LLVMValueRef x,
                        LLVMValueRef nx, LLVMValueRef *v) {
  LLVMValueRef mask = cg_mask(cg, LLVMBuildSub(cg->builder, nx, x, ""), cg->lanes);
  LLVMValueRef last = LLVMBuildSub(cg->builder, ny, cg_int(cg, 1), "");
  for (int i = 0; i < cg->lanes; i++) {
    LLVMValueRef row = matmul_min(cg, cg_add(cg, y, cg_int(cg, i)), last);
    LLVMValueRef at = cg_add(cg, cg_mul(cg, row, cg_int(cg, stride)), x);
    v[i] = cg_load(cg, cg->real, cg_at(cg, cg->real, base, at), cg->lanes, mask);
  }
}

/* bk = 1: squares of `lanes` columns and `lanes` steps of k are transposed in registers. */
static void pack_squares(Pack *p) {
  Cg *cg = p->cg;
  LLVMValueRef square[64], zero = cg_int(cg, 0);
  CgLoop k = cg_loop(cg, zero, p->steps, cg->lanes);
  LLVMValueRef end = matmul_min(cg, p->columns, cg_int(cg, p->mm->panel));
  CgLoop n = cg_loop(cg, zero, end, cg->lanes);
  load_square(cg, p->from, p->bn, n.index, p->columns, k.index, p->steps, square);
  matmul_transpose(cg, square, cg->lanes);
  LLVMValueRef at = cg_add(cg, cg_mul(cg, k.index, cg_int(cg, p->mm->panel)), n.index);
  LLVMValueRef to = cg_at(cg, cg->real, p->to, at);
  for (int i = 0; i < cg->lanes; i++)
    cg_store(cg, square[i], cg_at(cg, cg->real, to, cg_int(cg, i * p->mm->panel)), NULL);
  cg_loop_end(cg, &n);
  cg_loop_end(cg, &k);
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

/* DOT: B [k][n] with bn = 1 to [n][kpad]. */
static void pack_dot(Pack *p) {
  Cg *cg = p->cg;
  LLVMValueRef square[64];
  CgLoop k = cg_loop(cg, cg_int(cg, 0), p->steps, cg->lanes);
  load_square(cg, p->from, p->bk, k.index, p->steps, cg_int(cg, 0), p->columns, square);
  matmul_transpose(cg, square, cg->lanes);
  LLVMValueRef to = cg_at(cg, cg->real, p->to, k.index);
  for (int i = 0; i < cg->lanes; i++)
    cg_store(cg, square[i], cg_at(cg, cg->real, to, cg_int(cg, i * p->mm->kpad)), NULL);
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
  else if (p.bk == 1) pack_squares(&p);
  else pack_elements(&p);
}
