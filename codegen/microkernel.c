/* See microkernel.h. A step of the inner loop loads `vectors` vectors of B, then for each row broadcasts one scalar
 * of A into `vectors` multiply-adds. Two pointers move through the loop; everything else is a displacement. */
#include "codegen/microkernel.h"

#include <assert.h>

static int micro_lanes(const Cg *cg, const Micro *m) { return m->lanes ? m->lanes : cg->lanes; }

static LLVMTypeRef micro_vector(Cg *cg, const Micro *m) { return cg_vector(cg, cg->real, micro_lanes(cg, m)); }

bool micro_fits(const Cg *cg, int rows, int vectors) {
  int temporary = cg->fma ? 1 : 2; /* the broadcast, and the product where it is not fused */
  return rows >= 1 && rows <= MICRO_ROWS && vectors >= 1 && vectors <= MICRO_VECTORS &&
         rows * vectors <= MICRO_ACCUMULATORS && rows * vectors + vectors + temporary <= cg->registers;
}

static LLVMValueRef column_mask(const Micro *m, int v) { return v == m->vectors - 1 ? m->mask : NULL; }

void micro_zero(Cg *cg, Micro *m) {
  LLVMValueRef zero = LLVMConstNull(micro_vector(cg, m));
  for (int i = 0; i < m->rows * m->vectors; i++) m->acc[i] = zero;
}

/* The address of accumulator (r, v) in a C whose rows start at c + row_offset[r]. */
static LLVMValueRef c_address(Cg *cg, const Micro *m, LLVMValueRef c, const LLVMValueRef *row_offset, int r, int v) {
  return cg_at(cg, cg->real, cg_at(cg, cg->real, c, row_offset[r]), cg_int(cg, (int64_t)v * micro_lanes(cg, m)));
}

void micro_load(Cg *cg, Micro *m, LLVMValueRef c, const LLVMValueRef *row_offset) {
  for (int r = 0; r < m->rows; r++)
    for (int v = 0; v < m->vectors; v++)
      m->acc[r * m->vectors + v] =
        cg_load(cg, cg->real, c_address(cg, m, c, row_offset, r, v), micro_lanes(cg, m), column_mask(m, v));
}

void micro_store(Cg *cg, const Micro *m, LLVMValueRef c, const LLVMValueRef *row_offset) {
  for (int r = 0; r < m->rows; r++)
    for (int v = 0; v < m->vectors; v++)
      cg_store(cg, m->acc[r * m->vectors + v], c_address(cg, m, c, row_offset, r, v), column_mask(m, v));
}

void micro_each(Cg *cg, const Micro *m, MicroUse *use, void *user) {
  for (int r = 0; r < m->rows; r++)
    for (int v = 0; v < m->vectors; v++)
      use(cg, user, r, v * micro_lanes(cg, m), column_mask(m, v), m->acc[r * m->vectors + v]);
}

CgLoop micro_loop(Cg *cg, Micro *m, LLVMValueRef begin, LLVMValueRef end, int64_t step) {
  CgLoop l = cg_loop(cg, begin, end, step);
  for (int i = 0; i < m->rows * m->vectors; i++) m->acc[i] = cg_carry(cg, &l, m->acc[i]);
  return l;
}

/* The accumulators were the first values carried, in order. */
void micro_loop_end(Cg *cg, Micro *m, CgLoop *l) {
  for (int i = 0; i < m->rows * m->vectors; i++) {
    cg_carry_next(l, l->carried[i], m->acc[i]);
    m->acc[i] = l->carried[i];
  }
  cg_loop_end(cg, l);
}

/* One step at constant distance `i` from the pointers. */
static void run_step(Cg *cg, Micro *m, const MicroTap *t, LLVMValueRef a, LLVMValueRef b, int64_t i) {
  LLVMValueRef column[MICRO_VECTORS];
  int lanes = micro_lanes(cg, m);
  for (int v = 0; v < m->vectors; v++) {
    LLVMValueRef at = cg_at(cg, cg->real, b, cg_int(cg, i * m->bk + (int64_t)v * lanes));
    column[v] = cg_load(cg, cg->real, at, lanes, column_mask(m, v));
  }
  for (int r = 0; r < m->rows; r++) {
    if (t->skip >> r & 1) continue;
    LLVMValueRef at = cg_at(cg, cg->real, cg_at(cg, cg->real, a, m->row[r]), cg_int(cg, i * m->ak));
    LLVMValueRef scalar = cg_splat(cg, cg_load(cg, cg->real, at, 1, NULL), lanes);
    LLVMValueRef *acc = &m->acc[r * m->vectors];
    for (int v = 0; v < m->vectors; v++) acc[v] = cg_fma(cg, scalar, column[v], acc[v]);
  }
}

/* `steps` turns of `unroll` steps each; the pointers move on and are left behind the last one. */
static void run_loop(Cg *cg, Micro *m, const MicroTap *t, LLVMValueRef *a, LLVMValueRef *b, LLVMValueRef steps,
                     int unroll) {
  CgLoop l = micro_loop(cg, m, cg_int(cg, 0), steps, unroll);
  LLVMValueRef pa = cg_carry(cg, &l, *a), pb = cg_carry(cg, &l, *b);
  for (int i = 0; i < unroll; i++) run_step(cg, m, t, pa, pb, i);
  cg_carry_next(&l, pa, cg_at(cg, cg->real, pa, cg_int(cg, unroll * m->ak)));
  cg_carry_next(&l, pb, cg_at(cg, cg->real, pb, cg_int(cg, unroll * m->bk)));
  micro_loop_end(cg, m, &l);
  *a = pa;
  *b = pb;
}

static void run_tap(Cg *cg, Micro *m, const MicroTap *t) {
  LLVMValueRef a = t->a ? cg_at(cg, cg->real, m->a, t->a) : m->a;
  LLVMValueRef b = t->b ? cg_at(cg, cg->real, m->b, t->b) : m->b;
  if (!LLVMIsAConstantInt(m->k)) {
    LLVMValueRef most = LLVMBuildAnd(cg->builder, m->k, cg_int(cg, -MICRO_UNROLL), "");
    run_loop(cg, m, t, &a, &b, most, MICRO_UNROLL);
    run_loop(cg, m, t, &a, &b, LLVMBuildSub(cg->builder, m->k, most, ""), 1);
    return;
  }
  int64_t k = LLVMConstIntGetSExtValue(m->k), rest = k;
  if (k > 2 * MICRO_UNROLL) {
    run_loop(cg, m, t, &a, &b, cg_int(cg, k / MICRO_UNROLL * MICRO_UNROLL), MICRO_UNROLL);
    rest = k % MICRO_UNROLL;
  }
  for (int64_t i = 0; i < rest; i++) run_step(cg, m, t, a, b, i);
}

void micro_run(Cg *cg, Micro *m) {
  static const MicroTap origin = {NULL, NULL, 0};
  assert(m->rows * m->vectors <= MICRO_ACCUMULATORS);
  if (!m->ntaps) run_tap(cg, m, &origin);
  for (int i = 0; i < m->ntaps; i++) run_tap(cg, m, &m->tap[i]);
}
