/* Every row of the op table, because it is a row: the type that is inferred against what is
 * evaluated, first and second derivatives and Jacobian products against central differences in
 * double, and the emitted code of elementwise ops, on a table of C doubles, against their values. A
 * row that checks no point fails.
 *
 * With c, d random: L = sum(c y(x)), S = <dL/dx, d>. dL/dx and dS/dx are compared with differences
 * of L and S, and dS/dc = J d with the difference of y along d. */
#include "tests/ir/fixture.h"

#include <math.h>
#include <stdlib.h>

#include "ir/interp.h"
#include "passes/expand.h"
#include "passes/grad.h"
#include "tests/ir/op_points.h"
#include "tests/ir/op_settings.h"

enum { BATCH = 3, OPERANDS = 8 };
static const double step = 1e-6, relative = 1e-3, tolerance = 1e-5;

/* ---- a case: one row in one setting, differentiated ---- */

typedef struct {
  Arena *arena;
  const OpInfo *info;
  const char *text;
  bool training;
  Graph *graph;
  Interp *interp;
  int noperands, ntargets;
  Node *operand[OPERANDS], *target[OPERANDS + 1]; /* targets: real operands, then c */
  char kind[OPERANDS];                            /* first letter of the operand's word; '_' */
  Node *direction[OPERANDS];
  Node *y, *c, *L, *S;
  Node *first[OPERANDS], *second[OPERANDS + 1];
} Case;

static void complain(const Case *c, const char *what) {
  fail_msg("%s: %s (%s)\n%s", c->info->name, what, c->training ? "training" : "evaluation",
           c->text);
}

/* The dimensions of a type word, without `*`; *batched tells whether it had one. */
static const char *dims_of(Arena *a, const char *word, bool *batched) {
  const char *open = strchr(word, '[');
  *batched = open && open[1] == '*';
  if (!open) return "[]";
  if (!*batched) return open;
  return open[2] == ',' ? arena_printf(a, "[%s", open + 3) : "[]";
}

static void put_operand(Case *c, Str *out, const char *word, int i) {
  bool batched;
  const char *dims = dims_of(c->arena, word, &batched);
  c->kind[i] = word[0];
  if (word[0] == '_') return;
  str_printf(out, "  %%%d = ", i);
  if (!strncmp(word, "buf", 3)) c->kind[i] = 'u';
  if (c->kind[i] == 'u')
    str_printf(out, "buffer {name=x%d, shape=%s, init=default}\n", i, dims);
  else if (batched)
    str_printf(out, "input {name=x%d, shape=%s, elem=\"%s\"}\n", i, dims,
               word[0] == 'i' ? "i32" : "f32");
  else
    str_printf(out, "param {name=x%d, shape=%s, init=default}\n", i, dims);
}

static void case_text(Case *c, const char *operands, const char *attrs) {
  Str out = str_new(c->arena);
  char *rest = arena_strdup(c->arena, operands), *word;
  str_put(&out, "graph test {\n");
  while ((word = strtok_r(rest, " ", &rest))) put_operand(c, &out, word, c->noperands++);
  str_printf(&out, "  %%%d = %s(", c->noperands, c->info->name);
  for (int i = 0; i < c->noperands; i++)
    str_printf(&out, c->kind[i] == '_' ? "%s_" : "%s%%%d", i ? ", " : "", i);
  str_printf(&out, ")%s%s%s\n  output y = %%%d\n}\n", *attrs ? " {" : "", attrs, *attrs ? "}" : "",
             c->noperands);
  c->text = out.text;
}

static void case_open(Case *c, bool formulas) {
  Arena *scratch = arena_new();
  c->graph = parse(c->arena, c->text);
  Type before = c->graph->results.at[0].node->type;
  expand_nodes(c->graph, c->training, formulas, scratch);
  c->y = c->graph->results.at[0].node;
  if (!type_equal(&before, &c->y->type))
    complain(c, "the expansion has another type than inferred");
  for (int i = 0; i < c->noperands; i++) {
    const char *name = arena_printf(c->arena, "x%d", i);
    Op leaf[] = {OP_input, OP_param, OP_buffer};
    for (int k = 0; k < 3 && !c->operand[i]; k++)
      c->operand[i] = ir_find_leaf(c->graph, leaf[k], name);
    if (c->kind[i] == 'f') c->target[c->ntargets++] = c->operand[i];
  }
  arena_free(scratch);
}

/* Gradients have their operands' types; only an elementwise op may leave summing to its caller. */
static void check_gradient_types(const Case *c, Node *n, Node *dy) {
  Node *dx[OPERANDS] = {NULL};
  bool elementwise = op_info[n->op].kind == KIND_ELEMENTWISE;
  if (!op_info[n->op].grad) return;
  assert_true(n->nin <= OPERANDS);
  op_info[n->op].grad(c->graph, n, dy, dx);
  for (int i = 0; i < n->nin; i++)
    if (dx[i] && !elementwise && !type_equal(&dx[i]->type, &n->in[i]->type))
      complain(c, arena_printf(c->arena, "gradient %d of %s has another type than its operand", i,
                               op_info[n->op].name));
}

static void case_differentiate(Case *c) {
  Graph *g = c->graph;
  c->c = leaf_like(g, "c", &c->y->type);
  check_gradient_types(c, c->y, c->c);
  c->L = inner(g, c->y, c->c);
  assert_true(grad_build(g, c->L, c->target, c->ntargets, c->first));
  for (int i = 0; i < c->ntargets; i++) {
    if (!type_equal(&c->first[i]->type, &c->target[i]->type))
      complain(c, "a gradient has another type than its operand");
    c->direction[i] = leaf_like(g, arena_printf(c->arena, "d%d", i), &c->target[i]->type);
    Node *part = inner(g, c->first[i], c->direction[i]);
    c->S = i ? ir_binary(g, OP_add, c->S, part) : part;
  }
  c->target[c->ntargets] = c->c;
  if (c->S) assert_true(grad_build(g, c->S, c->target, c->ntargets + 1, c->second));
}

static void fill(Case *c, const Node *leaf, OpDomain domain, char kind) {
  int64_t count;
  double *x = interp_leaf(c->interp, leaf, &count);
  for (int64_t i = 0; i < count; i++)
    x[i] = kind == 'i'   ? floor(between(0, 3))
           : kind == 'b' ? uniform() < 0.5
           : kind == 'u' ? between(0.5, 1.5)
                         : draw_point(domain);
}

static void run(Case *c) {
  OpError e = {.arena = c->arena};
  if (!interp_run(c->interp, &e)) complain(c, e.text);
}

static void case_start(Case *c) {
  OpError e = {.arena = c->arena};
  c->interp = interp_new(c->arena, c->graph, BATCH, c->training, &e);
  if (!c->interp) complain(c, e.text);
  interp_random(c->interp, 7, 1);
  for (int i = 0; i < c->noperands; i++)
    if (c->operand[i]) fill(c, c->operand[i], c->info->domain, c->kind[i]);
  fill(c, c->c, DOMAIN_ANY, 'f');
  for (int i = 0; i < c->ntargets; i++) fill(c, c->direction[i], DOMAIN_ANY, 'f');
  run(c);
}

/* ---- derivatives ---- */

static int64_t count_of(const Tensor *t) { return t->n * type_elements(&t->type); }

static double *values_of(Case *c, const Node *n) {
  const Tensor *t = interp_value(c->interp, n);
  double *copy = ARENA_ARRAY(c->arena, double, count_of(t) + 1);
  memcpy(copy, t->data, (size_t)count_of(t) * sizeof *copy);
  return copy;
}

static double value_of(Case *c, const Node *n) { return interp_value(c->interp, n)->data[0]; }

static void compare(const Case *c, const char *what, int operand, int64_t i, double got,
                    double want) {
  if (fabs(got - want) <= tolerance + relative * fabs(want)) return;
  complain(c, arena_printf(c->arena, "%s by operand %d, element %lld: %.9g, differences say %.9g",
                           what, operand, (long long)i, got, want));
}

/* Central differences of L and S in each element of target t. */
static int64_t check_target(Case *c, int t) {
  double *first = values_of(c, c->first[t]), *second = values_of(c, c->second[t]);
  int64_t count;
  double *x = interp_leaf(c->interp, c->target[t], &count), L[2], S[2];
  for (int64_t i = 0; i < count; i++) {
    double before = x[i];
    for (int side = 0; side < 2; side++) {
      x[i] = before + (side ? step : -step);
      run(c);
      L[side] = value_of(c, c->L);
      S[side] = value_of(c, c->S);
    }
    x[i] = before;
    compare(c, "first derivative", t, i, first[i], (L[1] - L[0]) / (2 * step));
    compare(c, "second derivative", t, i, second[i], (S[1] - S[0]) / (2 * step));
  }
  run(c);
  return 2 * count;
}

static void move_all(Case *c, double by) {
  int64_t count;
  for (int t = 0; t < c->ntargets; t++) {
    double *x = interp_leaf(c->interp, c->target[t], &count);
    const double *d = interp_leaf(c->interp, c->direction[t], &count);
    for (int64_t i = 0; i < count; i++) x[i] += by * d[i];
  }
  run(c);
}

/* J d against the difference of y along d. */
static int64_t check_jvp(Case *c) {
  int64_t count = count_of(interp_value(c->interp, c->y));
  double *jvp = values_of(c, c->second[c->ntargets]);
  move_all(c, step);
  double *high = values_of(c, c->y);
  move_all(c, -2 * step);
  double *low = values_of(c, c->y);
  move_all(c, step);
  for (int64_t i = 0; i < count; i++)
    compare(c, "Jacobian product", -1, i, jvp[i], (high[i] - low[i]) / (2 * step));
  return count;
}

/* detach is the identity whose derivative is by definition none. */
static int64_t check_no_gradient(Case *c) {
  int64_t count = count_of(interp_value(c->interp, c->first[0]));
  double *first = values_of(c, c->first[0]);
  for (int64_t i = 0; i < count; i++) compare(c, "first derivative", 0, i, first[i], 0);
  return count;
}

/* ---- shape against evaluation ---- */

static const double canary = 1.2345e67;

/* eval writes every element of the type it has, and nothing behind them. */
static int64_t check_eval(Case *c, const Node *n) {
  const Tensor *in[OPERANDS];
  EvalContext context = {.n = BATCH, .seed = 7, .step = 1};
  Tensor out = *interp_value(c->interp, n);
  int64_t count = count_of(&out), guard = 8;
  out.data = ARENA_ARRAY(c->arena, double, count + guard);
  for (int64_t i = 0; i < count + guard; i++) out.data[i] = canary;
  assert_true(n->nin <= OPERANDS);
  for (int i = 0; i < n->nin; i++) in[i] = interp_value(c->interp, n->in[i]);
  op_info[n->op].eval(n, in, &out, &context);
  for (int64_t i = 0; i < count; i++)
    if (out.data[i] == canary) complain(c, "eval leaves an element of its type unset");
  for (int64_t i = count; i < count + guard; i++)
    if (out.data[i] != canary) complain(c, "eval writes behind its type");
  return count;
}

static int64_t check_evals(Case *c) {
  int64_t points = 0;
  for (int i = 0; i < c->graph->nodes.count; i++)
    if (op_info[c->graph->nodes.at[i]->op].eval) points += check_eval(c, c->graph->nodes.at[i]);
  return points;
}

/* ---- all cases of a row ---- */

static int64_t check_case(const OpInfo *info, const char *operands, const char *attrs,
                          bool training, bool formulas) {
  Case c = {.arena = arena_new(), .info = info, .training = training};
  int64_t points = 0;
  case_text(&c, operands, attrs);
  case_open(&c, formulas);
  case_differentiate(&c);
  case_start(&c);
  if (!strcmp(info->name, "detach"))
    points += check_no_gradient(&c);
  else if (c.ntargets) {
    for (int t = 0; t < c.ntargets; t++) points += check_target(&c, t);
    points += check_jvp(&c);
  }
  points += check_evals(&c);
  arena_free(c.arena);
  return points;
}

/* Formulas by their own gradient and by that of their expansion; all in both modes where that
 * differs. */
static int64_t check_setting(const OpInfo *info, const char *operands, const char *attrs) {
  int64_t points = 0;
  for (int training = 0; training < (info->expand ? 2 : 1); training++)
    for (int formulas = 0; formulas < 2; formulas++)
      if (!formulas || info->expand)
        points += check_case(info, operands, attrs, training, formulas);
  return points;
}

static bool needs_attrs(Op op) {
  const Signature *s = op_signature(op);
  for (int i = 0; i < s->nattrs; i++)
    if (s->attr[i].required) return true;
  return false;
}

static int64_t check_automatic(Op op) {
  const OpInfo *info = &op_info[op];
  bool elementwise = info->kind == KIND_ELEMENTWISE;
  int count = elementwise ? sizeof automatic_elementwise / sizeof *automatic_elementwise
                          : sizeof automatic_other / sizeof *automatic_other;
  int64_t points = 0;
  if (needs_attrs(op)) fail_msg("%s has no setting in op_settings.h", info->name);
  for (int k = 0; k < count; k++) {
    char text[128] = "";
    for (int i = 0; i < op_signature(op)->noperands; i++) {
      const char *word = elementwise ? automatic_elementwise[k][i] : automatic_other[k][i];
      if (i) strcat(text, " ");
      strcat(text, word);
    }
    points += check_setting(info, text, "");
  }
  return points;
}

static int64_t check_row(Op op) {
  int64_t points = 0;
  bool any = false;
  for (size_t i = 0; i < sizeof op_settings / sizeof *op_settings; i++) {
    const OpSetting *s = &op_settings[i];
    if (strcmp(s->op, op_info[op].name) != 0) continue;
    points += check_setting(&op_info[op], s->operands, s->attrs);
    any = true;
  }
  return any ? points : check_automatic(op);
}

/* grad(s, t) has a test of its own below; leaves too. auc is no number of one batch. */
static void every_row(void **state) {
  (void)state;
  for (int op = 0; op < OP_COUNT; op++) {
    if (op_info[op].kind == KIND_LEAF || op == OP_grad || op == OP_auc) continue;
    if (check_row((Op)op) == 0) fail_msg("%s: no point was checked", op_info[op].name);
  }
}

static void every_setting_has_a_row(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof op_settings / sizeof *op_settings; i++)
    assert_int_not_equal(op_by_name(op_settings[i].op), OP_COUNT);
}

/* ---- leaves and grad ---- */

static void leaves_have_their_types(void **state) {
  Arena *a = *state;
  Graph *g = parse(a,
                   "graph t {\n"
                   "  %0 = input {name=x, shape=[2,3], elem=\"u8\"} : u8[*,2,3]\n"
                   "  %1 = target {name=y, classes=10, shape=[], elem=\"i32\"} : i32[*]\n"
                   "  %2 = param {name=w, shape=[4], init=default} : f32[4]\n"
                   "  %3 = buffer {name=b, shape=[], init=constant(1)} : f32\n"
                   "  %4 = constant {value=2.5, shape=[2]} : f32[2]\n"
                   "  %5 = hyper {name=\"lr\"} : f32\n"
                   "  %6 = batch_size : f32\n"
                   "  output y = %4\n}\n");
  assert_int_equal(g->nodes.count, 7);
}

/* ds/dx of s = sum x^3 is 3 x^2, and its sum differentiated again 6 x. */
static void grad_of_grad(void **state) {
  Arena *a = *state;
  Graph *g = parse(a,
                   "graph t {\n"
                   "  %0 = input {name=x, shape=[2], elem=\"f32\"}\n"
                   "  %1 = pow(%0) {exponent=3}\n"
                   "  %2 = sum(%1)\n"
                   "  %3 = grad(%2, %0) : f32[*,2]\n"
                   "  %4 = sum(%3)\n"
                   "  %5 = grad(%4, %0) : f32[*,2]\n"
                   "  output first = %3\n  output second = %5\n}\n");
  double x[4] = {1, -2, 0.5, 3};
  OpError e = {.arena = a};
  expand_nodes(g, false, false, a);
  grad_resolve(g, a);
  Interp *p = interp_new(a, g, 2, false, &e);
  assert_true(interp_bind(p, "x", x, 4) && interp_run(p, &e));
  for (int i = 0; i < 4; i++) {
    double first = interp_value(p, g->results.at[0].node)->data[i];
    double second = interp_value(p, g->results.at[1].node)->data[i];
    assert_true(fabs(first - (3 * x[i] * x[i])) <= 1e-12);
    assert_true(fabs(second - (6 * x[i])) <= 1e-12);
  }
}

/* ---- emitted code ---- */

/* An Emit table on doubles: a value is a place in `stack`. */
typedef struct {
  Emit emit;
  Arena *arena;
} DoubleEmit;

static EmitValue put(Emit *e, double x) {
  double *p = ARENA_NEW(((DoubleEmit *)e)->arena, double);
  *p = x;
  return (EmitValue)p;
}

static double at(EmitValue v) { return *(double *)v; }

#define UNARY(name, f) \
  static EmitValue e_##name(Emit *e, EmitValue a) { return put(e, f); }
#define BINARY(name, f) \
  static EmitValue e_##name(Emit *e, EmitValue a, EmitValue b) { return put(e, f); }
static EmitValue e_constant(Emit *e, double x) { return put(e, x); }
BINARY(add, at(a) + at(b))
BINARY(sub, at(a) - at(b))
BINARY(mul, at(a) * at(b))
BINARY(div, at(a) / at(b))
UNARY(neg, -at(a))
UNARY(abs, fabs(at(a)))
UNARY(sqrt, sqrt(at(a)))
BINARY(copysign, copysign(at(a), at(b)))
BINARY(less, at(a) < at(b))
BINARY(less_equal, at(a) <= at(b))
BINARY(equal, at(a) == at(b))
BINARY(not_equal, at(a) != at(b))
UNARY(exp, exp(at(a)))
UNARY(expm1, expm1(at(a)))
UNARY(log, log(at(a)))
UNARY(log1p, log1p(at(a)))
UNARY(tanh, tanh(at(a)))
UNARY(erf, erf(at(a)))
static EmitValue e_fma(Emit *e, EmitValue a, EmitValue b, EmitValue c) {
  return put(e, fma(at(a), at(b), at(c)));
}
static EmitValue e_select(Emit *e, EmitValue m, EmitValue a, EmitValue b) {
  return put(e, at(m) != 0 ? at(a) : at(b));
}

static DoubleEmit double_emit(Arena *a) {
  Emit e = {e_constant, e_add,  e_sub,      e_mul,  e_div,        e_neg,   e_fma,
            e_abs,      e_sqrt, e_copysign, e_less, e_less_equal, e_equal, e_not_equal,
            e_select,   e_exp,  e_expm1,    e_log,  e_log1p,      e_tanh,  e_erf};
  return (DoubleEmit){e, a};
}

static bool same(double a, double b) {
  return (isnan(a) && isnan(b)) || a == b || fabs(a - b) <= 1e-13 * fabs(b) + 1e-300;
}

static void check_emit(const Node *n, const double *x, int operands) {
  Arena *a = arena_new();
  DoubleEmit e = double_emit(a);
  EmitValue v[3];
  for (int i = 0; i < operands; i++) v[i] = put(&e.emit, x[i]);
  double emitted = at(op_info[n->op].emit(&e.emit, n, v)), value = op_info[n->op].eval_scalar(n, x);
  if (!same(emitted, value))
    fail_msg("%s(%g, %g, %g): emitted code gives %.17g, eval %.17g", op_info[n->op].name, x[0],
             x[1], x[2], emitted, value);
  arena_free(a);
}

/* Specials in every operand, and random numbers. */
static void check_emits(const Node *n) {
  static const double special[] = {NAN, INFINITY, -INFINITY, 0,   -0.0, 1,   -1,
                                   0.5, -2.25,    40,        -40, 800,  -800};
  enum { SPECIALS = sizeof special / sizeof *special };
  int operands = op_signature(n->op)->noperands;
  for (int i = 0; i < SPECIALS; i++)
    for (int j = 0; j < (operands > 1 ? SPECIALS : 1); j++)
      check_emit(n, (double[]){special[i], special[j], special[(i + j) % SPECIALS]}, operands);
  for (int i = 0; i < 50; i++)
    check_emit(n, (double[]){between(-5, 5), between(-5, 5), between(-5, 5)}, operands);
}

static void check_emits_with(Arena *a, Op op, double first, double second) {
  const Signature *s = op_signature(op);
  Attr *attr = ARENA_ARRAY(a, Attr, SIG_ATTRS);
  for (int i = 0; i < s->nattrs; i++) attr[i] = attr_float(i ? second : first);
  Node n = {.op = op, .attr = attr};
  check_emits(&n);
}

static void emitted_code_equals_eval(void **state) {
  Arena *a = *state;
  static const double power[] = {0,    1,   2,   3,    7,  -1,  -2,     0.5,
                                 -0.5, 1.5, 2.7, -0.3, 65, -71, 1.0 / 3};
  for (int op = 0; op < OP_COUNT; op++)
    if (op_info[op].kind == KIND_ELEMENTWISE && op != OP_pow) check_emits_with(a, (Op)op, -1, 1.5);
  check_emits_with(a, OP_clamp, -INFINITY, 0);
  for (size_t i = 0; i < sizeof power / sizeof *power; i++)
    check_emits_with(a, OP_pow, power[i], 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_row), cmocka_unit_test(every_setting_has_a_row),
      TEST(leaves_have_their_types), TEST(grad_of_grad), TEST(emitted_code_equals_eval)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
