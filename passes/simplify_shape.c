/* Rewrites of the simplify pass that depend on shapes: views of views, sums whose value is known.
 *
 * Together with factoring (simplify_rules.c) the known sums turn the gradient of cross-entropy into
 * what it is: log_softmax gives dz = dy - softmax(z) sum(dy) with dy = -s one_hot, the sum of a
 * one_hot over its classes is 1, and so dz = s (softmax(z) - one_hot). */
#include <string.h>

#include "passes/simplify.h"

static bool same_dims(const Type *t, int rank, const int64_t *dim) {
  return t->rank == rank && (rank == 0 || !memcmp(t->dim, dim, (size_t)rank * sizeof *dim));
}

/* ---- views ---- */

static Node *reshape_nothing(Graph *g, Node *n) {
  (void)g;
  return same_dims(&n->in[0]->type, n->type.rank, n->type.dim) ? n->in[0] : NULL;
}

static Node *reshape_reshape(Graph *g, Node *n) {
  Node *x = n->in[0];
  return x->op == OP_reshape ? ir_reshape(g, x->in[0], n->type.rank, n->type.dim) : NULL;
}

/* What repeats one number is not moved by moving elements: the number itself, to be repeated again.
 */
static Node *moved_scalar(Graph *g, Node *n) {
  Node *x = n->in[0];
  if (x->op != OP_broadcast || type_elements(&x->in[0]->type) != 1) return NULL;
  return ir_reshape(g, x->in[0], 0, NULL);
}

static Node *permute_nothing(Graph *g, Node *n) {
  const int64_t *order = node_ints(n, "order");
  (void)g;
  for (int i = 0; i < n->type.rank; i++)
    if (order[i] != i) return NULL;
  return n->in[0];
}

static Node *permute_permute(Graph *g, Node *n) {
  Node *x = n->in[0];
  if (x->op != OP_permute) return NULL;
  const int64_t *outer = node_ints(n, "order"), *inner = node_ints(x, "order");
  int64_t both[LIMIT_RANK];
  for (int i = 0; i < n->type.rank; i++) both[i] = inner[outer[i]];
  return ir_permute(g, x->in[0], both);
}

static Node *broadcast_nothing(Graph *g, Node *n) {
  (void)g;
  return type_equal(&n->type, &n->in[0]->type) ? n->in[0] : NULL;
}

/* Nothing repeated, only dimensions of size 1 put in front. */
static Node *broadcast_ones(Graph *g, Node *n) {
  const Type *x = &n->in[0]->type;
  double value; /* of constants this is the normal form */
  if (constant_value(n, &value) || x->batched != n->type.batched) return NULL;
  if (type_elements(x) != type_elements(&n->type)) return NULL;
  return ir_reshape(g, n->in[0], n->type.rank, n->type.dim);
}

static Node *broadcast_broadcast(Graph *g, Node *n) {
  Node *x = n->in[0];
  return x->op == OP_broadcast ? ir_broadcast(g, x->in[0], &n->type) : NULL;
}

static Node *same_type_as_operand(Graph *g, Node *n) {
  (void)g;
  return type_equal(&n->type, &n->in[0]->type) ? n->in[0] : NULL;
}

static Node *concat_one(Graph *g, Node *n) {
  (void)g;
  return n->nin == 1 ? n->in[0] : NULL;
}

/* Elementwise ops broadcast by themselves: f(broadcast(x), y) is f(x, y), repeated afterwards if
 * need be. */
static Node *elementwise_broadcast(Graph *g, Node *n) {
  Node *in[SIG_OPERANDS];
  bool any = false;
  for (int i = 0; i < n->nin; i++) {
    in[i] = n->in[i];
    any = any || in[i]->op == OP_broadcast;
    if (in[i]->op == OP_broadcast) in[i] = in[i]->in[0];
  }
  return any ? ir_make(g, n->op, n->nin, in, n->attr) : NULL;
}

/* f(reshape(x), reshape(y)) is reshape(f(x, y)): what is computed from vectors of channels stays
 * one chain, however they were spread. */
static Node *elementwise_reshape(Graph *g, Node *n) {
  Node *in[SIG_OPERANDS], *like = NULL;
  for (int i = 0; i < n->nin; i++) {
    in[i] = n->in[i];
    if (!in[i]->type.rank && !in[i]->type.batched) continue; /* a number */
    if (in[i]->op != OP_reshape || !type_equal(&in[i]->type, &n->type)) return NULL;
    in[i] = in[i]->in[0];
    if (like && !type_equal(&in[i]->type, &like->type)) return NULL;
    like = in[i];
  }
  if (!like) return NULL;
  return ir_reshape(g, ir_make(g, n->op, n->nin, in, n->attr), n->type.rank, n->type.dim);
}

/* ---- sums ---- */

enum { KNOWN_DEPTH = 6 };

static Node *known_sum(Graph *g, Node *n, unsigned dims, int depth);

static int64_t count_of(const Type *t, unsigned dims) {
  int64_t count = 1;
  for (int d = 0; d < t->rank; d++)
    if (dims >> d & 1) count *= t->dim[d];
  return count;
}

/* The dims of `whole`, as those of an operand that was broadcast to it. */
static unsigned part_dims(const Type *part, const Type *whole, unsigned dims) {
  return dims >> (whole->rank - part->rank);
}

static bool is_constant_along(const Node *x, const Type *whole, unsigned dims) {
  return count_of(&x->type, part_dims(&x->type, whole, dims)) == 1;
}

/* The sum of x, broadcast to `whole`, over `dims` of it: what x lacks counts. */
static Node *known_part(Graph *g, Node *x, const Type *whole, unsigned dims, int depth) {
  unsigned own = part_dims(&x->type, whole, dims);
  int64_t have = count_of(&x->type, own), all = count_of(whole, dims);
  if (have == 1) return ir_scale(g, x, (double)all);
  Node *sum = known_sum(g, x, own, depth);
  return sum ? ir_scale(g, sum, (double)(all / have)) : NULL;
}

static Node *known_permuted(Graph *g, Node *n, unsigned dims, int depth) {
  const int64_t *order = node_ints(n, "order");
  unsigned inner = 0;
  double value;
  for (int d = 0; d < n->type.rank; d++)
    if (dims >> d & 1) inner |= 1u << order[d];
  Node *sum = known_sum(g, n->in[0], inner, depth);
  return sum && constant_value(sum, &value) ? sum : NULL;
}

static Node *known_scaled(Graph *g, Node *n, unsigned dims, int depth) {
  int along = is_constant_along(n->in[1], &n->type, dims) ? 0 : 1;
  if (along == 1 && (n->op == OP_div || !is_constant_along(n->in[0], &n->type, dims))) return NULL;
  Node *in[2] = {n->in[0], n->in[1]};
  in[along] = known_part(g, n->in[along], &n->type, dims, depth);
  return in[along] ? ir_make(g, n->op, 2, in, NULL) : NULL;
}

static Node *known_terms(Graph *g, Node *n, unsigned dims, int depth) {
  Node *in[2] = {0};
  for (int i = 0; i < n->nin; i++) {
    in[i] = known_part(g, n->in[i], &n->type, dims, depth);
    if (!in[i]) return NULL;
  }
  return ir_make(g, n->op, n->nin, in, NULL);
}

/* one_hot chooses s once, and 0 elsewhere: its sum, times s. */
static Node *known_chosen(Graph *g, Node *n, unsigned dims, int depth) {
  double zero, count;
  if (!constant_value(n->in[2], &zero) || zero != 0) return NULL;
  if (!is_constant_along(n->in[1], &n->type, dims)) return NULL;
  Node *sum = known_part(g, n->in[0], &n->type, dims, depth);
  return sum && constant_value(sum, &count) ? ir_scale(g, n->in[1], count) : NULL;
}

/* The sum of n over `dims`, kept with size 1 or left out, where it is known without summing; or
 * NULL. */
static Node *known_sum(Graph *g, Node *n, unsigned dims, int depth) {
  double value;
  if (depth == 0) return NULL;
  if (constant_value(n, &value)) return ir_constant(g, value * (double)count_of(&n->type, dims));
  unsigned classes = n->type.rank ? 1u << (n->type.rank - 1) : 0;
  if (n->op == OP_one_hot && (dims & classes))
    return ir_constant(g, (double)count_of(&n->type, dims & ~classes));
  if (n->op == OP_broadcast) return known_part(g, n->in[0], &n->type, dims, depth - 1);
  if (n->op == OP_permute) return known_permuted(g, n, dims, depth - 1);
  if (n->op == OP_mul || n->op == OP_div) return known_scaled(g, n, dims, depth - 1);
  if (n->op == OP_select) return known_chosen(g, n, dims, depth - 1);
  if (n->op == OP_add || n->op == OP_sub || n->op == OP_neg)
    return known_terms(g, n, dims, depth - 1);
  return NULL;
}

static unsigned dims_of(const Node *sum) {
  const Attr *dims = node_attr(sum, "dims");
  unsigned mask = 0;
  for (int i = 0; i < dims->n; i++) mask |= 1u << dims->v[i];
  return mask;
}

static Node *sum_known(Graph *g, Node *n) {
  unsigned dims = dims_of(n);
  if (node_bool(n, "batch") || !dims) return NULL;
  Node *sum = known_sum(g, n->in[0], dims, KNOWN_DEPTH);
  if (!sum || type_elements(&sum->type) == 1) return sum ? ir_reshape(g, sum, 0, NULL) : NULL;
  Type kept = n->in[0]->type;
  for (int d = 0; d < kept.rank; d++)
    if (dims >> d & 1) kept.dim[d] = 1;
  return ir_reshape(g, ir_broadcast(g, sum, &kept), n->type.rank, n->type.dim);
}

static Node *sum_again(Graph *g, Node *n, Node *x) {
  return ir_make(g, OP_reduce_sum, 1, &x, n->attr);
}

/* Over dims of size 1 only. */
static Node *sum_nothing(Graph *g, Node *n) {
  if (node_bool(n, "batch") || count_of(&n->in[0]->type, dims_of(n)) != 1) return NULL;
  return ir_reshape(g, n->in[0], n->type.rank, n->type.dim);
}

static Node *sum_sum(Graph *g, Node *n) {
  Node *x = n->in[0];
  if (x->op != OP_reduce_sum) return NULL;
  unsigned inner = dims_of(x), outer = dims_of(n);
  int64_t dims[LIMIT_RANK];
  int count = 0, left = 0;
  for (int d = 0; d < x->in[0]->type.rank; d++) {
    bool summed = inner >> d & 1;
    if (summed || (outer >> left & 1)) dims[count++] = d;
    left += !summed;
  }
  return ir_sum(g, x->in[0], count, dims, node_bool(x, "batch") || node_bool(n, "batch"));
}

static Node *sum_scaled(Graph *g, Node *n) {
  double c;
  Node *x = n->in[0];
  if (x->op != OP_mul || !constant_value(x->in[1], &c) || !factor_moves(x->in[1])) return NULL;
  if (!type_equal(&x->type, &x->in[0]->type)) return NULL;
  return ir_scale(g, sum_again(g, n, x->in[0]), c);
}

/* Over a batch whose samples are all the same. */
static Node *sum_shared(Graph *g, Node *n) {
  Node *x = n->in[0];
  if (!node_bool(n, "batch") || x->op != OP_broadcast || x->in[0]->type.batched) return NULL;
  Type t = x->type;
  t.batched = false;
  const Attr *dims = node_attr(n, "dims");
  Node *one = ir_sum(g, ir_broadcast(g, x->in[0], &t), dims->n, dims->v, false);
  return ir_binary(g, OP_mul, one, ir_make(g, OP_batch_size, 0, NULL, NULL));
}

/* ---- formulas ---- */

static Node *exp_log_softmax(Graph *g, Node *n) {
  Node *x = n->in[0];
  return x->op == OP_log_softmax ? ir_make(g, OP_softmax, 1, x->in, x->attr) : NULL;
}

#define LIST(...) ((Rewrite *const[]){__VA_ARGS__, NULL})

Rewrite *const *const simplify_rewrite[OP_COUNT] = {
    [OP_reshape] = LIST(reshape_nothing, reshape_reshape, moved_scalar),
    [OP_permute] = LIST(permute_nothing, permute_permute, moved_scalar),
    [OP_broadcast] = LIST(broadcast_nothing, broadcast_ones, broadcast_broadcast),
    [OP_cut] = LIST(same_type_as_operand, moved_scalar),
    [OP_surround] = LIST(same_type_as_operand),
    [OP_real] = LIST(same_type_as_operand),
    [OP_concat] = LIST(concat_one),
    [OP_reduce_sum] = LIST(sum_nothing, sum_known, sum_shared, sum_sum, sum_scaled),
    [OP_dot_general] = simplify_product,
    [OP_exp] = LIST(exp_log_softmax),
};

Rewrite *const simplify_elementwise[] = {elementwise_broadcast, elementwise_reshape, NULL};
