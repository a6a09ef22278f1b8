/* How convolutions cut channels and rows into register tiles, and the arithmetic of indices that
 * they share. */
#include "codegen/conv.h"

/* ---- indices ---- */

LLVMValueRef conv_at(Cg *cg, LLVMValueRef base, int64_t elements) {
  return cg_at(cg, cg->real, base, cg_int(cg, elements));
}

LLVMValueRef conv_move(Cg *cg, LLVMValueRef base, LLVMValueRef count, int64_t step) {
  return cg_at(cg, cg->real, base, cg_mul(cg, count, cg_int(cg, step)));
}

LLVMValueRef conv_sub(Cg *cg, LLVMValueRef a, LLVMValueRef b) {
  return LLVMBuildSub(cg->builder, a, b, "");
}

LLVMValueRef conv_ceil(Cg *cg, LLVMValueRef a, int64_t divisor) {
  LLVMValueRef up = cg_max(cg, cg_add(cg, a, cg_int(cg, divisor - 1)), cg_int(cg, 0));
  return divisor == 1 ? up : LLVMBuildUDiv(cg->builder, up, cg_int(cg, divisor), "");
}

LLVMValueRef conv_split(Cg *cg, LLVMValueRef *rest, int64_t count) {
  LLVMValueRef all = *rest, by = cg_int(cg, count);
  if (count == 1) return cg_int(cg, 0);
  *rest = LLVMBuildUDiv(cg->builder, all, by, "");
  return LLVMBuildURem(cg->builder, all, by, "");
}

/* ---- channels ---- */

int64_t conv_vectors(const Cg *cg, int64_t channels) {
  return (channels + cg->lanes - 1) / cg->lanes;
}

double conv_work(double vectors, bool depthwise) { return vectors / (depthwise ? 1.5 : 6.0); }

static void add_run(ConvChannels *c, int64_t tiles, int vectors, int lanes, int active) {
  int64_t at =
      c->count ? c->run[c->count - 1].at + c->run[c->count - 1].tiles * c->run[c->count - 1].width
               : 0;
  int64_t width = (int64_t)(vectors - 1) * lanes + active;
  if (tiles && vectors)
    c->run[c->count++] = (ConvColumns){at, tiles, width, vectors, lanes, active};
}

ConvChannels conv_channels(const Cg *cg, int64_t channels, int nr) {
  ConvChannels c = {0};
  int64_t full = channels / cg->lanes;
  int rest = (int)(channels % cg->lanes), left = (int)(full % nr);
  add_run(&c, full / nr, nr, cg->lanes, cg->lanes);
  if (rest && cg->masks) {
    add_run(&c, 1, left + 1, cg->lanes, rest);
    return c;
  }
  add_run(&c, 1, left, cg->lanes, cg->lanes);
  for (int lanes = cg->lanes / 2; lanes >= 1; lanes /= 2)
    add_run(&c, rest & lanes ? 1 : 0, 1, lanes, lanes);
  return c;
}

Micro conv_tile(Cg *cg, int rows, const ConvColumns *columns) {
  Micro m = {.rows = rows, .vectors = columns->vectors, .lanes = columns->lanes, .unroll = 1};
  if (columns->active < columns->lanes)
    m.mask = cg_mask(cg, cg_int(cg, columns->active), columns->lanes);
  micro_zero(cg, &m);
  return m;
}

/* ---- the shape of tiles ---- */

int conv_most_rows(const Cg *cg, int nr, int most) {
  while (most > 1 && !micro_fits(cg, most, nr)) most--;
  return most;
}

/* Cycles for a tile of m rows and v vectors, a k: two FMAs a cycle, latency 4, two loads a cycle;
 * and what bringing the operands nearer costs. */
static double tile_cost(int m, int v) {
  double multiply = m * v / 2.0, load = (m + v) / 2.0, least = 4;
  double cost = multiply > load ? multiply : load;
  return (cost > least ? cost : least) + 0.25 * (m + v);
}

/* All of `rows` in tiles of at most mr, `vectors` at most nr at a time. */
static double total_cost(int64_t rows, int64_t vectors, int mr, int nr) {
  int64_t tiles = (rows + mr - 1) / mr, small = rows / tiles, big = rows % tiles;
  double cost = 0;
  for (int part = 0; part < 2; part++) {
    int v = part ? (int)(vectors % nr) : nr;
    double times = part ? 1 : (double)(vectors / nr);
    if (v && times > 0)
      cost += times * ((double)big * tile_cost((int)small + 1, v) +
                       (double)(tiles - big) * tile_cost((int)small, v));
  }
  return cost;
}

void conv_choose_tile(const Cg *cg, int64_t rows, int64_t vectors, int most, int *mr, int *nr) {
  double best = 0;
  *nr = 0;
  for (int v = 1; v <= 4 && v <= vectors; v++) {
    int m = conv_most_rows(cg, v, most);
    if (!micro_fits(cg, m, v)) break;
    double cost = total_cost(rows, vectors, m, v);
    if (*nr && cost > best) continue;
    best = cost;
    *mr = m;
    *nr = v;
  }
}
