/* Steps that are convolutions, in all three directions. */
#include <string.h>

#include "codegen/lower.h"

static const uint8_t image_order[LIMIT_RANK] = {1, 2, 0};
static const uint8_t weight_order[LIMIT_RANK] = {2, 3, 1, 0};

static ConvSpec geometry(const Node *n, const Type *image_in, const Type *weight,
                         const Type *image_out) {
  ConvSpec s = {.ic = image_in->dim[0],
                .ih = image_in->dim[1],
                .iw = image_in->dim[2],
                .oc = image_out->dim[0],
                .oh = image_out->dim[1],
                .ow = image_out->dim[2],
                .kh = weight->dim[2],
                .kw = weight->dim[3],
                .groups = node_int(n, "groups")};
  memcpy(s.stride, node_ints(n, "stride"), sizeof s.stride);
  memcpy(s.dilation, node_ints(n, "dilation"), sizeof s.dilation);
  memcpy(s.pad, node_ints(n, "pads"), sizeof s.pad);
  return s;
}

static bool has_order(const Node *n, const uint8_t *order) {
  Node like = *n;
  like.ordered = true;
  memcpy(like.order, order, sizeof like.order);
  return memory_same_order(n, &like);
}

static Domain image_domain(const Node *n) {
  Node like = *n;
  like.ordered = true;
  like.type.batched = true; /* the kernel's domain always has a batch */
  memcpy(like.order, image_order, sizeof like.order);
  Domain d = lower_domain(&like);
  d.type = &n->type;
  return d;
}

static void remark(const Lower *l, const Node *n, const ConvSpec *s) {
  if (!l->remarks || !n->span.file) return;
  const char *name = op_info[n->op].name, *why = kernel_conv_direct(l->cg, s);
  if (why)
    diag_remark(l->diags, n->span, "%s computed directly: %s", name, why);
  else
    diag_remark(l->diags, n->span, "%s computed by Winograd's F(2x2, 3x3)", name);
}

/* Forward and backward-data: an image comes out, through an epilogue unless it is stored as it is.
 */
static void run_image(Lower *l, const PlanGroup *g, const Node *n, ConvSpec *s, int *out) {
  Draft body;
  PointwiseSpec epilogue;
  if (g->members.count > 1 || !has_order(n, image_order)) {
    Domain domain = image_domain(n);
    draft_begin(&body, l, &domain);
    draft_members(&body, g, n);
    epilogue = draft_spec(&body);
    s->epilogue = &epilogue;
  } else {
    *out = lower_storage(l, n);
  }
  s->scratch = epilogue.scratch = lower_scratch(l, 0);
  remark(l, n, s);
  KernelList list = lower_conv_kernel(l, s);
  lower_run_scratch(l, &list, s->scratch);
}

static void run_weight(Lower *l, const Node *n, ConvSpec *s) {
  if (has_order(n, weight_order)) {
    s->weight = lower_storage(l, n);
    s->scratch = lower_scratch(l, 0);
    KernelList list = lower_conv_kernel(l, s);
    lower_run_scratch(l, &list, s->scratch);
    return;
  }
  s->weight = lower_scratch(l, plan_bytes(n, 1, l->cg->real_bytes));
  s->scratch = lower_scratch(l, 0);
  KernelList list = lower_conv_kernel(l, s);
  lower_run_scratch(l, &list, s->scratch);
  Node dense = *n;
  dense.ordered = true;
  memcpy(dense.order, weight_order, sizeof dense.order);
  Memory m = memory_own(&dense);
  Domain domain = lower_domain(&dense);
  Draft b;
  draft_begin(&b, l, &domain);
  View from = lower_memory_view(s->weight, MEM_REAL, &m, &n->type, &domain);
  draft_put(&b, draft_add(&b, (BodyValue){.kind = BODY_LOAD, .view = from}),
            lower_view(l, n, &domain));
  PointwiseSpec spec = draft_spec(&b);
  spec.scratch = -1;
  list = lower_pointwise_kernel(l, &spec);
  lower_run(l, &list);
}

/* Kernels run over a batch. Where no image is per sample, that is a batch of one; where one is and
 * the other not, the shared one is repeated. */
static bool begin(Lower *l, const Node *n, const Node *weight, bool any_batched) {
  if (weight && weight->type.batched) {
    diag_error(l->diags, n->span, "a convolution with weights for each sample is not compiled");
    return false;
  }
  if (!any_batched) l->n = cg_int(l->cg, 1);
  return true;
}

static bool lower_forward(Lower *l, const PlanGroup *g, const Node *n) {
  if (!begin(l, n, n->in[1], n->type.batched)) return false;
  ConvSpec s = geometry(n, &n->in[0]->type, &n->in[1]->type, &n->type);
  s.direction = CONV_FORWARD;
  s.x = lower_dense(l, n->in[0], image_order, n->type.batched, &s.x_offset);
  s.weight = lower_dense(l, n->in[1], weight_order, false, &s.weight_offset);
  run_image(l, g, n, &s, &s.y);
  return true;
}

static bool lower_input(Lower *l, const PlanGroup *g, const Node *n) {
  if (!begin(l, n, n->in[1], n->type.batched)) return false;
  ConvSpec s = geometry(n, &n->type, &n->in[1]->type, &n->in[0]->type);
  s.direction = CONV_INPUT;
  s.y = lower_dense(l, n->in[0], image_order, n->type.batched, &s.y_offset);
  s.weight = lower_dense(l, n->in[1], weight_order, false, &s.weight_offset);
  run_image(l, g, n, &s, &s.x);
  return true;
}

static bool lower_weight(Lower *l, const Node *n) {
  bool batched = n->in[0]->type.batched || n->in[1]->type.batched;
  if (!begin(l, n, NULL, batched)) return false;
  ConvSpec s = geometry(n, &n->in[0]->type, &n->type, &n->in[1]->type);
  s.direction = CONV_WEIGHT;
  s.x = lower_dense(l, n->in[0], image_order, batched, &s.x_offset);
  s.y = lower_dense(l, n->in[1], image_order, batched, &s.y_offset);
  run_weight(l, n, &s);
  return true;
}

bool lower_conv(Lower *l, const PlanGroup *g, const Node *n) {
  if (n->op == OP_conv_weight) return lower_weight(l, n);
  return n->op == OP_conv ? lower_forward(l, g, n) : lower_input(l, g, n);
}
