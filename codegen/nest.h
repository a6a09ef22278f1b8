/* Loop nests over a pointwise specification in normal form.
 *
 * A plan fixes the order of the loops, the dimension that vectors run along and how many vectors a
 * step takes. A value is computed at the outermost loop that knows all it depends on, so what does
 * not change inside is not computed again there. With reductions the reduced loops come last; the
 * accumulators are registers carried through them.
 *
 * A load whose elements are next to each other across the vectors, as in a transpose, takes a few
 * rows at a time: squares that are turned in registers. The vectors of a step are then rows.
 *
 * Sums of f32 are taken in two levels: at most about 256 terms a lane in f32 (loops from `split`
 * on, or `block` steps of that loop), whose results are added up in f64. */
#ifndef DLC_CODEGEN_NEST_H
#define DLC_CODEGEN_NEST_H

#include "codegen/body.h"

enum { NEST_VECTORS = 8, NEST_REDUCES = 32 };

typedef struct {
  int order[VIEW_RANK], count; /* dimensions, outermost loop first */
  int nkept;                   /* how many of them are kept; the rest is reduced */
  int vdim, unroll;            /* unroll: a power of two, at most NEST_VECTORS */
  bool wide;                   /* sums have the f64 level */
  int split;
  int64_t block;
} NestPlan;

typedef struct {
  Cg *cg;
  const PointwiseSpec *spec;
  NestPlan plan;
  Body body;
  LLVMValueRef buffers;
  LLVMValueRef lo[VIEW_RANK], hi[VIEW_RANK]; /* the part of each dimension to do */
  bool single[VIEW_RANK];                    /* lo only: no loop */
  const View *result; /* of each reduction; strides of kept dimensions are read */
  /* elements added to all of them; then they are partial: f64, as they are */
  LLVMValueRef result_offset;
  LLVMValueRef terms; /* of a result, as an f64 */
  /* while emitting */
  int *level;
  LLVMValueRef *place, *address;
  LLVMValueRef (*value)[NEST_VECTORS];
  LLVMValueRef index[VIEW_RANK];
  int lanes, vectors;
  int across;        /* the dimension along which loads that are strided along vdim lie, or -1 */
  bool rows;         /* the vectors of a step are rows next to each other along `across` */
  LLVMValueRef mask; /* of the last vector; NULL: all lanes */
  bool open, narrow; /* inside the reduced loops; in the f32 level */
  int naccs;
  LLVMValueRef acc[NEST_REDUCES][NEST_VECTORS];
} Nest;

/* At the place where what does not depend on any loop goes: the entry of the function. Set lo and
 * hi afterwards. */
Nest *nest_new(Cg *cg, const PointwiseSpec *spec, const NestPlan *plan, LLVMValueRef buffers);
void nest_emit(Nest *n);

/* For nest.c: accumulators (nest_reduce.c). */
void nest_open(Nest *n, int pos);  /* emits the reduced loops and stores the results */
void nest_split(Nest *n, int pos); /* emits one f32 level inside the f64 one */
void nest_accumulate(Nest *n);     /* at the innermost point */
LLVMValueRef nest_get(Nest *n, int value, int vector);
LLVMValueRef nest_mask(const Nest *n, int vector);
void nest_run(Nest *n, int pos);

/* Accumulators carried through one loop. */
typedef struct {
  LLVMValueRef phi[NEST_REDUCES][NEST_VECTORS];
} NestCarry;
void nest_carry(Nest *n, CgLoop *l, NestCarry *c);
void nest_carry_end(Nest *n, CgLoop *l,
                    NestCarry *c); /* before the loop's end; afterwards acc is the final value */

#endif
