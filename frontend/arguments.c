/* The arguments of a call against a signature: operands by position or name, then attributes by
 * position or name. Parameters of layers are given by name only. A tensor given for a name that is
 * both (bias=b) is the parameter. */
#include <math.h>
#include <string.h>

#include "frontend/check.h"

typedef struct {
  Checker *c;
  const Call *call;
  const Signature *s;
  Matched *m;
  bool given[SIG_ATTRS];
  bool failed;
} Match;

static void fail(Match *k, Span at, const char *text) {
  check_error(k->c, at, "%s", text);
  k->failed = true;
}

#define TEXT(k, ...) arena_printf((k)->c->arena, __VA_ARGS__)

/* ---- one attribute ---- */

static bool takes_int(AttrKind kind) {
  return kind == ATTR_INT || kind == ATTR_DIM || kind == ATTR_DIMS || kind == ATTR_PAIR ||
         kind == ATTR_PADS || kind == ATTR_INTS || kind == ATTR_PAIRS;
}

static bool flatten(const Value *v, int64_t *out, int *n) {
  for (int i = 0; i < v->n; i++) {
    const Value *x = &v->v[i];
    if (x->kind != VALUE_INT || !attr_in_range(x->i) || *n == 2 * LIMIT_RANK) return false;
    out[(*n)++] = x->i;
  }
  return true;
}

/* [[a, b], ...] */
static bool flatten_pairs(const Value *v, int64_t *out, int *n) {
  for (int i = 0; i < v->n; i++)
    if (v->v[i].kind != VALUE_LIST || v->v[i].n != 2 || !flatten(&v->v[i], out, n)) return false;
  return true;
}

static bool to_list(Checker *c, AttrKind kind, const Value *v, Attr *out) {
  int64_t *all = ARENA_ARRAY(c->arena, int64_t, 2 * LIMIT_RANK);
  bool two = kind == ATTR_PAIR || kind == ATTR_PADS;
  *out = (Attr){.kind = kind, .v = all};
  if (v->kind == VALUE_STRING) {
    out->n = -1;
    return !strcmp(v->s, kind == ATTR_PADS ? "same" : kind == ATTR_DIMS ? "all" : "");
  }
  if (kind == ATTR_PAIRS) return v->kind == VALUE_LIST && flatten_pairs(v, all, &out->n);
  if (v->kind == VALUE_INT && kind != ATTR_INTS) {
    all[0] = all[1] = v->i;
    out->n = two ? 2 : 1;
    return attr_in_range(v->i);
  }
  return v->kind == VALUE_LIST && flatten(v, all, &out->n) && (!two || out->n == 2);
}

static bool to_word(const SigAttr *s, const Value *v, Attr *out) {
  *out = (Attr){.kind = s->kind, .s = v->kind == VALUE_STRING ? v->s : NULL};
  if (!out->s) return false;
  for (int i = 0; s->kind == ATTR_WORDS; i++) {
    if (!s->words[i]) return false;
    if (!strcmp(s->words[i], v->s)) return true;
  }
  return true;
}

static bool convert(Checker *c, const SigAttr *s, const Value *v, Attr *out) {
  *out = (Attr){.kind = s->kind};
  switch (s->kind) {
    case ATTR_INT:
    case ATTR_DIM:
      out->i = v->kind == VALUE_INT ? v->i : 0;
      return v->kind == VALUE_INT && attr_in_range(v->i);
    case ATTR_FLOAT:
      out->f = value_is_number(v) ? value_number(v) : 0;
      return value_is_number(v);
    case ATTR_BOOL:
      out->i = v->kind == VALUE_BOOL && v->i;
      return v->kind == VALUE_BOOL;
    case ATTR_STR:
    case ATTR_WORDS:
      return to_word(s, v, out);
    case ATTR_INIT:
      if (v->kind == VALUE_INIT) out->init = *v->init;
      return v->kind == VALUE_INIT;
    default:
      return to_list(c, s->kind, v, out);
  }
}

/* An integer that no attribute holds, or NULL. */
static const int64_t *far_integer(const Value *v) {
  if (v->kind == VALUE_INT) return attr_in_range(v->i) ? NULL : &v->i;
  for (int i = 0; v->kind == VALUE_LIST && i < v->n; i++)
    if (far_integer(&v->v[i])) return far_integer(&v->v[i]);
  return NULL;
}

bool match_attr(Checker *c, const SigAttr *s, const ArgValue *x, const char *of, Attr *out) {
  const Value *v = &x->value;
  if (convert(c, s, v, out)) return true;
  const int64_t *far = takes_int(s->kind) ? far_integer(v) : NULL;
  if (far)
    check_error(c, x->span, "%s of %s must be at %s %lld, not %lld", s->name, of,
                *far > 0 ? "most" : "least", (long long)(*far > 0 ? LIMIT_DIM : -LIMIT_DIM),
                (long long)*far);
  else
    check_error(c, x->span, "%s of %s must be %s, not %s", s->name, of, attr_kind_text(c->arena, s),
                value_text(c->arena, v));
  value_note_integer(c, v);
  return false;
}

/* ---- placing ---- */

/* As an operand or as an attribute: bias=b and bias=false are one argument. */
static bool is_given(const Match *k, const char *name) {
  for (int i = 0; i < k->s->nattrs; i++)
    if (k->given[i] && !strcmp(k->s->attr[i].name, name)) return true;
  for (int i = 0; i < k->s->noperands; i++)
    if (k->m->operand_span[i].file && !strcmp(k->s->operand[i].name, name)) return true;
  return false;
}

static bool first_time(Match *k, const char *name, const ArgValue *x) {
  if (!is_given(k, name)) return true;
  fail(k, x->name ? x->name_span : x->span, TEXT(k, "%s is given twice", name));
  return false;
}

static void place_attr(Match *k, int i, const ArgValue *x) {
  if (!first_time(k, k->s->attr[i].name, x)) return;
  k->given[i] = true;
  k->m->attr_span[i] = x->span;
  if (!match_attr(k->c, &k->s->attr[i], x, k->call->what, &k->m->attr[i])) k->failed = true;
}

static void place_operand(Match *k, int i, const ArgValue *x) {
  const SigOperand *o = &k->s->operand[i];
  if (!first_time(k, o->name, x)) return;
  k->m->operand[i] = x->value;
  k->m->operand_span[i] = x->span;
  bool fine = x->value.kind == VALUE_TENSOR || (value_is_number(&x->value) && !o->parameter);
  if (!fine)
    fail(k, x->span,
         TEXT(k, "%s of %s must be a tensor, not %s", o->name, k->call->what,
              value_kind_text(&x->value)));
}

static void place_variadic(Match *k, const ArgValue *x) {
  if (x->value.kind != VALUE_TENSOR && !value_is_number(&x->value)) {
    fail(k, x->span,
         TEXT(k, "%s takes tensors here, not %s", k->call->what, value_kind_text(&x->value)));
    return;
  }
  vec_push(k->c->arena, &k->m->variadic, x->value);
  vec_push(k->c->arena, &k->m->variadic_span, x->span);
}

static int plural_count(const Signature *s) {
  int n = s->nattrs;
  for (int i = 0; i < s->noperands; i++) n += !s->operand[i].parameter;
  return n;
}

static void place_positional(Match *k, int *next, const ArgValue *x) {
  const Signature *s = k->s;
  if (s->noperands && s->operand[0].variadic) {
    place_variadic(k, x);
    return;
  }
  while (*next < s->noperands && s->operand[*next].parameter) ++*next;
  int i = (*next)++;
  if (i < s->noperands) {
    place_operand(k, i, x);
  } else if (i < s->noperands + s->nattrs) {
    place_attr(k, i - s->noperands, x);
  } else if (!k->failed) {
    int most = plural_count(s);
    fail(k, x->span,
         most ? TEXT(k, "%s takes at most %d argument%s", k->call->what, most, most == 1 ? "" : "s")
              : TEXT(k, "%s takes no arguments", k->call->what));
  }
}

static bool among(const char *name, const char *const *names, int n) {
  for (int i = 0; i < n; i++)
    if (!strcmp(names[i], name)) return true;
  return false;
}

/* As they may be given by place; then parameters, which go by name only. bias is both. */
static int argument_names(const Signature *s, const char **names) {
  int n = 0;
  for (int i = 0; i < s->noperands; i++)
    if (!s->operand[i].parameter) names[n++] = s->operand[i].name;
  for (int i = 0; i < s->nattrs; i++) names[n++] = s->attr[i].name;
  for (int i = 0; i < s->noperands; i++)
    if (!among(s->operand[i].name, names, n)) names[n++] = s->operand[i].name;
  return n;
}

/* PyTorch's name of an argument, or NULL. */
static const char *translated(const char *word, const char *const *names, int n) {
  static const char *const words[][2] = {
      {"kernel_size", "kernel"}, {"out_channels", "out"},      {"out_features", "out"},
      {"output_size", "out"},    {"num_embeddings", "count"},  {"embedding_dim", "width"},
      {"num_groups", "groups"},  {"negative_slope", "slope"},  {"scale_factor", "scale"},
      {"start_dim", "dim"},      {"normalized_shape", "dims"},
  };
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (!strcmp(words[i][0], word) && among(words[i][1], names, n)) return words[i][1];
  return NULL;
}

static void unknown_argument(Match *k, const ArgValue *x) {
  const char *names[SIG_OPERANDS + SIG_ATTRS];
  int n = argument_names(k->s, names);
  fail(k, x->name_span, TEXT(k, "%s has no argument %s", k->call->what, x->name));
  const char *near = translated(x->name, names, n);
  if (!near) near = near_name(x->name, names, n);
  if (near)
    check_note(k->c, no_place(), "did you mean %s?", near);
  else if (n)
    check_note(k->c, no_place(), "it takes %s", names_text(k->c->arena, names, n));
}

static void place_named(Match *k, const ArgValue *x) {
  int attr = -1, operand = -1;
  for (int i = 0; i < k->s->nattrs; i++)
    if (!strcmp(k->s->attr[i].name, x->name)) attr = i;
  for (int i = 0; i < k->s->noperands; i++)
    if (!strcmp(k->s->operand[i].name, x->name) && !k->s->operand[i].variadic) operand = i;
  if (operand >= 0 && (attr < 0 || x->value.kind == VALUE_TENSOR))
    place_operand(k, operand, x);
  else if (attr >= 0)
    place_attr(k, attr, x);
  else
    unknown_argument(k, x);
}

/* ---- what has no effect ---- */

/* init= and bias_init= of a parameter that is given. */
static void check_inits(Match *k) {
  const Signature *s = k->s;
  for (int i = 0; i < s->noperands; i++) {
    const SigOperand *o = &s->operand[i];
    if (!o->parameter || !k->m->operand_span[i].file) continue;
    const char *init = strcmp(o->name, "weight") ? TEXT(k, "%s_init", o->name) : "init";
    for (int a = 0; a < s->nattrs; a++)
      if (!strcmp(s->attr[a].name, init) && k->m->attr_span[a].file)
        diag_warning(k->c->diags, k->m->attr_span[a],
                     "%s has no effect: %s is given, and begins as its own param says", init,
                     o->name);
  }
}

/* ---- what is missing ---- */

static void check_operands(Match *k) {
  const Signature *s = k->s;
  if (s->noperands && s->operand[0].variadic) {
    if (!k->m->variadic.count) fail(k, k->call->span, TEXT(k, "%s needs a tensor", k->call->what));
    return;
  }
  for (int i = 0; i < s->noperands; i++) {
    const SigOperand *o = &s->operand[i];
    if (o->parameter || o->optional || k->m->operand_span[i].file) continue;
    fail(k, k->call->span, TEXT(k, "%s of %s is missing", o->name, k->call->what));
    return;
  }
}

static void check_complete(Match *k) {
  int missing = signature_complete(k->s, k->m->attr, k->given);
  if (missing >= 0 && !k->failed)
    fail(k, k->call->span, TEXT(k, "%s of %s is missing", k->s->attr[missing].name, k->call->what));
}

bool match_arguments(Checker *c, const Call *call, const Signature *s, Matched *out) {
  *out = (Matched){0};
  Match k = {.c = c, .call = call, .s = s, .m = out};
  int next = 0;
  const ArgValue *named = NULL;
  for (int i = 0; i < call->nargs && !c->stopped; i++) {
    const ArgValue *x = &call->args[i];
    if (x->name)
      place_named(&k, named = x);
    else if (named)
      fail(&k, x->span, "a positional argument cannot follow a named one");
    else
      place_positional(&k, &next, x);
  }
  if (!k.failed) check_operands(&k);
  if (!k.failed) check_inits(&k);
  check_complete(&k);
  return !k.failed && !c->stopped;
}
