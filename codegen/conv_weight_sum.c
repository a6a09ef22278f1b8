/* Outer products of pixels, summed over a block into one tile of dW. */
#include "codegen/conv_weight.h"

/* ---- rows that are channels of one tap: loop bounds leave out the padding ---- */

/* The pixels o in [0, out) with 0 <= o * stride + k * dilation - pad < in, for k at run time. */
static void valid(Cg *cg, LLVMValueRef k, int64_t in, int64_t out, int64_t stride, int64_t dilation, int64_t pad,
                  LLVMValueRef *lo, LLVMValueRef *hi) {
  LLVMValueRef start = conv_sub(cg, cg_int(cg, pad), cg_mul(cg, k, cg_int(cg, dilation)));
  *lo = conv_ceil(cg, start, stride);
  *hi = conv_min(cg, conv_ceil(cg, cg_add(cg, start, cg_int(cg, in)), stride), cg_int(cg, out));
}

/* Element of channel 0 at the pixel of x that tap (0, 0) of (row, column) reads. */
static LLVMValueRef pixel_of_x(const ConvWeight *w, LLVMValueRef sample, LLVMValueRef row, LLVMValueRef column) {
  Cg *cg = w->cg;
  const ConvSpec *s = &w->spec;
  LLVMValueRef h = cg_add(cg, cg_mul(cg, row, cg_int(cg, s->stride[0])), cg_int(cg, -s->pad[0]));
  LLVMValueRef v = cg_add(cg, cg_mul(cg, column, cg_int(cg, s->stride[1])), cg_int(cg, -s->pad[2]));
  LLVMValueRef at = cg_add(cg, cg_mul(cg, sample, cg_int(cg, s->ih)), h);
  return cg_mul(cg, cg_add(cg, cg_mul(cg, at, cg_int(cg, s->iw)), v), cg_int(cg, s->ic));
}

static LLVMValueRef pixel_of_dy(const ConvWeight *w, const ConvWeightTile *tile, LLVMValueRef sample, LLVMValueRef row,
                                LLVMValueRef column) {
  Cg *cg = w->cg;
  LLVMValueRef at = cg_add(cg, cg_mul(cg, sample, cg_int(cg, w->spec.oh)), row);
  at = cg_add(cg, cg_mul(cg, at, cg_int(cg, w->spec.ow)), column);
  at = cg_mul(cg, at, cg_int(cg, w->spec.oc));
  at = cg_add(cg, at, cg_add(cg, cg_mul(cg, tile->group, cg_int(cg, w->ocg)), tile->output));
  return cg_at(cg, cg->real, w->dy, at);
}

static void sum_channels(const ConvWeight *w, const ConvWeightTile *tile, Micro *m, const ConvWeightBlock *b) {
  Cg *cg = w->cg;
  const ConvSpec *s = &w->spec;
  LLVMValueRef top, bottom, left, right;
  valid(cg, tile->kh, s->ih, s->oh, s->stride[0], s->dilation[0], s->pad[0], &top, &bottom);
  valid(cg, tile->kw, s->iw, s->ow, s->stride[1], s->dilation[1], s->pad[2], &left, &right);
  LLVMValueRef tap = cg_mul(cg, tile->kh, cg_int(cg, s->dilation[0] * s->iw));
  tap = cg_mul(cg, cg_add(cg, tap, cg_mul(cg, tile->kw, cg_int(cg, s->dilation[1]))), cg_int(cg, s->ic));
  LLVMValueRef channel = w->depthwise ? tile->output
                                      : cg_add(cg, cg_mul(cg, tile->group, cg_int(cg, w->icg)), tile->row);
  LLVMValueRef x = cg_at(cg, cg->real, w->x, cg_add(cg, tap, channel));
  CgLoop samples = micro_loop(cg, m, b->sample, b->samples, 1);
  CgLoop rows = micro_loop(cg, m, conv_max(cg, top, b->row), conv_min(cg, bottom, b->rows), 1);
  m->a = cg_at(cg, cg->real, x, pixel_of_x(w, samples.index, rows.index, left));
  m->b = pixel_of_dy(w, tile, samples.index, rows.index, left);
  m->k = conv_sub(cg, right, left);
  micro_run(cg, m);
  micro_loop_end(cg, m, &rows);
  micro_loop_end(cg, m, &samples);
}

/* ---- stacked rows: pixels at which all of them count in a plain loop, the others row by row ---- */

typedef struct {
  const ConvWeight *w;
  const ConvWeightTile *tile;
  Micro *m;
  LLVMValueRef kh[MICRO_ROWS];      /* of each row of the tile */
  LLVMValueRef element[MICRO_ROWS]; /* kw * IC + i */
  LLVMValueRef top, bottom;         /* [top, bottom): rows of pixels with all kh inside */
  LLVMValueRef left, right;         /* [left, right): columns with all elements inside */
} Stack;

/* The columns o with 0 <= (o * stride - pad) * IC + e < IW * IC for all elements e from `low` to `high`. */
static void stack_columns(Stack *k, LLVMValueRef low, LLVMValueRef high) {
  Cg *cg = k->w->cg;
  const ConvSpec *s = &k->w->spec;
  int64_t step = s->stride[1] * s->ic;
  k->left = conv_ceil(cg, conv_sub(cg, cg_int(cg, s->pad[2] * s->ic), low), step);
  LLVMValueRef room = conv_sub(cg, cg_int(cg, (s->iw + s->pad[2]) * s->ic), high);
  k->right = conv_min(cg, conv_ceil(cg, room, step), cg_int(cg, s->ow));
}

static void open_stack(Stack *k) {
  const ConvWeight *w = k->w;
  Cg *cg = w->cg;
  const ConvSpec *s = &w->spec;
  LLVMValueRef lo, hi;
  for (int r = 0; r < k->m->rows; r++) {
    LLVMValueRef row = cg_add(cg, k->tile->row, cg_int(cg, r));
    k->element[r] = conv_split(cg, &row, s->kw * s->ic);
    k->kh[r] = row;
    LLVMValueRef line = cg_mul(cg, row, cg_int(cg, s->dilation[0] * s->iw * s->ic));
    k->m->row[r] = cg_add(cg, line, k->element[r]);
  }
  valid(cg, k->kh[0], s->ih, s->oh, s->stride[0], s->dilation[0], s->pad[0], &k->top, &hi);
  valid(cg, k->kh[k->m->rows - 1], s->ih, s->oh, s->stride[0], s->dilation[0], s->pad[0], &lo, &k->bottom);
  LLVMValueRef first = k->element[0], last = k->element[k->m->rows - 1];
  LLVMValueRef wraps = LLVMBuildICmp(cg->builder, LLVMIntNE, k->kh[0], k->kh[k->m->rows - 1], "");
  stack_columns(k, LLVMBuildSelect(cg->builder, wraps, cg_int(cg, 0), first, ""),
                LLVMBuildSelect(cg->builder, wraps, cg_int(cg, s->kw * s->ic - 1), last, ""));
}

/* One pixel of which some taps may be padding. */
static void guarded_pixel(Stack *k, LLVMValueRef sample, LLVMValueRef row, LLVMValueRef column) {
  const ConvWeight *w = k->w;
  Cg *cg = w->cg;
  Micro *m = k->m;
  const ConvSpec *s = &w->spec;
  LLVMValueRef dy = pixel_of_dy(w, k->tile, sample, row, column), b[MICRO_VECTORS];
  for (int v = 0; v < m->vectors; v++) {
    b[v] = cg_load(cg, cg->real, conv_at(cg, dy, v * m->lanes), m->lanes, v == m->vectors - 1 ? m->mask : NULL);
  }
  LLVMValueRef x = pixel_of_x(w, sample, row, column);
  LLVMValueRef h = cg_add(cg, cg_mul(cg, row, cg_int(cg, s->stride[0])), cg_int(cg, -s->pad[0]));
  LLVMValueRef e = cg_add(cg, cg_mul(cg, column, cg_int(cg, s->stride[1])), cg_int(cg, -s->pad[2]));
  e = cg_mul(cg, e, cg_int(cg, s->ic));
  for (int r = 0; r < m->rows; r++) {
    LLVMValueRef line = cg_add(cg, h, cg_mul(cg, k->kh[r], cg_int(cg, s->dilation[0])));
    LLVMValueRef in_height = LLVMBuildICmp(cg->builder, LLVMIntULT, line, cg_int(cg, s->ih), "");
    LLVMValueRef element = cg_add(cg, e, k->element[r]);
    LLVMValueRef in_width = LLVMBuildICmp(cg->builder, LLVMIntULT, element, cg_int(cg, s->iw * s->ic), "");
    LLVMValueRef inside = LLVMBuildAnd(cg->builder, in_height, in_width, "");
    LLVMValueRef at = LLVMBuildSelect(cg->builder, inside, cg_add(cg, x, m->row[r]), cg_int(cg, 0), "");
    LLVMValueRef a = cg_splat(cg, cg_load(cg, cg->real, cg_at(cg, cg->real, w->x, at), 1, NULL), m->lanes);
    for (int v = 0; v < m->vectors; v++) {
      LLVMValueRef *acc = &m->acc[r * m->vectors + v];
      *acc = LLVMBuildSelect(cg->builder, inside, cg_fma(cg, a, b[v], *acc), *acc, "");
    }
  }
}

static bool stack_is_inside(const ConvSpec *s) {
  return s->pad[0] == 0 && s->pad[2] == 0 && (s->ow - 1) * s->stride[1] + s->kw <= s->iw &&
         (s->oh - 1) * s->stride[0] + (s->kh - 1) * s->dilation[0] < s->ih;
}

/* Pixels [left, right) of a row plainly, what is on both sides of them guarded. */
static void stack_row(Stack *k, LLVMValueRef sample, LLVMValueRef row) {
  const ConvWeight *w = k->w;
  Cg *cg = w->cg;
  LLVMValueRef width = cg_int(cg, w->spec.ow), left = cg_int(cg, 0), right = width;
  bool inside = stack_is_inside(&w->spec);
  if (!inside) {
    LLVMValueRef all = LLVMBuildAnd(cg->builder, LLVMBuildICmp(cg->builder, LLVMIntSGE, row, k->top, ""),
                                    LLVMBuildICmp(cg->builder, LLVMIntSLT, row, k->bottom, ""), "");
    all = LLVMBuildAnd(cg->builder, all, LLVMBuildICmp(cg->builder, LLVMIntSLT, k->left, k->right, ""), "");
    right = LLVMBuildSelect(cg->builder, all, k->right, left, "");
    left = LLVMBuildSelect(cg->builder, all, k->left, left, "");
  }
  k->m->a = cg_at(cg, cg->real, w->x, pixel_of_x(w, sample, row, left));
  k->m->b = pixel_of_dy(w, k->tile, sample, row, left);
  k->m->k = conv_sub(cg, right, left);
  micro_run(cg, k->m);
  if (inside) return;
  CgLoop edge = micro_loop(cg, k->m, cg_int(cg, 0), conv_sub(cg, width, k->m->k), 1);
  LLVMValueRef before = LLVMBuildICmp(cg->builder, LLVMIntSLT, edge.index, left, "");
  LLVMValueRef after = cg_add(cg, edge.index, conv_sub(cg, right, left));
  guarded_pixel(k, sample, row, LLVMBuildSelect(cg->builder, before, edge.index, after, ""));
  micro_loop_end(cg, k->m, &edge);
}

static void sum_stacked(const ConvWeight *w, const ConvWeightTile *tile, Micro *m, const ConvWeightBlock *b) {
  Cg *cg = w->cg;
  Stack k = {.w = w, .tile = tile, .m = m};
  open_stack(&k);
  CgLoop samples = micro_loop(cg, m, b->sample, b->samples, 1);
  CgLoop rows = micro_loop(cg, m, b->row, b->rows, 1);
  stack_row(&k, samples.index, rows.index);
  micro_loop_end(cg, m, &rows);
  micro_loop_end(cg, m, &samples);
}

void conv_weight_sum(const ConvWeight *w, const ConvWeightTile *tile, Micro *m, const ConvWeightBlock *block) {
  if (w->stacked) {
    sum_stacked(w, tile, m, block);
  } else {
    sum_channels(w, tile, m, block);
  }
}
