#include <math.h>
#include <string.h>

#include "netgen.h"

typedef struct {
  Arena *arena;
  const Graph *graph;
  Rng rng;
  Str out;
  const char **text; /* by node: how it is referred to */
} Writer;

/* ---- values ---- */

static void put_number(Str *s, double x) {
  if (x < 0) str_put(s, "-");
  str_double(s, fabs(x));
}

static void put_list(Str *s, int n, const int64_t *v) {
  str_put(s, "[");
  for (int i = 0; i < n; i++) str_printf(s, "%s%lld", i ? ", " : "", (long long)v[i]);
  str_put(s, "]");
}

static void put_pairs(Str *s, int n, const int64_t *v) {
  str_put(s, "[");
  for (int i = 0; i < n; i += 2)
    str_printf(s, "%s[%lld, %lld]", i ? ", " : "", (long long)v[i], (long long)v[i + 1]);
  str_put(s, "]");
}

/* A pair of equal numbers is one; all is the word. */
static const char *attr_text(Writer *w, const Attr *a) {
  Str s = str_new(w->arena);
  bool pair = a->kind == ATTR_PAIR || (a->kind == ATTR_PADS && a->n > 0);
  if (a->kind == ATTR_INT || a->kind == ATTR_DIM) str_printf(&s, "%lld", (long long)a->i);
  if (a->kind == ATTR_FLOAT) put_number(&s, a->f);
  if (a->kind == ATTR_BOOL) str_put(&s, a->i ? "true" : "false");
  if (a->kind == ATTR_WORDS || a->kind == ATTR_STR) str_printf(&s, "\"%s\"", a->s);
  if (a->kind == ATTR_PADS && a->n < 0) str_put(&s, "\"same\"");
  if (a->kind == ATTR_DIMS && a->n < 0) return NULL;
  if (a->kind == ATTR_PAIRS) put_pairs(&s, a->n, a->v);
  if (pair && a->v[0] == a->v[1] && rng_chance(&w->rng, 70))
    str_printf(&s, "%lld", (long long)a->v[0]);
  else if (a->kind == ATTR_INTS || a->kind == ATTR_DIMS || pair)
    put_list(&s, a->n, a->v);
  return s.length ? s.text : NULL;
}

static bool same_value(const Attr *a, const Attr *b) {
  if (a->i != b->i || a->n != b->n || !(a->f == b->f || (isnan(a->f) && isnan(b->f)))) return false;
  if (a->kind == ATTR_INIT) return true;
  if ((a->s || b->s) && (!a->s || !b->s || strcmp(a->s, b->s) != 0)) return false;
  return a->n <= 0 || !memcmp(a->v, b->v, (size_t)a->n * sizeof *a->v);
}

static bool is_default(const SigAttr *s, const Attr *attr, int i) {
  if (s->required) return false;
  return same_value(&attr[i], s->copies >= 0 ? &attr[s->copies] : &s->value);
}

/* ---- calls ---- */

static bool is_owned(const Node *layer, const Node *param) {
  size_t n = layer->label ? strlen(layer->label) : 0;
  const char *name = param->op == OP_param || param->op == OP_buffer ? node_str(param, "name") : "";
  return n && !strncmp(name, layer->label, n) && name[n] == '.';
}

static void put_argument(Str *s, const char *name, const char *value) {
  str_printf(s, "%s%s%s%s", s->length ? ", " : "", name ? name : "", name ? "=" : "", value);
}

/* bias=w says bias=true. */
static bool is_shared(const Node *n, const char *param) {
  const Signature *s = n ? op_signature(n->op) : NULL;
  for (int i = 1; n && i < n->nin && !s->operand[0].variadic; i++)
    if (n->in[i] && s->operand[i].parameter && !strcmp(s->operand[i].name, param))
      return !is_owned(n, n->in[i]);
  return false;
}

static void put_attrs(Writer *w, const Node *n, const Signature *s, const Attr *attr,
                      bool positional, Str *args) {
  for (int i = 0; i < s->nattrs; i++) {
    bool skip = is_default(&s->attr[i], attr, i) &&
                (rng_chance(&w->rng, 85) || is_shared(n, s->attr[i].name));
    const char *value = skip ? NULL : attr_text(w, &attr[i]);
    if (!value || !s->attr[i].required || rng_chance(&w->rng, 40)) positional = false;
    if (value) put_argument(args, positional ? NULL : s->attr[i].name, value);
  }
}

static const char *call_text(Writer *w, const Node *n) {
  const Signature *s = op_signature(n->op);
  Str args = str_new(w->arena), out = str_new(w->arena);
  bool pipe = n->nin && n->in[0] && rng_chance(&w->rng, 25);
  if (!pipe && n->nin) put_argument(&args, NULL, w->text[n->in[0]->id]);
  for (int i = 1; i < n->nin; i++)
    if (n->in[i] && (s->operand[0].variadic || !s->operand[i].parameter))
      put_argument(&args, NULL, w->text[n->in[i]->id]);
  put_attrs(w, n, s, n->attr, !s->operand[0].variadic, &args);
  for (int i = 1; i < n->nin && !s->operand[0].variadic; i++)
    if (n->in[i] && s->operand[i].parameter && !is_owned(n, n->in[i]))
      put_argument(&args, s->operand[i].name, w->text[n->in[i]->id]);
  if (pipe) str_printf(&out, "(%s |> ", w->text[n->in[0]->id]);
  str_put(&out, op_info[n->op].name);
  if (!pipe || args.length) str_printf(&out, "(%s)", args.length ? args.text : "");
  if (n->label && op_info[n->op].kind == KIND_LAYER) str_printf(&out, " as %s", n->label);
  if (pipe) str_put(&out, ")");
  return out.text;
}

static const char *operator_of(const Node *n) {
  static const char *const sign[] = {
      [OP_add] = "+", [OP_sub] = "-", [OP_mul] = "*", [OP_div] = "/"};
  return n->op < sizeof sign / sizeof *sign ? sign[n->op] : NULL;
}

static const char *node_text(Writer *w, const Node *n) {
  const char *sign = operator_of(n);
  if (n->op == OP_real) return w->text[n->in[0]->id];
  if (n->op == OP_neg && rng_chance(&w->rng, 60))
    return arena_printf(w->arena, "(-%s)", w->text[n->in[0]->id]);
  if (!sign || rng_chance(&w->rng, 30)) return call_text(w, n);
  return arena_printf(w->arena, "(%s %s %s)", w->text[n->in[0]->id], sign, w->text[n->in[1]->id]);
}

/* ---- statements ---- */

static void put_leaf(Writer *w, const Node *n) {
  static const char *const elem[] = {"f32", "u8", "i32"};
  const char *word = n->op == OP_input ? "input" : n->op == OP_target ? "target" : "param";
  int64_t classes = n->op == OP_param ? 0 : node_int(n, "classes");
  str_printf(&w->out, "  %s %s : ", word, node_str(n, "name"));
  if (classes)
    str_printf(&w->out, "class[%lld]", (long long)classes);
  else
    str_put(&w->out, elem[n->type.elem]);
  if (n->type.rank) put_list(&w->out, n->type.rank, n->type.dim);
  str_put(&w->out, n->op == OP_param ? " = normal(std=0.5);\n" : ";\n");
}

/* Layers and blocks own what has a dot in its name. */
static bool is_declared(const Node *n) {
  if (n->op == OP_input || n->op == OP_target) return true;
  return n->op == OP_param && !strchr(node_str(n, "name"), '.');
}

static void put_node(Writer *w, const Node *n, int uses) {
  if (op_info[n->op].kind == KIND_LEAF) {
    Str s = str_new(w->arena);
    if (n->op == OP_constant)
      put_number(&s, node_float(n, "value"));
    else
      str_put(&s, node_str(n, "name"));
    w->text[n->id] =
        n->op == OP_constant && s.text[0] == '-' ? arena_printf(w->arena, "(%s)", s.text) : s.text;
    if (is_declared(n)) put_leaf(w, n);
    return;
  }
  const char *text = node_text(w, n);
  bool inside = n->op == OP_real || (uses == 1 && strlen(text) < 300 && rng_chance(&w->rng, 35));
  w->text[n->id] = inside ? text : arena_printf(w->arena, "v%d", n->id);
  if (!inside) str_printf(&w->out, "  v%d = %s;\n", n->id, text);
}

static bool is_result(const Graph *g, const Node *n, ResultKind kind) {
  for (int i = 0; i < g->results.count; i++)
    if (g->results.at[i].kind == kind && g->results.at[i].node == n) return true;
  return false;
}

static void put_result(Writer *w, const Result *r) {
  const char *text = w->text[r->node->id];
  if (r->kind == RESULT_OUTPUT) str_printf(&w->out, "  output %s = %s;\n", r->name, text);
  if (r->kind == RESULT_LOSS) str_printf(&w->out, "  loss %s;\n", text);
  if (r->kind != RESULT_METRIC) return;
  Str args = str_new(w->arena);
  for (int i = 0; i < 2; i++) put_argument(&args, NULL, w->text[r->node->in[i]->id]);
  put_attrs(w, NULL, op_signature(r->node->op), r->node->attr, true, &args);
  str_printf(&w->out, "  metric %s(%s);\n", op_info[r->node->op].name, args.text);
}

static void put_train(Writer *w, const Train *t) {
  Signature s;
  Str args = str_new(w->arena);
  str_put(&w->out, "train {\n");
  if (t->optimizer.name) {
    for (int i = 0; i < train_row_count; i++)
      if (!strcmp(train_rows[i].name, t->optimizer.name))
        signature_parse(w->arena, train_rows[i].signature, &s);
    put_attrs(w, NULL, &s, t->optimizer.attr, false, &args);
    str_printf(&w->out, "  optimizer %s(%s);\n", t->optimizer.name, args.length ? args.text : "");
  }
  if (t->batch) str_printf(&w->out, "  batch %lld;\n", (long long)t->batch);
  if (t->warmup_steps) str_printf(&w->out, "  warmup %lld;\n", (long long)t->warmup_steps);
  if (t->clip_grad_norm > 0) {
    str_put(&w->out, "  clip_grad_norm ");
    put_number(&w->out, t->clip_grad_norm);
    str_put(&w->out, ";\n");
  }
  str_put(&w->out, "}\n");
}

const char *netgen_source(Arena *a, const Graph *g, uint64_t seed) {
  Writer w = {.arena = a,
              .graph = g,
              .rng = {seed},
              .out = str_new(a),
              .text = ARENA_ARRAY(a, const char *, g->nodes.count + 1)};
  int *uses = ir_use_counts(g, a);
  str_printf(&w.out, "network %s {\n", g->name);
  for (int i = 0; i < g->nodes.count; i++) {
    const Node *n = g->nodes.at[i];
    if (is_result(g, n, RESULT_METRIC) && uses[i] == 1) continue; /* it stands in its statement */
    put_node(&w, n, uses[i]);
  }
  for (int i = 0; i < g->results.count; i++) put_result(&w, &g->results.at[i]);
  str_put(&w.out, "}\n");
  if (g->train.present) put_train(&w, &g->train);
  return w.out.text;
}
