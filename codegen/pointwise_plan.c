/* Choices for loop nests.
 *
 * Vectors run along the dimension where most views have unit stride. Loops keep the order of the
 * specification, the vectors' innermost; but when values that vary along the vectors only (a
 * channel's scale) would be recomputed for every row, the row loop goes inside a block of vectors,
 * whose values then stay in registers. */
#include "codegen/pointwise_plan.h"

#include "codegen/accumulate.h"

enum {
  UNIT_ELEMENTS = 8192, /* wanted in a unit */
  UNIT_LIMIT = 16384,   /* above it a unit is cut along the next dimension */
  TERMS = 256,          /* of one f32 sum */
  ROWS_MIN = 4          /* rows worth keeping values in registers for */
};

static int64_t extent_max(Cg *cg, const PointwiseSpec *s, int d) {
  return extent_at(s->extent[d], cg->max_batch);
}

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

static int power_below(int64_t x) {
  int p = 1;
  while (p * 2 <= x) p *= 2;
  return p;
}

/* ---- the vectors' dimension ---- */

static double access_cost(Cg *cg, int64_t stride, bool store) {
  if (stride == 1) return 1;
  if (stride == 0 && !store) return 0.1;
  return cg->lanes * (store ? 1.5 : 1.0);
}

/* Of all views when the vectors run along d, for one full vector's worth of elements. */
static double vector_cost(Cg *cg, const PointwiseSpec *s, int d) {
  double cost = 0.5; /* the arithmetic */
  for (int i = 0; i < s->nvalues; i++)
    if (s->value[i].kind == BODY_LOAD || s->value[i].kind == BODY_GATHER)
      cost += access_cost(cg, s->value[i].view.stride[d], false);
  for (int i = 0; i < s->nstores; i++) cost += access_cost(cg, s->store[i].view.stride[d], true);
  int64_t extent = extent_max(cg, s, d);
  double vectors = (double)ceil_div(extent, cg->lanes);
  return extent ? cost * vectors * cg->lanes / (double)extent : 1e30;
}

static int choose_vector_dim(Cg *cg, const PointwiseSpec *s) {
  int best = s->rank - 1;
  double cost = vector_cost(cg, s, best);
  for (int d = s->rank - 2; d >= 0; d--) {
    double c = vector_cost(cg, s, d);
    if (c < 0.9 * cost) best = d, cost = c;
  }
  return best;
}

/* ---- rows inside ---- */

/* The dimension next to the vectors', or -1. */
static int row_dim(const PointwiseSpec *s, int vdim) {
  return s->rank < 2 ? -1 : vdim == s->rank - 1 ? vdim - 1 : s->rank - 1;
}

typedef struct {
  int operations, loads; /* that depend on the vectors' dimension and not on the row */
} Invariant;

static Invariant count_invariant(const PointwiseSpec *s, const uint32_t *depends, int vdim,
                                 int row) {
  Invariant n = {0};
  for (int i = 0; i < s->nvalues; i++) {
    if (!(depends[i] >> vdim & 1) || depends[i] >> row & 1) continue;
    n.operations += s->value[i].kind == BODY_OP;
    n.loads += s->value[i].kind == BODY_LOAD;
  }
  return n;
}

static int operations(const PointwiseSpec *s) {
  int n = 0;
  for (int i = 0; i < s->nvalues; i++) n += s->value[i].kind == BODY_OP;
  return n;
}

/* More vectors in flight for short bodies. */
static int streaming_unroll(const PointwiseSpec *s) {
  int ops = operations(s);
  return ops <= 6 ? 4 : ops <= 16 ? 2 : 1;
}

static int clip_unroll(Cg *cg, const PointwiseSpec *s, int vdim, int unroll) {
  int64_t vectors = ceil_div(extent_max(cg, s, vdim), cg->lanes);
  while (unroll > 1 && unroll / 2 >= vectors) unroll /= 2;
  return unroll;
}

/* How many vectors to keep the invariants of; 0: rows stay outside. */
static int rows_inside(Cg *cg, const PointwiseSpec *s, int vdim, int row) {
  if (row < 0 || extent_max(cg, s, row) < ROWS_MIN) return 0;
  Body b = body_new(cg, s, NULL, vdim);
  Invariant v = count_invariant(s, b.depends, vdim, row);
  int kept = v.operations + v.loads, room = cg->registers - 6;
  if (!kept) return 0;
  int unroll = power_below(room / (kept + 1) < 1 ? 1 : room / (kept + 1));
  if (unroll > 4) unroll = 4;
  bool whole_rows = extent_max(cg, s, vdim) <= (int64_t)unroll * cg->lanes;
  return v.operations || whole_rows ? unroll : 0;
}

/* ---- reductions ---- */

static int64_t trips(Cg *cg, const PointwiseSpec *s, const NestPlan *p, int pos) {
  int d = p->order[pos];
  int64_t n = extent_max(cg, s, d);
  return d == p->vdim ? ceil_div(n, (int64_t)cg->lanes * p->unroll) : n;
}

static bool has_sum(const PointwiseSpec *s) {
  for (int i = 0; i < s->nreduces; i++)
    if (s->reduce[i].kind == REDUCE_SUM) return true;
  return false;
}

/* Takes as many inner loops into the f32 level as give at most TERMS terms a lane; cuts the next
 * one into blocks when they are few. */
static void plan_levels(Cg *cg, const PointwiseSpec *s, NestPlan *p) {
  int64_t inner = 1;
  int pos = p->count;
  while (pos > p->nkept && inner * trips(cg, s, p, pos - 1) <= TERMS)
    inner *= trips(cg, s, p, --pos);
  p->split = pos;
  p->wide = pos > p->nkept && cg->real_bytes == 4 && has_sum(s);
  if (!p->wide || inner >= 16) return;
  p->split = pos - 1;
  p->block = TERMS / (inner ? inner : 1) *
             (p->order[p->split] == p->vdim ? (int64_t)cg->lanes * p->unroll : 1);
}

static int reduce_unroll(const Cg *cg, const PointwiseSpec *s) {
  int registers = 0, wanted = operations(s) <= 6 ? 4 : 2;
  for (int r = 0; r < s->nreduces; r++) registers += accumulate_registers(cg, s->reduce[r].kind);
  int most = 8 / registers;
  return power_below(most < 1 ? 1 : most < wanted ? most : wanted);
}

/* ---- plans ---- */

static void put(NestPlan *p, int d) { p->order[p->count++] = d; }

static NestPlan plan_reduction(Cg *cg, const PointwiseSpec *s) {
  NestPlan p = {.vdim = choose_vector_dim(cg, s)};
  p.unroll = clip_unroll(cg, s, p.vdim, reduce_unroll(cg, s));
  for (int reduced = 0; reduced < 2; reduced++) {
    for (int d = 0; d < s->rank; d++)
      if (s->reduced[d] == reduced && d != p.vdim) put(&p, d);
    if (s->reduced[p.vdim] == reduced) put(&p, p.vdim);
    if (!reduced) p.nkept = p.count;
  }
  plan_levels(cg, s, &p);
  return p;
}

NestPlan plan_nest(Cg *cg, const PointwiseSpec *s) {
  if (s->nreduces) return plan_reduction(cg, s);
  NestPlan p = {.vdim = choose_vector_dim(cg, s)};
  int row = row_dim(s, p.vdim), inside = rows_inside(cg, s, p.vdim, row);
  p.unroll = clip_unroll(cg, s, p.vdim, inside ? inside : streaming_unroll(s));
  for (int d = 0; d < s->rank; d++)
    if (d != p.vdim && !(inside && d == row)) put(&p, d);
  put(&p, p.vdim);
  if (inside) put(&p, row);
  p.nkept = p.count;
  return p;
}

/* Cuts along the outermost dimensions (kept ones, with reductions) until a unit is small enough. A
 * dimension that grows with the batch can only be cut into chunks as the first. */
UnitPlan plan_units(Cg *cg, const PointwiseSpec *s, const NestPlan *nest) {
  UnitPlan u = {.chunk = 1, .elements = 1};
  int dims[VIEW_RANK], n = 0;
  for (int d = 0; d < s->rank; d++) {
    u.elements *= (double)extent_max(cg, s, d);
    if (!s->nreduces || !s->reduced[d]) dims[n++] = d;
  }
  while (u.count < n && (u.count == 0 || u.elements > UNIT_LIMIT)) {
    int64_t extent = extent_max(cg, s, dims[u.count]);
    u.dim[u.count] = dims[u.count];
    u.count++;
    if (extent) u.elements /= (double)extent;
  }
  if (!u.count) return u;
  int last = u.dim[u.count - 1];
  int64_t chunk = u.elements >= UNIT_ELEMENTS
                      ? 1
                      : (int64_t)(UNIT_ELEMENTS / (u.elements < 1 ? 1 : u.elements));
  int64_t step = last == nest->vdim ? (int64_t)cg->lanes * nest->unroll : 1;
  chunk = ceil_div(chunk, step) * step;
  if (u.count > 1 && s->extent[last].each) chunk = 1;
  int64_t extent = extent_max(cg, s, last);
  u.chunk = chunk > extent && !s->extent[last].each ? extent : chunk;
  u.elements *= (double)(u.chunk < extent ? u.chunk : extent);
  return u;
}

/* Whether a view moves with every dimension: the others stay in registers or the first cache. */
static bool streams(const PointwiseSpec *s, const View *view) {
  for (int d = 0; d < s->rank; d++)
    if (!view->stride[d]) return false;
  return true;
}

/* Measured: about 0.035 ns for each 4 bytes streamed, and 0.02 for an operation on 16 lanes. */
double plan_cost(Cg *cg, const PointwiseSpec *s) {
  double memory = s->nstores;
  for (int i = 0; i < s->nvalues; i++)
    memory += body_viewed(&s->value[i]) && streams(s, &s->value[i].view);
  double cost = 0.035 * memory * cg->real_bytes / 4 + 0.02 * operations(s) * 16 / cg->lanes;
  return cost > 0.01 ? cost : 0.01;
}
