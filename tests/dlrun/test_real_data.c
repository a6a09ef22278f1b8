/* The readers on real files, found through DLC_DATA; each absent file is reported as skipped, by
 * name. */
#include "tests/dlrun/files.h"

static const char *find(char *path, size_t size, const char *name) {
  const char *dir = getenv("DLC_DATA");
  snprintf(path, size, "%s/%s", dir ? dir : "", name);
  if (dir && access(path, R_OK) == 0) return path;
  print_message("skipped: %s (DLC_DATA)\n", name);
  skip();
  return NULL;
}

static void count_labels(const Dataset *d, const dlc_model *m, int64_t *count) {
  for (int64_t i = 0; i < d->n; i++) count[(int)data_at(d, m, 1, i, 0)]++;
}

static void check_counts(const dlc_model *m, const char *spec, int64_t n, const int64_t *expected,
                         int classes) {
  Arena *a = arena_new();
  Dataset d = open_data(a, m, spec);
  int64_t count[16] = {0};
  assert_int_equal(d.n, n);
  count_labels(&d, m, count);
  for (int k = 0; k < classes; k++) assert_int_equal(count[k], expected[k]);
  arena_free(a);
}

static void test_mnist(void **state) {
  (void)state;
  char x[1024], y[1024], spec[2100];
  find(x, sizeof x, "t10k-images-idx3-ubyte.gz");
  find(y, sizeof y, "t10k-labels-idx1-ubyte.gz");
  snprintf(spec, sizeof spec, "%s,%s", x, y);
  const dlc_model *m =
      tensors_model(tensor("image", DLC_U8, 0, 3, (int64_t[]){1, 28, 28}), label_of(10));
  check_counts(m, spec, 10000, (int64_t[]){980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009},
               10);
}

static void test_cifar(void **state) {
  (void)state;
  char path[1024];
  find(path, sizeof path, "cifar10-mini3-test.bin.gz");
  const dlc_model *m =
      tensors_model(tensor("image", DLC_U8, 0, 3, (int64_t[]){3, 32, 32}), label_of(3));
  check_counts(m, path, 198, (int64_t[]){66, 66, 66}, 3);
}

static void test_pathmnist(void **state) {
  (void)state;
  char path[1024], spec[1100];
  find(path, sizeof path, "pathmnist-mini.npz");
  snprintf(spec, sizeof spec, "%s:val", path);
  const dlc_model *m =
      tensors_model(tensor("image", DLC_U8, 0, 3, (int64_t[]){3, 28, 28}), label_of(9));
  check_counts(m, spec, 100, (int64_t[]){11, 12, 11, 14, 9, 14, 8, 9, 12}, 9);
}

static void test_iris_and_digits(void **state) {
  (void)state;
  char path[1024];
  find(path, sizeof path, "iris.csv");
  const dlc_model *m = tensors_model(tensor("x", DLC_F32, 0, 1, (int64_t[]){4}), label_of(3));
  check_counts(m, path, 150, (int64_t[]){50, 50, 50}, 3);
  find(path, sizeof path, "digits.csv");
  m = tensors_model(tensor("x", DLC_U8, 0, 3, (int64_t[]){1, 8, 8}), label_of(10));
  check_counts(m, path, 1797, (int64_t[]){178, 182, 177, 183, 181, 182, 181, 179, 174, 180}, 10);
}

static void test_ett(void **state) {
  (void)state;
  char path[1024], spec[1200];
  find(path, sizeof path, "ETTh1.csv");
  const dlc_model *m = tensors_model(tensor("x", DLC_F32, 0, 1, (int64_t[]){96}),
                                     tensor("y", DLC_F32, 0, 1, (int64_t[]){96}));
  static const struct {
    const char *part;
    int64_t windows;
  } parts[] = {{"train", 8640 - 192 + 1}, {"valid", 2880 - 96 + 1}, {"test", 2880 - 96 + 1}};
  for (int i = 0; i < 3; i++) {
    Arena *a = arena_new();
    snprintf(spec, sizeof spec, "%s,window=96,horizon=96,split=8640:2880:2880,part=%s", path,
             parts[i].part);
    Dataset d = open_data(a, m, spec);
    assert_int_equal(d.n, 7 * parts[i].windows);
    arena_free(a);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_mnist),     cmocka_unit_test(test_cifar),
      cmocka_unit_test(test_pathmnist), cmocka_unit_test(test_iris_and_digits),
      cmocka_unit_test(test_ett),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
