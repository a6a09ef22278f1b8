/* The simplify pass: every rule line, the rewrites of shapes, sums and products, common
 * subexpressions, and what must stay. Each case is also interpreted before and after. */
#include "tests/passes/fixture.h"

#include <ctype.h>
#include <stdlib.h>

#include "passes/check.h"

/* ---- expressions as text: op(a, b; attribute) ---- */

static Graph *leaves(Arena *a) {
  return parse(a,
               "graph g {\n"
               "  %0 = input {name=\"x\", shape=[3,4], elem=\"f32\"}\n"
               "  %1 = input {name=\"y\", shape=[3,4], elem=\"f32\"}\n"
               "  %2 = input {name=\"s\", shape=[], elem=\"f32\"}\n"
               "  %3 = param {name=\"w\", shape=[4], init=constant(1)}\n"
               "  %4 = param {name=\"u\", shape=[], init=constant(1)}\n"
               "  %5 = target {name=\"label\", classes=4, shape=[3], elem=\"i32\"}\n"
               "}\n");
}

static Node *find(const Graph *g, const char *name) {
  for (int i = 0; i < g->nodes.count; i++)
    if (op_info[g->nodes.at[i]->op].kind == KIND_LEAF && g->nodes.at[i]->op != OP_constant &&
        !strcmp(node_str(g->nodes.at[i], "name"), name))
      return g->nodes.at[i];
  fail_msg("no leaf %s", name);
  return NULL;
}

static Attr read_attr(Arena *a, const char **p) {
  if (!strncmp(*p, "true", 4) || !strncmp(*p, "false", 5)) {
    bool b = **p == 't';
    *p += b ? 4 : 5;
    return attr_bool(b);
  }
  if (**p != '[') return attr_float(strtod(*p, (char **)p));
  int64_t *v = ARENA_ARRAY(a, int64_t, LIMIT_RANK);
  int n = 0;
  for ((*p)++; **p != ']'; *p += **p == ',') v[n++] = strtol(*p, (char **)p, 10);
  (*p)++;
  return attr_ints(n, v);
}

/* Integers given to an int attribute arrive as floats. */
static void fit_attrs(Op op, int n, Attr *attr) {
  for (int i = 0; i < n; i++) {
    AttrKind kind = op_signature(op)->attr[i].kind;
    if (attr[i].kind == ATTR_FLOAT && (kind == ATTR_INT || kind == ATTR_DIM))
      attr[i] = attr_int((int64_t)attr[i].f);
  }
}

static Node *build(Graph *g, const char **p) {
  if (!isalpha((unsigned char)**p)) return ir_constant(g, strtod(*p, (char **)p));
  size_t n = strspn(*p, "abcdefghijklmnopqrstuvwxyz_0123456789");
  char *name = arena_strndup(g->arena, *p, n);
  *p += n;
  if (**p != '(') return find(g, name);
  Node *in[8];
  Attr attr[SIG_ATTRS];
  Op op = op_by_name(name);
  const Signature *sig = op_signature(op);
  int nin = 0, nattr = 0;
  bool attrs = false;
  for (int i = 0; i < sig->nattrs; i++) attr[i] = sig->attr[i].value;
  for ((*p)++; **p != ')'; *p += strspn(*p, ",; ")) {
    if (attrs)
      attr[nattr++] = read_attr(g->arena, p);
    else
      in[nin++] = build(g, p);
    attrs = attrs || **p == ';';
  }
  (*p)++;
  fit_attrs(op, nattr, attr);
  return ir_make(g, op, nin, in, attr);
}

static void put_attr(Str *s, const Attr *a) {
  if (a->kind == ATTR_FLOAT)
    str_double(s, a->f);
  else if (a->kind == ATTR_BOOL)
    str_put(s, a->i ? "true" : "false");
  else if (a->v || a->kind == ATTR_INTS) {
    str_put(s, "[");
    for (int i = 0; i < a->n; i++) str_printf(s, "%s%lld", i ? "," : "", (long long)a->v[i]);
    str_put(s, "]");
  } else
    str_printf(s, "%lld", (long long)a->i);
}

static void put(Str *s, const Node *n) {
  if (n->op == OP_constant) {
    str_double(s, node_float(n, "value"));
    return;
  }
  if (n->op == OP_batch_size || op_info[n->op].kind == KIND_LEAF) {
    str_put(s, n->op == OP_batch_size ? "n" : node_str(n, "name"));
    return;
  }
  str_printf(s, "%s(", op_info[n->op].name);
  for (int i = 0; i < n->nin; i++) {
    if (i) str_put(s, ", ");
    put(s, n->in[i]);
  }
  for (int i = 0; i < op_signature(n->op)->nattrs; i++) {
    str_put(s, i ? ", " : "; ");
    put_attr(s, &n->attr[i]);
  }
  str_put(s, ")");
}

/* `before` after pass simplify or clean, as text. */
static const char *simplified(Arena *a, Graph *g, const char *before, const char *pass) {
  Node *root = build(g, &before);
  ir_result(g, RESULT_OUTPUT, "r", root, NULL);
  ir_tidy(g);
  PassOptions o = options_for(a, g);
  Check *check = check_before(g, a);
  Type type = root->type;
  assert_true(pipeline_passes(g, pass, &o));
  check_after(check, g, pass, o.diags);
  diags_print(o.diags, stderr, false);
  assert_int_equal(o.diags->errors, 0);
  assert_null(ir_verify(g, a));
  assert_true(type_equal(&g->results.at[0].node->type, &type));
  Str s = str_new(a);
  put(&s, g->results.at[0].node);
  return s.text;
}

typedef struct {
  const char *before, *after;
} Case;

static void check_cases(Arena *a, const Case *c, size_t n, const char *pass) {
  for (size_t i = 0; i < n; i++)
    assert_string_equal(simplified(a, leaves(a), c[i].before, pass), c[i].after);
}
#define CHECK_PASS(list, pass) check_cases(*state, list, sizeof list / sizeof list[0], pass)
#define CHECK(list) CHECK_PASS(list, "simplify")

/* ---- rule lines ---- */

static void test_identities(void **state) {
  static const Case cases[] = {
      {"identity(x)", "x"},
      {"detach(x)", "x"},
      {"add(x, 0)", "x"},
      {"add(0, x)", "x"},
      {"sub(x, 0)", "x"},
      {"sub(0, x)", "neg(x)"},
      {"mul(x, 1)", "x"},
      {"mul(1, x)", "x"},
      {"mul(x, -1)", "neg(x)"},
      {"div(x, 1)", "x"},
      {"div(x, -1)", "neg(x)"},
      {"pow(x; 0)", "broadcast(1; [3,4], true)"},
      {"pow(x; 1)", "x"},
      {"pow(x; 2)", "square(x)"},
      {"pow(x; -1)", "div(1, x)"},
      {"mul(x, x)", "square(x)"},
      {"minimum(x, x)", "x"},
      {"maximum(x, x)", "x"},
      {"select(s, x, x)", "x"},
      {"relu(relu(x))", "relu(x)"},
      {"positive(positive(x))", "positive(x)"},
      {"square(positive(x))", "positive(x)"},
      {"exp(log_softmax(x; 1))", "softmax(x; 1)"},
  };
  CHECK(cases);
}

static void test_signs(void **state) {
  static const Case cases[] = {
      {"neg(neg(x))", "x"},
      {"neg(sub(x, y))", "sub(y, x)"},
      {"neg(mul(x, 3))", "mul(x, -3)"},
      {"neg(mul(sub(x, y), s))", "mul(sub(y, x), s)"},
      {"neg(div(sub(x, y), s))", "div(sub(y, x), s)"},
      {"add(x, neg(y))", "sub(x, y)"},
      {"add(neg(x), y)", "sub(y, x)"},
      {"sub(x, neg(y))", "add(x, y)"},
      {"sub(neg(x), y)", "neg(add(x, y))"},
      {"mul(neg(x), 3)", "mul(x, -3)"},
      {"mul(neg(x), y)", "neg(mul(x, y))"},
      {"mul(x, neg(y))", "neg(mul(y, x))"},
      {"div(neg(x), y)", "neg(div(x, y))"},
      {"div(x, neg(y))", "neg(div(x, y))"},
      {"abs(neg(x))", "abs(x)"},
      {"abs(abs(x))", "abs(x)"},
      {"square(neg(x))", "square(x)"},
      {"square(abs(x))", "square(x)"},
      {"mul(sub(x, y), -2)", "mul(sub(y, x), 2)"},
      {"mul(sub(x, y), div(-2, s))", "mul(sub(y, x), div(2, s))"},
  };
  CHECK(cases);
}

static void test_scales(void **state) {
  static const Case cases[] = {
      {"div(x, 4)", "mul(x, 0.25)"},
      {"mul(mul(x, 2), 3)", "mul(x, 6)"},
      {"select(one_hot(label; 4), 3, 0)", "mul(one_hot(label; 4), 3)"},
      {"select(one_hot(label; 4), s, 0)", "select(one_hot(label; 4), s, 0)"},
      {"mul(3, mul(2, x))", "mul(x, 6)"},
      {"mul(div(2, x), 3)", "div(6, x)"},
      {"mul(mul(x, div(2, s)), 3)", "mul(x, div(6, s))"},
      {"mul(mul(x, 2), y)", "mul(mul(x, y), 2)"},
      {"mul(mul(s, 2), y)", "mul(mul(s, 2), y)"}, /* doubling s costs less */
      {"sub(mul(x, s), mul(y, s))", "mul(sub(x, y), s)"},
      {"sub(mul(s, x), mul(s, y))", "mul(sub(x, y), s)"},
      {"add(mul(x, s), mul(y, s))", "mul(add(x, y), s)"},
      {"sub(div(x, u), div(y, u))", "div(sub(x, y), u)"},
      {"add(div(x, u), div(y, u))", "div(add(x, y), u)"},
      {"sub(mul(x, y), mul(y, y))", "sub(mul(x, y), square(y))"}, /* y is no scale */
  };
  CHECK(cases);
}

/* What would turn a NaN or an infinity into a number, or a number into another. */
static void test_what_stays(void **state) {
  static const Case cases[] = {
      {"mul(x, 0)", "mul(x, 0)"},
      {"sub(x, x)", "sub(x, x)"},
      {"div(x, x)", "div(x, x)"},
      {"add(x, 1)", "add(x, 1)"},
      {"div(x, 0)", "div(x, 0)"},
      {"log(exp(x))", "log(exp(x))"},
      {"sqrt(square(x))", "sqrt(square(x))"},
      {"mul(x, w)", "mul(x, w)"},
      {"log_softmax(x; 1)", "log_softmax(x; 1)"},
  };
  CHECK(cases);
}

/* Single precision holds 1e-38 to 3e38: a constant that is larger, or smaller, or that comes to
 * stand elsewhere, would make 0 * inf of x = 0, or 0 of x = 1e30. */
static void test_range_stays(void **state) {
  static const Case cases[] = {
      {"mul(mul(x, 1e30), 1e30)", "mul(mul(x, 1e+30), 1e+30)"},
      {"mul(mul(x, 1e-30), 1e-30)", "mul(mul(x, 1e-30), 1e-30)"},
      {"mul(mul(x, 1e20), 1e-25)", "mul(x, 1e-05)"},
      {"mul(div(1e30, x), 1e30)", "mul(div(1e+30, x), 1e+30)"},
      {"mul(mul(x, div(1e30, s)), 1e30)", "mul(mul(x, div(1e+30, s)), 1e+30)"},
      {"mul(mul(x, div(1e-10, s)), 1e10)", "mul(mul(x, div(1e-10, s)), 1e+10)"},
      {"mul(mul(x, 1e-30), y)", "mul(mul(x, 1e-30), y)"},
      {"mul(mul(x, 1e30), y)", "mul(mul(x, 1e+30), y)"},
      {"reduce_sum(mul(x, 1e-30); [0], false)", "reduce_sum(mul(x, 1e-30); [0], false)"},
  };
  CHECK(cases);
  static const Case lowered[] = {
      {"mul(mul(x, w), 1e30)", "mul(mul(x, w), 1e+30)"},
      {"mul(mul(x, 1e30), 1e30)", "mul(mul(x, 1e+30), 1e+30)"},
      {"reduce_sum(mul(mul(x, y), 1e-30); [0], false)",
       "reduce_sum(mul(mul(x, y), 1e-30); [0], false)"},
  };
  CHECK_PASS(lowered, "clean");
}

static void test_folding(void **state) {
  static const Case cases[] = {
      {"add(2, 3)", "5"},
      {"exp(sub(2, 2))", "1"},
      {"mul(x, add(2, 3))", "mul(x, 5)"},
      {"add(x, mul(2, 0))", "x"},
      {"broadcast(add(1, 1); [2,2], true)", "broadcast(2; [2,2], true)"},
      {"permute(broadcast(2; [2,3], true); [1,0])", "broadcast(2; [3,2], true)"},
      {"reduce_sum(broadcast(2; [3,5], true); [0], false)", "broadcast(6; [5], true)"},
      {"reduce_sum(broadcast(2; [3], true); [0], true)", "mul(6, n)"},
  };
  CHECK(cases);
}

/* ---- shapes, sums, products ---- */

static void test_views(void **state) {
  static const Case cases[] = {
      {"reshape(x; [3,4])", "x"},
      {"reshape(reshape(x; [2,6]); [12])", "reshape(x; [12])"},
      {"reshape(reshape(x; [12]); [3,4])", "x"},
      {"permute(x; [0,1])", "x"},
      {"permute(permute(x; [1,0]); [1,0])", "x"},
      {"permute(permute(reshape(x; [2,3,2]); [1,2,0]); [1,2,0])",
       "permute(reshape(x; [2,3,2]); [2,0,1])"},
      {"broadcast(x; [3,4], true)", "x"},
      {"broadcast(w; [1,4], false)", "reshape(w; [1,4])"},
      {"broadcast(broadcast(w; [3,4], false); [2,3,4], true)", "broadcast(w; [2,3,4], true)"},
      {"mul(x, broadcast(w; [3,4], true))", "mul(x, w)"},
      {"exp(broadcast(w; [3,4], true))", "broadcast(exp(w); [3,4], true)"},
      {"cut(x; [0,0], [3,4], [1,1])", "x"},
      {"cut(x; [1,0], [2,4], [1,1])", "cut(x; [1,0], [2,4], [1,1])"},
      {"surround(x; [0,0], [0,0], [0,0], 0)", "x"},
      {"surround(x; [1,0], [0,0], [0,0], 0)", "surround(x; [1,0], [0,0], [0,0], 0)"},
      {"concat(x; 0)", "x"},
      {"reshape(broadcast(s; [3,4], true); [12])", "broadcast(s; [12], true)"},
      {"real(x)", "x"},
      {"exp(reshape(x; [12]))", "reshape(exp(x); [12])"},
      {"mul(reshape(w; [4,1]), reshape(exp(w); [4,1]))", "reshape(mul(w, exp(w)); [4,1])"},
      {"add(reshape(w; [4,1]), 1)", "reshape(add(w, 1); [4,1])"},
      {"mul(reshape(w; [4,1]), reshape(w; [1,4]))", "mul(reshape(w; [4,1]), reshape(w; [1,4]))"},
      {"mul(reshape(x; [12]), reshape(reshape(y; [6,2]); [12]))", "reshape(mul(x, y); [12])"},
  };
  CHECK(cases);
}

static void test_sums(void **state) {
  static const Case cases[] = {
      {"reduce_sum(reshape(x; [1,12]); [0], false)", "reshape(x; [12])"},
      {"reduce_sum(reduce_sum(x; [1], false); [0], false)", "reduce_sum(x; [0,1], false)"},
      {"reduce_sum(reduce_sum(x; [0], false); [0], true)", "reduce_sum(x; [0,1], true)"},
      {"reduce_sum(mul(x, 3); [0], false)", "mul(reduce_sum(x; [0], false), 3)"},
      {"reduce_sum(one_hot(label; 4); [1], false)", "broadcast(1; [3], true)"},
      {"reduce_sum(permute(one_hot(label; 4); [1,0]); [0], false)", "broadcast(1; [3], true)"},
      {"reduce_sum(mul(one_hot(label; 4), s); [1], false)", "broadcast(s; [3], true)"},
      {"reduce_sum(select(one_hot(label; 4), s, 0); [1], false)", "broadcast(s; [3], true)"},
      {"reduce_sum(select(one_hot(label; 4), w, 0); [1], false)",
       "reduce_sum(select(one_hot(label; 4), w, 0); [1], false)"},
      {"reduce_sum(select(s, one_hot(label; 4), 0); [1], false)",
       "reduce_sum(select(s, one_hot(label; 4), 0); [1], false)"},
      {"reduce_sum(add(mul(one_hot(label; 4), 0.5), 0.125); [1], false)",
       "broadcast(1; [3], true)"},
      {"reduce_sum(one_hot(label; 4); [0], false)", "reduce_sum(one_hot(label; 4); [0], false)"},
      {"reduce_sum(broadcast(w; [3,4], true); [0], true)", "mul(mul(w, 3), n)"},
  };
  CHECK(cases);
}

/* In the lowered graph what few elements say is computed on few. */
static void test_factors(void **state) {
  static const Case cases[] = {
      {"mul(mul(x, w), u)", "mul(x, mul(w, u))"},
      {"mul(w, mul(u, x))", "mul(x, mul(u, w))"},
      {"mul(mul(x, y), w)", "mul(mul(x, y), w)"},
      {"mul(mul(x, s), w)", "mul(x, mul(s, w))"},
      /* together no smaller than x */
      {"mul(mul(x, w), reshape(reduce_max(x; [1], false); [3,1]))",
       "mul(mul(x, w), reshape(reduce_max(x; [1], false); [3,1]))"},
      {"reduce_sum(mul(x, w); [0], false)", "mul(reduce_sum(x; [0], false), w)"},
      {"reduce_sum(mul(x, w); [1], false)", "reduce_sum(mul(x, w); [1], false)"},
      {"reduce_sum(mul(mul(x, w), y); [0], true)", "mul(reduce_sum(mul(x, y); [0], true), w)"},
      {"reduce_sum(mul(mul(w, x), mul(u, y)); [0], false)",
       "mul(reduce_sum(mul(x, y); [0], false), mul(w, u))"},
      {"reduce_sum(mul(x, s); [1], false)", "mul(reduce_sum(x; [1], false), s)"},
      {"reduce_sum(mul(x, s); [1], true)", "reduce_sum(mul(x, s); [1], true)"},
      {"reduce_sum(mul(w, u); [0], false)", "mul(reduce_sum(w; [0], false), u)"},
      /* the sum of w alone would have other terms */
      {"reduce_sum(mul(w, reshape(reduce_sum(x; [1], false); [3,1])); [1], false)",
       "reduce_sum(mul(w, reshape(reduce_sum(x; [1], false); [3,1])); [1], false)"},
  };
  CHECK_PASS(cases, "clean");
  static const Case formulas[] = {
      {"mul(mul(x, w), u)", "mul(mul(x, w), u)"},
      {"reduce_sum(mul(x, w); [0], false)", "reduce_sum(mul(x, w); [0], false)"}};
  CHECK(formulas);
}

static void test_products(void **state) {
  static const Case cases[] = {
      {"dot_general(permute(x; [1,0]), y; [1], [0], [], [], false)",
       "dot_general(x, y; [0], [0], [], [], false)"},
      {"dot_general(x, permute(y; [1,0]); [1], [0], [], [], false)",
       "dot_general(x, y; [1], [1], [], [], false)"},
      {"dot_general(w, x; [0], [1], [], [], false)", "dot_general(w, x; [0], [1], [], [], false)"},
      {"dot_general(reshape(w; [4,1]), reduce_sum(x; [0], false); [0], [0], [], [], false)",
       "dot_general(reduce_sum(x; [0], false), reshape(w; [4,1]); [0], [0], [], [], false)"},
      /* free dimensions that change places must stay */
      {"dot_general(permute(reshape(x; [2,3,2]); [1,0,2]), w; [], [], [], [], false)",
       "dot_general(permute(reshape(x; [2,3,2]); [1,0,2]), w; [], [], [], [], false)"},
  };
  CHECK(cases);
}

/* ---- whole graphs ---- */

static Graph *simplify_text(Arena *a, const char *text) {
  Graph *g = parse(a, text);
  PassOptions o = options_for(a, g);
  assert_true(pipeline_passes(g, "simplify", &o));
  return g;
}

/* A mean over the batch of a mean over the sample, which is an output too. */
static void test_sums_that_others_need(void **state) {
  static const char *const text =
      "graph g {\n"
      "  %%0 = input {name=\"x\", shape=[3,4], elem=\"f32\"}\n"
      "  %%1 = reduce_sum(%%0) {dims=[0,1]}\n  %%2 = constant {value=0.25}\n  %%3 = mul(%%1, %%2)\n"
      "  %%4 = reduce_sum(%%3) {dims=[], batch=true}\n  output r = %%4\n%s}\n";
  Arena *a = *state;
  assert_int_equal(count_op(simplify_text(a, arena_printf(a, text, "")), OP_reduce_sum), 1);
  assert_int_equal(
      count_op(simplify_text(a, arena_printf(a, text, "  output s = %3\n")), OP_reduce_sum), 2);
}

static void test_common_subexpressions(void **state) {
  Graph *g = simplify_text(*state,
                           "graph g {\n"
                           "  %0 = input {name=\"x\", shape=[2], elem=\"f32\"}\n"
                           "  %1 = input {name=\"y\", shape=[2], elem=\"f32\"}\n"
                           "  %2 = mul(%0, %1)\n  %3 = mul(%1, %0)\n  %4 = mul(%0, %1)\n"
                           "  %5 = add(%2, %3)\n  %6 = sub(%5, %4)\n"
                           "  %7 = clamp(%6) {lo=0, hi=1}\n  %8 = clamp(%6) {lo=0, hi=2}\n"
                           "  %9 = div(%7, %8)\n  output r = %9\n}\n");
  assert_int_equal(count_op(g, OP_mul), 1);
  assert_int_equal(count_op(g, OP_clamp), 2);
}

static void test_what_is_never_merged(void **state) {
  Graph *g = simplify_text(*state,
                           "graph g {\n"
                           "  %0 = input {name=\"x\", shape=[2], elem=\"f32\"}\n"
                           "  %1 = param {name=\"a\", shape=[2], init=constant(1)}\n"
                           "  %2 = param {name=\"b\", shape=[2], init=constant(1)}\n"
                           "  %3 = random_mask(%0) {keep=0.5, stream=0}\n"
                           "  %4 = random_mask(%0) {keep=0.5, stream=1}\n"
                           "  %5 = mul(%3, %1)\n  %6 = mul(%4, %2)\n  %7 = add(%5, %6)\n"
                           "  output r = %7\n}\n");
  assert_int_equal(count_op(g, OP_param), 2);
  assert_int_equal(count_op(g, OP_random_mask), 2);
}

static void test_dead_code_goes_and_leaves_stay(void **state) {
  Graph *g = simplify_text(*state,
                           "graph g {\n"
                           "  %0 = input {name=\"x\", shape=[2], elem=\"f32\"}\n"
                           "  %1 = param {name=\"unused\", shape=[2], init=constant(1)}\n"
                           "  %2 = exp(%0)\n  %3 = log(%2)\n  output r = %2\n}\n");
  assert_int_equal(count_op(g, OP_log), 0);
  assert_int_equal(count_op(g, OP_param), 1);
}

/* The backward sign is read off relu(x), so that x need not be kept; without a relu it stays. */
static void test_positive_reads_the_relu(void **state) {
  static const char *const text =
      "graph g {\n"
      "  %%0 = input {name=\"x\", shape=[2], elem=\"f32\"}\n"
      "  %%1 = exp(%%0)\n  %%2 = %s(%%1)\n  %%3 = positive(%%1)\n"
      "  output y = %%2\n  output p = %%3\n}\n";
  Graph *with = simplify_text(*state, arena_printf(*state, text, "relu"));
  assert_int_equal(result(with, RESULT_OUTPUT, "p")->node->in[0]->op, OP_relu);
  Graph *without = simplify_text(*state, arena_printf(*state, text, "tanh"));
  assert_int_equal(result(without, RESULT_OUTPUT, "p")->node->in[0]->op, OP_exp);
}

/* grad(s, t) means by this very t: nothing may be merged before it is resolved. */
static void test_waits_for_grad(void **state) {
  Graph *g = simplify_text(*state,
                           "graph g {\n"
                           "  %0 = input {name=\"x\", shape=[], elem=\"f32\"}\n"
                           "  %1 = identity(%0)\n  %2 = mul(%0, %1)\n  %3 = grad(%2, %1)\n"
                           "  output r = %3\n}\n");
  assert_int_equal(count_op(g, OP_identity), 1);
  pass_grad(g, *state, NULL);
  PassOptions o = options_for(*state, g);
  assert_true(pipeline_passes(g, "simplify", &o));
  assert_ptr_equal(g->results.at[0].node, g->nodes.at[0]); /* x, not 2 x */
}

/* dL/dz of softmax cross-entropy is (softmax(z) - onehot) / n: one difference, no sum over classes.
 */
static void test_cross_entropy_gradient(void **state) {
  Graph *g = program(*state, net(*state, "dropout_mlp"), PROGRAM_GRAD, "simplify", 2);
  const Node *db = result(g, RESULT_GRAD, "fc2.bias")->node;
  assert_int_equal(db->op, OP_reduce_sum);
  const Node *dz = db->in[0];
  assert_int_equal(dz->op, OP_mul);
  assert_int_equal(dz->in[0]->op, OP_sub);
  assert_int_equal(dz->in[0]->in[0]->op, OP_softmax);
  assert_int_equal(dz->in[0]->in[1]->op, OP_one_hot);
  assert_int_equal(dz->in[1]->op, OP_div);
  assert_int_equal(dz->in[1]->in[1]->op, OP_batch_size);
}

/* A second run finds nothing more to do. */
static void test_is_a_fixpoint(void **state) {
  static const char *const names[] = {"regression_mlp", "concat_dropout", "batch_norm",
                                      "second_order", "many_ops"};
  for (int i = 0; i < 5; i++) {
    Graph *g = program(*state, net(*state, names[i]), PROGRAM_TRAIN, "clean", 2);
    const char *once = print(*state, g);
    pass_simplify(g, *state, NULL);
    assert_string_equal(print(*state, g), once);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_identities),
      TEST(test_signs),
      TEST(test_scales),
      TEST(test_what_stays),
      TEST(test_range_stays),
      TEST(test_folding),
      TEST(test_views),
      TEST(test_sums),
      TEST(test_factors),
      TEST(test_sums_that_others_need),
      TEST(test_products),
      TEST(test_common_subexpressions),
      TEST(test_what_is_never_merged),
      TEST(test_dead_code_goes_and_leaves_stay),
      TEST(test_positive_reads_the_relu),
      TEST(test_waits_for_grad),
      TEST(test_cross_entropy_gradient),
      TEST(test_is_a_fixpoint),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
