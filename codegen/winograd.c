/* Where it pays, the cut into units, and the products. See winograd.h. */
#include "codegen/winograd.h"

/* ROOM: bytes of stack for V and M. TILES: so many would do for the best register tile. UNITS: to
 * have so many, so that threads share the work evenly, a block is transformed more than once. */
enum { ROOM = 256 << 10, TILES = 24, UNITS = 8 };

/* ---- does it pay? ---- */

/* Pairs of a pixel and a tap along an axis that are not padding. */
static double meetings(int64_t pixels, int64_t extent, int64_t origin) {
  int64_t count = 0;
  for (int64_t tap = 0; tap < 3; tap++) {
    int64_t lo = conv_max_int(0, -origin - tap), hi = conv_min_int(pixels, extent - origin - tap);
    count += conv_max_int(hi - lo, 0);
  }
  return (double)count;
}

/* Of the axis: where the tap 0 of pixel 0 is. */
static int64_t origin(const ConvSpec *s, int axis) {
  return s->direction == CONV_FORWARD ? -s->pad[2 * axis] : s->pad[2 * axis] - 2;
}

/* In vectors of multiply-adds. What a transform takes is mostly loads and stores; that of the
 * weights comes from far. */
static bool pays(const ConvPlan *p) {
  double n = (double)p->cg->max_batch, in = (double)conv_vectors(p->cg, p->ak),
         out = (double)conv_vectors(p->cg, p->ck),
         tiles = n * (double)((p->ch + 1) / 2) * (double)((p->cw + 1) / 2);
  double direct = n * meetings(p->ch, p->ah, origin(p->spec, 0)) *
                  meetings(p->cw, p->aw, origin(p->spec, 1)) * (double)p->ak * out;
  double products = WINOGRAD_ELEMENTS * tiles * (double)p->ak * out * 1.1;
  double images = tiles * (50 * in + 60 * out), weights = 100 * (double)p->ak * out;
  return 1.1 * (products + images + weights) < direct;
}

static int64_t depth_of(const Cg *cg, const ConvPlan *p) {
  return (conv_vectors(cg, p->ak) + 1) * cg->lanes;
}

static int64_t tile_bytes(const Cg *cg, const ConvPlan *p, int nr) {
  return WINOGRAD_ELEMENTS * (depth_of(cg, p) + (int64_t)nr * cg->lanes) * cg->real_bytes;
}

const char *kernel_conv_direct(const Cg *cg, const ConvSpec *s) {
  if (s->direction == CONV_WEIGHT) return "it is the gradient of weights";
  if (!cg->options.level) return "nothing is optimised";
  if (s->kh != 3 || s->kw != 3) return "its kernel is not 3x3";
  if (s->stride[0] != 1 || s->stride[1] != 1) return "its stride is not 1";
  if (s->dilation[0] != 1 || s->dilation[1] != 1) return "it is dilated";
  if (s->groups != 1) return "it has groups";
  ConvPlan p = conv_roles((Cg *)cg, s);
  if (4 * tile_bytes(cg, &p, 4) > ROOM) return "it has too many channels";
  if (!pays(&p)) return "transforms would take longer than the multiplications they save";
  return NULL;
}

/* ---- the cut ---- */

/* Blocks of about the same size that fit on the stack, in register tiles of about the same size. */
static void plan_block(Winograd *w, ConvPlan *p) {
  Cg *cg = w->cg;
  int64_t total = cg->max_batch * w->down * w->across;
  conv_choose_tile(cg, TILES, conv_vectors(cg, p->ck), CONV_FAR_ROWS, &w->rows, &p->nr);
  int64_t most = ROOM / tile_bytes(cg, p, p->nr);
  w->rows = (int)conv_min_int(w->rows, most);
  most -= most % w->rows;
  int64_t tiles = conv_ceil_div(total, conv_ceil_div(total, most));
  int64_t turns = conv_ceil_div(tiles, w->rows);
  w->rows = (int)conv_ceil_div(tiles, turns);
  w->block = turns * w->rows;
}

static void plan_parts(Winograd *w) {
  const ConvPlan *p = w->conv;
  int64_t blocks = conv_ceil_div(w->cg->max_batch * w->down * w->across, w->block), panels = 0;
  for (int i = 0; i < p->channels.count; i++) panels += p->channels.run[i].tiles;
  w->panels = conv_ceil_div(panels, conv_ceil_div(UNITS, blocks));
  w->parts = conv_ceil_div(panels, w->panels);
}

static Winograd plan(Cg *cg, ConvPlan *p) {
  Winograd w = {.cg = cg,
                .conv = p,
                .h0 = origin(p->spec, 0),
                .w0 = origin(p->spec, 1),
                .down = (p->ch + 1) / 2,
                .across = (p->cw + 1) / 2,
                .depth = depth_of(cg, p),
                .vectors = conv_channels(cg, p->ak, 1)};
  plan_block(&w, p);
  p->reach[0] = p->reach[1] = (ConvReach){0, 3}; /* all are transformed */
  p->channels = conv_channels(cg, p->ck, p->nr);
  plan_parts(&w);
  w.u_offset = conv_ceil_div(conv_packed_bytes(p), 64) * 64 / cg->real_bytes;
  return w;
}

static int64_t u_elements(const Winograd *w) {
  return WINOGRAD_ELEMENTS * (w->conv->ak + 1) * w->conv->cc;
}

/* ---- transforms ---- */

void winograd_both(Cg *cg, WinogradLine *line, int from, int to, const LLVMValueRef *x,
                   LLVMValueRef *out) {
  LLVMValueRef half[WINOGRAD_ELEMENTS], in[4], result[4];
  for (int j = 0; j < from; j++) {
    for (int i = 0; i < from; i++) in[i] = x[i * from + j];
    line(cg, in, result);
    for (int i = 0; i < to; i++) half[i * from + j] = result[i];
  }
  for (int i = 0; i < to; i++) line(cg, half + (ptrdiff_t)i * from, out + (ptrdiff_t)i * to);
}

WinogradTile winograd_tile(const WinogradUnit *u, LLVMValueRef index) {
  LLVMValueRef rest = cg_add(u->cg, u->first, index);
  LLVMValueRef column = conv_split(u->cg, &rest, u->w->across);
  LLVMValueRef row = conv_split(u->cg, &rest, u->w->down);
  return (WinogradTile){rest, row, column};
}

LLVMValueRef winograd_panel(const Winograd *w, LLVMValueRef buffers, LLVMValueRef channel) {
  LLVMValueRef u = conv_at(w->cg, cg_buffer(w->cg, buffers, w->conv->spec->scratch), w->u_offset);
  return conv_move(w->cg, u, channel, WINOGRAD_ELEMENTS * (w->conv->ak + 1));
}

/* ---- products ---- */

/* M[element] for the panel, from `u` on. */
static void multiply(const WinogradUnit *s, LLVMValueRef u) {
  Cg *cg = s->cg;
  const Winograd *w = s->w;
  int64_t width = s->columns->width;
  LLVMValueRef row[MICRO_ROWS];
  CgLoop element = cg_loop(cg, cg_int(cg, 0), cg_int(cg, WINOGRAD_ELEMENTS), 1);
  CgLoop tile = cg_loop(cg, cg_int(cg, 0), s->count, w->rows);
  LLVMValueRef at = cg_add(cg, cg_mul(cg, element.index, cg_int(cg, w->block)), tile.index);
  Micro m = conv_tile(cg, w->rows, s->columns);
  m.unroll = MICRO_UNROLL;
  m.a = conv_move(cg, s->v, at, w->depth);
  m.ak = 1;
  m.b = conv_move(cg, u, element.index, winograd_matrix(w, s->columns));
  m.bk = width;
  m.k = cg_int(cg, w->conv->ak);
  for (int r = 0; r < w->rows; r++) {
    m.row[r] = cg_int(cg, r * w->depth);
    row[r] = cg_int(cg, r * width);
  }
  micro_run(cg, &m);
  micro_store(cg, &m, conv_move(cg, s->m, at, width), row);
  cg_loop_end(cg, &tile);
  cg_loop_end(cg, &element);
}

/* The channel where part `part` begins in `run`, which has `before` panels before it. */
static LLVMValueRef part_begin(const WinogradUnit *u, LLVMValueRef part, const ConvColumns *run,
                               int64_t before) {
  Cg *cg = u->cg;
  LLVMValueRef panel = cg_add(cg, cg_mul(cg, part, cg_int(cg, u->w->panels)), cg_int(cg, -before));
  panel = cg_max(cg, cg_min(cg, panel, cg_int(cg, run->tiles)), cg_int(cg, 0));
  return cg_add(cg, cg_mul(cg, panel, cg_int(cg, run->width)), cg_int(cg, run->at));
}

static void over_panels(WinogradUnit *u) {
  Cg *cg = u->cg;
  const ConvChannels *channels = &u->w->conv->channels;
  LLVMValueRef next = cg_add(cg, u->part, cg_int(cg, 1));
  int64_t before = 0;
  for (int i = 0; i < channels->count; before += channels->run[i++].tiles) {
    const ConvColumns *run = &channels->run[i];
    CgLoop l = cg_loop(cg, part_begin(u, u->part, run, before), part_begin(u, next, run, before),
                       run->width);
    u->columns = run;
    u->channel = l.index;
    multiply(u, winograd_panel(u->w, u->buffers, l.index));
    winograd_put(u);
    cg_loop_end(cg, &l);
  }
}

static LLVMValueRef room(Cg *cg, int64_t elements) {
  LLVMTypeRef type = LLVMArrayType2(cg->real, (uint64_t)elements);
  LLVMValueRef at = LLVMBuildAlloca(cg->builder, type, "");
  LLVMSetAlignment(at, 64);
  return at;
}

static void make_room(WinogradUnit *u) {
  Cg *cg = u->cg;
  const Winograd *w = u->w;
  u->v = room(cg, WINOGRAD_ELEMENTS * w->block * w->depth);
  u->m = room(cg, WINOGRAD_ELEMENTS * w->block * w->conv->channels.run[0].width);
  u->zeros = room(cg, w->conv->ak);
  LLVMBuildMemSet(cg->builder, u->zeros, LLVMConstInt(cg->i8, 0, false),
                  cg_int(cg, w->conv->ak * cg->real_bytes), 64);
}

static Kernel products(const Winograd *w) {
  Cg *cg = w->cg;
  const ConvPlan *p = w->conv;
  bool forward = p->spec->direction == CONV_FORWARD;
  LLVMValueRef f = cg_function(cg, forward ? "winograd" : "winograd_input");
  WinogradUnit u = {.w = w, .cg = cg, .buffers = LLVMGetParam(f, 0)};
  make_room(&u);
  LLVMValueRef all = cg_mul(cg, LLVMGetParam(f, 1), cg_int(cg, w->down * w->across));
  CgLoop l = cg_loop(cg, LLVMGetParam(f, 2), LLVMGetParam(f, 3), 1);
  u.block = l.index;
  u.part = conv_split(cg, &u.block, w->parts);
  u.first = cg_mul(cg, u.block, cg_int(cg, w->block));
  u.count = cg_min(cg, conv_sub(cg, all, u.first), cg_int(cg, w->block));
  winograd_see(&u);
  over_panels(&u);
  cg_loop_end(cg, &l);
  LLVMBuildRetVoid(cg->builder);
  double vectors = (double)(WINOGRAD_ELEMENTS * w->block * p->ak * p->nr * w->panels);
  return (Kernel){.function = f,
                  .units = {w->down * w->across, 0},
                  .per = w->block,
                  .parts = w->parts,
                  .work = conv_work(vectors, false)};
}

KernelList winograd(Cg *cg, const ConvSpec *spec) {
  ConvPlan p = conv_roles(cg, spec);
  Winograd w = plan(cg, &p);
  const PointwiseSpec *e = spec->epilogue;
  int64_t elements = w.u_offset + u_elements(&w);
  KernelList list = {.scratch_bytes = elements * cg->real_bytes};
  if (e && e->nreduces) {
    p.partials = (Partials){.units = {w.down * w.across, 0},
                            .per = w.block,
                            .parts = 1,
                            .kept = p.cc,
                            .offset = conv_ceil_div(list.scratch_bytes, 64) * 8};
    list.scratch_bytes = reduce_partial_bytes(cg, e, &p.partials);
  }
  if (p.packed) list.stage[list.count++] = conv_pack(&p);
  list.stage[list.count++] = winograd_weights(&w);
  list.stage[list.count++] = products(&w);
  if (e && e->nreduces) list.stage[list.count++] = reduce_combine(cg, e, &p.partials);
  return list;
}
