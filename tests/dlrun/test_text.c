/* CSV tables and series. */
#include "tests/dlrun/files.h"

#define P TEST_BINARY_DIR "/text.csv"

static dlc_model *flowers(void) {
  return tensors_model(tensor("x", DLC_F32, 0, 1, (int64_t[]){2}), label_of(3));
}

static void check_flowers(const char *spec, int64_t n, const double *expect) {
  Arena *a = arena_new();
  const dlc_model *m = flowers();
  Dataset d = open_data(a, m, spec);
  assert_int_equal(d.n, n);
  for (int64_t s = 0; s < n; s++) {
    assert_true(data_at(&d, m, 0, s, 0) == (double)(float)expect[3 * s]);
    assert_true(data_at(&d, m, 0, s, 1) == (double)(float)expect[3 * s + 1]);
    assert_int_equal(data_at(&d, m, 1, s, 0), expect[3 * s + 2]);
  }
  arena_free(a);
}

static void test_tables(void **state) {
  (void)state;
  write_text(P, "1.5,2,0\n-3e2,4,2\n");
  check_flowers(P, 2, (double[]){1.5, 2, 0, -300, 4, 2});
  write_text(P,
             "\xef\xbb\xbf"
             "a,b,kind\r\n1,2,1\r\n\r\n3,4,0");
  check_flowers(P, 2, (double[]){1, 2, 1, 3, 4, 0});
  write_text(P, "label,a,b\n2,5,6\n0,7,8\n");
  check_flowers(P, 2, (double[]){5, 6, 2, 7, 8, 0});
  write_text(P, "a,kind,b\n5,2,6\n7,0,8\n");
  check_flowers(P ",label=kind", 2, (double[]){5, 6, 2, 7, 8, 0});
  write_text(P, "label,kind,b\n5,2,6\n7,0,8\n"); /* label= against the target's own name */
  check_flowers(P ",label=kind", 2, (double[]){5, 6, 2, 7, 8, 0});
  write_text(P, "2,2,virginica,setosa\n5,6,1\n7,8,0\n");
  check_flowers(P, 2, (double[]){5, 6, 1, 7, 8, 0});
  write_text(P, "1,2,\"b, \"\"x\"\"\"\n3,4,c\n5,6,a\n7,8,c\n");
  check_flowers(P, 4, (double[]){1, 2, 1, 3, 4, 2, 5, 6, 0, 7, 8, 2});
  write_text(P, "1,2,10\n3,4,b\n5,6,a\n");
  check_flowers(P, 3, (double[]){1, 2, 0, 3, 4, 2, 5, 6, 1});
}

static void test_two_tables(void **state) {
  (void)state;
  write_text(P, "1,2,0\n3,4,2\n");
  check_flowers(P "," P, 4, (double[]){1, 2, 0, 3, 4, 2, 1, 2, 0, 3, 4, 2});
}

static void test_named_columns(void **state) {
  (void)state;
  const dlc_tensor in[] = {tensor("age", DLC_F32, 0, 0, NULL),
                           tensor("rest", DLC_F32, 0, 1, (int64_t[]){2})};
  const dlc_tensor out[] = {tensor("price", DLC_F32, 0, 0, NULL)};
  dlc_model m = {.name = "t", .input_count = 2, .target_count = 1, .inputs = in, .targets = out};
  write_text(P, "price,u,age,v\n10,1,40,2\n20,3,50,4\n");
  Arena *a = arena_new();
  Dataset d = open_data(a, &m, P);
  assert_true(data_at(&d, &m, 0, 1, 0) == 50);
  assert_true(data_at(&d, &m, 1, 1, 0) == 3 && data_at(&d, &m, 1, 1, 1) == 4);
  assert_true(data_at(&d, &m, 2, 0, 0) == 10);
  d = open_data(a, &m, P ",label=u"); /* price is a column like the others then */
  assert_true(data_at(&d, &m, 2, 0, 0) == 1);
  assert_true(data_at(&d, &m, 0, 0, 0) == 40);
  assert_true(data_at(&d, &m, 1, 0, 0) == 10 && data_at(&d, &m, 1, 0, 1) == 2);
  arena_free(a);
}

static void test_bad_tables(void **state) {
  (void)state;
  static const struct {
    const char *text, *why;
  } cases[] = {
      {"", "empty"},
      {"\n\n", "empty"},
      {"a,b,c\n", "no row"},
      {"1,2,0\n1,2\n", "text.csv:2: 2 cells"},
      {"1,2,0\n\n1,2,0\n1,2,0,4\n", "text.csv:4: 4 cells"},
      {"a,b,c\n1,2\n", "text.csv:2: 2 cells, the first line has 3"},
      {"1,2,0\n1,x,0\n", "text.csv:2: \"x\" in column 2 is not a number"},
      {"a,b,c\n1,,0\n", "text.csv:2: \"\" in column 2 is not a number"},
      {"1,nan,0\n", "text.csv:1: \"nan\" in column 2"},
      {"1,1e999,0\n", "text.csv:1: \"1e999\" in column 2"},
      {"1,0x10,0\n", "\"0x10\""},
      {"1,2,3\n", "text.csv:1: label is 3; it must be an integer from 0 to 2"},
      {"1,2,1\n1,2,0.5\n", "text.csv:2: label is 0.5"},
      {"1,2,-1\n", "text.csv:1: label is -1"},
      {"1,2,3,4,0\n", "5 columns; the network takes 2 for its inputs and 1 for its targets"},
      {"1\n", "1 columns"},
      {"1,2,a\n3,4,b\n", "text.csv:1: \"a\" is no number, so labels are words: 2 different words"},
      {"1,2,0\n\n3,4,1\n3,4,2\n1,2,l\n", "text.csv:5: \"l\" is no number"},
      {"1,2,0\n1,2,\n", "text.csv:2: the label is missing"},
      {"1,2,\n1,2,0\n", "text.csv:1: the label is missing"},
      {"1,2,0\n1,\n2,0\n", "text.csv:2: 2 cells, the first line has 3"},
      {"1,2,a\n1,2,b\n1,2,\xe4\n", "text.csv:3: the label is not UTF-8"},
      {"2,2,a,b,c\n1,2,2\n1,2,3\n", "text.csv:3: label 3; the first line names 3 classes"},
      {"a;b;c\n1;2;0\n",
       "1 columns; the network takes 2 for its inputs and 1 for its targets; its "
       "cells seem to be separated by semicolons"},
      {"1\t2\t0\n1\t2\t0\n", "separated by tabs"},
      {"a,b,c\n\n\n1,2\n", "text.csv:4: 2 cells, the first line has 3"},
      {"1,2,\"a\n", "a quote is not closed"},
      {"1,2,\"a\"b\n", "follows a closing quote"},
      {"\"a\nx\",b,c\n1,2,0\n1,zz,0\n", "text.csv:4: \"zz\""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    write_text(P, cases[i].text);
    refuse_with(flowers(), P, cases[i].why);
  }
  write_blob(P, "1,\0,2\n", 6);
  refuse_with(flowers(), P, "zero byte");
  char *wide = malloc(20000);
  memset(wide, '1', 20000);
  write_blob(P, wide, 20000);
  refuse_with(flowers(), P, "too long");
  free(wide);
}

static void test_rows(void **state) {
  (void)state;
  write_text(P, "0,0,0\n1,0,1\n2,0,2\n3,0,0\n4,0,1\n5,0,2\n6,0,0\n7,0,1\n8,0,2\n9,0,0\n");
  const dlc_model *m = flowers();
  int seen[10] = {0};
  for (int fold = 1; fold <= 3; fold++) {
    char spec[512];
    Arena *a = arena_new();
    snprintf(spec, sizeof spec, P ",fold=%d/3,part=test", fold);
    Dataset test = open_data(a, m, spec);
    for (int64_t i = 0; i < test.n; i++) seen[(int)data_at(&test, m, 0, i, 0)]++;
    snprintf(spec, sizeof spec, P ",fold=%d/3", fold);
    Dataset train = open_data(a, m, spec);
    assert_int_equal(train.n + test.n, 10);
    for (int64_t i = 0; i < train.n; i++)
      for (int64_t k = 0; k < test.n; k++)
        assert_true(data_at(&train, m, 0, i, 0) != data_at(&test, m, 0, k, 0));
    arena_free(a);
  }
  for (int i = 0; i < 10; i++) assert_int_equal(seen[i], 1);
  check_flowers(P ",split=6:2:2,part=valid", 2, (double[]){6, 0, 0, 7, 0, 1});
  check_flowers(P ",split=6:2:2,part=test", 2, (double[]){8, 0, 2, 9, 0, 0});
  check_flowers(P ",split=8:2,part=test,limit=1", 1, (double[]){8, 0, 2});
  check_flowers(P ",split=2:8", 2, (double[]){0, 0, 0, 1, 0, 1});
  refuse_with(m, P ",split=8:3,part=test", "fewer than split=");
  check_flowers(P ",split=0000000000000006:02:02,part=valid", 2, (double[]){6, 0, 0, 7, 0, 1});
  refuse_with(m, P ",part=test", "needs split=");
}

static void test_specs(void **state) {
  (void)state;
  static const char *const bad[][2] = {
      {"", "empty name"},
      {",", "empty name"},
      {"limit=3", "no file"},
      {"x.csv,limit=0", "limit=0: limit= wants a number of samples from 1"},
      {"x.csv,limit=-1", "wants a number of samples"},
      {"x.csv,limit=99999999999999999999", "wants a number of samples"},
      {"x.csv,fold=0/5", "fold= wants K/N, the K-th of N folds: N from 2, K from 1 to N"},
      {"x.csv,fold=6/5", "fold= wants K/N"},
      {"x.csv,fold=1/1", "fold= wants K/N"},
      {"x.csv,window=3", "go together"},
      {"x.csv,window=0,horizon=1", "window= wants a number of rows from 1"},
      {"x.csv,part=all", "part=all: part= wants train, valid or test"},
      {"x.csv,part=tset", "train, valid or test; did you mean test?"},
      {"x.csv,split=3", "split= wants TRAIN:VALID:TEST or TRAIN:TEST"},
      {"x.csv,split=1:2:3:4", "split= wants"},
      {"x.csv,split=0:2:3", "split= wants"},
      {"x.csv,label=", "label= wants the name of a column"},
      {"x.csv,limit=1,limit=2", "limit=2: limit= is there twice"},
      {"x.csv,colour=red", "colour=red: no such option; there are window, horizon, part"},
      {"x.csv,lable=y", "no such option; did you mean label=?"},
      {"x.csv,fold=1/2,split=1:2", "exclude"},
      {"x.csv,fold=1/2,window=1,horizon=1", "fold and window exclude each other"},
      {"x.csv,label=y,window=1,horizon=1", "the windows of a series have no label"},
      {"x.npz,label=y", "x.npz: label= is for CSV files"},
      {"x.safetensors,window=1,horizon=1", "x.safetensors: window= is for CSV files"},
      {TEST_BINARY_DIR, "not a regular file"},
      {"/no/such.csv", "No such file"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    refuse_with(flowers(), bad[i][0], bad[i][1]);
}

/* Two columns, a and 10 a + 5, which standardise to the same numbers. */
static void write_series(void) {
  FILE *f = fopen(P, "w");
  fprintf(f, "date,a,b\n");
  for (int i = 0; i < 20; i++) fprintf(f, "2020-01-%02d 00:00,%d,%d\n", i + 1, i, 10 * i + 5);
  fclose(f);
}

static double standard(double v) { /* by rows 0..11 */ return (v - 5.5) / sqrt(143.0 / 12); }

static void test_series(void **state) {
  (void)state;
  dlc_model *m = tensors_model(tensor("x", DLC_F64, 0, 1, (int64_t[]){4}),
                               tensor("y", DLC_F64, 0, 1, (int64_t[]){2}));
  Arena *a = arena_new();
  write_series();
  Dataset d = open_data(a, m, P ",window=4,horizon=2,split=12:4:4,part=train");
  assert_int_equal(d.n, 2 * (12 - 6 + 1));
  for (int64_t s = 0; s < d.n; s++)
    for (int i = 0; i < 6; i++) {
      double v = i < 4 ? data_at(&d, m, 0, s, i) : data_at(&d, m, 1, s, i - 4);
      assert_true(fabs(v - standard((double)(s % 7 + i))) < 1e-6);
    }
  d = open_data(a, m, P ",window=4,horizon=2,split=12:4:4,part=test");
  assert_int_equal(d.n, 2 * (4 - 2 + 1));
  assert_true(fabs(data_at(&d, m, 0, 0, 0) - standard(12)) <
              1e-6); /* reaches back into the part before */
  assert_true(fabs(data_at(&d, m, 1, 2, 1) - standard(19)) < 1e-6);
  d = open_data(a, m, P ",window=4,horizon=2,split=12:8,part=test");
  assert_int_equal(d.n, 2 * (8 - 2 + 1));
  d = open_data(a, m, P ",window=4,horizon=2"); /* never the rows that a test is made on */
  assert_int_equal(d.n, 2 * (12 - 6 + 1));
  arena_free(a);
  refuse_with(m, P ",window=5,horizon=2", "do not fit input x of 4");
  refuse_with(m, P ",window=4,horizon=3", "do not fit y");
  refuse_with(m, P ",window=4,horizon=2,split=12:1:1,part=test", "too few rows");
  refuse_with(m, P ",window=40,horizon=2", "fewer rows");
  refuse_with(m, P ",window=4,horizon=2,split=12:4:5,part=test", "fewer than split=");
}

static void test_series_together(void **state) {
  (void)state;
  write_series();
  for (int turned = 0; turned < 2; turned++) {
    int64_t dim[] = {turned ? 2 : 4, turned ? 4 : 2}, target[] = {turned ? 2 : 3, turned ? 3 : 2};
    dlc_model *m =
        tensors_model(tensor("x", DLC_F32, 0, 2, dim), tensor("y", DLC_F32, 0, 2, target));
    Arena *a = arena_new();
    Dataset d = open_data(a, m, P ",window=4,horizon=3,split=12:4:4");
    assert_int_equal(d.n, 12 - 7 + 1);
    for (int t = 0; t < 4; t++)
      for (int c = 0; c < 2; c++)
        assert_true(fabs(data_at(&d, m, 0, 3, turned ? c * 4 + t : t * 2 + c) - standard(3 + t)) <
                    1e-6);
    arena_free(a);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_tables),        cmocka_unit_test(test_two_tables),
      cmocka_unit_test(test_named_columns), cmocka_unit_test(test_bad_tables),
      cmocka_unit_test(test_rows),          cmocka_unit_test(test_specs),
      cmocka_unit_test(test_series),        cmocka_unit_test(test_series_together),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  unlink(P);
  return failed;
}
