/* Backward-weights: dW[kh][kw][i][o] = sum over samples and pixels of x[pixel + tap][i] * dy[pixel][o].
 *
 * A tile is [input channels][vectors of output channels] of one tap, summed over pixels as outer products. A piece
 * of work on it is a block: some rows of a sample, or several small samples, that stay in the second-level cache
 * while all tiles of [begin, end) go over them; between blocks the sums lie in dW. A unit is a tile, so that every
 * sum is in an order given by the shapes. Where there are few tiles the batch is cut into a fixed number of shares,
 * each summed into its own copy of dW in scratch, and a second stage adds the copies in order. */
#include "codegen/conv.h"

typedef struct {
  Cg *cg;
  const ConvSpec *spec;
  int64_t icg, ocg, groups, shares;
  bool depthwise;
  int64_t rows, samples; /* of a block */
  int64_t itiles, ismall, ibig; /* tiles of input channels: ibig of ismall + 1, the rest of ismall */
  ConvChannels channels;
  int64_t ctiles, tiles; /* tiles of output channels in a group; all tiles */
  LLVMValueRef x, dy, dw;
} Weights;

/* One tile at run time. */
typedef struct {
  LLVMValueRef kh, kw, group, input, output; /* first channels in the group */
} Tile;

typedef struct {
  LLVMValueRef sample, samples, row, rows; /* [sample, samples), [row, rows) */
} Range;

/* ---- the sum over a block ---- */

/* The pixels o in [0, out) with 0 <= o * stride + k * dilation - pad < in, for k at run time. */
static void valid(Cg *cg, LLVMValueRef k, int64_t in, int64_t out, int64_t stride, int64_t dilation, int64_t pad,
                  LLVMValueRef *lo, LLVMValueRef *hi) {
  LLVMValueRef start = conv_sub(cg, cg_int(cg, pad), cg_mul(cg, k, cg_int(cg, dilation)));
  *lo = conv_ceil(cg, start, stride);
  *hi = conv_min(cg, conv_ceil(cg, cg_add(cg, start, cg_int(cg, in)), stride), cg_int(cg, out));
}

static void sum_row(const Weights *w, const Tile *tile, Micro *t, LLVMValueRef sample, LLVMValueRef row) {
  Cg *cg = w->cg;
  const ConvSpec *s = w->spec;
  LLVMValueRef lo, hi, ocg = cg_int(cg, w->ocg), oc = cg_int(cg, s->oc), ic = cg_int(cg, s->ic);
  valid(cg, tile->kw, s->iw, s->ow, s->stride[1], s->dilation[1], s->pad[2], &lo, &hi);
  LLVMValueRef channel = cg_add(cg, cg_mul(cg, tile->group, ocg), tile->output);
  LLVMValueRef y = cg_add(cg, cg_mul(cg, sample, cg_int(cg, s->oh)), row);
  y = cg_add(cg, cg_mul(cg, y, cg_int(cg, s->ow)), lo);
  LLVMValueRef dy = cg_at(cg, cg->real, w->dy, cg_add(cg, cg_mul(cg, y, oc), channel));
  LLVMValueRef h = cg_add(cg, cg_mul(cg, row, cg_int(cg, s->stride[0])), cg_int(cg, -s->pad[0]));
  h = cg_add(cg, h, cg_mul(cg, tile->kh, cg_int(cg, s->dilation[0])));
  LLVMValueRef v = cg_add(cg, cg_mul(cg, lo, cg_int(cg, s->stride[1])), cg_int(cg, -s->pad[2]));
  v = cg_add(cg, v, cg_mul(cg, tile->kw, cg_int(cg, s->dilation[1])));
  LLVMValueRef at = cg_add(cg, cg_mul(cg, sample, cg_int(cg, s->ih)), h);
  at = cg_mul(cg, cg_add(cg, cg_mul(cg, at, cg_int(cg, s->iw)), v), ic);
  at = cg_add(cg, at, w->depthwise ? channel : cg_add(cg, cg_mul(cg, tile->group, cg_int(cg, w->icg)), tile->input));
  t->a = cg_at(cg, cg->real, w->x, at);
  t->b = dy;
  t->k = conv_sub(cg, hi, lo);
  micro_run(cg, t);
}

static void sum_block(const Weights *w, const Tile *tile, Micro *t, const Range *range) {
  Cg *cg = w->cg;
  const ConvSpec *s = w->spec;
  LLVMValueRef lo, hi;
  valid(cg, tile->kh, s->ih, s->oh, s->stride[0], s->dilation[0], s->pad[0], &lo, &hi);
  CgLoop samples = micro_loop(cg, t, range->sample, range->samples, 1);
  CgLoop rows = micro_loop(cg, t, conv_max(cg, lo, range->row), conv_min(cg, hi, range->rows), 1);
  sum_row(w, tile, t, samples.index, rows.index);
  micro_loop_end(cg, t, &rows);
  micro_loop_end(cg, t, &samples);
}

/* ---- tiles ---- */

static LLVMValueRef tile_address(const Weights *w, const Tile *tile) {
  Cg *cg = w->cg;
  LLVMValueRef tap = cg_add(cg, cg_mul(cg, tile->kh, cg_int(cg, w->spec->kw)), tile->kw);
  LLVMValueRef row = cg_add(cg, cg_mul(cg, tap, cg_int(cg, w->icg)), tile->input);
  LLVMValueRef column = cg_add(cg, cg_mul(cg, tile->group, cg_int(cg, w->ocg)), tile->output);
  return cg_at(cg, cg->real, w->dw, cg_add(cg, cg_mul(cg, row, cg_int(cg, w->spec->oc)), column));
}

/* range NULL: clears the tile. */
static void tile_variant(const Weights *w, const Tile *tile, int mr, const ConvColumns *columns, const Range *range) {
  Cg *cg = w->cg;
  Micro t = conv_tile(cg, mr, columns);
  LLVMValueRef address = tile_address(w, tile), sums[MICRO_ROWS];
  t.vector_a = w->depthwise;
  t.ak = w->spec->stride[1] * w->spec->ic;
  t.bk = w->spec->oc;
  for (int r = 0; r < mr; r++) {
    t.row[r] = cg_int(cg, r);
    sums[r] = cg_int(cg, r * w->spec->oc);
  }
  if (range) {
    micro_load(cg, &t, address, sums);
    sum_block(w, tile, &t, range);
  }
  micro_store(cg, &t, address, sums);
}

/* low <= v < high */
static LLVMValueRef between(Cg *cg, LLVMValueRef v, int64_t low, int64_t high) {
  LLVMValueRef from = conv_sub(cg, v, cg_int(cg, low));
  return LLVMBuildICmp(cg->builder, LLVMIntULT, from, cg_int(cg, high - low), "");
}

static void columns_variants(const Weights *w, Tile tile, int mr, LLVMValueRef column, const Range *range) {
  Cg *cg = w->cg;
  int64_t at = 0;
  for (int i = 0; i < w->channels.count; i++) {
    const ConvColumns *run = &w->channels.run[i];
    CgIf chosen = cg_if(cg, between(cg, column, at, at + run->tiles));
    LLVMValueRef first = cg_mul(cg, conv_sub(cg, column, cg_int(cg, at)), cg_int(cg, run->width));
    tile.output = cg_add(cg, first, cg_int(cg, run->at));
    tile_variant(w, &tile, mr, run, range);
    cg_if_end(cg, &chosen);
    at += run->tiles;
  }
}

/* Finds tile number `number` and does it. */
static void any_tile(const Weights *w, LLVMValueRef number, const Range *range) {
  Cg *cg = w->cg;
  Tile tile;
  LLVMValueRef rest = number;
  tile.kw = conv_split(cg, &rest, w->spec->kw);
  tile.kh = conv_split(cg, &rest, w->spec->kh);
  LLVMValueRef input = conv_split(cg, &rest, w->itiles), column = conv_split(cg, &rest, w->ctiles);
  tile.group = w->groups == 1 ? cg_int(cg, 0) : rest;
  LLVMValueRef skipped = conv_min(cg, input, cg_int(cg, w->ibig));
  tile.input = cg_add(cg, cg_mul(cg, input, cg_int(cg, w->ismall)), skipped);
  for (int big = 0; big < 2; big++) {
    int64_t low = big ? 0 : w->ibig, high = big ? w->ibig : w->itiles;
    if (low == high) continue;
    CgIf chosen = cg_if(cg, between(cg, input, low, high));
    columns_variants(w, tile, (int)(w->ismall + big), column, range);
    cg_if_end(cg, &chosen);
  }
}

/* ---- loops around them ---- */

static void all_tiles(const Weights *w, LLVMValueRef begin, LLVMValueRef end, const Range *range) {
  CgLoop l = cg_loop(w->cg, begin, end, 1);
  any_tile(w, l.index, range);
  cg_loop_end(w->cg, &l);
}

/* Tiles [begin, end) over the samples [sample, samples). */
static void share_blocks(const Weights *w, LLVMValueRef begin, LLVMValueRef end, LLVMValueRef sample,
                         LLVMValueRef samples) {
  Cg *cg = w->cg;
  const ConvSpec *s = w->spec;
  all_tiles(w, begin, end, NULL);
  CgLoop outer = cg_loop(cg, sample, samples, w->samples);
  CgLoop inner = cg_loop(cg, cg_int(cg, 0), cg_int(cg, s->oh), w->rows);
  Range range = {outer.index, conv_min(cg, cg_add(cg, outer.index, cg_int(cg, w->samples)), samples), inner.index,
                 conv_min(cg, cg_add(cg, inner.index, cg_int(cg, w->rows)), cg_int(cg, s->oh))};
  all_tiles(w, begin, end, &range);
  cg_loop_end(cg, &inner);
  cg_loop_end(cg, &outer);
}

static void each_share(Weights *w, LLVMValueRef n, LLVMValueRef begin, LLVMValueRef end) {
  Cg *cg = w->cg;
  if (w->shares == 1) {
    share_blocks(w, begin, end, cg_int(cg, 0), n);
    return;
  }
  int64_t size = w->spec->kh * w->spec->kw * w->icg * w->spec->oc;
  LLVMValueRef tiles = cg_int(cg, w->tiles), dw = w->dw, zero = cg_int(cg, 0);
  LLVMValueRef each = conv_ceil(cg, n, w->shares);
  LLVMValueRef last = LLVMBuildUDiv(cg->builder, conv_sub(cg, end, cg_int(cg, 1)), tiles, "");
  CgLoop l = cg_loop(cg, LLVMBuildUDiv(cg->builder, begin, tiles, ""), cg_add(cg, last, cg_int(cg, 1)), 1);
  LLVMValueRef before = cg_mul(cg, l.index, tiles), sample = cg_mul(cg, l.index, each);
  w->dw = cg_at(cg, cg->real, dw, cg_mul(cg, l.index, cg_int(cg, size)));
  LLVMValueRef first = conv_max(cg, conv_sub(cg, begin, before), zero);
  LLVMValueRef stop = conv_min(cg, conv_sub(cg, end, before), tiles);
  share_blocks(w, first, stop, sample, conv_min(cg, cg_add(cg, sample, each), n));
  w->dw = dw;
  cg_loop_end(cg, &l);
}

/* ---- the sum of the shares ---- */

enum { SUM_UNIT = 4096 }; /* elements */

static void sum_shares(const Weights *w, int64_t size, LLVMValueRef from, LLVMValueRef to, LLVMValueRef begin,
                       LLVMValueRef end, int lanes) {
  Cg *cg = w->cg;
  CgLoop l = cg_loop(cg, begin, end, lanes);
  LLVMValueRef at = cg_at(cg, cg->real, from, l.index), sum = cg_load(cg, cg->real, at, lanes, NULL);
  for (int64_t i = 1; i < w->shares; i++) {
    sum = LLVMBuildFAdd(cg->builder, sum, cg_load(cg, cg->real, conv_at(cg, at, i * size), lanes, NULL), "");
  }
  cg_store(cg, sum, cg_at(cg, cg->real, to, l.index), NULL);
  cg_loop_end(cg, &l);
}

static Kernel reduce_shares(const Weights *w) {
  Cg *cg = w->cg;
  const ConvSpec *s = w->spec;
  int64_t size = s->kh * s->kw * w->icg * s->oc;
  LLVMValueRef f = cg_function(cg, "conv_weight_sum"), unit = cg_int(cg, SUM_UNIT);
  LLVMValueRef from = cg_buffer(cg, LLVMGetParam(f, 0), s->scratch);
  LLVMValueRef to = conv_at(cg, cg_buffer(cg, LLVMGetParam(f, 0), s->weight), s->weight_offset);
  LLVMValueRef begin = cg_mul(cg, LLVMGetParam(f, 2), unit);
  LLVMValueRef end = conv_min(cg, cg_mul(cg, LLVMGetParam(f, 3), unit), cg_int(cg, size));
  LLVMValueRef whole = LLVMBuildAnd(cg->builder, conv_sub(cg, end, begin), cg_int(cg, -cg->lanes), "");
  whole = cg_add(cg, begin, whole);
  sum_shares(w, size, from, to, begin, whole, cg->lanes);
  sum_shares(w, size, from, to, whole, end, 1);
  LLVMBuildRetVoid(cg->builder);
  return (Kernel){.function = f, .units = {0, size}, .per = SUM_UNIT, .work = 0.1 * SUM_UNIT * (double)w->shares / 4};
}

/* ---- shapes ---- */

/* A block's pixels: some 400 for each load and store of the sums, as long as both images fit the cache. */
static void choose_block(Weights *w) {
  const ConvSpec *s = w->spec;
  int64_t bytes = (s->ow * s->oc + s->stride[0] * s->iw * s->ic) * w->cg->real_bytes;
  int64_t pixels = 448, fit = (384 << 10) / bytes;
  w->rows = conv_ceil_div(pixels, s->ow);
  if (w->rows > fit) w->rows = conv_max_int(fit, 1);
  w->samples = 1;
  if (w->rows < s->oh) return;
  w->rows = s->oh;
  w->samples = conv_max_int(1, conv_min_int(pixels / (s->oh * s->ow), fit / s->oh));
}

static void choose_tiles(Weights *w) {
  int mr, nr;
  conv_choose_tile(w->cg, w->icg, conv_vectors(w->cg, w->ocg), w->depthwise, &mr, &nr);
  if (w->depthwise) nr = 4;
  w->itiles = conv_ceil_div(w->icg, mr);
  w->ismall = w->icg / w->itiles;
  w->ibig = w->icg % w->itiles;
  w->channels = conv_channels(w->cg, w->ocg, nr);
  for (int i = 0; i < w->channels.count; i++) w->ctiles += w->channels.run[i].tiles;
  w->tiles = w->spec->kh * w->spec->kw * w->itiles * w->ctiles * w->groups;
}

KernelList conv_weight(Cg *cg, const ConvSpec *s) {
  bool depthwise = conv_is_depthwise(s);
  int64_t groups = depthwise ? 1 : s->groups;
  Weights w = {.cg = cg, .spec = s, .icg = depthwise ? 1 : s->ic / groups, .ocg = s->oc / groups, .groups = groups,
               .depthwise = depthwise};
  choose_tiles(&w);
  choose_block(&w);
  w.shares = conv_max_int(1, conv_min_int(conv_ceil_div(16, w.tiles), conv_min_int(8, cg->max_batch / w.samples)));
  LLVMValueRef f = cg_function(cg, "conv_weight"), buffers = LLVMGetParam(f, 0);
  w.x = conv_at(cg, cg_buffer(cg, buffers, s->x), s->x_offset);
  w.dy = conv_at(cg, cg_buffer(cg, buffers, s->y), s->y_offset);
  w.dw = w.shares > 1 ? cg_buffer(cg, buffers, s->scratch)
                      : conv_at(cg, cg_buffer(cg, buffers, s->weight), s->weight_offset);
  each_share(&w, LLVMGetParam(f, 1), LLVMGetParam(f, 2), LLVMGetParam(f, 3));
  LLVMBuildRetVoid(cg->builder);
  double macs = (double)(s->kh * s->kw * w.icg * s->oc) * (double)(s->oh * s->ow * cg->max_batch);
  double units = (double)(w.tiles * w.shares);
  KernelList list = {.count = 1, .stage = {{.function = f, .units = {0, w.tiles * w.shares}}}};
  list.stage[0].work = macs / units / (6.0 * cg->lanes);
  if (w.shares == 1) return list;
  list.scratch_bytes = w.shares * s->kh * s->kw * w.icg * s->oc * cg->real_bytes;
  list.stage[list.count++] = reduce_shares(&w);
  return list;
}
