/* Statements of a network or block, and the declarations that only a network has. */
#include <string.h>

#include "frontend/check.h"

/* ---- binding ---- */

static void bind_failed(Checker *c, const Names *names) {
  for (int i = 0; i < names->count; i++)
    scope_bind(c, names->at[i].text, value_failed(), names->at[i].span);
}

static void bind(Checker *c, const Name *name, Value v) {
  if (v.kind == VALUE_TENSOR) tensor_label(c, v.node, name->text);
  scope_bind(c, name->text, v, name->span);
}

static void exec_bind(Checker *c, const Stmt *s) {
  const Names *names = &s->names;
  Value v = eval_bound(c, s->value, names->count == 1 ? &names->at[0] : NULL);
  int n = v.kind == VALUE_TUPLE ? v.n : 1;
  if (v.kind != VALUE_FAILED && n != names->count) {
    v = check_error(c, s->span, "%d name%s for %d value%s", names->count,
                    names->count == 1 ? "" : "s", n, n == 1 ? "" : "s");
  }
  if (v.kind == VALUE_FAILED)
    bind_failed(c, names);
  else if (v.kind != VALUE_TUPLE)
    bind(c, &names->at[0], v);
  else
    for (int i = 0; i < n; i++) bind(c, &names->at[i], v.v[i]);
}

static void exec_return(Checker *c, const Stmt *s) {
  Scope *scope = c->scope;
  int n = s->values.count;
  if (scope->item->kind == ITEM_NETWORK) {
    check_error(c, s->span, "return belongs in a block; a network has outputs");
    return;
  }
  Value *v = ARENA_ARRAY(c->arena, Value, n);
  for (int i = 0; i < n; i++) v[i] = eval(c, s->values.at[i]);
  for (int i = 0; i < n; i++)
    if (v[i].kind == VALUE_TUPLE && n > 1)
      v[i] =
          check_error(c, s->values.at[i]->span, "this gives %d values; one is needed here", v[i].n);
  scope->returned = true;
  scope->result = n == 1 ? v[0] : (Value){.kind = VALUE_TUPLE, .v = v, .n = n};
}

/* ---- if and for ---- */

/* What was not walked because its condition failed binds names that are not to be complained about.
 */
static void fail_bindings(Checker *c, const Stmts *list) {
  for (int i = 0; i < list->count; i++) {
    const Stmt *s = list->at[i];
    if (s->kind == STMT_BIND) bind_failed(c, &s->names);
    if (!check_enter(c, s->span)) return;
    fail_bindings(c, &s->body);
    fail_bindings(c, &s->other);
    check_leave(c);
  }
}

static void exec_if(Checker *c, const Stmt *s) {
  Value v = eval(c, s->value);
  if (v.kind == VALUE_TENSOR) {
    v = check_error(c, s->value->span, "if takes a compile-time value, not a tensor");
    check_note(c, no_place(), "the network's structure cannot depend on its data");
  } else if (v.kind != VALUE_BOOL && v.kind != VALUE_FAILED) {
    v = check_error(c, s->value->span, "if takes true or false, not %s", value_kind_text(&v));
  }
  if (v.kind == VALUE_FAILED) {
    fail_bindings(c, &s->body);
    fail_bindings(c, &s->other);
    return;
  }
  exec_statements(c, v.i ? &s->body : &s->other);
}

static void for_step(Checker *c, const Stmt *s, Value v) {
  scope_bind(c, s->names.at[0].text, v, s->names.at[0].span);
  exec_statements(c, &s->body);
}

static bool goes_on(Checker *c, const Stmt *s) {
  return !c->scope->returned && check_step(c, s->names.at[0].span);
}

static void for_range(Checker *c, const Stmt *s) {
  int64_t from, to;
  bool fine = eval_int(c, s->value, "the start of a range", INT64_MIN, INT64_MAX, &from);
  fine &= eval_int(c, s->end, "the end of a range", INT64_MIN, INT64_MAX, &to);
  if (!fine) {
    fail_bindings(c, &s->body);
    return;
  }
  for (int64_t i = from; i < to && goes_on(c, s); i++) for_step(c, s, value_int(i));
}

static void for_list(Checker *c, const Stmt *s) {
  Value v = eval(c, s->value);
  if (v.kind != VALUE_LIST) {
    if (v.kind != VALUE_FAILED) {
      check_error(c, s->value->span, "for takes a range or a list, not %s", value_kind_text(&v));
      check_note(c, no_place(), "for i in 0..3 takes i = 0, 1, 2");
    }
    fail_bindings(c, &s->body);
    return;
  }
  for (int i = 0; i < v.n && goes_on(c, s); i++) for_step(c, s, v.v[i]);
}

/* ---- declarations ---- */

typedef struct {
  Elem elem;
  int64_t classes;
  int rank;
  int64_t dim[LIMIT_RANK];
} Declared;

static bool dims_of(Checker *c, const Exprs *list, Span at, Declared *d) {
  bool fine = true;
  if (list->count > LIMIT_RANK) {
    check_error(c, at, "%d dimensions; at most %d are possible", list->count, LIMIT_RANK);
    return false;
  }
  for (int i = 0; i < list->count; i++)
    fine &= eval_int(c, list->at[i], "a dimension", 1, LIMIT_DIM, &d->dim[i]);
  d->rank = list->count;
  return fine;
}

static bool class_of(Checker *c, const TypeExpr *t, Declared *d) {
  d->elem = ELEM_I32;
  if (t->nlists < 1 || t->nlists > 2 || t->list[0].count != 1) {
    check_error(c, t->span, "a class label is class[k], or class[k][T] for a row of them");
    return false;
  }
  bool fine = eval_int(c, t->list[0].at[0], "the number of classes", 1, LIMIT_DIM, &d->classes);
  return (t->nlists < 2 || dims_of(c, &t->list[1], t->span, d)) && fine;
}

/* The element types allowed for each kind of declaration. */
static bool elem_of(Checker *c, const Stmt *s, Declared *d) {
  static const char *const inputs[] = {"f32", "u8", "i32"};
  static const char *const targets[] = {"f32", "class"};
  bool input = s->kind == STMT_INPUT, target = s->kind == STMT_TARGET;
  const char *const *allowed = target ? targets : inputs;
  int n = input ? 3 : target ? 2 : 1;
  const char *name = s->type->elem.text;
  for (int i = 0; i < n; i++)
    if (!strcmp(name, allowed[i])) {
      d->elem = !input || i == 0 ? ELEM_F32 : i == 1 ? ELEM_U8 : ELEM_I32;
      return true;
    }
  check_error(c, s->type->elem.span, "%s cannot be the type of %s", name,
              input    ? "an input"
              : target ? "a target"
                       : "a param");
  check_note(c, no_place(), "it is %s",
             input    ? "f32, u8 or i32"
             : target ? "class[k] or f32"
                      : "f32");
  return false;
}

static bool declared(Checker *c, const Stmt *s, Declared *d) {
  const TypeExpr *t = s->type;
  *d = (Declared){0};
  if (!elem_of(c, s, d)) return false;
  if (!strcmp(t->elem.text, "class")) return class_of(c, t, d);
  if (t->nlists > 1) {
    check_error(c, t->span, "only class labels have two lists of dimensions");
    return false;
  }
  return !t->nlists || dims_of(c, &t->list[0], t->span, d);
}

static void exec_outside(Checker *c, const Stmt *s) {
  static const char *const elem[] = {"f32", "u8", "i32"};
  Declared d;
  const Name *name = &s->names.at[0];
  Op op = s->kind == STMT_INPUT ? OP_input : OP_target;
  Node *n = NULL;
  if (declared(c, s, &d) && leaf_claim(c, op, name->text, name->span, s->span)) {
    Attr attr[] = {attr_str(name->text), attr_int(d.classes), attr_ints(d.rank, d.dim),
                   attr_words(elem[d.elem])};
    n = tensor_make(c, op, 0, NULL, attr, s->span, NULL, NULL);
  }
  scope_bind(c, name->text, value_tensor(n), name->span);
}

static Node *param_node(Checker *c, const Stmt *s) {
  Declared d;
  bool fine = declared(c, s, &d);
  if (!s->value) {
    check_error(c, s->span, "param %s needs an initialiser", s->names.at[0].text);
    check_note(c, no_place(), "as in param %s : f32[3] = zeros;", s->names.at[0].text);
    return NULL;
  }
  Value v = eval(c, s->value);
  if (!fine || v.kind == VALUE_FAILED) return NULL;
  if (v.kind != VALUE_INIT) {
    check_error(c, s->value->span, "a param starts from an initialiser, not %s",
                value_kind_text(&v));
    if (value_is_number(&v)) check_note(c, no_place(), "constant(c) fills it with one number");
    return NULL;
  }
  const char *wrong = init_fault(*v.init, d.rank);
  if (wrong) {
    check_error(c, s->value->span, "%s", wrong);
    return NULL;
  }
  const char *full = arena_printf(c->arena, "%s%s", c->scope->prefix, s->names.at[0].text);
  return layer_param(c, OP_param, full, d.rank, d.dim, init_resolve(*v.init, d.rank, d.dim),
                     s->span);
}

static void exec_param(Checker *c, const Stmt *s) {
  scope_bind(c, s->names.at[0].text, value_tensor(param_node(c, s)), s->names.at[0].span);
}

/* ---- results ---- */

static Node *tensor_of(Checker *c, Value v, Span at, const char *what) {
  if (v.kind == VALUE_TENSOR) return tensor_real(c, v.node, at);
  if (v.kind != VALUE_FAILED)
    check_error(c, at, "%s must be a tensor, not %s", what, value_kind_text(&v));
  return NULL;
}

static bool is_scalar(Checker *c, const Node *n, Span at, const char *what) {
  if (!n || !n->type.rank) return n != NULL;
  check_error(c, at, "%s must be a scalar, not %s", what, type_text(c->arena, &n->type));
  check_note(c, no_place(), "sum or mean makes a scalar of it; the batch is not counted");
  return false;
}

static void exec_output(Checker *c, const Stmt *s) {
  const Name *name = &s->names.at[0];
  Value v = eval_bound(c, s->value, name);
  Node *n = tensor_of(c, v, s->value->span, "an output");
  const Span *other = table_get(&c->outputs, name->text);
  if (other) {
    check_error(c, name->span, "there are two outputs %s", name->text);
    check_note(c, *other, "the other one is here");
    n = NULL;
  }
  if (!other) table_put(c->arena, &c->outputs, name->text, (void *)&name->span);
  if (n) ir_result(c->graph, RESULT_OUTPUT, name->text, n, NULL);
  bind(c, name, value_tensor(n));
}

static void exec_loss(Checker *c, const Stmt *s) {
  Node *n = tensor_of(c, eval(c, s->value), s->value->span, "the loss");
  if (c->loss.file) {
    check_error(c, s->span, "a network has one loss");
    check_note(c, c->loss, "the other one is here; a sum of both is one loss");
    return;
  }
  c->loss = s->span;
  if (!is_scalar(c, n, s->value->span, "the loss")) return;
  ir_result(c->graph, RESULT_LOSS, NULL, n, NULL);
}

static const char *const metrics[] = {"accuracy", "top_k", "auc", "mse", "mae"};
enum { METRICS = sizeof metrics / sizeof *metrics };

bool metric_exists(const char *name) {
  for (int i = 0; i < METRICS; i++)
    if (!strcmp(metrics[i], name)) return op_by_name(name) < OP_COUNT;
  return false;
}

/* mse, then mse2, mse3, ... */
static const char *metric_name(Checker *c, const char *word) {
  int count = scope_count(c, arena_printf(c->arena, "metric %s", word));
  return count == 1 ? word : arena_printf(c->arena, "%s%d", word, count);
}

static void unknown_metric(Checker *c, const Call *call) {
  const char *known[METRICS];
  int n = 0;
  for (int i = 0; i < METRICS; i++)
    if (metric_exists(metrics[i])) known[n++] = metrics[i];
  const char *near = near_name(call->what, known, n);
  check_error(c, call->name_span, "there is no metric %s", call->what);
  if (near)
    check_note(c, no_place(), "did you mean %s?", near);
  else
    check_note(c, no_place(), "there are %s", names_text(c->arena, known, n));
}

static void exec_metric(Checker *c, const Stmt *s) {
  Call call;
  bool fine = call_begin(c, s->value, NULL, no_place(), &call);
  if (!metric_exists(call.what))
    unknown_metric(c, &call);
  else if (fine) {
    Value v = tensor_call(c, op_by_name(call.what), &call);
    Node *n = v.kind == VALUE_TENSOR ? v.node : NULL;
    if (is_scalar(c, n, s->value->span, "a metric"))
      ir_result(c->graph, RESULT_METRIC, metric_name(c, call.what), n, NULL);
  }
}

/* ---- statements ---- */

static const char *declaration_text(StmtKind k) {
  static const char *const text[] = {"input", "target", "param", "output", "loss", "metric"};
  return k >= STMT_INPUT ? text[k - STMT_INPUT] : NULL;
}

static void exec_statement(Checker *c, const Stmt *s) {
  typedef void Exec(Checker *, const Stmt *);
  static Exec *const exec[] = {exec_bind,    exec_return, exec_if,     NULL,      exec_outside,
                               exec_outside, exec_param,  exec_output, exec_loss, exec_metric};
  const char *declaration = declaration_text(s->kind);
  if (declaration && s->kind != STMT_PARAM && c->scope->item->kind != ITEM_NETWORK) {
    check_error(c, s->span, "%s belongs in a network, not in a block", declaration);
    bind_failed(c, &s->names);
  } else if (s->kind == STMT_FOR) {
    if (s->end)
      for_range(c, s);
    else
      for_list(c, s);
  } else {
    exec[s->kind](c, s);
  }
}

void exec_statements(Checker *c, const Stmts *list) {
  for (int i = 0; i < list->count && !c->scope->returned; i++) {
    if (!check_enter(c, list->at[i]->span)) return;
    exec_statement(c, list->at[i]);
    check_leave(c);
  }
}

/* ---- the network ---- */

/* Inference code has no targets. Nodes stand after their operands. */
static void check_outputs(Checker *c) {
  const Graph *g = c->graph;
  const Node **from = (const Node **)ARENA_ARRAY(c->arena, Node *, g->nodes.count + 1);
  for (int i = 0; i < g->nodes.count; i++) {
    const Node *n = g->nodes.at[i];
    if (n->op == OP_target) from[i] = n;
    for (int k = 0; k < n->nin; k++)
      if (n->in[k] && from[n->in[k]->id]) from[i] = from[n->in[k]->id];
  }
  for (int i = 0; i < g->results.count; i++) {
    const Result *r = &g->results.at[i];
    const Node *target = from[r->node->id];
    if (r->kind != RESULT_OUTPUT || !target) continue;
    check_error(c, *(const Span *)table_get(&c->outputs, r->name),
                "output %s depends on the target %s", r->name, node_str(target, "name"));
    check_note(c, target->span, "targets are absent from inference");
  }
}

/* x, or what x is the softmax (or its log) of. */
static const Node *behind_softmax(const Node *x) {
  return x->op == OP_softmax || x->op == OP_log_softmax ? x->in[0] : x;
}

/* An AUC compares the samples of a whole data set: it is worked out from an output. */
static void check_auc(Checker *c, const Node *auc) {
  const Graph *g = c->graph;
  for (int i = 0; i < g->results.count; i++) {
    const Result *r = &g->results.at[i];
    if (r->kind == RESULT_OUTPUT && behind_softmax(r->node) == behind_softmax(auc->in[0])) return;
  }
  diag_warning(c->diags, auc->span, "auc cannot be worked out: no output has these scores");
  diag_note(c->diags, no_place(), "as in output probabilities = softmax(logits);");
}

void check_network(Checker *c) {
  Scope scope = {.item = c->network, .prefix = ""};
  c->scope = &scope;
  exec_statements(c, &c->network->body);
  if (!c->outputs.entries.count && !c->stopped && !c->unparsed) {
    check_error(c, c->network->name.span, "network %s has no output", c->network->name.text);
    check_note(c, no_place(), "output name = expr; names what inference computes");
  }
  check_outputs(c);
  for (int i = 0; i < c->graph->results.count && !c->reports; i++)
    if (c->graph->results.at[i].node->op == OP_auc) check_auc(c, c->graph->results.at[i].node);
}
