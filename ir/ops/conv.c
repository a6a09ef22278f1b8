/* Two-dimensional convolution (cross-correlation) of [C, H, W] images and its two transposes:
 *
 *   conv         y[o, p] = sum over i, k of x[i, p stride - pad + k dilation] w[o, i, k]
 *   conv_input   the same sum of products, collected by element of x
 *   conv_weight  collected by element of w, and over the batch
 *
 * Each is linear in both operands, so they are each other's gradients. Input channel i of weight
 * element [o, i] is channel i of o's group. */
#include "ir/ops/common.h"

#include <string.h>

/* Index 0 of a pair is the height. */
typedef struct {
  int64_t groups, ic, oc; /* channels of x and y */
  int64_t image[2], kernel[2], out[2], stride[2], dilation[2], pad[4];
} Conv;

static const char *const axis_name[2] = {"height", "width"};

/* ---- geometry and its checks ---- */

static bool conv_attrs(const Node *n, Conv *c, OpError *e) {
  if (node_attr(n, "pads")->n != 4)
    return attr_error(e, n, "pads", "pads are top, bottom, left and right");
  if (!check_least(n, "stride", 1, e) || !check_least(n, "dilation", 1, e) ||
      !check_least(n, "pads", 0, e) || !check_least(n, "groups", 1, e))
    return false;
  memcpy(c->stride, node_ints(n, "stride"), sizeof c->stride);
  memcpy(c->dilation, node_ints(n, "dilation"), sizeof c->dilation);
  memcpy(c->pad, node_ints(n, "pads"), sizeof c->pad);
  c->groups = node_int(n, "groups");
  return true;
}

/* The size of the result along an axis, from image, kernel and the rest. */
static bool conv_size(Conv *c, int axis, OpError *e) {
  int64_t padded = c->image[axis] + c->pad[2 * axis] + c->pad[2 * axis + 1];
  int64_t reach = c->dilation[axis] * (c->kernel[axis] - 1) + 1;
  c->out[axis] = (padded - reach) / c->stride[axis] + 1;
  if (padded >= reach) return true;
  operand_error(e, 0, "a kernel of %s %lld does not fit the image of %s %lld", axis_name[axis],
                (long long)c->kernel[axis], axis_name[axis], (long long)c->image[axis]);
  op_note(e, "with its dilation the kernel covers %lld, with its padding the image has %lld",
          (long long)reach, (long long)padded);
  return false;
}

static bool conv_groups(const Node *n, const Conv *c, OpError *e) {
  if (c->ic % c->groups)
    return attr_error(e, n, "groups", "%lld input channels cannot be split in %lld groups",
                      (long long)c->ic, (long long)c->groups);
  if (c->oc % c->groups)
    return attr_error(e, n, "groups", "%lld output channels cannot be split in %lld groups",
                      (long long)c->oc, (long long)c->groups);
  return true;
}

static bool conv_weight_fits(const Node *n, int operand, const Conv *c, OpError *e) {
  const Type *w = &n->in[operand]->type;
  if (w->batched) return operand_error(e, operand, "the weight must be shared, not per sample");
  if (w->dim[1] * c->groups == c->ic) return true;
  operand_error(e, operand, "a weight of shape %s does not fit %lld input channels",
                shape_text(e, w), (long long)c->ic);
  op_note(e, "a weight is [out channels, in channels / groups, height, width]; groups is %lld",
          (long long)c->groups);
  return false;
}

static void conv_from_weight(Conv *c, const Type *w) {
  c->oc = w->dim[0];
  memcpy(c->kernel, w->dim + 2, sizeof c->kernel);
}

static bool conv_operands(const Node *n, int rank0, int rank1, OpError *e) {
  static const char *const text[] = {"[C, H, W]", "[out, in / groups, height, width]"};
  return check_real(n, n->in, 0, e) && check_real(n, n->in, 1, e) &&
         check_rank(n, n->in, 0, rank0, text[rank0 - 3], e) &&
         check_rank(n, n->in, 1, rank1, text[rank1 - 3], e);
}

/* The other operand (or the given size) is what conv would make of this one. */
static bool conv_agrees(const Conv *c, const Type *dy, OpError *e) {
  if (dy->dim[0] == c->oc && dy->dim[1] == c->out[0] && dy->dim[2] == c->out[1]) return true;
  return op_error(e, "a gradient of shape %s does not belong to this convolution",
                  shape_text(e, dy));
}

static bool conv_geometry(const Node *n, Conv *c, OpError *e) {
  const Type *x = &n->in[0]->type, *w = &n->in[1]->type;
  if (!conv_operands(n, 3, 4, e) || !conv_attrs(n, c, e)) return false;
  c->ic = x->dim[0];
  memcpy(c->image, x->dim + 1, sizeof c->image);
  conv_from_weight(c, w);
  return conv_groups(n, c, e) && conv_weight_fits(n, 1, c, e) && conv_size(c, 0, e) &&
         conv_size(c, 1, e);
}

static bool conv_input_geometry(const Node *n, Conv *c, OpError *e) {
  const Type *w = &n->in[1]->type;
  if (!conv_operands(n, 3, 4, e) || !conv_attrs(n, c, e)) return false;
  if (node_attr(n, "size")->n != 2) return attr_error(e, n, "size", "size is [height, width]");
  if (!check_least(n, "size", 1, e)) return false;
  conv_from_weight(c, w);
  memcpy(c->image, node_ints(n, "size"), sizeof c->image);
  c->ic = w->dim[1] * c->groups;
  return conv_groups(n, c, e) && conv_weight_fits(n, 1, c, e) && conv_size(c, 0, e) &&
         conv_size(c, 1, e) && conv_agrees(c, &n->in[0]->type, e);
}

static bool conv_weight_geometry(const Node *n, Conv *c, OpError *e) {
  const Type *x = &n->in[0]->type, *dy = &n->in[1]->type;
  if (!conv_operands(n, 3, 3, e) || !conv_attrs(n, c, e)) return false;
  if (!check_least(n, "kernel", 1, e)) return false;
  if (x->batched != dy->batched)
    return op_error(e, "image and gradient must both be per sample, or both shared");
  c->ic = x->dim[0];
  c->oc = dy->dim[0];
  memcpy(c->image, x->dim + 1, sizeof c->image);
  memcpy(c->kernel, node_ints(n, "kernel"), sizeof c->kernel);
  return conv_groups(n, c, e) && conv_size(c, 0, e) && conv_size(c, 1, e) && conv_agrees(c, dy, e);
}

/* ---- shapes ---- */

bool op_conv_shape(Node *n, Type *out, OpError *e) {
  Conv c;
  if (!conv_geometry(n, &c, e)) return false;
  *out = type_of(ELEM_F32, n->in[0]->type.batched, 3, (int64_t[]){c.oc, c.out[0], c.out[1]});
  return check_size(out, e);
}

bool op_conv_input_shape(Node *n, Type *out, OpError *e) {
  Conv c;
  if (!conv_input_geometry(n, &c, e)) return false;
  *out = type_of(ELEM_F32, n->in[0]->type.batched, 3, (int64_t[]){c.ic, c.image[0], c.image[1]});
  return check_size(out, e);
}

bool op_conv_weight_shape(Node *n, Type *out, OpError *e) {
  Conv c;
  if (!conv_weight_geometry(n, &c, e)) return false;
  *out = type_of(ELEM_F32, false, 4, (int64_t[]){c.oc, c.ic / c.groups, c.kernel[0], c.kernel[1]});
  return check_size(out, e);
}

/* ---- evaluation ---- */

typedef enum { BY_OUTPUT, BY_INPUT, BY_WEIGHT } Collect;

/* One channel of x and its kernel against one element of y: the products go where `by` says. */
static void conv_channel(const Conv *c, Collect by, double *x, double *w, double *y, int64_t top,
                         int64_t left) {
  for (int64_t kh = 0; kh < c->kernel[0]; kh++) {
    int64_t h = top + kh * c->dilation[0];
    if (h < 0 || h >= c->image[0]) continue;
    for (int64_t kw = 0; kw < c->kernel[1]; kw++) {
      int64_t v = left + kw * c->dilation[1];
      if (v < 0 || v >= c->image[1]) continue;
      double *px = x + h * c->image[1] + v, *pw = w + kh * c->kernel[1] + kw;
      if (by == BY_OUTPUT)
        *y += *px * *pw;
      else if (by == BY_INPUT)
        *px += *y * *pw;
      else
        *pw += *y * *px;
    }
  }
}

/* One sample; what is collected has been cleared or holds earlier samples' sums. */
static void conv_sample(const Conv *c, Collect by, double *x, double *w, double *y) {
  int64_t in_group = c->ic / c->groups, out_group = c->oc / c->groups;
  int64_t image = c->image[0] * c->image[1], kernel = c->kernel[0] * c->kernel[1];
  for (int64_t o = 0; o < c->oc; o++)
    for (int64_t h = 0; h < c->out[0]; h++)
      for (int64_t v = 0; v < c->out[1]; v++, y++)
        for (int64_t i = 0; i < in_group; i++)
          conv_channel(c, by, x + (o / out_group * in_group + i) * image,
                       w + (o * in_group + i) * kernel, y, h * c->stride[0] - c->pad[0],
                       v * c->stride[1] - c->pad[2]);
}

static void conv_all(const Conv *c, Collect by, const Tensor *x, const Tensor *w, const Tensor *y) {
  const Tensor *out = by == BY_OUTPUT ? y : by == BY_INPUT ? x : w;
  memset(out->data, 0, (size_t)(out->n * type_elements(&out->type)) * sizeof *out->data);
  for (int64_t s = 0; s < y->n; s++) conv_sample(c, by, sample(x, s), w->data, sample(y, s));
}

void op_conv_eval(const Node *n, const Tensor *const *in, Tensor *out, const EvalContext *x) {
  (void)x;
  Conv c;
  if (conv_geometry(n, &c, NULL)) conv_all(&c, BY_OUTPUT, in[0], in[1], out);
}

void op_conv_input_eval(const Node *n, const Tensor *const *in, Tensor *out, const EvalContext *x) {
  (void)x;
  Conv c;
  if (conv_input_geometry(n, &c, NULL)) conv_all(&c, BY_INPUT, out, in[1], in[0]);
}

void op_conv_weight_eval(const Node *n, const Tensor *const *in, Tensor *out,
                         const EvalContext *x) {
  (void)x;
  Conv c;
  if (conv_weight_geometry(n, &c, NULL)) conv_all(&c, BY_WEIGHT, in[0], out, in[1]);
}

/* ---- gradients ---- */

static Attr copy(const Node *n, const char *name) { return *node_attr(n, name); }

#define CONV_ATTRS(n) copy(n, "stride"), copy(n, "pads"), copy(n, "dilation"), copy(n, "groups")

static Node *make_conv(Graph *g, const Node *n, Node *x, Node *w) {
  return ir_with2(g, OP_conv, x, w, CONV_ATTRS(n));
}

static Node *make_conv_input(Graph *g, const Node *n, Node *dy, Node *w, const Type *image) {
  return ir_with2(g, OP_conv_input, dy, w, attr_ints(2, image->dim + 1), CONV_ATTRS(n));
}

static Node *make_conv_weight(Graph *g, const Node *n, Node *x, Node *dy, const Type *weight) {
  return ir_with2(g, OP_conv_weight, x, dy, attr_pair(weight->dim + 2), CONV_ATTRS(n));
}

void op_conv_grad(Graph *g, Node *n, Node *dy, Node **dx) {
  Node *x = n->in[0], *w = n->in[1];
  dx[0] = make_conv_input(g, n, dy, w, &x->type);
  dx[1] = make_conv_weight(g, n, x, dy, &w->type);
}

/* n = conv_input(y, w); dy is an image. */
void op_conv_input_grad(Graph *g, Node *n, Node *dy, Node **dx) {
  Node *y = n->in[0], *w = n->in[1];
  dx[0] = make_conv(g, n, dy, w);
  dx[1] = make_conv_weight(g, n, dy, y, &w->type);
}

/* n = conv_weight(x, y); dy is a weight. */
void op_conv_weight_grad(Graph *g, Node *n, Node *dy, Node **dx) {
  Node *x = n->in[0], *y = n->in[1];
  dx[0] = make_conv_input(g, n, y, dy, &x->type);
  dx[1] = make_conv(g, n, x, dy);
}
