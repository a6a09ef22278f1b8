/* Steps that are products: dot_general as C[m][n] = sum over k of A[m][k] B[k][n].
 *
 * Every dimension of the operands, the batch among them, plays one role: in both and kept (BATCH),
 * in a alone (ROWS), in b alone (COLUMNS), or summed (INNER). Neighbouring dimensions of a role
 * melt into one where every view that walks them agrees; what is left over of ROWS and COLUMNS
 * becomes further batch dimensions. */
#include <stdlib.h>
#include <string.h>

#include "codegen/lower.h"
#include "passes/fusible.h"

typedef enum { BATCH, ROWS, COLUMNS, INNER, ROLES } Role;

enum { AXES = 2 * LIMIT_RANK + 2, WITNESSES = FUSIBLE_READS, PRODUCT_BATCH = 3 };

/* One dimension, with its stride in a, b, c and in every view of the epilogue. */
typedef struct {
  Extent extent;
  int64_t a, b, c;
  int result; /* dimension of the result, AXIS_BATCH, or AXIS_NONE for INNER */
  int64_t view[WITNESSES];
} Axis;

typedef struct {
  int count;
  Axis axis[AXES];
} AxisList;

typedef struct {
  Lower *l;
  const Node *n;
  Memory a, b, c;
  int nviews; /* the epilogue's operands */
  const Node *views[WITNESSES];
  AxisList role[ROLES];
} Product;

/* ---- roles ---- */

static int find(const Attr *list, int d) {
  for (int i = 0; i < list->n; i++)
    if (list->v[i] == d) return i;
  return -1;
}

static void add_axis(Product *p, Role role, Axis axis) {
  p->role[role].axis[p->role[role].count++] = axis;
}

static void add_batch_axis(Product *p) {
  bool a = p->n->in[0]->type.batched, b = p->n->in[1]->type.batched;
  if (!a && !b) return;
  Role role = node_bool(p->n, "sum_batch") ? INNER : a && b ? BATCH : a ? ROWS : COLUMNS;
  add_axis(p, role,
           (Axis){.extent = {.each = 1},
                  .a = p->a.batch,
                  .b = p->b.batch,
                  .c = p->c.batch,
                  .result = role == INNER ? AXIS_NONE : AXIS_BATCH});
}

static void add_axes(Product *p) {
  const Node *n = p->n;
  const Type *ta = &n->in[0]->type, *tb = &n->in[1]->type;
  const Attr *ca = node_attr(n, "contract_a"), *cb = node_attr(n, "contract_b");
  const Attr *ba = node_attr(n, "batch_a"), *bb = node_attr(n, "batch_b");
  add_batch_axis(p);
  int result = 0;
  for (int i = 0; i < ba->n; i++, result++)
    add_axis(p, BATCH,
             (Axis){.extent = {.fixed = ta->dim[ba->v[i]]},
                    .a = p->a.stride[ba->v[i]],
                    .b = p->b.stride[bb->v[i]],
                    .c = p->c.stride[result],
                    .result = result});
  for (int d = 0; d < ta->rank; d++)
    if (find(ca, d) < 0 && find(ba, d) < 0) {
      add_axis(p, ROWS,
               (Axis){.extent = {.fixed = ta->dim[d]},
                      .a = p->a.stride[d],
                      .c = p->c.stride[result],
                      .result = result});
      result++;
    }
  for (int d = 0; d < tb->rank; d++)
    if (find(cb, d) < 0 && find(bb, d) < 0) {
      add_axis(p, COLUMNS,
               (Axis){.extent = {.fixed = tb->dim[d]},
                      .b = p->b.stride[d],
                      .c = p->c.stride[result],
                      .result = result});
      result++;
    }
  for (int i = 0; i < ca->n; i++)
    add_axis(p, INNER,
             (Axis){.extent = {.fixed = ta->dim[ca->v[i]]},
                    .a = p->a.stride[ca->v[i]],
                    .b = p->b.stride[cb->v[i]],
                    .result = AXIS_NONE});
}

static void add_views(Product *p) {
  for (int v = 0; v < p->nviews; v++) {
    int64_t stride[1 + LIMIT_RANK];
    const Node *x = p->views[v];
    memory_broadcast(&p->l->plan->memory[x->id], &x->type, &p->n->type, stride);
    for (int r = 0; r < INNER; r++)
      for (int i = 0; i < p->role[r].count; i++)
        p->role[r].axis[i].view[v] = stride[1 + p->role[r].axis[i].result];
  }
}

/* ---- melting neighbours ---- */

static int by_result_stride(const void *px, const void *py) {
  const Axis *x = px, *y = py;
  bool bx = x->extent.each, by = y->extent.each;
  if (bx != by) return bx ? -1 : 1;
  if (x->c != y->c) return x->c > y->c ? -1 : 1;
  return x->a > y->a ? -1 : x->a < y->a;
}

static bool continues(int64_t outer, int64_t inner, int64_t extent) {
  return outer == inner * extent;
}

static bool can_melt(const Product *p, const Axis *outer, const Axis *inner) {
  if (inner->extent.each) return false;
  int64_t e = inner->extent.fixed;
  if (!continues(outer->a, inner->a, e) || !continues(outer->b, inner->b, e) ||
      !continues(outer->c, inner->c, e))
    return false;
  for (int v = 0; v < p->nviews; v++)
    if (!continues(outer->view[v], inner->view[v], e)) return false;
  return true;
}

static void drop_ones(AxisList *list) {
  int kept = 0;
  for (int i = 0; i < list->count; i++)
    if (list->axis[i].extent.each || list->axis[i].extent.fixed != 1)
      list->axis[kept++] = list->axis[i];
  list->count = kept;
}

static void melt(const Product *p, AxisList *list) {
  drop_ones(list);
  qsort(list->axis, (size_t)list->count, sizeof *list->axis, by_result_stride);
  int kept = 0;
  for (int i = 0; i < list->count; i++) {
    Axis *outer = kept ? &list->axis[kept - 1] : NULL;
    if (outer && can_melt(p, outer, &list->axis[i])) {
      Axis merged = list->axis[i];
      merged.extent.each = outer->extent.each * list->axis[i].extent.fixed;
      merged.extent.fixed *= outer->extent.fixed;
      *outer = merged;
    } else {
      list->axis[kept++] = list->axis[i];
    }
  }
  list->count = kept;
}

static Axis take_innermost(AxisList *list) {
  if (!list->count) return (Axis){.extent = {.fixed = 1}, .result = AXIS_NONE};
  return list->axis[--list->count];
}

static void move_to_batch(Product *p, Role from) {
  AxisList *list = &p->role[from];
  for (int i = 0; i < list->count; i++) add_axis(p, BATCH, list->axis[i]);
  list->count = 0;
}

static bool is_column_like(const Axis *rows, const Axis *columns) {
  bool one_column = !columns->extent.each && columns->extent.fixed == 1;
  bool one_row = !rows->extent.each && rows->extent.fixed == 1;
  if (one_row) return false;
  return one_column ? rows->a == 1 : rows->c == 1 && columns->c != 1;
}

static void exchange(Axis *m, Axis *n, Axis *k, AxisList *batch) {
  Axis t = *m;
  *m = *n;
  *n = t;
  Axis *all[] = {m, n, k};
  for (int i = 0; i < 3; i++) t.a = all[i]->a, all[i]->a = all[i]->b, all[i]->b = t.a;
  for (int i = 0; i < batch->count; i++) {
    Axis *x = &batch->axis[i];
    t.a = x->a, x->a = x->b, x->b = t.a;
  }
}

/* ---- the specification ---- */

static Domain product_domain(const Product *p, const AxisList *batch, const Axis *m,
                             const Axis *n) {
  Domain d = {.type = &p->n->type};
  for (int i = 0; i < batch->count; i++) {
    d.extent[d.rank] = batch->axis[i].extent;
    d.dim[d.rank++] = batch->axis[i].result;
  }
  d.extent[d.rank] = m->extent;
  d.dim[d.rank++] = m->result;
  d.extent[d.rank] = n->extent;
  d.dim[d.rank++] = n->result;
  return d;
}

static void set_strides(MatmulSpec *s, const AxisList *batch, const Axis *m, const Axis *n,
                        const Axis *k) {
  int r = batch->count;
  for (int i = 0; i < r; i++) {
    s->batch[i] = batch->axis[i].extent;
    s->a.stride[i] = batch->axis[i].a;
    s->b.stride[i] = batch->axis[i].b;
    s->c.stride[i] = batch->axis[i].c;
  }
  s->nbatch = r;
  s->m = m->extent, s->n = n->extent, s->k = k->extent;
  s->a.stride[r] = m->a, s->a.stride[r + 1] = k->a;
  s->b.stride[r] = k->b, s->b.stride[r + 1] = n->b;
  s->c.stride[r] = m->c, s->c.stride[r + 1] = n->c;
}

static bool is_external(const PlanGroup *g, const Node *x) {
  for (int i = 0; i < g->members.count; i++)
    if (g->members.at[i] == x) return false;
  return true;
}

/* What the epilogue reads: no more than FUSIBLE_READS, as the fuse pass sees to it. */
static void collect_views(Product *p, const PlanGroup *g) {
  for (int i = 0; i < g->members.count; i++) {
    const Node *m = g->members.at[i];
    for (int k = 0; m != p->n && k < m->nin; k++)
      if (is_external(g, m->in[k])) p->views[p->nviews++] = m->in[k];
  }
}

static int axes_left(const AxisList *list) { return list->count ? list->count - 1 : 0; }

/* Fills the roles; false where more is left apart than a kernel walks. */
static bool melt_all(Product *p) {
  add_axes(p);
  add_views(p);
  for (int r = 0; r < ROLES; r++) melt(p, &p->role[r]);
  int batch = p->role[BATCH].count + axes_left(&p->role[ROWS]) + axes_left(&p->role[COLUMNS]);
  return p->role[INNER].count <= 1 && batch <= PRODUCT_BATCH;
}

/* Dense copies of both operands in which the summed dimensions lie together. */
static void copy_operands(Product *p, int *slot_a, int *slot_b) {
  Memory *memory[] = {&p->a, &p->b};
  int *slot[] = {slot_a, slot_b};
  bool sum_batch = node_bool(p->n, "sum_batch");
  for (int side = 0; side < 2; side++) {
    const Attr *contract = node_attr(p->n, side ? "contract_b" : "contract_a");
    Node dense = *p->n->in[side];
    uint8_t order[LIMIT_RANK];
    int at = 0;
    for (int i = 0; sum_batch && i < contract->n; i++) order[at++] = (uint8_t)contract->v[i];
    for (int d = 0; d < dense.type.rank; d++)
      if (find(contract, d) < 0) order[at++] = (uint8_t)d;
    for (int i = 0; !sum_batch && i < contract->n; i++) order[at++] = (uint8_t)contract->v[i];
    int64_t offset;
    dense.type.batched |=
        sum_batch; /* a shared operand is repeated, so that (batch, summed) is one run */
    *slot[side] = lower_dense(p->l, p->n->in[side], order, dense.type.batched, &offset);
    dense.ordered = true;
    memcpy(dense.order, order, sizeof order);
    *memory[side] = memory_own(&dense);
    memory[side]->offset = offset;
  }
}

/* The operands' memory goes straight into the roles, where the kernel can walk it. */
static bool walk_directly(Product *p) {
  double constant;
  for (int side = 0; side < 2; side++)
    if (lower_is_constant(p->l, p->n->in[side], &constant)) return false;
  return lower_elem(p->a.owner) == MEM_REAL && lower_elem(p->b.owner) == MEM_REAL && melt_all(p);
}

/* Slots of the operands, with the roles filled; false after a reported error. */
static bool find_operands(Product *p, int *a, int *b) {
  if (walk_directly(p)) {
    *a = lower_storage(p->l, p->a.owner);
    *b = lower_storage(p->l, p->b.owner);
    return true;
  }
  memset(p->role, 0, sizeof p->role);
  copy_operands(p, a, b);
  if (melt_all(p)) return true;
  diag_error(p->l->diags, p->n->span,
             "this product has more than %d batch dimensions that lie apart", PRODUCT_BATCH);
  return false;
}

static MatmulSpec specify(Product *p, int slot_a, int slot_b, Domain *domain) {
  Axis m = take_innermost(&p->role[ROWS]), n = take_innermost(&p->role[COLUMNS]),
       k = take_innermost(&p->role[INNER]);
  move_to_batch(p, ROWS);
  move_to_batch(p, COLUMNS);
  AxisList *batch = &p->role[BATCH];
  MatmulSpec s = {.a = {.slot = slot_a, .offset = p->a.offset},
                  .b = {.slot = slot_b, .offset = p->b.offset}};
  if (is_column_like(&m, &n)) {
    exchange(&m, &n, &k, batch);
    View t = s.a;
    s.a = s.b, s.b = t;
  }
  set_strides(&s, batch, &m, &n, &k);
  *domain = product_domain(p, batch, &m, &n);
  return s;
}

bool lower_product(Lower *l, const PlanGroup *g, const Node *n) {
  const Memory *memory = l->plan->memory;
  Product p = {
      .l = l, .n = n, .a = memory[n->in[0]->id], .b = memory[n->in[1]->id], .c = memory_own(n)};
  int a, b;
  collect_views(&p, g);
  if (!find_operands(&p, &a, &b)) return false;
  Domain domain;
  MatmulSpec s = specify(&p, a, b, &domain);
  if (l->plan->stored[n->id]) s.c.slot = lower_storage(l, n);
  Draft body;
  PointwiseSpec epilogue;
  if (g->members.count > 1) {
    draft_begin(&body, l, &domain);
    draft_members(&body, g, n);
    epilogue = draft_spec(&body);
    s.epilogue = &epilogue;
  }
  s.scratch = lower_scratch(l, 0);
  KernelList list = lower_matmul_kernel(l, &s);
  lower_run_scratch(l, &list, s.scratch);
  return true;
}
