/* Copies B into scratch, as panels [panel][kpad][panel columns] for the BROADCAST form. A unit is one panel of one
 * batch element. Surplus columns of the last panel and surplus rows of kpad hold numbers that nobody uses, but are
 * always finite reads: of the nearest element that exists, or zero. For the DOT form B becomes [n][kpad], zero past
 * k; a unit is a vector's worth of columns. */
#include "codegen/matmul.h"

typedef struct {
  Cg *cg;
  const Matmul *mm;
  MatmulUnits u;
  LLVMValueRef from, to, column;
  int64_t bk, bn;
} Pack;

/* Rows as they are: k after k, `vectors` vectors each, masked in the last panel. */
static void copy_rows(Pack *p, bool masked) {
  Cg *cg = p->cg;
  int vectors = (int)(p->mm->panel / cg->lanes);
  LLVMValueRef left = LLVMBuildSub(cg->builder, p->u.n, p->column, ""), mask[MICRO_VECTORS] = {0};
  for (int v = 0; v < vectors && masked; v++)
    mask[v] = cg_mask(cg, LLVMBuildSub(cg->builder, left, cg_int(cg, (int64_t)v * cg->lanes), ""), cg->lanes);
  CgLoop l = cg_loop(cg, cg_int(cg, 0), p->u.k, 1);
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
  LLVMValueRef whole = LLVMBuildICmp(
    cg->builder, LLVMIntSLE, LLVMBuildAdd(cg->builder, p->column, cg_int(cg, p->mm->panel), ""), p->u.n, "");
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
  LLVMValueRef columns = LLVMBuildSub(cg->builder, p->u.n, p->column, "");
  CgLoop k = cg_loop(cg, zero, p->u.k, cg->lanes);
  LLVMValueRef end = matmul_min(cg, columns, cg_int(cg, p->mm->panel));
  CgLoop n = cg_loop(cg, zero, end, cg->lanes);
  load_square(cg, p->from, p->bn, n.index, columns, k.index, p->u.k, square);
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
  LLVMValueRef zero = cg_int(cg, 0), columns = LLVMBuildSub(cg->builder, p->u.n, p->column, "");
  CgLoop k = cg_loop(cg, zero, p->u.k, 1);
  CgLoop n = cg_loop(cg, zero, matmul_min(cg, columns, cg_int(cg, p->mm->panel)), 1);
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
  CgLoop k = cg_loop(cg, cg_int(cg, 0), p->u.k, cg->lanes);
  LLVMValueRef columns = LLVMBuildSub(cg->builder, p->u.n, p->column, "");
  load_square(cg, p->from, p->bk, k.index, p->u.k, cg_int(cg, 0), columns, square);
  matmul_transpose(cg, square, cg->lanes);
  LLVMValueRef to = cg_at(cg, cg->real, p->to, k.index);
  for (int i = 0; i < cg->lanes; i++)
    cg_store(cg, square[i], cg_at(cg, cg->real, to, cg_int(cg, i * p->mm->kpad)), NULL);
  cg_loop_end(cg, &k);
}

/* B's own batch dimensions only: a matrix that all share is packed once. */
static Matmul pack_problem(const Matmul *mm) {
  Matmul out = *mm;
  for (int i = 0; i < mm->s.nbatch; i++)
    if (!matmul_b_varies(mm, i)) out.s.batch[i] = (Extent){0, 1};
  out.s.m = (Extent){0, 1};
  return out;
}

Kernel matmul_emit_pack(Cg *cg, const Matmul *mm) {
  Matmul alone = pack_problem(mm);
  Kernel out = {.function = cg_function(cg, "pack")};
  Pack p = {.cg = cg, .mm = mm, .u = matmul_units(cg, &alone, out.function, 1, mm->panel)};
  p.bk = mm->s.b.stride[mm->s.nbatch];
  p.bn = mm->s.b.stride[mm->s.nbatch + 1];
  p.column = cg_mul(cg, p.u.column, cg_int(cg, mm->panel));
  p.from = cg_at(cg, cg->real, matmul_base(cg, mm, &p.u, &mm->s.b), cg_mul(cg, p.column, cg_int(cg, p.bn)));
  p.to = cg_at(cg, cg->real, matmul_packed(cg, mm, &p.u), cg_mul(cg, p.column, cg_int(cg, mm->kpad)));
  if (mm->form == FORM_DOT) pack_dot(&p);
  else if (p.bn == 1) pack_rows(&p);
  else if (p.bk == 1) pack_squares(&p);
  else pack_elements(&p);
  matmul_units_end(cg, &p.u);
  matmul_count_units(&alone, 1, mm->panel, &out);
  out.work = 0.15 * (double)mm->panel * (double)mm->k * (p.bn == 1 ? 1 : p.bk == 1 ? 2 : 8);
  return out;
}
