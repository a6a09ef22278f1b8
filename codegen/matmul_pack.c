/* Copies a panel of B, so that the product reads it from one place in order. B with bn = 1 goes row
 * by row; with bk = 1, in small squares transposed in registers; with other strides, element by
 * element. */
#include "codegen/matmul.h"

#include "codegen/body.h"

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
    mask[v] =
        cg_mask(cg, LLVMBuildSub(cg->builder, p->columns, cg_int(cg, (int64_t)v * cg->lanes), ""),
                cg->lanes);
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
  LLVMValueRef whole =
      LLVMBuildICmp(cg->builder, LLVMIntSGE, p->columns, cg_int(cg, p->mm->panel), "");
  CgIf yes = cg_if(cg, whole);
  copy_rows(p, false);
  cg_if_end(cg, &yes);
  CgIf no = cg_if(cg, LLVMBuildNot(cg->builder, whole, ""));
  copy_rows(p, true);
  cg_if_end(cg, &no);
}

/* A group of lines from `first` of the source, a vector long from `at`; lines past the last are the
 * last again. */
static void load_group(Pack *p, LLVMValueRef first, LLVMValueRef count, int64_t stride,
                       LLVMValueRef at, LLVMValueRef mask, LLVMValueRef *v) {
  Cg *cg = p->cg;
  LLVMValueRef last = LLVMBuildSub(cg->builder, count, cg_int(cg, 1), "");
  for (int i = 0; i < view_group(cg); i++) {
    LLVMValueRef line = cg_min(cg, cg_add(cg, first, cg_int(cg, i)), last);
    LLVMValueRef base = cg_at(cg, cg->real, p->from, cg_mul(cg, line, cg_int(cg, stride)));
    v[i] = cg_load(cg, cg->real, cg_at(cg, cg->real, base, at), cg->lanes, mask);
  }
}

/* bk = 1: lines are columns of B. A vector's worth of rows of the panel, which L1 holds, is
 * finished at a time. */
static void pack_columns(Pack *p) {
  Cg *cg = p->cg;
  LLVMValueRef v[4], zero = cg_int(cg, 0);
  CgLoop k = cg_loop(cg, zero, p->steps, cg->lanes);
  LLVMValueRef mask = cg_mask(cg, LLVMBuildSub(cg->builder, p->steps, k.index, ""), cg->lanes);
  CgLoop n = cg_loop(cg, zero, cg_min(cg, p->columns, cg_int(cg, p->mm->panel)), view_group(cg));
  load_group(p, n.index, p->columns, p->bn, k.index, mask, v);
  LLVMValueRef at = cg_add(cg, cg_mul(cg, k.index, cg_int(cg, p->mm->panel)), n.index);
  matmul_turn(cg, v, cg_at(cg, cg->real, p->to, at), p->mm->panel);
  cg_loop_end(cg, &n);
  cg_loop_end(cg, &k);
}

/* Any strides: one element after the other. */
static void pack_elements(Pack *p) {
  Cg *cg = p->cg;
  LLVMValueRef zero = cg_int(cg, 0);
  CgLoop k = cg_loop(cg, zero, p->steps, 1);
  CgLoop n = cg_loop(cg, zero, cg_min(cg, p->columns, cg_int(cg, p->mm->panel)), 1);
  LLVMValueRef from =
      cg_add(cg, cg_mul(cg, k.index, cg_int(cg, p->bk)), cg_mul(cg, n.index, cg_int(cg, p->bn)));
  LLVMValueRef to = cg_add(cg, cg_mul(cg, k.index, cg_int(cg, p->mm->panel)), n.index);
  LLVMValueRef x = cg_load(cg, cg->real, cg_at(cg, cg->real, p->from, from), 1, NULL);
  cg_store(cg, x, cg_at(cg, cg->real, p->to, to), NULL);
  cg_loop_end(cg, &n);
  cg_loop_end(cg, &k);
}

/* DOT: B [k][n] with bn = 1 to [n][kpad]; lines are rows of B, of which n is at most one vector. */
static void pack_dot(Pack *p) {
  Cg *cg = p->cg;
  LLVMValueRef v[4], zero = cg_int(cg, 0), mask = cg_mask(cg, p->columns, cg->lanes);
  CgLoop k = cg_loop(cg, zero, p->steps, view_group(cg));
  load_group(p, k.index, p->steps, p->bk, zero, mask, v);
  matmul_turn(cg, v, cg_at(cg, cg->real, p->to, k.index), p->mm->kpad);
  cg_loop_end(cg, &k);
}

LLVMValueRef matmul_panel_room(Cg *cg, const Matmul *mm) {
  LLVMTypeRef type = LLVMArrayType2(cg->real, (uint64_t)(mm->kpad * mm->panel));
  LLVMValueRef room = LLVMBuildAlloca(cg->builder, type, "panel");
  LLVMSetAlignment(room, 64);
  return room;
}

enum { PACK_FROM, PACK_TO, PACK_STEPS, PACK_COLUMNS, PACK_ARGS };

static LLVMValueRef emit_pack(Cg *cg, const Matmul *mm) {
  MatmulHelper h =
      matmul_helper(cg, "pack", PACK_ARGS, (LLVMTypeRef[]){cg->ptr, cg->ptr, cg->i64, cg->i64});
  Pack p = {.cg = cg,
            .mm = mm,
            .from = LLVMGetParam(h.function, PACK_FROM),
            .to = LLVMGetParam(h.function, PACK_TO)};
  p.steps = LLVMGetParam(h.function, PACK_STEPS);
  p.columns = LLVMGetParam(h.function, PACK_COLUMNS);
  p.bk = mm->s.b.stride[mm->s.nbatch];
  p.bn = mm->s.b.stride[mm->s.nbatch + 1];
  if (mm->form == FORM_DOT)
    pack_dot(&p);
  else if (p.bn == 1)
    pack_rows(&p);
  else if (p.bk == 1)
    pack_columns(&p);
  else
    pack_elements(&p);
  matmul_helper_end(cg, &h);
  return h.function;
}

void matmul_pack(Cg *cg, const Matmul *mm, LLVMValueRef *function, LLVMValueRef b, LLVMValueRef k0,
                 LLVMValueRef steps, LLVMValueRef column, LLVMValueRef end, LLVMValueRef to) {
  const int64_t *stride = &mm->s.b.stride[mm->s.nbatch];
  LLVMValueRef args[PACK_ARGS] = {NULL, to, steps, LLVMBuildSub(cg->builder, end, column, "")};
  LLVMValueRef at =
      cg_add(cg, cg_mul(cg, k0, cg_int(cg, stride[0])), cg_mul(cg, column, cg_int(cg, stride[1])));
  args[PACK_FROM] = cg_at(cg, cg->real, b, at);
  if (!*function) *function = emit_pack(cg, mm);
  matmul_helper_call(cg, *function, PACK_ARGS, args);
}
