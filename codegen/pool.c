/* kernel_pool. Windows come from pool_window: where they are moved copies of each other, by
 * arithmetic, elsewhere from constant tables, so every padding, dilation, ceiling and adaptive form
 * is the same code. Vectors run over channels, and over the pixels of a row as well where windows
 * move by one pixel: they are then channels of one window.
 *
 * Few taps are unrolled. Where windows at the edge have fewer than the others, a window for a
 * maximum repeats its last tap, which changes neither the maximum nor where it is first found; a
 * mean loops instead. Forward units are rows of the result; a put's are a sample's channels, since
 * windows overlap: windows are added in row-major order, each row of dx cleared just before the
 * first window that reaches it. */
#include "codegen/pool.h"

#include "codegen/spec.h"

enum { UNROLL_TAPS = 16, UNIT_TAPS = 32768 };

static bool is_put(const PoolSpec *s) {
  return s->kind == POOL_MAX_PUT || s->kind == POOL_MEAN_PUT;
}
static bool is_mean(const PoolSpec *s) { return s->kind == POOL_MEAN || s->kind == POOL_MEAN_PUT; }

/* ---- axes ---- */

static int64_t taps_of(const PoolWindow *w) { return (w->end - w->start + w->step - 1) / w->step; }

/* The last moved copy of window `from` on the way to `limit`, which is none, by halving. */
static int64_t run_end(const PoolSpec *s, int axis, int64_t in, int64_t from, int64_t limit) {
  int64_t stride = pool_stride(s->node, axis, in), moved = from;
  PoolWindow first = pool_window(s->node, axis, in, from);
  while (limit - moved > 1 || moved - limit > 1) {
    int64_t o = (moved + limit) / 2, by = (o - from) * stride;
    PoolWindow w = pool_window(s->node, axis, in, o);
    bool same = w.start == first.start + by && w.end == first.end + by && w.count == first.count;
    *(same ? &moved : &limit) = o;
  }
  return moved;
}

/* The run around the middle window; none where the stride varies. */
static PoolRun run_of(const PoolSpec *s, int axis, int64_t in, int64_t out) {
  int64_t stride = pool_stride(s->node, axis, in), middle = out / 2;
  if (!stride) return (PoolRun){0};
  return (PoolRun){run_end(s, axis, in, middle, -1), run_end(s, axis, in, middle, out), stride};
}

/* Entries of the table for windows 0 .. count - 1; the window of an entry. */
static int64_t entries(const PoolRun *r, int64_t count) { return count - (r->tail - r->head); }
static int64_t window_of(const PoolRun *r, int64_t entry) {
  return entry <= r->head ? entry : entry + (r->tail - r->head);
}

/* `value` has one number an entry. */
static PoolNumbers numbers_new(Cg *cg, const char *name, PoolRun run, const int64_t *value,
                               int64_t count) {
  PoolNumbers n = {.run = run};
  LLVMValueRef *each = ARENA_ARRAY(cg->arena, LLVMValueRef, count + 1);
  bool same = true;
  for (int64_t e = 0; e < count; e++) {
    int64_t x = value[e] - run.stride * window_of(&run, e);
    if (!e) n.only = x;
    same &= x == n.only;
    each[e] = cg_int(cg, x);
  }
  if (same) return n;
  n.table = LLVMAddGlobal(cg->module, LLVMArrayType2(cg->i64, (uint64_t)count), name);
  LLVMSetInitializer(n.table, LLVMConstArray2(cg->i64, each, (uint64_t)count));
  LLVMSetLinkage(n.table, LLVMPrivateLinkage);
  LLVMSetGlobalConstant(n.table, true);
  return n;
}

static LLVMValueRef look_up(Cg *cg, const PoolNumbers *n, LLVMValueRef o) {
  LLVMValueRef moved = cg_mul(cg, o, cg_int(cg, n->run.stride));
  if (!n->table) return cg_add(cg, moved, cg_int(cg, n->only));
  LLVMValueRef beyond = LLVMBuildSub(cg->builder, o, cg_int(cg, n->run.tail), "");
  LLVMValueRef entry =
      cg_add(cg, cg_min(cg, o, cg_int(cg, n->run.head)), cg_max(cg, beyond, cg_int(cg, 0)));
  LLVMValueRef at = cg_at(cg, cg->i64, n->table, entry);
  return cg_add(cg, moved, cg_invariant(cg, cg_load(cg, cg->i64, at, 1, NULL)));
}

static void axis_numbers(Cg *cg, const PoolSpec *s, int axis, PoolAxis *a) {
  int64_t count = entries(&a->run, a->out);
  int64_t *start = ARENA_ARRAY(cg->arena, int64_t, count),
          *taps = ARENA_ARRAY(cg->arena, int64_t, count);
  int64_t *divisor = ARENA_ARRAY(cg->arena, int64_t, count);
  for (int64_t e = 0; e < count; e++) {
    PoolWindow w = pool_window(s->node, axis, a->in, window_of(&a->run, e));
    start[e] = w.start, taps[e] = taps_of(&w), divisor[e] = w.count;
    a->step = w.step;
    a->full &= taps[e] == taps[0];
    if (taps[e] > a->taps) a->taps = taps[e];
  }
  PoolRun fixed = {a->run.head, a->run.tail, 0};
  a->starts = numbers_new(cg, "window_start", a->run, start, count);
  a->tap_counts = numbers_new(cg, "window_taps", fixed, taps, count);
  a->counts = numbers_new(cg, "window_count", fixed, divisor, count);
}

/* Each window begins where the one before ends: of the run, its first two tell. */
static bool axis_tiles(const PoolSpec *s, int axis, const PoolAxis *a) {
  int64_t covered = 0;
  for (int64_t o = 0; o < a->out; o++) {
    if (o == a->run.head + 2 && o <= a->run.tail) {
      o = a->run.tail;
      covered = pool_window(s->node, axis, a->in, o - 1).end;
    }
    PoolWindow w = pool_window(s->node, axis, a->in, o);
    if (w.start != covered || w.step != 1) return false;
    covered = w.end;
  }
  return covered == a->in;
}

static PoolAxis axis_new(Cg *cg, const PoolSpec *s, int axis) {
  PoolAxis a = {.out = axis ? s->ow : s->oh, .in = axis ? s->iw : s->ih, .full = true};
  a.run = run_of(s, axis, a.in, a.out);
  axis_numbers(cg, s, axis, &a);
  a.tiles = axis_tiles(s, axis, &a);
  return a;
}

/* Rows of dx first reached by row o of windows: from number o up to number o + 1, the end of row o,
 * for the last one the image's. */
static PoolNumbers cleared_rows(Cg *cg, const PoolSpec *s, const PoolRun *windows) {
  int64_t last = s->oh, most = 0;
  PoolRun run = {windows->head + 1, windows->tail + 1, windows->stride};
  if (run.tail == last) run.tail--;
  if (run.tail <= run.head) run = (PoolRun){0};
  int64_t count = entries(&run, last + 1), *end = ARENA_ARRAY(cg->arena, int64_t, count);
  for (int64_t e = 1; e < count; e++) {
    int64_t o = window_of(&run, e);
    PoolWindow w = pool_window(s->node, 0, s->ih, o - 1);
    if (w.end > most) most = w.end;
    end[e] = o == last ? s->ih : most;
  }
  return numbers_new(cg, "cleared", run, end, count);
}

/* Puts the axis at window o: its taps' positions, or what loops over them need. */
static void axis_at(Pool *p, int axis, LLVMValueRef o) {
  Cg *cg = p->cg;
  PoolAxis *a = &p->axis[axis];
  a->o = o;
  a->start = look_up(cg, &a->starts, o);
  a->ntaps = look_up(cg, &a->tap_counts, o);
  a->count = look_up(cg, &a->counts, o);
  if (!p->unrolled) return;
  LLVMValueRef steps = LLVMBuildSub(cg->builder, a->ntaps, cg_int(cg, 1), "");
  LLVMValueRef last = cg_add(cg, a->start, cg_mul(cg, steps, cg_int(cg, a->step)));
  for (int64_t t = 0; t < a->taps; t++) {
    LLVMValueRef at = cg_add(cg, a->start, cg_int(cg, t * a->step));
    a->position[t] = a->full ? at : cg_min(cg, last, at);
  }
}

/* ---- taps ---- */

LLVMValueRef pool_address(Pool *p, const View *view, LLVMValueRef h, LLVMValueRef w, int vector) {
  LLVMValueRef at = view_origin(p->cg, p->buffers, view);
  at = view_move(p->cg, view, at, 0, p->sample);
  at = view_move(p->cg, view, at, 1, h);
  at = view_move(p->cg, view, at, 2, w);
  at = view_move(p->cg, view, at, 3, p->channel);
  return view_move(p->cg, view, at, 3, cg_int(p->cg, (int64_t)vector * p->lanes));
}

LLVMValueRef pool_mask(const Pool *p, int vector) {
  return vector == p->vectors - 1 ? p->mask : NULL;
}

LLVMValueRef pool_load(Pool *p, const View *view, LLVMValueRef h, LLVMValueRef w, int vector) {
  LLVMValueRef at = pool_address(p, view, h, w, vector);
  return view_load(p->cg, view->elem, at, view->stride[3], p->lanes, pool_mask(p, vector));
}

void pool_store(Pool *p, const View *view, LLVMValueRef h, LLVMValueRef w, int vector,
                LLVMValueRef v) {
  LLVMValueRef at = pool_address(p, view, h, w, vector);
  view_store(p->cg, view->elem, v, at, view->stride[3], p->lanes, pool_mask(p, vector));
}

typedef struct {
  LLVMValueRef phi[POOL_STATES][POOL_VECTORS];
} Carry;

static CgLoop open_taps(Pool *p, PoolAxis *a, Carry *c, LLVMValueRef *position) {
  CgLoop l = cg_loop(p->cg, cg_int(p->cg, 0), a->ntaps, 1);
  for (int k = 0; k < p->states; k++)
    for (int j = 0; j < p->vectors; j++)
      c->phi[k][j] = p->state[k][j] = cg_carry(p->cg, &l, p->state[k][j]);
  *position = cg_add(p->cg, a->start, cg_mul(p->cg, l.index, cg_int(p->cg, a->step)));
  return l;
}

static void close_taps(Pool *p, CgLoop *l, Carry *c) {
  for (int k = 0; k < p->states; k++)
    for (int j = 0; j < p->vectors; j++) {
      cg_carry_next(l, c->phi[k][j], p->state[k][j]);
      p->state[k][j] = c->phi[k][j];
    }
  cg_loop_end(p->cg, l);
}

void pool_taps(Pool *p, PoolTap *tap) {
  Cg *cg = p->cg;
  PoolAxis *h = &p->axis[0], *w = &p->axis[1];
  if (p->unrolled) {
    for (int64_t i = 0; i < h->taps * w->taps; i++)
      tap(p, h->position[i / w->taps], w->position[i % w->taps], cg_int(cg, i));
    return;
  }
  Carry outer, inner;
  LLVMValueRef y, x;
  CgLoop lh = open_taps(p, h, &outer, &y), lw = open_taps(p, w, &inner, &x);
  LLVMValueRef row = cg_mul(cg, lh.index, cg_int(cg, w->taps));
  tap(p, y, x, LLVMBuildAdd(cg->builder, row, lw.index, ""));
  close_taps(p, &lw, &inner);
  if (p->row_end) p->row_end(p);
  close_taps(p, &lh, &outer);
}

LLVMValueRef pool_constant(const Pool *p, double x) {
  return cg_splat(p->cg, cg_real(p->cg, x), p->lanes);
}

/* What a mean divides by. */
LLVMValueRef pool_divisor(Pool *p) {
  LLVMValueRef count = LLVMBuildMul(p->cg->builder, p->axis[0].count, p->axis[1].count, "");
  return cg_splat(p->cg, LLVMBuildSIToFP(p->cg->builder, count, p->cg->real, ""), p->lanes);
}

/* ---- loops ---- */

typedef void Window(Pool *p); /* what is done at one window and vectors of channels */

static void channel_steps(Pool *p, LLVMValueRef from, LLVMValueRef to, int lanes, int vectors,
                          bool masked, Window *f) {
  Cg *cg = p->cg;
  CgLoop l = cg_loop(cg, from, to, (int64_t)lanes * vectors);
  p->channel = l.index;
  p->lanes = lanes;
  p->vectors = vectors;
  p->mask = masked ? cg_mask(cg, LLVMBuildSub(cg->builder, to, l.index, ""), lanes) : NULL;
  f(p);
  cg_loop_end(cg, &l);
}

/* `f` at every vector of channels [from, to): blocks of whole vectors, then what is left. */
static void each_channel(Pool *p, LLVMValueRef from, LLVMValueRef to, Window *f) {
  Cg *cg = p->cg;
  int lanes = cg->lanes, vectors = POOL_VECTORS;
  while (vectors > 1 && vectors * lanes > p->spec->channels) vectors /= 2;
  LLVMValueRef total = LLVMBuildSub(cg->builder, to, from, "");
  LLVMValueRef blocks = LLVMBuildAnd(cg->builder, total, cg_int(cg, -(int64_t)lanes * vectors), "");
  LLVMValueRef whole = LLVMBuildAnd(cg->builder, total, cg_int(cg, -(int64_t)lanes), "");
  LLVMValueRef block_end = LLVMBuildAdd(cg->builder, from, blocks, "");
  LLVMValueRef whole_end = LLVMBuildAdd(cg->builder, from, whole, "");
  if (p->spec->channels >= lanes) channel_steps(p, from, block_end, lanes, vectors, false, f);
  if (cg->masks) {
    if (p->spec->channels % ((int64_t)lanes * vectors) || p->group)
      channel_steps(p, block_end, to, lanes, 1, true, f);
    return;
  }
  if (vectors > 1) channel_steps(p, block_end, whole_end, lanes, 1, false, f);
  channel_steps(p, whole_end, to, 1, 1, false, f);
}

static void clear_pixel(Pool *p) {
  for (int j = 0; j < p->vectors; j++)
    pool_store(p, &p->spec->y, p->axis[0].o, p->axis[1].o, j, pool_constant(p, 0));
}

static void clear_rows(Pool *p, LLVMValueRef o, LLVMValueRef c0, LLVMValueRef c1) {
  Cg *cg = p->cg;
  LLVMValueRef next = LLVMBuildAdd(cg->builder, o, cg_int(cg, 1), "");
  CgLoop rows = cg_loop(cg, look_up(cg, &p->cleared, o), look_up(cg, &p->cleared, next), 1);
  p->axis[0].o = rows.index;
  CgLoop columns = cg_loop(cg, cg_int(cg, 0), cg_int(cg, p->spec->iw), 1);
  p->axis[1].o = columns.index;
  each_channel(p, c0, c1, clear_pixel);
  cg_loop_end(cg, &columns);
  cg_loop_end(cg, &rows);
}

static void each_window(Pool *p, LLVMValueRef row_from, LLVMValueRef row_to, LLVMValueRef c0,
                        LLVMValueRef c1, Window *f) {
  Cg *cg = p->cg;
  CgLoop rows = cg_loop(cg, row_from, row_to, 1);
  if (p->clears) clear_rows(p, rows.index, c0, c1);
  axis_at(p, 0, rows.index);
  CgLoop columns = cg_loop(cg, cg_int(cg, 0), cg_int(cg, p->spec->ow), 1);
  axis_at(p, 1, columns.index);
  each_channel(p, c0, c1, f);
  cg_loop_end(cg, &columns);
  cg_loop_end(cg, &rows);
}

/* ---- units ---- */

/* Unit u is part u % parts of sample u / parts; parts are `chunk` of `total` rows or channels. */
static void unit_range(Pool *p, LLVMValueRef u, int64_t chunk, int64_t total, LLVMValueRef *from,
                       LLVMValueRef *to) {
  Cg *cg = p->cg;
  LLVMValueRef parts = cg_int(cg, (total + chunk - 1) / chunk);
  p->sample = LLVMBuildUDiv(cg->builder, u, parts, "");
  *from = cg_mul(cg, LLVMBuildURem(cg->builder, u, parts, ""), cg_int(cg, chunk));
  *to = cg_min(cg, LLVMBuildAdd(cg->builder, *from, cg_int(cg, chunk), ""), cg_int(cg, total));
}

static void emit_unit(Pool *p, LLVMValueRef u, int64_t chunk) {
  Cg *cg = p->cg;
  const PoolSpec *s = p->spec;
  LLVMValueRef from, to, zero = cg_int(cg, 0);
  if (!is_put(s)) {
    unit_range(p, u, chunk, s->oh, &from, &to);
    each_window(p, from, to, zero, cg_int(cg, s->channels),
                s->kind == POOL_MEAN ? pool_mean : pool_max);
    return;
  }
  unit_range(p, u, chunk, s->channels, &from, &to);
  each_window(p, zero, cg_int(cg, s->oh), from, to,
              s->kind == POOL_MEAN_PUT ? pool_mean_put : pool_max_put);
}

/* Rows (forward) or channels (put) of a unit. */
static int64_t unit_chunk(const Pool *p) {
  const PoolSpec *s = p->spec;
  int64_t taps = p->axis[0].taps * p->axis[1].taps, total = is_put(s) ? s->channels : s->oh;
  int64_t each = taps * s->ow * (is_put(s) ? s->oh : s->channels),
          step = is_put(s) ? p->cg->lanes * POOL_VECTORS : 1;
  int64_t chunk = each < UNIT_TAPS ? UNIT_TAPS / each : 1;
  chunk = (chunk + step - 1) / step * step;
  return chunk < total ? chunk : total;
}

static KernelList emit_pool(Cg *cg, const PoolSpec *s) {
  static const char *const names[] = {"maxpool", "maxpool_put", "maxpool_take", "avgpool",
                                      "avgpool_put"};
  LLVMValueRef f = cg_function(cg, names[s->kind]);
  Pool p = {.cg = cg,
            .spec = s,
            .buffers = LLVMGetParam(f, 0),
            .axis = {axis_new(cg, s, 0), axis_new(cg, s, 1)}};
  const PoolAxis *h = &p.axis[0], *w = &p.axis[1];
  p.unrolled = h->taps * w->taps <= UNROLL_TAPS && (!is_mean(s) || (h->full && w->full));
  p.tiles = h->tiles && w->tiles &&
            (!p.unrolled || (h->full && w->full)); /* a repeated tap must not overwrite */
  p.clears = is_put(s) && !p.tiles;
  if (p.clears) p.cleared = cleared_rows(cg, s, &h->run);
  int64_t chunk = unit_chunk(&p), total = is_put(s) ? s->channels : s->oh,
          parts = (total + chunk - 1) / chunk;
  p.group = is_put(s) && chunk < total;
  CgLoop l = cg_loop(cg, LLVMGetParam(f, 2), LLVMGetParam(f, 3), 1);
  emit_unit(&p, l.index, chunk);
  cg_loop_end(cg, &l);
  LLVMBuildRetVoid(cg->builder);
  double taps = (double)(h->taps * w->taps * s->oh * s->ow * s->channels) / (double)parts;
  double each = (is_put(s) ? 0.15 : 0.05) * 16 / cg->lanes;
  return (KernelList){.count = 1,
                      .stage = {{.function = f, .units = {parts, 0}, .work = taps * each}}};
}

static const char *pool_key(Cg *cg, const PoolSpec *s) {
  Str key = str_new(cg->arena);
  str_printf(&key, "pool %d %lld %lldx%lld %lldx%lld ", (int)s->kind, (long long)s->channels,
             (long long)s->ih, (long long)s->iw, (long long)s->oh, (long long)s->ow);
  spec_node_text(&key, s->node);
  spec_view_text(&key, &s->x, 4);
  spec_view_text(&key, &s->dy, 4);
  spec_view_text(&key, &s->y, 4);
  return key.text;
}

/* The view of a row of pixels as one pixel of more channels; false where they do not lie in a run.
 */
static bool merge_view(View *v, int64_t channels) {
  int64_t each = channels == 1 ? v->stride[2] : v->stride[3];
  v->stride[3] = each;
  return v->stride[2] == each * channels;
}

/* Windows of a row are the first one, moved by one pixel each. */
static bool windows_slide(const PoolSpec *s) {
  PoolRun run = run_of(s, 1, s->iw, s->ow);
  return run.tail - run.head == s->ow - 1 && (run.stride == 1 || s->ow == 1);
}

/* Results at pixels (h, w), channels c become channels (w, c) of pixels (h, 0). */
static PoolSpec merge_columns(const PoolSpec *s) {
  PoolSpec m = *s;
  if (is_put(s) || !windows_slide(s) || !merge_view(&m.x, s->channels) ||
      !merge_view(&m.y, s->channels) ||
      (s->kind == POOL_MAX_TAKE && !merge_view(&m.dy, s->channels)))
    return *s;
  m.channels *= s->ow;
  m.ow = 1;
  return m;
}

KernelList kernel_pool(Cg *cg, const PoolSpec *given) {
  PoolSpec merged = merge_columns(given), *spec = &merged;
  const char *key = pool_key(cg, spec);
  const KernelList *known = cg_kernel_find(cg, key);
  if (known) return *known;
  KernelList *list = ARENA_NEW(cg->arena, KernelList);
  *list = emit_pool(cg, spec);
  cg_kernel_keep(cg, key, list);
  return *list;
}
