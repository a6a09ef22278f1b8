/* Rewrites of products: dot_general reads its operands in any order of dimensions, so permutes
 * before it go. */
#include <string.h>

#include "passes/simplify.h"

static bool holds(const Attr *dims, int d) {
  for (int i = 0; i < dims->n; i++)
    if (dims->v[i] == d) return true;
  return false;
}

/* The dims of operand i that are neither contracted nor of the batch keep their order under the
 * permute. */
static bool free_dims_in_order(const Node *n, int i, const int64_t *order) {
  const Attr *contract = &n->attr[i], *batch = &n->attr[2 + i];
  int64_t last = -1;
  for (int d = 0; d < n->in[i]->type.rank; d++) {
    if (holds(contract, d) || holds(batch, d)) continue;
    if (order[d] < last) return false;
    last = order[d];
  }
  return true;
}

static Attr moved(const Attr *dims, const int64_t *order, int64_t *store) {
  for (int i = 0; i < dims->n; i++) store[i] = order[dims->v[i]];
  return attr_ints(dims->n, store);
}

static Node *product_permuted(Graph *g, Node *n, int i) {
  Node *p = n->in[i], *in[2] = {n->in[0], n->in[1]};
  Attr attr[SIG_ATTRS];
  int64_t contract[LIMIT_RANK], batch[LIMIT_RANK];
  if (p->op != OP_permute || !free_dims_in_order(n, i, node_ints(p, "order"))) return NULL;
  memcpy(attr, n->attr, (size_t)op_signature(n->op)->nattrs * sizeof *attr);
  attr[i] = moved(&n->attr[i], node_ints(p, "order"), contract);
  attr[2 + i] = moved(&n->attr[2 + i], node_ints(p, "order"), batch);
  in[i] = p->in[0];
  return ir_make(g, OP_dot_general, 2, in, attr);
}

static Node *product_permuted_a(Graph *g, Node *n) { return product_permuted(g, n, 0); }
static Node *product_permuted_b(Graph *g, Node *n) { return product_permuted(g, n, 1); }

/* A matrix times a vector of the sample, W x, as x^T W^T: then the samples are the rows of one
 * product. */
static Node *product_turned(Graph *g, Node *n) {
  Node *w = n->in[0], *x = n->in[1];
  if (w->type.batched || !x->type.batched || node_bool(n, "sum_batch")) return NULL;
  if (node_attr(n, "batch_b")->n || node_attr(n, "contract_b")->n != x->type.rank) return NULL;
  Attr attr[SIG_ATTRS] = {n->attr[1], n->attr[0], n->attr[3], n->attr[2], n->attr[4]};
  return ir_make(g, OP_dot_general, 2, (Node *[]){x, w}, attr);
}

Rewrite *const simplify_product[] = {product_permuted_a, product_permuted_b, product_turned, NULL};
