/* Which ops a kernel can take in, as the fuse pass decides and codegen lowers. */
#ifndef DLC_PASSES_FUSIBLE_H
#define DLC_PASSES_FUSIBLE_H

#include "ir/op.h"

enum {
  FUSIBLE_MEMBERS = 64, /* nodes in one kernel */
  FUSIBLE_READS = 40,   /* operands that they read from outside */
  FUSIBLE_REDUCES = 12, /* reductions in one kernel */
  FUSIBLE_ROW = 1024    /* pixels in a row of an image whose sums a convolution's epilogue takes */
};

bool fusible_pointwise(Op op); /* part of a sweep or an epilogue: computed element by element */
bool fusible_reduction(Op op); /* ends a sweep */
bool fusible_product(Op op);   /* takes an epilogue */

#endif
