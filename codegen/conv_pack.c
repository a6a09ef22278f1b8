/* Weights packed for conv_grid.c: panels [group][tile of channels][tap][k][channel of the tile].
 *
 * Forward: `k` are input channels and the panels take whole vectors from [tap][k][channel]; a unit
 * is some k of a tap. Backward-data: `k` are output channels, so that each tap's matrix
 * [channel][k] is transposed, and the taps go in reverse order, without those out of reach. A unit
 * is a block of `lanes` channels of one group and tap. Square blocks go through a network of
 * shuffles: step d exchanges the off-diagonal d x d halves of every 2d x 2d block. What remains at
 * the edges goes one by one.
 */
#include "codegen/conv.h"

enum { PACK_ROWS = 16 };

/* ---- backward-data ---- */

typedef struct {
  const ConvPlan *plan;
  LLVMValueRef from, to;            /* the weights, the panels */
  LLVMValueRef group, tap, channel; /* of the unit; its first channel in the group */
  LLVMValueRef at;                  /* of the tap, in the panels */
} Unit;

static LLVMValueRef exchange(Cg *cg, LLVMValueRef a, LLVMValueRef b, int d, bool high) {
  LLVMValueRef lane[64];
  int lanes = cg->lanes;
  for (int j = 0; j < lanes; j++) {
    int at = j & d ? lanes + j - (high ? 0 : d) : j + (high ? d : 0);
    lane[j] = LLVMConstInt(cg->i32, (unsigned long long)at, false);
  }
  return LLVMBuildShuffleVector(cg->builder, a, b, LLVMConstVector(lane, (unsigned)lanes), "");
}

/* The panel of `channel` of a group: its first channel and width. */
static void panel_of(const ConvPlan *p, LLVMValueRef channel, LLVMValueRef *first,
                     LLVMValueRef *width) {
  Cg *cg = p->cg;
  for (int i = 0; i < p->channels.count; i++) {
    const ConvColumns *run = &p->channels.run[i];
    LLVMValueRef inside = conv_sub(cg, channel, cg_int(cg, run->at));
    LLVMValueRef tile = LLVMBuildUDiv(cg->builder, inside, cg_int(cg, run->width), "");
    LLVMValueRef at = cg_add(cg, cg_mul(cg, tile, cg_int(cg, run->width)), cg_int(cg, run->at));
    LLVMValueRef here = LLVMBuildICmp(cg->builder, LLVMIntSGE, channel, cg_int(cg, run->at), "");
    *first = i ? LLVMBuildSelect(cg->builder, here, at, *first, "") : at;
    *width = i ? LLVMBuildSelect(cg->builder, here, cg_int(cg, run->width), *width, "")
               : cg_int(cg, run->width);
  }
}

/* Where (k = 0, channel) of the unit's tap is, and in *row how far it is from k to k. */
static LLVMValueRef target(const Unit *u, LLVMValueRef channel, LLVMValueRef *row) {
  const ConvPlan *p = u->plan;
  Cg *cg = p->cg;
  int64_t taps = conv_packed_taps(p);
  LLVMValueRef first = NULL;
  panel_of(p, channel, &first, row);
  LLVMValueRef panel = cg_add(cg, cg_mul(cg, u->group, cg_int(cg, p->ck)), first);
  LLVMValueRef k = cg_mul(cg, u->at, cg_int(cg, p->ak));
  LLVMValueRef at = cg_add(cg, cg_mul(cg, panel, cg_int(cg, taps * p->ak)), cg_mul(cg, k, *row));
  return cg_at(cg, cg->real, u->to, cg_add(cg, at, conv_sub(cg, channel, first)));
}

static LLVMValueRef source(const Unit *u, LLVMValueRef channel) {
  const ConvPlan *p = u->plan;
  Cg *cg = p->cg;
  LLVMValueRef row = cg_add(cg, cg_mul(cg, u->tap, cg_int(cg, p->ck)), channel);
  LLVMValueRef at =
      cg_add(cg, cg_mul(cg, row, cg_int(cg, p->ac)), cg_mul(cg, u->group, cg_int(cg, p->ak)));
  return cg_at(cg, cg->real, u->from, at);
}

static void square(const Unit *u, LLVMValueRef from, LLVMValueRef to, LLVMValueRef row) {
  Cg *cg = u->plan->cg;
  LLVMValueRef v[64];
  for (int r = 0; r < cg->lanes; r++) {
    v[r] = cg_load(cg, cg->real, conv_at(cg, from, r * u->plan->ac), cg->lanes, NULL);
  }
  for (int d = cg->lanes / 2; d >= 1; d /= 2) {
    for (int r = 0; r < cg->lanes; r++) {
      if (r & d) continue;
      LLVMValueRef a = v[r], b = v[r + d];
      v[r] = exchange(cg, a, b, d, false);
      v[r + d] = exchange(cg, a, b, d, true);
    }
  }
  for (int r = 0; r < cg->lanes; r++) cg_store(cg, v[r], conv_move(cg, to, row, r), NULL);
}

static void one_by_one(const Unit *u, LLVMValueRef channels, LLVMValueRef begin) {
  Cg *cg = u->plan->cg;
  LLVMValueRef row;
  CgLoop c = cg_loop(cg, u->channel, cg_add(cg, u->channel, channels), 1);
  LLVMValueRef from = source(u, c.index), to = target(u, c.index, &row);
  CgLoop k = cg_loop(cg, begin, cg_int(cg, u->plan->ak), 1);
  LLVMValueRef x = cg_load(cg, cg->real, cg_at(cg, cg->real, from, k.index), 1, NULL);
  cg_store(cg, x, cg_at(cg, cg->real, to, cg_mul(cg, k.index, row)), NULL);
  cg_loop_end(cg, &k);
  cg_loop_end(cg, &c);
}

/* A full block lies in one panel; the last one may not. */
static void transpose_unit(const Unit *u) {
  const ConvPlan *p = u->plan;
  Cg *cg = p->cg;
  LLVMValueRef count = conv_sub(cg, cg_int(cg, p->ck), u->channel), end = cg_int(cg, 0), row;
  LLVMValueRef full = LLVMBuildICmp(cg->builder, LLVMIntSGE, count, cg_int(cg, cg->lanes), "");
  if (p->ak >= cg->lanes) {
    LLVMValueRef from = source(u, u->channel), to = target(u, u->channel, &row);
    end = LLVMBuildSelect(cg->builder, full, cg_int(cg, p->ak - p->ak % cg->lanes), end, "");
    CgLoop l = cg_loop(cg, cg_int(cg, 0), end, cg->lanes);
    square(u, cg_at(cg, cg->real, from, l.index), cg_at(cg, cg->real, to, cg_mul(cg, l.index, row)),
           row);
    cg_loop_end(cg, &l);
  }
  one_by_one(u, cg_min(cg, count, cg_int(cg, cg->lanes)), end);
}

/* ---- forward ---- */

void conv_copy(Cg *cg, const ConvColumns *columns, LLVMValueRef from, LLVMValueRef to) {
  LLVMValueRef mask = NULL;
  if (columns->active < columns->lanes)
    mask = cg_mask(cg, cg_int(cg, columns->active), columns->lanes);
  for (int v = 0; v < columns->vectors; v++) {
    int64_t at = (int64_t)v * columns->lanes;
    LLVMValueRef use = v == columns->vectors - 1 ? mask : NULL;
    cg_store(cg, cg_load(cg, cg->real, conv_at(cg, from, at), columns->lanes, use),
             conv_at(cg, to, at), use);
  }
}

/* Rows [begin, end) of the weights as a matrix [tap * k][channel], into all panels. */
static void copy_unit(const ConvPlan *p, LLVMValueRef begin, LLVMValueRef end, LLVMValueRef from,
                      LLVMValueRef to) {
  Cg *cg = p->cg;
  int64_t height = conv_packed_taps(p) * p->ak;
  CgLoop groups = cg_loop(cg, cg_int(cg, 0), cg_int(cg, p->groups), 1);
  for (int i = 0; i < p->channels.count; i++) {
    const ConvColumns *run = &p->channels.run[i];
    LLVMValueRef first =
        cg_add(cg, cg_mul(cg, groups.index, cg_int(cg, p->ck)), cg_int(cg, run->at));
    CgLoop tile =
        cg_loop(cg, first, cg_add(cg, first, cg_int(cg, run->tiles * run->width)), run->width);
    CgLoop row = cg_loop(cg, begin, end, 1);
    LLVMValueRef source = conv_move(cg, cg_at(cg, cg->real, from, tile.index), row.index, p->cc);
    LLVMValueRef panel = conv_move(cg, to, tile.index, height);
    conv_copy(cg, run, source, conv_move(cg, panel, row.index, run->width));
    cg_loop_end(cg, &row);
    cg_loop_end(cg, &tile);
  }
  cg_loop_end(cg, &groups);
}

static Kernel pack_forward(const ConvPlan *p, LLVMValueRef f, LLVMValueRef from, LLVMValueRef to) {
  Cg *cg = p->cg;
  int64_t height = conv_packed_taps(p) * p->ak;
  LLVMValueRef rows = cg_int(cg, PACK_ROWS), begin = cg_mul(cg, LLVMGetParam(f, 2), rows);
  copy_unit(p, begin, cg_min(cg, cg_mul(cg, LLVMGetParam(f, 3), rows), cg_int(cg, height)), from,
            to);
  return (Kernel){.function = f,
                  .units = {0, height},
                  .per = PACK_ROWS,
                  .work = 0.1 * (double)(PACK_ROWS * p->cc)};
}

static Kernel pack_input(const ConvPlan *p, LLVMValueRef f, LLVMValueRef from, LLVMValueRef to) {
  Cg *cg = p->cg;
  const ConvReach *reach = p->reach;
  CgLoop l = cg_loop(cg, LLVMGetParam(f, 2), LLVMGetParam(f, 3), 1);
  LLVMValueRef rest = l.index, block = conv_split(cg, &rest, conv_ceil_div(p->ck, cg->lanes));
  Unit u = {.plan = p, .from = from, .to = to, .channel = cg_mul(cg, block, cg_int(cg, cg->lanes))};
  u.group = conv_split(cg, &rest, p->groups);
  u.at = rest;
  LLVMValueRef kw = conv_split(cg, &rest, reach[1].end - reach[1].first);
  LLVMValueRef kh = conv_sub(cg, cg_int(cg, reach[0].end - 1), rest);
  kw = conv_sub(cg, cg_int(cg, reach[1].end - 1), kw);
  u.tap = cg_add(cg, cg_mul(cg, kh, cg_int(cg, p->spec->kw)), kw);
  transpose_unit(&u);
  cg_loop_end(cg, &l);
  int64_t units = conv_packed_taps(p) * p->groups * conv_ceil_div(p->ck, cg->lanes);
  return (Kernel){.function = f, .units = {0, units}, .work = 0.1 * (double)(cg->lanes * p->ak)};
}

Kernel conv_pack(const ConvPlan *p) {
  Cg *cg = p->cg;
  bool forward = p->spec->direction == CONV_FORWARD;
  LLVMValueRef f = cg_function(cg, forward ? "conv_pack" : "conv_transpose"),
               buffers = LLVMGetParam(f, 0);
  LLVMValueRef from = conv_at(cg, cg_buffer(cg, buffers, p->spec->weight), p->spec->weight_offset);
  LLVMValueRef to = cg_buffer(cg, buffers, p->spec->scratch);
  Kernel k = forward ? pack_forward(p, f, from, to) : pack_input(p, f, from, to);
  LLVMBuildRetVoid(cg->builder);
  return k;
}
