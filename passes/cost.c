#include "passes/cost.h"

#include "passes/fusible.h"

/* Of one core with AVX-512, out of memory and in registers. */
static const double ns_per_byte = 0.1, ns_per_product_flop = 0.012, ns_per_flop = 0.05;

/* ---- operations ---- */

/* Pairs of an output and a tap along an axis of images that meet a pixel: not those in the padding.
 */
static int64_t conv_meetings(const Node *n, const Node *in, const Node *out, int64_t taps,
                             int axis) {
  int64_t stride = node_ints(n, "stride")[axis], dilation = node_ints(n, "dilation")[axis],
          pad = node_ints(n, "pads")[2 * axis], outputs = out->type.dim[1 + axis], count = 0;
  for (int64_t k = 0; k < taps; k++) { /* outputs o with 0 <= o stride + at < size */
    int64_t at = k * dilation - pad, size = in->type.dim[1 + axis];
    int64_t first = at < 0 ? (-at + stride - 1) / stride : 0;
    int64_t end = at < size ? (size - at + stride - 1) / stride : 0;
    if (end > outputs) end = outputs;
    if (first < end) count += end - first;
  }
  return count;
}

static double conv_flops(const Node *n) {
  const Node *weight = n->op == OP_conv_weight ? n : n->in[1];
  const Node *in = n->op == OP_conv_input ? n : n->in[0];
  const Node *out = n->op == OP_conv ? n : n->in[n->op == OP_conv_weight];
  const int64_t *w = weight->type.dim;
  return 2 * (double)(w[0] * w[1]) * (double)conv_meetings(n, in, out, w[2], 0) *
         (double)conv_meetings(n, in, out, w[3], 1);
}

static double product_flops(const Node *n) {
  if (n->op != OP_dot_general) return conv_flops(n);
  double result = (double)type_elements(&n->type);
  const Attr *c = node_attr(n, "contract_a");
  for (int i = 0; i < c->n; i++) result *= (double)n->in[0]->type.dim[c->v[i]];
  return 2 * result;
}

static bool is_product(const Node *n) { return fusible_product(n->op) || n->op == OP_conv_weight; }

double cost_flops(const Node *n) {
  if (is_product(n)) return product_flops(n);
  return n->type.batched ? (double)type_elements(&n->type) : 0;
}

/* ---- time ---- */

static double moved_bytes(const Graph *g, const Plan *p, int group, int real_bytes) {
  const PlanGroup *k = &p->groups[group];
  double bytes = 0;
  for (int i = 0; i < k->members.count; i++) {
    const Node *n = k->members.at[i];
    if (p->stored[n->id]) bytes += (double)plan_bytes(n, g->train.batch, real_bytes);
    for (int j = 0; j < n->nin; j++)
      if (n->in[j] && n->in[j]->group != group)
        bytes += (double)plan_bytes(n->in[j], g->train.batch, real_bytes);
  }
  return bytes;
}

double cost_kernel(const Graph *g, const Plan *p, int group, int real_bytes) {
  const PlanGroup *k = &p->groups[group];
  double batch = g->train.batch > 0 ? (double)g->train.batch : 1, flops = 0;
  for (int i = 0; i < k->members.count; i++)
    flops += cost_flops(k->members.at[i]) *
             (is_product(k->members.at[i]) ? ns_per_product_flop : ns_per_flop);
  return batch * flops + ns_per_byte * moved_bytes(g, p, group, real_bytes);
}

int64_t cost_scratch(const PlanGroup *group, int real_bytes) {
  int64_t bytes = 0;
  for (int i = 0; i < group->members.count; i++) {
    const Node *n = group->members.at[i];
    if (n->op == OP_conv_input) bytes += plan_bytes(n->in[1], 1, real_bytes);
  }
  return bytes;
}

int64_t cost_arena(const Graph *g, const Plan *p, int real_bytes, Arena *scratch) {
  int64_t arena = p->peak;
  for (int k = 1; k <= p->ngroups; k++) {
    int64_t bytes = cost_scratch(&p->groups[k], real_bytes);
    if (!bytes) continue;
    int64_t at = plan_gap(g, p, k, 0, bytes, real_bytes, scratch);
    if (at + bytes > arena) arena = at + bytes;
  }
  return arena;
}
