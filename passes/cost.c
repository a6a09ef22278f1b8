#include "passes/cost.h"

#include "passes/fusible.h"

/* Of one core with AVX-512, out of memory and in registers. */
static const double ns_per_byte = 0.1, ns_per_product_flop = 0.012, ns_per_flop = 0.05;

/* ---- operations ---- */

static double product_flops(const Node *n) {
  double result = (double)type_elements(&n->type);
  const Node *a = n->in[0], *b = n->in[1];
  if (n->op == OP_conv)
    return 2 * result * (double)(b->type.dim[1] * b->type.dim[2] * b->type.dim[3]);
  if (n->op == OP_conv_input)
    return 2 * (double)type_elements(&a->type) *
           (double)(b->type.dim[1] * b->type.dim[2] * b->type.dim[3]);
  if (n->op == OP_conv_weight)
    return 2 * (double)type_elements(&b->type) *
           (double)(n->type.dim[1] * n->type.dim[2] * n->type.dim[3]);
  const Attr *c = node_attr(n, "contract_a");
  for (int i = 0; i < c->n; i++) result *= (double)a->type.dim[c->v[i]];
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
