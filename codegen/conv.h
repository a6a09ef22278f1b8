/* Convolutions, inside codegen: what the conv*.c share.
 *
 * Forward and backward-data are one computation, "grids". A grid is a lattice of output pixels (i,
 * j), gh x gw of them, with taps (p, q) that read
 *
 *   A[i * sh + p * dh + h0][j * sw + q * dw + w0][channels],        nothing where that is outside
 * of the image,
 *
 * and the matrix of weights number tap + p * tap_h + q * tap_w. Forward is one grid. Backward-data
 * by stride s is s * s grids, one for each residue of the pixel of dx by the stride, each a
 * convolution with stride 1 over dy with the taps that fall on whole pixels of dy. */
#ifndef DLC_CODEGEN_CONV_H
#define DLC_CODEGEN_CONV_H

#include "codegen/kernel.h"
#include "codegen/microkernel.h"
#include "codegen/pointwise.h"

/* Taps [q, end) of a row of taps, which reach the tile's `pixels` (bits). */
typedef struct {
  int64_t q, end;
  uint32_t pixels;
} ConvTaps;

/* Tiles of `size` pixels next to each other, from pixel `first` on, that have the same taps. */
typedef struct {
  int64_t first, tiles;
  int size, ngroups;
  ConvTaps *group;
} ConvRun;

typedef struct {
  int64_t gh, gw; /* pixels of the lattice */
  int64_t oh0, osh, ow0,
      osw; /* pixel (i, j) is (oh0 + i * osh, ow0 + j * osw) of the image written */
  int64_t taps_h, taps_w;
  int64_t sh, sw, dh, dw, h0, w0;
  int64_t tap, tap_h, tap_w;
  int nruns; /* how a row is cut, by conv_cut_row */
  ConvRun *run;
} ConvGrid;

/* Equal tiles of channels, next to each other: `tiles` of `width` channels from `at` on, in vectors
 * of `lanes`. Of the last vector of a tile `active` lanes count. */
enum { CONV_RUNS = 8 };
typedef struct {
  int64_t at, tiles, width;
  int vectors, lanes, active;
} ConvColumns;

/* All channels: the full tiles, then what is left. */
typedef struct {
  int count;
  ConvColumns run[CONV_RUNS];
} ConvChannels;

/* Cuts `channels` into tiles of at most nr vectors. The rest is one masked vector, or powers of two
 * where masks are slow. */
ConvChannels conv_channels(const Cg *cg, int64_t channels, int nr);
int64_t conv_vectors(const Cg *cg, int64_t channels);
/* Rough nanoseconds for `vectors` vectors of multiply-adds: six a nanosecond from the register
 * tile; a depthwise one waits for its loads. */
double conv_work(double vectors, bool depthwise);

/* Taps [first, end) of an axis: no others reach the image from any pixel. */
typedef struct {
  int64_t first, end;
} ConvReach;

/* The roles that images and weights play in forward and backward-data. Packed weights are panels,
 * one a tile of channels: [group][tile][tap][k][channel of the tile], of the taps in reach; others
 * are [tap][k][channel].
 */
typedef struct {
  Cg *cg;
  const ConvSpec *spec;
  int64_t ah, aw, ac, ak; /* the image read: its extents, and channels in a group */
  int64_t ch, cw, cc, ck; /* the image written */
  int64_t folded;         /* > 0: rows of the image were joined; their true width */
  int64_t groups;         /* 1 when depthwise */
  bool depthwise;         /* one channel in, one out: A is read as vectors */
  bool packed;
  ConvReach reach[2]; /* by axis */
  int a, b, c;        /* slots */
  int64_t a_offset, b_offset, c_offset;
  int ngrids;
  ConvGrid *grid;
  ConvChannels channels;
  int nr, most; /* vectors, and rows at most, of a tile */
  int64_t rows; /* of a grid, in a unit */
  int side;     /* > 0: a tile is one pixel of `side` samples; otherwise pixels of a row */
  bool sparse;  /* backward-data by a large stride: one grid of all pixels, most taps reach none */
  bool outside; /* a unit is of one tile of channels; those of a tile follow each other */
  Partials partials; /* of the epilogue's sums, if it has any */
} ConvPlan;

/* Which image is read and which is written, for forward and backward-data; grids, tiles and units
 * are left open. */
ConvPlan conv_roles(Cg *cg, const ConvSpec *spec);
int64_t conv_packed_taps(const ConvPlan *plan);
int64_t conv_packed_bytes(const ConvPlan *plan); /* 0 where weights are read as they are */
bool conv_is_depthwise(const ConvSpec *spec);    /* as many groups as channels, in and out */

/* More rows than this, a multiple of 4 KiB apart, fall into the same ways of the cache. */
enum { CONV_FAR_ROWS = 8 };

/* The tile for `rows` (pixels, or input channels) by `vectors` of channels: at most mr rows, never
 * above `most`, and at most nr vectors. */
void conv_choose_tile(const Cg *cg, int64_t rows, int64_t vectors, int most, int *mr, int *nr);
int conv_most_rows(const Cg *cg, int nr, int most);

/* False when that would take too much code. */
bool conv_cut_row(const ConvPlan *plan, ConvGrid *grid);

/* The kernel of all grids. */
Kernel conv_grids(const ConvPlan *plan);
int64_t conv_blocks(const ConvPlan *plan); /* units of a sample */

/* Writes packed weights to scratch: of forward from [tap][k][channel], of backward-data from
 * [tap][channel][k] with the taps in reverse order. */
Kernel conv_pack(const ConvPlan *plan);

/* One tile's channels, from one address to another. */
void conv_copy(Cg *cg, const ConvColumns *columns, LLVMValueRef from, LLVMValueRef to);

KernelList conv_weight(Cg *cg, const ConvSpec *spec);

/* A tile of `rows` by the columns, without operands. */
Micro conv_tile(Cg *cg, int rows, const ConvColumns *columns);

LLVMValueRef conv_at(Cg *cg, LLVMValueRef base, int64_t elements); /* base + constant */
LLVMValueRef conv_move(Cg *cg, LLVMValueRef base, LLVMValueRef count, int64_t step);
LLVMValueRef conv_ceil(Cg *cg, LLVMValueRef a, int64_t divisor); /* ceil(a / divisor), at least 0 */
LLVMValueRef conv_sub(Cg *cg, LLVMValueRef a, LLVMValueRef b);
LLVMValueRef conv_split(Cg *cg, LLVMValueRef *rest,
                        int64_t count); /* rest % count, and rest /= count */

static inline int64_t conv_ceil_div(int64_t a, int64_t b) { return a <= 0 ? 0 : (a + b - 1) / b; }
static inline int64_t conv_min_int(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t conv_max_int(int64_t a, int64_t b) { return a > b ? a : b; }

#endif
