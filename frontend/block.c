/* Calls of blocks: the body is walked anew for each call, under the instance's name. */
#include <string.h>

#include "frontend/check.h"

static bool is_active(const Checker *c, const Item *block) {
  const Scope *s = c->scope;
  while (s && s->item != block) s = s->caller;
  return s != NULL;
}

/* ---- arguments ---- */

static int formal_index(const Item *block, const char *name) {
  for (int i = 0; i < block->formals.count; i++)
    if (!strcmp(block->formals.at[i].name.text, name)) return i;
  return -1;
}

static Value unknown_formal(Checker *c, const Item *block, const ArgValue *x) {
  VEC(const char *) names = {0};
  for (int i = 0; i < block->formals.count; i++)
    vec_push(c->arena, &names, block->formals.at[i].name.text);
  const char *near = near_name(x->name, names.at, names.count);
  check_error(c, x->name_span, "%s has no argument %s", block->name.text, x->name);
  if (near)
    check_note(c, no_place(), "did you mean %s?", near);
  else if (names.count)
    check_note(c, no_place(), "it takes %s", names_text(c->arena, names.at, names.count));
  return value_failed();
}

static int formal_of(Checker *c, const Item *block, const ArgValue *x, int position, bool named) {
  if (x->name) {
    int i = formal_index(block, x->name);
    if (i < 0) unknown_formal(c, block, x);
    return i;
  }
  if (named) {
    check_error(c, x->span, "a positional argument cannot follow a named one");
    return -1;
  }
  if (position < block->formals.count) return position;
  check_error(c, x->span, "%s takes at most %d argument%s", block->name.text, block->formals.count,
              block->formals.count == 1 ? "" : "s");
  check_note(c, block->name.span, "it is defined here");
  return -1;
}

/* Fills `given` by formal. */
static bool place_arguments(Checker *c, const Item *block, const Call *call,
                            const ArgValue **given) {
  bool fine = true, named = false;
  for (int k = 0; k < call->nargs; k++) {
    const ArgValue *x = &call->args[k];
    named |= x->name != NULL;
    int i = formal_of(c, block, x, k, named);
    if (i >= 0 && given[i])
      check_error(c, x->name ? x->name_span : x->span, "%s is given twice",
                  block->formals.at[i].name.text),
          i = -1;
    if (i < 0)
      fine = false;
    else
      given[i] = x;
  }
  return fine;
}

/* In the block's own scope, so that a default may use the arguments before it. */
static bool bind_arguments(Checker *c, const Item *block, const Call *call,
                           const ArgValue *const *given) {
  for (int i = 0; i < block->formals.count; i++) {
    const Formal *f = &block->formals.at[i];
    if (!given[i] && !f->value) {
      check_error(c, call->span, "%s of %s is missing", f->name.text, block->name.text);
      check_note(c, block->name.span, "it is defined here");
      return false;
    }
    Value v = given[i] ? given[i]->value : eval(c, f->value);
    if (v.kind == VALUE_FAILED) return false;
    scope_bind(c, f->name.text, v, given[i] ? given[i]->span : f->name.span);
  }
  return true;
}

/* ---- the body ---- */

static Value run_body(Checker *c, const Item *block, const Call *call,
                      const ArgValue *const *given) {
  int reports = c->reports;
  if (!bind_arguments(c, block, call, given)) return value_failed();
  exec_statements(c, &block->body);
  if (c->scope->returned) return c->scope->result;
  if (c->reports > reports || c->stopped) return value_failed();
  check_error(c, call->span, "%s returns nothing", block->name.text);
  check_note(c, block->name.span, "a block ends with return ...;");
  return value_failed();
}

Value block_call(Checker *c, const Item *block, const Call *call) {
  if (is_active(c, block)) {
    check_error(c, call->span, "%s calls itself", block->name.text);
    check_note(c, block->name.span, "blocks are unrolled, so recursion would not end");
    return value_failed();
  }
  const ArgValue **given =
      (const ArgValue **)ARENA_ARRAY(c->arena, ArgValue *, block->formals.count + 1);
  if (!check_block_call(c, call->span) || !place_arguments(c, block, call, given))
    return value_failed();
  const char *name = layer_name(c, call);
  if (!name || !check_enter(c, call->span)) return value_failed();
  Scope scope = {.caller = c->scope, .item = block, .prefix = arena_printf(c->arena, "%s.", name)};
  c->scope = &scope;
  int reports = c->reports;
  Value v = run_body(c, block, call, given);
  if (c->reports > reports) check_note(c, call->span, "in this call of %s", block->name.text);
  c->scope = scope.caller;
  check_leave(c);
  return v;
}
