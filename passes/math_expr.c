/* Formulas of the ops. What has no notation of its own is written as a call of its name. */
#include "passes/math_expr.h"

#include <math.h>
#include <string.h>

typedef Formula MathRule(const MathContext *c, const Node *n);

static Formula formula(Binding b, const char *text) {
  return (Formula){.text = text, .binding = b};
}

static const char *enclosed(const MathContext *c, Formula f, Binding least) {
  return f.binding >= least ? f.text : arena_printf(c->arena, "(%s)", f.text);
}

/* x's formula, in parentheses where it binds less than `least`. */
static const char *at_least(const MathContext *c, const Node *x, Binding least) {
  return enclosed(c, c->of[x->id], least);
}

static const char *plain(const MathContext *c, const Node *x) { return c->of[x->id].text; }
static bool is_number(const Node *x) { return x->op == OP_constant; }
static bool is_one_element(const Node *x) { return type_elements(&x->type) == 1; }

/* 1/6 where that is shorter than the decimals. */
static Formula number(const MathContext *c, double value) {
  Str s = str_new(c->arena);
  if (value == round(value) && fabs(value) < 1e9)
    str_printf(&s, "%.0f", value);
  else
    str_double(&s, value);
  double inverse = round(1 / value);
  if (s.length > 8 && fabs(value) < 1 && fabs(value * inverse - 1) < 1e-12)
    return formula(BIND_PRODUCT,
                   arena_printf(c->arena, "%s1/%.0f", value < 0 ? "-" : "", fabs(inverse)));
  return formula(value < 0 ? BIND_PRODUCT : BIND_ATOM, s.text);
}

static const char *number_text(const MathContext *c, double value) { return number(c, value).text; }

/* ---- numbers before products ---- */

static Formula without_scale(Formula f) { return f.scale ? formula(f.rest_binding, f.rest) : f; }
static double scale_of(Formula f) { return f.scale ? f.scale : 1; }

/* scale times f, as one number before the rest. */
static Formula scaled(const MathContext *c, double scale, Formula f) {
  Formula rest = without_scale(f);
  scale *= scale_of(f);
  if (scale == 1) return rest;
  Formula s = number(c, scale);
  const char *form = s.binding == BIND_ATOM || scale < 0 ? "%s %s" : "(%s) %s";
  const char *text = arena_printf(c->arena, form, s.text, enclosed(c, rest, BIND_MATRIX));
  return (Formula){text, scale < 0 ? BIND_PRODUCT : BIND_MATRIX, scale, rest.text, rest.binding};
}

/* ---- arithmetic ---- */

static Formula infix(const MathContext *c, const Node *n, const char *op, Binding left,
                     Binding right, Binding is) {
  return formula(is, arena_printf(c->arena, "%s %s %s", at_least(c, n->in[0], left), op,
                                  at_least(c, n->in[1], right)));
}

static Formula rule_add(const MathContext *c, const Node *n) {
  return infix(c, n, "+", BIND_SUM, BIND_SUM, BIND_SUM);
}

static Formula rule_sub(const MathContext *c, const Node *n) {
  return infix(c, n, "-", BIND_SUM, BIND_PRODUCT, BIND_SUM);
}

static Formula rule_div(const MathContext *c, const Node *n) {
  return infix(c, n, "/", BIND_PRODUCT, BIND_MATRIX, BIND_PRODUCT);
}

static Formula rule_neg(const MathContext *c, const Node *n) {
  return formula(BIND_PRODUCT, arena_printf(c->arena, "-%s", at_least(c, n->in[0], BIND_MATRIX)));
}

static Formula reduction(const MathContext *c, const Node *n, const char *word);

/* 1/6 of a sum of six. */
static bool mean_of(const MathContext *c, double factor, const Node *sum, Formula *out) {
  if (sum->op != OP_reduce_sum || c->named[sum->id] || (c->batch && node_bool(sum, "batch")))
    return false;
  double count = (double)type_elements(&sum->in[0]->type) / (double)type_elements(&sum->type);
  if (fabs(factor * count - 1) > 1e-12) return false;
  *out = reduction(c, sum, "mean");
  return true;
}

/* Numbers and scalars come first, without a sign; the product of two tensors is elementwise, a * b.
 */
static Formula rule_mul(const MathContext *c, const Node *n) {
  const Node *a = n->in[0], *b = n->in[1];
  if (!is_number(a) && (is_number(b) || (is_one_element(b) && !is_one_element(a)))) {
    const Node *t = a;
    a = b, b = t;
  }
  Formula mean;
  if (is_number(a) && mean_of(c, node_float(a, "value"), b, &mean)) return mean;
  if (is_number(a) && !is_number(b)) return scaled(c, node_float(a, "value"), c->of[b->id]);
  if (!is_number(a) && is_one_element(a) == is_one_element(b)) {
    return formula(BIND_PRODUCT,
                   arena_printf(c->arena, "%s * %s", at_least(c, n->in[0], BIND_PRODUCT),
                                at_least(c, n->in[1], BIND_PRODUCT)));
  }
  return formula(BIND_MATRIX, arena_printf(c->arena, "%s %s", at_least(c, a, BIND_MATRIX),
                                           at_least(c, b, BIND_MATRIX)));
}

static Formula rule_square(const MathContext *c, const Node *n) {
  return formula(BIND_POWER, arena_printf(c->arena, "%s^2", at_least(c, n->in[0], BIND_ATOM)));
}

static Formula rule_pow(const MathContext *c, const Node *n) {
  const char *exponent = number_text(c, node_float(n, "exponent"));
  return formula(BIND_POWER,
                 arena_printf(c->arena, "%s^%s", at_least(c, n->in[0], BIND_ATOM), exponent));
}

static Formula rule_rsqrt(const MathContext *c, const Node *n) {
  return formula(BIND_PRODUCT, arena_printf(c->arena, "1 / sqrt(%s)", plain(c, n->in[0])));
}

static Formula rule_abs(const MathContext *c, const Node *n) {
  return formula(BIND_ATOM, arena_printf(c->arena, "|%s|", plain(c, n->in[0])));
}

/* ---- indicators ---- */

/* relu(x) > 0 exactly where x > 0, and x is what the formula should say. */
static Formula rule_positive(const MathContext *c, const Node *n) {
  const Node *x = n->in[0]->op == OP_relu ? n->in[0]->in[0] : n->in[0];
  return formula(BIND_ATOM, arena_printf(c->arena, "1[%s > 0]", plain(c, x)));
}

static Formula indicator(const MathContext *c, const Node *n, const char *sign) {
  return formula(BIND_ATOM, arena_printf(c->arena, "1[%s %s %s]", plain(c, n->in[0]), sign,
                                         plain(c, n->in[1])));
}

static Formula rule_less(const MathContext *c, const Node *n) { return indicator(c, n, "<"); }
static Formula rule_less_equal(const MathContext *c, const Node *n) {
  return indicator(c, n, "<=");
}
static Formula rule_equal(const MathContext *c, const Node *n) { return indicator(c, n, "="); }

/* ---- leaves ---- */

static Formula rule_constant(const MathContext *c, const Node *n) {
  return number(c, node_float(n, "value"));
}

static Formula rule_leaf(const MathContext *c, const Node *n) {
  (void)c;
  return formula(BIND_ATOM, node_str(n, "name"));
}

static Formula rule_batch_size(const MathContext *c, const Node *n) {
  (void)c, (void)n;
  return formula(BIND_ATOM, "N");
}

static Formula rule_one_hot(const MathContext *c, const Node *n) {
  return formula(BIND_ATOM, arena_printf(c->arena, "onehot(%s)", plain(c, n->in[0])));
}

/* ---- shapes ---- */

static Formula rule_same(const MathContext *c, const Node *n) { return c->of[n->in[0]->id]; }

static const char *list_text(const MathContext *c, int n, const int64_t *v) {
  Str s = str_new(c->arena);
  str_put(&s, "[");
  for (int i = 0; i < n; i++) str_printf(&s, "%s%lld", i ? ", " : "", (long long)v[i]);
  str_put(&s, "]");
  return s.text;
}

static bool same_but_ones(const Type *a, const Type *b) {
  int i = 0, k = 0;
  for (;; i++, k++) {
    while (i < a->rank && a->dim[i] == 1) i++;
    while (k < b->rank && b->dim[k] == 1) k++;
    if (i == a->rank || k == b->rank) return i == a->rank && k == b->rank;
    if (a->dim[i] != b->dim[k]) return false;
  }
}

static Formula rule_reshape(const MathContext *c, const Node *n) {
  if (same_but_ones(&n->type, &n->in[0]->type)) return rule_same(c, n);
  if (n->type.rank == 1)
    return formula(BIND_ATOM, arena_printf(c->arena, "flatten(%s)", plain(c, n->in[0])));
  const char *shape = list_text(c, n->type.rank, n->type.dim);
  return formula(BIND_ATOM, arena_printf(c->arena, "reshape(%s, %s)", plain(c, n->in[0]), shape));
}

static Formula product(const MathContext *c, const Node *n, bool turned);

static Formula rule_permute(const MathContext *c, const Node *n) {
  const Node *x = n->in[0];
  if (n->type.rank != 2) {
    const char *order = list_text(c, n->type.rank, node_ints(n, "order"));
    return formula(BIND_ATOM, arena_printf(c->arena, "permute(%s, %s)", plain(c, x), order));
  }
  if (x->op == OP_dot_general && !c->named[x->id]) return product(c, x, true);
  return formula(BIND_POWER, arena_printf(c->arena, "%s^T", at_least(c, x, BIND_ATOM)));
}

/* x[2:5, :, 0:8:2], python's way. */
static Formula rule_cut(const MathContext *c, const Node *n) {
  const Type *x = &n->in[0]->type;
  const int64_t *start = node_ints(n, "start"), *size = node_ints(n, "size"),
                *by = node_ints(n, "step");
  Str s = str_new(c->arena);
  str_printf(&s, "%s[", at_least(c, n->in[0], BIND_ATOM));
  for (int d = 0; d < x->rank; d++) {
    long long end = (long long)(start[d] + (size[d] - 1) * by[d] + 1);
    if (d) str_put(&s, ", ");
    if (size[d] == x->dim[d])
      str_put(&s, ":");
    else
      str_printf(&s, "%lld:%lld", (long long)start[d], end);
    if (by[d] != 1 && size[d] > 1) str_printf(&s, ":%lld", (long long)by[d]);
  }
  str_put(&s, "]");
  return formula(BIND_ATOM, s.text);
}

static Formula rule_concat(const MathContext *c, const Node *n) {
  Str s = str_new(c->arena);
  for (int i = 0; i < n->nin; i++) str_printf(&s, "%s%s", i ? ", " : "concat(", plain(c, n->in[i]));
  str_put(&s, ")");
  return formula(BIND_ATOM, s.text);
}

/* ---- sums ---- */

static const char *summed_text(const MathContext *c, const Node *n) {
  const Attr *dims = node_attr(n, "dims");
  bool all = dims->n == n->in[0]->type.rank, batch = c->batch && node_bool(n, "batch");
  Str s = str_new(c->arena);
  if (batch) str_put(&s, "_n");
  for (int i = 0; i < dims->n && !all; i++)
    str_printf(&s, "%s%lld", i || batch ? "," : "_", (long long)dims->v[i]);
  return s.text;
}

static Formula reduction(const MathContext *c, const Node *n, const char *word) {
  const Node *x = n->in[0];
  bool batch = c->batch && node_bool(n, "batch");
  bool nothing = type_elements(&x->type) == type_elements(&n->type);
  if (nothing && !batch) return rule_same(c, n);
  return formula(BIND_ATOM,
                 arena_printf(c->arena, "%s%s(%s)", word, summed_text(c, n), plain(c, x)));
}

static Formula rule_sum(const MathContext *c, const Node *n) { return reduction(c, n, "sum"); }
static Formula rule_max(const MathContext *c, const Node *n) { return reduction(c, n, "max"); }
static Formula rule_min(const MathContext *c, const Node *n) { return reduction(c, n, "min"); }
static Formula rule_var(const MathContext *c, const Node *n) {
  return formula(BIND_ATOM,
                 arena_printf(c->arena, "var%s(%s)", summed_text(c, n), plain(c, n->in[0])));
}

/* ---- products ---- */

typedef struct {
  const Node *node;
  bool transposed;
} Factor;

static const char *factor_text(const MathContext *c, const Factor *f) {
  Formula rest = without_scale(c->of[f->node->id]);
  if (!f->transposed) return enclosed(c, rest, BIND_MATRIX);
  return arena_printf(c->arena, "%s^T", enclosed(c, rest, BIND_ATOM));
}

static Formula product_text(const MathContext *c, Factor a, Factor b, bool summed) {
  const char *text = arena_printf(c->arena, "%s %s", factor_text(c, &a), factor_text(c, &b));
  double scale = scale_of(c->of[a.node->id]) * scale_of(c->of[b.node->id]);
  Formula f = scaled(c, scale, formula(BIND_MATRIX, text));
  return summed && c->batch ? formula(BIND_ATOM, arena_printf(c->arena, "sum_n(%s)", f.text)) : f;
}

static Formula call(const MathContext *c, const Node *n);

/* Vectors and matrices: each has at most one dimension that is not contracted. Without free
 * dimensions on the right, as x (W rows), it is written W x. `turned` asks for the transpose of the
 * product. */
static Formula product(const MathContext *c, const Node *n, bool turned) {
  const Attr *ca = &n->attr[0], *cb = &n->attr[1];
  int ra = n->in[0]->type.rank, rb = n->in[1]->type.rank;
  bool plain_product = !node_attr(n, "batch_a")->n && ca->n <= 1 && ra <= 2 && rb <= 2 && ra &&
                       rb && ra - ca->n <= 1 && rb - cb->n <= 1;
  if (!plain_product) return call(c, n);
  Factor a = {.node = n->in[0]}, b = {.node = n->in[1]};
  bool summed = node_bool(n, "sum_batch");
  /* as a matrix product [free a, contracted] [contracted, free b] */
  a.transposed = ca->n && (ra == 2 ? ca->v[0] == 0 : true);
  b.transposed = ca->n ? rb == 2 && cb->v[0] == 1 : true;
  bool vector_left = ra == 1 && ca->n && rb == 2;
  if (vector_left || turned) {
    Factor t = a;
    a = b, b = t;
    a.transposed = !a.transposed;
    b.transposed = !b.transposed;
  }
  bool scalar_last = vector_left && is_one_element(b.node);
  return scalar_last ? product_text(c, b, a, summed) : product_text(c, a, b, summed);
}

static Formula rule_dot_general(const MathContext *c, const Node *n) {
  return product(c, n, false);
}

/* ---- calls ---- */

static bool same_list(const Attr *a, const Attr *b) {
  return a->n == b->n && a->n >= 0 && (!a->n || !memcmp(a->v, b->v, (size_t)a->n * sizeof *a->v));
}

static bool is_default(const Node *n, int i) {
  const SigAttr *s = &op_signature(n->op)->attr[i];
  const Attr *a = &n->attr[i], *d = s->copies >= 0 ? &n->attr[s->copies] : &s->value;
  if (s->required) return false;
  if (a->v && d->v) return same_list(a, d);
  return a->f == d->f && a->i == d->i && !a->v && !a->s;
}

static void put_attr(const MathContext *c, Str *s, const Node *n, int i) {
  const SigAttr *sig = &op_signature(n->op)->attr[i];
  const Attr *a = &n->attr[i];
  if (is_default(n, i) || sig->kind == ATTR_BOOL) return;
  str_printf(s, n->nin || s->text[s->length - 1] != '(' ? ", %s=" : "%s=", sig->name);
  if (sig->kind == ATTR_PAIR && a->v[0] == a->v[1])
    str_printf(s, "%lld", (long long)a->v[0]);
  else if (a->v || sig->kind == ATTR_INTS)
    str_put(s, list_text(c, a->v ? a->n : 0, a->v));
  else if (a->s)
    str_put(s, a->s);
  else
    str_put(s, number_text(c, a->kind == ATTR_FLOAT ? a->f : (double)a->i));
}

static Formula call_of(const MathContext *c, const Node *n, bool attrs) {
  const Signature *sig = op_signature(n->op);
  Str s = str_new(c->arena);
  str_printf(&s, "%s(", op_info[n->op].name);
  for (int i = 0; i < n->nin; i++) str_printf(&s, "%s%s", i ? ", " : "", plain(c, n->in[i]));
  for (int i = 0; attrs && i < sig->nattrs; i++) put_attr(c, &s, n, i);
  str_put(&s, ")");
  return formula(BIND_ATOM, s.text);
}

static Formula call(const MathContext *c, const Node *n) { return call_of(c, n, true); }
static Formula rule_bare(const MathContext *c, const Node *n) { return call_of(c, n, false); }

/* Of one_hot's 0 and 1 the choice between x and 0 is a product. */
static bool picks_label(const Node *n) {
  const Node *bits = n->in[0];
  while (bits->op == OP_permute || bits->op == OP_reshape) bits = bits->in[0];
  return bits->op == OP_one_hot && is_number(n->in[2]) && node_float(n->in[2], "value") == 0;
}

static Formula rule_select(const MathContext *c, const Node *n) {
  return picks_label(n) ? rule_mul(c, n) : call(c, n);
}

static Formula rule_mask(const MathContext *c, const Node *n) {
  return formula(BIND_ATOM,
                 arena_printf(c->arena, "Bernoulli(%s)", number_text(c, node_float(n, "keep"))));
}

static MathRule *const rule[OP_COUNT] = {
    [OP_input] = rule_leaf,
    [OP_target] = rule_leaf,
    [OP_param] = rule_leaf,
    [OP_buffer] = rule_leaf,
    [OP_hyper] = rule_leaf,
    [OP_constant] = rule_constant,
    [OP_batch_size] = rule_batch_size,
    [OP_add] = rule_add,
    [OP_sub] = rule_sub,
    [OP_mul] = rule_mul,
    [OP_select] = rule_select,
    [OP_div] = rule_div,
    [OP_neg] = rule_neg,
    [OP_square] = rule_square,
    [OP_pow] = rule_pow,
    [OP_rsqrt] = rule_rsqrt,
    [OP_abs] = rule_abs,
    [OP_positive] = rule_positive,
    [OP_less] = rule_less,
    [OP_less_equal] = rule_less_equal,
    [OP_equal] = rule_equal,
    [OP_real] = rule_same,
    [OP_identity] = rule_same,
    [OP_detach] = rule_same,
    [OP_broadcast] = rule_same,
    [OP_reshape] = rule_reshape,
    [OP_permute] = rule_permute,
    [OP_cut] = rule_cut,
    [OP_concat] = rule_concat,
    [OP_reduce_sum] = rule_sum,
    [OP_reduce_max] = rule_max,
    [OP_reduce_min] = rule_min,
    [OP_reduce_var] = rule_var,
    [OP_dot_general] = rule_dot_general,
    [OP_one_hot] = rule_one_hot,
    [OP_random_mask] = rule_mask,
    [OP_softmax] = rule_bare,
    [OP_log_softmax] = rule_bare,
    [OP_conv] = rule_bare,
    [OP_conv_input] = rule_bare,
    [OP_conv_weight] = rule_bare,
    [OP_max_pool2d_put] = rule_bare,
    [OP_max_pool2d_take] = rule_bare,
    [OP_avg_pool2d_put] = rule_bare,
    [OP_standardize] = rule_bare,
    [OP_inverse_deviation] = rule_bare,
};

bool math_is_call(const Node *n) {
  MathRule *r = rule[n->op];
  return !r || r == rule_bare || (r == rule_select && !picks_label(n));
}

Formula math_formula(const MathContext *c, const Node *n) {
  return rule[n->op] ? rule[n->op](c, n) : call(c, n);
}
