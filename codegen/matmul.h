/* Inside of kernel_matmul: the plan, and the emitters of its stages.
 *
 * Forms of the product (see matmul_plan.c for which is chosen when):
 *
 * BROADCAST: the register tile of microkernel.h; B has bn = 1, or each panel of its columns is
 * packed first, on the stack, by the first tile that reads it where that is possible.
 *
 * DOT: accumulators run along k and are summed up at the end; A has ak = 1 and B has bk = 1, or is
 * packed.
 *
 * Any product may also be computed as its transpose, C^T = B^T A^T: the specification is then
 * already exchanged, and `turned` says that a finished tile is transposed before it is stored. */
#ifndef DLC_CODEGEN_MATMUL_H
#define DLC_CODEGEN_MATMUL_H

#include "codegen/kernel.h"
#include "codegen/microkernel.h"

typedef enum { FORM_BROADCAST, FORM_DOT } MatmulForm;

typedef struct {
  MatmulSpec s; /* as it is computed */
  /* What becomes of a result: the epilogue, or one made for a C with cn != 1; NULL: stored to c. */
  const PointwiseSpec *store;
  MatmulForm form;
  bool packed;           /* B is read from a copy of kc x panel on the stack */
  bool turned;           /* `store` has n before m in its domain */
  bool partial;          /* sums of a K block wait in scratch */
  int mr, nr;            /* tile: rows, vectors (DOT: rows, columns) */
  int tail_mr, tail_nr;  /* tile of the columns left over; 0: none */
  int64_t m, n, k;       /* extents at the maximum batch */
  int64_t batch;         /* product of the batch dimensions at the maximum batch */
  int64_t kc;            /* K block */
  int64_t rows, columns; /* block of C that a unit computes; columns is a multiple of `panel` */
  int64_t panel;         /* columns of a full tile */
  int64_t kpad;          /* kc rounded up to whole vectors: what a packed panel has room for */
} Matmul;

/* Decides everything. */
void matmul_plan(Cg *cg, const MatmulSpec *spec, Matmul *mm);

Kernel matmul_emit_broadcast(Cg *cg, const Matmul *mm);
Kernel matmul_emit_dot(Cg *cg, const Matmul *mm);

/* ---- shared by the emitters ---- */

int64_t matmul_most(const Cg *cg, Extent e); /* at the maximum batch */
LLVMValueRef matmul_extent(Cg *cg, Extent e, LLVMValueRef n);
/* Blocks of `size` that cover `extent`. */
LLVMValueRef matmul_blocks(Cg *cg, LLVMValueRef extent, int64_t size);

/* One unit: its place in the grid [batch dimensions..., column blocks, row blocks], row blocks
 * innermost. */
typedef struct {
  CgLoop loop;
  LLVMValueRef buffers, m, n, k; /* extents */
  LLVMValueRef batch[3];
  LLVMValueRef row, column; /* block numbers */
} MatmulUnits;
/* Opens the loop over the function's units. */
MatmulUnits matmul_units(Cg *cg, const Matmul *mm, LLVMValueRef function);
void matmul_units_end(Cg *cg, MatmulUnits *u);
/* How many units that is, as a function of the batch: never less than the true number; and the work
 * of one. */
void matmul_count_units(const Cg *cg, const Matmul *mm, Kernel *out);

/* The start of a view at the unit's batch indices. */
LLVMValueRef matmul_base(Cg *cg, const Matmul *mm, const MatmulUnits *u, const View *v);
/* The unit's part of the partial sums. */
LLVMValueRef matmul_partial(Cg *cg, const Matmul *mm, const MatmulUnits *u);

/* Room for a packed panel, in the function's entry: call it first. */
LLVMValueRef matmul_panel_room(Cg *cg, const Matmul *mm);
/* Copies `steps` rows of B from row k0, columns [column, at most column + panel, end), to `to`: as
 * [k][panel], or for DOT as [column][kpad]. What is surplus holds numbers that nobody uses. The
 * code is a function of its own, made on the first call and kept in *function. */
void matmul_pack(Cg *cg, const Matmul *mm, LLVMValueRef *function, LLVMValueRef b, LLVMValueRef k0,
                 LLVMValueRef steps, LLVMValueRef column, LLVMValueRef end, LLVMValueRef to);

/* Puts a tile that lies at `shelf`, rows `vectors` vectors long, to its place in C, of which there
 * are height x width elements; turned if the plan says so. Also a function of its own. */
void matmul_finish(Cg *cg, const Matmul *mm, const MatmulUnits *u, LLVMValueRef *function,
                   LLVMValueRef shelf, int vectors, LLVMValueRef row, LLVMValueRef column,
                   LLVMValueRef height, LLVMValueRef width);

/* A helper function beside the one that is being emitted: the builder is put into it, and back by
 * the end. */
typedef struct {
  LLVMValueRef function;
  LLVMBasicBlockRef back;
} MatmulHelper;
MatmulHelper matmul_helper(Cg *cg, const char *name, int count, LLVMTypeRef *types);
void matmul_helper_end(Cg *cg, const MatmulHelper *h);
void matmul_helper_call(Cg *cg, LLVMValueRef function, int count, LLVMValueRef *args);

/* Transposes view_group(cg) lines of one vector each, a 128-bit register's worth: element j of
 * line i goes to at + j * between + i. v is used up. */
void matmul_turn(Cg *cg, LLVMValueRef *v, LLVMValueRef at, int64_t between);

/* What the epilogue reads there is wanted soon. */
void matmul_prefetch(Cg *cg, const Matmul *mm, const MatmulUnits *u, LLVMValueRef row,
                     LLVMValueRef column);
/* One result vector at (row, column..column + lanes) of C. */
void matmul_put(Cg *cg, const Matmul *mm, const MatmulUnits *u, LLVMValueRef row,
                LLVMValueRef column, int lanes, LLVMValueRef mask, LLVMValueRef value);

#endif
