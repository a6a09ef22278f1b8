/* How a finished tile leaves by way of memory: one function for all tiles of a product, so that an
 * epilogue that is long, or a transposition, is emitted once and not for every vector of every kind
 * of tile. */
#include "codegen/matmul.h"

#include "codegen/body.h"

enum { BUFFERS, SHELF, STRIDE, ROW, COLUMN, HEIGHT, WIDTH, BATCH, ARGS = BATCH + 3 };

typedef struct {
  Cg *cg;
  const Matmul *mm;
  MatmulUnits u; /* buffers and batch */
  LLVMValueRef arg[ARGS];
} Finish;

/* ---- rows as they are ---- */

/* Asks for what the epilogue reads of the next tile, parameters and their moments say, to come
 * while that tile is summed. */
static void put_at(Finish *f, LLVMValueRef r, LLVMValueRef c, LLVMValueRef mask) {
  Cg *cg = f->cg;
  LLVMValueRef at = cg_add(cg, cg_mul(cg, r, f->arg[STRIDE]), c);
  LLVMValueRef x = cg_load(cg, cg->real, cg_at(cg, cg->real, f->arg[SHELF], at), cg->lanes, NULL);
  LLVMValueRef row = cg_add(cg, f->arg[ROW], r), column = cg_add(cg, f->arg[COLUMN], c);
  matmul_prefetch(cg, f->mm, &f->u, cg_add(cg, row, cg_int(cg, f->mm->mr)), column);
  matmul_put(cg, f->mm, &f->u, row, column, cg->lanes, mask, x);
}

static void finish_rows(Finish *f) {
  Cg *cg = f->cg;
  LLVMValueRef zero = cg_int(cg, 0),
               whole = LLVMBuildAnd(cg->builder, f->arg[WIDTH], cg_int(cg, -cg->lanes), "");
  CgLoop rows = cg_loop(cg, zero, f->arg[HEIGHT], 1);
  CgLoop columns = cg_loop(cg, zero, whole, cg->lanes);
  put_at(f, rows.index, columns.index, NULL);
  cg_loop_end(cg, &columns);
  CgIf some = cg_if(cg, LLVMBuildICmp(cg->builder, LLVMIntSLT, whole, f->arg[WIDTH], ""));
  put_at(f, rows.index, whole,
         cg_mask(cg, LLVMBuildSub(cg->builder, f->arg[WIDTH], whole, ""), cg->lanes));
  cg_if_end(cg, &some);
  cg_loop_end(cg, &rows);
}

/* ---- turned: columns of the tile are rows of C ---- */

/* Transposes the square at column c of the tile into `square`. Lines past the height hold nothing
 * that is used. */
static void turn_square(Finish *f, LLVMValueRef c, LLVMValueRef square) {
  Cg *cg = f->cg;
  int group = view_group(cg);
  CgLoop rows = cg_loop(cg, cg_int(cg, 0), f->arg[HEIGHT], group);
  LLVMValueRef v[4];
  for (int r = 0; r < group; r++) {
    LLVMValueRef at =
        cg_add(cg, cg_mul(cg, f->arg[STRIDE], cg_add(cg, rows.index, cg_int(cg, r))), c);
    v[r] = cg_load(cg, cg->real, cg_at(cg, cg->real, f->arg[SHELF], at), cg->lanes, NULL);
  }
  matmul_turn(cg, v, cg_at(cg, cg->real, square, rows.index), cg->lanes);
  cg_loop_end(cg, &rows);
}

static void finish_turned(Finish *f) {
  Cg *cg = f->cg;
  LLVMTypeRef type = LLVMArrayType2(cg->real, (uint64_t)(cg->lanes * cg->lanes));
  LLVMValueRef square = LLVMBuildAlloca(cg->builder, type, "square"), zero = cg_int(cg, 0);
  LLVMSetAlignment(square, 64);
  LLVMValueRef mask = cg_mask(cg, f->arg[HEIGHT], cg->lanes);
  CgLoop columns = cg_loop(cg, zero, f->arg[WIDTH], cg->lanes);
  turn_square(f, columns.index, square);
  LLVMValueRef left = LLVMBuildSub(cg->builder, f->arg[WIDTH], columns.index, "");
  CgLoop lines = cg_loop(cg, zero, cg_min(cg, left, cg_int(cg, cg->lanes)), 1);
  LLVMValueRef at = cg_at(cg, cg->real, square, cg_mul(cg, lines.index, cg_int(cg, cg->lanes)));
  LLVMValueRef row = cg_add(cg, cg_add(cg, f->arg[COLUMN], columns.index), lines.index);
  matmul_put(cg, f->mm, &f->u, row, f->arg[ROW], cg->lanes, mask,
             cg_load(cg, cg->real, at, cg->lanes, NULL));
  cg_loop_end(cg, &lines);
  cg_loop_end(cg, &columns);
}

/* ---- the function ---- */

static LLVMValueRef emit_finish(Cg *cg, const Matmul *mm) {
  LLVMTypeRef types[ARGS];
  for (int i = 0; i < ARGS; i++) types[i] = i <= SHELF ? cg->ptr : cg->i64;
  MatmulHelper h = matmul_helper(cg, "finish", ARGS, types);
  Finish f = {.cg = cg, .mm = mm};
  for (unsigned i = 0; i < ARGS; i++) f.arg[i] = LLVMGetParam(h.function, i);
  f.u.buffers = f.arg[BUFFERS];
  for (int i = 0; i < mm->s.nbatch; i++) f.u.batch[i] = f.arg[BATCH + i];
  if (mm->turned)
    finish_turned(&f);
  else
    finish_rows(&f);
  matmul_helper_end(cg, &h);
  return h.function;
}

void matmul_finish(Cg *cg, const Matmul *mm, const MatmulUnits *u, LLVMValueRef *function,
                   LLVMValueRef shelf, int vectors, LLVMValueRef row, LLVMValueRef column,
                   LLVMValueRef height, LLVMValueRef width) {
  LLVMValueRef args[ARGS] = {
      u->buffers, shelf, cg_int(cg, (int64_t)vectors * cg->lanes), row, column, height, width};
  for (int i = 0; i < 3; i++) args[BATCH + i] = i < mm->s.nbatch ? u->batch[i] : cg_int(cg, 0);
  if (!*function) *function = emit_finish(cg, mm);
  matmul_helper_call(cg, *function, ARGS, args);
}
