/* Every row of the op table at random settings: shapes, attributes, shared or per sample. A setting
 * is a node on leaves of its operands' types, as text. The settings are what netgen draws for the
 * row, and every node of the expansions and of the first and second derivatives of such settings,
 * which is how the rows are reached that no network names.
 *
 * With u, v random, L = <u, y(x)> and S = <dL/dx, v>, all by reverse mode:
 *   <u, J v> = <J^T u, v>                      J v = dS/du, to rounding
 *   J v      = (y(x + h v) - y(x - h v)) / 2h
 *   <dS/dx, v> = (S(x + h v) - S(x - h v)) / 2h
 */
#include "tests/ir/fixture.h"

#include "ir/interp.h"
#include "netgen.h"
#include "passes/expand.h"
#include "passes/grad.h"
#include "tests/ir/op_points.h"
#include "tests/ir/op_settings.h"

enum { WANTED = 50, ROUNDS = 400, TRIES = 4, LARGEST = 160, BATCH = 2, OPERANDS = 8 };
static const double step = 1e-5, tolerance = 1e-5, rounding = 1e-11;

/* ---- which rows ---- */

/* No derivative of a part of a network; by definition none; not of real numbers. */
static bool is_left_out(Op op) {
  return op_info[op].kind == KIND_LEAF || op == OP_grad || op == OP_auc || op == OP_detach ||
         op == OP_real || !op_signature(op)->noperands;
}

/* The first letter of the operand's word in a setting of the op tests: b for a mask. */
static char word_of(Op op, int operand) {
  for (size_t i = 0; i < sizeof op_settings / sizeof *op_settings; i++) {
    const char *word = op_settings[i].operands;
    if (strcmp(op_settings[i].op, op_info[op].name) != 0) continue;
    for (int k = 0; k < operand && word; k++)
      word = strchr(word, ' ') ? strchr(word, ' ') + 1 : NULL;
    return word ? *word : 'f';
  }
  return 'f';
}

/* ---- settings ---- */

typedef struct {
  Arena *arena;
  VEC(const char *) text[OP_COUNT];
} Settings;

static Node *leaf_for(Graph *g, int i, const Node *old) {
  static const char *const words[] = {"f32", "u8", "i32"};
  const char *name = arena_printf(g->arena, "x%d", i);
  const Type *t = &old->type;
  if (t->elem == ELEM_F32 && old->op != OP_buffer) return leaf_like(g, name, t);
  Attr data[] = {attr_str(name), attr_int(0), attr_ints(t->rank, t->dim),
                 attr_words(words[t->elem])};
  Attr stored[] = {attr_str(name), attr_ints(t->rank, t->dim),
                   attr_init((Init){INIT_CONSTANT, 1, 0})};
  return ir_make(g, t->batched ? OP_input : OP_buffer, 0, NULL, t->batched ? data : stored);
}

static Graph *single(Arena *a, const Node *n) {
  Graph *g = ir_graph_new(a, NULL, "row");
  Node **in = ARENA_ARRAY(a, Node *, n->nin + 1);
  OpError e = {.arena = a};
  for (int i = 0; i < n->nin; i++)
    if (n->in[i]) in[i] = leaf_for(g, i, n->in[i]);
  Node *y = ir_try(g, n->op, n->nin, in, n->attr, (Span){0}, &e);
  if (y) ir_result(g, RESULT_OUTPUT, "y", y, NULL);
  return y ? g : NULL;
}

static bool is_small(const Node *n) {
  bool small = type_elements(&n->type) <= LARGEST && n->nin <= OPERANDS;
  for (int i = 0; i < n->nin; i++)
    small = small && (!n->in[i] || type_elements(&n->in[i]->type) <= LARGEST);
  return small;
}

/* Whether it is a new one. */
static bool add_setting(Settings *s, const Node *n) {
  if (is_left_out(n->op) || s->text[n->op].count == WANTED || !is_small(n)) return false;
  Arena *a = arena_new();
  Graph *g = single(a, n);
  const char *text = g ? print(a, g) : NULL;
  for (int i = 0; text && i < s->text[n->op].count; i++)
    if (!strcmp(text, s->text[n->op].at[i])) text = NULL;
  if (text) vec_push(s->arena, &s->text[n->op], arena_strdup(s->arena, text));
  arena_free(a);
  return text != NULL;
}

/* ---- a setting, differentiated ---- */

typedef struct {
  const char *text;
  Arena *arena;
  Op op;
  Graph *graph;
  Interp *interp;
  int count; /* of real operands */
  Node *x[OPERANDS], *v[OPERANDS], *first[OPERANDS], *second[OPERANDS + 1];
  Node *y, *u, *S;
} Row;

static void open_row(Row *r, const char *text, bool training, bool formulas) {
  *r = (Row){.text = text, .arena = arena_new()};
  r->graph = parse(r->arena, text);
  r->op = r->graph->results.at[0].node->op;
  expand_nodes(r->graph, training, formulas, r->arena);
  r->y = r->graph->results.at[0].node;
  for (int i = 0; i < OPERANDS; i++) {
    const char *name = arena_printf(r->arena, "x%d", i);
    Node *batched = ir_find_leaf(r->graph, OP_input, name),
         *x = batched ? batched : ir_find_leaf(r->graph, OP_param, name);
    if (x && x->type.elem == ELEM_F32 && word_of(r->op, i) != 'b') r->x[r->count++] = x;
  }
}

static void differentiate(Row *r) {
  Graph *g = r->graph;
  r->u = leaf_like(g, "u", &r->y->type);
  assert_true(grad_build(g, inner(g, r->y, r->u), r->x, r->count, r->first));
  for (int i = 0; i < r->count; i++) {
    r->v[i] = leaf_like(g, arena_printf(r->arena, "v%d", i), &r->x[i]->type);
    Node *part = inner(g, r->first[i], r->v[i]);
    r->S = i ? ir_binary(g, OP_add, r->S, part) : part;
  }
  Node *targets[OPERANDS + 1];
  memcpy(targets, r->x, sizeof r->x);
  targets[r->count] = r->u;
  if (r->count) assert_true(grad_build(g, r->S, targets, r->count + 1, r->second));
}

/* ---- finding settings ---- */

static void add_leaf(Gen *g) {
  Rng *r = &g->rng;
  int64_t dim[4];
  int rank = (int)rng_int(r, 0, 4);
  for (int d = 0; d < rank; d++) dim[d] = rng_int(r, 1, rank < 2 ? 40 : rank < 3 ? 9 : 4);
  Type t = type_of(ELEM_F32, rng_chance(r, 75), rank, dim);
  vec_push(g->arena, &g->pool, leaf_like(g->graph, arena_printf(g->arena, "p%d", g->leaves++), &t));
}

static Node *draw_node(Gen *g, Op op) {
  Node *in[SIG_OPERANDS + 4] = {0};
  Attr attr[SIG_ATTRS] = {{0}};
  int nin = 0;
  return draw_operands(g, op, &nin, in, attr) ? gen_node(g, op, nin, in, attr) : NULL;
}

/* The nodes of its derivatives too. */
static void add_with_derivatives(Settings *s, const Node *n) {
  if (!add_setting(s, n)) return;
  const char *text = s->text[n->op].at[s->text[n->op].count - 1];
  for (int way = 0; way < 4; way++) {
    Row r;
    open_row(&r, text, way & 1, way & 2);
    differentiate(&r);
    for (int i = 0; i < r.graph->nodes.count; i++) add_setting(s, r.graph->nodes.at[i]);
    arena_free(r.arena);
  }
}

static void draw_settings(Settings *s, Op op, uint64_t seed) {
  Gen g = {.arena = arena_new(), .rng = {seed}, .most = LARGEST};
  g.graph = ir_graph_new(g.arena, NULL, "row");
  for (int i = 0; i < 3; i++) add_leaf(&g);
  for (int i = 0; i < TRIES; i++) {
    Node *n = draw_node(&g, op);
    if (n) add_with_derivatives(s, n);
  }
  arena_free(g.arena);
}

static int rows_short(const Settings *s) {
  int count = 0;
  for (int op = 0; op < OP_COUNT; op++) count += !is_left_out((Op)op) && s->text[op].count < WANTED;
  return count;
}

static void find_settings(Settings *s) {
  for (uint64_t round = 0; round < ROUNDS && rows_short(s); round++)
    for (int op = 0; op < OP_COUNT; op++)
      if (op_info[op].kind != KIND_LEAF && op != OP_grad && op != OP_auc)
        draw_settings(s, (Op)op, round * OP_COUNT + (uint64_t)op);
  for (int op = 0; op < OP_COUNT; op++)
    if (!is_left_out((Op)op) && s->text[op].count < WANTED)
      print_error("%s: only %d settings were found\n", op_info[op].name, s->text[op].count);
  assert_int_equal(rows_short(s), 0);
}

/* ---- checking one ---- */

static void fill(Row *r, const Node *leaf, OpDomain domain, char word) {
  int64_t count;
  double *x = interp_leaf(r->interp, leaf, &count);
  for (int64_t i = 0; i < count; i++) x[i] = word == 'b' ? uniform() < 0.5 : draw_point(domain);
}

static void run(Row *r) {
  OpError e = {.arena = r->arena};
  if (!interp_run(r->interp, &e)) fail_msg("%s\n%s", e.text, r->text);
}

static void start(Row *r, bool training) {
  OpError e = {.arena = r->arena};
  r->interp = interp_new(r->arena, r->graph, BATCH, training, &e);
  if (!r->interp) fail_msg("%s\n%s", e.text, r->text);
  interp_random(r->interp, 7, 1);
  for (int i = 0; i < OPERANDS; i++) {
    const char *name = arena_printf(r->arena, "x%d", i);
    Node *mask = ir_find_leaf(r->graph, OP_input, name),
         *x = mask ? mask : ir_find_leaf(r->graph, OP_param, name);
    if (x && x->type.elem == ELEM_F32) fill(r, x, op_info[r->op].domain, word_of(r->op, i));
  }
  fill(r, r->u, DOMAIN_ANY, 'f');
  for (int i = 0; i < r->count; i++) fill(r, r->v[i], DOMAIN_ANY, 'f');
  interp_randomize(r->interp, 1); /* integers and buffers */
  run(r);
}

typedef struct {
  int64_t count;
  double *at;
} Values;

static Values values(Row *r, const Node *n) {
  const Tensor *t = interp_value(r->interp, n);
  Values v = {t->n * type_elements(&t->type), NULL};
  v.at = ARENA_ARRAY(r->arena, double, v.count + 1);
  memcpy(v.at, t->data, (size_t)v.count * sizeof *v.at);
  return v;
}

static double dot_of(Row *r, const Node *a, const Node *b, double *size) {
  Values x = values(r, a), y = values(r, b);
  double sum = 0;
  assert_int_equal(x.count, y.count);
  for (int64_t i = 0; i < x.count; i++) sum += x.at[i] * y.at[i], *size += fabs(x.at[i] * y.at[i]);
  return sum;
}

static void move(Row *r, double by) {
  for (int i = 0; i < r->count; i++) {
    int64_t count;
    double *x = interp_leaf(r->interp, r->x[i], &count);
    const double *v = interp_leaf(r->interp, r->v[i], NULL);
    for (int64_t k = 0; k < count; k++) x[k] += by * v[k];
  }
  run(r);
}

static void compare(const Row *r, const char *what, double is, double should, double room) {
  if (!(fabs(is - should) <= room))
    fail_msg("%s: %.12g, should be %.12g (room %g)\n%s", what, is, should, room, r->text);
}

static double largest(Values v) {
  double most = 1;
  for (int64_t i = 0; i < v.count; i++) most = fmax(most, fabs(v.at[i]));
  return most;
}

static int64_t check_products(Row *r) {
  const Node *jvp = r->second[r->count];
  double size = 0, second = 0;
  compare(r, "<u, J v>", dot_of(r, r->u, jvp, &size), values(r, r->S).at[0], rounding * (1 + size));
  for (int i = 0; i < r->count; i++) second += dot_of(r, r->second[i], r->v[i], &size);
  Values is = values(r, jvp);
  move(r, step);
  Values high = values(r, r->y);
  double above = values(r, r->S).at[0];
  move(r, -2 * step);
  Values low = values(r, r->y);
  double below = values(r, r->S).at[0];
  for (int64_t i = 0; i < is.count; i++)
    compare(r, "J v", is.at[i], (high.at[i] - low.at[i]) / (2 * step), tolerance * largest(is));
  compare(r, "second derivative", second, (above - below) / (2 * step), tolerance * (1 + size));
  return is.count + 2;
}

static int64_t check_setting(const char *text, bool training, bool formulas) {
  Row r;
  int64_t count = 0;
  open_row(&r, text, training, formulas);
  differentiate(&r);
  start(&r, training);
  if (r.count) count = check_products(&r);
  arena_free(r.arena);
  return count;
}

static void every_row(void **state) {
  Settings s = {.arena = *state};
  int64_t rows = 0, settings = 0, numbers = 0;
  find_settings(&s);
  for (int op = 0; op < OP_COUNT; op++) {
    rows += s.text[op].count > 0;
    settings += s.text[op].count;
    for (int i = 0; i < s.text[op].count; i++)
      numbers += check_setting(s.text[op].at[i], i & 1, i & 2);
  }
  print_message("%lld rows, %lld settings, %lld numbers compared\n", (long long)rows,
                (long long)settings, (long long)numbers);
  assert_true(numbers > settings);
}

int main(void) {
  const struct CMUnitTest tests[] = {TEST(every_row)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
