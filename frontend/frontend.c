/* From a file to a graph: files, consts, the train block, the network. */
#include "frontend/check.h"
#include "frontend/parse.h"

/* ---- consts ---- */

/* A word without quotes is a string: -D mode=same. */
static Value define_value(Checker *c, const Item *d) {
  return d->value->kind == EXPR_NAME && !table_get(&c->consts, d->value->text)
             ? value_string(d->value->text)
             : eval(c, d->value);
}

/* The const's own value says of what kind the one from -D must be. */
static Value overridden(Checker *c, const Item *x, Value own) {
  const Item *d = table_get(&c->defines, x->name.text);
  if (!d) return own;
  Value v = define_value(c, d);
  if (own.kind == VALUE_FAILED || v.kind == VALUE_FAILED || own.kind == v.kind) return v;
  if (own.kind == VALUE_FLOAT && v.kind == VALUE_INT) return value_float((double)v.i);
  check_error(c, d->value->span, "const %s is %s, not %s", x->name.text, value_kind_text(&own),
              value_kind_text(&v));
  check_note(c, x->span, "it is defined here");
  return value_failed();
}

static void check_consts(Checker *c) {
  for (int i = 0; i < c->all_consts.count; i++) {
    const Item *x = c->all_consts.at[i];
    scope_bind(c, x->name.text, overridden(c, x, eval(c, x->value)), x->name.span);
  }
  for (int i = 0; i < c->defines.entries.count; i++) {
    const Item *d = c->defines.entries.at[i].value;
    if (table_get(&c->consts, d->name.text)) continue;
    const char *near = check_near(c, d->name.text, &c->consts);
    check_error(c, d->name.span, "the network has no const %s", d->name.text);
    if (near) check_note(c, no_place(), "did you mean %s?", near);
  }
}

/* ---- the file ---- */

Graph *frontend_load(Arena *a, Diags *d, const char *path, const FrontendOptions *o) {
  Checker c = {.arena = a, .diags = d, .options = o};
  int errors = d->errors;
  bool fine = load_program(&c, path);
  fine = load_defines(&c) && fine;
  if (!fine) return NULL;
  c.unparsed = d->errors > errors;
  c.graph = ir_graph_new(a, d->sources, c.network->name.text);
  check_consts(&c);
  check_train(&c);
  check_network(&c);
  check_train_end(&c);
  check_names(&c);
  return d->errors == errors ? c.graph : NULL;
}
