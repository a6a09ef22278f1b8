/* Names in what the walk never came to: blocks that nothing calls, branches that are not taken. A
 * name counts as bound when anything in its block binds it, in whatever order, so that nothing is
 * reported that a walk would not report too. What the walk has reported is not repeated:
 * base/diag.h drops it. */
#include "frontend/check.h"

/* ---- what is bound ---- */

static void bind_names(Checker *c, const Stmts *list) {
  for (int i = 0; i < list->count; i++) {
    const Stmt *s = list->at[i];
    if (!check_enter(c, s->span)) return;
    for (int k = 0; k < s->names.count; k++)
      scope_bind(c, s->names.at[k].text, value_failed(), s->names.at[k].span);
    bind_names(c, &s->body);
    bind_names(c, &s->other);
    check_leave(c);
  }
}

/* ---- what is used ---- */

static void look(Checker *c, const Expr *x);

static void look_all(Checker *c, const Exprs *list) {
  for (int i = 0; i < list->count; i++) look(c, list->at[i]);
}

static void look_call(Checker *c, const Expr *x) {
  for (int i = 0; i < x->args.count; i++) look(c, x->args.at[i].value);
  if (x->label) look_all(c, &x->label->index);
}

static void look(Checker *c, const Expr *x) {
  if (!x || !check_enter(c, x->span)) return;
  for (; x->kind == EXPR_BINARY || x->kind == EXPR_PIPE; x = x->left) look(c, x->right);
  if (x->kind == EXPR_NAME) eval_name(c, x->text, x->span);
  if (x->kind == EXPR_UNARY) look(c, x->left);
  if (x->kind == EXPR_LIST) look_all(c, &x->list);
  if (x->kind == EXPR_CALL) {
    call_exists(c, x);
    look_call(c, x);
  }
  check_leave(c);
}

static void look_statements(Checker *c, const Stmts *list) {
  for (int i = 0; i < list->count; i++) {
    const Stmt *s = list->at[i];
    if (!check_enter(c, s->span)) return;
    for (int k = 0; s->type && k < s->type->nlists && k < 2; k++) look_all(c, &s->type->list[k]);
    if (s->kind == STMT_METRIC)
      look_call(c, s->value); /* its name is not a function's */
    else
      look(c, s->value);
    look(c, s->end);
    look_all(c, &s->values);
    look_statements(c, &s->body);
    look_statements(c, &s->other);
    check_leave(c);
  }
}

static void look_item(Checker *c, const Item *x) {
  Scope scope = {.item = x, .prefix = ""};
  c->scope = &scope;
  for (int i = 0; i < x->formals.count; i++)
    scope_bind(c, x->formals.at[i].name.text, value_failed(), x->formals.at[i].name.span);
  bind_names(c, &x->body);
  for (int i = 0; i < x->formals.count; i++) look(c, x->formals.at[i].value);
  look_statements(c, &x->body);
  c->scope = NULL;
}

void check_names(Checker *c) {
  for (int i = 0; i < c->blocks.entries.count; i++) look_item(c, c->blocks.entries.at[i].value);
  look_item(c, c->network);
}
