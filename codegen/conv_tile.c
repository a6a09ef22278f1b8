/* Tiles of convolutions: accumulators [rows][vectors of channels] in registers, and how they are fed.
 *
 *   acc[r][v] += A[r] * B[v]     A a scalar broadcast from memory (a vector, when depthwise), B vectors of weights
 *
 * Invariant: rows * vectors + vectors + 1 <= vector registers, or LLVM spills (the callers choose tiles). */
#include "codegen/conv.h"

LLVMValueRef conv_at(Cg *cg, LLVMValueRef base, int64_t elements) {
  return elements == 0 ? base : cg_at(cg, cg->real, base, cg_int(cg, elements));
}

LLVMValueRef conv_sub(Cg *cg, LLVMValueRef a, LLVMValueRef b) {
  return LLVMBuildSub(cg->builder, a, b, "");
}

LLVMValueRef conv_min(Cg *cg, LLVMValueRef a, LLVMValueRef b) {
  LLVMValueRef less = LLVMBuildICmp(cg->builder, LLVMIntSLT, a, b, "");
  return LLVMBuildSelect(cg->builder, less, a, b, "");
}

LLVMValueRef conv_max(Cg *cg, LLVMValueRef a, LLVMValueRef b) {
  LLVMValueRef less = LLVMBuildICmp(cg->builder, LLVMIntSLT, a, b, "");
  return LLVMBuildSelect(cg->builder, less, b, a, "");
}

LLVMValueRef conv_ceil(Cg *cg, LLVMValueRef a, int64_t divisor) {
  LLVMValueRef up = conv_max(cg, cg_add(cg, a, cg_int(cg, divisor - 1)), cg_int(cg, 0));
  return divisor == 1 ? up : LLVMBuildUDiv(cg->builder, up, cg_int(cg, divisor), "");
}

int64_t conv_vectors(const Cg *cg, int64_t channels) { return (channels + cg->lanes - 1) / cg->lanes; }

/* The channels after the last full vector: one masked vector, or powers of two where masks are slow. */
static int tail_pieces(const Cg *cg, int64_t channels, ConvPiece *piece) {
  int64_t rest = channels % cg->lanes, at = channels - rest;
  int count = 0;
  if (rest && cg->masks) {
    piece[count++] = (ConvPiece){at, cg->lanes, (int)rest};
  } else {
    for (int lanes = cg->lanes / 2; lanes >= 1; lanes /= 2) {
      if (!(rest & lanes)) continue;
      piece[count++] = (ConvPiece){at, lanes, lanes};
      at += lanes;
    }
  }
  return count;
}

/* Adds a piece that starts at channel `at` of the image to the last run, or to a new one when that is full. */
static void add_piece(ConvChannels *c, ConvPiece piece, int nr, bool fresh) {
  if (fresh || c->run[c->count - 1].count == nr) {
    c->run[c->count++] = (ConvColumns){.at = piece.at, .tiles = 1};
  }
  ConvColumns *run = &c->run[c->count - 1];
  piece.at -= run->at;
  run->piece[run->count++] = piece;
  run->width = piece.at + piece.active;
}

ConvChannels conv_channels(const Cg *cg, int64_t channels, int nr) {
  ConvChannels c = {0};
  int64_t full = channels / cg->lanes, tiles = full / nr;
  if (tiles) {
    ConvColumns *run = &c.run[c.count++];
    *run = (ConvColumns){.tiles = tiles, .width = (int64_t)nr * cg->lanes, .count = nr};
    for (int v = 0; v < nr; v++) {
      run->piece[v] = (ConvPiece){(int64_t)v * cg->lanes, cg->lanes, cg->lanes};
    }
  }
  bool fresh = true;
  for (int64_t v = tiles * nr; v < full; v++, fresh = false) {
    add_piece(&c, (ConvPiece){v * cg->lanes, cg->lanes, cg->lanes}, nr, fresh);
  }
  ConvPiece piece[CONV_COLUMNS];
  int rest = tail_pieces(cg, channels, piece);
  for (int i = 0; i < rest; i++, fresh = false) add_piece(&c, piece[i], nr, fresh);
  return c;
}

void conv_tile_init(ConvTile *t, Cg *cg, int mr, const ConvColumns *columns) {
  *t = (ConvTile){.cg = cg, .mr = mr, .columns = columns, .unroll = 1};
  for (int v = 0; v < columns->count; v++) {
    const ConvPiece *p = &columns->piece[v];
    if (p->active < p->lanes) t->mask[v] = cg_mask(cg, cg_int(cg, p->active), p->lanes);
  }
}

void conv_tile_zero(ConvTile *t) {
  for (int r = 0; r < t->mr; r++) {
    for (int v = 0; v < t->columns->count; v++) {
      t->acc[r][v] = LLVMConstNull(cg_vector(t->cg, t->cg->real, t->columns->piece[v].lanes));
    }
  }
}

CgLoop conv_tile_loop(ConvTile *t, LLVMValueRef begin, LLVMValueRef end, int64_t step) {
  CgLoop l = cg_loop(t->cg, begin, end, step);
  for (int r = 0; r < t->mr; r++) {
    for (int v = 0; v < t->columns->count; v++) t->acc[r][v] = cg_carry(t->cg, &l, t->acc[r][v]);
  }
  return l;
}

void conv_tile_loop_end(ConvTile *t, CgLoop *l) {
  int i = 0;
  for (int r = 0; r < t->mr; r++) {
    for (int v = 0; v < t->columns->count; v++, i++) {
      cg_carry_next(l, l->carried[i], t->acc[r][v]);
      t->acc[r][v] = l->carried[i];
    }
  }
  cg_loop_end(t->cg, l);
}

void conv_tile_step(ConvTile *t, LLVMValueRef a, LLVMValueRef b, uint32_t rows) {
  Cg *cg = t->cg;
  const ConvPiece *piece = t->columns->piece;
  LLVMValueRef vector[CONV_COLUMNS];
  for (int v = 0; v < t->columns->count; v++) {
    vector[v] = cg_load(cg, cg->real, conv_at(cg, b, piece[v].at), piece[v].lanes, t->mask[v]);
  }
  for (int r = 0; r < t->mr; r++) {
    if (!(rows >> r & 1)) continue;
    LLVMValueRef address = conv_at(cg, a, r * t->row_step), x = NULL;
    if (!t->vector_a) x = cg_load(cg, cg->real, address, 1, NULL);
    for (int v = 0; v < t->columns->count; v++) {
      LLVMValueRef y = t->vector_a ? cg_load(cg, cg->real, conv_at(cg, address, piece[v].at), piece[v].lanes,
                                             t->mask[v])
                                   : cg_splat(cg, x, piece[v].lanes);
      t->acc[r][v] = cg_fma(cg, y, vector[v], t->acc[r][v]);
    }
  }
}

static void steps(ConvTile *t, LLVMValueRef a, LLVMValueRef b, int count, uint32_t rows) {
  for (int i = 0; i < count; i++) {
    conv_tile_step(t, conv_at(t->cg, a, i * t->k_step), conv_at(t->cg, b, i * t->ldb), rows);
  }
}

static LLVMValueRef advance(ConvTile *t, LLVMValueRef base, LLVMValueRef k, int64_t step) {
  return cg_at(t->cg, t->cg->real, base, cg_mul(t->cg, k, cg_int(t->cg, step)));
}

static void run_steps(ConvTile *t, LLVMValueRef a, LLVMValueRef b, LLVMValueRef end, int unroll, uint32_t rows) {
  CgLoop l = conv_tile_loop(t, cg_int(t->cg, 0), end, unroll);
  steps(t, advance(t, a, l.index, t->k_step), advance(t, b, l.index, t->ldb), unroll, rows);
  conv_tile_loop_end(t, &l);
}

void conv_tile_run(ConvTile *t, LLVMValueRef a, LLVMValueRef b, int64_t count, uint32_t rows) {
  int64_t whole = count / t->unroll * t->unroll;
  if (whole > t->unroll) {
    run_steps(t, a, b, cg_int(t->cg, whole), t->unroll, rows);
  } else {
    whole = 0;
  }
  steps(t, conv_at(t->cg, a, whole * t->k_step), conv_at(t->cg, b, whole * t->ldb), (int)(count - whole), rows);
}

void conv_tile_run_dynamic(ConvTile *t, LLVMValueRef a, LLVMValueRef b, LLVMValueRef count) {
  run_steps(t, a, b, count, 1, UINT32_MAX);
}
