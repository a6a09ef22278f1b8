/* Where the emission of a grid's kernel stands: between conv_grid.c, which makes the loops and the
 * tiles, and conv_finish.c, which says where their results go. */
#ifndef DLC_CODEGEN_CONV_SITE_H
#define DLC_CODEGEN_CONV_SITE_H

#include "codegen/conv.h"

/* [lo, hi), of taps */
typedef struct {
  LLVMValueRef lo, hi;
} Range;

typedef struct {
  const ConvPlan *plan;
  Cg *cg;
  const ConvGrid *grid;
  const ConvColumns *columns;
  int64_t blocks; /* units of a sample */
  LLVMValueRef buffers, n, begin, end;
  LLVMValueRef a, b, c;             /* the buffers */
  LLVMValueRef unit, sample, block; /* the unit of the batch, and where that is */
  LLVMValueRef tile, tile_units;    /* number of the tile of channels; units of each */
  LLVMValueRef a_sample, c_sample;
  LLVMValueRef group, channel; /* first channel of the tile in the image written */
  LLVMValueRef row, pixel;     /* of the grid */
  Range p;
  LLVMValueRef a_row, c_row, b_tile;
  LLVMValueRef shelf; /* results that wait for a long epilogue, or NULL */
} Site;

LLVMValueRef conv_linear(Cg *cg, LLVMValueRef i, int64_t step, int64_t origin);

/* Before the loops: room for results that wait. */
void conv_make_shelf(Site *s);
/* The unit's partial sums, if there are any, of this tile of channels. */
void conv_clear_sums(const Site *s);
/* The tile's results to where they go, or to the shelf. */
void conv_store_tile(Site *s, const Micro *m);
/* The epilogue for the shelf, on which `count` pixels (one pixel of as many samples) lie. */
void conv_finish_shelf(Site *s, int64_t count);

#endif
