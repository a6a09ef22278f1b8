/* Expressions. A chain of operators that leans left, as pipes and sums do, is walked in a loop, so
 * that its length costs no stack. */
#include <math.h>
#include <string.h>

#include "frontend/check.h"

/* ---- names ---- */

static const char *near_value(Checker *c, const char *word) {
  const Table *tables[] = {&c->scope->names, &c->consts};
  for (int i = 0; i < 2; i++) {
    const char *near = check_near(c, word, tables[i]);
    if (near) return near;
  }
  return near_name(word, (const char *const[]){"true", "false"}, 2);
}

/* The const of that name that is still to be evaluated. */
static const Name *later_const(const Checker *c, const char *name) {
  for (int i = 0; i < c->all_consts.count && !c->scope; i++)
    if (!strcmp(c->all_consts.at[i]->name.text, name)) return &c->all_consts.at[i]->name;
  return NULL;
}

static Value unknown_name(Checker *c, const char *name, Span at) {
  const char *near = c->scope ? near_value(c, name) : check_near(c, name, &c->consts);
  const Name *later = later_const(c, name);
  check_error(c, at, "%s is not defined", name);
  Op op = op_by_name(name);
  bool function = (op < OP_COUNT && !op_info[op].internal) || table_get(&c->blocks, name);
  if (function)
    check_note(c, no_place(), "%s is a function: it takes arguments in parentheses", name);
  else if (later)
    check_note(c, later->span, "a const uses those above it");
  else if (near)
    check_note(c, no_place(), "did you mean %s?", near);
  return value_failed();
}

Value eval_name(Checker *c, const char *name, Span at) {
  const Binding *b = c->scope ? table_get(&c->scope->names, name) : NULL;
  if (!b) b = table_get(&c->consts, name);
  if (b) return b->value;
  if (!strcmp(name, "all")) return value_string("all");
  return init_exists(name) ? init_bare(c, name, at) : unknown_name(c, name, at);
}

void scope_bind(Checker *c, const char *name, Value v, Span at) {
  Binding *b = ARENA_NEW(c->arena, Binding);
  *b = (Binding){v, at};
  table_put(c->arena, c->scope ? &c->scope->names : &c->consts, name, b);
}

/* ---- arithmetic ---- */

static Value overflow(Checker *c, const Expr *x) {
  return check_error(c, x->span, "the result does not fit a 64-bit integer");
}

static Value int_quotient(Checker *c, const Expr *x, int64_t a, int64_t b) {
  if (a == INT64_MIN && b == -1) return overflow(c, x);
  int64_t q = a / b, r = a % b;
  bool below = r != 0 && (r < 0) != (b < 0); /* C rounds to zero, the language down */
  return value_int(x->op == OPERATOR_MOD ? (below ? r + b : r) : below ? q - 1 : q);
}

static Value int_arithmetic(Checker *c, const Expr *x, int64_t a, int64_t b) {
  int64_t r = 0;
  bool over = false;
  if (x->op == OPERATOR_FLOOR_DIV || x->op == OPERATOR_MOD) return int_quotient(c, x, a, b);
  if (x->op == OPERATOR_ADD) over = __builtin_add_overflow(a, b, &r);
  if (x->op == OPERATOR_SUB) over = __builtin_sub_overflow(a, b, &r);
  if (x->op == OPERATOR_MUL) over = __builtin_mul_overflow(a, b, &r);
  return over ? overflow(c, x) : value_int(r);
}

static Value float_arithmetic(Operator op, double a, double b) {
  if (op == OPERATOR_ADD) return value_float(a + b);
  if (op == OPERATOR_SUB) return value_float(a - b);
  if (op == OPERATOR_MUL) return value_float(a * b);
  if (op == OPERATOR_DIV) return value_float(a / b);
  double q = floor(a / b);
  return value_float(op == OPERATOR_FLOOR_DIV ? q : a - q * b);
}

static Value arithmetic(Checker *c, const Expr *x, Value a, Value b) {
  const Value *wrong = !value_is_number(&a) ? &a : !value_is_number(&b) ? &b : NULL;
  if (wrong)
    return check_error(c, wrong == &a ? x->left->span : x->right->span,
                       "%s takes numbers or tensors, not %s", operator_text(x->op),
                       value_kind_text(wrong));
  bool divides = x->op == OPERATOR_DIV || x->op == OPERATOR_FLOOR_DIV || x->op == OPERATOR_MOD;
  if (divides && value_number(&b) == 0) return check_error(c, x->span, "division by zero");
  if (a.kind == VALUE_INT && b.kind == VALUE_INT && x->op != OPERATOR_DIV)
    return int_arithmetic(c, x, a.i, b.i);
  Value v = float_arithmetic(x->op, value_number(&a), value_number(&b));
  return isfinite(v.f) ? v : check_error(c, x->span, "the result is too large for a number");
}

/* ---- comparisons ---- */

/* -1, 0 or 1. Of two integers exactly: not all of them are doubles. */
static int order(const Value *a, const Value *b) {
  if (a->kind == VALUE_INT && b->kind == VALUE_INT) return (a->i > b->i) - (a->i < b->i);
  double x = value_number(a), y = value_number(b);
  return (x > y) - (x < y);
}

static bool equal(const Value *a, const Value *b) {
  if (value_is_number(a) && value_is_number(b)) return order(a, b) == 0;
  if (a->kind != b->kind) return false;
  if (a->kind == VALUE_STRING) return !strcmp(a->s, b->s);
  if (a->kind == VALUE_BOOL) return a->i == b->i;
  bool same = a->kind == VALUE_LIST && a->n == b->n;
  for (int i = 0; same && i < a->n; i++) same = equal(&a->v[i], &b->v[i]);
  return same;
}

static bool ordered(Operator op, int order) {
  return op == OPERATOR_LT   ? order < 0
         : op == OPERATOR_LE ? order <= 0
         : op == OPERATOR_GT ? order > 0
                             : order >= 0;
}

static Value comparison(Checker *c, const Expr *x, Value a, Value b) {
  if (x->op == OPERATOR_EQ || x->op == OPERATOR_NE)
    return value_bool(equal(&a, &b) == (x->op == OPERATOR_EQ));
  const Value *wrong = !value_is_number(&a) ? &a : !value_is_number(&b) ? &b : NULL;
  if (wrong)
    return check_error(c, wrong == &a ? x->left->span : x->right->span,
                       "%s compares numbers, not %s", operator_text(x->op), value_kind_text(wrong));
  return value_bool(ordered(x->op, order(&a, &b)));
}

/* ---- and, or, not ---- */

static Value truth(Checker *c, Operator op, Value v, Span at) {
  if (v.kind == VALUE_BOOL || v.kind == VALUE_FAILED) return v;
  return check_error(c, at, "%s takes true or false, not %s", operator_text(op),
                     value_kind_text(&v));
}

/* The right side is not looked at when the left one decides. */
static Value logic(Checker *c, const Expr *x, Value a) {
  a = truth(c, x->op, a, x->left->span);
  if (a.kind == VALUE_BOOL && a.i == (x->op == OPERATOR_OR)) return a;
  Value b = truth(c, x->op, eval(c, x->right), x->right->span);
  return a.kind == VALUE_FAILED ? a : b;
}

/* ---- operators ---- */

static bool is_comparison(Operator op) { return op >= OPERATOR_EQ && op <= OPERATOR_GE; }

static Value binary(Checker *c, const Expr *x, Value a) {
  if (x->op == OPERATOR_AND || x->op == OPERATOR_OR) return logic(c, x, a);
  Value b = eval(c, x->right);
  if (a.kind == VALUE_FAILED || b.kind == VALUE_FAILED) return value_failed();
  if (a.kind == VALUE_TENSOR || b.kind == VALUE_TENSOR) return tensor_binary(c, x, a, b);
  return is_comparison(x->op) ? comparison(c, x, a, b) : arithmetic(c, x, a, b);
}

static Value unary(Checker *c, const Expr *x) {
  Value v = eval(c, x->left);
  if (x->op == OPERATOR_NOT) {
    v = truth(c, x->op, v, x->left->span);
    return v.kind == VALUE_BOOL ? value_bool(!v.i) : v;
  }
  if (v.kind == VALUE_FAILED) return v;
  if (v.kind == VALUE_TENSOR) return tensor_negate(c, x, v);
  if (v.kind == VALUE_FLOAT) return value_float(-v.f);
  if (v.kind == VALUE_INT) return v.i == INT64_MIN ? overflow(c, x) : value_int(-v.i);
  return check_error(c, x->left->span, "- takes a number or a tensor, not %s", value_kind_text(&v));
}

/* ---- expressions ---- */

/* The elements of a list and of the lists within, or some number above the limit. The lists within
 * have passed the limit, so that the walk is short and not deep, whatever they share. */
static int count_elements(const Value *v, int n) {
  int elements = n;
  for (int i = 0; i < n && elements <= LIMIT_LIST_LENGTH; i++)
    if (v[i].kind == VALUE_LIST) elements += count_elements(v[i].v, v[i].n);
  return elements;
}

static Value long_list(Checker *c, const Expr *x) {
  return check_error(c, x->span, "a list of more than %d elements", LIMIT_LIST_LENGTH);
}

static Value list(Checker *c, const Expr *x) {
  int n = x->list.count;
  bool failed = false;
  if (n > LIMIT_LIST_LENGTH) return long_list(c, x);
  Value *v = ARENA_ARRAY(c->arena, Value, n ? n : 1);
  for (int i = 0; i < n; i++) {
    v[i] = eval(c, x->list.at[i]);
    if (!failed && (v[i].kind == VALUE_TENSOR || v[i].kind == VALUE_TUPLE)) {
      v[i] = check_error(c, x->list.at[i]->span, "a list holds compile-time values, not %s",
                         value_kind_text(&v[i]));
      check_note(c, no_place(), "concat(a, b) joins tensors");
    }
    failed |= v[i].kind == VALUE_FAILED;
  }
  if (!failed && count_elements(v, n) > LIMIT_LIST_LENGTH) return long_list(c, x);
  return failed ? value_failed() : (Value){.kind = VALUE_LIST, .v = v, .n = n};
}

static Value simple(Checker *c, const Expr *x, const Name *bound) {
  switch (x->kind) {
    case EXPR_FAILED:
      return value_failed();
    case EXPR_INT:
      return value_int(x->i);
    case EXPR_FLOAT:
      return value_float(x->f);
    case EXPR_BOOL:
      return value_bool(x->i != 0);
    case EXPR_STRING:
      return value_string(x->text);
    case EXPR_NAME:
      return eval_name(c, x->text, x->span);
    case EXPR_LIST:
      return list(c, x);
    case EXPR_UNARY:
      return unary(c, x);
    default:
      return call_value(c, x, NULL, no_place(), bound);
  }
}

static bool leans(const Expr *x) { return x->kind == EXPR_BINARY || x->kind == EXPR_PIPE; }

static Value chain(Checker *c, const Expr *x, const Name *bound) {
  VEC(const Expr *) links = {0};
  for (; leans(x); x = x->left) vec_push(c->arena, &links, x);
  Value v = simple(c, x, links.count ? NULL : bound);
  for (int i = links.count - 1; i >= 0; i--) {
    const Expr *link = links.at[i];
    if (!check_work(c, link->span)) return value_failed();
    v = link->kind == EXPR_BINARY
            ? binary(c, link, v)
            : call_value(c, link->right, &v, link->left->span, i == 0 ? bound : NULL);
  }
  return v;
}

Value eval_bound(Checker *c, const Expr *x, const Name *bound) {
  if (!check_enter(c, x->span)) return value_failed();
  Value v = leans(x) ? chain(c, x, bound) : simple(c, x, bound);
  check_leave(c);
  return v;
}

Value eval(Checker *c, const Expr *x) { return eval_bound(c, x, NULL); }

bool eval_int(Checker *c, const Expr *x, const char *what, int64_t low, int64_t high,
              int64_t *out) {
  Value v = eval(c, x);
  if (v.kind == VALUE_FAILED) return false;
  if (v.kind != VALUE_INT) {
    check_error(c, x->span, "%s must be an integer, not %s", what, value_text(c->arena, &v));
    value_note_integer(c, &v);
    return false;
  }
  *out = v.i;
  if (v.i >= low && v.i <= high) return true;
  if (v.i < low)
    check_error(c, x->span, "%s must be at least %lld, not %lld", what, (long long)low,
                (long long)v.i);
  else
    check_error(c, x->span, "%s must be at most %lld, not %lld", what, (long long)high,
                (long long)v.i);
  return false;
}
