/* Products of tensors and rows picked by integers.
 *
 * dot_general sums products over pairs of dimensions; batch pairs are kept, once, in front. The
 * implicit batch is one more batch pair where both operands are per sample and is carried through
 * where one is; with sum_batch it is summed over too, and the result is shared. Its gradients are
 * dot_generals. */
#include "ir/ops/common.h"

#include <string.h>

/* ---- dot_general: its dimensions ---- */

typedef struct {
  int n;
  int64_t v[LIMIT_RANK];
} List;

/* What each dimension of an operand is for; all lists but `rest` and `sorted` are in the order of
 * the pairs. */
typedef struct {
  List batch, sum, rest;
  List sorted; /* the summed ones, increasing */
} Side;

static List list_of(const Node *n, const char *name) {
  const Attr *a = node_attr(n, name);
  List l = {.n = a->n};
  for (int i = 0; i < a->n; i++) l.v[i] = a->v[i];
  return l;
}

static int list_find(const List *l, int64_t x) {
  for (int i = 0; i < l->n; i++)
    if (l->v[i] == x) return i;
  return -1;
}

static Side side_of(const Node *n, const Type *t, const char *batch, const char *sum) {
  Side s = {.batch = list_of(n, batch), .sum = list_of(n, sum)};
  for (int d = 0; d < t->rank; d++) {
    if (list_find(&s.sum, d) >= 0)
      s.sorted.v[s.sorted.n++] = d;
    else if (list_find(&s.batch, d) < 0)
      s.rest.v[s.rest.n++] = d;
  }
  return s;
}

static Side side_a(const Node *n) { return side_of(n, &n->in[0]->type, "batch_a", "contract_a"); }
static Side side_b(const Node *n) { return side_of(n, &n->in[1]->type, "batch_b", "contract_b"); }

static bool check_pairs(const Node *n, const char *name_a, const char *name_b, OpError *e) {
  const Type *a = &n->in[0]->type, *b = &n->in[1]->type;
  List la = list_of(n, name_a), lb = list_of(n, name_b);
  if (la.n != lb.n) return attr_error(e, n, name_b, "%s and %s differ in length", name_a, name_b);
  for (int i = 0; i < la.n; i++) {
    if (la.v[i] < 0 || la.v[i] >= a->rank)
      return attr_error(e, n, name_a, "%s names no dimension of %s", name_a, shape_text(e, a));
    if (lb.v[i] < 0 || lb.v[i] >= b->rank)
      return attr_error(e, n, name_b, "%s names no dimension of %s", name_b, shape_text(e, b));
    if (a->dim[la.v[i]] != b->dim[lb.v[i]])
      return op_error(e, "dimension %lld of %s and dimension %lld of %s do not agree",
                      (long long)la.v[i], shape_text(e, a), (long long)lb.v[i], shape_text(e, b));
  }
  return true;
}

/* Each dimension has one use: all lists together are as long as the rank. */
static bool check_uses(const Side *s, const Type *t, OpError *e) {
  if (s->batch.n + s->sum.n + s->rest.n == t->rank) return true;
  return op_error(e, "a dimension of %s is named twice", shape_text(e, t));
}

static void append_dims(Type *out, const Type *from, const List *dims) {
  for (int i = 0; i < dims->n; i++, out->rank++)
    if (out->rank < LIMIT_RANK) out->dim[out->rank] = from->dim[dims->v[i]];
}

bool op_dot_general_shape(Node *n, Type *out, OpError *e) {
  const Type *a = &n->in[0]->type, *b = &n->in[1]->type;
  if (!check_real(n, n->in, 0, e) || !check_real(n, n->in, 1, e)) return false;
  if (!check_pairs(n, "contract_a", "contract_b", e) || !check_pairs(n, "batch_a", "batch_b", e))
    return false;
  Side sa = side_a(n), sb = side_b(n);
  if (!check_uses(&sa, a, e) || !check_uses(&sb, b, e)) return false;
  bool batched = a->batched || b->batched, sum = node_bool(n, "sum_batch");
  if (sum && !batched) return attr_error(e, n, "sum_batch", "two shared tensors have no batch");
  *out = type_scalar(batched && !sum);
  append_dims(out, a, &sa.batch);
  append_dims(out, a, &sa.rest);
  append_dims(out, b, &sb.rest);
  return check_size(out, e);
}

/* ---- dot_general: evaluation ---- */

/* The sum along the walk `o` (a fresh copy), whose last dimension is done by a plain loop. */
static double dot_inner(Odometer o, const double *a, const double *b) {
  double sum = 0;
  if (o.rank == 0) return *a * *b;
  int last = --o.rank;
  int64_t sa = o.stride[0][last], sb = o.stride[1][last];
  do {
    const double *p = a + o.at[0], *q = b + o.at[1];
    for (int64_t i = 0; i < o.dim[last]; i++) sum += p[i * sa] * q[i * sb];
  } while (odometer_next(&o));
  return sum;
}

static int64_t batch_stride(const Tensor *t) {
  return t->type.batched ? type_elements(&t->type) : 0;
}

void op_dot_general_eval(const Node *n, const Tensor *const *in, Tensor *out,
                         const EvalContext *c) {
  const Tensor *a = in[0], *b = in[1];
  Side sa = side_a(n), sb = side_b(n);
  Odometer outer = {0}, inner = {0};
  int64_t step_a[LIMIT_RANK], step_b[LIMIT_RANK], at = 0;
  row_strides(&a->type, step_a);
  row_strides(&b->type, step_b);
  bool sum_batch = node_bool(n, "sum_batch"), batched = a->type.batched || b->type.batched;
  if (batched) odometer_add(sum_batch ? &inner : &outer, c->n, batch_stride(a), batch_stride(b));
  for (int i = 0; i < sa.batch.n; i++)
    odometer_add(&outer, a->type.dim[sa.batch.v[i]], step_a[sa.batch.v[i]], step_b[sb.batch.v[i]]);
  for (int i = 0; i < sa.rest.n; i++)
    odometer_add(&outer, a->type.dim[sa.rest.v[i]], step_a[sa.rest.v[i]], 0);
  for (int i = 0; i < sb.rest.n; i++)
    odometer_add(&outer, b->type.dim[sb.rest.v[i]], 0, step_b[sb.rest.v[i]]);
  for (int i = 0; i < sa.sum.n; i++)
    odometer_add(&inner, a->type.dim[sa.sum.v[i]], step_a[sa.sum.v[i]], step_b[sb.sum.v[i]]);
  do out->data[at++] = dot_inner(inner, a->data + outer.at[0], b->data + outer.at[1]);
  while (odometer_next(&outer));
}

/* ---- dot_general: gradients ---- */

static List range(int from, int n) {
  List l = {.n = n};
  for (int i = 0; i < n; i++) l.v[i] = from + i;
  return l;
}

static Node *dot(Graph *g, Node *a, Node *b, List sum_a, List sum_b, List batch_a, List batch_b,
                 bool sum_batch) {
  return ir_with2(g, OP_dot_general, a, b, attr_ints(sum_a.n, sum_a.v), attr_ints(sum_b.n, sum_b.v),
                  attr_ints(batch_a.n, batch_a.v), attr_ints(batch_b.n, batch_b.v),
                  attr_bool(sum_batch));
}

/* One operand (`me`, of type t) of a product whose result is [batch, rest of a, rest of b]; my rest
 * begins at `mine` of the result, the other's at `theirs`. Its gradient is the product of dy and
 * the other, over the other's rest, with dimensions [batch, my rest, summed] when dy comes first,
 * [batch, summed, my rest] otherwise. The form that needs no permutation is taken when there is
 * one. */
typedef struct {
  const Side *me, *other;
  const Type *t;
  int mine, theirs;
} DotGrad;

/* order[d]: where my dimension d is in the product. */
static bool dot_grad_order(const DotGrad *s, bool dy_first, int64_t *order) {
  int nbatch = s->me->batch.n, nrest = s->me->rest.n, nsum = s->me->sum.n;
  int rest_at = dy_first ? nbatch : nbatch + nsum, sum_at = dy_first ? nbatch + nrest : nbatch;
  bool plain = true;
  for (int d = 0; d < s->t->rank; d++) {
    int b = list_find(&s->me->batch, d), r = list_find(&s->me->rest, d);
    int k = list_find(&s->me->sum, d);
    order[d] = b >= 0   ? b
               : r >= 0 ? rest_at + r
                        : sum_at + list_find(&s->other->sorted, s->other->sum.v[k]);
    plain = plain && order[d] == d;
  }
  return plain;
}

static Node *dot_grad(Graph *g, const DotGrad *s, Node *dy, Node *other) {
  int64_t order[LIMIT_RANK];
  List batch = range(0, s->me->batch.n), theirs = range(s->theirs, s->other->rest.n);
  bool first = dot_grad_order(s, true, order);
  bool dy_first = first || !dot_grad_order(s, false, order);
  if (dy_first) dot_grad_order(s, true, order);
  bool sum_batch = !s->t->batched && (dy->type.batched || other->type.batched);
  Node *p = dy_first ? dot(g, dy, other, theirs, s->other->rest, batch, s->other->batch, sum_batch)
                     : dot(g, other, dy, s->other->rest, theirs, s->other->batch, batch, sum_batch);
  return ir_broadcast(g, ir_permute(g, p, order), s->t);
}

void op_dot_general_grad(Graph *g, Node *n, Node *dy, Node **dx) {
  Side a = side_a(n), b = side_b(n);
  int rest_a = a.batch.n, rest_b = a.batch.n + a.rest.n;
  DotGrad of_a = {&a, &b, &n->in[0]->type, rest_a, rest_b};
  DotGrad of_b = {&b, &a, &n->in[1]->type, rest_b, rest_a};
  dx[0] = dot_grad(g, &of_a, dy, n->in[1]);
  dx[1] = dot_grad(g, &of_b, dy, n->in[0]);
}

/* ---- matmul, outer, dot ---- */

static bool matmul_fails(OpError *e, const Type *a, const Type *b) {
  operand_error(e, 1, "%s cannot be multiplied by %s", shape_text(e, a), shape_text(e, b));
  op_note(e,
          "matmul sums over the last dimension of the first and the last but one of the second; "
          "the batch is not counted");
  return false;
}

/* x with its leading dimensions broadcast to `lead`. */
static Node *with_lead(Graph *g, Node *x, const Type *lead) {
  Type t = *lead;
  t.batched = x->type.batched;
  for (int d = x->type.rank - 2; d < x->type.rank; d++) t.dim[t.rank++] = x->type.dim[d];
  return ir_broadcast(g, x, &t);
}

/* Both have leading dimensions: broadcast to common ones, which are batch pairs. */
static Node *matmul_stacked(Graph *g, Node *a, Node *b, OpError *e) {
  Type la = a->type, lb = b->type, lead;
  la.rank -= 2, lb.rank -= 2;
  if (!type_broadcast(&la, &lb, &lead, NULL) || lead.rank + 2 > LIMIT_RANK) {
    matmul_fails(e, &a->type, &b->type);
    return NULL;
  }
  List batch = range(0, lead.rank), last = range(lead.rank + 1, 1), before = range(lead.rank, 1);
  return dot(g, with_lead(g, a, &lead), with_lead(g, b, &lead), last, before, batch, batch, false);
}

/* Only b has leading dimensions: [rest of a, lead, n] -> [lead, rest of a, n]. */
static Node *lead_first(Graph *g, Node *p, int rest_a, int lead) {
  int64_t order[LIMIT_RANK];
  for (int d = 0; d < p->type.rank; d++)
    order[d] = d < lead ? rest_a + d : d < lead + rest_a ? d - lead : d;
  return ir_permute(g, p, order);
}

Node *op_matmul_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  (void)n;
  Graph *g = x->graph;
  Node *a = as_real(g, in[0]), *b = as_real(g, in[1]);
  const Type *ta = &a->type, *tb = &b->type;
  int ra = ta->rank, rb = tb->rank;
  int64_t row = rb < 2 ? 0 : rb - 2;
  if (!ra || !rb || ta->dim[ra - 1] != tb->dim[row]) {
    matmul_fails(e, ta, tb);
    return NULL;
  }
  if (ra > 2 && rb > 2) return matmul_stacked(g, a, b, e);
  List none = {0};
  Node *p = dot(g, a, b, range(ra - 1, 1), range((int)row, 1), none, none, false);
  return rb > 2 ? lead_first(g, p, ra - 1, rb - 2) : p;
}

static bool two_vectors(const Node *n, Node *const *in, OpError *e) {
  return check_rank(n, in, 0, 1, "[k]", e) && check_rank(n, in, 1, 1, "[k]", e);
}

Node *op_outer_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  List none = {0};
  Graph *g = x->graph;
  if (!two_vectors(n, in, e)) return NULL;
  return dot(g, as_real(g, in[0]), as_real(g, in[1]), none, none, none, none, false);
}

Node *op_dot_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  List none = {0}, first = range(0, 1);
  Graph *g = x->graph;
  if (!two_vectors(n, in, e)) return NULL;
  if (in[0]->type.dim[0] != in[1]->type.dim[0]) {
    operand_error(e, 1, "dot of vectors of %lld and %lld elements", (long long)in[0]->type.dim[0],
                  (long long)in[1]->type.dim[0]);
    return NULL;
  }
  return dot(g, as_real(g, in[0]), as_real(g, in[1]), first, first, none, none, false);
}

/* ---- rows by integer ---- */

static bool shared_table(const Node *n, const Type *t, OpError *e) {
  if (t->batched) return operand_error(e, 0, "the table must be shared, not per sample");
  if (!t->rank) return operand_error(e, 0, "the table has no rows");
  return check_real(n, n->in, 0, e);
}

bool op_take_rows_shape(Node *n, Type *out, OpError *e) {
  const Type *table = &n->in[0]->type, *index = &n->in[1]->type;
  if (!shared_table(n, table, e) || !check_integer(n, n->in, 1, e)) return false;
  if (index->rank + table->rank - 1 > LIMIT_RANK)
    return op_error(e, "the result has more than %d dimensions", LIMIT_RANK);
  *out = type_of(ELEM_F32, index->batched, index->rank, index->dim);
  for (int d = 1; d < table->rank; d++) out->dim[out->rank++] = table->dim[d];
  return check_size(out, e);
}

/* The row that element i of an index names, or NULL when the table has no such row. */
static double *row_at(const Tensor *index, int64_t i, double *table, int64_t count, int64_t width) {
  double row = index->data[i];
  return row >= 0 && row < (double)count ? table + (int64_t)row * width : NULL;
}

void op_take_rows_eval(const Node *n, const Tensor *const *in, Tensor *out, const EvalContext *c) {
  (void)n, (void)c;
  const Type *table = &in[0]->type;
  int64_t width = product(table->rank - 1, table->dim + 1);
  int64_t count = in[1]->n * type_elements(&in[1]->type);
  for (int64_t i = 0; i < count; i++) {
    const double *row = row_at(in[1], i, in[0]->data, table->dim[0], width);
    for (int64_t k = 0; k < width; k++) out->data[i * width + k] = row ? row[k] : 0;
  }
}

void op_take_rows_grad(Graph *g, Node *n, Node *dy, Node **dx) {
  dx[0] = ir_with2(g, OP_put_rows, dy, n->in[1], attr_int(n->in[0]->type.dim[0]));
}

bool op_put_rows_shape(Node *n, Type *out, OpError *e) {
  const Type *rows = &n->in[0]->type, *index = &n->in[1]->type;
  if (!check_real(n, n->in, 0, e) || !check_integer(n, n->in, 1, e)) return false;
  if (!check_least(n, "count", 1, e)) return false;
  bool fits = rows->rank >= index->rank && rows->batched == index->batched;
  for (int d = 0; fits && d < index->rank; d++) fits = rows->dim[d] == index->dim[d];
  if (!fits)
    return op_error(e, "rows %s do not go with an index %s", shape_text(e, rows),
                    shape_text(e, index));
  int64_t count = node_int(n, "count");
  *out = type_of(ELEM_F32, false, 1, &count);
  for (int d = index->rank; d < rows->rank && out->rank < LIMIT_RANK; d++)
    out->dim[out->rank++] = rows->dim[d];
  return check_size(out, e);
}

void op_put_rows_eval(const Node *n, const Tensor *const *in, Tensor *out, const EvalContext *c) {
  (void)n, (void)c;
  const Type *t = &out->type;
  int64_t width = product(t->rank - 1, t->dim + 1);
  int64_t count = in[1]->n * type_elements(&in[1]->type);
  memset(out->data, 0, (size_t)(t->dim[0] * width) * sizeof *out->data);
  for (int64_t i = 0; i < count; i++) {
    double *row = row_at(in[1], i, out->data, t->dim[0], width);
    for (int64_t k = 0; row && k < width; k++) row[k] += in[0]->data[i * width + k];
  }
}

void op_put_rows_grad(Graph *g, Node *n, Node *dy, Node **dx) {
  dx[0] = ir_binary(g, OP_take_rows, dy, n->in[1]);
}

bool op_one_hot_shape(Node *n, Type *out, OpError *e) {
  const Type *label = &n->in[0]->type;
  if (!check_integer(n, n->in, 0, e) || !check_least(n, "classes", 1, e)) return false;
  if (label->rank == LIMIT_RANK)
    return op_error(e, "the result has more than %d dimensions", LIMIT_RANK);
  *out = *label;
  out->elem = ELEM_F32;
  out->dim[out->rank++] = node_int(n, "classes");
  return check_size(out, e);
}

void op_one_hot_eval(const Node *n, const Tensor *const *in, Tensor *out, const EvalContext *c) {
  (void)c;
  int64_t classes = node_int(n, "classes"), count = in[0]->n * type_elements(&in[0]->type);
  for (int64_t i = 0; i < count; i++)
    for (int64_t k = 0; k < classes; k++) out->data[i * classes + k] = in[0]->data[i] == (double)k;
}

/* A label does not move. */
void op_one_hot_grad(Graph *g, Node *n, Node *dy, Node **dx) {
  (void)g, (void)n, (void)dy, (void)dx;
}
