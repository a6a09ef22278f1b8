/* Outer products of pixels, summed over a block into one tile of dW. */
#include "codegen/conv_weight.h"

/* ---- rows that are channels of one tap: loop bounds leave out the padding ---- */

/* The pixels o in [0, out) with 0 <= o * stride + k * dilation - pad < in, for k at run time. */
static void valid(Cg *cg, LLVMValueRef k, int64_t in, int64_t out, int64_t stride, int64_t dilation,
                  int64_t pad, LLVMValueRef *lo, LLVMValueRef *hi) {
  LLVMValueRef start = conv_sub(cg, cg_int(cg, pad), cg_mul(cg, k, cg_int(cg, dilation)));
  *lo = conv_ceil(cg, start, stride);
  *hi = cg_min(cg, conv_ceil(cg, cg_add(cg, start, cg_int(cg, in)), stride), cg_int(cg, out));
}

static LLVMValueRef weighted(Cg *cg, LLVMValueRef base, LLVMValueRef i, int64_t step) {
  return cg_add(cg, base, cg_mul(cg, i, cg_int(cg, step)));
}

/* Element of channel 0 at the pixel of x that tap (0, 0) of (row, column) reads. */
static LLVMValueRef pixel_of_x(const ConvWeight *w, LLVMValueRef sample, LLVMValueRef row,
                               LLVMValueRef column) {
  Cg *cg = w->cg;
  const ConvSpec *s = &w->spec;
  LLVMValueRef at = cg_int(cg, -(s->pad[0] * s->iw + s->pad[2]) * s->ic);
  at = weighted(cg, at, sample, s->ih * s->iw * s->ic);
  at = weighted(cg, at, row, s->stride[0] * s->iw * s->ic);
  return weighted(cg, at, column, s->stride[1] * s->ic);
}

/* Address of the tile's first channel of a pixel of dy. */
static LLVMValueRef pixel_of_dy(const ConvWeight *w, const ConvWeightTile *tile, const Micro *m,
                                const ConvWeightBlock *b, LLVMValueRef sample, LLVMValueRef row,
                                LLVMValueRef column) {
  Cg *cg = w->cg;
  const ConvSpec *s = &w->spec;
  if (w->dy_copied) {
    LLVMValueRef at =
        weighted(cg, conv_sub(cg, row, b->row), conv_sub(cg, sample, b->sample), w->block_rows);
    return conv_move(cg, w->dy_block, weighted(cg, column, at, s->ow), m->bk);
  }
  LLVMValueRef at = weighted(cg, weighted(cg, column, row, s->ow), sample, s->oh * s->ow);
  at = weighted(cg, tile->output, at, s->oc);
  return cg_at(cg, cg->real, w->dy, weighted(cg, at, tile->group, w->ocg));
}

/* `count` pixels from one on. */
static void sum_pixels(const ConvWeight *w, const ConvWeightTile *tile, Micro *m,
                       const ConvWeightBlock *b, const LLVMValueRef *pixel, LLVMValueRef count) {
  Cg *cg = w->cg;
  const ConvSpec *s = &w->spec;
  LLVMValueRef at = pixel_of_x(w, pixel[0], pixel[1], pixel[2]);
  at = cg_add(cg, at, w->depthwise ? tile->output : weighted(cg, tile->row, tile->group, w->icg));
  at = weighted(cg, at, tile->kh, s->dilation[0] * s->iw * s->ic);
  at = weighted(cg, at, tile->kw, s->dilation[1] * s->ic);
  m->a = cg_at(cg, cg->real, w->x, at);
  m->b = pixel_of_dy(w, tile, m, b, pixel[0], pixel[1], pixel[2]);
  m->k = count;
  micro_run(cg, m);
}

/* All pixels of the block, which follow each other: it has whole samples, or one. */
static void sum_flat(const ConvWeight *w, const ConvWeightTile *tile, Micro *m,
                     const ConvWeightBlock *b) {
  Cg *cg = w->cg;
  LLVMValueRef samples = conv_sub(cg, b->samples, b->sample), rows = conv_sub(cg, b->rows, b->row);
  LLVMValueRef count = cg_mul(cg, cg_mul(cg, samples, rows), cg_int(cg, w->spec.ow));
  sum_pixels(w, tile, m, b, (LLVMValueRef[]){b->sample, b->row, cg_int(cg, 0)}, count);
}

static void sum_channels(const ConvWeight *w, const ConvWeightTile *tile, Micro *m,
                         const ConvWeightBlock *b) {
  Cg *cg = w->cg;
  const ConvSpec *s = &w->spec;
  LLVMValueRef top, bottom, left, right;
  valid(cg, tile->kh, s->ih, s->oh, s->stride[0], s->dilation[0], s->pad[0], &top, &bottom);
  valid(cg, tile->kw, s->iw, s->ow, s->stride[1], s->dilation[1], s->pad[2], &left, &right);
  CgLoop samples = micro_loop(cg, m, b->sample, b->samples, 1);
  CgLoop rows = micro_loop(cg, m, cg_max(cg, top, b->row), cg_min(cg, bottom, b->rows), 1);
  LLVMValueRef pixel[] = {samples.index, rows.index, left};
  LLVMValueRef none = cg_int(cg, 0); /* of a tap that lies in the padding for all pixels */
  sum_pixels(w, tile, m, b, pixel, cg_max(cg, conv_sub(cg, right, left), none));
  micro_loop_end(cg, m, &rows);
  micro_loop_end(cg, m, &samples);
}

/* ---- stacked rows ---- */

int64_t conv_weight_lines(const ConvWeight *w, int64_t rows) {
  return (rows - 1) * w->spec.stride[0] + (w->spec.kh - 1) * w->spec.dilation[0] + 1;
}

int64_t conv_weight_line(const ConvWeight *w) {
  return ((w->spec.ow - 1) * w->spec.stride[1] + w->spec.kw) * w->spec.ic;
}

static void sum_stacked(const ConvWeight *w, const ConvWeightTile *tile, Micro *m,
                        const ConvWeightBlock *b) {
  Cg *cg = w->cg;
  const ConvSpec *s = &w->spec;
  int64_t line = conv_weight_line(w), lines = conv_weight_lines(w, w->block_rows);
  for (int r = 0; r < m->rows; r++) {
    LLVMValueRef row = cg_add(cg, tile->row, cg_int(cg, r)),
                 element = conv_split(cg, &row, s->kw * s->ic);
    m->row[r] = weighted(cg, element, row, s->dilation[0] * line);
  }
  CgLoop samples = micro_loop(cg, m, b->sample, b->samples, 1);
  LLVMValueRef image =
      conv_move(cg, w->x_block, conv_sub(cg, samples.index, b->sample), lines * line);
  CgLoop rows = micro_loop(cg, m, b->row, b->rows, 1);
  m->a = conv_move(cg, image, conv_sub(cg, rows.index, b->row), s->stride[0] * line);
  m->b = pixel_of_dy(w, tile, m, b, samples.index, rows.index, cg_int(cg, 0));
  m->k = cg_int(cg, s->ow);
  micro_run(cg, m);
  micro_loop_end(cg, m, &rows);
  micro_loop_end(cg, m, &samples);
}

void conv_weight_sum(const ConvWeight *w, const ConvWeightTile *tile, Micro *m,
                     const ConvWeightBlock *block) {
  if (w->stacked) {
    sum_stacked(w, tile, m, block);
  } else if (w->flat) {
    sum_flat(w, tile, m, block);
  } else {
    sum_channels(w, tile, m, block);
  }
}

/* ---- copies of a block ---- */

/* `count` reals from `from` (NULL: zeros) to `to`. */
static void copy_reals(Cg *cg, LLVMValueRef from, LLVMValueRef to, int64_t count) {
  ConvChannels vectors = conv_channels(cg, count, 1);
  for (int i = 0; i < vectors.count; i++) {
    const ConvColumns *run = &vectors.run[i];
    LLVMValueRef end = cg_int(cg, run->at + run->tiles * run->width);
    LLVMValueRef mask =
        run->active < run->lanes ? cg_mask(cg, cg_int(cg, run->active), run->lanes) : NULL;
    CgLoop l = cg_loop(cg, cg_int(cg, run->at), end, run->lanes);
    LLVMValueRef v = LLVMConstNull(cg_vector(cg, cg->real, run->lanes));
    if (from) v = cg_load(cg, cg->real, cg_at(cg, cg->real, from, l.index), run->lanes, mask);
    cg_store(cg, v, cg_at(cg, cg->real, to, l.index), mask);
    cg_loop_end(cg, &l);
  }
}

/* One line of the copy: what it has of line `h` of the image, zeros left and right of that. */
static void copy_line(const ConvWeight *w, LLVMValueRef sample, LLVMValueRef h, LLVMValueRef to) {
  Cg *cg = w->cg;
  const ConvSpec *s = &w->spec;
  int64_t line = conv_weight_line(w), left = conv_min_int(s->pad[2] * s->ic, line);
  int64_t middle = conv_min_int(line - left, s->iw * s->ic), right = line - left - middle;
  LLVMValueRef inside = LLVMBuildICmp(cg->builder, LLVMIntULT, h, cg_int(cg, s->ih), "");
  CgIf image = cg_if(cg, inside);
  if (left) copy_reals(cg, NULL, to, left);
  LLVMValueRef from =
      weighted(cg, cg_mul(cg, h, cg_int(cg, s->iw * s->ic)), sample, s->ih * s->iw * s->ic);
  copy_reals(cg, cg_at(cg, cg->real, w->x, from), conv_at(cg, to, left), middle);
  if (right) copy_reals(cg, NULL, conv_at(cg, to, left + middle), right);
  cg_if_end(cg, &image);
  CgIf padding = cg_if(cg, LLVMBuildNot(cg->builder, inside, ""));
  copy_reals(cg, NULL, to, line);
  cg_if_end(cg, &padding);
}

void conv_weight_copy_x(const ConvWeight *w, const ConvWeightBlock *b) {
  Cg *cg = w->cg;
  const ConvSpec *s = &w->spec;
  int64_t line = conv_weight_line(w), all = conv_weight_lines(w, w->block_rows);
  LLVMValueRef first = weighted(cg, cg_int(cg, -s->pad[0]), b->row, s->stride[0]);
  LLVMValueRef lines = weighted(cg, cg_int(cg, all - w->block_rows * s->stride[0]),
                                conv_sub(cg, b->rows, b->row), s->stride[0]);
  CgLoop samples = cg_loop(cg, b->sample, b->samples, 1);
  LLVMValueRef to = conv_move(cg, w->x_block, conv_sub(cg, samples.index, b->sample), all * line);
  CgLoop l = cg_loop(cg, cg_int(cg, 0), lines, 1);
  copy_line(w, samples.index, cg_add(cg, first, l.index), conv_move(cg, to, l.index, line));
  cg_loop_end(cg, &l);
  cg_loop_end(cg, &samples);
}

void conv_weight_copy_dy(const ConvWeight *w, LLVMValueRef channel, const ConvColumns *columns,
                         const ConvWeightBlock *b) {
  Cg *cg = w->cg;
  const ConvSpec *s = &w->spec;
  CgLoop samples = cg_loop(cg, b->sample, b->samples, 1);
  CgLoop rows = cg_loop(cg, b->row, b->rows, 1);
  LLVMValueRef from = weighted(cg, rows.index, samples.index, s->oh);
  from = cg_at(cg, cg->real, w->dy, weighted(cg, channel, from, s->ow * s->oc));
  LLVMValueRef to = weighted(cg, conv_sub(cg, rows.index, b->row),
                             conv_sub(cg, samples.index, b->sample), w->block_rows);
  to = conv_move(cg, w->dy_block, to, s->ow * columns->width);
  CgLoop pixels = cg_loop(cg, cg_int(cg, 0), cg_int(cg, s->ow), 1);
  conv_copy(cg, columns, conv_move(cg, from, pixels.index, s->oc),
            conv_move(cg, to, pixels.index, columns->width));
  cg_loop_end(cg, &pixels);
  cg_loop_end(cg, &rows);
  cg_loop_end(cg, &samples);
}
