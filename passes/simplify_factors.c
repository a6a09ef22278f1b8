/* Rewrites of the lowered graph (pass clean): what few elements say is computed on few.
 *
 * Normalisation comes as x s t with s and t of one element a channel, and its gradient as sums of
 * such products. s t is a product of few elements, and comes out of a sum over everything else:
 * then each step of it is one sweep over memory, which reads only what has to be read. */
#include "passes/simplify.h"

/* ---- products ---- */

/* Elements of what two shapes broadcast to. */
static int64_t elements_of_both(const Type *s, const Type *t) {
  int64_t n = 1;
  for (int d = 1; d <= s->rank || d <= t->rank; d++) {
    int64_t a = d <= s->rank ? s->dim[s->rank - d] : 1, b = d <= t->rank ? t->dim[t->rank - d] : 1;
    n *= a > b ? a : b;
  }
  return n;
}

static bool is_small_beside(const Node *s, const Node *t, const Node *x) {
  int64_t many = type_elements(&x->type), few = elements_of_both(&s->type, &t->type);
  if (s->type.batched || t->type.batched) return x->type.batched && few < many;
  return few < many || (few == many && x->type.batched);
}

/* (x s) t = x (s t), up to rounding and overflow: instead of two products of many elements, one,
 * and one of few. */
static Node *product_of_small(Graph *g, Node *n) {
  for (int i = 0; i < 4; i++) {
    Node *inner = n->in[i & 1], *t = n->in[1 - (i & 1)];
    if (inner->op != OP_mul) continue;
    Node *s = inner->in[i >> 1], *x = inner->in[1 - (i >> 1)];
    if (!factor_moves(s) || !factor_moves(t)) continue;
    if (is_small_beside(s, t, x)) return ir_binary(g, OP_mul, x, ir_binary(g, OP_mul, s, t));
  }
  return NULL;
}

/* ---- sums ---- */

enum { FACTORS = 8 };

typedef struct {
  Node *inside[FACTORS], *outside[FACTORS];
  int ninside, noutside, products; /* products: opened */
} Factors;

static bool is_summed(const Node *sum, int d) {
  const Attr *dims = node_attr(sum, "dims");
  for (int i = 0; i < dims->n; i++)
    if (dims->v[i] == d) return true;
  return false;
}

/* Has x, a factor of what is summed, one value for all terms of each sum? */
static bool is_common(const Node *sum, const Node *x) {
  int shift = sum->in[0]->type.rank - x->type.rank;
  if ((node_bool(sum, "batch") && x->type.batched) || !factor_moves(x)) return false;
  for (int d = 0; d < x->type.rank; d++)
    if (x->type.dim[d] > 1 && is_summed(sum, d + shift)) return false;
  return true;
}

/* A long chain of products has more factors than fit: no need to walk to its end. */
static bool split_factors(const Node *sum, Node *x, Factors *f) {
  bool common = is_common(sum, x);
  if (x->op == OP_mul && !common)
    return f->products++ < 2 * FACTORS && split_factors(sum, x->in[0], f) &&
           split_factors(sum, x->in[1], f);
  if (f->ninside == FACTORS || f->noutside == FACTORS) return false;
  if (common)
    f->outside[f->noutside++] = x;
  else
    f->inside[f->ninside++] = x;
  return true;
}

/* A common factor in the shape of the sum. */
static Node *as_summed(Graph *g, const Node *sum, Node *x) {
  int shift = sum->in[0]->type.rank - x->type.rank, rank = 0;
  int64_t dim[LIMIT_RANK];
  for (int d = 0; d < x->type.rank; d++)
    if (!is_summed(sum, d + shift)) dim[rank++] = x->type.dim[d];
  return ir_reshape(g, x, rank, dim);
}

/* sum(x s) = s sum(x), up to rounding and overflow. What stays inside has the shape of the whole,
 * or the number of terms would change. */
static Node *sum_of_product(Graph *g, Node *n) {
  Factors f = {.ninside = 0};
  if (n->in[0]->op != OP_mul || !split_factors(n, n->in[0], &f)) return NULL;
  if (!f.noutside || !f.ninside) return NULL;
  Node *x = f.inside[0];
  for (int i = 1; i < f.ninside; i++) x = ir_binary(g, OP_mul, x, f.inside[i]);
  if (!type_equal(&x->type, &n->in[0]->type)) return NULL;
  Node *r = ir_make(g, OP_reduce_sum, 1, &x, n->attr);
  for (int i = 0; i < f.noutside; i++) r = ir_binary(g, OP_mul, r, as_summed(g, n, f.outside[i]));
  return r;
}

#define LIST(...) ((Rewrite *const[]){__VA_ARGS__, NULL})

Rewrite *const *const simplify_lowered[OP_COUNT] = {
    [OP_mul] = LIST(product_of_small),
    [OP_reduce_sum] = LIST(sum_of_product),
};
