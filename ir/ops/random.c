/* Random tensors. Element i of a node (row-major, sample by sample) is a pure function of seed,
 * step, the node's stream and i, so the interpreter and the compiled code draw the same, in any
 * order. */
#include "ir/ops/common.h"

/* In [0, 1), with the 24 bits that an f32 holds exactly. */
static double draw(const Node *n, const EvalContext *c, int64_t element) {
  uint32_t stream = (uint32_t)node_int(n, "stream");
  return (double)(philox(c->seed, c->step, stream, (uint64_t)element) >> 8) * 0x1p-24;
}

static bool like_shape(Node *n, Type *out, OpError *e) {
  *out = n->in[0]->type;
  out->elem = ELEM_F32;
  return check_least(n, "stream", 0, e);
}

/* Not elementwise: one draw for each index of dimension 0 (a channel). */
bool op_random_mask_shape(Node *n, Type *out, OpError *e) {
  if (!like_shape(n, out, e) || !check_fraction(n, "keep", e)) return false;
  if (node_bool(n, "elementwise")) return true;
  if (!out->rank) return operand_error(e, 0, "a scalar has no channels to drop");
  for (int d = 1; d < out->rank; d++) out->dim[d] = 1;
  return true;
}

void op_random_mask_eval(const Node *n, const Tensor *const *in, Tensor *out,
                         const EvalContext *c) {
  (void)in;
  double keep = node_float(n, "keep");
  int64_t count = out->n * type_elements(&out->type);
  for (int64_t i = 0; i < count; i++) out->data[i] = draw(n, c, i) < keep;
}

/* Only the shape of `like` matters. */
void op_random_mask_grad(Graph *g, Node *n, Node *dy, Node **dx) {
  (void)g, (void)n, (void)dy, (void)dx;
}

bool op_random_uniform_shape(Node *n, Type *out, OpError *e) { return like_shape(n, out, e); }

void op_random_uniform_eval(const Node *n, const Tensor *const *in, Tensor *out,
                            const EvalContext *c) {
  (void)in;
  double lo = node_float(n, "lo"), hi = node_float(n, "hi");
  int64_t count = out->n * type_elements(&out->type);
  for (int64_t i = 0; i < count; i++) out->data[i] = lo + (hi - lo) * draw(n, c, i);
}

void op_random_uniform_grad(Graph *g, Node *n, Node *dy, Node **dx) {
  (void)g, (void)n, (void)dy, (void)dx;
}

static Node *masked(Graph *g, Node *x, double keep, bool elementwise) {
  Node *mask =
      ir_with(g, OP_random_mask, x, attr_float(keep), attr_int(g->streams), attr_bool(elementwise));
  return mul(g, x, mask);
}

/* In training the survivors are scaled by 1 / (1 - p), so that the mean stays. */
static Node *dropped(Expand *x, const Node *n, Node *const *in, bool elementwise, OpError *e) {
  double p = node_float(n, "p");
  Node *a = as_real(x->graph, in[0]);
  if (!check_fraction(n, "p", e)) return NULL;
  if (!x->training || p == 0) return a;
  Node *kept = masked(x->graph, a, 1 - p, elementwise);
  return p < 1 ? ir_scale(x->graph, kept, 1 / (1 - p)) : kept;
}

Node *op_dropout_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  return dropped(x, n, in, true, e);
}

Node *op_dropout2d_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  if (in[0]->type.rank) return dropped(x, n, in, false, e);
  operand_error(e, 0, "dropout2d needs a tensor [C, ...], not a scalar");
  return NULL;
}

Node *op_bernoulli_mask_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  Node *a = as_real(x->graph, in[0]);
  if (!check_fraction(n, "keep", e)) return NULL;
  return x->training ? masked(x->graph, a, node_float(n, "keep"), true) : a;
}
