/* The text form of a graph (docs/ir.md). What ir_print writes, ir_parse reads back to an equal
 * graph: every field of Graph, Node, Result and Train is in the text, attributes only where they
 * are not the default. */
#include "ir/text.h"

#include <ctype.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

const char *const text_elem[3] = {"f32", "u8", "i32"};
const char *const text_result[5] = {"output", "loss", "metric", "grad", "assign"};

const TextInit text_init[TEXT_INITS] = {
    {"default", 0},       {"constant", 1},        {"uniform", 2},
    {"normal", 2},        {"orthogonal", 0},      {"xavier_uniform", 0},
    {"xavier_normal", 0}, {"kaiming_uniform", 2}, {"kaiming_normal", 2}};

bool text_is_word(const char *s) {
  if (!isalpha((unsigned char)*s) && *s != '_') return false;
  while (isalnum((unsigned char)*s) || *s == '_' || *s == '.') s++;
  return !*s;
}

/* ---- values ---- */

static void put_string(Str *out, const char *s) {
  str_put(out, "\"");
  for (; *s; s++) {
    unsigned char c = (unsigned char)*s;
    if (c == '"' || c == '\\')
      str_printf(out, "\\%c", c);
    else if (c < 0x20 || c == 0x7f)
      str_printf(out, "\\x%02x", c);
    else
      str_putn(out, s, 1);
  }
  str_put(out, "\"");
}

static void put_name(Str *out, const char *s) {
  if (text_is_word(s))
    str_put(out, s);
  else
    put_string(out, s);
}

static void put_number(Str *out, double x) {
  if (isnan(x))
    str_put(out, "nan"); /* no sign and no payload in the text */
  else
    str_double(out, x);
}

static void put_list(Str *out, int n, const int64_t *v) {
  str_put(out, "[");
  for (int i = 0; i < n; i++) str_printf(out, "%s%lld", i ? "," : "", (long long)v[i]);
  str_put(out, "]");
}

static void put_init(Str *out, Init init) {
  const TextInit *t = &text_init[init.kind];
  str_put(out, t->name);
  if (!t->numbers) return;
  str_put(out, "(");
  put_number(out, init.a);
  if (t->numbers > 1) str_put(out, ", "), put_number(out, init.b);
  str_put(out, ")");
}

static void put_value(Str *out, const Attr *a) {
  if (a->kind == ATTR_FLOAT)
    put_number(out, a->f);
  else if (a->kind == ATTR_INIT)
    put_init(out, a->init);
  else if (a->kind == ATTR_BOOL)
    str_put(out, a->i ? "true" : "false");
  else if (a->kind == ATTR_INT || a->kind == ATTR_DIM)
    str_printf(out, "%lld", (long long)a->i);
  else if (a->kind == ATTR_STR || a->kind == ATTR_WORDS)
    put_string(out, a->s);
  else if (a->n < 0)
    str_put(out, a->kind == ATTR_PADS ? "same" : "all");
  else
    put_list(out, a->n, a->v);
}

bool attr_equal(const Attr *a, const Attr *b) {
  if (a->kind != b->kind || a->n != b->n || a->i != b->i) return false;
  /* The bits: -0 is not 0, and NaN is NaN. NOLINTNEXTLINE(bugprone-suspicious-memory-comparison) */
  if (memcmp(&a->f, &b->f, sizeof a->f) != 0) return false;
  if (!a->s != !b->s || (a->s && strcmp(a->s, b->s) != 0)) return false;
  if (a->n > 0 && memcmp(a->v, b->v, (size_t)a->n * sizeof *a->v) != 0) return false;
  return a->kind != ATTR_INIT ||
         (a->init.kind == b->init.kind && a->init.a == b->init.a && a->init.b == b->init.b);
}

static bool is_default(const SigAttr *s, const Attr *all, int index) {
  if (s->required) return false;
  Attr value = s->copies < 0 ? s->value : all[s->copies];
  value.kind = s->kind;
  return attr_equal(&value, &all[index]);
}

static void put_attrs(Str *out, const Signature *s, const Attr *attr) {
  const char *before = " {";
  for (int i = 0; i < s->nattrs; i++) {
    if (is_default(&s->attr[i], attr, i)) continue;
    str_printf(out, "%s%s=", before, s->attr[i].name);
    put_value(out, &attr[i]);
    before = ", ";
  }
  if (before[0] == ',') str_put(out, "}");
}

/* ---- files of spans ---- */

/* Files are numbered from 1 in the order in which the nodes name them. */
typedef struct {
  Arena *arena;
  VEC(int) file;
} Files;

static int file_number(const Files *f, int file) {
  for (int i = 0; i < f->file.count; i++)
    if (f->file.at[i] == file) return i + 1;
  return 0;
}

static void put_files(Str *out, const Graph *g, Files *f) {
  for (int i = 0; i < g->nodes.count; i++) {
    int file = g->nodes.at[i]->span.file;
    if (file <= 0 || file_number(f, file)) continue;
    vec_push(f->arena, &f->file, file);
    bool known = g->sources && file < g->sources->files.count;
    const char *path = known ? g->sources->files.at[file].path : "";
    str_printf(out, "  file %d ", f->file.count);
    put_string(out, path);
    str_put(out, "\n");
  }
}

/* ---- nodes ---- */

static void put_operands(Str *out, const Node *n) {
  if (!n->nin) return;
  str_put(out, "(");
  for (int i = 0; i < n->nin; i++) {
    str_put(out, i ? ", " : "");
    if (n->in[i])
      str_printf(out, "%%%d", n->in[i]->id);
    else
      str_put(out, "_");
  }
  str_put(out, ")");
}

static void put_order(Str *out, const Node *n) {
  int64_t order[LIMIT_RANK];
  for (int i = 0; i < n->type.rank; i++) order[i] = n->order[i];
  str_put(out, " order ");
  put_list(out, n->type.rank, order);
}

static void put_node(Str *out, const Node *n, const Files *files) {
  str_printf(out, "  %%%d = %s", n->id, op_info[n->op].name);
  put_operands(out, n);
  put_attrs(out, op_signature(n->op), n->attr);
  str_printf(out, " : %s", type_text(out->arena, &n->type));
  if (n->label) str_put(out, " !"), put_name(out, n->label);
  if (n->group) str_printf(out, " group %d", n->group);
  if (n->ordered) put_order(out, n);
  if (n->offset != -1) str_printf(out, " offset %lld", (long long)n->offset);
  if (n->span.file > 0)
    str_printf(out, " @%d:%d:%d-%d:%d", file_number(files, n->span.file), n->span.line, n->span.col,
               n->span.end_line, n->span.end_col);
  str_put(out, "\n");
}

static void put_result(Str *out, const Result *r) {
  str_printf(out, "  %s", text_result[r->kind]);
  if (r->name) str_put(out, " "), put_name(out, r->name);
  str_printf(out, " = %%%d", r->node->id);
  if (r->target) str_printf(out, " of %%%d", r->target->id);
  str_put(out, "\n");
}

/* ---- train ---- */

static void put_item(Str *out, TrainKind kind, const char *word, const TrainItem *item) {
  if (!item->name) return;
  str_printf(out, "    %s %s", word, item->name);
  put_attrs(out, train_signature(kind, item->name), item->attr);
  str_put(out, "\n");
}

static void put_train_lines(Str *out, const Train *t) {
  put_item(out, TRAIN_OPTIMIZER, "optimizer", &t->optimizer);
  put_item(out, TRAIN_SCHEDULE, "schedule", &t->schedule);
  for (int i = 0; i < t->augment.count; i++)
    put_item(out, TRAIN_AUGMENT, "augment", &t->augment.at[i]);
  for (int i = 0; i < t->freeze.count; i++) {
    str_put(out, "    freeze ");
    put_string(out, t->freeze.at[i]);
    str_put(out, "\n");
  }
  for (int i = 0; i < TRAIN_NUMBERS; i++) {
    int64_t x = *(const int64_t *)((const char *)t + train_number[i].offset);
    if (x) str_printf(out, "    %s %lld\n", train_number[i].text, (long long)x);
  }
  if (t->clip_grad_norm == 0) return;
  str_put(out, "    clip_grad_norm ");
  put_number(out, t->clip_grad_norm);
  str_put(out, "\n");
}

/* `implied train` is what holds without a train block in the source. */
static void put_train(Str *out, const Train *t) {
  Str lines = str_new(out->arena);
  put_train_lines(&lines, t);
  if (!t->present && !lines.length) return;
  str_printf(out, "  %strain {\n%s  }\n", t->present ? "" : "implied ", lines.text);
}

void ir_print(const Graph *g, Str *out) {
  Files files = {.arena = out->arena};
  str_put(out, "graph ");
  put_name(out, g->name ? g->name : "");
  if (g->program) str_put(out, " program "), put_name(out, g->program);
  str_put(out, " {\n");
  put_files(out, g, &files);
  put_train(out, &g->train);
  for (int i = 0; i < g->nodes.count; i++) put_node(out, g->nodes.at[i], &files);
  for (int i = 0; i < g->results.count; i++) put_result(out, &g->results.at[i]);
  str_put(out, "}\n");
}

bool ir_equal(const Graph *a, const Graph *b) {
  Arena *scratch = arena_new();
  Str x = str_new(scratch), y = str_new(scratch);
  ir_print(a, &x);
  ir_print(b, &y);
  bool equal = x.length == y.length && !memcmp(x.text, y.text, x.length);
  arena_free(scratch);
  return equal;
}
