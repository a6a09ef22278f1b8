/* The evaluator of pointwise bodies: one value of a body at one vector of elements.
 * kernel_pointwise and the epilogues of products and convolutions are written with it.
 *
 * Lanes run along one dimension, `vdim`. A value that does not depend on it is computed once as a
 * scalar and widened where a vector needs it. Where a value reads is its "place": the address of
 * the view's first element (BODY_LOAD, BODY_GATHER), or an i64 (BODY_UNIFORM: the element's number,
 * BODY_COORD: the index), moved along dimension by dimension with body_move. */
#ifndef DLC_CODEGEN_BODY_H
#define DLC_CODEGEN_BODY_H

#include "codegen/kernel.h"

typedef struct {
  Cg *cg;
  const PointwiseSpec *spec;
  LLVMValueRef buffers;
  int vdim;
  uint32_t *depends; /* of each value: the set of dimensions, bit d */
} Body;

Body body_new(Cg *cg, const PointwiseSpec *spec, LLVMValueRef buffers, int vdim);

static inline bool body_along(const Body *b, int value) { return b->depends[value] >> b->vdim & 1; }

int body_arguments(const BodyValue *v);           /* how many of arg[] the value has */
bool body_viewed(const BodyValue *v);             /* whether it uses its view */
int64_t body_stride(const BodyValue *v, int dim); /* of its place; 0 when it has none */
LLVMValueRef body_place(const Body *b,
                        int value); /* at the origin of the domain; NULL when it has none */
/* The place after `count` (i64) steps along `dim`. */
LLVMValueRef body_move(const Body *b, int value, LLVMValueRef place, int dim, LLVMValueRef count);

/* The value at `lanes` elements, given the earlier values there. The mask (NULL: all lanes) guards
 * loads. Lanes must be 1 for a value that does not depend on vdim. */
typedef struct {
  LLVMValueRef place, mask, result;
  LLVMValueRef *earlier;
  int lanes;
} BodyPoint;
LLVMValueRef body_value(const Body *b, int value, const BodyPoint *at);

/* At `lanes` elements along vdim from `index` (i64, by dimension): the values that depend on no
 * other dimension; all others stay NULL. */
void body_common(const Body *b, const LLVMValueRef *index, int lanes, LLVMValueRef mask,
                 LLVMValueRef *values);
/* Those that are NULL, then the stores. */
void body_complete(const Body *b, const LLVMValueRef *index, int lanes, LLVMValueRef mask,
                   LLVMValueRef result, LLVMValueRef *values);

/* Asks for what it loads at `index`, which may be past the end, along vdim and another dimension.
 */
void body_prefetch(const Body *b, const LLVMValueRef *index);

/* Views: the element type; the address of the origin; loading and storing along vdim with a stride.
 * u8 and i32 load as i32, the others as reals. */
LLVMTypeRef view_type(Cg *cg, MemElem elem);
LLVMValueRef view_origin(Cg *cg, LLVMValueRef buffers, const View *view);
LLVMValueRef view_move(Cg *cg, const View *view, LLVMValueRef address, int dim, LLVMValueRef count);
LLVMValueRef view_load(Cg *cg, MemElem elem, LLVMValueRef address, int64_t stride, int lanes,
                       LLVMValueRef mask);
/* One address a lane; masked-off lanes load 0. */
LLVMValueRef view_gather(Cg *cg, MemElem elem, LLVMValueRef pointers, int lanes, LLVMValueRef mask);
/* `value` is a scalar or vector: an integer for integer memory, else any number. A scalar is
 * widened to `lanes`. */
void view_store(Cg *cg, MemElem elem, LLVMValueRef value, LLVMValueRef address, int64_t stride,
                int lanes, LLVMValueRef mask);
/* As many lines as a group, reals next to each other in memory from `address` on; their elements
 * are `stride` apart. Line i is put into line[i]. */
int view_group(const Cg *cg); /* reals of a 128-bit register */
void view_load_lines(Cg *cg, LLVMValueRef address, int64_t stride, int lanes, LLVMValueRef *line);
/* A group of vectors: squares of group x group lanes next to each other, each transposed. */
void view_turn(Cg *cg, LLVMValueRef *v, int lanes);
/* Lane i of the result is lane pick[i] of (x, y). */
LLVMValueRef view_pick(Cg *cg, LLVMValueRef x, LLVMValueRef y, const int *pick, int lanes);
/* A scalar as a vector; a vector as it is. */
LLVMValueRef body_widen(Cg *cg, LLVMValueRef v, int lanes);
/* The same as reals: where an integer turns into one. */
LLVMValueRef body_real(Cg *cg, LLVMValueRef v, int lanes);

#endif
