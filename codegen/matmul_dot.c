/* The product in DOT form: each accumulator is a vector that runs along k, for one row of A and one
 * column of B; at the end a tree of shuffles adds up its lanes. It reads both operands along k,
 * needs no packing when B lies that way (dX = dY W^T, attention scores, one row times a matrix),
 * and does not waste lanes when n is small. The order of every sum is set by k alone. Rows and
 * columns past the end read the last one again and are not stored. */
#include "codegen/matmul.h"

typedef struct {
  Cg *cg;
  const Matmul *mm;
  MatmulUnits u;
  LLVMValueRef a, b, room, shelf; /* shelf: sums on their way out, where there are several rows */
  LLVMValueRef row, column;       /* of the tile */
  LLVMValueRef rows_end, columns_end; /* of the unit */
  LLVMValueRef acc[MICRO_ACCUMULATORS];
} Dot;

/* Addresses of `count` lines from `first`, `stride` apart, none past end - 1. */
static void lines(Dot *d, LLVMValueRef base, LLVMValueRef first, LLVMValueRef end, int count,
                  bool exact, int64_t stride, LLVMValueRef *out) {
  Cg *cg = d->cg;
  LLVMValueRef last = LLVMBuildSub(cg->builder, end, cg_int(cg, 1), "");
  for (int i = 0; i < count; i++) {
    LLVMValueRef at = cg_add(cg, first, cg_int(cg, i));
    if (!exact && i) at = cg_min(cg, at, last);
    out[i] = cg_at(cg, cg->real, base, cg_mul(cg, at, cg_int(cg, stride)));
  }
}

static bool whole_rows(const Matmul *mm) { return !mm->s.m.each && mm->m % mm->mr == 0; }
static bool whole_columns(const Matmul *mm) { return !mm->s.n.each && mm->n % mm->nr == 0; }

/* One vector along k of every row and column. */
static void dot_step(Dot *d, const LLVMValueRef *a, const LLVMValueRef *b, LLVMValueRef k,
                     LLVMValueRef mask) {
  Cg *cg = d->cg;
  const Matmul *mm = d->mm;
  LLVMValueRef x[MICRO_ROWS];
  for (int r = 0; r < mm->mr; r++)
    x[r] = cg_load(cg, cg->real, cg_at(cg, cg->real, a[r], k), cg->lanes, mask);
  for (int c = 0; c < mm->nr; c++) {
    LLVMValueRef y = cg_load(cg, cg->real, cg_at(cg, cg->real, b[c], k), cg->lanes, mask);
    for (int r = 0; r < mm->mr; r++) {
      LLVMValueRef *acc = &d->acc[r * mm->nr + c];
      *acc = cg_fma(cg, x[r], y, *acc);
    }
  }
}

static void dot_sum(Dot *d, const LLVMValueRef *a, const LLVMValueRef *b) {
  Cg *cg = d->cg;
  int count = d->mm->mr * d->mm->nr;
  LLVMValueRef k = d->u.k, whole = LLVMBuildAnd(cg->builder, k, cg_int(cg, -cg->lanes), "");
  for (int i = 0; i < count; i++) d->acc[i] = LLVMConstNull(cg_vector(cg, cg->real, cg->lanes));
  CgLoop l = cg_loop(cg, cg_int(cg, 0), whole, cg->lanes);
  for (int i = 0; i < count; i++) d->acc[i] = cg_carry(cg, &l, d->acc[i]);
  dot_step(d, a, b, l.index, NULL);
  for (int i = 0; i < count; i++) {
    cg_carry_next(&l, l.carried[i], d->acc[i]);
    d->acc[i] = l.carried[i];
  }
  cg_loop_end(cg, &l);
  if (!d->mm->s.k.each && d->mm->k % cg->lanes == 0) return;
  dot_step(d, a, b, whole, cg_mask(cg, LLVMBuildSub(cg->builder, k, whole, ""), cg->lanes));
}

/* ---- adding up lanes ---- */

/* Takes lanes of (x, y): each block of 2h lanes gets h lanes of x and h of y, at offset `from` of
 * their blocks. */
static LLVMValueRef interleave(Cg *cg, LLVMValueRef x, LLVMValueRef y, int h, int from) {
  LLVMValueRef pick[64];
  for (int j = 0; j < cg->lanes; j++) {
    int block = j / (2 * h) * (2 * h), within = j % (2 * h);
    int at = block + from + within % h + (within >= h ? cg->lanes : 0);
    pick[j] = LLVMConstInt(cg->i32, (unsigned long long)at, false);
  }
  return LLVMBuildShuffleVector(cg->builder, x, y, LLVMConstVector(pick, (unsigned)cg->lanes), "");
}

static int power_of_two(int n) {
  int p = 1;
  while (p < n) p *= 2;
  return p;
}

/* The sums of v[0..count) as one vector of power_of_two(count) lanes, a scalar for one. v is used
 * up. */
static LLVMValueRef add_up(Cg *cg, LLVMValueRef *v, int count) {
  int p = power_of_two(count), h = cg->lanes / 2;
  for (int i = count; i < p; i++) v[i] = LLVMConstNull(LLVMTypeOf(v[0]));
  for (int half = p / 2; half >= 1; half /= 2, h /= 2)
    for (int i = 0; i < half; i++)
      v[i] = LLVMBuildFAdd(cg->builder, interleave(cg, v[i], v[i + half], h, 0),
                           interleave(cg, v[i], v[i + half], h, h), "");
  for (; h >= 1; h /= 2)
    v[0] = LLVMBuildFAdd(cg->builder, v[0], interleave(cg, v[0], v[0], h, h), "");
  if (p == 1)
    return LLVMBuildExtractElement(cg->builder, v[0], LLVMConstInt(cg->i32, 0, false), "");
  LLVMValueRef pick[64];
  for (int i = 0; i < p; i++)
    pick[i] = LLVMConstInt(cg->i32, (unsigned long long)(i * (cg->lanes / p)), false);
  return LLVMBuildShuffleVector(cg->builder, v[0], v[0], LLVMConstVector(pick, (unsigned)p), "");
}

/* ---- tiles ---- */

/* Adds up one row's accumulators and puts them. */
static void put_row(Dot *d, LLVMValueRef row, LLVMValueRef *v) {
  Cg *cg = d->cg;
  const Matmul *mm = d->mm;
  int lanes = power_of_two(mm->nr);
  LLVMValueRef mask = NULL, left = LLVMBuildSub(cg->builder, d->columns_end, d->column, "");
  if (!whole_columns(mm))
    mask = cg_mask(cg, cg_min(cg, left, cg_int(cg, mm->nr)), lanes);
  else if (lanes != mm->nr)
    mask = cg_mask(cg, cg_int(cg, mm->nr), lanes);
  matmul_put(cg, mm, &d->u, row, d->column, lanes, mask, add_up(cg, v, mm->nr));
}

static LLVMValueRef shelf_at(Dot *d, LLVMValueRef row, int c) {
  Cg *cg = d->cg;
  LLVMValueRef at = cg_mul(cg, row, cg_int(cg, (int64_t)d->mm->nr * cg->lanes));
  return cg_at(cg, cg->real, d->shelf, cg_add(cg, at, cg_int(cg, (int64_t)c * cg->lanes)));
}

/* Several rows go through memory, so that the tree and the epilogue are emitted once. */
static void put_tile(Dot *d) {
  Cg *cg = d->cg;
  const Matmul *mm = d->mm;
  LLVMValueRef v[64];
  if (mm->mr == 1) {
    put_row(d, d->row, d->acc);
    return;
  }
  for (int i = 0; i < mm->mr * mm->nr; i++)
    cg_store(cg, d->acc[i], shelf_at(d, cg_int(cg, 0), i), NULL);
  LLVMValueRef count = cg_int(cg, mm->mr);
  if (!whole_rows(mm))
    count = cg_min(cg, count, LLVMBuildSub(cg->builder, d->rows_end, d->row, ""));
  CgLoop l = cg_loop(cg, cg_int(cg, 0), count, 1);
  for (int c = 0; c < mm->nr; c++)
    v[c] = cg_load(cg, cg->real, shelf_at(d, l.index, c), cg->lanes, NULL);
  put_row(d, cg_add(cg, d->row, l.index), v);
  cg_loop_end(cg, &l);
}

static void emit_tile(Dot *d) {
  Cg *cg = d->cg;
  const Matmul *mm = d->mm;
  int nb = mm->s.nbatch;
  LLVMValueRef a[MICRO_ROWS], b[MICRO_VECTORS], start = d->column, end = d->columns_end;
  if (mm->packed) {
    LLVMValueRef first = cg_mul(cg, d->u.column, cg_int(cg, mm->columns));
    start = LLVMBuildSub(cg->builder, start, first, "");
    end = LLVMBuildSub(cg->builder, end, first, "");
  }
  lines(d, d->a, d->row, d->rows_end, mm->mr, whole_rows(mm), mm->s.a.stride[nb], a);
  lines(d, mm->packed ? d->room : d->b, start, end, mm->nr, whole_columns(mm),
        mm->packed ? mm->kpad : mm->s.b.stride[nb + 1], b);
  dot_sum(d, a, b);
  put_tile(d);
}

/* A unit's tiles: columns of B outside, which stay in cache while the rows pass. */
static void emit_unit(Dot *d) {
  Cg *cg = d->cg;
  const Matmul *mm = d->mm;
  LLVMValueRef m0 = cg_mul(cg, d->u.row, cg_int(cg, mm->rows)),
               n0 = cg_mul(cg, d->u.column, cg_int(cg, mm->columns));
  d->rows_end = cg_min(cg, cg_add(cg, m0, cg_int(cg, mm->rows)), d->u.m);
  d->columns_end = cg_min(cg, cg_add(cg, n0, cg_int(cg, mm->columns)), d->u.n);
  LLVMValueRef pack = NULL;
  if (mm->packed)
    matmul_pack(cg, mm, &pack, d->b, cg_int(cg, 0), d->u.k, n0, d->columns_end, d->room);
  CgLoop columns = cg_loop(cg, n0, d->columns_end, mm->nr);
  d->column = columns.index;
  CgLoop rows = cg_loop(cg, m0, d->rows_end, mm->mr);
  d->row = rows.index;
  emit_tile(d);
  cg_loop_end(cg, &rows);
  cg_loop_end(cg, &columns);
}

Kernel matmul_emit_dot(Cg *cg, const Matmul *mm) {
  Kernel out = {.function = cg_function(cg, "dot")};
  Dot d = {.cg = cg, .mm = mm};
  if (mm->packed) d.room = matmul_panel_room(cg, mm);
  if (mm->mr > 1) {
    LLVMTypeRef type = LLVMArrayType2(cg->real, (uint64_t)(mm->mr * mm->nr * cg->lanes));
    d.shelf = LLVMBuildAlloca(cg->builder, type, "shelf");
    LLVMSetAlignment(d.shelf, 64);
  }
  d.u = matmul_units(cg, mm, out.function);
  d.a = matmul_base(cg, mm, &d.u, &mm->s.a);
  d.b = matmul_base(cg, mm, &d.u, &mm->s.b);
  emit_unit(&d);
  matmul_units_end(cg, &d.u);
  matmul_count_units(cg, mm, &out);
  return out;
}
