/* Calls: what a name stands for, and its arguments evaluated. */
#include <string.h>

#include "frontend/check.h"

static void add_arg(Checker *c, Call *call, const char *name, Span name_span, Span span, Value v,
                    bool *fine) {
  ArgValue x = {name, name_span, span, v};
  if (v.kind == VALUE_TUPLE) {
    x.value = check_error(c, span, "this gives %d values; one is needed here", v.n);
    check_note(c, no_place(), "a, b = ...; takes them apart");
  }
  if (x.value.kind == VALUE_FAILED) *fine = false;
  call->args[call->nargs++] = x;
}

bool call_begin(Checker *c, const Expr *x, const Value *piped, Span piped_span, Call *out) {
  bool fine = true;
  *out = (Call){.expr = x, .what = x->callee.text, .span = x->span, .name_span = x->callee.span};
  out->args = ARENA_ARRAY(c->arena, ArgValue, x->args.count + 1);
  if (piped) add_arg(c, out, NULL, piped_span, piped_span, *piped, &fine);
  for (int i = 0; i < x->args.count; i++) {
    const Arg *a = &x->args.at[i];
    Value v = eval(c, a->value);
    add_arg(c, out, a->name.text, a->name.span, a->value->span, v, &fine);
  }
  return fine && !c->stopped;
}

/* ---- unknown functions ---- */

static const char *near_function(Checker *c, const char *word) {
  const char *names[OP_COUNT + 2];
  int n = 0;
  for (int i = 0; i < OP_COUNT; i++)
    if (!op_info[i].internal) names[n++] = op_info[i].name;
  names[n++] = "dim";
  names[n++] = "rank";
  const char *near = near_name(word, names, n);
  return near ? near : check_near(c, word, &c->blocks);
}

/* What other libraries call it. */
static const char *translation(const char *word) {
  static const char *const words[][2] = {
      {"range", "a loop is for i in 0..3 { ... }"},
      {"len", "dim(x, i) is the size of a dimension"},
      {"shape", "dim(x, i) is the size of a dimension, rank(x) their number"},
      {"size", "dim(x, i) is the size of a dimension, rank(x) their number"},
      {"view", "it is called reshape here"},
      {"cat", "it is called concat here"},
      {"Dense", "it is called linear here"},
      {"mm", "it is called matmul here"},
      {"bmm", "it is called matmul here"},
      {"mse_loss", "it is called mse here"},
      {"l1_loss", "it is called mae here"},
      {"smooth_l1_loss", "it is called huber here"},
      {"binary_cross_entropy", "it is called bce here"},
      {"binary_cross_entropy_with_logits", "it is called bce_with_logits here"},
  };
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (!strcmp(words[i][0], word)) return words[i][1];
  return NULL;
}

static Value unknown_function(Checker *c, const Call *call) {
  const char *near = near_function(c, call->what), *other = translation(call->what);
  check_error(c, call->name_span, "there is no function %s", call->what);
  if (metric_exists(call->what))
    check_note(c, no_place(), "%s is a metric: metric %s(...);", call->what, call->what);
  else if (other)
    check_note(c, no_place(), "%s", other);
  else if (near)
    check_note(c, no_place(), "did you mean %s?", near);
  return value_failed();
}

static bool is_callable(Op op) { return op < OP_COUNT && !op_info[op].internal; }

bool call_exists(Checker *c, const Expr *x) {
  const char *name = x->callee.text;
  if (table_get(&c->blocks, name) || tensor_is_question(name) || init_exists(name) ||
      is_callable(op_by_name(name)))
    return true;
  Call call = {.expr = x, .what = name, .span = x->span, .name_span = x->callee.span};
  unknown_function(c, &call);
  return false;
}

Value call_value(Checker *c, const Expr *x, const Value *piped, Span piped_span,
                 const Name *bound) {
  Call call;
  if (c->stopped) return value_failed();
  bool fine = call_begin(c, x, piped, piped_span, &call);
  call.bound = bound;
  const char *name = call.what;
  const Item *block = table_get(&c->blocks, name);
  Op op = op_by_name(name);
  bool callable = is_callable(op);
  if (!call_exists(c, x) || !fine) return value_failed();
  if (!c->scope && (block || callable) && !init_exists(name))
    return check_error(c, call.span, "%s makes tensors, which belong in a network or block", name);
  if (block) {
    call.bound = NULL; /* `h = h |> basic(64);` may stand there again: instances are counted */
    return block_call(c, block, &call);
  }
  if (!x->label || callable)
    return tensor_is_question(name) ? tensor_question(c, &call)
           : init_exists(name)      ? init_call(c, &call)
                                    : tensor_call(c, op, &call);
  return check_error(c, x->label->span, "%s makes no layer that could have a name", name);
}
