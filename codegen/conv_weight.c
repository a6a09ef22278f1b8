/* Backward-weights (conv_weight.h): tiles, blocks and shares.
 *
 * A unit is a tile, so that every sum is in an order given by the shapes. A call does its tiles
 * [begin, end) panel by panel: a panel is a tile of output channels with some 128 input channels
 * and all taps. A panel goes over the batch in blocks, some rows of a sample or several small
 * samples, that stay in the second-level cache while all tiles of the panel use them; between
 * blocks the sums lie in dW. Pixels of dy are often a power of two apart and fall into few of the
 * caches' sets: the panel's part of the block is copied where enough tiles use it. Where there are
 * few tiles the batch is cut into a fixed number of shares, each summed into its own copy of dW in
 * scratch, and a second stage adds the copies in order. */
#include "codegen/conv_weight.h"

/* A copied block is read by COPY_TILES tiles at least, or the copy would not pay. */
enum { PREFETCH_PIXELS = 8, COPY_BYTES = 128 << 10, COPY_TILES = 48 };

/* ---- tiles ---- */

static LLVMValueRef tile_address(const ConvWeight *w, const ConvWeightTile *tile) {
  Cg *cg = w->cg;
  LLVMValueRef row = cg_add(cg, cg_mul(cg, tile->kh, cg_int(cg, w->spec.kw)), tile->kw);
  row = cg_add(cg, cg_mul(cg, row, cg_int(cg, w->icg)), tile->row);
  LLVMValueRef column = cg_add(cg, cg_mul(cg, tile->group, cg_int(cg, w->ocg)), tile->output);
  return cg_at(cg, cg->real, w->dw, cg_add(cg, cg_mul(cg, row, cg_int(cg, w->spec.oc)), column));
}

/* The sums of a block start from zero and are added to those of the blocks before as a whole: so
 * rounding grows with the length of a block and the number of blocks, not of pixels. A loop of no
 * or one turn: the first block has none before it. */
static void add_earlier(Cg *cg, Micro *t, const ConvWeightBlock *block, LLVMValueRef address,
                        const LLVMValueRef *sums) {
  CgLoop once = micro_loop(cg, t, cg_int(cg, 0), block->later, 1);
  Micro before = *t;
  micro_load(cg, &before, address, sums);
  for (int i = 0; i < t->rows * t->vectors; i++)
    t->acc[i] = LLVMBuildFAdd(cg->builder, before.acc[i], t->acc[i], "");
  micro_loop_end(cg, t, &once);
}

static void tile_variant(const ConvWeight *w, const ConvWeightTile *tile, int mr,
                         const ConvColumns *columns, const ConvWeightBlock *block) {
  Cg *cg = w->cg;
  Micro t = conv_tile(cg, mr, columns);
  LLVMValueRef address = tile_address(w, tile), sums[MICRO_ROWS];
  t.vector_a = w->depthwise;
  t.ak = w->spec.stride[1] * w->spec.ic;
  t.bk = w->dy_copied ? columns->width : w->spec.oc;
  t.unroll = w->stacked ? (int)conv_min_int(MICRO_UNROLL, t.ak) : MICRO_UNROLL;
  t.prefetch = w->taps_h * w->taps_w > 1 ? PREFETCH_PIXELS * t.ak : 0;
  for (int r = 0; r < mr; r++) {
    t.row[r] = cg_int(cg, r);
    sums[r] = cg_int(cg, r * w->spec.oc);
  }
  conv_weight_sum(w, tile, &t, block);
  add_earlier(cg, &t, block, address, sums);
  micro_store(cg, &t, address, sums);
}

/* low <= v < high */
static LLVMValueRef between(Cg *cg, LLVMValueRef v, int64_t low, int64_t high) {
  LLVMValueRef from = conv_sub(cg, v, cg_int(cg, low));
  return LLVMBuildICmp(cg->builder, LLVMIntULT, from, cg_int(cg, high - low), "");
}

static void columns_variants(const ConvWeight *w, ConvWeightTile tile, int mr, LLVMValueRef column,
                             const ConvWeightBlock *block) {
  Cg *cg = w->cg;
  int64_t at = 0;
  for (int i = 0; i < w->channels.count; i++) {
    const ConvColumns *run = &w->channels.run[i];
    CgIf chosen = cg_if(cg, between(cg, column, at, at + run->tiles));
    LLVMValueRef first = cg_mul(cg, conv_sub(cg, column, cg_int(cg, at)), cg_int(cg, run->width));
    tile.output = cg_add(cg, first, cg_int(cg, run->at));
    tile_variant(w, &tile, mr, run, block);
    cg_if_end(cg, &chosen);
    at += run->tiles;
  }
}

/* Finds tile number `number` and does it. The last panel of rows may have numbers without a tile.
 */
static void any_tile(const ConvWeight *w, LLVMValueRef number, const ConvWeightBlock *block) {
  Cg *cg = w->cg;
  ConvWeightTile tile;
  LLVMValueRef rest = number;
  tile.kw = conv_split(cg, &rest, w->taps_w);
  tile.kh = conv_split(cg, &rest, w->taps_h);
  LLVMValueRef row = conv_split(cg, &rest, w->ptiles), panel = conv_split(cg, &rest, w->panels);
  LLVMValueRef column = conv_split(cg, &rest, w->ctiles);
  tile.group = w->groups == 1 ? cg_int(cg, 0) : rest;
  row = cg_add(cg, row, cg_mul(cg, panel, cg_int(cg, w->ptiles)));
  LLVMValueRef skipped = cg_min(cg, row, cg_int(cg, w->rbig));
  tile.row = cg_add(cg, cg_mul(cg, row, cg_int(cg, w->rsmall)), skipped);
  for (int big = 0; big < 2; big++) {
    int64_t low = big ? 0 : w->rbig, high = big ? w->rbig : w->rtiles;
    if (low == high) continue;
    CgIf chosen = cg_if(cg, between(cg, row, low, high));
    columns_variants(w, tile, (int)(w->rsmall + big), column, block);
    cg_if_end(cg, &chosen);
  }
}

/* ---- loops around them ---- */

typedef struct {
  LLVMValueRef begin, end;
} Part;

static void all_tiles(const ConvWeight *w, Part tiles, const ConvWeightBlock *block) {
  CgLoop l = cg_loop(w->cg, tiles.begin, tiles.end, 1);
  any_tile(w, l.index, block);
  cg_loop_end(w->cg, &l);
}

/* All of `inner` that lies within number `at` of the pieces of `size`. */
static Part piece(Cg *cg, Part whole, LLVMValueRef at, int64_t size) {
  LLVMValueRef first = cg_mul(cg, at, cg_int(cg, size));
  return (Part){cg_max(cg, whole.begin, first),
                cg_min(cg, whole.end, cg_add(cg, first, cg_int(cg, size)))};
}

/* A loop over the pieces of `size` that `whole`, which is not empty, touches. */
static CgLoop over_pieces(Cg *cg, Part whole, int64_t size) {
  LLVMValueRef by = cg_int(cg, size), last = conv_sub(cg, whole.end, cg_int(cg, 1));
  LLVMValueRef end = cg_add(cg, LLVMBuildUDiv(cg->builder, last, by, ""), cg_int(cg, 1));
  return cg_loop(cg, LLVMBuildUDiv(cg->builder, whole.begin, by, ""), end, 1);
}

/* What of a block is copied for the panel: its channels are those of tile `column` of `group`. */
static void copy_block(const ConvWeight *w, LLVMValueRef group, LLVMValueRef column,
                       const ConvWeightBlock *block) {
  Cg *cg = w->cg;
  int64_t at = 0;
  if (w->stacked) conv_weight_copy_x(w, block);
  for (int i = 0; w->dy_copied && i < w->channels.count; i++) {
    const ConvColumns *run = &w->channels.run[i];
    CgIf chosen = cg_if(cg, between(cg, column, at, at + run->tiles));
    LLVMValueRef channel = cg_mul(cg, conv_sub(cg, column, cg_int(cg, at)), cg_int(cg, run->width));
    channel =
        cg_add(cg, channel, cg_add(cg, cg_mul(cg, group, cg_int(cg, w->ocg)), cg_int(cg, run->at)));
    conv_weight_copy_dy(w, channel, run, block);
    cg_if_end(cg, &chosen);
    at += run->tiles;
  }
}

/* Tiles of one panel over samples; over one empty block where there are none. */
static void panel_blocks(const ConvWeight *w, LLVMValueRef panel, Part tiles, Part samples) {
  Cg *cg = w->cg;
  const ConvSpec *s = &w->spec;
  LLVMValueRef rest = panel;
  conv_split(cg, &rest, w->panels);
  LLVMValueRef column = conv_split(cg, &rest, w->ctiles),
               group = w->groups == 1 ? cg_int(cg, 0) : rest;
  LLVMValueRef some = cg_max(cg, samples.end, cg_add(cg, samples.begin, cg_int(cg, 1)));
  CgLoop outer = cg_loop(cg, samples.begin, some, w->block_samples);
  CgLoop inner = cg_loop(cg, cg_int(cg, 0), cg_int(cg, s->oh), w->block_rows);
  LLVMValueRef done = cg_add(cg, conv_sub(cg, outer.index, samples.begin), inner.index);
  ConvWeightBlock block = {
      outer.index, cg_min(cg, cg_add(cg, outer.index, cg_int(cg, w->block_samples)), samples.end),
      inner.index,
      cg_min(cg, cg_add(cg, inner.index, cg_int(cg, w->block_rows)), cg_int(cg, s->oh)),
      cg_min(cg, done, cg_int(cg, 1))};
  copy_block(w, group, column, &block);
  all_tiles(w, tiles, &block);
  cg_loop_end(cg, &inner);
  cg_loop_end(cg, &outer);
}

static void share_panels(const ConvWeight *w, Part tiles, Part samples) {
  Cg *cg = w->cg;
  int64_t size = w->ptiles * w->taps_h * w->taps_w;
  CgLoop l = over_pieces(cg, tiles, size);
  panel_blocks(w, l.index, piece(cg, tiles, l.index, size), samples);
  cg_loop_end(cg, &l);
}

static int64_t count_tiles(const ConvWeight *w) {
  return w->ptiles * w->panels * w->taps_h * w->taps_w * w->ctiles * w->groups;
}

static int64_t count_weights(const ConvWeight *w) {
  return w->spec.kh * w->spec.kw * w->icg * w->spec.oc;
}

static void each_share(ConvWeight *w, LLVMValueRef n, Part units) {
  Cg *cg = w->cg;
  if (w->shares == 1) {
    share_panels(w, units, (Part){cg_int(cg, 0), n});
    return;
  }
  int64_t tiles = count_tiles(w);
  LLVMValueRef dw = w->dw, each = conv_ceil(cg, n, w->shares);
  CgLoop l = over_pieces(cg, units, tiles);
  LLVMValueRef before = cg_mul(cg, l.index, cg_int(cg, tiles)), sample = cg_mul(cg, l.index, each);
  Part part = piece(cg, units, l.index, tiles);
  part = (Part){conv_sub(cg, part.begin, before), conv_sub(cg, part.end, before)};
  w->dw = conv_move(cg, dw, l.index, count_weights(w));
  LLVMValueRef end = cg_min(cg, cg_add(cg, sample, each), n);
  share_panels(w, part, (Part){cg_min(cg, sample, end), end});
  w->dw = dw;
  cg_loop_end(cg, &l);
}

/* ---- the sum of the shares ---- */

enum { SUM_UNIT = 4096 }; /* elements */

static void sum_shares(const ConvWeight *w, LLVMValueRef from, LLVMValueRef to, Part span,
                       int lanes) {
  Cg *cg = w->cg;
  CgLoop l = cg_loop(cg, span.begin, span.end, lanes);
  LLVMValueRef at = cg_at(cg, cg->real, from, l.index),
               sum = cg_load(cg, cg->real, at, lanes, NULL);
  for (int64_t i = 1; i < w->shares; i++) {
    LLVMValueRef next = cg_load(cg, cg->real, conv_at(cg, at, i * count_weights(w)), lanes, NULL);
    sum = LLVMBuildFAdd(cg->builder, sum, next, "");
  }
  cg_store(cg, sum, cg_at(cg, cg->real, to, l.index), NULL);
  cg_loop_end(cg, &l);
}

static Kernel reduce_shares(const ConvWeight *w) {
  Cg *cg = w->cg;
  int64_t size = count_weights(w);
  LLVMValueRef f = cg_function(cg, "conv_weight_sum"), unit = cg_int(cg, SUM_UNIT);
  LLVMValueRef from = cg_buffer(cg, LLVMGetParam(f, 0), w->spec.scratch);
  LLVMValueRef to =
      conv_at(cg, cg_buffer(cg, LLVMGetParam(f, 0), w->spec.weight), w->spec.weight_offset);
  LLVMValueRef begin = cg_mul(cg, LLVMGetParam(f, 2), unit);
  LLVMValueRef end = cg_min(cg, cg_mul(cg, LLVMGetParam(f, 3), unit), cg_int(cg, size));
  LLVMValueRef whole =
      LLVMBuildAnd(cg->builder, conv_sub(cg, end, begin), cg_int(cg, -cg->lanes), "");
  whole = cg_add(cg, begin, whole);
  sum_shares(w, from, to, (Part){begin, whole}, cg->lanes);
  sum_shares(w, from, to, (Part){whole, end}, 1);
  LLVMBuildRetVoid(cg->builder);
  return (Kernel){.function = f,
                  .units = {0, size},
                  .per = SUM_UNIT,
                  .work = 0.03 * SUM_UNIT * (double)w->shares};
}

/* ---- shapes ---- */

/* A 1x1 convolution treats every pixel alike: rows are joined to run longer. */
static bool join_rows(ConvSpec *s) {
  bool plain = s->kh == 1 && s->kw == 1 && s->stride[0] == 1 && s->stride[1] == 1 &&
               s->oh == s->ih && s->ow == s->iw && s->pad[0] == 0 && s->pad[2] == 0;
  int64_t join = 1;
  if (!plain) return false;
  while (join < s->oh && (join * s->ow < 64 || s->oh % join)) join++;
  s->oh = s->ih = s->oh / join;
  s->ow = s->iw = s->ow * join;
  return true;
}

/* Bytes of a block of one row of one sample: what it takes of the cache, and what is copied. */
static int64_t row_bytes(const ConvWeight *w) {
  const ConvSpec *s = &w->spec;
  int64_t inputs = w->stacked ? s->ic : conv_min_int(w->icg, w->ptiles * (w->rsmall + 1));
  return (s->ow * w->channels.run[0].width + s->stride[0] * s->iw * inputs) * w->cg->real_bytes;
}

/* Reals in the copy of x. */
static int64_t x_copy(const ConvWeight *w) {
  return w->block_samples * conv_weight_lines(w, w->block_rows) * conv_weight_line(w);
}

/* A block's pixels: many for each load and store of the sums, as long as the panel's part of both
 * images fits. */
static void choose_block(ConvWeight *w) {
  const ConvSpec *s = &w->spec;
  int64_t pixels = s->kh * s->kw > 1 ? 160 : 112, fit = (384 << 10) / row_bytes(w);
  w->block_rows = conv_max_int(1, conv_min_int(conv_ceil_div(pixels, s->ow), fit));
  w->block_samples = 1;
  if (w->block_rows >= s->oh) {
    w->block_rows = s->oh;
    w->block_samples = conv_max_int(1, conv_min_int(pixels / (s->oh * s->ow), fit / s->oh));
  }
  while (w->stacked && x_copy(w) * w->cg->real_bytes > COPY_BYTES) {
    if (w->block_samples > 1) {
      w->block_samples--;
    } else {
      w->block_rows--; /* one row fits, or it would not be stacked */
    }
  }
  int64_t copy =
      w->block_samples * w->block_rows * s->ow * w->channels.run[0].width * w->cg->real_bytes;
  bool others = s->oc > w->channels.run[0].width,
       pays = w->ptiles * w->taps_h * w->taps_w >= COPY_TILES;
  w->dy_copied = others && pays && copy <= COPY_BYTES && !w->stacked;
}

/* Room for the copies of a block, in the function's frame. */
static void make_copies(ConvWeight *w) {
  Cg *cg = w->cg;
  int64_t dy = w->block_samples * w->block_rows * w->spec.ow * w->channels.run[0].width;
  if (w->stacked)
    w->x_block = LLVMBuildArrayAlloca(cg->builder, cg->real, cg_int(cg, x_copy(w)), "");
  if (w->dy_copied) w->dy_block = LLVMBuildArrayAlloca(cg->builder, cg->real, cg_int(cg, dy), "");
}

/* Few input channels, and lines short enough to be copied. */
static bool can_stack(const ConvWeight *w) {
  const ConvSpec *s = &w->spec;
  int64_t least = conv_weight_lines(w, 1) * conv_weight_line(w) * w->cg->real_bytes;
  return w->groups == 1 && !w->depthwise && s->ic < 8 && s->kh * s->kw > 1 && s->dilation[1] == 1 &&
         least <= COPY_BYTES / 2;
}

static void choose_tiles(ConvWeight *w) {
  const ConvSpec *s = &w->spec;
  int mr, nr;
  w->rows = w->stacked ? s->kh * s->kw * s->ic : w->icg;
  w->taps_h = w->stacked ? 1 : s->kh;
  w->taps_w = w->stacked ? 1 : s->kw;
  conv_choose_tile(w->cg, w->rows, conv_vectors(w->cg, w->ocg), w->stacked ? 14 : MICRO_ROWS, &mr,
                   &nr);
  if (w->depthwise) nr = 4;
  w->rtiles = conv_ceil_div(w->rows, mr);
  w->rsmall = w->rows / w->rtiles;
  w->rbig = w->rows % w->rtiles;
  w->panels = w->stacked ? 1 : conv_ceil_div(w->rows, 160);
  w->ptiles = conv_ceil_div(w->rtiles, w->panels);
  w->channels = conv_channels(w->cg, w->ocg, nr);
  for (int i = 0; i < w->channels.count; i++) w->ctiles += w->channels.run[i].tiles;
}

static double unit_work(const ConvWeight *w) {
  const ConvSpec *s = &w->spec;
  int64_t vectors = s->kh * s->kw * w->icg * w->groups * conv_vectors(w->cg, w->ocg);
  double pixels = (double)(s->oh * s->ow) * (double)w->cg->max_batch;
  return conv_work((double)vectors * pixels / (double)(count_tiles(w) * w->shares), w->depthwise);
}

KernelList conv_weight(Cg *cg, const ConvSpec *s) {
  bool depthwise = conv_is_depthwise(s);
  int64_t groups = depthwise ? 1 : s->groups;
  ConvWeight w = {.cg = cg,
                  .spec = *s,
                  .icg = depthwise ? 1 : s->ic / groups,
                  .ocg = s->oc / groups,
                  .groups = groups,
                  .depthwise = depthwise};
  w.stacked = can_stack(&w);
  w.flat = join_rows(&w.spec);
  choose_tiles(&w);
  choose_block(&w);
  int64_t most = conv_min_int(8, cg->max_batch / w.block_samples);
  w.shares = conv_max_int(1, conv_min_int(conv_ceil_div(16, count_tiles(&w)), most));
  LLVMValueRef f = cg_function(cg, "conv_weight"), buffers = LLVMGetParam(f, 0);
  w.x = conv_at(cg, cg_buffer(cg, buffers, s->x), s->x_offset);
  w.dy = conv_at(cg, cg_buffer(cg, buffers, s->y), s->y_offset);
  w.dw = w.shares > 1 ? cg_buffer(cg, buffers, s->scratch)
                      : conv_at(cg, cg_buffer(cg, buffers, s->weight), s->weight_offset);
  make_copies(&w);
  each_share(&w, LLVMGetParam(f, 1), (Part){LLVMGetParam(f, 2), LLVMGetParam(f, 3)});
  LLVMBuildRetVoid(cg->builder);
  KernelList list = {.count = 1,
                     .stage = {{.function = f, .units = {0, count_tiles(&w) * w.shares}}}};
  list.stage[0].work = unit_work(&w);
  if (w.shares == 1) return list;
  list.scratch_bytes = w.shares * count_weights(&w) * cg->real_bytes;
  list.stage[list.count++] = reduce_shares(&w);
  return list;
}
