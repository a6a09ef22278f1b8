/* The register tile that every product is made of, matrix or convolution:
 *
 *   C[r][v] += sum over taps t and i < k of A[row[r] + t.a + i * ak] * B[t.b + i * bk + v * lanes]
 *
 * where B and C are vectors of `lanes` elements, in `rows` x `vectors` accumulators that live in
 * registers. A is a scalar broadcast straight from memory, at any address; the last vector of B is
 * read under `mask`. Choose rows and vectors with micro_fits, or the compiler spills and speed
 * halves. Offsets are i64 values in elements, constants wherever they are known: constant rows and
 * taps fold into the addresses. Use:
 *
 *   Micro m = {.rows = 6, .vectors = 4, .k = cg_int(cg, 64), .ak = 1, .bk = 256, .mask = NULL};
 *   m.a = pointer to A of the tile; m.b = pointer to B of the tile's first column
 *   for (r) m.row[r] = cg_int(cg, r * row_stride);
 *   micro_zero(cg, &m);  (or micro_load)
 *   micro_run(cg, &m);   (any number of times, with other a, b, taps, k between; each call adds)
 *   micro_store(cg, &m, c, c_row_offsets);  (or micro_each: an epilogue for every accumulator)
 *
 * A loop of the caller's around micro_run must carry the accumulators: micro_loop and
 * micro_loop_end are cg_loop and cg_loop_end that do so.
 *
 * Convolution, forward and backward-data: a tile is consecutive pixels of one image row, so that
 * row[r] is r * stride * IC; a tap is (kh, kw) with a = (kh * width + kw) * IC and b = (kh * KW +
 * kw) * IC * OC; k is IC, ak is 1, bk is OC. A tap that is padding for some pixels names them in
 * `skip`. Backward-weights: rows are input channels, row[r] is r; the inner loop runs over pixels:
 * ak is stride * IC, bk is OC. Products: row[r] is r * am; bk is the row stride of B, or the width
 * of the packed panel. */
#ifndef DLC_CODEGEN_MICROKERNEL_H
#define DLC_CODEGEN_MICROKERNEL_H

#include "codegen/cg.h"

enum { MICRO_ROWS = 16, MICRO_VECTORS = 16, MICRO_ACCUMULATORS = 32, MICRO_UNROLL = 4 };

typedef struct {
  LLVMValueRef a, b; /* element offsets; NULL counts as 0 */
  uint32_t skip;     /* bit r: the tap does not reach row r */
} MicroTap;

typedef struct {
  int rows, vectors;
  LLVMValueRef mask;            /* lanes of the last vector, NULL = all */
  LLVMValueRef a, b;            /* pointers */
  LLVMValueRef row[MICRO_ROWS]; /* element offsets into A */
  int64_t ak, bk;               /* elements per step of the inner loop */
  LLVMValueRef k;               /* its steps, constant or not; 0 is allowed */
  int ntaps;                    /* 0: one tap at offset 0 */
  const MicroTap *tap;
  int lanes;          /* 0: cg->lanes */
  int unroll;         /* steps in one turn of the inner loop; 0: MICRO_UNROLL */
  bool vector_a;      /* A is read as vectors beside B's: channel by channel, not broadcast */
  int64_t prefetch;   /* elements ahead at which A is prefetched; 0: not */
  int64_t prefetch_b; /* steps ahead at which B is; for a B that comes from far and is used once */
  LLVMValueRef ahead; /* wanted soon, or NULL: each turn asks for `ahead_lines` cache lines there */
  int ahead_lines;
  int64_t ahead_step; /* elements from one turn's lines to the next's */
  LLVMValueRef
      copy; /* where the vectors of B that are read are also written, or NULL: packs B in passing */
  int64_t copy_step;                    /* elements per step there */
  LLVMValueRef acc[MICRO_ACCUMULATORS]; /* [r * vectors + v] */
} Micro;

/* Whether the accumulators, one row of B and one broadcast stay within the target's registers. */
bool micro_fits(const Cg *cg, int rows, int vectors);

void micro_zero(Cg *cg, Micro *m);
/* Accumulators from C: row r at c + row_offset[r]. */
void micro_load(Cg *cg, Micro *m, LLVMValueRef c, const LLVMValueRef *row_offset);

/* Adds all taps. Inner loops longer than two turns (with `unroll` 1: than one step) become loops.
 * Steps of one turn that read the same elements of A (overlapping taps of few channels) share
 * registers and spill: keep `unroll` below their distance. */
void micro_run(Cg *cg, Micro *m);

void micro_store(Cg *cg, const Micro *m, LLVMValueRef c, const LLVMValueRef *row_offset);

/* Calls `use` for each accumulator vector, row by row; mask is NULL but for a masked last vector.
 * `column` is the first element's column within the tile. */
typedef void MicroUse(Cg *cg, void *user, int row, int column, LLVMValueRef mask,
                      LLVMValueRef value);
void micro_each(Cg *cg, const Micro *m, MicroUse *use, void *user);

/* A loop through which the accumulators are carried (and what the caller adds by cg_carry). */
CgLoop micro_loop(Cg *cg, Micro *m, LLVMValueRef begin, LLVMValueRef end, int64_t step);
void micro_loop_end(Cg *cg, Micro *m, CgLoop *l);

#endif
