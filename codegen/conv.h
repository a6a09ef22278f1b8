/* Convolutions, inside codegen: what conv.c, conv_tile.c, conv_weight.c and conv_transpose.c share.
 *
 * Forward and backward-data are one computation, "grids". A grid is a lattice of output pixels (i, j), gh x gw of
 * them, with taps (p, q) that read
 *
 *   A[i * sh + p * dh + h0][j * sw + q * dw + w0][channels],        nothing where that is outside of the image,
 *
 * and the weights at element woff + p * wp + q * wq + k * ldb + channel. Forward is one grid. Backward-data by
 * stride s is s * s grids, one for each residue of the pixel of dx by the stride, each a convolution with stride 1
 * over dy with the taps that fall on whole pixels of dy. */
#ifndef DLC_CODEGEN_CONV_H
#define DLC_CODEGEN_CONV_H

#include "codegen/kernel.h"

typedef struct {
  int64_t gh, gw;             /* pixels of the lattice */
  int64_t oh0, osh, ow0, osw; /* pixel (i, j) is (oh0 + i * osh, ow0 + j * osw) of the image written */
  int64_t taps_h, taps_w;
  int64_t sh, sw, dh, dw, h0, w0;
  int64_t woff, wp, wq;
} ConvGrid;

/* Vectors of channels that a tile computes side by side. `active` of the last one's lanes count. */
enum { CONV_COLUMNS = 8, CONV_TAILS = 4, CONV_ROWS = 16 };
typedef struct {
  int64_t at; /* first channel, from the tile's */
  int lanes, active;
} ConvPiece;
typedef struct {
  int64_t at; /* first channel of the tile; of the first tile when there are several */
  int64_t tiles, width;
  int count;
  ConvPiece piece[CONV_COLUMNS];
} ConvColumns;
/* All channels: runs of equal tiles, the first the full ones. */
typedef struct {
  int count;
  ConvColumns run[CONV_TAILS + 1];
} ConvChannels;

/* Cuts `channels` into tiles of at most nr vectors. */
ConvChannels conv_channels(const Cg *cg, int64_t channels, int nr);
int64_t conv_vectors(const Cg *cg, int64_t channels);

/* The roles that images and weights play in forward and backward-data. */
typedef struct {
  Cg *cg;
  const ConvSpec *spec;
  int64_t ah, aw, ac, ak; /* the image read: its extents, and channels in a group */
  int64_t ch, cw, cc, ck; /* the image written */
  int64_t folded;         /* > 0: rows of the image were joined; their true width */
  int64_t groups;         /* 1 when depthwise */
  bool depthwise;         /* one channel in, one out: A is read as vectors */
  int a, b, c;            /* slots */
  int64_t a_offset, b_offset, c_offset;
  int ngrids;
  ConvGrid *grid;
  int64_t rows; /* of a grid, in a unit */
  bool channels_outside;
} ConvPlan;

bool conv_is_depthwise(const ConvSpec *spec); /* as many groups as channels, in and out */

/* The tile for `rows` (pixels, or input channels) by `vectors` of channels: at most mr rows, at most nr vectors. */
void conv_choose_tile(const Cg *cg, int64_t rows, int64_t vectors, bool depthwise, int *mr, int *nr);

/* The kernel of all grids. */
Kernel conv_grids(const ConvPlan *plan);

/* Writes weights [kh][kw][ic / g][oc] to scratch as [KH - 1 - kh][KW - 1 - kw][oc / g][ic]. */
Kernel conv_transpose(Cg *cg, const ConvSpec *spec);

KernelList conv_weight(Cg *cg, const ConvSpec *spec);

/* ---- tiles: acc[r][v] += A[row r] * B[vector v] ---- */

typedef struct {
  Cg *cg;
  int mr;
  const ConvColumns *columns;
  bool vector_a;
  int64_t row_step, k_step; /* elements from row to row, and from k to k, of A */
  int64_t ldb;              /* elements from k to k of B */
  int unroll;
  LLVMValueRef acc[CONV_ROWS][CONV_COLUMNS];
  LLVMValueRef mask[CONV_COLUMNS]; /* NULL: all lanes */
} ConvTile;

void conv_tile_init(ConvTile *t, Cg *cg, int mr, const ConvColumns *columns);
void conv_tile_zero(ConvTile *t);
CgLoop conv_tile_loop(ConvTile *t, LLVMValueRef begin, LLVMValueRef end, int64_t step);
void conv_tile_loop_end(ConvTile *t, CgLoop *l);
/* One k for the rows in `rows`. */
void conv_tile_step(ConvTile *t, LLVMValueRef a, LLVMValueRef b, uint32_t rows);
/* `count` of them. */
void conv_tile_run(ConvTile *t, LLVMValueRef a, LLVMValueRef b, int64_t count, uint32_t rows);
/* Likewise, count known at run time. */
void conv_tile_run_dynamic(ConvTile *t, LLVMValueRef a, LLVMValueRef b, LLVMValueRef count);

LLVMValueRef conv_at(Cg *cg, LLVMValueRef base, int64_t elements); /* base + constant */
LLVMValueRef conv_min(Cg *cg, LLVMValueRef a, LLVMValueRef b);
LLVMValueRef conv_max(Cg *cg, LLVMValueRef a, LLVMValueRef b);
/* ceil(a / divisor), at least 0. */
LLVMValueRef conv_ceil(Cg *cg, LLVMValueRef a, int64_t divisor);
LLVMValueRef conv_sub(Cg *cg, LLVMValueRef a, LLVMValueRef b);

static inline int64_t conv_ceil_div(int64_t a, int64_t b) { return a <= 0 ? 0 : (a + b - 1) / b; }
static inline int64_t conv_min_int(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t conv_max_int(int64_t a, int64_t b) { return a > b ? a : b; }

#endif
