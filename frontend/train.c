/* The train block: words, each with values, that fill Graph.train. Optimizers, schedules and
 * augmentations are rows of train.def. */
#include <string.h>

#include "frontend/check.h"

typedef struct {
  const char *name;
  TrainKind kind;
} ItemWord;

static const ItemWord item_words[] = {
    {"optimizer", TRAIN_OPTIMIZER}, {"schedule", TRAIN_SCHEDULE}, {"augment", TRAIN_AUGMENT}};

enum { ITEM_WORDS = sizeof item_words / sizeof *item_words };

/* ---- items: name(args) ---- */

static void unknown_item(Checker *c, TrainKind kind, const Call *call) {
  static const char *const what[] = {"optimizer", "schedule", "augmentation"};
  VEC(const char *) names = {0};
  for (int i = 0; i < train_row_count; i++)
    if (train_rows[i].kind == kind) vec_push(c->arena, &names, train_rows[i].name);
  const char *near = near_name(call->what, names.at, names.count);
  check_error(c, call->name_span, "there is no %s %s", what[kind], call->what);
  if (near)
    check_note(c, no_place(), "did you mean %s?", near);
  else
    check_note(c, no_place(), "there are %s", names_text(c->arena, names.at, names.count));
}

static bool item_call(Checker *c, const Expr *x, Call *call) {
  if (x->kind == EXPR_CALL) return call_begin(c, x, NULL, no_place(), call);
  *call = (Call){.expr = x, .what = x->text, .span = x->span, .name_span = x->span};
  if (x->kind == EXPR_NAME) return true;
  check_error(c, x->span, "a name is needed here, with its arguments in parentheses");
  return false;
}

static bool item_of(Checker *c, TrainKind kind, const Expr *x, TrainItem *out) {
  Call call;
  Matched m;
  if (!item_call(c, x, &call)) return false;
  const Signature *s = train_signature(kind, call.what);
  if (!s) {
    unknown_item(c, kind, &call);
    return false;
  }
  if (!match_arguments(c, &call, s, &m)) return false;
  *out = (TrainItem){call.what, ARENA_ARRAY(c->arena, Attr, s->nattrs + 1)};
  memcpy(out->attr, m.attr, (size_t)s->nattrs * sizeof *m.attr);
  int attr;
  const char *wrong = train_fault(c->arena, kind, out, &attr);
  if (!wrong) return true;
  check_error(c, attr >= 0 && m.attr_span[attr].file ? m.attr_span[attr] : call.span, "%s", wrong);
  return false;
}

/* ---- words ---- */

static bool one_value(Checker *c, const Setting *s) {
  if (s->values.count == 1) return true;
  check_error(c, s->values.at[1]->span, "%s takes one value", s->word.text);
  return false;
}

static void set_item(Checker *c, TrainKind kind, const Setting *s) {
  Train *t = &c->graph->train;
  for (int i = 0; i < s->values.count; i++) {
    TrainItem item = {0};
    if (kind != TRAIN_AUGMENT && !one_value(c, s)) return;
    if (!item_of(c, kind, s->values.at[i], &item)) continue;
    if (kind == TRAIN_OPTIMIZER) {
      t->optimizer = item;
    } else if (kind == TRAIN_SCHEDULE) {
      t->schedule = item;
    } else {
      vec_push(c->arena, &t->augment, item);
      c->augment = s->values.at[i]->span;
    }
  }
}

static void set_int(Checker *c, const TrainNumber *w, const Setting *s) {
  int64_t i;
  if (!one_value(c, s) || !eval_int(c, s->values.at[0], w->name, w->low, w->high, &i)) return;
  memcpy((char *)&c->graph->train + w->offset, &i, sizeof i);
}

static void set_clip(Checker *c, const Setting *s) {
  if (!one_value(c, s)) return;
  Value v = eval(c, s->values.at[0]);
  if (v.kind == VALUE_FAILED) return;
  if (value_is_number(&v) && train_clips(value_number(&v)))
    c->graph->train.clip_grad_norm = value_number(&v);
  else
    check_error(c, s->values.at[0]->span, "clip_grad_norm takes a number above 0");
}

static void set_freeze(Checker *c, const Setting *s) {
  for (int i = 0; i < s->values.count; i++) {
    const Expr *x = s->values.at[i];
    bool bare = x->kind == EXPR_NAME && !table_get(&c->consts, x->text);
    Value v = bare ? value_failed() : eval(c, x);
    if (v.kind == VALUE_FAILED && !bare) continue;
    if (v.kind == VALUE_STRING) {
      vec_push(c->arena, &c->graph->train.freeze, v.s);
      vec_push(c->arena, &c->freeze_spans, s->values.at[i]->span);
      continue;
    }
    check_error(c, s->values.at[i]->span, "freeze takes a pattern in quotes, not %s",
                bare ? "a name" : value_kind_text(&v));
    check_note(c, no_place(), "as in freeze \"layer1.*\";");
  }
}

static void unknown_word(Checker *c, const Setting *s) {
  static const char *const words[] = {"optimizer", "schedule", "augment", "batch",         "epochs",
                                      "seed",      "warmup",   "freeze",  "clip_grad_norm"};
  enum { WORDS = sizeof words / sizeof *words };
  const char *near = near_name(s->word.text, words, WORDS);
  check_error(c, s->word.span, "a train block has no statement %s", s->word.text);
  if (near)
    check_note(c, no_place(), "did you mean %s?", near);
  else
    check_note(c, no_place(), "there are %s", names_text(c->arena, words, WORDS));
}

static bool once(Checker *c, Table *seen, const Setting *s) {
  if (!strcmp(s->word.text, "freeze") || !strcmp(s->word.text, "augment")) return true;
  const Span *other = table_get(seen, s->word.text);
  if (!other) {
    table_put(c->arena, seen, s->word.text, (void *)&s->word.span);
    return true;
  }
  check_error(c, s->word.span, "%s is given twice", s->word.text);
  check_note(c, *other, "the other one is here");
  return false;
}

static void set(Checker *c, const Setting *s) {
  const char *word = s->word.text;
  for (int i = 0; i < ITEM_WORDS; i++)
    if (!strcmp(item_words[i].name, word)) {
      set_item(c, item_words[i].kind, s);
      return;
    }
  for (int i = 0; i < TRAIN_NUMBERS; i++)
    if (!strcmp(train_number[i].name, word)) {
      set_int(c, &train_number[i], s);
      return;
    }
  if (!strcmp(word, "clip_grad_norm"))
    set_clip(c, s);
  else if (!strcmp(word, "freeze"))
    set_freeze(c, s);
  else
    unknown_word(c, s);
}

void check_train(Checker *c) {
  Train *t = &c->graph->train;
  Table seen = {0};
  t->batch = 32;
  t->epochs = 10;
  if (!c->train) return;
  t->present = true;
  for (int i = 0; i < c->train->settings.count && !c->stopped; i++) {
    const Setting *s = &c->train->settings.at[i];
    if (once(c, &seen, s)) set(c, s);
  }
}

/* sgd(lr=0.01) */
static TrainItem default_optimizer(Checker *c) {
  const Signature *s = train_signature(TRAIN_OPTIMIZER, "sgd");
  TrainItem item = {"sgd", ARENA_ARRAY(c->arena, Attr, s->nattrs)};
  signature_complete(s, item.attr, NULL);
  item.attr[0] = attr_float(0.01);
  return item;
}

/* ---- what has no effect ---- */

static bool has_image(const Graph *g) {
  for (int i = 0; i < g->nodes.count; i++) {
    const Node *n = g->nodes.at[i];
    bool pixels = n->op == OP_input && n->type.elem != ELEM_I32;
    if (pixels && n->type.rank == 3) return true;
  }
  return false;
}

/* Nodes that the loss, or any result, depends on. Nodes stand after their operands. */
static bool *needed_nodes(Checker *c, bool loss_only) {
  const Graph *g = c->graph;
  bool *needed = ARENA_ARRAY(c->arena, bool, g->nodes.count + 1);
  for (int i = 0; i < g->results.count; i++)
    if (!loss_only || g->results.at[i].kind == RESULT_LOSS)
      needed[g->results.at[i].node->id] = true;
  for (int i = g->nodes.count - 1; i >= 0; i--)
    for (int k = 0; needed[i] && k < g->nodes.at[i]->nin; k++)
      if (g->nodes.at[i]->in[k]) needed[g->nodes.at[i]->in[k]->id] = true;
  return needed;
}

/* Some trainable parameter has a part in the loss. */
static bool trains(Checker *c) {
  const bool *needed = needed_nodes(c, true);
  for (int i = 0; i < c->graph->nodes.count; i++) {
    const Node *n = c->graph->nodes.at[i];
    if (needed[i] && n->op == OP_param && node_bool(n, "trainable")) return true;
  }
  return false;
}

static void warn_of_loss(Checker *c) {
  if (!c->loss.file) {
    if (!c->train) return;
    diag_warning(c->diags, c->train->name.span, "the network has no loss, so nothing is trained");
  } else if (!trains(c)) {
    diag_warning(c->diags, c->loss,
                 "the loss depends on no trainable parameter: training changes nothing");
    for (int i = 0; i < c->freeze_spans.count; i++)
      check_note(c, c->freeze_spans.at[i], "frozen here");
  }
}

static bool same_place(Span a, Span b) {
  return a.file == b.file && a.line == b.line && a.col == b.col;
}

/* A layer is named once, by its first parameter. */
static void warn_of_unused(Checker *c) {
  const bool *needed = needed_nodes(c, false);
  Span last = no_place();
  for (int i = 0; i < c->graph->nodes.count; i++) {
    const Node *n = c->graph->nodes.at[i];
    if (needed[i] || n->op != OP_param || same_place(n->span, last)) continue;
    diag_warning(c->diags, n->span, "no output, loss or metric depends on the parameter %s",
                 node_str(n, "name"));
    last = n->span;
  }
}

static void warn_of_augment(Checker *c) {
  if (!c->augment.file || has_image(c->graph)) return;
  diag_warning(c->diags, c->augment, "augment changes images only, and no input is one");
  check_note(c, no_place(), "an image is u8[C, H, W] or f32[C, H, W]");
}

void check_train_end(Checker *c) {
  Train *t = &c->graph->train;
  if (c->loss.file && !t->optimizer.name) t->optimizer = default_optimizer(c);
  if (c->reports || c->stopped) return;
  for (int i = 0; i < t->freeze.count; i++)
    if (!layer_fits(c, t->freeze.at[i]))
      check_error(c, c->freeze_spans.at[i], "no parameter's name fits \"%s\"", t->freeze.at[i]);
  if (c->reports) return;
  warn_of_loss(c);
  warn_of_unused(c);
  warn_of_augment(c);
}
