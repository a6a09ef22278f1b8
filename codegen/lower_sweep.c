/* Steps that are loop nests: sweeps, copies, fills and the data movement made of them. */
#include <math.h>

#include "codegen/lower.h"
#include "passes/fusible.h"

/* Runs the body's loop nest; sums of few results over much data may split through scratch. */
static bool run_body(Lower *l, Draft *b) {
  PointwiseSpec spec = draft_spec(b);
  if (!spec.nstores && !spec.nreduces) return true;
  spec.scratch = spec.nreduces ? lower_scratch(l, 0) : -1;
  KernelList list = lower_pointwise_kernel(l, &spec);
  if (spec.scratch >= 0)
    lower_run_scratch(l, &list, spec.scratch);
  else
    lower_run(l, &list);
  return true;
}

bool lower_sweep(Lower *l, const PlanGroup *g, const Node *n) {
  const Node *like = fusible_reduction(n->op) ? n->in[0] : n;
  Domain domain = lower_domain(like);
  Draft b;
  draft_begin(&b, l, &domain);
  draft_members(&b, g, NULL);
  return run_body(l, &b);
}

void lower_copy_to(Lower *l, const Node *x, const Domain *domain, View to) {
  Draft b;
  draft_begin(&b, l, domain);
  draft_put(&b, draft_load(&b, x), to);
  run_body(l, &b);
}

static void fill(Lower *l, double value, const Domain *domain, View to) {
  Draft b;
  draft_begin(&b, l, domain);
  bool integer = to.elem == MEM_U8 || to.elem == MEM_I32;
  BodyKind kind = integer ? BODY_INTEGER : BODY_CONSTANT;
  draft_put(&b, draft_add(&b, (BodyValue){.kind = kind, .number = value}), to);
  run_body(l, &b);
}

/* A reshape that strides cannot say: its operand's elements in row-major order. */
bool lower_copy(Lower *l, const PlanGroup *g, const Node *n) {
  (void)g;
  const Node *x = n->in[0];
  Node row_major = *x; /* the operand's shape, dense in logical order, in n's storage */
  row_major.ordered = false;
  Domain domain = lower_domain(&row_major);
  Memory m = memory_own(&row_major);
  lower_copy_to(l, x, &domain,
                lower_memory_view(lower_storage(l, n), lower_elem(n), &m, &x->type, &domain));
  return true;
}

bool lower_fill(Lower *l, const PlanGroup *g, const Node *n) {
  (void)g;
  Domain domain = lower_domain(n);
  fill(l, node_float(n, "value"), &domain, lower_view(l, n, &domain));
  return true;
}

MemElem lower_dense_elem(const Node *x) {
  return x->type.elem == ELEM_F32 ? MEM_REAL : lower_elem(x);
}

int lower_dense(Lower *l, const Node *x, const uint8_t *order, bool batched, int64_t *offset) {
  Node dense = *x;
  dense.ordered = true;
  dense.type.batched = batched;
  for (int i = 0; i < x->type.rank; i++) dense.order[i] = order[i];
  const Memory *m = &l->plan->memory[x->id];
  Memory own = memory_own(&dense);
  MemElem elem = lower_dense_elem(x);
  bool fits = m->batch == own.batch && lower_elem(m->owner) == elem;
  for (int d = 0; d < x->type.rank; d++)
    fits &= x->type.dim[d] == 1 || m->stride[d] == own.stride[d];
  double constant;
  *offset = m->offset;
  if (fits && !lower_is_constant(l, x, &constant)) return lower_storage(l, m->owner);
  *offset = 0;
  int slot = lower_scratch(l, plan_bytes(&dense, l->cg->max_batch, l->cg->real_bytes));
  Domain domain = lower_domain(&dense);
  lower_copy_to(l, x, &domain, lower_memory_view(slot, elem, &own, &dense.type, &domain));
  return slot;
}

/* ---- data movement ---- */

bool lower_concat(Lower *l, const PlanGroup *g, const Node *n) {
  (void)g;
  int64_t dim = node_int(n, "dim"), at = 0;
  for (int i = 0; i < n->nin; i++) {
    Node part = *n; /* the operand's box of the result */
    part.type.dim[dim] = n->in[i]->type.dim[dim];
    Domain domain = lower_domain(&part);
    l->nslots = 0; /* each operand is a call of its own */
    View to = lower_memory_view(lower_storage(l, n), lower_elem(n), &l->plan->memory[n->id],
                                &part.type, &domain);
    to.offset += at * l->plan->memory[n->id].stride[dim];
    lower_copy_to(l, n->in[i], &domain, to);
    at += part.type.dim[dim];
  }
  return true;
}

bool lower_surround(Lower *l, const PlanGroup *g, const Node *n) {
  (void)g;
  const int64_t *low = node_ints(n, "low"), *inner = node_ints(n, "inner");
  Domain whole = lower_domain(n);
  fill(l, node_float(n, "value"), &whole, lower_view(l, n, &whole));
  Node part = *n;
  for (int d = 0; d < n->type.rank; d++) part.type.dim[d] = n->in[0]->type.dim[d];
  Memory m = memory_own(n);
  Domain domain = lower_domain(&part);
  for (int d = 0; d < n->type.rank; d++) {
    m.offset += low[d] * m.stride[d];
    m.stride[d] *= 1 + inner[d];
  }
  lower_copy_to(l, n->in[0], &domain,
                lower_memory_view(lower_storage(l, n), lower_elem(n), &m, &part.type, &domain));
  return true;
}

/* The largest along dim into scratch, then the smallest coordinate at which it stands. */
bool lower_argmax(Lower *l, const PlanGroup *g, const Node *n) {
  (void)g;
  const Node *x = n->in[0];
  Domain domain = lower_domain(x);
  int64_t dim = node_int(n, "dim");
  Memory own = memory_own(n);
  View result = {.slot = lower_storage(l, n), .elem = MEM_REAL};
  Draft b;
  draft_begin(&b, l, &domain);
  int axis = 0;
  for (int i = 0; i < domain.rank; i++) {
    int d = domain.dim[i];
    b.reduced[i] = d == dim;
    if (d == dim)
      axis = i;
    else
      result.stride[i] = d < 0 ? own.batch : own.stride[d < dim ? d : d - 1];
  }
  View largest = result;
  largest.slot = lower_scratch(l, plan_bytes(n, l->cg->max_batch, l->cg->real_bytes));
  vec_push(l->arena, &b.reduces,
           ((BodyReduce){.kind = REDUCE_MAX, .value = draft_load(&b, x), .view = largest}));
  run_body(l, &b);

  Draft c;
  draft_begin(&c, l, &domain);
  for (int i = 0; i < domain.rank; i++) c.reduced[i] = b.reduced[i];
  int best = draft_add(&c, (BodyValue){.kind = BODY_LOAD, .view = largest});
  int below = draft_op(&c, OP_less, draft_load(&c, x), best, 0);
  int place = draft_add(&c, (BodyValue){.kind = BODY_COORD, .dim = axis});
  int candidate = draft_op(&c, OP_select, below, draft_number(&c, INFINITY), place);
  vec_push(l->arena, &c.reduces,
           ((BodyReduce){.kind = REDUCE_MIN, .value = candidate, .view = result}));
  return run_body(l, &c);
}

/* ---- tables ---- */

static const uint8_t row_major[LIMIT_RANK] = {0, 1, 2, 3, 4, 5, 6, 7};

/* The index, repeated over the dimensions of a row. */
static View index_view(Lower *l, const Node *index, int row_rank, const Domain *domain) {
  const Memory *m = &l->plan->memory[index->id];
  Memory wide = *m;
  Type type = index->type;
  for (int i = 0; i < row_rank; i++) {
    wide.stride[type.rank] = 0;
    type.dim[type.rank++] = 1;
  }
  return lower_memory_view(lower_storage(l, m->owner), lower_elem(m->owner), &wide, &type, domain);
}

/* Result [index shape..., row shape...]. */
bool lower_take_rows(Lower *l, const PlanGroup *g, const Node *n) {
  (void)g;
  const Node *table = n->in[0], *index = n->in[1];
  Domain domain = lower_domain(n);
  Draft b;
  draft_begin(&b, l, &domain);
  const Memory *m = &l->plan->memory[table->id];
  View row = {.slot = lower_storage(l, m->owner), .elem = MEM_REAL, .offset = m->offset};
  for (int i = 0; i < domain.rank; i++) {
    int d = domain.dim[i] - index->type.rank; /* dimension of a row */
    row.stride[i] = d >= 0 ? m->stride[1 + d] : 0;
  }
  View at = index_view(l, index, table->type.rank - 1, &domain);
  int which = draft_add(&b, (BodyValue){.kind = BODY_LOAD, .view = at});
  int v = draft_add(&b, (BodyValue){.kind = BODY_GATHER,
                                    .arg = {which},
                                    .view = row,
                                    .view_step = m->stride[0],
                                    .number = (double)table->type.dim[0]});
  draft_put(&b, v, lower_view(l, n, &domain));
  return run_body(l, &b);
}

/* Strides of n's storage seen as rows of `width` elements, one below the other. */
static View table_view(Lower *l, const Node *n, int64_t width) {
  Memory own = memory_own(n);
  bool matrix = n->type.rank == 2; /* in any order; others are row-major, as layout sees to it */
  return (View){.slot = lower_storage(l, n),
                .stride = {matrix ? own.stride[0] : width, matrix ? own.stride[1] : 1}};
}

/* The index as one run, in the order of the rows. */
static View index_run(Lower *l, const Node *index) {
  View run = {.elem = lower_dense_elem(index), .stride = {1}};
  run.slot = lower_dense(l, index, row_major, index->type.batched, &run.offset);
  return run;
}

bool lower_put_rows(Lower *l, const PlanGroup *g, const Node *n) {
  (void)g;
  const Node *rows = n->in[0], *index = n->in[1];
  PutRowsSpec s = {.width = type_elements(&n->type) / n->type.dim[0], .count = n->type.dim[0]};
  int64_t per_sample = type_elements(&index->type);
  s.rows = index->type.batched ? (Extent){.each = per_sample} : (Extent){.fixed = per_sample};
  s.index = index_run(l, index);
  s.source.slot = lower_dense(l, rows, row_major, index->type.batched, &s.source.offset);
  s.source.stride[0] = s.width;
  s.source.stride[1] = 1;
  s.table = table_view(l, n, s.width);
  KernelList list = lower_put_rows_kernel(l, &s);
  lower_run(l, &list);
  return true;
}

/* ---- pooling ---- */

static View image_view(Lower *l, const Node *n) {
  const Memory *m = &l->plan->memory[n->id];
  return (View){.slot = lower_storage(l, m->owner),
                .elem = lower_elem(m->owner),
                .offset = m->offset,
                .stride = {m->batch, m->stride[1], m->stride[2], m->stride[0]}};
}

bool lower_pool(Lower *l, const PlanGroup *g, const Node *n) {
  (void)g;
  static const PoolKind kind[OP_COUNT] = {
      [OP_max_pool2d] = POOL_MAX,
      [OP_max_pool2d_put] = POOL_MAX_PUT,
      [OP_max_pool2d_take] = POOL_MAX_TAKE,
      [OP_avg_pool2d] = POOL_MEAN,
      [OP_avg_pool2d_put] = POOL_MEAN_PUT,
      [OP_adaptive_avg_pool2d] = POOL_MEAN,
      [OP_adaptive_avg_pool2d_put] = POOL_MEAN_PUT,
      [OP_adaptive_max_pool2d] = POOL_MAX,
      [OP_adaptive_max_pool2d_put] = POOL_MAX_PUT,
      [OP_adaptive_max_pool2d_take] = POOL_MAX_TAKE,
  };
  PoolSpec s = {.kind = kind[n->op], .node = n, .channels = n->type.dim[0]};
  bool put = s.kind == POOL_MAX_PUT || s.kind == POOL_MEAN_PUT;
  const Type *large = put ? &n->type : &n->in[0]->type;
  const Type *small = s.kind == POOL_MAX_PUT ? &n->in[1]->type : put ? &n->in[0]->type : &n->type;
  s.ih = large->dim[1], s.iw = large->dim[2], s.oh = small->dim[1], s.ow = small->dim[2];
  if (s.kind == POOL_MEAN_PUT)
    s.dy = image_view(l, n->in[0]);
  else
    s.x = image_view(l, n->in[0]);
  if (n->nin > 1) s.dy = image_view(l, n->in[1]);
  s.y = image_view(l, n);
  if (!n->type.batched) l->n = cg_int(l->cg, 1);
  KernelList list = lower_pool_kernel(l, &s);
  lower_run(l, &list);
  return true;
}
