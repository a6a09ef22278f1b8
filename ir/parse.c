/* The text form read back (docs/ir.md). The text may come from anywhere: the first mistake is
 * reported with its place and ends the parse; nodes are made by ir_try, so that what parses is well
 * typed. Recursive descent with one token of look-ahead; no construct nests, so the stack does not
 * grow with the text. */
#include "ir/lex.h"
#include "ir/text.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

typedef struct {
  Lexer lexer;
  Token now;
  Diags *diags;
  Graph *graph;
  VEC(int64_t) ids; /* the number in the text of each node, rising */
  VEC(int) files;   /* of the spans: index in the text, less 1, to index in Sources */
} Parser;

/* ---- tokens ---- */

static bool fail_at(Parser *p, Token at, const char *text) {
  diag_error(p->diags, at.span, "%s", at.kind == TOKEN_BAD ? at.text : text);
  return false;
}

static bool fail(Parser *p, const char *text) { return fail_at(p, p->now, text); }

static void next(Parser *p) {
  if (p->now.kind != TOKEN_BAD) p->now = lex_next(&p->lexer);
}

static bool at_mark(const Parser *p, char mark) {
  return p->now.kind == TOKEN_MARK && p->now.mark == mark;
}

static bool at_word(const Parser *p, const char *word) {
  return p->now.kind == TOKEN_WORD && !strcmp(p->now.text, word);
}

static bool accept_mark(Parser *p, char mark) {
  bool yes = at_mark(p, mark);
  if (yes) next(p);
  return yes;
}

static bool accept_word(Parser *p, const char *word) {
  bool yes = at_word(p, word);
  if (yes) next(p);
  return yes;
}

static bool expect_mark(Parser *p, char mark) {
  char text[] = "expected 'x'";
  text[10] = mark;
  return accept_mark(p, mark) || fail(p, text);
}

static bool expect_name(Parser *p, const char **out) {
  if (p->now.kind != TOKEN_WORD && p->now.kind != TOKEN_STRING) return fail(p, "expected a name");
  *out = p->now.text;
  next(p);
  return true;
}

static bool expect_int(Parser *p, int64_t low, int64_t high, int64_t *out) {
  bool minus = accept_mark(p, '-');
  if (p->now.kind != TOKEN_INT) return fail(p, "expected an integer");
  int64_t i = minus ? -p->now.i : p->now.i;
  if (i < low || i > high) return fail(p, "this number is out of range");
  *out = i;
  next(p);
  return true;
}

static bool expect_number(Parser *p, double *out) {
  double sign = accept_mark(p, '-') ? -1 : 1;
  if (p->now.kind == TOKEN_INT || p->now.kind == TOKEN_FLOAT)
    *out = sign * p->now.f;
  else if (at_word(p, "inf"))
    *out = sign * HUGE_VAL;
  else if (at_word(p, "nan"))
    *out = NAN;
  else
    return fail(p, "expected a number");
  next(p);
  return true;
}

/* A full name: of a parameter, a layer, a result. It reaches headers and files. */
static bool expect_word(Parser *p, const char **out) {
  Token t = p->now;
  if (!expect_name(p, out)) return false;
  if (text_is_word(*out) && strlen(*out) <= LIMIT_NAME_BYTES) return true;
  diag_error(p->diags, t.span,
             "a name begins with a letter or _, and is of letters, digits, _ and ., at most %d",
             LIMIT_NAME_BYTES);
  return false;
}

/* A name that is one in C too. */
static bool expect_identifier(Parser *p, const char **out) {
  Token t = p->now;
  if (!expect_word(p, out)) return false;
  return !strchr(*out, '.') || fail_at(p, t, "no . is possible in this name");
}

/* ---- attribute values ---- */

static bool parse_list(Parser *p, int64_t high, int most, int *n, int64_t *v) {
  *n = 0;
  if (!expect_mark(p, '[')) return false;
  if (accept_mark(p, ']')) return true;
  do {
    if (*n == most) return fail(p, "too many numbers in this list");
    if (!expect_int(p, -high, high, &v[(*n)++])) return false;
  } while (accept_mark(p, ','));
  return expect_mark(p, ']');
}

static bool parse_list_value(Parser *p, Attr *out) {
  int most = out->kind == ATTR_PAIRS ? 2 * LIMIT_RANK : LIMIT_RANK;
  int64_t *v = ARENA_ARRAY(p->lexer.arena, int64_t, most);
  const char *whole = out->kind == ATTR_DIMS ? "all" : out->kind == ATTR_PADS ? "same" : NULL;
  out->n = -1;
  if (whole && accept_word(p, whole)) return true;
  out->v = v;
  return parse_list(p, LIMIT_DIM, most, &out->n, v);
}

static bool parse_init(Parser *p, Init *out) {
  const char *name;
  Token t = p->now;
  if (!expect_name(p, &name)) return false;
  int kind = 0;
  while (kind < TEXT_INITS && strcmp(text_init[kind].name, name) != 0) kind++;
  if (kind == TEXT_INITS) {
    diag_error(p->diags, t.span, "unknown initialiser %s", name);
    return false;
  }
  *out = (Init){.kind = (InitKind)kind};
  if (!text_init[kind].numbers) return true;
  if (!expect_mark(p, '(') || !expect_number(p, &out->a)) return false;
  if (text_init[kind].numbers > 1)
    if (!expect_mark(p, ',') || !expect_number(p, &out->b)) return false;
  return expect_mark(p, ')');
}

static bool parse_bool(Parser *p, int64_t *out) {
  *out = at_word(p, "true");
  if (!*out && !at_word(p, "false")) return fail(p, "expected true or false");
  next(p);
  return true;
}

static bool parse_value(Parser *p, AttrKind kind, Attr *out) {
  *out = (Attr){.kind = kind};
  if (kind == ATTR_FLOAT) return expect_number(p, &out->f);
  if (kind == ATTR_BOOL) return parse_bool(p, &out->i);
  if (kind == ATTR_INT || kind == ATTR_DIM) return expect_int(p, -LIMIT_DIM, LIMIT_DIM, &out->i);
  if (kind == ATTR_INIT) return parse_init(p, &out->init);
  if (kind == ATTR_STR) return expect_word(p, &out->s);
  if (kind == ATTR_WORDS) return expect_name(p, &out->s);
  return parse_list_value(p, out);
}

static int find_attr(const Signature *s, const char *name) {
  int i = 0;
  while (i < s->nattrs && strcmp(s->attr[i].name, name) != 0) i++;
  return i < s->nattrs ? i : -1;
}

static bool parse_attr(Parser *p, const Signature *s, Attr *attr, bool *given) {
  const char *name;
  Token t = p->now;
  if (!expect_name(p, &name)) return false;
  int i = find_attr(s, name);
  if (i < 0 || given[i]) {
    diag_error(p->diags, t.span, i < 0 ? "unknown attribute %s" : "attribute %s again", name);
    return false;
  }
  given[i] = true;
  return expect_mark(p, '=') && parse_value(p, s->attr[i].kind, &attr[i]);
}

/* [{name=value, ...}], completed with defaults. */
static bool parse_attrs(Parser *p, const Signature *s, Attr *attr) {
  bool given[SIG_ATTRS] = {false};
  Token start = p->now;
  if (accept_mark(p, '{')) {
    do {
      if (!parse_attr(p, s, attr, given)) return false;
    } while (accept_mark(p, ','));
    if (!expect_mark(p, '}')) return false;
  }
  int missing = signature_complete(s, attr, given);
  if (missing < 0) return true;
  diag_error(p->diags, start.span, "attribute %s is missing", s->attr[missing].name);
  return false;
}

/* ---- nodes ---- */

/* The node that the text numbers `id`: ids rise. */
static Node *find_node(const Parser *p, int64_t id) {
  int low = 0, high = p->ids.count;
  while (low < high) {
    int middle = low + (high - low) / 2;
    if (p->ids.at[middle] < id)
      low = middle + 1;
    else
      high = middle;
  }
  return low < p->ids.count && p->ids.at[low] == id ? p->graph->nodes.at[low] : NULL;
}

static bool parse_reference(Parser *p, Node **out) {
  if (p->now.kind != TOKEN_NODE) return fail(p, "expected a node, as %3");
  *out = find_node(p, p->now.i);
  if (!*out) return fail(p, "no node above has this number");
  next(p);
  return true;
}

typedef VEC(Node *) Nodes;

static bool parse_operands(Parser *p, Nodes *in) {
  if (!accept_mark(p, '(') || accept_mark(p, ')')) return true;
  do {
    Node *x = NULL;
    if (in->count == LIMIT_OPERANDS) return fail(p, "too many operands");
    if (!accept_word(p, "_") && !parse_reference(p, &x)) return false;
    vec_push(p->lexer.arena, in, x);
  } while (accept_mark(p, ','));
  return expect_mark(p, ')');
}

static bool parse_elem(Parser *p, Elem *out) {
  for (int i = 0; i < 3; i++) {
    if (!accept_word(p, text_elem[i])) continue;
    *out = (Elem)i;
    return true;
  }
  return fail(p, "expected an element type: f32, u8 or i32");
}

static bool parse_type(Parser *p, Type *out) {
  *out = (Type){0};
  if (!parse_elem(p, &out->elem)) return false;
  if (!accept_mark(p, '[')) return true;
  out->batched = accept_mark(p, '*');
  bool more = out->batched ? accept_mark(p, ',') : !at_mark(p, ']');
  while (more) {
    if (out->rank == LIMIT_RANK) return fail(p, "too many dimensions");
    if (!expect_int(p, 1, LIMIT_DIM, &out->dim[out->rank++])) return false;
    more = accept_mark(p, ',');
  }
  return expect_mark(p, ']');
}

/* The type is inferred; where the text gives it, it must say the same. */
static bool parse_node_type(Parser *p, Node *n) {
  Type t;
  Token start = p->now;
  if (!accept_mark(p, ':')) return true;
  if (!parse_type(p, &t)) return false;
  if (type_equal(&t, &n->type)) return true;
  diag_error(p->diags, start.span, "the type is %s, but %s gives %s", type_text(p->lexer.arena, &t),
             op_info[n->op].name, type_text(p->lexer.arena, &n->type));
  return false;
}

static bool parse_order(Parser *p, Node *n) {
  int64_t v[LIMIT_RANK];
  int count;
  unsigned seen = 0;
  Token start = p->now;
  if (!parse_list(p, LIMIT_RANK, LIMIT_RANK, &count, v)) return false;
  for (int i = 0; i < count; i++) {
    if (v[i] >= 0) seen |= 1u << v[i];
    n->order[i] = (uint8_t)v[i];
  }
  n->ordered = true;
  if (count == n->type.rank && seen == (1u << count) - 1) return true;
  return fail_at(p, start, "the order must name each dimension once");
}

/* @file:line:col-line:col */
static bool parse_span(Parser *p, Span *out) {
  int64_t v[5];
  Token start = p->now;
  const char marks[5] = {':', ':', '-', ':', 0};
  for (int i = 0; i < 5; i++) {
    if (!expect_int(p, 0, INT32_MAX, &v[i])) return false;
    if (marks[i] && !expect_mark(p, marks[i])) return false;
  }
  if (v[0] < 1 || v[0] > p->files.count)
    return fail_at(p, start, "no file has the number of this span");
  *out = (Span){p->files.at[v[0] - 1], (int)v[1], (int)v[2], (int)v[3], (int)v[4]};
  return true;
}

static bool parse_label(Parser *p, Node *n) {
  if (!expect_word(p, &n->label)) return false;
  n->label = arena_strdup(p->graph->arena, n->label);
  return true;
}

static bool parse_group(Parser *p, Node *n) {
  int64_t group;
  if (!expect_int(p, 1, INT32_MAX, &group)) return false;
  n->group = (int)group;
  return true;
}

/* In any order; printed in this one. */
static bool parse_annotations(Parser *p, Node *n) {
  for (bool fine = true; fine;) {
    if (accept_mark(p, '!'))
      fine = parse_label(p, n);
    else if (accept_word(p, "group"))
      fine = parse_group(p, n);
    else if (accept_word(p, "order"))
      fine = parse_order(p, n);
    else if (accept_word(p, "offset"))
      fine = expect_int(p, 0, LIMIT_ARENA, &n->offset);
    else if (accept_mark(p, '@'))
      fine = parse_span(p, &n->span);
    else
      return true;
  }
  return false;
}

static bool parse_op(Parser *p, Op *out) {
  *out = p->now.kind == TOKEN_WORD ? op_by_name(p->now.text) : OP_COUNT;
  if (*out == OP_COUNT) return fail(p, "expected the name of an op");
  next(p);
  return true;
}

static Node *make_node(Parser *p, Op op, const Nodes *in, const Attr *attr, Span at) {
  OpError e = {.arena = p->lexer.arena};
  Node *n = ir_try(p->graph, op, in->count, in->at, attr, (Span){0}, &e);
  if (n) return n;
  diag_error(p->diags, at, "%s", e.text);
  if (e.note) diag_note(p->diags, (Span){0}, "%s", e.note);
  return NULL;
}

/* %id = op(operands) {attributes} : type annotations */
static bool parse_node(Parser *p) {
  Op op;
  Nodes in = {0};
  Attr attr[SIG_ATTRS] = {0};
  int64_t id = p->now.i;
  Span at = p->now.span;
  if (p->ids.count && id <= p->ids.at[p->ids.count - 1]) return fail(p, "node numbers must rise");
  next(p);
  if (!expect_mark(p, '=') || !parse_op(p, &op) || !parse_operands(p, &in)) return false;
  if (!parse_attrs(p, op_signature(op), attr)) return false;
  if ((op == OP_input || op == OP_target) && strchr(attr[0].s, '.')) {
    diag_error(p->diags, at, "no . is possible in the name of an input or a target");
    return false;
  }
  Node *n = make_node(p, op, &in, attr, at);
  if (!n) return false;
  vec_push(p->lexer.arena, &p->ids, id);
  return parse_node_type(p, n) && parse_annotations(p, n);
}

/* ---- results ---- */

static int result_kind(const Parser *p) {
  int kind = 0;
  while (kind < 5 && !at_word(p, text_result[kind])) kind++;
  return kind;
}

/* kind [name] = %node [of %target] */
static bool parse_result(Parser *p) {
  int kind = result_kind(p);
  const char *name = NULL;
  Node *node = NULL, *target = NULL;
  if (kind == 5) return fail(p, "expected a node, a result or '}'");
  next(p);
  bool of_leaf = kind == RESULT_GRAD || kind == RESULT_ASSIGN;
  if (!at_mark(p, '=') && !(of_leaf ? expect_word(p, &name) : expect_identifier(p, &name)))
    return false;
  if (!expect_mark(p, '=') || !parse_reference(p, &node)) return false;
  if (accept_word(p, "of") && !parse_reference(p, &target)) return false;
  ir_result(p->graph, (ResultKind)kind, name, node, target);
  return true;
}

/* ---- train ---- */

static bool parse_item(Parser *p, TrainKind kind, TrainItem *out) {
  const char *name;
  Token t = p->now;
  if (!expect_name(p, &name)) return false;
  const Signature *s = train_signature(kind, name);
  if (!s) {
    diag_error(p->diags, t.span, "%s is not known here", name);
    return false;
  }
  out->name = arena_strdup(p->graph->arena, name);
  out->attr = ARENA_ARRAY(p->graph->arena, Attr, s->nattrs);
  if (!parse_attrs(p, s, out->attr)) return false;
  int attr;
  const char *wrong = train_fault(p->lexer.arena, kind, out, &attr);
  return !wrong || fail_at(p, t, wrong);
}

static bool parse_setting(Parser *p, Train *t) {
  for (int i = 0; i < TRAIN_NUMBERS; i++) {
    const TrainNumber *n = &train_number[i];
    if (!accept_word(p, n->text)) continue;
    return expect_int(p, n->low, n->high, (int64_t *)((char *)t + n->offset));
  }
  return fail(p, "expected a statement of a train block");
}

static bool parse_clip(Parser *p, double *out) {
  Token t = p->now;
  if (!expect_number(p, out)) return false;
  return train_clips(*out) || fail_at(p, t, "clip_grad_norm takes a number above 0");
}

static bool parse_train_line(Parser *p, Train *t) {
  Arena *a = p->graph->arena;
  TrainItem item;
  const char *pattern;
  if (accept_word(p, "optimizer")) return parse_item(p, TRAIN_OPTIMIZER, &t->optimizer);
  if (accept_word(p, "schedule")) return parse_item(p, TRAIN_SCHEDULE, &t->schedule);
  if (accept_word(p, "clip_grad_norm")) return parse_clip(p, &t->clip_grad_norm);
  if (accept_word(p, "freeze")) {
    if (!expect_name(p, &pattern)) return false;
    vec_push(a, &t->freeze, arena_strdup(a, pattern));
    return true;
  }
  if (!accept_word(p, "augment")) return parse_setting(p, t);
  if (!parse_item(p, TRAIN_AUGMENT, &item)) return false;
  vec_push(a, &t->augment, item);
  return true;
}

static bool parse_train(Parser *p, bool present) {
  p->graph->train.present = present;
  if (!expect_mark(p, '{')) return false;
  while (!accept_mark(p, '}'))
    if (!parse_train_line(p, &p->graph->train)) return false;
  return true;
}

/* ---- the graph ---- */

static bool parse_file(Parser *p) {
  int64_t number;
  const char *path;
  if (!expect_int(p, p->files.count + 1, p->files.count + 1, &number)) return false;
  if (p->now.kind != TOKEN_STRING) return fail(p, "expected a path in quotes");
  path = p->now.text;
  next(p);
  vec_push(p->lexer.arena, &p->files, sources_add(p->diags->sources, path, "", 0));
  return true;
}

static bool parse_line(Parser *p) {
  if (p->now.kind == TOKEN_NODE) return parse_node(p);
  if (accept_word(p, "file")) return parse_file(p);
  if (accept_word(p, "train")) return parse_train(p, true);
  if (!accept_word(p, "implied")) return parse_result(p);
  return accept_word(p, "train") ? parse_train(p, false) : fail(p, "expected train");
}

static bool parse_graph(Parser *p) {
  Graph *g = p->graph;
  if (!accept_word(p, "graph")) return fail(p, "expected graph");
  if (!expect_identifier(p, &g->name)) return false;
  if (accept_word(p, "program") && !expect_identifier(p, &g->program)) return false;
  if (!expect_mark(p, '{')) return false;
  while (!accept_mark(p, '}'))
    if (!parse_line(p)) return false;
  return p->now.kind == TOKEN_END || fail(p, "expected the end of the file");
}

Graph *ir_parse(Arena *a, Diags *d, int file) {
  Source source = d->sources->files.at[file];
  Parser p = {.diags = d, .graph = ir_graph_new(a, d->sources, NULL)};
  p.lexer = (Lexer){a, source.text, source.text + source.length, file, 1, 1};
  next(&p);
  if (!parse_graph(&p)) return NULL;
  const char *program = p.graph->program;
  p.graph->program = NULL; /* until it is expanded the loss may be per sample */
  const char *wrong = ir_verify(p.graph, a);
  p.graph->program = program;
  if (!wrong) return p.graph;
  diag_error(d, (Span){file, 1, 1, 1, 1}, "this is no valid graph: %s", wrong);
  return NULL;
}
