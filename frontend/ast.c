/* Constructors of the syntax tree: they keep what they are given. */
#include "frontend/ast.h"

Expr *ast_expr(Arena *a, ExprKind kind, Span span) {
  Expr *x = ARENA_NEW(a, Expr);
  x->kind = kind;
  x->span = span;
  return x;
}

Expr *ast_int(Arena *a, Span span, int64_t i) {
  Expr *x = ast_expr(a, EXPR_INT, span);
  x->i = i;
  return x;
}

Expr *ast_float(Arena *a, Span span, double f) {
  Expr *x = ast_expr(a, EXPR_FLOAT, span);
  x->f = f;
  return x;
}

Expr *ast_bool(Arena *a, Span span, bool b) {
  Expr *x = ast_expr(a, EXPR_BOOL, span);
  x->i = b;
  return x;
}

Expr *ast_text(Arena *a, ExprKind kind, Span span, const char *text) {
  Expr *x = ast_expr(a, kind, span);
  x->text = text;
  return x;
}

Expr *ast_list(Arena *a, Span span, const Exprs *list) {
  Expr *x = ast_expr(a, EXPR_LIST, span);
  if (list) x->list = *list;
  return x;
}

Expr *ast_call(Arena *a, Span span, Name callee, const Args *args) {
  Expr *x = ast_expr(a, EXPR_CALL, span);
  x->callee = callee;
  if (args) x->args = *args;
  return x;
}

Expr *ast_unary(Arena *a, Span span, Operator op, Expr *left) {
  Expr *x = ast_expr(a, EXPR_UNARY, span);
  x->op = op;
  x->left = left;
  return x;
}

Expr *ast_binary(Arena *a, Span span, Operator op, Expr *left, Expr *right) {
  Expr *x = ast_unary(a, span, op, left);
  x->kind = EXPR_BINARY;
  x->right = right;
  return x;
}

Expr *ast_pipe(Arena *a, Span span, Expr *left, Expr *call) {
  Expr *x = ast_expr(a, EXPR_PIPE, span);
  x->left = left;
  x->right = call;
  return x;
}

Expr *ast_as(Expr *call, Label *label, Span span) {
  call->label = label;
  call->span = span;
  return call;
}

Stmt *ast_stmt(Arena *a, StmtKind kind, Span span, Expr *value) {
  Stmt *s = ARENA_NEW(a, Stmt);
  s->kind = kind;
  s->span = span;
  s->value = value;
  return s;
}

Item *ast_item(Arena *a, ItemKind kind, Span span, Name name) {
  Item *x = ARENA_NEW(a, Item);
  x->kind = kind;
  x->span = span;
  x->name = name;
  return x;
}

#define APPEND(Type)                    \
  if (!list) list = ARENA_NEW(a, Type); \
  vec_push(a, list, x);                 \
  return list

Exprs *ast_exprs(Arena *a, Exprs *list, Expr *x) { APPEND(Exprs); }
Stmts *ast_stmts(Arena *a, Stmts *list, Stmt *x) { APPEND(Stmts); }
Names *ast_names(Arena *a, Names *list, Name x) { APPEND(Names); }
Args *ast_args(Arena *a, Args *list, Arg x) { APPEND(Args); }
Formals *ast_formals(Arena *a, Formals *list, Formal x) { APPEND(Formals); }
Settings *ast_settings(Arena *a, Settings *list, Setting x) { APPEND(Settings); }

const char *operator_text(Operator op) {
  static const char *const text[] = {
      "+", "-", "*", "/", "//", "%", "==", "!=", "<", "<=", ">", ">=", "and", "or", "not", "-"};
  return text[op];
}
