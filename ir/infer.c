/* Making one node: operands and attributes checked against the op's signature, then its type
 * inferred.
 *
 *   ELEMENTWISE               NumPy broadcast of all operands
 *   LEAF, PRIMITIVE           the op's _shape
 *   COMPOSITE, FORMULA, LAYER the type of its expansion, made on trial in a scratch graph
 *
 * The operands in the scratch graph are place holders of the operands' types; leaves stay what they
 * are, so that an expansion can ask a label for its classes.
 *
 * An expansion makes what it knows is right, with ir_make, and so says nothing of bad operands: on
 * trial, a node that cannot be made ends the expansion by longjmp, and its error becomes that of
 * the node on trial. */
#include "ir/op.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  jmp_buf jump;
  OpError *e;
  Node **holder; /* the place holders of the operands */
  int holders;
} Trial;

bool(op_error)(OpError *e, const char *fmt, ...) {
  if (!e) return false;
  va_list ap;
  va_start(ap, fmt);
  e->text = e->arena ? arena_vprintf(e->arena, fmt, ap) : fmt;
  va_end(ap);
  return false;
}

static bool operand_error(OpError *e, int operand, const char *text) {
  e->operand = operand;
  return op_error(e, "%s", text);
}

/* ---- operands ---- */

static bool check_operands(Op op, int nin, Node *const *in, OpError *e) {
  const Signature *s = op_signature(op);
  bool variadic = s->noperands && s->operand[0].variadic;
  if (variadic ? nin < 1 : nin > s->noperands)
    return op_error(e, "%s takes %d operand%s, not %d", op_info[op].name, s->noperands,
                    s->noperands == 1 ? "" : "s", nin);
  if (nin > LIMIT_OPERANDS)
    return op_error(e, "%s takes at most %d operands, not %d", op_info[op].name, LIMIT_OPERANDS,
                    nin);
  for (int i = 0; i < (variadic ? nin : s->noperands); i++) {
    const SigOperand *o = &s->operand[variadic ? 0 : i];
    if ((i < nin && in[i]) || o->optional) continue;
    e->operand = i;
    return op_error(e, "operand %s of %s is missing", o->name, op_info[op].name);
  }
  return true;
}

static void copy_operands(Arena *a, Node *n, int nin, Node *const *in) {
  const Signature *s = op_signature(n->op);
  bool variadic = s->noperands && s->operand[0].variadic;
  n->nin = variadic ? nin : s->noperands;
  n->in = ARENA_ARRAY(a, Node *, n->nin);
  if (nin) memcpy(n->in, in, (size_t)nin * sizeof *in);
}

/* ---- attributes ---- */

static bool is_list(AttrKind k) {
  return k == ATTR_INTS || k == ATTR_DIMS || k == ATTR_PAIR || k == ATTR_PADS || k == ATTR_PAIRS;
}

static bool is_text(AttrKind k) { return k == ATTR_STR || k == ATTR_WORDS; }
static bool is_int(AttrKind k) { return k == ATTR_INT || k == ATTR_DIM || k == ATTR_BOOL; }

static bool fits_list(AttrKind want, int n) {
  if (want == ATTR_PAIR || want == ATTR_PADS) return n == 2;
  if (want == ATTR_PAIRS) return n >= 0 && n <= 2 * LIMIT_RANK && n % 2 == 0;
  return n >= 0 && n <= LIMIT_RANK;
}

/* A number stands for a pair of it, and for a list of one dimension. */
static bool accept_list(Arena *a, AttrKind want, const Attr *given, Attr *out) {
  int64_t both[2] = {given->i, given->i};
  const char *whole = want == ATTR_PADS ? "same" : "all";
  Attr x = *given;
  if (is_text(given->kind) && !strcmp(given->s, whole))
    x.n = -1;
  else if (given->kind == ATTR_INT)
    x.n = want == ATTR_DIMS ? 1 : 2, x.v = both;
  else if (!is_list(given->kind))
    return false;
  bool all = x.n == -1 && (want == ATTR_DIMS || want == ATTR_PADS);
  if (!all && !fits_list(want, x.n)) return false;
  if ((want == ATTR_INTS || want == ATTR_PAIRS) && given->kind == ATTR_INT) return false;
  int64_t *v = x.n > 0 ? ARENA_ARRAY(a, int64_t, x.n) : NULL;
  for (int i = 0; i < x.n; i++) {
    if (!attr_in_range(x.v[i])) return false;
    v[i] = x.v[i];
  }
  *out = (Attr){.kind = want, .n = x.n, .v = v};
  return true;
}

static bool accept_text(Arena *a, const SigAttr *s, const Attr *given, Attr *out) {
  if (!is_text(given->kind) || !given->s) return false;
  bool found = s->kind == ATTR_STR;
  for (int i = 0; !found && s->words[i]; i++) found = !strcmp(s->words[i], given->s);
  if (found) *out = (Attr){.kind = s->kind, .s = arena_strdup(a, given->s)};
  return found;
}

static bool accept_attr(Arena *a, const SigAttr *s, const Attr *given, Attr *out) {
  if (is_list(s->kind)) return accept_list(a, s->kind, given, out);
  if (is_text(s->kind)) return accept_text(a, s, given, out);
  *out = (Attr){.kind = s->kind, .i = given->i, .f = given->f, .init = given->init};
  if (s->kind == ATTR_INIT) return given->kind == ATTR_INIT;
  if (s->kind == ATTR_FLOAT) {
    if (is_int(given->kind)) out->f = (double)given->i;
    out->i = 0;
    return given->kind == ATTR_FLOAT || given->kind == ATTR_INT;
  }
  if (s->kind == ATTR_BOOL) out->i = given->i != 0;
  return is_int(given->kind) && attr_in_range(given->i);
}

/* A number that is not in range, or NULL. */
static const int64_t *out_of_range(const Attr *x) {
  if (is_int(x->kind) && !attr_in_range(x->i)) return &x->i;
  for (int i = 0; is_list(x->kind) && i < x->n; i++)
    if (!attr_in_range(x->v[i])) return &x->v[i];
  return NULL;
}

static bool attr_fails(OpError *e, Op op, int index, const Attr *given) {
  const SigAttr *s = &op_signature(op)->attr[index];
  const int64_t *far = out_of_range(given);
  e->attribute = index;
  if (far)
    return op_error(e, "%s of %s must be at %s %lld, not %lld", s->name, op_info[op].name,
                    *far > 0 ? "most" : "least", (long long)(*far > 0 ? LIMIT_DIM : -LIMIT_DIM),
                    (long long)*far);
  return op_error(e, "%s of %s must be %s", s->name, op_info[op].name, attr_kind_text(e->arena, s));
}

/* d counted from 0 or from the end -> 0..rank-1. */
static bool resolve_dim(int64_t *d, int rank, OpError *e) {
  if (*d >= -rank && *d < rank) {
    if (*d < 0) *d += rank;
    return true;
  }
  if (!rank) return op_error(e, "dimension %lld of a scalar", (long long)*d);
  return op_error(e, "dimension %lld is out of range -%d to %d", (long long)*d, rank, rank - 1);
}

static bool resolve_dims(Attr *a, int rank, OpError *e) {
  unsigned seen = 0;
  int64_t *v = (int64_t *)a->v; /* the node's own copy */
  for (int i = 0; i < a->n; i++) {
    if (!resolve_dim(&v[i], rank, e)) return false;
    if (seen & 1u << v[i]) return op_error(e, "dimension %lld is named twice", (long long)v[i]);
    seen |= 1u << v[i];
  }
  return true;
}

static bool resolve_node_dims(Node *n, OpError *e) {
  const Signature *s = op_signature(n->op);
  int rank = n->nin && n->in[0] ? n->in[0]->type.rank : 0;
  if (n->op == OP_unsqueeze) rank++; /* its dim is one of the result's */
  for (int i = 0; i < s->nattrs; i++) {
    bool fine = s->attr[i].kind == ATTR_DIM    ? resolve_dim(&n->attr[i].i, rank, e)
                : s->attr[i].kind == ATTR_DIMS ? resolve_dims(&n->attr[i], rank, e)
                                               : true;
    if (fine) continue;
    e->attribute = i;
    return false;
  }
  return true;
}

static bool copy_attrs(Arena *a, Node *n, const Attr *attr, OpError *e) {
  const Signature *s = op_signature(n->op);
  Attr defaults[SIG_ATTRS];
  if (!attr) {
    int missing = op_attrs_complete(n->op, defaults, NULL);
    if (missing >= 0) {
      e->attribute = missing;
      return op_error(e, "%s of %s is missing", s->attr[missing].name, op_info[n->op].name);
    }
    attr = defaults;
  }
  n->attr = ARENA_ARRAY(a, Attr, s->nattrs);
  for (int i = 0; i < s->nattrs; i++)
    if (!accept_attr(a, &s->attr[i], &attr[i], &n->attr[i]))
      return attr_fails(e, n->op, i, &attr[i]);
  return resolve_node_dims(n, e);
}

/* ---- types ---- */

static bool infer_elementwise(const Node *n, Type *out, OpError *e) {
  *out = type_scalar(false);
  for (int i = 0; i < n->nin; i++) {
    Type t = n->in[i]->type;
    if (t.elem != ELEM_F32 && n->op != OP_real)
      return operand_error(e, i, "an f32 tensor is needed here");
    t.elem = ELEM_F32;
    e->operand = i;
    if (!type_broadcast(out, &t, out, e)) return false;
    e->operand = -1;
  }
  return true;
}

static Node *place_holder(Graph *g, const Node *x) {
  Node *n = ARENA_NEW(g->arena, Node);
  bool leaf = op_info[x->op].kind == KIND_LEAF;
  *n = (Node){.op = x->type.batched ? OP_input : OP_param, .type = x->type, .offset = -1};
  if (leaf)
    n->op = x->op, n->attr = x->attr;
  else {
    n->attr = ARENA_ARRAY(g->arena, Attr, SIG_ATTRS);
    n->attr[0] = attr_str("");
  }
  n->id = g->nodes.count;
  vec_push(g->arena, &g->nodes, n);
  return n;
}

static bool trial_expand(Trial *t, Expand *x, const Node *n, Type *out) {
  if (setjmp(t->jump)) return false;
  Node *r = op_info[n->op].expand(x, n, t->holder, t->e);
  if (r) *out = r->type;
  return r != NULL;
}

static bool infer_by_expansion(const Node *n, Type *out, OpError *e) {
  Arena *scratch = arena_new();
  Expand x = {.graph = ir_graph_new(scratch, NULL, "trial")};
  Trial t = {.e = e, .holders = n->nin, .holder = ARENA_ARRAY(scratch, Node *, n->nin)};
  for (int i = 0; i < n->nin; i++)
    if (n->in[i]) t.holder[i] = place_holder(x.graph, n->in[i]);
  x.graph->trial = &t;
  bool fine = trial_expand(&t, &x, n, out);
  arena_free(scratch);
  return fine;
}

static bool infer(Node *n, Type *out, OpError *e) {
  const OpInfo *info = &op_info[n->op];
  bool fine = info->kind == KIND_ELEMENTWISE ? infer_elementwise(n, out, e)
              : info->shape                  ? info->shape(n, out, e)
                                             : infer_by_expansion(n, out, e);
  return fine && type_valid(out, e);
}

static void error_open(OpError *e, Arena *fallback) {
  if (!e->arena) e->arena = fallback;
  e->text = e->note = NULL;
  e->operand = e->attribute = -1;
}

bool node_infer(const Node *n, Type *out, OpError *e) {
  Node copy = *n;
  error_open(e, e->arena);
  return infer(&copy, out, e);
}

/* ---- nodes ---- */

static bool is_random(Op op) {
  return op_info[op].kind == KIND_PRIMITIVE && !strcmp(op_info[op].section, "random");
}

static Node *node_new(Graph *g, Op op, int nin, Node *const *in, const Attr *attr, OpError *e) {
  if (!check_operands(op, nin, in, e)) return NULL;
  Node *n = ARENA_NEW(g->arena, Node);
  n->op = op;
  n->offset = -1;
  copy_operands(g->arena, n, nin, in);
  if (!copy_attrs(g->arena, n, attr, e) || !infer(n, &n->type, e)) return NULL;
  n->id = g->nodes.count;
  vec_push(g->arena, &g->nodes, n);
  g->streams += is_random(op);
  return n;
}

/* The operand at fault is the trial's, where it is one of the place holders. */
static _Noreturn void trial_end(Trial *t, int nin, Node *const *in, const OpError *inner) {
  int outer = -1;
  if (inner->operand >= 0 && inner->operand < nin)
    for (int i = 0; i < t->holders; i++)
      if (t->holder[i] && t->holder[i] == in[inner->operand]) outer = i;
  t->e->text = inner->text;
  t->e->note = inner->note;
  t->e->operand = outer;
  t->e->attribute = -1;
  longjmp(t->jump, 1);
}

Node *ir_try(Graph *g, Op op, int nin, Node *const *in, const Attr *attr, Span span, OpError *e) {
  Trial *t = g->trial;
  OpError own = {.arena = t ? t->e->arena : g->arena};
  OpError *err = e ? e : &own;
  error_open(err, own.arena);
  Node *n = node_new(g, op, nin, in, attr, err);
  if (n) {
    n->span = span;
    return n;
  }
  if (!err->text) op_error(err, "%s cannot take these operands", op_info[op].name);
  if (e) return NULL;
  if (t) trial_end(t, nin, in, err);
  fprintf(stderr, "internal fault: cannot make %s: %s\n", op_info[op].name, err->text);
  abort();
}

void ir_at(Graph *g, Span span) { g->at = span; }

Node *ir_make(Graph *g, Op op, int nin, Node *const *in, const Attr *attr) {
  return ir_try(g, op, nin, in, attr, g->at, NULL);
}
