/* The rows of the op table and of train.def, parsed. */
#include "tests/ir/fixture.h"

static void every_row_parses(void **state) {
  (void)state;
  for (int op = 0; op < OP_COUNT; op++) {
    const OpInfo *info = &op_info[op];
    const Signature *s = op_signature((Op)op);
    assert_int_equal(op_by_name(info->name), op);
    assert_true(strlen(info->section) > 0);
    for (int i = 0; i < s->noperands; i++) assert_true(strlen(s->operand[i].name) > 0);
    if (info->kind == KIND_ELEMENTWISE) assert_true(s->noperands >= 1 && s->noperands <= 3);
  }
  assert_int_equal(op_by_name("no_such_op"), OP_COUNT);
  assert_string_equal(op_info[OP_input].section, "leaf");
  assert_string_equal(op_info[OP_add].section, "elementwise");
  assert_string_equal(op_info[OP_embedding].section, "layer");
  assert_true(op_info[OP_dot_general].internal);
  assert_false(op_info[OP_matmul].internal);
}

static void operands_and_their_marks(void **state) {
  (void)state;
  const Signature *s = op_signature(OP_batch_norm);
  assert_int_equal(s->noperands, 5);
  assert_string_equal(s->operand[0].name, "x");
  assert_false(s->operand[0].parameter);
  assert_string_equal(s->operand[1].name, "weight");
  assert_true(s->operand[1].parameter && s->operand[1].optional);
  assert_true(s->operand[3].parameter && !s->operand[3].optional);
  assert_true(op_signature(OP_concat)->operand[0].variadic);
  assert_int_equal(op_signature(OP_batch_size)->noperands, 0);
}

static void attributes_and_their_defaults(void **state) {
  (void)state;
  const Signature *s = op_signature(OP_max_pool2d);
  assert_int_equal(s->nattrs, 5);
  assert_true(s->attr[0].required);
  assert_int_equal(s->attr[0].kind, ATTR_PAIR);
  assert_int_equal(s->attr[1].copies, 0);
  assert_int_equal(s->attr[2].value.v[1], 0);
  assert_int_equal(s->attr[4].kind, ATTR_BOOL);
  assert_string_equal(op_signature(OP_gelu)->attr[0].words[1], "tanh");
  assert_string_equal(op_signature(OP_gelu)->attr[0].value.s, "none");
  assert_int_equal(op_signature(OP_sum)->attr[0].value.n, -1);
  assert_int_equal(op_signature(OP_softmax)->attr[0].value.i, -1);
  assert_int_equal(op_signature(OP_linear)->attr[2].value.init.kind, INIT_DEFAULT);
  assert_true(op_signature(OP_batch_norm)->attr[0].value.f == 1e-5);
  assert_int_equal(op_signature(OP_pad)->attr[0].kind, ATTR_PAIRS);
}

static void completion(void **state) {
  (void)state;
  int64_t kernel[2] = {3, 5};
  Attr attr[SIG_ATTRS] = {attr_pair(kernel)};
  bool given[SIG_ATTRS] = {true};
  assert_int_equal(op_attrs_complete(OP_max_pool2d, attr, given), -1);
  assert_int_equal(attr[1].v[0], 3);
  assert_int_equal(attr[1].v[1], 5);
  assert_int_equal(op_attrs_complete(OP_conv2d, attr, NULL), 0);
  given[1] = true;
  assert_int_equal(op_attrs_complete(OP_clamp, attr, (bool[SIG_ATTRS]){true}), 1);
}

static void train_rows_parse(void **state) {
  (void)state;
  for (int i = 0; i < train_row_count; i++)
    assert_int_equal(train_signature(train_rows[i].kind, train_rows[i].name)->noperands, 0);
  const Signature *s = train_signature(TRAIN_OPTIMIZER, "adam");
  assert_int_equal(s->nattrs, 5);
  assert_true(s->attr[2].value.f == 0.999);
  assert_null(train_signature(TRAIN_SCHEDULE, "adam"));
  Attr attr[SIG_ATTRS];
  assert_int_equal(signature_complete(s, attr, NULL), -1);
  TrainItem item = {"adam", attr};
  assert_true(train_attr(TRAIN_OPTIMIZER, &item, "eps")->f == 1e-8);
  assert_null(train_attr(TRAIN_OPTIMIZER, &item, "momentum"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_row_parses),
      cmocka_unit_test(operands_and_their_marks),
      cmocka_unit_test(attributes_and_their_defaults),
      cmocka_unit_test(completion),
      cmocka_unit_test(train_rows_parse),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
