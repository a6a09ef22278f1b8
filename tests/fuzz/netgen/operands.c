#include <math.h>
#include <string.h>

#include "netgen.h"
#include "tests/ir/op_settings.h"

/* ---- from the pool ---- */

/* The newest ones most of the time, so that networks are deep. */
Node *pool_pick(Gen *g) {
  int64_t last = g->pool.count - 1, from = rng_chance(&g->rng, 55) && last > 3 ? last - 3 : 0;
  return g->pool.at[rng_int(&g->rng, from, last)];
}

static Node *pool_of_type(Gen *g, const Type *t) {
  int start = (int)rng_int(&g->rng, 0, g->pool.count - 1);
  for (int i = 0; i < g->pool.count; i++) {
    Node *x = g->pool.at[(start + i) % g->pool.count];
    if (type_equal(&x->type, t)) return x;
  }
  return NULL;
}

static Node *pool_batched(Gen *g) {
  int start = (int)rng_int(&g->rng, 0, g->pool.count - 1);
  for (int i = 0; i < g->pool.count; i++) {
    Node *x = g->pool.at[(start + i) % g->pool.count];
    if (x->type.batched) return x;
  }
  return NULL;
}

/* ---- a value of a given type ---- */

static Node *reshaped(Gen *g, Node *x, const Type *t) {
  return gen_node(g, OP_reshape, 1, &x, (Attr[]){attr_ints(t->rank, t->dim)});
}

static Node *linear_to(Gen *g, Node *x, int64_t out) {
  Attr attr[SIG_ATTRS] = {{0}};
  bool given[SIG_ATTRS] = {true};
  Type flat = type_of(ELEM_F32, true, 1, (int64_t[]){type_elements(&x->type)});
  attr[0] = attr_int(out);
  op_attrs_complete(OP_linear, attr, given);
  x = reshaped(g, x, &flat);
  return x ? gen_node(g, OP_linear, 3, (Node *[]){x, NULL, NULL}, attr) : NULL;
}

Node *coerce(Gen *g, Node *x, const Type *t) {
  int64_t want = type_elements(t), has = type_elements(&x->type);
  if (type_equal(&x->type, t)) return x;
  if (x->type.batched == t->batched && has == want) return reshaped(g, x, t);
  if (!t->batched) return gen_leaf(g, OP_param, ELEM_F32, t->rank, t->dim, 0);
  if (!x->type.batched) x = pool_batched(g);
  if (!x || type_elements(&x->type) * want > 4000)
    return gen_leaf(g, OP_input, ELEM_F32, t->rank, t->dim, 0);
  if (type_elements(&x->type) != want) x = linear_to(g, x, want);
  return x ? reshaped(g, x, t) : NULL;
}

static Node *value_of_type(Gen *g, const Type *t) {
  Node *x = rng_chance(&g->rng, 60) ? pool_of_type(g, t) : NULL;
  if (x) return x;
  if (!t->batched || rng_chance(&g->rng, 70)) return coerce(g, pool_pick(g), t);
  return gen_leaf(g, OP_input, ELEM_F32, t->rank, t->dim, 0);
}

/* ---- a second operand's type, after the first one's ---- */

static void swap_last(Type *t) {
  int64_t d = t->dim[t->rank - 1];
  t->dim[t->rank - 1] = t->dim[t->rank - 2];
  t->dim[t->rank - 2] = d;
}

static Type drop_leading(const Type *x, int count) {
  return type_of(ELEM_F32, x->batched, x->rank - count, x->dim + count);
}

static Type vary_broadcast(Gen *g, const Type *x) {
  Type t = drop_leading(x, (int)rng_int(&g->rng, 0, x->rank));
  for (int d = 0; d < t.rank; d++)
    if (rng_chance(&g->rng, 35)) t.dim[d] = 1;
  return t;
}

/* What products and convolutions want beside x. */
static Type vary_product(Gen *g, const Type *x) {
  int64_t last = x->rank ? x->dim[x->rank - 1] : 1, k = rng_int(&g->rng, 1, 9);
  Type t = *x;
  if (x->rank == 3 && rng_chance(&g->rng, 40))
    return type_of(ELEM_F32, false, 4,
                   (int64_t[]){k, x->dim[0], rng_int(&g->rng, 1, 3), rng_int(&g->rng, 1, 3)});
  if (rng_chance(&g->rng, 40)) return type_of(ELEM_F32, x->batched, 2, (int64_t[]){last, k});
  if (x->rank >= 2 && rng_chance(&g->rng, 70)) {
    swap_last(&t);
    if (rng_chance(&g->rng, 50)) t.dim[t.rank - 1] = k;
    return t;
  }
  return type_of(ELEM_F32, x->batched, 1, (int64_t[]){rng_chance(&g->rng, 70) ? last : k});
}

static Type vary(Gen *g, const Type *x, bool product) {
  Type t = *x;
  if (product && rng_chance(&g->rng, 75))
    t = vary_product(g, x);
  else if (rng_chance(&g->rng, 50))
    t = vary_broadcast(g, x);
  if (t.batched && rng_chance(&g->rng, 35)) t.batched = false;
  return t;
}

/* ---- domains ---- */

static Node *one(Gen *g, Op op, Node *x) { return x ? gen_node(g, op, 1, &x, NULL) : NULL; }

static Node *shifted(Gen *g, Node *x, double by) {
  return x ? gen_node(g, OP_add, 2, (Node *[]){x, ir_constant(g->graph, by)}, NULL) : NULL;
}

static Node *positive(Gen *g, Node *x) {
  int64_t roll = rng_int(&g->rng, 0, 3);
  if (roll == 0) return one(g, OP_exp, one(g, OP_tanh, x));
  if (roll == 1) return shifted(g, one(g, OP_softplus, x), 0.2);
  if (roll == 2) return shifted(g, one(g, OP_square, x), 0.5);
  return shifted(g, one(g, OP_sigmoid, x), 0.2);
}

static Node *into_domain(Gen *g, Node *x, OpDomain domain, bool last) {
  if (!x || x->type.elem != ELEM_F32) return x;
  if (domain == DOMAIN_POSITIVE || (domain == DOMAIN_NONZERO && last)) return positive(g, x);
  if (domain == DOMAIN_UNIT) return one(g, OP_sigmoid, x);
  return x;
}

/* ---- by a setting of the op tests ---- */

static bool word_type(const char *word, Type *t) {
  const char *p = strchr(word, '[');
  *t = type_scalar(p && p[1] == '*');
  if (word[0] == 'i') t->elem = ELEM_I32;
  if (!p) return strncmp(word, "buf", 3) != 0;
  for (p += 1 + t->batched; *p && *p != ']';) {
    if (*p == ',') p++;
    for (t->dim[t->rank] = 0; *p >= '0' && *p <= '9'; p++)
      t->dim[t->rank] = 10 * t->dim[t->rank] + *p - '0';
    t->rank++;
  }
  return strncmp(word, "buf", 3) != 0;
}

static Node *setting_operand(Gen *g, const char *word, OpDomain domain) {
  Type t;
  if (!word_type(word, &t)) return NULL;
  if (t.elem == ELEM_I32) return gen_leaf(g, OP_input, ELEM_I32, t.rank, t.dim, 0);
  Node *x = value_of_type(g, &t);
  return word[0] == 'b' ? one(g, OP_positive, x) : into_domain(g, x, domain, false);
}

/* The attributes as the text form has them, on leaves of the setting's types. */
static bool setting_attrs(Gen *g, const OpSetting *s, int nin, Node *const *in, Attr *attr) {
  Str text = str_new(g->arena);
  str_put(&text, "graph setting {\n");
  for (int i = 0; i < nin; i++) {
    if (!in[i]) continue;
    const Type *t = &in[i]->type;
    bool whole = t->elem != ELEM_F32;
    str_printf(&text,
               t->batched ? "%%%d = input {name=x%d, elem=\"%s\", shape=["
                          : "%%%d = param {name=x%d, init=constant(0)%s, shape=[",
               i, i, t->batched ? whole ? "i32" : "f32" : "");
    for (int d = 0; d < t->rank; d++) str_printf(&text, d ? ",%lld" : "%lld", (long long)t->dim[d]);
    str_put(&text, "]}\n");
  }
  str_printf(&text, "%%%d = %s(", nin, s->op);
  for (int i = 0; i < nin; i++) str_printf(&text, in[i] ? "%s%%%d" : "%s_", i ? ", " : "", i);
  str_printf(&text, ")%s%s%s\n}\n", *s->attrs ? " {" : "", s->attrs, *s->attrs ? "}" : "");
  Diags *d = diags_new(g->arena, sources_new(g->arena));
  Graph *made = ir_parse(g->arena, d, sources_add(d->sources, "setting", text.text, text.length));
  if (!made) return false;
  const Node *n = made->nodes.at[made->nodes.count - 1];
  memcpy(attr, n->attr, (size_t)op_signature(n->op)->nattrs * sizeof *attr);
  for (int i = 0; g->language && i < op_signature(n->op)->nattrs; i++)
    if (isinf(attr[i].f)) return false; /* the language has no word for it */
  return true;
}

static bool by_setting(Gen *g, Op op, const OpSetting *s, int *nin, Node **in, Attr *attr) {
  char *rest = arena_strdup(g->arena, s->operands), *word;
  for (*nin = 0; (word = strtok_r(rest, " ", &rest)); ++*nin) {
    in[*nin] = word[0] == '_' ? NULL : setting_operand(g, word, op_info[op].domain);
    if (!in[*nin] && word[0] != '_') return false;
  }
  return setting_attrs(g, s, *nin, in, attr);
}

static const OpSetting *draw_setting(Gen *g, Op op) {
  const OpSetting *found = NULL;
  int count = 0;
  for (size_t i = 0; i < sizeof op_settings / sizeof *op_settings; i++)
    if (!strcmp(op_settings[i].op, op_info[op].name) && rng_int(&g->rng, 0, count++) == 0)
      found = &op_settings[i];
  return found;
}

/* ---- by the signature ---- */

static Node *label_leaf(Gen *g, const Node *logits, const Signature *s, const Attr *attr) {
  int64_t dim = logits->type.rank - 1, kept[LIMIT_RANK];
  int rank = 0;
  if (dim < 0) return NULL;
  for (int i = 0; i < s->nattrs; i++)
    if (!strcmp(s->attr[i].name, "dim"))
      dim = attr[i].i < 0 ? attr[i].i + logits->type.rank : attr[i].i;
  if (dim < 0 || dim >= logits->type.rank) return NULL;
  for (int d = 0; d < logits->type.rank; d++)
    if (d != dim) kept[rank++] = logits->type.dim[d];
  return gen_leaf(g, OP_target, ELEM_I32, rank, kept, logits->type.dim[dim]);
}

static Node *index_leaf(Gen *g) {
  return gen_leaf(g, OP_input, ELEM_I32, (int)rng_int(&g->rng, 0, 2),
                  (int64_t[]){rng_int(&g->rng, 1, 5), rng_int(&g->rng, 1, 3)}, 0);
}

/* Parts of one rank and, but for dimension `dim`, one shape. */
static int draw_parts(Gen *g, Node **in, int64_t dim) {
  int count = (int)rng_int(&g->rng, 1, 4);
  in[0] = pool_pick(g);
  for (int i = 1; i < count; i++) {
    Type t = in[0]->type;
    int64_t d = dim < 0 ? dim + t.rank : dim;
    if (rng_chance(&g->rng, 50) && d >= 0 && d < t.rank) t.dim[d] = rng_int(&g->rng, 1, 5);
    if (rng_chance(&g->rng, 15)) t.batched = false;
    if (!(in[i] = value_of_type(g, &t))) return i;
  }
  return count;
}

static void draw_attrs(Gen *g, const Signature *s, int nin, Node *const *in, Attr *attr) {
  for (int i = 0; i < s->nattrs; i++)
    attr[i] = s->attr[i].copies >= 0 && rng_chance(&g->rng, 40)
                  ? attr[s->attr[i].copies]
                  : draw_attr(&g->rng, g->arena, &s->attr[i], nin, in);
}

static Node *draw_operand(Gen *g, Op op, const Signature *s, int i, Node **in, const Attr *attr,
                          int real) {
  OpDomain domain = op_info[op].domain;
  bool last = i == real - 1;
  if (domain == DOMAIN_LABEL && last)
    return real == 1 ? index_leaf(g) : label_leaf(g, in[0], s, attr);
  if (i == 0) return into_domain(g, in[0], domain, false);
  bool product = !strcmp(op_info[op].section, "linear_algebra");
  Type t = vary(g, &in[0]->type, product);
  return into_domain(g, value_of_type(g, &t), domain, last && real == 2);
}

bool draw_operands(Gen *g, Op op, int *nin, Node **in, Attr *attr) {
  const Signature *s = op_signature(op);
  const OpSetting *setting = op_info[op].kind != KIND_LAYER ? draw_setting(g, op) : NULL;
  if (setting && rng_chance(&g->rng, op_info[op].internal ? 50 : 15))
    return by_setting(g, op, setting, nin, in, attr);
  int real = 0;
  for (int i = 0; i < s->noperands; i++) real += !s->operand[i].parameter;
  in[0] = pool_pick(g);
  draw_attrs(g, s, 1, in, attr);
  *nin = s->noperands;
  if (s->operand[0].variadic) return *nin = draw_parts(g, in, attr[0].i), true;
  for (int i = 0; i < s->noperands; i++) {
    if (i >= real)
      in[i] = NULL;
    else if (!(in[i] = draw_operand(g, op, s, i, in, attr, real)))
      return false;
  }
  return true;
}
