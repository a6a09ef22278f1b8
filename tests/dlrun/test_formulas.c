/* The networks of examples/ that a student differentiates by hand: what `dlrun grad` gives is the
 * textbook's formula. Without exp the numbers are small multiples of powers of two, nothing is
 * rounded, and they agree to the last bit in f32 too; with it, to a few units in the last place. */
#include "tests/dlrun/run.h"

#include <math.h>
#include <stdbool.h>

#include "runtime/safetensors.h"

#define B TEST_BINARY_DIR "/formulas-"
#define EXAMPLES TEST_SOURCE_DIR "/examples"

enum { MOST = 1024, TENSORS = 8 };

typedef struct {
  const char *name;
  int rank;
  int64_t dim[4];
  double v[MOST];
} Tensor;

static Tensor params[TENSORS], inputs[TENSORS];
static int param_count, input_count;
static bool f64;
static StFile results;

static int64_t elements(const Tensor *t) {
  int64_t n = 1;
  for (int i = 0; i < t->rank; i++) n *= t->dim[i];
  assert_true(n <= MOST);
  return n;
}

/* Multiples of 1/8 from -3/4 to 3/4, in no order. */
static double *make(Tensor *list, int *count, const char *name, int rank, const int64_t *dim) {
  Tensor *t = &list[(*count)++];
  *t = (Tensor){.name = name, .rank = rank};
  memcpy(t->dim, dim, (size_t)rank * sizeof *dim);
  for (int64_t i = 0; i < elements(t); i++)
    t->v[i] = (double)((i * i + i * 7 + *count * 5) % 13 - 6) / 8;
  return t->v;
}
#define DIMS(...) \
  sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (int64_t[]) { __VA_ARGS__ }
#define PARAM(name, ...) make(params, &param_count, #name, DIMS(__VA_ARGS__))
#define INPUT(name, ...) make(inputs, &input_count, #name, DIMS(__VA_ARGS__))

static double *labels(const char *name, int64_t n, int64_t classes) {
  double *v = make(inputs, &input_count, name, 1, &n);
  for (int64_t i = 0; i < n; i++) v[i] = (double)((i + 1) % classes);
  return v;
}

static void write_tensors(const char *path, const Tensor *t, int count, const char *label) {
  StTensor head[TENSORS] = {{0}};
  StWriter w;
  for (int i = 0; i < count; i++) {
    StType type = strcmp(t[i].name, label) == 0 ? ST_I32 : f64 ? ST_F64 : ST_F32;
    head[i] = (StTensor){.name = t[i].name, .type = type, .rank = t[i].rank};
    memcpy(head[i].dim, t[i].dim, sizeof t[i].dim);
  }
  assert_int_equal(st_create(&w, path, head, count, NULL, 0), 0);
  for (int i = 0; i < count; i++)
    for (int64_t k = 0; k < elements(&t[i]); k++) {
      double d = t[i].v[k];
      float f = (float)d;
      int32_t whole = (int32_t)d;
      const void *at = head[i].type == ST_I32 ? (void *)&whole : f64 ? (void *)&d : (void *)&f;
      st_write(&w, at, st_type_size(head[i].type));
    }
  assert_int_equal(st_commit(&w), 0);
}

/* Compiles a network and leaves gradients and outputs for the tensors made before in `results`. */
static void differentiate(const char *net, const char *options) {
  expect(0, "",
         run_program(DLC, "%s -I %s -o %s --precision %s %s", net, EXAMPLES, B "net.so",
                     f64 ? "f64" : "f32", options));
  write_tensors(B "w.safetensors", params, param_count, "");
  write_tensors(B "i.safetensors", inputs, input_count, "label");
  expect(0, "",
         dlrun("grad %s --weights %s --inputs %s -o %s", B "net.so", B "w.safetensors",
               B "i.safetensors", B "g.safetensors"));
  assert_int_equal(st_open(&results, B "g.safetensors"), 0);
}

static const double *result(const char *name, int64_t count) {
  static double v[MOST];
  const StTensor *t = st_find(&results, name);
  if (!t || t->elements != count)
    fail_msg("%s: not there, or not of %d elements", name, (int)count);
  assert_int_equal(st_read_doubles(&results, t, 0, count, v), 0);
  return v;
}

/* `ulps` of the largest element; 0 wants equal bits. */
static void compare(const char *name, const double *want, int64_t count, double ulps) {
  const double *got = result(name, count);
  double largest = 0;
  for (int64_t i = 0; i < count; i++) largest = fmax(largest, fabs(want[i]));
  assert_true(largest > 0);
  for (int64_t i = 0; i < count; i++)
    if (!(fabs(got[i] - want[i]) <= ulps * largest * (f64 ? 0x1p-53 : 0x1p-24)))
      fail_msg("%s[%d]: %.17g, but by hand %.17g", name, (int)i, got[i], want[i]);
}

static void start(int precision) {
  f64 = precision;
  param_count = input_count = 0;
}

#define IN_BOTH_PRECISIONS for (int precision = 0; start(precision), precision < 2; precision++)

/* ---- small algebra: vectors and row-major matrices ---- */

static double dot_column(const double *w, const double *x, int rows, int columns, int k) {
  double sum = 0;
  for (int i = 0; i < rows; i++) sum += w[i * columns + k] * x[i];
  return sum;
}

static double dot_row(const double *w, const double *x, int columns, int k) {
  double sum = 0;
  for (int i = 0; i < columns; i++) sum += w[k * columns + i] * x[i];
  return sum;
}

/* out += s a b^T */
static void add_outer(double *out, double s, const double *a, int rows, const double *b,
                      int columns) {
  for (int i = 0; i < rows; i++)
    for (int k = 0; k < columns; k++) out[i * columns + k] += s * a[i] * b[k];
}

static void softmax(const double *z, int n, double *p) {
  double most = z[0], sum = 0;
  for (int i = 1; i < n; i++) most = fmax(most, z[i]);
  for (int i = 0; i < n; i++) sum += p[i] = exp(z[i] - most);
  for (int i = 0; i < n; i++) p[i] /= sum;
}

/* ---- y' = U relu(W x + b) + d; L = (y - y')^2 ---- */

static void test_regression_mlp(void **state) {
  (void)state;
  enum { n = 5, m = 7, batch = 2 };
  IN_BOTH_PRECISIONS {
    const double *W = PARAM(W, m, n), *b = PARAM(b, m), *U = PARAM(U, 1, m), *d = PARAM(d, 1);
    const double *x = INPUT(x, batch, n), *y = INPUT(y, batch);
    double dW[m * n] = {0}, db[m] = {0}, dU[m] = {0}, dd[1] = {0}, dx[batch * n] = {0},
                  loss[1] = {0};
    for (int s = 0; s < batch; s++) {
      double a[m], dh[m], error;
      for (int i = 0; i < m; i++) a[i] = fmax(dot_row(W, x + s * n, n, i) + b[i], 0);
      error = dot_row(U, a, m, 0) + d[0] - y[s];
      loss[0] += error * error / batch;
      for (int i = 0; i < m; i++) dh[i] = 2 * error * U[i] * (a[i] > 0);
      dd[0] += 2 * error / batch;
      for (int i = 0; i < m; i++) dU[i] += 2 * error * a[i] / batch;
      for (int i = 0; i < m; i++) db[i] += dh[i] / batch;
      add_outer(dW, 1.0 / batch, dh, m, x + s * n, n);
      for (int i = 0; i < n; i++) dx[s * n + i] = dot_column(W, dh, m, n, i) / batch;
    }
    differentiate(EXAMPLES "/regression_mlp.net", "");
    compare("loss", loss, 1, 0);
    compare("grad.d", dd, 1, 0);
    compare("grad.U", dU, m, 0);
    compare("grad.b", db, m, 0);
    compare("grad.W", dW, m * n, 0);
    compare("grad.x", dx, batch * n, 0);
    st_close(&results);
  }
}

/* ---- y' = W2^T relu(W1^T x), L = |y' - y|^2 ---- */

static void test_two_layer(void **state) {
  (void)state;
  enum { D = 6, hidden = 9, K = 4, batch = 2 };
  IN_BOTH_PRECISIONS {
    const double *W1 = PARAM(W1, D, hidden), *W2 = PARAM(W2, hidden, K);
    const double *x = INPUT(x, batch, D), *y = INPUT(y, batch, K);
    double dW1[D * hidden] = {0}, dW2[hidden * K] = {0};
    for (int s = 0; s < batch; s++) {
      double h[hidden], error[K], dz[hidden];
      for (int i = 0; i < hidden; i++) h[i] = fmax(dot_column(W1, x + s * D, D, hidden, i), 0);
      for (int k = 0; k < K; k++) error[k] = dot_column(W2, h, hidden, K, k) - y[s * K + k];
      for (int i = 0; i < hidden; i++) dz[i] = 2 * dot_row(W2, error, K, i) * (h[i] > 0);
      add_outer(dW2, 2.0 / batch, h, hidden, error, K);
      add_outer(dW1, 1.0 / batch, x + s * D, D, dz, hidden);
    }
    differentiate(EXAMPLES "/two_layer.net", "-D D=6 -D hidden=9 -D K=4 -D samples=2");
    compare("grad.W1", dW1, D * hidden, 0);
    compare("grad.W2", dW2, hidden * K, 0);
    st_close(&results);
  }
}

/* ---- row k of dy/dw is the window of x that makes y_k ---- */

static void test_conv_jacobian(void **state) {
  (void)state;
  IN_BOTH_PRECISIONS {
    const double *w = PARAM(w, 1, 1, 2, 2), *x = INPUT(x, 1, 1, 3, 3), *z = INPUT(z, 1, 4);
    double jacobian[16], y[4], dw[4] = {0};
    for (int k = 0; k < 4; k++) {
      for (int i = 0; i < 4; i++) jacobian[k * 4 + i] = x[(k / 2 + i / 2) * 3 + k % 2 + i % 2];
      y[k] = dot_row(jacobian, w, 4, k);
      for (int i = 0; i < 4; i++) dw[i] += 2 * (y[k] - z[k]) * jacobian[k * 4 + i];
    }
    differentiate(EXAMPLES "/conv_jacobian.net", "");
    compare("output.convolved", y, 4, 0);
    compare("output.jacobian", jacobian, 16, 0);
    compare("grad.w", dw, 4, 0);
    st_close(&results);
  }
}

/* ---- y = sigmoid(W^T x + b), J = |y - Z|^2 ---- */

static void test_sigmoid_regression(void **state) {
  (void)state;
  enum { n = 5, m = 3, batch = 2 };
  IN_BOTH_PRECISIONS {
    const double *W = PARAM(W, n, m), *b = PARAM(b, m), *x = INPUT(x, batch, n),
                 *Z = INPUT(Z, batch, m);
    double dW[n * m] = {0}, db[m] = {0};
    for (int s = 0; s < batch; s++) {
      double dz[m];
      for (int k = 0; k < m; k++) {
        double y = 1 / (1 + exp(-(dot_column(W, x + s * n, n, m, k) + b[k])));
        dz[k] = 2 * (y - Z[s * m + k]) * y * (1 - y);
        db[k] += dz[k] / batch;
      }
      add_outer(dW, 1.0 / batch, x + s * n, n, dz, m);
    }
    differentiate(EXAMPLES "/sigmoid_regression.net", "");
    compare("grad.W", dW, n * m, 8);
    compare("grad.b", db, m, 8);
    st_close(&results);
  }
}

/* ---- Z1 = relu(X^T T1 + b1), Z = Z1^T + X, Z2 = relu(Z T2 + b2), softmax(mean Z2 T3 + b3) ---- */

enum { L = 6, D = 5, K = 4 };

static void mixer_backward(const double *X, const double *T1, const double *b1, const double *T2,
                           const double *b2, const double *T3, const double *b3, int label,
                           double (*out)[L * L]) {
  double Z1[D * L], Z[L * D], Z2[L * D], z[L] = {0}, logits[K], p[K], dA2[L * D], dA1[D * L];
  for (int j = 0; j < D; j++)
    for (int i = 0; i < L; i++) {
      double a = b1[i];
      for (int t = 0; t < L; t++) a += X[t * D + j] * T1[t * L + i];
      Z1[j * L + i] = fmax(a, 0);
      Z[i * D + j] = Z1[j * L + i] + X[i * D + j];
    }
  for (int i = 0; i < L; i++)
    for (int j = 0; j < D; j++) {
      Z2[i * D + j] = fmax(dot_column(T2, Z + i * D, D, D, j) + b2[j], 0);
      z[i] += Z2[i * D + j] / D;
    }
  for (int k = 0; k < K; k++) logits[k] = dot_column(T3, z, L, K, k) + b3[k];
  softmax(logits, K, p);
  p[label] -= 1; /* dL/dlogits */
  for (int i = 0; i < L; i++)
    for (int j = 0; j < D; j++) dA2[i * D + j] = dot_row(T3, p, K, i) / D * (Z2[i * D + j] > 0);
  for (int j = 0; j < D; j++)
    for (int i = 0; i < L; i++)
      dA1[j * L + i] = dot_row(T2, dA2 + i * D, D, j) * (Z1[j * L + i] > 0);
  for (int k = 0; k < K; k++) out[5][k] += p[k];
  add_outer(out[4], 1, z, L, p, K);
  for (int i = 0; i < L; i++) {
    add_outer(out[2], 1, Z + i * D, D, dA2 + i * D, D);
    for (int j = 0; j < D; j++) out[3][j] += dA2[i * D + j];
  }
  for (int j = 0; j < D; j++)
    for (int i = 0; i < L; i++) {
      out[1][i] += dA1[j * L + i];
      for (int t = 0; t < L; t++) out[0][t * L + i] += X[t * D + j] * dA1[j * L + i];
    }
}

static void test_mixer(void **state) {
  (void)state;
  IN_BOTH_PRECISIONS {
    const double *T1 = PARAM(T1, L, L), *b1 = PARAM(b1, L), *T2 = PARAM(T2, D, D),
                 *b2 = PARAM(b2, D), *T3 = PARAM(T3, L, K), *b3 = PARAM(b3, K),
                 *X = INPUT(X, 1, L, D), *label = labels("label", 1, K);
    double out[6][L * L] = {{0}};
    mixer_backward(X, T1, b1, T2, b2, T3, b3, (int)label[0], out);
    differentiate(EXAMPLES "/mixer.net", "");
    static const char *const names[] = {"grad.T1", "grad.b1", "grad.T2",
                                        "grad.b2", "grad.T3", "grad.b3"};
    static const int64_t size[] = {L * L, L, D * D, D, L * K, K};
    for (int i = 0; i < 6; i++) compare(names[i], out[i], size[i], 64);
    st_close(&results);
  }
}

/* ---- concat_dropout: eleven derivatives, those by values through grad() ---- */

/* The example with its label as an input, so that outputs may depend on it, and grad() of the loss
 * by each value. */
static void write_derivatives(const char *path) {
  static const char *const change[][2] = {
      {"target label : class[classes];", "input label : i32;"},
      {"output probabilities = yhat;",
       "loss_here = nll_loss(log(yhat), label);\n"
       "output mask = m; output dyhat = grad(loss_here, yhat); output dh3 = grad(loss_here, h3);\n"
       "output da2 = grad(loss_here, a2); output dh2 = grad(loss_here, h2); output da1 = "
       "grad(loss_here, a1);\n"
       "output dh1 = grad(loss_here, h1);"},
      {"a2 = bernoulli_mask(h2, 0.5);", "m = bernoulli_mask(0 * h2 + 1, 0.5); a2 = h2 * m;"},
      {"metric accuracy(h3, label);", ""}};
  char text[8192], out[8192];
  FILE *f = fopen(EXAMPLES "/concat_dropout.net", "r");
  assert_non_null(f);
  text[fread(text, 1, sizeof text - 1, f)] = 0;
  fclose(f);
  for (size_t i = 0; i < sizeof change / sizeof *change; i++) {
    char *at = strstr(text, change[i][0]);
    if (!at) fail_msg("concat_dropout.net has no \"%s\"", change[i][0]);
    snprintf(out, sizeof out, "%.*s%s%s", (int)(at - text), text, change[i][1],
             at + strlen(change[i][0]));
    strcpy(text, out);
  }
  f = fopen(path, "w");
  assert_non_null(f);
  fputs(text, f);
  fclose(f);
}

static void test_concat_dropout(void **state) {
  (void)state;
  enum { n = 6, hidden = 8, both = hidden + n, classes = 4 };
  write_derivatives(B "eleven.net");
  IN_BOTH_PRECISIONS {
    const double *W1 = PARAM(W1, n, hidden), *b1 = PARAM(b1, hidden),
                 *W2 = PARAM(W2, both, classes), *b2 = PARAM(b2, classes), *x = INPUT(x, 1, n);
    int label = (int)labels("label", 1, classes)[0];
    differentiate(B "eleven.net", "");
    double m[both], h2[both], a2[both], h3[classes], p[classes], error[classes],
        dyhat[classes] = {0}, da2[both], dh2[both], dh1[hidden], dx[n], dW1[n * hidden] = {0},
        dW2[both * classes] = {0}, kept = 0;
    memcpy(m, result("output.mask", both), sizeof m);
    for (int i = 0; i < hidden; i++) h2[i] = fmax(dot_column(W1, x, n, hidden, i) + b1[i], 0);
    for (int i = 0; i < n; i++) h2[hidden + i] = x[i];
    for (int i = 0; i < both; i++) kept += m[i], a2[i] = h2[i] * m[i];
    assert_true(kept > 0 && kept < both);
    for (int k = 0; k < classes; k++) h3[k] = dot_column(W2, a2, both, classes, k) + b2[k];
    softmax(h3, classes, p);
    for (int k = 0; k < classes; k++) error[k] = p[k] - (k == label);
    dyhat[label] = -1 / p[label];
    for (int i = 0; i < both; i++) da2[i] = dot_row(W2, error, classes, i);
    for (int i = 0; i < both; i++) dh2[i] = da2[i] * m[i];
    for (int i = 0; i < hidden; i++) dh1[i] = dh2[i] * (h2[i] > 0);
    for (int i = 0; i < n; i++) dx[i] = dh2[hidden + i] + dot_row(W1, dh1, hidden, i);
    add_outer(dW1, 1, x, n, dh1, hidden);
    add_outer(dW2, 1, a2, both, error, classes);
    compare("output.dyhat", dyhat, classes, 8);
    compare("output.dh3", error, classes, 8);
    compare("grad.W2", dW2, both * classes, 8);
    compare("grad.b2", error, classes, 8);
    compare("output.da2", da2, both, 8);
    compare("output.dh2", dh2, both, 8);
    compare("output.da1", dh2, hidden, 8);
    compare("output.dh1", dh1, hidden, 8);
    compare("grad.W1", dW1, n * hidden, 8);
    compare("grad.b1", dh1, hidden, 8);
    compare("grad.x", dx, n, 8);
    st_close(&results);
  }
}

/* Far apart, a probability underflows; its loss is infinite and its gradient p - y still. */
static void test_softmax_underflow(void **state) {
  (void)state;
  FILE *f = fopen(B "far.net", "w");
  assert_non_null(f);
  fputs(
      "network far { input x : f32[2]; target label : class[2]; param w : f32[2] = ones; p = "
      "softmax(x * w);\n"
      "output probabilities = p; loss nll_loss(log(p), label); }\n",
      f);
  fclose(f);
  IN_BOTH_PRECISIONS {
    double *w = PARAM(w, 2), *x = INPUT(x, 1, 2), *label = labels("label", 1, 2);
    w[0] = w[1] = 1, x[0] = 1000, x[1] = -1000, label[0] = 1;
    differentiate(B "far.net", "");
    compare("grad.x", (double[]){1, -1}, 2, 0);
    compare("grad.w", (double[]){1000, 1000}, 2, 0);
    st_close(&results);
  }
}

/* ---- conv -> max pool -> relu -> linear -> softmax ---- */

enum { COUT = 8, SIDE = 8, WIDE = SIDE - 2, HALF = WIDE / 2, CLASSES = 10 };

/* The first largest of a window of z. */
static int pooled(const double *z, int y, int x) {
  int best = 2 * y * WIDE + 2 * x;
  for (int i = 1; i < 4; i++) {
    int at = (2 * y + i / 2) * WIDE + 2 * x + i % 2;
    if (z[at] > z[best]) best = at;
  }
  return best;
}

static void convolve(const double *w, double b, const double *image, double *z) {
  for (int i = 0; i < WIDE * WIDE; i++) {
    z[i] = b;
    for (int t = 0; t < 9; t++)
      z[i] += w[t] * image[(i / WIDE + t / 3) * SIDE + i % WIDE + t % 3] / 16;
  }
}

static void test_conv_pool(void **state) {
  (void)state;
  IN_BOTH_PRECISIONS {
    enum { cells = HALF * HALF, flat = COUT * cells };
    const double *w = PARAM(conv.weight, COUT, 1, 3, 3), *b = PARAM(conv.bias, COUT),
                 *fc = PARAM(fc.weight, CLASSES, flat), *fb = PARAM(fc.bias, CLASSES),
                 *image = INPUT(digit, 1, 1, SIDE, SIDE);
    int label = (int)labels("label", 1, CLASSES)[0], from[flat];
    double z[WIDE * WIDE], h[flat], logits[CLASSES], p[CLASSES],
        dw[COUT * 9] = {0}, db[COUT] = {0}, dfc[CLASSES * flat] = {0};
    for (int i = 0; i < flat; i++) {
      int c = i / cells, cell = i % cells;
      convolve(w + c * 9, b[c], image, z);
      from[i] = pooled(z, cell / HALF, cell % HALF);
      h[i] = fmax(z[from[i]], 0);
    }
    for (int k = 0; k < CLASSES; k++) logits[k] = dot_row(fc, h, flat, k) + fb[k];
    softmax(logits, CLASSES, p);
    p[label] -= 1;
    add_outer(dfc, 1, p, CLASSES, h, flat);
    for (int i = 0; i < flat; i++) {
      double d = dot_column(fc, p, CLASSES, flat, i) * (h[i] > 0);
      int c = i / cells, y = from[i] / WIDE, x = from[i] % WIDE;
      db[c] += d;
      for (int t = 0; t < 9; t++) dw[c * 9 + t] += d * image[(y + t / 3) * SIDE + x + t % 3] / 16;
    }
    differentiate(EXAMPLES "/conv_pool.net", "");
    compare("grad.fc.weight", dfc, CLASSES * flat, 64);
    compare("grad.fc.bias", p, CLASSES, 64);
    compare("grad.conv.weight", dw, COUT * 9, 64);
    compare("grad.conv.bias", db, COUT, 64);
    st_close(&results);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_regression_mlp),
      cmocka_unit_test(test_two_layer),
      cmocka_unit_test(test_conv_jacobian),
      cmocka_unit_test(test_sigmoid_regression),
      cmocka_unit_test(test_mixer),
      cmocka_unit_test(test_concat_dropout),
      cmocka_unit_test(test_softmax_underflow),
      cmocka_unit_test(test_conv_pool),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
