/* Kernels: what the rest of codegen asks for, as plain specifications without the graph.
 *
 * A kernel is an internal function of the module
 *
 *   void kernel(ptr buffers, i64 n, i64 begin, i64 end)
 *
 * `buffers` points to an array of pointers, which specifications name by index ("slot"); n is the
 * run-time batch; [begin, end) is the part of its units to do. Units are independent and write
 * disjoint memory, and what a unit computes does not depend on how units are dealt out: that keeps
 * results bit-identical for any thread count. Shapes are constants baked into the code. A kernel is
 * emitted once a module for each distinct specification. */
#ifndef DLC_CODEGEN_KERNEL_H
#define DLC_CODEGEN_KERNEL_H

#include "codegen/cg.h"
#include "ir/op.h"

/* n * each + fixed: a number that may grow with the run-time batch. */
typedef struct {
  int64_t each, fixed;
} Extent;

typedef struct {
  LLVMValueRef function;
  Extent units;       /* how many units: parts * ceil(units / per) */
  int64_t per, parts; /* 0 counts as 1 */
  double work;        /* rough cost of one unit in nanoseconds on one core */
} Kernel;

/* What one specification compiles to: kernels to run one after the other on the same buffers, each
 * a barrier. */
enum { KERNEL_STAGES = 6 };
typedef struct {
  int count;
  Kernel stage[KERNEL_STAGES];
  int64_t scratch_bytes; /* needed behind buffers[scratch slot], at the maximum batch */
} KernelList;

/* ---- views and pointwise bodies ---- */

enum { VIEW_RANK = LIMIT_RANK + 1 }; /* the batch is a dimension here */

/* MEM_REAL: f32 or f64 by --precision */
typedef enum { MEM_REAL, MEM_U8, MEM_I32, MEM_F64 } MemElem;

/* Element (i0, i1, ...) of the domain is at buffers[slot] + (offset + sum i_d * stride[d])
 * elements. */
typedef struct {
  int slot;
  MemElem elem;
  int64_t offset;
  int64_t stride[VIEW_RANK]; /* 0: broadcast along that dimension */
} View;

/* Values are reals or integers (i32). An integer that is moved, compared or used as an index keeps
 * every bit; it turns real where an op, a reduction or a store of reals uses it. */
typedef enum {
  BODY_LOAD,     /* view; u8 and i32 stay integers */
  BODY_CONSTANT, /* number */
  BODY_INTEGER,  /* number, as an integer */
  BODY_OP,       /* node's elementwise op on `arg` (op_info[node->op].emit) */
  BODY_SAME,     /* 1 where the integers arg[0] and arg[1] are equal, else 0 */
  BODY_COORD,    /* the index along dimension `dim`, an integer */
  BODY_GATHER,   /* view, moved by integer arg[0] * view_step elements; 0 outside [0, number) */
  BODY_UNIFORM, /* philox at element sum i_d * view.stride[d], as (bits >> 8) * 2^-24 in [0, 1); the
                   seed and step are two u64 at buffers[view.slot]; stream in `stream` */
  BODY_RESULT   /* in an epilogue: the accumulated value */
} BodyKind;

typedef struct {
  BodyKind kind;
  const Node *node;
  int arg[4]; /* earlier values, by index */
  int dim;
  uint32_t stream;
  double number;
  int64_t view_step;
  View view;
} BodyValue;

typedef struct {
  int value;
  View view;
} BodyStore;

/* REDUCE_WIDE: a sum in f64 from the first term on. REDUCE_VAR: the variance; among the
 * specification's reductions there is a REDUCE_WIDE of the same value. */
typedef enum { REDUCE_SUM, REDUCE_MAX, REDUCE_MIN, REDUCE_WIDE, REDUCE_VAR } ReduceKind;

typedef struct {
  ReduceKind kind;
  int value;
  View view; /* strides along reduced dimensions are not read; slot < 0: not stored */
} BodyReduce;

/* A loop nest over a domain, outermost dimension first, computing values at every element, in
 * order; then stores and reductions. All reductions share `reduced`; with a variance among them
 * they are at most NEST_REDUCES. Order of dimensions is the memory order of most operands; any
 * strides are correct, unit stride in the last dimension is fast. Stores may alias loads of equal
 * strides. */
typedef struct {
  int rank;
  /* `each` is 0 but for a batch dimension, which may be any multiple of n */
  Extent extent[VIEW_RANK];
  int nvalues, nstores, nreduces;
  const BodyValue *value;
  const BodyStore *store;
  const BodyReduce *reduce;
  bool reduced[VIEW_RANK];
  int scratch; /* slot for partial results of reductions; read only when nreduces > 0, -1: none */
} PointwiseSpec;

KernelList kernel_pointwise(Cg *cg, const PointwiseSpec *spec);

/* For epilogues: emits the body at one vector of `lanes` consecutive elements along the last
 * dimension (active lanes per `mask`, NULL = all), then its stores. index[d] are i64 values of the
 * element's coordinates. `result` is what BODY_RESULT stands for. Reductions are the caller's: only
 * those of convolutions are taken, sums over all but the last dimension. */
void body_emit(Cg *cg, const PointwiseSpec *spec, LLVMValueRef buffers, const LLVMValueRef *index,
               int lanes, LLVMValueRef mask, LLVMValueRef result);

/* ---- products ---- */

/* C[b][m][n] = sum over k of A[b][m][k] B[b][k][n], strides in elements; b runs over up to 3 batch
 * dimensions. Any strides are correct; bn = 1 and cn = 1 are fast, other forms may pack into
 * scratch. At most one of m, n, k and the batch dimensions grows with the run-time batch. Without
 * an epilogue C is stored through `c`; with one, the epilogue (domain [batch dimensions..., m, n])
 * does all the storing. */
typedef struct {
  Extent m, n, k;
  int nbatch;
  Extent batch[3];
  View a, b, c; /* strides: [batch dimensions..., m, k], [..., k, n], [..., m, n] */
  const PointwiseSpec *epilogue; /* or NULL */
  int scratch;                   /* slot */
} MatmulSpec;

KernelList kernel_matmul(Cg *cg, const MatmulSpec *spec);

/* Images are [n][h][w][channels] dense; weights [kh][kw][in channels / groups][out channels] dense.
 * pad: top, bottom, left, right. */
typedef enum { CONV_FORWARD, CONV_INPUT, CONV_WEIGHT } ConvDirection;
typedef struct {
  ConvDirection direction;
  int64_t ih, iw, ic, oh, ow, oc, kh, kw;
  int64_t stride[2], dilation[2], pad[4], groups;
  int x, weight, y; /* slots: image in, weights, image out (or their gradients) */
  int64_t x_offset, weight_offset, y_offset; /* elements */
  /* FORWARD: domain [n, oh, ow, oc]; INPUT: [n, ih, iw, ic]; or NULL */
  const PointwiseSpec *epilogue;
  int scratch;
} ConvSpec;

KernelList kernel_conv(Cg *cg, const ConvSpec *spec);
/* Why it is computed directly; NULL where it is by Winograd's F(2x2, 3x3) (winograd.h). */
const char *kernel_conv_direct(const Cg *cg, const ConvSpec *spec);

/* ---- pooling and rows ---- */

typedef enum { POOL_MAX, POOL_MAX_PUT, POOL_MAX_TAKE, POOL_MEAN, POOL_MEAN_PUT } PoolKind;
/* Channel c of pixel (h, w) of sample i is at strides {sample, h, w, channel} of its view. Windows
 * are pool_window(node, axis, extent, o). */
typedef struct {
  PoolKind kind;
  const Node *node;
  int64_t channels, ih, iw, oh, ow;
  View x;  /* the image in (MAX*, MEAN) */
  View dy; /* POOL_MAX_PUT, POOL_MEAN_PUT: [oh, ow]; POOL_MAX_TAKE: [ih, iw] */
  View y;  /* the result */
} PoolSpec;

KernelList kernel_pool(Cg *cg, const PoolSpec *spec);

/* table[index[i]][:] += rows[i][:], table zeroed first, in the order of i; an index out of range
 * adds nothing. */
typedef struct {
  Extent rows;
  int64_t width, count;
  View index, source, table; /* strides {row}, {row, column}, {row, column} */
} PutRowsSpec;

KernelList kernel_put_rows(Cg *cg, const PutRowsSpec *spec);

#endif
