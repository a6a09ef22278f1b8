/* Backward-weights, inside codegen: conv_weight.c deals out tiles and blocks, conv_weight_sum.c
 * sums one.
 *
 *   dW[kh][kw][i][o] = sum over samples and pixels of x[pixel + tap][i] * dy[pixel][o]
 *
 * A tile is [rows][vectors of output channels] of dW. Its rows are input channels of one tap; or,
 * "stacked", where there are few input channels, any consecutive rows (kh, kw, i) of the matrix
 * that dW is, summed from a copy of x that has the padding as zeros. */
#ifndef DLC_CODEGEN_CONV_WEIGHT_H
#define DLC_CODEGEN_CONV_WEIGHT_H

#include "codegen/conv.h"

typedef struct {
  Cg *cg;
  ConvSpec spec; /* of a 1x1 convolution with its rows joined */
  int64_t icg, ocg, groups, shares;
  bool depthwise, stacked;
  int64_t block_rows, block_samples;
  int64_t rows;                 /* that tiles cut: input channels, or all rows of dW when stacked */
  int64_t rtiles, rsmall, rbig; /* tiles of rows: rbig of rsmall + 1, the rest of rsmall */
  int64_t taps_h, taps_w;       /* 1 when stacked */
  ConvChannels channels;
  int64_t ctiles;         /* tiles of output channels in a group */
  int64_t ptiles, panels; /* tiles of rows in a panel, panels of rows */
  bool flat;              /* 1x1 without padding: a block is one run of pixels */
  bool dy_copied;
  LLVMValueRef x, dy, dw;
  /* Copies of a block, on the stack: of x with its padding, when stacked; of the tile's channels of
   * dy. */
  LLVMValueRef x_block, dy_block;
} ConvWeight;

typedef struct {
  LLVMValueRef kh, kw, group;
  LLVMValueRef row, output; /* the first row; the first channel in the group */
} ConvWeightTile;

typedef struct {
  LLVMValueRef sample, samples; /* [sample, samples) */
  LLVMValueRef row, rows;       /* rows [row, rows) of the image out */
  LLVMValueRef later;           /* 0: the first block; 1: dW has the sums of those before */
} ConvWeightBlock;

/* Adds a block to the accumulators of `m`. */
void conv_weight_sum(const ConvWeight *w, const ConvWeightTile *tile, Micro *m,
                     const ConvWeightBlock *block);

/* Extents of the copy of x for a sample: rows, and reals in a row. */
int64_t conv_weight_lines(const ConvWeight *w, int64_t rows);
int64_t conv_weight_line(const ConvWeight *w);
void conv_weight_copy_x(const ConvWeight *w, const ConvWeightBlock *block);
/* The channels from `channel` on of the columns. */
void conv_weight_copy_dy(const ConvWeight *w, LLVMValueRef channel, const ConvColumns *columns,
                         const ConvWeightBlock *block);

#endif
