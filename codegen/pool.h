/* Inside pooling: the loops (pool.c) and what is done at each window (pool_window.c). */
#ifndef DLC_CODEGEN_POOL_H
#define DLC_CODEGEN_POOL_H

#include "codegen/body.h"

enum { POOL_VECTORS = 4, POOL_STATES = 3, POOL_TAPS = 16 };

/* Windows head to tail are moved copies of each other, `stride` apart. */
typedef struct {
  int64_t head, tail, stride;
} PoolRun;

/* A number for each window: stride * o + the entry of o in a table, where the run is one entry. */
typedef struct {
  PoolRun run;
  LLVMValueRef table; /* NULL: every entry is `only` */
  int64_t only;
} PoolNumbers;

typedef struct {
  int64_t in, out, taps, step; /* taps: of the largest window */
  bool full;                   /* every window has as many */
  bool tiles;                  /* windows neither overlap nor leave gaps */
  PoolRun run;
  PoolNumbers starts, tap_counts, counts;
  LLVMValueRef o, start, ntaps, count; /* the present window */
  LLVMValueRef position[POOL_TAPS];    /* of its taps, when they are unrolled */
} PoolAxis;

typedef struct Pool {
  Cg *cg;
  const PoolSpec *spec;
  LLVMValueRef buffers;
  PoolAxis axis[2];
  bool unrolled, tiles, group; /* group: a unit has part of the channels */
  bool clears;                 /* rows are cleared as windows first reach them: */
  PoolNumbers cleared;         /* up to which row before window o */
  LLVMValueRef sample, channel, mask;
  int lanes, vectors, states;
  LLVMValueRef state[POOL_STATES][POOL_VECTORS]; /* carried from tap to tap */
  void (*row_end)(struct Pool *);                /* or NULL; called where taps are loops */
} Pool;

/* At one tap: input position (h, w), and its number in the window, all i64. */
typedef void PoolTap(Pool *p, LLVMValueRef h, LLVMValueRef w, LLVMValueRef number);
void pool_taps(
    Pool *p,
    PoolTap *tap); /* row-major; an unrolled one may repeat the last tap of a row or column */

LLVMValueRef pool_address(Pool *p, const View *view, LLVMValueRef h, LLVMValueRef w, int vector);
LLVMValueRef pool_load(Pool *p, const View *view, LLVMValueRef h, LLVMValueRef w, int vector);
void pool_store(Pool *p, const View *view, LLVMValueRef h, LLVMValueRef w, int vector,
                LLVMValueRef v);
LLVMValueRef pool_mask(const Pool *p, int vector);
LLVMValueRef pool_constant(const Pool *p, double x);
LLVMValueRef pool_divisor(Pool *p);

/* One window of the present vectors of channels. */
void pool_max(Pool *p); /* POOL_MAX, POOL_MAX_TAKE */
void pool_max_put(Pool *p);
void pool_mean(Pool *p);
void pool_mean_put(Pool *p);

#endif
