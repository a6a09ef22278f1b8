/* Pooling of [C, H, W] images. Windows are PyTorch's, one axis at a time (pool_window); every op
 * here is linear in what it differentiates by, so the gradients are closed: max_pool2d gives put,
 * put by dy gives take, take by v gives put; a mean gives its put and back. Where the largest is
 * does not depend on x as far as derivatives go. */
#include "ir/ops/common.h"

#include <math.h>
#include <string.h>

/* ---- windows ---- */

typedef struct {
  bool adaptive, count_pad, ceil;
  int64_t kernel, stride, pad, dilation, size, out;
} PoolAxis;

static const Attr *attr_if_any(const Node *n, const char *name) {
  const Signature *s = op_signature(n->op);
  for (int i = 0; i < s->nattrs; i++)
    if (!strcmp(s->attr[i].name, name)) return &n->attr[i];
  return NULL;
}

static int64_t pair_or(const Node *n, const char *name, int axis, int64_t otherwise) {
  const Attr *a = attr_if_any(n, name);
  return a ? a->v[axis] : otherwise;
}

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

/* How many windows: floor or ceil, but the last must start in the image or the padding before it.
 */
static int64_t window_count(const PoolAxis *p) {
  int64_t room = p->size + 2 * p->pad - p->dilation * (p->kernel - 1) - 1;
  int64_t count = floor_div(room + (p->ceil ? p->stride - 1 : 0), p->stride) + 1;
  return p->ceil && (count - 1) * p->stride >= p->size + p->pad ? count - 1 : count;
}

/* `out` of an adaptive node is its attribute, or the size of the gradient that it spreads. */
static PoolAxis pool_axis(const Node *n, int axis, int64_t size) {
  PoolAxis p = {.size = size, .adaptive = !attr_if_any(n, "kernel"), .dilation = 1, .stride = 1};
  if (p.adaptive) {
    p.out = pair_or(n, "out", axis, n->in[0]->type.dim[1 + axis]);
    return p;
  }
  const Attr *ceil = attr_if_any(n, "ceil_mode"), *count = attr_if_any(n, "count_include_pad");
  p.kernel = pair_or(n, "kernel", axis, 1);
  p.stride = pair_or(n, "stride", axis, p.kernel);
  p.pad = pair_or(n, "padding", axis, 0);
  p.dilation = pair_or(n, "dilation", axis, 1);
  p.ceil = ceil && ceil->i;
  p.count_pad = count && count->i;
  p.out = window_count(&p);
  return p;
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static PoolWindow window_at(const PoolAxis *p, int64_t o) {
  PoolWindow w = {.step = p->dilation};
  if (p->adaptive) {
    w.start = o * p->size / p->out;
    w.end = ((o + 1) * p->size + p->out - 1) / p->out;
    w.count = w.end - w.start;
    return w;
  }
  int64_t start = o * p->stride - p->pad, end = start + p->dilation * (p->kernel - 1) + 1;
  int64_t skipped = start < 0 ? (-start + p->dilation - 1) / p->dilation : 0;
  w.start = start + skipped * p->dilation;
  w.end = least(end, p->size);
  w.count =
      p->count_pad ? least(end, p->size + p->pad) - start : (w.end - w.start + w.step - 1) / w.step;
  return w;
}

PoolWindow pool_window(const Node *pool, int axis, int64_t size, int64_t o) {
  PoolAxis p = pool_axis(pool, axis, size);
  return window_at(&p, o);
}

int64_t pool_stride(const Node *pool, int axis, int64_t size) {
  PoolAxis p = pool_axis(pool, axis, size);
  if (!p.adaptive) return p.stride;
  return size % p.out ? 0 : size / p.out;
}

/* ---- checks ---- */

static const char *const axis_name[2] = {"height", "width"};

static bool check_window_attrs(const Node *n, OpError *e) {
  return check_least(n, "kernel", 1, e) && check_least(n, "stride", 1, e) &&
         check_least(n, "padding", 0, e) &&
         (!attr_if_any(n, "dilation") || check_least(n, "dilation", 1, e));
}

/* A dilated window that begins in the padding may step over a small image. */
static bool some_window_is_empty(const PoolAxis *p) {
  for (int64_t o = 0; o < p->out && o * p->stride < p->pad; o++) {
    PoolWindow w = window_at(p, o);
    if (w.start >= w.end) return true;
  }
  return false;
}

static bool check_axis(const Node *n, int axis, const PoolAxis *p, OpError *e) {
  int64_t reach = p->dilation * (p->kernel - 1) + 1;
  if (p->pad > reach / 2) {
    attr_error(e, n, "padding", "padding %lld is more than half of the kernel's %lld",
               (long long)p->pad, (long long)reach);
    return false;
  }
  if (p->out >= 1 && !some_window_is_empty(p)) return true;
  attr_error(e, n, "kernel", "a window of %s %lld does not fit the image of %s %lld",
             axis_name[axis], (long long)reach, axis_name[axis], (long long)p->size);
  op_note(e, "padding adds %lld on each side", (long long)p->pad);
  return false;
}

/* The pooled type of an image of type x. */
static bool pooled(const Node *n, const Type *x, Type *out, OpError *e) {
  *out = *x;
  out->elem = ELEM_F32;
  bool adaptive = !attr_if_any(n, "kernel");
  if (!adaptive && !check_window_attrs(n, e)) return false;
  if (adaptive && attr_if_any(n, "out") && !check_least(n, "out", 1, e)) return false;
  for (int axis = 0; axis < 2; axis++) {
    PoolAxis p = pool_axis(n, axis, x->dim[1 + axis]);
    if (!adaptive && !check_axis(n, axis, &p, e)) return false;
    out->dim[1 + axis] = p.out;
  }
  return check_size(out, e);
}

static bool check_image(const Node *n, int operand, OpError *e) {
  return check_real(n, n->in, operand, e) && check_rank(n, n->in, operand, 3, "[C, H, W]", e);
}

static bool same_type(const Type *given, const Type *want, OpError *e) {
  if (type_equal(given, want)) return true;
  return operand_error(e, 1, "%s is given where the pooling of the first operand needs %s",
                       shape_text(e, given), shape_text(e, want));
}

static bool pool_shape(Node *n, Type *out, OpError *e) {
  return check_image(n, 0, e) && pooled(n, &n->in[0]->type, out, e);
}

/* put of a mean: `size` is the image's; dy must be what it is pooled to. */
static bool mean_put_shape(Node *n, Type *out, OpError *e) {
  Type back;
  const Type *dy = &n->in[0]->type;
  if (!check_image(n, 0, e)) return false;
  if (node_attr(n, "size")->n != 2) return attr_error(e, n, "size", "size is [height, width]");
  if (!check_least(n, "size", 1, e)) return false;
  *out = *dy;
  memcpy(out->dim + 1, node_ints(n, "size"), 2 * sizeof *out->dim);
  if (!check_size(out, e) || !pooled(n, out, &back, e)) return false;
  if (type_equal(&back, dy)) return true;
  return op_error(e, "a gradient of shape %s does not belong to this pooling", shape_text(e, dy));
}

bool op_max_pool2d_shape(Node *n, Type *out, OpError *e) { return pool_shape(n, out, e); }
bool op_avg_pool2d_shape(Node *n, Type *out, OpError *e) { return pool_shape(n, out, e); }
bool op_adaptive_avg_pool2d_shape(Node *n, Type *out, OpError *e) { return pool_shape(n, out, e); }
bool op_avg_pool2d_put_shape(Node *n, Type *out, OpError *e) { return mean_put_shape(n, out, e); }

bool op_adaptive_avg_pool2d_put_shape(Node *n, Type *out, OpError *e) {
  return mean_put_shape(n, out, e);
}

bool op_adaptive_max_pool2d_shape(Node *n, Type *out, OpError *e) { return pool_shape(n, out, e); }

static bool max_put_shape(Node *n, Type *out, OpError *e) {
  Type want;
  if (!check_image(n, 0, e) || !check_image(n, 1, e) || !pooled(n, &n->in[0]->type, &want, e))
    return false;
  *out = n->in[0]->type;
  return same_type(&n->in[1]->type, &want, e);
}

static bool max_take_shape(Node *n, Type *out, OpError *e) {
  if (!check_image(n, 0, e) || !check_image(n, 1, e) || !pooled(n, &n->in[0]->type, out, e))
    return false;
  return same_type(&n->in[1]->type, &n->in[0]->type, e);
}

bool op_max_pool2d_put_shape(Node *n, Type *out, OpError *e) { return max_put_shape(n, out, e); }
bool op_max_pool2d_take_shape(Node *n, Type *out, OpError *e) { return max_take_shape(n, out, e); }

bool op_adaptive_max_pool2d_put_shape(Node *n, Type *out, OpError *e) {
  return max_put_shape(n, out, e);
}

bool op_adaptive_max_pool2d_take_shape(Node *n, Type *out, OpError *e) {
  return max_take_shape(n, out, e);
}

/* ---- evaluation ---- */

/* One window of one channel, whose image begins at element `image`; o counts output elements over
 * all. */
typedef struct {
  PoolWindow h, w;
  int64_t image, width, o;
} Spot;

typedef void AtSpot(const Spot *s, const Tensor *const *in, Tensor *out);

static void each_window(const Node *n, const Tensor *image, const Tensor *const *in, Tensor *out,
                        AtSpot *at) {
  const Type *t = &image->type;
  PoolAxis h = pool_axis(n, 0, t->dim[1]), w = pool_axis(n, 1, t->dim[2]);
  Spot s = {.width = t->dim[2]};
  for (int64_t c = 0; c < image->n * t->dim[0]; c++) {
    s.image = c * t->dim[1] * t->dim[2];
    for (int64_t y = 0; y < h.out; y++)
      for (int64_t x = 0; x < w.out; x++, s.o++) {
        s.h = window_at(&h, y);
        s.w = window_at(&w, x);
        at(&s, in, out);
      }
  }
}

/* The first NaN, else the first of the largest. */
static int64_t largest_at(const Spot *s, const double *x) {
  int64_t best = -1;
  for (int64_t h = s->h.start; h < s->h.end; h += s->h.step)
    for (int64_t w = s->w.start; w < s->w.end; w += s->w.step) {
      int64_t i = s->image + h * s->width + w;
      if (best < 0 || x[i] > x[best] || (isnan(x[i]) && !isnan(x[best]))) best = i;
    }
  return best;
}

static void max_at(const Spot *s, const Tensor *const *in, Tensor *out) {
  out->data[s->o] = in[0]->data[largest_at(s, in[0]->data)];
}

static void put_at(const Spot *s, const Tensor *const *in, Tensor *out) {
  out->data[largest_at(s, in[0]->data)] += in[1]->data[s->o];
}

static void take_at(const Spot *s, const Tensor *const *in, Tensor *out) {
  out->data[s->o] = in[1]->data[largest_at(s, in[0]->data)];
}

static void mean_at(const Spot *s, const Tensor *const *in, Tensor *out) {
  double sum = 0;
  for (int64_t h = s->h.start; h < s->h.end; h++)
    for (int64_t w = s->w.start; w < s->w.end; w++) sum += in[0]->data[s->image + h * s->width + w];
  out->data[s->o] = sum / (double)(s->h.count * s->w.count);
}

static void mean_put_at(const Spot *s, const Tensor *const *in, Tensor *out) {
  double each = in[0]->data[s->o] / (double)(s->h.count * s->w.count);
  for (int64_t h = s->h.start; h < s->h.end; h++)
    for (int64_t w = s->w.start; w < s->w.end; w++) out->data[s->image + h * s->width + w] += each;
}

static void clear(Tensor *t) {
  memset(t->data, 0, (size_t)(t->n * type_elements(&t->type)) * sizeof *t->data);
}

#define POOL_EVAL(op) \
  void op_##op##_eval(const Node *n, const Tensor *const *in, Tensor *out, const EvalContext *c)

POOL_EVAL(max_pool2d) {
  (void)c;
  each_window(n, in[0], in, out, max_at);
}

POOL_EVAL(max_pool2d_put) {
  (void)c;
  clear(out);
  each_window(n, in[0], in, out, put_at);
}

POOL_EVAL(max_pool2d_take) {
  (void)c;
  each_window(n, in[0], in, out, take_at);
}

POOL_EVAL(adaptive_max_pool2d) { op_max_pool2d_eval(n, in, out, c); }
POOL_EVAL(adaptive_max_pool2d_put) { op_max_pool2d_put_eval(n, in, out, c); }
POOL_EVAL(adaptive_max_pool2d_take) { op_max_pool2d_take_eval(n, in, out, c); }

POOL_EVAL(avg_pool2d) {
  (void)c;
  each_window(n, in[0], in, out, mean_at);
}

POOL_EVAL(avg_pool2d_put) {
  (void)c;
  clear(out);
  each_window(n, out, in, out, mean_put_at);
}

POOL_EVAL(adaptive_avg_pool2d) {
  (void)c;
  each_window(n, in[0], in, out, mean_at);
}

POOL_EVAL(adaptive_avg_pool2d_put) {
  (void)c;
  clear(out);
  each_window(n, out, in, out, mean_put_at);
}

/* ---- gradients ---- */

static Attr copy(const Node *n, const char *name) { return *node_attr(n, name); }

#define MAX_ATTRS(n)                                                             \
  copy(n, "kernel"), copy(n, "stride"), copy(n, "padding"), copy(n, "dilation"), \
      copy(n, "ceil_mode")
#define MEAN_ATTRS(n)                                                             \
  copy(n, "kernel"), copy(n, "stride"), copy(n, "padding"), copy(n, "ceil_mode"), \
      copy(n, "count_include_pad")

void op_max_pool2d_grad(Graph *g, Node *n, Node *dy, Node **dx) {
  dx[0] = ir_with2(g, OP_max_pool2d_put, n->in[0], dy, MAX_ATTRS(n));
}

void op_max_pool2d_put_grad(Graph *g, Node *n, Node *dy, Node **dx) {
  dx[1] = ir_with2(g, OP_max_pool2d_take, n->in[0], dy, MAX_ATTRS(n));
}

void op_max_pool2d_take_grad(Graph *g, Node *n, Node *dy, Node **dx) {
  dx[1] = ir_with2(g, OP_max_pool2d_put, n->in[0], dy, MAX_ATTRS(n));
}

void op_adaptive_max_pool2d_grad(Graph *g, Node *n, Node *dy, Node **dx) {
  dx[0] = ir_with2(g, OP_adaptive_max_pool2d_put, n->in[0], dy, copy(n, "out"));
}

void op_adaptive_max_pool2d_put_grad(Graph *g, Node *n, Node *dy, Node **dx) {
  dx[1] = ir_with2(g, OP_adaptive_max_pool2d_take, n->in[0], dy, copy(n, "out"));
}

void op_adaptive_max_pool2d_take_grad(Graph *g, Node *n, Node *dy, Node **dx) {
  dx[1] = ir_with2(g, OP_adaptive_max_pool2d_put, n->in[0], dy, copy(n, "out"));
}

void op_avg_pool2d_grad(Graph *g, Node *n, Node *dy, Node **dx) {
  dx[0] = ir_with(g, OP_avg_pool2d_put, dy, attr_ints(2, n->in[0]->type.dim + 1), MEAN_ATTRS(n));
}

void op_avg_pool2d_put_grad(Graph *g, Node *n, Node *dy, Node **dx) {
  dx[0] = ir_with(g, OP_avg_pool2d, dy, MEAN_ATTRS(n));
}

void op_adaptive_avg_pool2d_grad(Graph *g, Node *n, Node *dy, Node **dx) {
  dx[0] = ir_with(g, OP_adaptive_avg_pool2d_put, dy, attr_ints(2, n->in[0]->type.dim + 1));
}

void op_adaptive_avg_pool2d_put_grad(Graph *g, Node *n, Node *dy, Node **dx) {
  dx[0] = ir_with(g, OP_adaptive_avg_pool2d, dy, attr_pair(n->in[0]->type.dim + 1));
}

/* ---- made of ops ---- */

/* [C, L] as [C, 1, L]. */
static Node *with_height(Graph *g, const Node *n, Node *const *in, OpError *e) {
  const Type *t = &in[0]->type;
  if (!check_rank(n, in, 0, 2, "[C, L]", e)) return NULL;
  return ir_reshape(g, as_real(g, in[0]), 3, (int64_t[]){t->dim[0], 1, t->dim[1]});
}

static Node *without_height(Graph *g, Node *y) {
  return ir_reshape(g, y, 2, (int64_t[]){y->type.dim[0], y->type.dim[2]});
}

/* Attributes of the width alone. */
typedef struct {
  int64_t kernel[2], stride[2], padding[2];
} Along;

static Along along(const Node *n) {
  return (Along){
      {1, node_int(n, "kernel")}, {1, node_int(n, "stride")}, {0, node_int(n, "padding")}};
}

Node *op_max_pool1d_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  Along v = along(n);
  int64_t dilation[2] = {1, node_int(n, "dilation")};
  Node *a = with_height(x->graph, n, in, e);
  if (!a) return NULL;
  a = ir_with(x->graph, OP_max_pool2d, a, attr_pair(v.kernel), attr_pair(v.stride),
              attr_pair(v.padding), attr_pair(dilation), copy(n, "ceil_mode"));
  return without_height(x->graph, a);
}

Node *op_avg_pool1d_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  Along v = along(n);
  Node *a = with_height(x->graph, n, in, e);
  if (!a) return NULL;
  a = ir_with(x->graph, OP_avg_pool2d, a, attr_pair(v.kernel), attr_pair(v.stride),
              attr_pair(v.padding), copy(n, "ceil_mode"), copy(n, "count_include_pad"));
  return without_height(x->graph, a);
}

Node *op_global_avg_pool_expand(Expand *x, const Node *n, Node *const *in, OpError *e) {
  (void)n;
  Node *a = as_real(x->graph, in[0]);
  int64_t dims[LIMIT_RANK];
  if (!a->type.rank) {
    operand_error(e, 0, "global_avg_pool needs a tensor [C, ...], not a scalar");
    return NULL;
  }
  for (int d = 1; d < a->type.rank; d++) dims[d - 1] = d;
  return ir_mean(x->graph, a, a->type.rank - 1, dims, false);
}
