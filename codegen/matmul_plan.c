/* What to compute how. Costs are cycles of an out-of-order core with two multiply-add units and two
 * loads a cycle.
 *
 * B with bn = 1 and few rows of A: BROADCAST from B where it lies. More rows, or a B whose stride
 * cache sets would punish, or that is far away: each panel is packed, by the first tile over it.
 *
 * B with bk = 1 (dX = dY W^T): few rows or columns: DOT. Otherwise the transpose W dY^T with dY
 * packed, which is the smaller matrix, or B packed, whichever moves less.
 *
 * C with cm = 1, or of one column: the transpose, so that C is written along its rows. A few
 * columns and A with am = 1: the transpose with C turned, for full vectors. */
#include "codegen/matmul.h"

/* ROOM: bytes of stack that a packed panel may take. FAR: elements of B that no L2 cache holds. */
enum { KC = 1024, MC = 384, UNIT_WORK = 4 << 20, UNITS = 32, ROOM = 256 << 10, FAR = 1 << 20 };

static int64_t round_up(int64_t x, int64_t to) { return (x + to - 1) / to * to; }

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

/* ---- the transpose ---- */

static void exchange(int64_t *stride, int i, int j) {
  int64_t t = stride[i];
  stride[i] = stride[j];
  stride[j] = t;
}

/* An epilogue's last two dimensions exchanged. */
static const PointwiseSpec *exchanged(Cg *cg, const PointwiseSpec *s) {
  PointwiseSpec *out = ARENA_NEW(cg->arena, PointwiseSpec);
  BodyValue *value = ARENA_ARRAY(cg->arena, BodyValue, s->nvalues);
  BodyStore *store = ARENA_ARRAY(cg->arena, BodyStore, s->nstores);
  int i = s->rank - 2, j = s->rank - 1;
  *out = *s;
  out->extent[i] = s->extent[j];
  out->extent[j] = s->extent[i];
  for (int v = 0; v < s->nvalues; v++) {
    value[v] = s->value[v];
    exchange(value[v].view.stride, i, j);
    if (value[v].kind == BODY_COORD && value[v].dim >= i) value[v].dim = i + j - value[v].dim;
  }
  for (int v = 0; v < s->nstores; v++) {
    store[v] = s->store[v];
    exchange(store[v].view.stride, i, j);
  }
  out->value = value;
  out->store = store;
  return out;
}

/* A^T B^T exchanged: [m, k] x [k, n] becomes [n, k] x [k, m]. The epilogue stays as it is. */
static MatmulSpec transposed(const MatmulSpec *s) {
  MatmulSpec out = *s;
  int nb = s->nbatch;
  out.m = s->n;
  out.n = s->m;
  out.a = s->b;
  out.b = s->a;
  exchange(out.a.stride, nb, nb + 1);
  exchange(out.b.stride, nb, nb + 1);
  exchange(out.c.stride, nb, nb + 1);
  return out;
}

/* ---- tiles ---- */

/* Cycles for one step of k of a tile: multiply-adds, an accumulator's latency, B from the L2 cache;
 * loads mostly hide behind them, but not quite. */
static double step_cost(int mr, int nr) {
  double cost = mr * nr / 2.0, latency = 4, stream = 1.3 * nr;
  if (cost < latency) cost = latency;
  if (cost < stream) cost = stream;
  return cost + 0.1 * (mr + nr);
}

/* All tiles of `nr` vectors over m rows, a tile of the rows left over included. */
static double strip_cost(const Matmul *mm, int mr, int nr, int64_t k) {
  double per_tile = mr * nr + 8.0;
  int64_t whole = mm->m / mr, left = mm->m % mr;
  if (left && mm->s.m.each) left = mr;
  double cost = (double)whole * (step_cost(mr, nr) * (double)k + per_tile);
  if (left) cost += step_cost((int)left, nr) * (double)k + per_tile;
  return cost;
}

/* Rows that make the best strip of nr vectors; 0 when none fits. */
static int best_rows(Cg *cg, const Matmul *mm, int nr, double *cost) {
  int best = 0;
  bool alias = mm->s.a.stride[mm->s.nbatch] * cg->real_bytes % 4096 == 0;
  int64_t tallest = nr <= 2 && !alias ? 12 : 8;
  if (mm->turned) tallest = least(tallest, cg->lanes);
  for (int mr = 1; mr <= tallest; mr++) {
    if (!micro_fits(cg, mr, nr) || (mr > mm->m && mr > 1)) continue;
    double c = strip_cost(mm, mr, nr, mm->k);
    if (best && c >= *cost * (mr > best ? 0.999 : 1)) continue;
    best = mr;
    *cost = c;
  }
  return best;
}

/* A run-time number of columns ends in single vectors. */
static void choose_tile(Cg *cg, Matmul *mm) {
  int64_t vectors = (mm->n + cg->lanes - 1) / cg->lanes;
  double best = 0;
  for (int nr = 1; nr <= least(vectors, mm->m <= 2 ? 16 : 8); nr++) {
    double cost = 0, tail_cost = 0;
    int mr = best_rows(cg, mm, nr, &cost), tail_nr = (int)(vectors % nr), tail_mr = 0;
    if (!mr) continue;
    bool ragged = mm->n % cg->lanes != 0 || mm->s.n.each;
    if (ragged && !tail_nr) tail_nr = nr;
    if (mm->s.n.each) tail_nr = 1;
    if (tail_nr == nr)
      tail_mr = mr;
    else if (tail_nr)
      tail_mr = best_rows(cg, mm, tail_nr, &tail_cost);
    double total = cost * (double)(vectors / nr) + (tail_nr < nr && vectors % nr ? tail_cost : 0);
    if (best > 0 && total > best * 0.99 && !(total <= best * 1.01 && nr <= 4)) continue;
    best = total;
    mm->nr = nr, mm->mr = mr, mm->tail_nr = tail_nr, mm->tail_mr = tail_mr;
  }
  mm->panel = (int64_t)mm->nr * cg->lanes;
}

/* ---- blocks ---- */

/* Rows of an unpacked B, 256 bytes wide, that an 8-way L2 cache with 64 KiB a way can hold: a
 * stride that is a large power of two uses few of its sets. */
static int64_t rows_held(const Matmul *mm, int bytes) {
  int64_t stride = mm->s.b.stride[mm->s.nbatch] * bytes, wide = 256, way = 65536;
  int64_t common = way;
  while (stride % common) common /= 2;
  return 8 * (way / most(most(common, 64), wide));
}

static void choose_k_block(Cg *cg, Matmul *mm) {
  int64_t limit = KC;
  if (mm->packed) limit = least(limit, most(64, ROOM / (mm->panel * cg->real_bytes)));
  if (!mm->packed && mm->m > mm->mr) limit = most(64, least(limit, rows_held(mm, cg->real_bytes)));
  if (!mm->packed && mm->m <= mm->mr) limit = INT64_MAX / 2;
  int64_t blocks = (mm->k + limit - 1) / limit;
  mm->kc = mm->k <= limit ? mm->k
           : mm->s.k.each ? limit
                          : round_up((mm->k + blocks - 1) / blocks, 4);
  mm->kpad = round_up(mm->kc, cg->lanes);
  mm->partial = mm->kc < mm->k && (mm->store || mm->turned);
}

/* A unit is rows x columns: tall enough for packing to pay, and not much more than UNIT_WORK unless
 * there are many. */
static void choose_blocks(Cg *cg, Matmul *mm) {
  choose_k_block(cg, mm);
  int64_t tall = round_up(MC, mm->mr), panels = (mm->n + mm->panel - 1) / mm->panel;
  mm->rows = least(round_up(mm->m, mm->mr), tall);
  double unit = UNIT_WORK * cg->lanes / 16.0, work = 2.0 * (double)mm->panel * (double)mm->k;
  bool costly = mm->packed && mm->s.b.stride[mm->s.nbatch + 1] != 1;
  bool huge = work * (double)mm->rows > 64 * unit;
  int64_t floor = huge ? 4 * mm->mr : costly ? 192 : mm->packed ? 96 : 4 * mm->mr;
  while (mm->rows >= 2 * floor && work * (double)mm->rows > 2 * unit &&
         mm->batch * panels * ((mm->m + mm->rows - 1) / mm->rows) < UNITS)
    mm->rows = round_up(mm->rows / 2, mm->mr);
  int64_t wanted = (int64_t)(unit / (work * (double)mm->rows));
  mm->columns = mm->panel * (wanted > 1 ? least(wanted, panels) : 1);
}

/* ---- everything ---- */

/* An epilogue that stores the result through c. */
static const PointwiseSpec *plain_store(Cg *cg, const MatmulSpec *s) {
  PointwiseSpec *p = ARENA_NEW(cg->arena, PointwiseSpec);
  BodyValue *value = ARENA_NEW(cg->arena, BodyValue);
  BodyStore *store = ARENA_NEW(cg->arena, BodyStore);
  *value = (BodyValue){.kind = BODY_RESULT};
  *store = (BodyStore){0, s->c};
  p->rank = s->nbatch + 2;
  for (int i = 0; i < s->nbatch; i++) p->extent[i] = s->batch[i];
  p->extent[s->nbatch] = s->m;
  p->extent[s->nbatch + 1] = s->n;
  p->nvalues = p->nstores = 1;
  p->value = value;
  p->store = store;
  return p;
}

static bool must_pack(Cg *cg, const Matmul *mm) {
  int nb = mm->s.nbatch;
  if (mm->s.b.stride[nb + 1] != 1 && mm->n > 1) return true;
  if (!cg->masks && (mm->n % cg->lanes || mm->s.n.each))
    return true; /* masked loads would be scalar */
  if (cg->lanes * cg->real_bytes < 64) return mm->m > 12;
  return mm->m >= 96 || (mm->m >= 24 && mm->n * mm->k > FAR) ||
         (mm->m > 8 && rows_held(mm, cg->real_bytes) < least(mm->k, 192));
}

static void set_problem(Cg *cg, const MatmulSpec *spec, Matmul *mm) {
  mm->s = *spec;
  mm->m = matmul_most(cg, spec->m);
  mm->n = matmul_most(cg, spec->n);
  mm->k = matmul_most(cg, spec->k);
  mm->batch = 1;
  for (int i = 0; i < spec->nbatch; i++) mm->batch *= matmul_most(cg, spec->batch[i]);
  mm->store = spec->epilogue;
}

/* C is stored along m: by its own strides, or where an epilogue's first store goes. */
static bool stored_along_m(const MatmulSpec *s) {
  const View *v = &s->c;
  if (s->epilogue && s->epilogue->nstores) v = &s->epilogue->store[0].view;
  return v->stride[s->nbatch + 1] != 1 && v->stride[s->nbatch] == 1;
}

/* Strides along k of A and B, and whether each may be read along k. */
static bool along_k(const Matmul *mm, bool a) {
  int nb = mm->s.nbatch;
  return a ? mm->s.a.stride[nb + 1] == 1 : mm->s.b.stride[nb] == 1;
}

/* DOT where B lies along k and the other side is low, or where n is much less than a vector and k
 * long. */
static bool wants_dot(Cg *cg, const Matmul *mm) {
  if (!along_k(mm, true) || mm->k < 2 * cg->lanes) return false;
  if (along_k(mm, false)) return mm->m <= 8 || mm->n <= 8;
  bool natural = mm->s.b.stride[mm->s.nbatch + 1] == 1;
  return natural && cg->masks && mm->n <= cg->lanes * 3 / 4 && mm->m >= 8 &&
         mm->k >= 8 * cg->lanes && mm->k * cg->lanes * cg->real_bytes <= ROOM;
}

static void plan_dot(Cg *cg, Matmul *mm) {
  double best = 0;
  mm->form = FORM_DOT;
  mm->packed = !along_k(mm, false);
  for (int mr = 1; mr <= least(mm->m, 6); mr++)
    for (int nr = 1; nr <= least(mm->n, least(8, cg->lanes)); nr++) {
      if (mr * nr + mr + 2 > cg->registers || mr * nr > MICRO_ACCUMULATORS) continue;
      double step = mr * nr / 2.0 > 4 ? mr * nr / 2.0 : 4, tiles = 1;
      tiles *= (double)((mm->m + mr - 1) / mr);
      tiles *= (double)((mm->n + nr - 1) / nr);
      double cost = tiles * ((step + 0.2 * (mr + nr)) * (double)mm->k / cg->lanes + 2.0 * mr * nr);
      if (best > 0 && cost >= best) continue;
      best = cost;
      mm->mr = mr, mm->nr = nr;
    }
  mm->kc = mm->k;
  mm->kpad = round_up(mm->k, cg->lanes) +
             cg->lanes; /* columns a power of two apart would share cache sets */
  mm->panel = mm->packed ? cg->lanes : mm->nr;
  int64_t wanted =
      (int64_t)(UNIT_WORK * cg->lanes / 16.0 / (2.0 * (double)mm->k)); /* elements of C */
  mm->rows = round_up(least(mm->m, most(wanted / mm->n, 4 * mm->mr)), mm->mr);
  mm->columns = mm->packed
                    ? mm->panel
                    : round_up(least(mm->n, most(wanted / least(mm->m, mm->rows), mm->nr)), mm->nr);
}

/* Both operands lie along k: the smaller traffic of packing B, or packing A and turning C round. A
 * narrow C whose A lies along m: full vectors. */
static bool wants_turn(Cg *cg, const Matmul *mm) {
  int nb = mm->s.nbatch;
  bool narrow = mm->n <= cg->lanes * 3 / 4 && mm->m >= 2 * cg->lanes && mm->k >= 2 * cg->lanes;
  if (narrow && mm->s.a.stride[nb] == 1 && mm->n > 1) return true;
  if (!along_k(mm, false) || mm->s.b.stride[nb + 1] == 1 || mm->m < cg->lanes) return false;
  double packing = (double)mm->n * (double)mm->k * (double)((mm->m + MC - 1) / MC);
  double turning =
      (double)mm->m * ((double)mm->k * (double)((mm->n + MC - 1) / MC) + (double)mm->n);
  return turning < packing;
}

static void plan_turn(Cg *cg, Matmul *mm) {
  MatmulSpec other = transposed(&mm->s);
  const PointwiseSpec *store = mm->store;
  set_problem(cg, &other, mm);
  mm->store = store;
  mm->turned = true;
}

/* Exchanges m and n, epilogue and all: so that C is stored along its rows, and that one column
 * becomes one row. */
static void plan_sides(Cg *cg, const MatmulSpec *spec, Matmul *mm) {
  set_problem(cg, spec, mm);
  bool column = mm->n == 1 && mm->m > 1 && along_k(mm, true) && along_k(mm, false);
  if (!column && !stored_along_m(spec)) return;
  MatmulSpec other = transposed(spec);
  if (other.epilogue) other.epilogue = exchanged(cg, other.epilogue);
  set_problem(cg, &other, mm);
}

void matmul_plan(Cg *cg, const MatmulSpec *spec, Matmul *mm) {
  *mm = (Matmul){.form = FORM_BROADCAST};
  plan_sides(cg, spec, mm);
  if (!mm->store && mm->n > 1 && mm->s.c.stride[spec->nbatch + 1] != 1)
    mm->store = plain_store(cg, &mm->s);
  if (wants_dot(cg, mm)) {
    plan_dot(cg, mm);
    return;
  }
  if (wants_turn(cg, mm)) plan_turn(cg, mm);
  mm->packed = must_pack(cg, mm);
  choose_tile(cg, mm);
  choose_blocks(cg, mm);
}
