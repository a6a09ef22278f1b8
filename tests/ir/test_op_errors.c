/* What ops say to operands and attributes that they cannot take, and the parameters that layers
 * make. */
#include "tests/ir/fixture.h"

#include <math.h>

/* ---- errors ---- */

/* x0 has shape a, x1 shape b; both f32 inputs unless an element type comes before the bracket. */
typedef struct {
  const char *a, *b, *line, *text, *note;
} Wrong;

static const Wrong wrongs[] = {
    {"[2,3]", "[4]", "add(%0, %1)", "shapes do not broadcast", NULL},
    {"[2,3]", "[]", "softmax(%0) {dim=2}", "out of range", NULL},
    {"[]", "[]", "softmax(%0)", "dimension -1 of a scalar", NULL},
    {"[2,3]", "[]", "sum(%0) {dim=[0,-2]}", "named twice", NULL},
    {"[1]", "[]", "var(%0) {unbiased=true}", "variance of one element", NULL},
    {"[2,3]", "[]", "reduce_sum(%0) {dims=[0,0]}", "given twice", NULL},
    {"[2,3]", "[]", "rrelu(%0) {lower=0.5, upper=0.1}", "must not be above", NULL},
    {"[2,6]", "[]", "reshape(%0) {shape=[5,2]}", "[2, 6] cannot be reshaped to [5, 2]",
     "12 elements"},
    {"[2,6]", "[]", "reshape(%0) {shape=[-1,-1]}", "only one size", NULL},
    {"[2,6]", "[]", "reshape(%0) {shape=[-1,5]}", "cannot be reshaped", "12 elements"},
    {"[2,6]", "[]", "reshape(%0) {shape=[-1,0]}", "a size of 0", NULL},
    {"[2,3]", "[]", "permute(%0) {order=[0,0]}", "given twice", NULL},
    {"[2,3]", "[]", "permute(%0) {order=[0]}", "1 dimensions are ordered, the tensor has 2",
     "[2, 3]"},
    {"[2,3]", "[2,4]", "concat(%0, %1) {dim=0}", "[2, 4] cannot be joined with [2, 3]",
     "must agree"},
    {"[2,3]", "[]", "slice(%0) {dim=0, start=1, end=1}", "the slice from 1 to 1 is empty",
     "2 elements"},
    {"[2,3]", "[]", "slice(%0) {dim=0, start=0, end=2, step=0}", "step must be at least 1", NULL},
    {"[2,3]", "[]", "squeeze(%0) {dim=1}", "dimension 1 of [2, 3] is not 1", NULL},
    {"[1,1,1,1,1,1,1,1]", "[]", "unsqueeze(%0) {dim=0}", "8 dimensions already", NULL},
    {"[2,3]", "[4,2]", "matmul(%0, %1)", "[2, 3] cannot be multiplied by [4, 2]", "last dimension"},
    {"[2,2,3]", "[3,3,2]", "matmul(%0, %1)", "cannot be multiplied", NULL},
    {"[]", "[3]", "matmul(%0, %1)", "cannot be multiplied", NULL},
    {"[3]", "[4]", "dot(%0, %1)", "vectors of 3 and 4 elements", NULL},
    {"[2,2]", "[3]", "outer(%0, %1)", "outer needs a tensor [k], not one of shape [2, 2]", NULL},
    {"[2,3]", "[]", "max_pool2d(%0) {kernel=[2,2]}", "[C, H, W]", "batch is not counted"},
    {"[1,3,3]", "[]", "max_pool2d(%0) {kernel=[4,4]}",
     "a window of height 4 does not fit the image of height 3", "padding adds 0"},
    {"[1,9,9]", "[]", "max_pool2d(%0) {kernel=[2,2], padding=[2,2]}", "more than half", NULL},
    {"[1,9,9]", "[]", "max_pool2d(%0) {kernel=[0,2]}", "kernel must be at least 1", NULL},
    {"[1,9,9]", "[]", "avg_pool2d(%0) {kernel=[2,2], stride=[0,1]}", "stride must be at least 1",
     NULL},
    {"[1,2,2]", "[]", "max_pool2d(%0) {kernel=[2,2], padding=[1,1], dilation=[3,3]}",
     "does not fit", NULL},
    {"[1,2,2]", "[]", "adaptive_avg_pool2d(%0) {out=[0,1]}", "out must be at least 1", NULL},
    {"[4096,8,8]", "[]", "adaptive_avg_pool2d(%0) {out=[65536,65536]}", "too large", NULL},
    {"[]", "[]", "global_avg_pool(%0)", "not a scalar", NULL},
    {"[1,2,2]", "[]", "adaptive_max_pool2d(%0) {out=[0,1]}", "out must be at least 1", NULL},
    {"[2,2,2]", "[]", "max_pool1d(%0) {kernel=2}", "max_pool1d needs a tensor [C, L]", NULL},
    {"[2,3]", "[]", "avg_pool1d(%0) {kernel=4}", "width 4 does not fit the image of width 3", NULL},
    {"[2,3]", "[]", "pad(%0) {pad=[1,1]}", "1 pairs of widths for 2 dimensions", "[2, 3]"},
    {"[2,3]", "[]", "pad(%0) {pad=[1,1,1]}", "pad of pad must be a list of pairs", NULL},
    {"[2,3]", "[]", "pad(%0) {pad=[0,0,-2,-1]}", "nothing is left of dimension 1", NULL},
    {"[2,3]", "[]", "upsample(%0) {scale=[2,2]}", "upsample needs a tensor [C, H, W]", NULL},
    {"[2,3,3]", "[]", "upsample(%0) {scale=[0,2]}", "scale must be at least 1, not 0", NULL},
    {"[]", "[]", "dropout2d(%0)", "not a scalar", NULL},
    {"[4]", "[]", "layer_norm(%0, _, _) {dims=2}", "over 2 dimensions of a tensor of 1", "[4]"},
    {"[4]", "[]", "layer_norm(%0, _, _) {eps=-1}", "eps is negative", NULL},
    {"[4]", "[]", "group_norm(%0, _, _) {groups=3}", "4 channels cannot be split in 3 groups",
     NULL},
    {"[3]", "[]", "dropout(%0) {p=1.5}", "p must be between 0 and 1, not 1.5", NULL},
    {"[3]", "[]", "bernoulli_mask(%0) {keep=-1}", "keep must be between 0 and 1", NULL},
    {"[10]", "i32[2]", "cross_entropy(%0, %1)",
     "a label of shape [2] does not go with scores of shape [10]", "the label has the others"},
    {"[10]", "[]", "cross_entropy(%0, %1)", "needs integers", "class[k]"},
    {"[10]", "i32[]", "cross_entropy(%0, %1) {label_smoothing=2}", "between 0 and 1", NULL},
    {"[]", "i32[]", "nll_loss(%0, %1)", "not a scalar", NULL},
    {"[10]", "i32[3]", "accuracy(%0, %1)", "does not go with", NULL},
    {"[10]", "i32[3]", "top_k(%0, %1) {k=2}", "does not go with", NULL},
    {"[10]", "i32[]", "top_k(%0, %1) {k=11}", "the 11 largest of 10 classes", NULL},
    {"[10]", "i32[]", "top_k(%0, %1) {k=0}", "k must be at least 1", NULL},
    {"[]", "i32[]", "auc(%0, %1)", "auc needs a dimension of classes, not a scalar", NULL},
    {"[3]", "[4]", "mse(%0, %1)", "do not broadcast", NULL},
    {"[3]", "[3]", "huber(%0, %1) {delta=0}", "delta must be above 0", NULL},
    {"[2]", "[3]", "grad(%0, %1)", "differentiates a scalar, not a tensor of shape [2]",
     "sum or mean"},
    {"u8[3]", "[]", "reduce_sum(%0) {dims=[0]}", "needs an f32 tensor here, not u8", NULL},
};

static void put_leaf(Str *s, int i, const char *shape) {
  const char *bracket = strchr(shape, '[');
  bool real = bracket == shape;
  str_printf(s, "  %%%d = input {name=x%d, shape=%s, elem=\"%.*s\"}\n", i, i, bracket,
             real ? 3 : (int)(bracket - shape), real ? "f32" : shape);
}

static void errors_say_what_is_wrong(void **state) {
  Arena *a = *state;
  for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
    const Wrong *w = &wrongs[i];
    Str s = str_new(a);
    Diags *d;
    str_put(&s, "graph t {\n");
    put_leaf(&s, 0, w->a);
    put_leaf(&s, 1, w->b);
    str_printf(&s, "  %%2 = %s\n  output y = %%2\n}\n", w->line);
    Graph *g = parse_into(a, s.text, s.length, &d);
    if (g) fail_msg("%s of %s and %s is accepted", w->line, w->a, w->b);
    assert_int_equal(d->list.count, 1);
    const Diag *diag = &d->list.at[0];
    if (!strstr(diag->text, w->text)) fail_msg("%s: \"%s\"", w->line, diag->text);
    if (w->note && (!diag->notes || !strstr(diag->notes->text, w->note)))
      fail_msg("%s: note \"%s\"", w->line, diag->notes ? diag->notes->text : "none");
  }
}

/* The scores' classes are compared with the label's, which the declaration gives. */
static void classes_agree(void **state) {
  Diags *d;
  const char *text =
      "graph t { %0 = input {name=x, shape=[12], elem=\"f32\"}\n"
      "%1 = target {name=y, classes=10, shape=[], elem=\"i32\"}\n"
      "%2 = cross_entropy(%0, %1) loss = %2 }";
  assert_null(parse_into(*state, text, strlen(text), &d));
  assert_non_null(strstr(d->list.at[0].text, "12 classes, the label is one of 10"));
}

/* No shape or attribute, however large, aborts or is believed. */
static void extremes_are_refused(void **state) {
  static const char *const lines[] = {
      "conv(%0, %1) {pads=[2147483647,2147483647,0,0]}",
      "conv(%0, %1) {pads=[0,0,0]}",
      "conv(%0, %1) {pads=[0,0,0,0], dilation=[2147483647,1]}",
      "conv(%0, %1) {pads=[0,0,0,0], groups=3}",
      "conv(%0, %1) {pads=[0,0,0,0], groups=0}",
      "conv_input(%0, %1) {size=[2147483647,2147483647], pads=[0,0,0,0]}",
      "conv_weight(%0, %0) {kernel=[2147483647,1], pads=[0,0,0,0]}",
      "avg_pool2d_put(%0) {size=[2147483647,2147483647], kernel=[1,1]}",
      "max_pool2d(%0) {kernel=[2147483647,2147483647], padding=[1073741824,1073741824], "
      "stride=[1,1]}",
      "adaptive_avg_pool2d_put(%0) {size=[2147483647,2147483647]}",
      "one_hot(%2) {classes=0}",
      "put_rows(%0, %2) {count=2147483647}",
      "broadcast(%0) {shape=[2147483647,2,8,8], batched=true}",
      "surround(%0) {low=[2147483647,0,0], high=[2147483647,0,0], inner=[2147483647,0,0]}",
      "surround(%0) {low=[0,0], high=[0,0], inner=[0,0]}",
      "cut(%0) {start=[0,0,0], size=[2,9,1], step=[1,1,1]}",
      "cut(%0) {start=[2147483647,0,0], size=[2147483647,1,1], step=[2147483647,1,1]}",
      "linear(%0, %3, _) {out=-1}",
      "conv2d(%0, %1, _) {out=2147483647, kernel=[3,3]}",
      "conv2d(%0, %1, _) {out=4, kernel=[2147483647,2147483647], dilation=[2147483647,1], "
      "padding=same}",
      "conv2d(%0, %1, _) {out=4, kernel=[3,3], stride=[2,2], padding=same}",
      "conv1d(%5, %6, _) {out=2, kernel=2147483647, padding=[2147483647,2147483647]}",
      "conv1d(%5, %6, _) {out=4, kernel=3, padding=[0,1]}",
      "conv1d(%5, %6, _) {out=4, kernel=3, stride=2, padding=same}",
      "conv1d(%0, %6, _) {out=4, kernel=3}",
      "conv_transpose2d(%0, %1, _) {out=2, kernel=[3,3]}",
      "conv_transpose2d(%0, %7, _) {out=4, kernel=[3,3], stride=[2147483647,1]}",
      "conv_transpose2d(%0, %7, _) {out=4, kernel=[3,3], padding=[9,9]}",
      "conv_transpose2d(%0, %7, _) {out=4, kernel=[3,3], output_padding=[1,0]}",
      "conv_transpose2d(%0, %7, %3) {out=4, kernel=[3,3]}",
      "conv_transpose2d(%0, %7, _) {out=4, kernel=[3,3], groups=3}",
      "iota() {count=0}",
      "iota() {count=-2147483647}",
      "pad(%0) {pad=[2147483647,2147483647,2147483647,2147483647,0,0]}",
      "pad(%0) {pad=[-2147483647,-2147483647,0,0,0,0]}",
      "upsample(%0) {scale=[2147483647,2147483647]}",
      "upsample(%0) {scale=[2147483647,2147483647], mode=\"bilinear\"}",
      "adaptive_max_pool2d(%0) {out=[2147483647,2147483647]}",
      "adaptive_max_pool2d_put(%0, %0) {out=[2,2]}",
      "adaptive_max_pool2d_take(%0, %0) {out=[0,2]}",
      "max_pool1d(%5) {kernel=2147483647, padding=1073741824}",
      "avg_pool1d(%5) {kernel=1, stride=-1}",
      "group_norm(%0, %3, _) {groups=2}",
      "layer_norm(%0, %3, %2)",
      "prelu(%0, %3)",
      "embedding(%2, %3) {count=0, width=1}",
      "embedding(%0, %3) {count=8, width=8}",
      "batch_norm(%0, _, _, %3, %3)",
      "dot_general(%0, %1) {contract_a=[7], contract_b=[0]}",
      "dot_general(%0, %1) {contract_a=[0,0], contract_b=[1,1]}",
      "dot_general(%1, %3) {contract_a=[3], contract_b=[0], sum_batch=true}",
      "max_pool2d_put(%0, %0) {kernel=[2,2]}",
      "take_rows(%0, %2)",
      "random_mask(%0) {keep=0.5, stream=-1}"};
  Arena *a = *state;
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
    Diags *d;
    const char *text = arena_printf(a,
                                    "graph t { %%0 = input {name=x, shape=[2,8,8], elem=\"f32\"}\n"
                                    "%%1 = param {name=w, shape=[4,2,3,3], init=default}\n"
                                    "%%2 = input {name=i, shape=[2], elem=\"i32\"}\n"
                                    "%%3 = param {name=v, shape=[8,8], init=default}\n"
                                    "%%5 = input {name=s, shape=[2,8], elem=\"f32\"}\n"
                                    "%%6 = param {name=u, shape=[4,2,3], init=default}\n"
                                    "%%7 = param {name=t, shape=[2,4,3,3], init=default}\n"
                                    "%%8 = %s output y = %%8 }",
                                    lines[i]);
    if (parse_into(a, text, strlen(text), &d)) fail_msg("%s is accepted", lines[i]);
    assert_true(strlen(d->list.at[0].text) > 10);
  }
}

/* ---- parameters of layers ---- */

typedef struct {
  Params params;
  Arena *arena;
  Str log;
} Maker;

static Node *make(Params *p, Op op, const char *name, int rank, const int64_t *dim, Init init) {
  Maker *m = (Maker *)p;
  str_printf(&m->log, "%s %s [", op_info[op].name, name);
  for (int i = 0; i < rank; i++) str_printf(&m->log, "%s%lld", i ? "," : "", (long long)dim[i]);
  str_printf(&m->log, "] %d %.4g %.4g\n", init.kind, init.a, init.b);
  Attr attr[] = {attr_str(name), attr_ints(rank, dim), attr_init(init), attr_bool(true)};
  return ir_make(p->graph, op, 0, NULL, attr);
}

static Node *image(Graph *g, Elem elem, int rank, const int64_t *dim) {
  static const char *const names[] = {"f32", "u8", "i32"};
  Attr attr[] = {attr_str("x"), attr_int(0), attr_ints(rank, dim), attr_words(names[elem])};
  return ir_make(g, OP_input, 0, NULL, attr);
}

/* What a layer with these attributes, given by name, makes for x; "" after an error. */
static const char *params_of(Arena *a, Op op, Node *x, Graph *g, int n, const char *const *names,
                             const Attr *values, OpError *e) {
  const Signature *s = op_signature(op);
  Attr attr[SIG_ATTRS];
  bool given[SIG_ATTRS] = {false};
  for (int k = 0; k < n; k++)
    for (int i = 0; i < s->nattrs; i++)
      if (!strcmp(s->attr[i].name, names[k])) attr[i] = values[k], given[i] = true;
  assert_int_equal(op_attrs_complete(op, attr, given), -1);
  Maker m = {{g, make, NULL}, a, str_new(a)};
  Node *in[5] = {x}, node = {.op = op, .nin = s->noperands, .in = in, .attr = attr};
  if (!op_info[op].params(&m.params, &node, in, e)) return "";
  return m.log.text;
}

#define PARAMS(op, x, n, names, ...) \
  params_of(a, op, x, g, n, (const char *[])names, (Attr[]){__VA_ARGS__}, &e)
#define NAMES(...) {__VA_ARGS__}

static void layers_make_pytorchs_parameters(void **state) {
  Arena *a = *state;
  Graph *g = ir_graph_new(a, NULL, "t");
  OpError e = {.arena = a};
  Node *x = image(g, ELEM_F32, 3, (int64_t[]){4, 8, 16}), *i = image(g, ELEM_I32, 0, NULL);
  Init xavier = {INIT_XAVIER_UNIFORM, 0, 0}, half = {INIT_CONSTANT, 0.5, 0};
  assert_string_equal(PARAMS(OP_linear, x, 1, NAMES("out"), attr_int(3)),
                      "param weight [3,16] 2 -0.25 0.25\nparam bias [3] 2 -0.25 0.25\n");
  assert_string_equal(PARAMS(OP_linear, x, 2, NAMES("out", "bias"), attr_int(3), attr_bool(false)),
                      "param weight [3,16] 2 -0.25 0.25\n");
  assert_string_equal(PARAMS(OP_linear, x, 3, NAMES("out", "init", "bias_init"), attr_int(8),
                             attr_init(xavier), attr_init(half)),
                      "param weight [8,16] 2 -0.5 0.5\nparam bias [8] 1 0.5 0\n");
  assert_string_equal(PARAMS(OP_conv2d, x, 3, NAMES("out", "kernel", "groups"), attr_int(6),
                             attr_pair(((int64_t[]){1, 2})), attr_int(2)),
                      "param weight [6,2,1,2] 2 -0.5 0.5\nparam bias [6] 2 -0.5 0.5\n");
  assert_string_equal(PARAMS(OP_batch_norm, x, 0, NAMES(""), attr_int(0)),
                      "param weight [4] 1 1 0\nparam bias [4] 1 0 0\n"
                      "buffer running_mean [4] 1 0 0\nbuffer running_var [4] 1 1 0\n");
  assert_string_equal(PARAMS(OP_batch_norm, x, 1, NAMES("affine"), attr_bool(false)),
                      "buffer running_mean [4] 1 0 0\nbuffer running_var [4] 1 1 0\n");
  Node *row = image(g, ELEM_F32, 2, (int64_t[]){4, 8});
  assert_string_equal(PARAMS(OP_conv1d, row, 3, NAMES("out", "kernel", "groups"), attr_int(6),
                             attr_int(2), attr_int(2)),
                      "param weight [6,2,2] 2 -0.5 0.5\nparam bias [6] 2 -0.5 0.5\n");
  assert_string_equal(PARAMS(OP_conv_transpose2d, x, 3, NAMES("out", "kernel", "groups"),
                             attr_int(16), attr_pair(((int64_t[]){1, 2})), attr_int(2)),
                      "param weight [4,8,1,2] 2 -0.25 0.25\nparam bias [16] 2 -0.25 0.25\n");
  assert_string_equal(PARAMS(OP_layer_norm, x, 1, NAMES("dims"), attr_int(2)),
                      "param weight [8,16] 1 1 0\nparam bias [8,16] 1 0 0\n");
  assert_string_equal(PARAMS(OP_layer_norm, x, 1, NAMES("affine"), attr_bool(false)), "");
  assert_string_equal(PARAMS(OP_group_norm, x, 1, NAMES("groups"), attr_int(2)),
                      "param weight [4] 1 1 0\nparam bias [4] 1 0 0\n");
  assert_string_equal(PARAMS(OP_prelu, x, 1, NAMES("init"), attr_float(0.5)),
                      "param weight [1] 1 0.5 0\n");
  assert_string_equal(PARAMS(OP_embedding, i, 2, NAMES("count", "width"), attr_int(7), attr_int(5)),
                      "param weight [7,5] 3 0 1\n");
}

static void parameters_that_cannot_be(void **state) {
  Arena *a = *state;
  Graph *g = ir_graph_new(a, NULL, "t");
  OpError e = {.arena = a};
  Node *x = image(g, ELEM_F32, 1, (int64_t[]){4});
  Init xavier = {INIT_XAVIER_UNIFORM, 0, 0};
  assert_string_equal(PARAMS(OP_linear, x, 1, NAMES("out"), attr_int(0)), "");
  assert_string_equal(e.text, "out must be at least 1, not 0");
  assert_int_equal(e.attribute, 0);
  PARAMS(OP_linear, x, 2, NAMES("out", "bias_init"), attr_int(2), attr_init(xavier));
  assert_non_null(strstr(e.text, "two or more dimensions"));
  PARAMS(OP_conv2d, x, 2, NAMES("out", "kernel"), attr_int(2), attr_pair(((int64_t[]){3, 3})));
  assert_non_null(strstr(e.text, "conv2d needs a tensor [C, H, W], not one of shape [4]"));
  assert_int_equal(e.operand, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(errors_say_what_is_wrong), TEST(classes_agree), TEST(extremes_are_refused),
      TEST(layers_make_pytorchs_parameters), TEST(parameters_that_cannot_be)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
