/* AUC, accuracy, probabilities, names of classes. */
#include "tests/dlrun/files.h"

#include "dlrun/classes.h"

/* The definition: the share of pairs, one of the class and one not, in which the first has the
 * higher score. */
static double pairs_auc(const double *score, const int32_t *label, int n, int k) {
  double sum = 0;
  int counted = 0;
  for (int c = 0; c < k; c++) {
    double right = 0, pairs = 0;
    for (int i = 0; i < n; i++)
      for (int j = 0; j < n; j++) {
        if (label[i] != c || label[j] == c) continue;
        double d = score[i * k + c] - score[j * k + c];
        right += d > 0 ? 1 : d == 0 ? 0.5 : 0;
        pairs++;
      }
    if (pairs > 0) sum += right / pairs, counted++;
  }
  return sum / counted;
}

static void test_auc(void **state) {
  (void)state;
  enum { N = 60, K = 4 };
  static double score[N * K];
  int32_t label[N];
  Arena *a = arena_new();
  uint32_t r = 7;
  for (int trial = 0; trial < 20; trial++) {
    int levels = trial % 2 ? 5 : 1000000, used = trial < 10 ? K : K - 1; /* ties; a class absent */
    for (int i = 0; i < N; i++) {
      label[i] = (int32_t)((r = r * 1664525u + 1013904223u) >> 16) % used;
      for (int c = 0; c < K; c++) {
        r = r * 1664525u + 1013904223u;
        score[i * K + c] = (double)(r >> 8) / 0x1p24 + (label[i] == c ? 0.2 : 0);
        score[i * K + c] = floor(score[i * K + c] * levels) / levels;
      }
    }
    double got = classes_auc(a, score, label, N, K), want = pairs_auc(score, label, N, K);
    if (!(fabs(got - want) < 1e-12)) fail_msg("%.17g is not %.17g", got, want);
    assert_true(got > 0.55 && got < 0.75);
  }
  /* by hand: class 1's scores 0.1 0.4 0.35 0.8 of labels 0 0 1 1: 3 of 4 pairs */
  static const double two[] = {0.9, 0.1, 0.6, 0.4, 0.65, 0.35, 0.2, 0.8};
  assert_true(classes_auc(a, two, (int32_t[]){0, 0, 1, 1}, 4, 2) == 0.75);
  assert_true(isnan(classes_auc(a, two, (int32_t[]){1, 1, 1, 1}, 4, 2)));
  assert_true(classes_accuracy(two, (int32_t[]){0, 0, 1, 1}, 4, 2) == 0.75);
  arena_free(a);
}

static void test_normalize(void **state) {
  (void)state;
  double p[] = {0.25, 0.75, 1, 0}, logits[] = {0.25, 0.75, 1000, 1001}, small[] = {0, 0.5};
  classes_normalize(HEAD_GUESS, p, 2, 2);
  assert_true(p[0] == 0.25 && p[1] == 0.75 && p[2] == 1 && p[3] == 0);
  classes_normalize(HEAD_PROBABILITIES, p, 2, 2);
  assert_true(p[0] == 0.25 && p[1] == 0.75);
  classes_normalize(HEAD_LOGITS, small, 1, 2);
  assert_true(fabs(small[0] - 1 / (1 + exp(0.5))) < 1e-15);
  classes_normalize(HEAD_GUESS, logits, 2, 2);
  assert_true(fabs(logits[0] - 1 / (1 + exp(0.5))) < 1e-15);
  assert_true(fabs(logits[2] - 1 / (1 + exp(1))) < 1e-15 &&
              fabs(logits[2] + logits[3] - 1) < 1e-15);
}

static void test_find(void **state) {
  (void)state;
  Classes c;
  dlc_tensor label = label_of(3);
  dlc_tensor out[] = {tensor("features", DLC_F32, 0, 1, (int64_t[]){7}),
                      tensor("logits", DLC_F32, 0, 1, (int64_t[]){3}),
                      tensor("probabilities", DLC_F32, 0, 1, (int64_t[]){3})};
  dlc_model m = {.target_count = 1, .targets = &label, .output_count = 3, .outputs = out};
  Arena *a = arena_new();
  assert_true(classes_find(&m, heads_find(a, &m), &c));
  assert_true(c.output == 2 && c.target == 0 && c.classes == 3 && c.kind == HEAD_GUESS);
  m.output_count = 2;
  assert_true(classes_find(&m, heads_find(a, &m), &c) && c.output == 1);
  m.output_count = 1;
  assert_false(classes_find(&m, heads_find(a, &m), &c));
  assert_true(heads_find(a, &m)[0].kind == HEAD_PLAIN);
  m.target_count = 0;
  assert_false(classes_find(&m, heads_find(a, &m), &c));
  arena_free(a);
}

static void test_metric_names(void **state) {
  (void)state;
  assert_true(metric_is("auc", "auc") && metric_is("auc12", "auc"));
  assert_false(metric_is("aucs", "auc") || metric_is("au", "auc") || metric_is("accuracy", "auc"));
}

static void test_names(void **state) {
  (void)state;
  const char *path = TEST_BINARY_DIR "/names.txt";
  Arena *a = arena_new();
  Fault f = {.text = ""};
  const char **n = classes_names(a, "a,b c,d", 3, &f);
  assert_string_equal(n[1], "b c");
  assert_string_equal(n[2], "d");
  write_text(path, "setosa\r\nversicolor\n\nvirginica");
  n = classes_names(a, path, 3, &f);
  assert_string_equal(n[0], "setosa");
  assert_string_equal(n[2], "virginica");
  assert_null(classes_names(a, path, 4, &f));
  assert_non_null(strstr(f.text, "3 class names for 4 classes"));
  f.text[0] = 0;
  assert_null(classes_names(a, "a,b,", 2, &f));
  assert_non_null(strstr(f.text, "3 class names for 2 classes"));
  f.text[0] = 0;
  assert_null(classes_names(a, TEST_BINARY_DIR "/nothing.txt", 2, &f));
  assert_non_null(strstr(f.text, "no such file of class names"));
  arena_free(a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_auc), cmocka_unit_test(test_normalize), cmocka_unit_test(test_find),
      cmocka_unit_test(test_metric_names), cmocka_unit_test(test_names)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
