/* --emit=math, as the whole text that a reader sees. */
#include "tests/passes/fixture.h"

#include "passes/math.h"

static const char regression_mlp[] =
    "# regression_mlp\n"
    "# L is the loss of one sample; a batch takes the mean of it and of the gradients by "
    "parameters\n"
    "# a * b is elementwise, W x and x^T are of matrices, 1[c] is 1 where c holds and 0 elsewhere\n"
    "\n"
    "h = W x + b\n"
    "a = relu(h)\n"
    "yp = U a + d\n"
    "L = (y - yp)^2\n"
    "\n"
    "dL/dyp = 2 (yp - y)\n"
    "dL/dd = 2 (yp - y)\n"
    "dL/dU = 2 (yp - y) a^T\n"
    "dL/da = 2 (yp - y) U^T\n"
    "dL/dh = 2 (yp - y) U^T * 1[h > 0]\n"
    "dL/db = 2 (yp - y) U^T * 1[h > 0]\n"
    "dL/dx = W^T (2 (yp - y) U^T * 1[h > 0])\n"
    "dL/dW = (2 (yp - y) U^T * 1[h > 0]) x^T\n";

static const char concat_dropout[] =
    "# concat_dropout\n"
    "# L is the loss of one sample; a batch takes the mean of it and of the gradients by "
    "parameters\n"
    "# a * b is elementwise, W x and x^T are of matrices, 1[c] is 1 where c holds and 0 elsewhere\n"
    "\n"
    "h1 = W1^T x + b1\n"
    "a1 = relu(h1)\n"
    "h2 = concat(a1, x)\n"
    "m ~ Bernoulli(0.5)\n"
    "a2 = h2 * m\n"
    "h3 = W2^T a2 + b2\n"
    "yhat = softmax(h3)\n"
    "L = -sum(onehot(label) * log_softmax(h3))\n"
    "\n"
    "dL/dh3 = yhat - onehot(label)\n"
    "dL/db2 = yhat - onehot(label)\n"
    "dL/dW2 = a2 (yhat - onehot(label))^T\n"
    "dL/da2 = W2 (yhat - onehot(label))\n"
    "dL/dh2 = W2 (yhat - onehot(label)) * m\n"
    "dL/da1 = (W2 (yhat - onehot(label)) * m)[0:5]\n"
    "dL/dh1 = (W2 (yhat - onehot(label)) * m)[0:5] * 1[h1 > 0]\n"
    "dL/db1 = dL/dh1\n"
    "dL/dx = (W2 (yhat - onehot(label)) * m)[5:9] + W1 dL/dh1\n"
    "dL/dW1 = x (dL/dh1)^T\n";

static const char sigmoid_regression[] =
    "# sigmoid_regression\n"
    "# J is the loss of one sample; a batch takes the mean of it and of the gradients by "
    "parameters\n"
    "# a * b is elementwise, W x and x^T are of matrices, 1[c] is 1 where c holds and 0 elsewhere\n"
    "\n"
    "y = sigmoid(W^T x + b)\n"
    "J = sum((y - Z)^2)\n"
    "\n"
    "dJ/dy = 2 (y - Z)\n"
    "dJ/db = 2 ((y - Z) * y * (1 - y))\n"
    "dJ/dx = 2 W ((y - Z) * y * (1 - y))\n"
    "dJ/dW = 2 x ((y - Z) * y * (1 - y))^T\n";

static const char mixer[] =
    "# mixer\n"
    "# L is the loss of one sample; a batch takes the mean of it and of the gradients by "
    "parameters\n"
    "# a * b is elementwise, W x and x^T are of matrices, 1[c] is 1 where c holds and 0 elsewhere\n"
    "\n"
    "Z1 = relu(X^T T1 + b1)\n"
    "Z = Z1^T + X\n"
    "Z2 = relu(Z T2 + b2)\n"
    "v = mean_0(Z2)\n"
    "logits = T3^T v + b3\n"
    "p = softmax(logits)\n"
    "L = -sum(onehot(label) * log_softmax(logits))\n"
    "\n"
    "dL/dlogits = p - onehot(label)\n"
    "dL/db3 = p - onehot(label)\n"
    "dL/dT3 = v (p - onehot(label))^T\n"
    "dL/dv = T3 (p - onehot(label))\n"
    "dL/dZ2 = (1/6) T3 (p - onehot(label))\n"
    "t1 = (1/6) T3 (p - onehot(label)) * 1[Z T2 + b2 > 0]\n"
    "dL/db2 = sum_0(t1)\n"
    "dL/dT2 = Z^T t1\n"
    "dL/dZ = t1 T2^T\n"
    "dL/dZ1 = T2 t1^T\n"
    "dL/db1 = sum_0(T2 t1^T * 1[X^T T1 + b1 > 0])\n"
    "dL/dX = t1 T2^T + T1 (T2 t1^T * 1[X^T T1 + b1 > 0])^T\n"
    "dL/dT1 = X (T2 t1^T * 1[X^T T1 + b1 > 0])\n";

static const char conv_pool[] =
    "# conv_pool\n"
    "# L is the loss of one sample; a batch takes the mean of it and of the gradients by "
    "parameters\n"
    "# a * b is elementwise, W x and x^T are of matrices, 1[c] is 1 where c holds and 0 elsewhere\n"
    "# conv: cross-correlation; pads are top, bottom, left, right\n"
    "# max_pool2d_put: dy added where each window of x has its first largest\n"
    "# conv_input: conv transposed in its input; size is [H, W] of the result\n"
    "# conv_weight: conv transposed in its weight, summed over the batch\n"
    "\n"
    "conv1 = conv(image, W_conv1) + b_conv1\n"
    "fc = W_fc flatten(relu(max_pool2d(conv1, kernel=2))) + b_fc\n"
    "p = softmax(fc)\n"
    "L = -sum(onehot(label) * log_softmax(fc))\n"
    "\n"
    "dL/dfc = p - onehot(label)\n"
    "dL/db_fc = p - onehot(label)\n"
    "dL/dW_fc = (p - onehot(label)) flatten(relu(max_pool2d(conv1, kernel=2)))^T\n"
    "t1 = reshape(W_fc^T (p - onehot(label)), [4, 3, 3]) * 1[max_pool2d(conv1, kernel=2) > 0]\n"
    "dL/dconv1 = max_pool2d_put(conv1, t1)\n"
    "dL/db_conv1 = sum_1,2(max_pool2d_put(conv1, t1))\n"
    "dL/dimage = conv_input(max_pool2d_put(conv1, t1), W_conv1)\n"
    "dL/dW_conv1 = conv_weight(image, max_pool2d_put(conv1, t1))\n";

static const char batch_norm[] =
    "# batch_norm\n"
    "# L is the mean loss of a batch of N samples; sum_n is a sum over them\n"
    "# a * b is elementwise, W x and x^T are of matrices, 1[c] is 1 where c holds and 0 elsewhere\n"
    "# conv: cross-correlation; pads are top, bottom, left, right\n"
    "# standardize: (x - mean) / sqrt(var + eps), moments over dims and batch\n"
    "# inverse_deviation: 1 / sqrt(var + eps) over dims (dropped) and batch\n"
    "# conv_input: conv transposed in its input; size is [H, W] of the result\n"
    "# conv_weight: conv transposed in its weight, summed over the batch\n"
    "\n"
    "conv1 = conv(image, W_conv1)\n"
    "bn1 = standardize(conv1) * W_bn1 + b_bn1\n"
    "fc = W_fc mean_1,2(relu(bn1)) + b_fc\n"
    "p = softmax(fc)\n"
    "L = sum_n(-sum(onehot(label) * log_softmax(fc))) / N\n"
    "\n"
    "dL/dfc = (1 / N) (p - onehot(label))\n"
    "dL/db_fc = sum_n((1 / N) (p - onehot(label)))\n"
    "dL/dW_fc = sum_n((1 / N) (p - onehot(label)) mean_1,2(relu(bn1))^T)\n"
    "dL/dbn1 = (1/36) W_fc^T (1 / N) (p - onehot(label)) * 1[bn1 > 0]\n"
    "dL/db_bn1 = sum_n,1,2(dL/dbn1)\n"
    "dL/dW_bn1 = sum_n,1,2(dL/dbn1 * standardize(conv1))\n"
    "t1 = standardize(conv1) * (1/36) sum_n,1,2(dL/dbn1 * W_bn1 * standardize(conv1)) / N\n"
    "dL/dconv1 = inverse_deviation(conv1) * (dL/dbn1 * W_bn1 - (1/36) sum_n,1,2(dL/dbn1 * W_bn1) / "
    "N - t1)\n"
    "dL/dimage = conv_input(dL/dconv1, W_conv1)\n"
    "dL/dW_conv1 = conv_weight(image, dL/dconv1)\n";

static const char scaled[] =
    "# scaled\n"
    "# L is the loss of one sample; a batch takes the mean of it and of the gradients by "
    "parameters\n"
    "# a * b is elementwise, W x and x^T are of matrices, 1[c] is 1 where c holds and 0 elsewhere\n"
    "\n"
    "fc = W_fc x + b_fc\n"
    "o = fc\n"
    "L = 0.5 sum((fc - y)^2) + 0.005 sum(w^2) + 0.1 sum((2 W_fc^T fc)^2)\n"
    "\n"
    "dL/dw = 0.01 w\n"
    "dL/dfc = 0.8 W_fc W_fc^T fc + fc - y\n"
    "dL/db_fc = 0.8 W_fc W_fc^T fc + fc - y\n"
    "dL/dx = W_fc^T (0.8 W_fc W_fc^T fc + fc - y)\n"
    "dL/dW_fc = 0.8 fc (W_fc^T fc)^T + (0.8 W_fc W_fc^T fc + fc - y) x^T\n";

static const char *formulas(Arena *a, const char *name) {
  Graph *g = program(a, net(a, name), PROGRAM_GRAD, "simplify", 2);
  const char *before = print(a, g);
  Str out = str_new(a);
  math_print(g, &out);
  assert_string_equal(print(a, g), before); /* the graph is not touched */
  return out.text;
}

static void test_regression_mlp(void **state) {
  assert_string_equal(formulas(*state, "regression_mlp"), regression_mlp);
}

static void test_concat_dropout(void **state) {
  assert_string_equal(formulas(*state, "concat_dropout"), concat_dropout);
}

static void test_sigmoid_regression(void **state) {
  assert_string_equal(formulas(*state, "sigmoid_regression"), sigmoid_regression);
}

static void test_mixer(void **state) { assert_string_equal(formulas(*state, "mixer"), mixer); }

static void test_conv_pool(void **state) {
  assert_string_equal(formulas(*state, "conv_pool"), conv_pool);
}

static void test_batch_norm(void **state) {
  assert_string_equal(formulas(*state, "batch_norm"), batch_norm);
}

static void test_scaled(void **state) { assert_string_equal(formulas(*state, "scaled"), scaled); }

/* The formulas do not depend on what the program computes beside the loss. */
static void test_evaluation_program(void **state) {
  Graph *g = program(*state, net(*state, "regression_mlp"), PROGRAM_EVALUATE, "simplify", 2);
  Str out = str_new(*state);
  math_print(g, &out);
  assert_string_equal(out.text, regression_mlp);
}

/* Without a loss there are only definitions. */
static void test_inference(void **state) {
  Graph *g = program(*state, net(*state, "regression_mlp"), PROGRAM_INFER, "simplify", 2);
  Str out = str_new(*state);
  math_print(g, &out);
  assert_string_equal(out.text, "# regression_mlp\n\nh = W x + b\na = relu(h)\nyp = U a + d\n");
}

static const char *output_text(Arena *a, const char *text) {
  Graph *g = program(a, parse(a, text), PROGRAM_INFER, "simplify", 2);
  Str out = str_new(a);
  math_print(g, &out);
  return strchr(out.text, '\n') + 2;
}

/* Parentheses, signs, names bound twice, numbers, parts of tensors. */
static void test_notation(void **state) {
  assert_string_equal(
      output_text(*state,
                  "graph g {\n"
                  "  %0 = input {name=\"x\", shape=[6,3], elem=\"f32\"}\n"
                  "  %1 = param {name=\"fc.weight\", shape=[2,3], init=constant(1)}\n"
                  "  %2 = constant {value=10}\n"
                  "  %3 = mul(%0, %2) !x1\n"
                  "  %4 = sub(%3, %0) !x1\n"
                  "  %5 = neg(%4)\n  %6 = exp(%5)\n  %7 = sub(%6, %4)\n"
                  "  %8 = square(%7)\n  %9 = div(%8, %6)\n"
                  "  %10 = slice(%9) {dim=0, start=0, end=6, step=2} !half\n"
                  "  %11 = mean(%10) {dim=[1]}\n"
                  "  %12 = linear(%0, %1, _) {out=2, bias=false} !fc\n"
                  "  output m = %11\n  output fc = %12\n  output copy = %12\n}\n"),
      "x1 = 10 x\n"
      "x1_2 = x1 - x\n"
      "half = ((exp(x - x1) - x1_2)^2 / exp(x - x1))[0:5:2, :]\n"
      "m = mean_1(half)\n"
      "fc = x W_fc^T\n"
      "copy = fc\n");
}

/* An op that has attributes alone. */
static void test_attributes(void **state) {
  const char *text = output_text(*state,
                                 "graph g {\n"
                                 "  %0 = input {name=\"x\", shape=[3], elem=\"f32\"}\n"
                                 "  %1 = iota() {count=3}\n  %2 = mul(%0, %1)\n"
                                 "  %3 = pad(%2) {pad=[1,0], value=2}\n  output y = %3\n}\n");
  assert_non_null(
      strstr(text, "\ny = surround(x * iota(count=3), low=[1], high=[0], inner=[0], value=2)\n"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_regression_mlp),
      TEST(test_concat_dropout),
      TEST(test_sigmoid_regression),
      TEST(test_mixer),
      TEST(test_conv_pool),
      TEST(test_batch_norm),
      TEST(test_evaluation_program),
      TEST(test_inference),
      TEST(test_notation),
      TEST(test_attributes),
      TEST(test_scaled),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
