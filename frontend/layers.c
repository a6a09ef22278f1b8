/* Layers: their names, and the parameters they own. The full name of a parameter is that of no
 * other leaf of the network. */
#include <string.h>

#include "base/glob.h"
#include "frontend/check.h"

/* ---- names ---- */

static void put_indices(Checker *c, const Label *label, Str *out, bool *failed) {
  for (int i = 0; i < label->index.count; i++) {
    int64_t k = 0;
    if (!eval_int(c, label->index.at[i], "the index of a name", 0, LIMIT_DIM, &k)) *failed = true;
    str_printf(out, ".%lld", (long long)k);
  }
}

/* Nameless layers are counted from 1 in their block. */
int scope_count(Checker *c, const char *what) {
  int *count = table_get(&c->scope->counts, what);
  if (!count) {
    count = ARENA_NEW(c->arena, int);
    table_put(c->arena, &c->scope->counts, what, count);
  }
  return ++*count;
}

const char *layer_name(Checker *c, const Call *call) {
  const Label *label = call->expr ? call->expr->label : NULL;
  bool failed = false;
  Str s = str_new(c->arena);
  str_put(&s, c->scope->prefix);
  if (label) {
    str_put(&s, label->name.text);
    put_indices(c, label, &s, &failed);
  } else if (call->bound) {
    str_put(&s, call->bound->text);
  } else {
    str_printf(&s, "%s%d", call->what, scope_count(c, call->what));
  }
  if (failed) return NULL;
  if (s.length <= LIMIT_NAME_BYTES) return s.text;
  check_error(c, label ? label->span : call->span,
              "the full name of this layer is longer than %d bytes", LIMIT_NAME_BYTES);
  return NULL;
}

/* ---- freezing ---- */

static bool is_frozen(const Checker *c, const char *name) {
  for (int i = 0; i < c->graph->train.freeze.count; i++)
    if (glob_fits(c->graph->train.freeze.at[i], name)) return true;
  return false;
}

/* ---- parameters ---- */

typedef struct {
  Op op;
  Span at;
} Leaf;

static bool is_param(Op op) { return op == OP_param || op == OP_buffer; }

static void claimed_twice(Checker *c, Op op, const char *full, Span at, const Leaf *other) {
  bool loop = other->at.file == at.file && other->at.line == at.line && other->at.col == at.col;
  if (!is_param(op) || !is_param(other->op)) {
    check_error(c, at, "%s is declared twice", full);
    check_note(c, other->at, "the other one is here");
    return;
  }
  check_error(c, at, "two parameters are named %s", full);
  check_note(c, other->at,
             loop ? "it is made here more than once; `as name[i]` tells the layers of a loop apart"
                  : "the other one is made here; `as name` gives a layer its own name");
}

bool leaf_claim(Checker *c, Op op, const char *full, Span at, Span whole) {
  const Leaf *other = table_get(&c->leaves, full);
  if (strlen(full) > LIMIT_NAME_BYTES) {
    check_error(c, at, "the full name of this parameter is longer than %d bytes", LIMIT_NAME_BYTES);
    return false;
  }
  if (other) {
    claimed_twice(c, op, full, at, other);
    return false;
  }
  Leaf *leaf = ARENA_NEW(c->arena, Leaf);
  *leaf = (Leaf){op, whole};
  table_put(c->arena, &c->leaves, full, leaf);
  return true;
}

Node *layer_param(Checker *c, Op op, const char *full, int rank, const int64_t *dim, Init init,
                  Span at) {
  OpError e = {.arena = c->arena};
  if (!leaf_claim(c, op, full, at, at)) return NULL;
  Attr attr[] = {attr_str(full), attr_ints(rank, dim), attr_init(init),
                 attr_bool(!is_frozen(c, full))};
  Node *n = ir_try(c->graph, op, 0, NULL, attr, at, &e);
  if (!n) check_error(c, at, "%s", e.text);
  return n;
}

typedef struct {
  Checker *checker;
  const char *layer;
  Span at;
  bool failed;
} Owner;

static Node *make_param(Params *p, Op op, const char *name, int rank, const int64_t *dim,
                        Init init) {
  Owner *o = p->user;
  Checker *c = o->checker;
  if (o->failed) return NULL;
  Node *n =
      layer_param(c, op, arena_printf(c->arena, "%s.%s", o->layer, name), rank, dim, init, o->at);
  o->failed = n == NULL;
  return n;
}

/* The place of an error in a layer's arguments. */
static Span place_of(const OpError *e, const Call *call, const Matched *m) {
  if (e->operand >= 0 && e->operand < SIG_OPERANDS && m->operand_span[e->operand].file)
    return m->operand_span[e->operand];
  if (e->attribute >= 0 && m->attr_span[e->attribute].file) return m->attr_span[e->attribute];
  return call->span;
}

bool layer_params(Checker *c, Op op, const Call *call, const char *name, int nin, Node **in,
                  const Attr *attr, const Matched *m) {
  Owner owner = {c, name, call->span, false};
  Params p = {c->graph, make_param, &owner};
  OpError e = {.arena = c->arena, .operand = -1, .attribute = -1};
  Node n = {.op = op, .nin = nin, .in = in, .attr = (Attr *)attr, .span = call->span};
  if (op_info[op].params(&p, &n, in, &e)) return !owner.failed;
  if (owner.failed) return false;
  check_error(c, place_of(&e, call, m), "%s", e.text ? e.text : "this layer cannot be made");
  if (e.note) check_note(c, no_place(), "%s", e.note);
  if (in[0] && in[0]->span.file)
    check_note(c, in[0]->span, "its input is %s", type_text(c->arena, &in[0]->type));
  return false;
}

bool layer_fits(const Checker *c, const char *pattern) {
  for (int i = 0; i < c->leaves.entries.count; i++) {
    const TableEntry *e = &c->leaves.entries.at[i];
    if (is_param(((const Leaf *)e->value)->op) && glob_fits(pattern, e->name)) return true;
  }
  return false;
}
