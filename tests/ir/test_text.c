/* The text form: what is printed parses back to the same graph; what is broken gives one error with
 * its place. */
#include "tests/ir/fixture.h"

static char *data_file(Arena *a, const char *name) {
  return read_text(a, arena_printf(a, "%s/%s", TEST_SOURCE_DIR, name));
}

/* Prints g, parses that, and expects the same graph and the same text. */
static Graph *round_trip(Arena *a, const Graph *g) {
  const char *once = print(a, g);
  Graph *again = parse(a, once);
  assert_string_equal(print(a, again), once);
  assert_true(ir_equal(g, again));
  assert_null(ir_verify(again, a));
  return again;
}

static void every_op_goes_round(void **state) {
  Arena *a = *state;
  Graph *g = parse(a, data_file(a, "tests/ir/all_ops.ir"));
  bool seen[OP_COUNT] = {false};
  for (int i = 0; i < g->nodes.count; i++) seen[g->nodes.at[i]->op] = true;
  for (int op = 0; op < OP_COUNT; op++)
    if (!seen[op]) fail_msg("no %s in all_ops.ir", op_info[op].name);
  round_trip(a, g);
  round_trip(a, ir_copy(g, a));
}

/* The first block of docs/ir.md between ``` lines is a whole graph. */
static void the_manual_is_right(void **state) {
  Arena *a = *state;
  char *text = data_file(a, "docs/ir.md"), *start = strstr(text, "```\ngraph");
  assert_non_null(start);
  char *end = strstr(start + 4, "```");
  assert_non_null(end);
  Graph *g = parse(a, arena_strndup(a, start + 4, (size_t)(end - start - 4)));
  assert_string_equal(print(a, g), arena_strndup(a, start + 4, (size_t)(end - start - 4)));
  assert_null(ir_verify(g, a));
}

static const char everything[] =
    "graph net program train {\n"
    "  file 1 \"a b.net\"\n"
    "  file 2 \"\\\"\\\\\\x0a.net\"\n"
    "  train {\n"
    "    optimizer sgd {lr=0.1, momentum=0.9, nesterov=true}\n"
    "    schedule cosine {period=12, min_lr=1e-06}\n"
    "    augment hflip\n"
    "    augment rotate {degrees=15}\n"
    "    freeze \"layer?.*\"\n"
    "    freeze \"\"\n"
    "    warmup_steps 100\n"
    "    batch 64\n"
    "    epochs 12\n"
    "    seed 9\n"
    "    clip_grad_norm 0.5\n"
    "  }\n"
    "  %0 = input {name=\"x\", shape=[2,3], elem=\"f32\"} : f32[*,2,3] !a.label group 3 order "
    "[1,0] "
    "offset 4096 @1:2:3-4:5\n"
    "  %1 = param {name=\"w.0.b\", shape=[3], init=uniform(-0.1, 0.30000000000000004)} : f32[3] "
    "!fc1.0 @2:7:1-7:9\n"
    "  %2 = mul(%0, %1) : f32[*,2,3] group 2147483647 offset 0\n"
    "  %3 = clamp(%2) {lo=-inf, hi=nan} : f32[*,2,3]\n"
    "  %4 = constant {value=-0} : f32\n"
    "  %5 = constant {value=4.9406564584124654e-324, shape=[3]} : f32[3]\n"
    "  output y0 = %3\n"
    "  loss = %4\n"
    "  grad w.0.b = %5 of %1\n"
    "  assign w.0.b = %5 of %1\n"
    "}\n";

static void every_field_goes_round(void **state) {
  Arena *a = *state;
  Graph *g = parse(a, everything);
  Str shortest = str_new(a);
  str_double(&shortest, 5e-324);
  round_trip(a, g);
  const char *text = print(a, g);
  const char *denormal = strstr(everything, "4.9406564584124654e-324");
  size_t before = (size_t)(denormal - everything);
  assert_memory_equal(text, everything, before);
  assert_memory_equal(text + before, shortest.text, shortest.length);
  assert_string_equal(text + before + shortest.length, denormal + 23);
}

static void every_field_is_read(void **state) {
  Arena *a = *state;
  Graph *g = parse(a, everything);
  Node *x = g->nodes.at[0], *w = g->nodes.at[1];
  assert_string_equal(g->program, "train");
  assert_string_equal(x->label, "a.label");
  assert_int_equal(x->group, 3);
  assert_true(x->ordered && x->order[0] == 1 && x->order[1] == 0);
  assert_int_equal(x->offset, 4096);
  assert_int_equal(x->span.line, 2);
  assert_int_equal(x->span.end_col, 5);
  assert_string_equal(g->sources->files.at[x->span.file].path, "a b.net");
  assert_string_equal(g->sources->files.at[w->span.file].path, "\"\\\n.net");
  assert_int_equal(g->nodes.at[2]->offset, 0);
  assert_int_equal(g->nodes.at[3]->offset, -1);
  assert_int_equal(node_attr(w, "init")->init.kind, INIT_UNIFORM);
  assert_true(node_attr(w, "init")->init.b == 0.1 + 0.2);
  assert_int_equal(g->train.seed, 9);
  assert_true(g->train.clip_grad_norm == 0.5);
  assert_string_equal(g->train.augment.at[1].name, "rotate");
  assert_true(train_attr(TRAIN_OPTIMIZER, &g->train.optimizer, "nesterov")->i == 1);
  assert_int_equal(g->results.at[2].kind, RESULT_GRAD);
  assert_ptr_equal(g->results.at[3].target, w);
}

static void graphs_that_differ_are_not_equal(void **state) {
  Arena *a = *state;
  Graph *g = parse(a, everything);
  for (int i = 0; i < 6; i++) {
    Graph *c = ir_copy(g, a);
    if (i == 0) c->nodes.at[0]->span.col++;
    if (i == 1) c->nodes.at[2]->group--;
    if (i == 2) c->nodes.at[4]->attr[0].f = 0;
    if (i == 3) c->results.at[2].target = NULL;
    if (i == 4) c->train.batch++;
    if (i == 5) c->nodes.at[0]->order[0] = 0;
    assert_false(ir_equal(g, c));
  }
}

static void implied_train_stays_implied(void **state) {
  Arena *a = *state;
  Graph *g = parse(a, "graph g { implied train { optimizer sgd {lr=0.01} batch 32 } }");
  assert_false(g->train.present);
  assert_int_equal(g->train.batch, 32);
  round_trip(a, g);
  assert_true(round_trip(a, parse(a, "graph g { train { } }"))->train.present);
}

/* Numbers may have gaps, types and attributes with defaults may be left out, comments stand
 * anywhere. */
static void hand_written_text_may_be_short(void **state) {
  Arena *a = *state;
  Graph *g = parse(
      a, "graph g{%3=input{name=\"x\",shape=[4],elem=\"f32\"}# here\n%70=exp(%3)output y=%70}");
  assert_int_equal(g->nodes.count, 2);
  assert_int_equal(g->nodes.at[1]->id, 1);
  round_trip(a, g);
}

/* ---- broken text ---- */

#define NAME "a name begins with a letter or _, and is of letters, digits, _ and ., at most 255"
#define X "%0 = input {name=\"x\", shape=[4], elem=\"f32\"} "

static const struct {
  const char *text, *error;
  int line, col;
} broken[] = {
    {"", "expected graph", 1, 1},
    {"graph g", "expected '{'", 1, 8},
    {"graph g { } x", "expected the end of the file", 1, 13},
    {"graph \"a/b\" { }", NAME, 1, 7},
    {"graph \"a-b\" { }", NAME, 1, 7},
    {"graph \"3d\" { }", NAME, 1, 7},
    {"graph \"\" { }", NAME, 1, 7},
    {"graph a.b { }", "no . is possible in this name", 1, 7},
    {"graph g program \"a:b\" { }", NAME, 1, 17},
    {"graph g { %0 = input {name=\"a-b\", shape=[], elem=\"f32\"} }", NAME, 1, 28},
    {"graph g { %0 = input {name=a.b, shape=[], elem=\"f32\"} }",
     "no . is possible in the name of an input or a target", 1, 11},
    {"graph g { %0 = param {name=\"a+b\", shape=[]} }", NAME, 1, 28},
    {"graph g { " X "\noutput \"a;b\" = %0 }", NAME, 2, 8},
    {"graph g { " X "\noutput a.b = %0 }", "no . is possible in this name", 2, 8},
    {"graph g { " X "\n%1 = exp(%0) !\"a\\\"b\" }", NAME, 2, 15},
    {"graph g { %0 = param {name=w, shape=[2], init=orthogonal} }",
     "this initialiser needs a parameter of two or more dimensions", 1, 11},
    {"graph g { %0 = param {name=w, shape=[2], init=normal(0, -1)} }",
     "a standard deviation cannot be negative", 1, 11},
    {"graph g { %0 = param {name=w, shape=[2], init=uniform(1, 0)} }",
     "the lower bound of uniform is above the upper one", 1, 11},
    {"graph g { %0 = buffer {name=w, shape=[2], init=constant(nan)} }",
     "the numbers of an initialiser must be finite", 1, 11},
    {"graph g { %0 = frob }", "expected the name of an op", 1, 16},
    {"graph g {\n %0 = exp(%0) }", "no node above has this number", 2, 11},
    {"graph g { " X "\n%0 = exp(%0) }", "node numbers must rise", 2, 1},
    {"graph g { " X "\n%1 = exp(%0, %0) }", "exp takes 1 operand, not 2", 2, 1},
    {"graph g { " X "\n%1 = exp(_) }", "operand x of exp is missing", 2, 1},
    {"graph g { " X "\n%1 = exp(%0) : f32[4] }", "the type is f32[4], but exp gives f32[*,4]", 2,
     14},
    {"graph g { " X "\n%1 = exp(%0) : f32[*,0] }", "this number is out of range", 2, 22},
    {"graph g { " X "\n%1 = exp(%0) order [1] }", "the order must name each dimension once", 2, 20},
    {"graph g { " X "\n%1 = exp(%0) group 0 }", "this number is out of range", 2, 20},
    {"graph g { " X "\n%1 = exp(%0) @1:1:1-1:1 }", "no file has the number of this span", 2, 15},
    {"graph g { " X "\n%1 = pow(%0) }", "attribute exponent is missing", 2, 14},
    {"graph g { " X "\n%1 = pow(%0) {n=2} }", "unknown attribute n", 2, 15},
    {"graph g { " X "\n%1 = pow(%0) {exponent=2, exponent=2} }", "attribute exponent again", 2, 27},
    {"graph g { " X "\n%1 = pow(%0) {exponent=all} }", "expected a number", 2, 24},
    {"graph g { " X "\n%1 = sum(%0) {keepdim=1} }", "expected true or false", 2, 23},
    {"graph g { " X "\n%1 = sum(%0) {dim=[3000000000]} }", "this number is out of range", 2, 20},
    {"graph g { " X "\n%1 = sum(%0) {dim=[1]} }", "dimension 1 is out of range -1 to 0", 2, 1},
    {"graph g { " X "\n%1 = sum(%0) {dim=[0,0,0,0,0,0,0,0,0]} }", "too many numbers in this list",
     2, 36},
    {"graph g { %0 = param {name=\"w\", shape=[], init=ones} }", "unknown initialiser ones", 1, 48},
    {"graph g { " X "\nlosses = %0 }", "expected a node, a result or '}'", 2, 1},
    {"graph g { " X "\nloss = x }", "expected a node, as %3", 2, 8},
    {"graph g { train { optimizer adamm } }", "adamm is not known here", 1, 29},
    {"graph g { train { lr 3 } }", "expected a statement of a train block", 1, 19},
    {"graph g { train { batch 4611686018427387904 } }", "this number is out of range", 1, 25},
    {"graph g { train { batch 0 } }", "this number is out of range", 1, 25},
    {"graph g { train { epochs -5 } }", "this number is out of range", 1, 27},
    {"graph g { train { seed -7 } }", "this number is out of range", 1, 25},
    {"graph g { train { warmup_steps -1 } }", "this number is out of range", 1, 33},
    {"graph g { train { clip_grad_norm nan } }", "clip_grad_norm takes a number above 0", 1, 34},
    {"graph g { train { clip_grad_norm -1 } }", "clip_grad_norm takes a number above 0", 1, 34},
    {"graph g { train { optimizer sgd {lr=-1} } }", "lr of sgd cannot be -1", 1, 29},
    {"graph g { train { optimizer sgd {lr=inf} } }", "lr of sgd cannot be inf", 1, 29},
    {"graph g { train { optimizer adam {beta1=1} } }", "beta1 of adam cannot be 1", 1, 29},
    {"graph g { train { optimizer sgd {lr=1, nesterov=true} } }", "nesterov needs momentum above 0",
     1, 29},
    {"graph g { train { schedule cosine {period=nan} } }", "period of cosine cannot be nan", 1, 28},
    {"graph g { file 2 \"x\" }", "this number is out of range", 1, 16},
    {"graph g { file 1 \"x\n\" }", "this string has no end on its line", 1, 18},
    {"graph g { file 1 \"\\q\" }", "unknown escape in this string", 1, 18},
    {"graph g { % }", "a node's number must follow %", 1, 11},
    {"graph g { $ }", "this character has no meaning here", 1, 11},
    {"graph g { " X "\n%99999999999999999999 = exp(%0) }", "a node's number is an integer", 2, 1},
};

static void broken_text_is_said(void **state) {
  Arena *a = *state;
  for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
    Diags *d;
    assert_null(parse_into(a, broken[i].text, strlen(broken[i].text), &d));
    assert_int_equal(d->errors, 1);
    assert_string_equal(d->list.at[0].text, broken[i].error);
    assert_int_equal(d->list.at[0].span.line, broken[i].line);
    assert_int_equal(d->list.at[0].span.col, broken[i].col);
  }
}

/* A graph or one error, never both, never neither. */
static bool parses_or_says_why(const char *text, size_t length) {
  Arena *a = arena_new();
  Diags *d;
  Graph *g = parse_into(a, text, length, &d);
  assert_int_equal(d->errors, g ? 0 : 1);
  if (g) ir_verify(g, a);
  arena_free(a);
  return g != NULL;
}

static void every_prefix(void **state) {
  Arena *a = *state;
  const char *text = data_file(a, "tests/ir/all_ops.ir");
  size_t end = strlen(text) - 1;
  for (size_t n = 0; n < end; n += n < 900 ? 1 : 7) assert_false(parses_or_says_why(text, n));
  assert_true(parses_or_says_why(text, end));
  for (size_t n = 0; n + 2 < sizeof everything; n++)
    assert_false(parses_or_says_why(everything, n));
}

static uint32_t draw(uint32_t *counter) { return philox(7, 0, 0, (*counter)++); }

/* Bytes changed, removed, doubled, or taken from elsewhere in the text. */
static size_t mutate(char *to, const char *from, size_t n, uint32_t *counter) {
  memcpy(to, from, n);
  for (uint32_t edits = 1 + draw(counter) % 4; edits; edits--) {
    size_t at = draw(counter) % n, other = draw(counter) % n;
    uint32_t how = draw(counter) % 5;
    if (how == 0)
      to[at] = (char)draw(counter);
    else if (how == 1)
      to[at] = to[other];
    else if (how == 2)
      to[at] ^= (char)(1 << draw(counter) % 8);
    else if (how == 3)
      to[at] = "0123456789-_[]{}()%\""[draw(counter) % 20];
    else {
      size_t most = n - (at > other ? at : other), count = draw(counter) % 12;
      memmove(to + at, to + other, count < most ? count : most);
    }
  }
  return n;
}

static void mutations(Arena *a, const char *text, int rounds, uint32_t counter) {
  size_t n = strlen(text);
  char *copy = arena_alloc(a, n + 1, 1);
  int broke = 0;
  for (int i = 0; i < rounds; i++)
    broke += !parses_or_says_why(copy, mutate(copy, text, n, &counter));
  assert_true(broke > rounds / 3); /* the mutations do reach the parser's errors */
}

static void mutated_text(void **state) {
  Arena *a = *state;
  mutations(a, everything, 4000, 0);
  mutations(a, data_file(a, "tests/ir/all_ops.ir"), 300, 1u << 30);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(every_op_goes_round),
      TEST(the_manual_is_right),
      TEST(every_field_goes_round),
      TEST(every_field_is_read),
      TEST(graphs_that_differ_are_not_equal),
      TEST(implied_train_stays_implied),
      TEST(hand_written_text_may_be_short),
      TEST(broken_text_is_said),
      TEST(every_prefix),
      TEST(mutated_text),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
