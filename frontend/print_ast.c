/* The syntax tree as text: an s-expression a statement. Chains that lean left are printed in a
 * loop. */
#include "frontend/check.h"
#include "frontend/parse.h"

static void put_expr(Str *s, const Expr *x);

static void put_exprs(Str *s, const Exprs *list) {
  for (int i = 0; i < list->count; i++) {
    str_put(s, i ? " " : "");
    put_expr(s, list->at[i]);
  }
}

static void put_label(Str *s, const Label *label) {
  if (!label) return;
  str_printf(s, " as %s", label->name.text);
  for (int i = 0; i < label->index.count; i++) {
    str_put(s, "[");
    put_expr(s, label->index.at[i]);
    str_put(s, "]");
  }
}

static void put_call(Str *s, const Expr *x) {
  str_printf(s, "(%s", x->callee.text);
  for (int i = 0; i < x->args.count; i++) {
    const Arg *a = &x->args.at[i];
    str_put(s, " ");
    if (a->name.text) str_printf(s, "%s=", a->name.text);
    put_expr(s, a->value);
  }
  put_label(s, x->label);
  str_put(s, ")");
}

static void put_simple(Str *s, const Expr *x) {
  switch (x->kind) {
    case EXPR_FAILED:
      str_put(s, "?");
      break;
    case EXPR_INT:
      str_printf(s, "%lld", (long long)x->i);
      break;
    case EXPR_FLOAT:
      str_double(s, x->f);
      break;
    case EXPR_BOOL:
      str_put(s, x->i ? "true" : "false");
      break;
    case EXPR_STRING:
      str_printf(s, "\"%s\"", x->text);
      break;
    case EXPR_NAME:
      str_put(s, x->text);
      break;
    case EXPR_LIST:
      str_put(s, "[");
      put_exprs(s, &x->list);
      str_put(s, "]");
      break;
    case EXPR_UNARY:
      str_printf(s, "(%s ", operator_text(x->op));
      put_expr(s, x->left);
      str_put(s, ")");
      break;
    default:
      put_call(s, x);
      break;
  }
}

static bool leans(const Expr *x) { return x->kind == EXPR_BINARY || x->kind == EXPR_PIPE; }

static const char *link_text(const Expr *x) {
  return x->kind == EXPR_PIPE ? "|>" : operator_text(x->op);
}

static void put_expr(Str *s, const Expr *x) {
  VEC(const Expr *) links = {0};
  for (; leans(x); x = x->left) {
    vec_push(s->arena, &links, x);
    str_printf(s, "(%s ", link_text(x));
  }
  put_simple(s, x);
  for (int i = links.count - 1; i >= 0; i--) {
    str_put(s, " ");
    put_expr(s, links.at[i]->right);
    str_put(s, ")");
  }
}

/* ---- statements ---- */

static void put_statements(Str *s, const Stmts *list, int indent);

static void put_type(Str *s, const TypeExpr *t) {
  str_printf(s, " : %s", t->elem.text);
  for (int i = 0; i < t->nlists && i < 2; i++) {
    str_put(s, "[");
    put_exprs(s, &t->list[i]);
    str_put(s, "]");
  }
}

static void put_body(Str *s, const char *word, const Stmts *list, int indent) {
  if (!list->count) return;
  str_printf(s, "\n%*s(%s", indent, "", word);
  put_statements(s, list, indent + 2);
  str_put(s, ")");
}

static void put_statement(Str *s, const Stmt *x, int indent) {
  static const char *const word[] = {"bind",   "return", "if",     "for",  "input",
                                     "target", "param",  "output", "loss", "metric"};
  str_printf(s, "\n%*s(%s", indent, "", word[x->kind]);
  for (int i = 0; i < x->names.count; i++) str_printf(s, " %s", x->names.at[i].text);
  if (x->type) put_type(s, x->type);
  if (x->value) {
    str_put(s, " ");
    put_expr(s, x->value);
  }
  if (x->end) {
    str_put(s, " .. ");
    put_expr(s, x->end);
  }
  if (x->values.count) str_put(s, " ");
  put_exprs(s, &x->values);
  put_body(s, "do", &x->body, indent + 2);
  put_body(s, "else", &x->other, indent + 2);
  str_put(s, ")");
}

static void put_statements(Str *s, const Stmts *list, int indent) {
  for (int i = 0; i < list->count; i++) put_statement(s, list->at[i], indent);
}

/* ---- items ---- */

static void put_formals(Str *s, const Item *x) {
  str_put(s, " (");
  for (int i = 0; i < x->formals.count; i++) {
    const Formal *f = &x->formals.at[i];
    str_printf(s, "%s%s", i ? " " : "", f->name.text);
    if (f->value) str_put(s, "="), put_expr(s, f->value);
  }
  str_put(s, ")");
}

static void put_item(Str *s, const Item *x) {
  static const char *const word[] = {"const", "block", "include", "network", "train"};
  str_printf(s, "(%s", word[x->kind]);
  if (x->kind != ITEM_TRAIN)
    str_printf(s, x->kind == ITEM_INCLUDE ? " \"%s\"" : " %s", x->name.text);
  if (x->kind == ITEM_BLOCK) put_formals(s, x);
  if (x->value) str_put(s, " "), put_expr(s, x->value);
  put_statements(s, &x->body, 2);
  for (int i = 0; i < x->settings.count; i++) {
    str_printf(s, "\n  (%s ", x->settings.at[i].word.text);
    put_exprs(s, &x->settings.at[i].values);
    str_put(s, ")");
  }
  str_put(s, ")\n");
}

void frontend_print_ast(Arena *a, Diags *d, const char *path, FILE *out) {
  const char *why = NULL;
  Items items = {0};
  int file = sources_load(d->sources, path, &why);
  if (!file) diag_error(d, (Span){0}, "cannot read '%s': %s", path, why);
  if (!file || parse_source(a, d, file, &items) != PARSED) return;
  Str s = str_new(a);
  for (int i = 0; i < items.count; i++) put_item(&s, items.at[i]);
  fwrite(s.text, 1, s.length, out);
}
