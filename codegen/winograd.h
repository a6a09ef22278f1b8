/* Winograd's F(2x2, 3x3): 3x3 convolutions of stride 1 with 16 multiplications for 2x2 pixels and
 * a channel instead of 36, forward and backward-data. (A. Lavin, S. Gray: Fast Algorithms for
 * Convolutional Neural Networks, CVPR 2016.)
 *
 * A tile is 2x2 pixels Y of the image written. It sees 4x4 pixels d of the image read; * multiplies
 * element by element, the sum runs over the channels read:
 *
 *   Y = A^T [sum (G g G^T) * (B^T d B)] A
 *
 *   B^T = | 1  0 -1  0 |    G = | 1    0    0   |    A^T = | 1  1  1  0 |
 *         | 0  1  1  0 |        | 1/2  1/2  1/2 |          | 0  1 -1 -1 |
 *         | 0 -1  1  0 |        | 1/2 -1/2  1/2 |
 *         | 0  1  0 -1 |        | 0    0    1   |
 *
 * For each of the 16 elements that is a matrix product over tiles: M[i] = V[i] U[i]. One kernel
 * transforms the weights, U = G g G^T, in every call, to panels in scratch. In the other a unit is
 * a block of tiles, of all samples in turn, and a part of the panels: it transforms what the tiles
 * see to V, on its stack, and for each panel of channels makes the products M, also there, and from
 * them the pixels.
 *
 * The constants are powers of two: whole numbers come out exactly while 256 max|d| max|g| times the
 * channels stays below 2^24 (f64: 2^53). Other errors are no larger than the direct method's, whose
 * sums are nine times as long. (F(4x4, 3x3) would lose two digits.) NaN and infinity reach all
 * pixels of a tile that sees them. */
#ifndef DLC_CODEGEN_WINOGRAD_H
#define DLC_CODEGEN_WINOGRAD_H

#include "codegen/conv.h"

enum { WINOGRAD_ELEMENTS = 16 };

typedef struct {
  Cg *cg;
  const ConvPlan *conv; /* its roles, its panels in `channels`, and its partial sums */
  int64_t h0, w0;       /* tile (i, j) sees pixels from (2 i + h0, 2 j + w0) on */
  int64_t down, across; /* tiles of a sample, and in a row */
  int64_t block;        /* tiles of a unit: a multiple of `rows` */
  int64_t parts;        /* units of a block: each does `panels` panels, the last what is left */
  int64_t panels;
  int rows;             /* tiles that the microkernel does at once */
  int64_t depth;        /* elements from tile to tile of V */
  ConvChannels vectors; /* of the channels read */
  int64_t u_offset;     /* of U in scratch */
} Winograd;

/* A unit in the making. */
typedef struct {
  const Winograd *w;
  Cg *cg;
  LLVMValueRef buffers, zeros; /* as many zeros as channels are read */
  LLVMValueRef v, m;           /* [element][tile][depth], [element][tile][channel of the panel] */
  LLVMValueRef block, part;    /* which it is */
  LLVMValueRef first, count;   /* its tiles */
  const ConvColumns *columns;  /* of the panel */
  LLVMValueRef channel;        /* its first */
} WinogradUnit;

/* Where a tile is. */
typedef struct {
  LLVMValueRef sample, row, column;
} WinogradTile;
WinogradTile winograd_tile(const WinogradUnit *u, LLVMValueRef index);

/* L x L^T of a square x of from x from values, row by row; `line` is L times `from` values. */
typedef void WinogradLine(Cg *cg, const LLVMValueRef *x, LLVMValueRef *out);
void winograd_both(Cg *cg, WinogradLine *line, int from, int to, const LLVMValueRef *x,
                   LLVMValueRef *out);

/* Elements from one matrix of a panel of U to the next: a row more than there is, as addresses a
 * multiple of 4 KiB apart would meet in the caches. */
static inline int64_t winograd_matrix(const Winograd *w, const ConvColumns *columns) {
  return (w->conv->ak + 1) * columns->width;
}
/* U of the panel that begins with `channel`. */
LLVMValueRef winograd_panel(const Winograd *w, LLVMValueRef buffers, LLVMValueRef channel);

Kernel winograd_weights(const Winograd *w); /* makes U */
void winograd_see(const WinogradUnit *u);   /* makes V */
void winograd_put(const WinogradUnit *u);   /* from M to the image, through the epilogue */

KernelList winograd(Cg *cg, const ConvSpec *spec);

#endif
