/* What pooling does at one window. The largest is the first NaN, else the first of the largest
 * values. */
#include "codegen/pool.h"

enum {
  BEST,
  WHERE,
  TAKEN = WHERE
}; /* states: the largest so far, and its tap's number or what is taken there */

static LLVMTypeRef number_type(const Pool *p) {
  return p->cg->real_bytes == 8 ? p->cg->i64 : p->cg->i32;
}

static LLVMValueRef number_vector(Pool *p, LLVMValueRef number) {
  return cg_splat(p->cg, LLVMBuildTruncOrBitCast(p->cg->builder, number, number_type(p), ""),
                  p->lanes);
}

/* Where x takes the place of best: it is larger or NaN, and best is not NaN. */
static LLVMValueRef beats(Pool *p, LLVMValueRef x, LLVMValueRef best) {
  LLVMBuilderRef b = p->cg->builder;
  LLVMValueRef more = LLVMBuildFCmp(b, LLVMRealUGT, x, best, ""),
               valid = LLVMBuildFCmp(b, LLVMRealORD, best, best, "");
  return LLVMBuildAnd(b, more, valid, "");
}

static void update(Pool *p, int j, LLVMValueRef x, LLVMValueRef second) {
  LLVMValueRef wins = beats(p, x, p->state[BEST][j]);
  p->state[BEST][j] = LLVMBuildSelect(p->cg->builder, wins, x, p->state[BEST][j], "");
  p->state[WHERE][j] = LLVMBuildSelect(p->cg->builder, wins, second, p->state[WHERE][j], "");
}

/* The value alone: one max, which keeps a NaN of the best, and a NaN of x put in. */
static void tap_max(Pool *p, LLVMValueRef h, LLVMValueRef w, LLVMValueRef number) {
  (void)number;
  LLVMBuilderRef b = p->cg->builder;
  for (int j = 0; j < p->vectors; j++) {
    LLVMValueRef x = pool_load(p, &p->spec->x, h, w, j), *best = &p->state[BEST][j];
    *best = LLVMBuildSelect(b, LLVMBuildFCmp(b, LLVMRealOGT, x, *best, ""), x, *best, "");
    *best = LLVMBuildSelect(b, LLVMBuildFCmp(b, LLVMRealUNO, x, x, ""), x, *best, "");
  }
}

static void tap_take(Pool *p, LLVMValueRef h, LLVMValueRef w, LLVMValueRef number) {
  (void)number;
  for (int j = 0; j < p->vectors; j++)
    update(p, j, pool_load(p, &p->spec->x, h, w, j), pool_load(p, &p->spec->dy, h, w, j));
}

static void tap_where(Pool *p, LLVMValueRef h, LLVMValueRef w, LLVMValueRef number) {
  for (int j = 0; j < p->vectors; j++)
    update(p, j, pool_load(p, &p->spec->x, h, w, j), number_vector(p, number));
}

/* The states as of the window's first tap, which may be seen again without change. */
static void start_max(Pool *p, int states) {
  p->states = states;
  for (int j = 0; j < p->vectors; j++) {
    LLVMValueRef h = p->axis[0].start, w = p->axis[1].start;
    p->state[BEST][j] = pool_load(p, &p->spec->x, h, w, j);
    p->state[WHERE][j] = p->spec->kind == POOL_MAX_TAKE ? pool_load(p, &p->spec->dy, h, w, j)
                                                        : number_vector(p, cg_int(p->cg, 0));
  }
}

static void store_state(Pool *p, int state) {
  for (int j = 0; j < p->vectors; j++)
    pool_store(p, &p->spec->y, p->axis[0].o, p->axis[1].o, j, p->state[state][j]);
}

void pool_max(Pool *p) {
  bool take = p->spec->kind == POOL_MAX_TAKE;
  start_max(p, take ? 2 : 1);
  pool_taps(p, take ? tap_take : tap_max);
  store_state(p, take ? TAKEN : BEST);
}

/* dx at a tap: the state after BEST and WHERE is dy of the window. */
static void tap_put(Pool *p, LLVMValueRef h, LLVMValueRef w, LLVMValueRef number) {
  LLVMBuilderRef b = p->cg->builder;
  for (int j = 0; j < p->vectors; j++) {
    LLVMValueRef here =
        LLVMBuildICmp(b, LLVMIntEQ, p->state[WHERE][j], number_vector(p, number), "");
    LLVMValueRef v = LLVMBuildSelect(b, here, p->state[2][j], pool_constant(p, 0), "");
    if (!p->tiles) v = LLVMBuildFAdd(b, pool_load(p, &p->spec->y, h, w, j), v, "");
    pool_store(p, &p->spec->y, h, w, j, v);
  }
}

static void load_dy(Pool *p) {
  for (int j = 0; j < p->vectors; j++)
    p->state[2][j] = pool_load(p, &p->spec->dy, p->axis[0].o, p->axis[1].o, j);
}

void pool_max_put(Pool *p) {
  start_max(p, 2);
  pool_taps(p, tap_where);
  load_dy(p);
  p->states = 0;
  pool_taps(p, tap_put);
}

/* ---- means ---- */

/* Rows are summed apart, so that rounding grows with the sides of a window, not with its area. */
enum { TOTAL, ROW };

static void tap_sum(Pool *p, LLVMValueRef h, LLVMValueRef w, LLVMValueRef number) {
  (void)number;
  for (int j = 0; j < p->vectors; j++)
    p->state[ROW][j] =
        LLVMBuildFAdd(p->cg->builder, p->state[ROW][j], pool_load(p, &p->spec->x, h, w, j), "");
}

static void add_row(Pool *p) {
  for (int j = 0; j < p->vectors; j++) {
    p->state[TOTAL][j] = LLVMBuildFAdd(p->cg->builder, p->state[TOTAL][j], p->state[ROW][j], "");
    p->state[ROW][j] = pool_constant(p, 0);
  }
}

void pool_mean(Pool *p) {
  p->states = 2;
  for (int j = 0; j < p->vectors; j++) p->state[TOTAL][j] = p->state[ROW][j] = pool_constant(p, 0);
  p->row_end = add_row;
  pool_taps(p, tap_sum);
  p->row_end = NULL;
  add_row(p); /* of unrolled taps, which are one row */
  LLVMValueRef divisor = pool_divisor(p);
  for (int j = 0; j < p->vectors; j++)
    p->state[0][j] = LLVMBuildFDiv(p->cg->builder, p->state[0][j], divisor, "");
  store_state(p, 0);
}

static void tap_spread(Pool *p, LLVMValueRef h, LLVMValueRef w, LLVMValueRef number) {
  (void)number;
  for (int j = 0; j < p->vectors; j++) {
    LLVMValueRef v = p->state[2][j];
    if (!p->tiles) v = LLVMBuildFAdd(p->cg->builder, pool_load(p, &p->spec->y, h, w, j), v, "");
    pool_store(p, &p->spec->y, h, w, j, v);
  }
}

void pool_mean_put(Pool *p) {
  load_dy(p);
  LLVMValueRef divisor = pool_divisor(p);
  for (int j = 0; j < p->vectors; j++)
    p->state[2][j] = LLVMBuildFDiv(p->cg->builder, p->state[2][j], divisor, "");
  p->states = 0;
  pool_taps(p, tap_spread);
}
