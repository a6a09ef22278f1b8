/* See microkernel.h. A step of the inner loop loads `vectors` vectors of B, then for each row
 * broadcasts one scalar of A into `vectors` multiply-adds. Pointers move through the loop;
 * everything else is a displacement. */
#include "codegen/microkernel.h"

#include <assert.h>

static int micro_lanes(const Cg *cg, const Micro *m) { return m->lanes ? m->lanes : cg->lanes; }

static LLVMTypeRef micro_vector(Cg *cg, const Micro *m) {
  return cg_vector(cg, cg->real, micro_lanes(cg, m));
}

bool micro_fits(const Cg *cg, int rows, int vectors) {
  int temporary = cg->fma ? 1 : 2; /* the broadcast, and the product where it is not fused */
  return rows >= 1 && rows <= MICRO_ROWS && vectors >= 1 && vectors <= MICRO_VECTORS &&
         rows * vectors <= MICRO_ACCUMULATORS &&
         rows * vectors + vectors + temporary <= cg->registers;
}

static LLVMValueRef column_mask(const Micro *m, int v) {
  return v == m->vectors - 1 ? m->mask : NULL;
}

void micro_zero(Cg *cg, Micro *m) {
  LLVMValueRef zero = LLVMConstNull(micro_vector(cg, m));
  for (int i = 0; i < m->rows * m->vectors; i++) m->acc[i] = zero;
}

/* The address of accumulator (r, v) in a C whose rows start at c + row_offset[r]. */
static LLVMValueRef c_address(Cg *cg, const Micro *m, LLVMValueRef c,
                              const LLVMValueRef *row_offset, int r, int v) {
  return cg_at(cg, cg->real, cg_at(cg, cg->real, c, row_offset[r]),
               cg_int(cg, (int64_t)v * micro_lanes(cg, m)));
}

void micro_load(Cg *cg, Micro *m, LLVMValueRef c, const LLVMValueRef *row_offset) {
  for (int r = 0; r < m->rows; r++)
    for (int v = 0; v < m->vectors; v++)
      m->acc[r * m->vectors + v] = cg_load(cg, cg->real, c_address(cg, m, c, row_offset, r, v),
                                           micro_lanes(cg, m), column_mask(m, v));
}

void micro_store(Cg *cg, const Micro *m, LLVMValueRef c, const LLVMValueRef *row_offset) {
  for (int r = 0; r < m->rows; r++)
    for (int v = 0; v < m->vectors; v++)
      cg_store(cg, m->acc[r * m->vectors + v], c_address(cg, m, c, row_offset, r, v),
               column_mask(m, v));
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

/* Where the inner loop stands. */
typedef struct {
  LLVMValueRef a, b, copy, ahead;
} Cursor;

static LLVMValueRef row_vector(Cg *cg, const Micro *m, LLVMValueRef at, int v) {
  int lanes = micro_lanes(cg, m);
  return cg_load(cg, cg->real, cg_at(cg, cg->real, at, cg_int(cg, (int64_t)v * lanes)), lanes,
                 column_mask(m, v));
}

/* One step at constant distance `i` from the pointers. */
static void run_step(Cg *cg, Micro *m, const MicroTap *t, const Cursor *c, int64_t i) {
  LLVMValueRef column[MICRO_VECTORS], a = c->a;
  int lanes = micro_lanes(cg, m);
  for (int v = 0; v < m->vectors; v++) {
    LLVMValueRef at = cg_at(cg, cg->real, c->b, cg_int(cg, i * m->bk + (int64_t)v * lanes));
    column[v] = cg_load(cg, cg->real, at, lanes, column_mask(m, v));
  }
  for (int v = 0; m->copy && v < m->vectors; v++)
    cg_store(cg, column[v],
             cg_at(cg, cg->real, c->copy, cg_int(cg, i * m->copy_step + (int64_t)v * lanes)), NULL);
  for (int r = 0; r < m->rows; r++) {
    if (t->skip >> r & 1) continue;
    LLVMValueRef at = cg_at(cg, cg->real, cg_at(cg, cg->real, a, m->row[r]), cg_int(cg, i * m->ak));
    LLVMValueRef *acc = &m->acc[r * m->vectors];
    LLVMValueRef scalar =
        m->vector_a ? NULL : cg_splat(cg, cg_load(cg, cg->real, at, 1, NULL), lanes);
    for (int v = 0; v < m->vectors; v++) {
      LLVMValueRef x = scalar ? scalar : row_vector(cg, m, at, v);
      acc[v] = cg_fma(cg, x, column[v], acc[v]);
    }
  }
}

static void prefetch(Cg *cg, LLVMValueRef base, int64_t offset, CgCache cache) {
  cg_prefetch(cg, cg_at(cg, cg->real, base, cg_int(cg, offset)), cache);
}

/* Of A: every row once a turn where rows run along k, every step once where the rows lie together.
 * Of B: each line. */
static void prefetch_turn(Cg *cg, const Micro *m, const Cursor *c, int unroll) {
  bool along = m->ak == 1;
  for (int i = 0; m->prefetch && i < (along ? m->rows : unroll); i++) {
    LLVMValueRef at = cg_at(cg, cg->real, c->a, along ? m->row[i] : m->row[0]);
    prefetch(cg, at, m->prefetch + (along ? 0 : i * m->ak), CG_TO_L1);
  }
  int64_t line = 64 / cg->real_bytes, width = (int64_t)m->vectors * micro_lanes(cg, m);
  for (int i = 0; m->prefetch_b && i < unroll; i++)
    for (int64_t at = 0; at < width; at += line)
      prefetch(cg, c->b, (m->prefetch_b + i) * m->bk + at, CG_TO_L1);
  for (int i = 0; m->ahead && i < m->ahead_lines; i++) prefetch(cg, c->ahead, i * line, CG_TO_L2);
}

static void move(Cg *cg, CgLoop *l, LLVMValueRef phi, int64_t by) {
  cg_carry_next(l, phi, cg_at(cg, cg->real, phi, cg_int(cg, by)));
}

/* `steps` steps, in turns of `unroll`; the cursor moves on and is left behind the last one. */
static void run_loop(Cg *cg, Micro *m, const MicroTap *t, Cursor *c, LLVMValueRef steps,
                     int unroll) {
  CgLoop l = micro_loop(cg, m, cg_int(cg, 0), steps, unroll);
  Cursor at = {cg_carry(cg, &l, c->a), cg_carry(cg, &l, c->b), NULL, NULL};
  if (m->copy) at.copy = cg_carry(cg, &l, c->copy);
  if (m->ahead) at.ahead = cg_carry(cg, &l, c->ahead);
  prefetch_turn(cg, m, &at, unroll);
  for (int i = 0; i < unroll; i++) run_step(cg, m, t, &at, i);
  move(cg, &l, at.a, unroll * m->ak);
  move(cg, &l, at.b, unroll * m->bk);
  if (m->copy) move(cg, &l, at.copy, unroll * m->copy_step);
  if (m->ahead) move(cg, &l, at.ahead, m->ahead_step);
  micro_loop_end(cg, m, &l);
  *c = at;
}

static void run_tap(Cg *cg, Micro *m, const MicroTap *t) {
  Cursor c = {m->a, m->b, m->copy, m->ahead};
  if (t->a) c.a = cg_at(cg, cg->real, c.a, t->a);
  if (t->b) c.b = cg_at(cg, cg->real, c.b, t->b);
  int unroll = m->unroll ? m->unroll : MICRO_UNROLL;
  if (!LLVMIsAConstantInt(m->k)) {
    LLVMValueRef rest = LLVMBuildURem(cg->builder, m->k, cg_int(cg, unroll), "");
    run_loop(cg, m, t, &c, LLVMBuildSub(cg->builder, m->k, rest, ""), unroll);
    if (unroll > 1) run_loop(cg, m, t, &c, rest, 1);
    return;
  }
  int64_t k = LLVMConstIntGetSExtValue(m->k), rest = k;
  if (k > (unroll > 1 ? 2 * unroll : 1)) {
    run_loop(cg, m, t, &c, cg_int(cg, k / unroll * unroll), unroll);
    rest = k % unroll;
  }
  for (int64_t i = 0; i < rest; i++) run_step(cg, m, t, &c, i);
}

void micro_run(Cg *cg, Micro *m) {
  static const MicroTap origin = {NULL, NULL, 0};
  assert(m->rows * m->vectors <= MICRO_ACCUMULATORS);
  if (!m->ntaps) run_tap(cg, m, &origin);
  for (int i = 0; i < m->ntaps; i++) run_tap(cg, m, &m->tap[i]);
}
