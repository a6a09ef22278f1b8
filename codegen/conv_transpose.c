/* The weights for backward-data: each tap's matrix transposed, taps in reverse order,
 *
 *   to[KH - 1 - kh][KW - 1 - kw][o][g * IC/G + i] = from[kh][kw][i][g * OC/G + o].
 *
 * A unit is a block of `lanes` input channels of one group and tap. Square blocks go through a network of shuffles:
 * step d exchanges the off-diagonal d x d halves of every 2d x 2d block. What remains at the edges goes one by one. */
#include "codegen/conv.h"

typedef struct {
  Cg *cg;
  LLVMValueRef from, to;     /* at the block's first element */
  int64_t from_row, to_row;  /* elements from row to row */
} Block;

static LLVMValueRef exchange(Cg *cg, LLVMValueRef a, LLVMValueRef b, int d, bool high) {
  LLVMValueRef lane[64];
  int lanes = cg->lanes;
  for (int j = 0; j < lanes; j++) {
    int at = j & d ? lanes + j - (high ? 0 : d) : j + (high ? d : 0);
    lane[j] = LLVMConstInt(cg->i32, (unsigned long long)at, false);
  }
  return LLVMBuildShuffleVector(cg->builder, a, b, LLVMConstVector(lane, (unsigned)lanes), "");
}

static void square(const Block *t, LLVMValueRef o) {
  Cg *cg = t->cg;
  LLVMValueRef v[64], from = cg_at(cg, cg->real, t->from, o);
  LLVMValueRef to = cg_at(cg, cg->real, t->to, cg_mul(cg, o, cg_int(cg, t->to_row)));
  for (int r = 0; r < cg->lanes; r++) v[r] = cg_load(cg, cg->real, conv_at(cg, from, r * t->from_row), cg->lanes, NULL);
  for (int d = cg->lanes / 2; d >= 1; d /= 2) {
    for (int r = 0; r < cg->lanes; r++) {
      if (r & d) continue;
      LLVMValueRef a = v[r], b = v[r + d];
      v[r] = exchange(cg, a, b, d, false);
      v[r + d] = exchange(cg, a, b, d, true);
    }
  }
  for (int r = 0; r < cg->lanes; r++) cg_store(cg, v[r], conv_at(cg, to, r * t->to_row), NULL);
}

static void one_by_one(const Block *t, LLVMValueRef rows, LLVMValueRef begin, LLVMValueRef end) {
  Cg *cg = t->cg;
  CgLoop o = cg_loop(cg, begin, end, 1);
  CgLoop i = cg_loop(cg, cg_int(cg, 0), rows, 1);
  LLVMValueRef from = cg_add(cg, cg_mul(cg, i.index, cg_int(cg, t->from_row)), o.index);
  LLVMValueRef to = cg_add(cg, cg_mul(cg, o.index, cg_int(cg, t->to_row)), i.index);
  LLVMValueRef x = cg_load(cg, cg->real, cg_at(cg, cg->real, t->from, from), 1, NULL);
  cg_store(cg, x, cg_at(cg, cg->real, t->to, to), NULL);
  cg_loop_end(cg, &i);
  cg_loop_end(cg, &o);
}

/* `rows` input channels, all `columns` output channels of the group. */
static void block(const Block *t, LLVMValueRef rows, int64_t columns) {
  Cg *cg = t->cg;
  int64_t whole = columns - columns % cg->lanes;
  LLVMValueRef full = LLVMBuildICmp(cg->builder, LLVMIntSGE, rows, cg_int(cg, cg->lanes), "");
  LLVMValueRef end = LLVMBuildSelect(cg->builder, full, cg_int(cg, whole), cg_int(cg, 0), "");
  if (whole) {
    CgLoop o = cg_loop(cg, cg_int(cg, 0), end, cg->lanes);
    square(t, o.index);
    cg_loop_end(cg, &o);
  }
  one_by_one(t, conv_min(cg, rows, cg_int(cg, cg->lanes)), end, cg_int(cg, columns));
}

static void unit(Cg *cg, const ConvSpec *s, LLVMValueRef u, LLVMValueRef from, LLVMValueRef to) {
  int64_t icg = s->ic / s->groups, ocg = s->oc / s->groups, taps = s->kh * s->kw;
  LLVMValueRef blocks = cg_int(cg, conv_ceil_div(icg, cg->lanes)), groups = cg_int(cg, s->groups);
  LLVMValueRef first = cg_mul(cg, LLVMBuildURem(cg->builder, u, blocks, ""), cg_int(cg, cg->lanes));
  LLVMValueRef rest = LLVMBuildUDiv(cg->builder, u, blocks, "");
  LLVMValueRef g = LLVMBuildURem(cg->builder, rest, groups, ""), tap = LLVMBuildUDiv(cg->builder, rest, groups, "");
  LLVMValueRef i = cg_add(cg, cg_mul(cg, tap, cg_int(cg, icg)), first);
  LLVMValueRef at = cg_add(cg, cg_mul(cg, i, cg_int(cg, s->oc)), cg_mul(cg, g, cg_int(cg, ocg)));
  LLVMValueRef mirrored = conv_sub(cg, cg_int(cg, taps - 1), tap);
  LLVMValueRef column = cg_add(cg, cg_mul(cg, g, cg_int(cg, icg)), first);
  LLVMValueRef target = cg_add(cg, cg_mul(cg, mirrored, cg_int(cg, ocg * s->ic)), column);
  Block t = {cg, cg_at(cg, cg->real, from, at), cg_at(cg, cg->real, to, target), s->oc, s->ic};
  block(&t, conv_sub(cg, cg_int(cg, icg), first), ocg);
}

Kernel conv_transpose(Cg *cg, const ConvSpec *s) {
  LLVMValueRef f = cg_function(cg, "conv_transpose");
  LLVMValueRef buffers = LLVMGetParam(f, 0);
  LLVMValueRef from = conv_at(cg, cg_buffer(cg, buffers, s->weight), s->weight_offset);
  LLVMValueRef to = cg_buffer(cg, buffers, s->scratch);
  CgLoop l = cg_loop(cg, LLVMGetParam(f, 2), LLVMGetParam(f, 3), 1);
  unit(cg, s, l.index, from, to);
  cg_loop_end(cg, &l);
  LLVMBuildRetVoid(cg->builder);
  int64_t units = s->kh * s->kw * s->groups * conv_ceil_div(s->ic / s->groups, cg->lanes);
  double work = 0.1 * (double)(cg->lanes * (s->oc / s->groups));
  return (Kernel){.function = f, .units = {0, units}, .work = work};
}
