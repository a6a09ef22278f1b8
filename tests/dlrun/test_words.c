/* Words as labels: one meaning for all data of a network, kept in its weights; and data errors that
 * name the file and line they are about. */
#include "tests/dlrun/files.h"

#include "runtime/safetensors.h"

#define B TEST_BINARY_DIR "/words-"

static dlc_model *animals(int32_t classes) {
  return tensors_model(tensor("x", DLC_F32, 0, 0, NULL), label_of(classes));
}

static Dataset open_with(Arena *a, Words *w, const char *spec) {
  Dataset d;
  Fault f = {.text = ""};
  if (!dataset_open(a, spec, true, w, &d, &f)) fail_msg("%s: %s", spec, f.text);
  return d;
}

static void refused(Arena *a, Words *w, const char *spec, const char *why) {
  Dataset d;
  Fault f = {.text = ""};
  if (dataset_open(a, spec, true, w, &d, &f)) fail_msg("%s was taken", spec);
  if (!strstr(f.text, why)) fail_msg("%s: \"%s\" lacks \"%s\"", spec, f.text, why);
}

static void check_labels(const Dataset *d, const dlc_model *m, int n, const int *label) {
  assert_int_equal(d->n, n);
  for (int i = 0; i < n; i++) assert_int_equal(data_at(d, m, 1, i, 0), label[i]);
}

/* Fewer words, other words, numbers: the training data decides. */
static void test_one_meaning(void **state) {
  (void)state;
  Arena *a = arena_new();
  const dlc_model *m = animals(3);
  Words w = words_new(a, m);
  write_text(B "train.csv", "1,dog\n2,ant\n3,cat\n4,dog\n");
  write_text(B "few.csv", "1,dog\n2,cat\n");
  write_text(B "other.csv", "1,dog\n\n2,cow\n");
  write_text(B "numbers.csv", "1,2\n2,0\n");
  write_text(B "mixed.csv", "1,2\n2,dog\n");
  Dataset d = open_with(a, &w, B "train.csv");
  check_labels(&d, m, 4, (int[]){2, 0, 1, 2});
  d = open_with(a, &w, B "few.csv");
  check_labels(&d, m, 2, (int[]){2, 1});
  d = open_with(a, &w, B "numbers.csv");
  check_labels(&d, m, 2, (int[]){2, 0});
  refused(a, &w, B "other.csv",
          "other.csv:3: \"cow\" is not one of the classes of the training data: ant, cat, dog");
  refused(a, &w, B "mixed.csv", "mixed.csv:2: \"dog\" is not");
  assert_string_equal(words_names(&w, "label")[2], "dog");
  assert_null(words_names(&w, "x"));
  arena_free(a);
}

/* The words of several files together, in any order of files; numbers among them are words. */
static void test_many_files(void **state) {
  (void)state;
  Arena *a = arena_new();
  const dlc_model *m = animals(4);
  write_text(B "1.csv", "1,7\n2,dog\n");
  write_text(B "2.csv", "1,ant\n2,7\n3,cat\n");
  Words w = words_new(a, m), v = words_new(a, m);
  Dataset d = open_with(a, &w, B "1.csv," B "2.csv");
  check_labels(&d, m, 5, (int[]){0, 3, 1, 0, 2});
  d = open_with(a, &v, B "2.csv," B "1.csv");
  check_labels(&d, m, 5, (int[]){1, 0, 2, 0, 3});
  arena_free(a);
}

/* scikit-learn's first line names the classes, in their order. */
static void test_named_by_first_line(void **state) {
  (void)state;
  Arena *a = arena_new();
  const dlc_model *m = animals(2);
  Words w = words_new(a, m);
  write_text(B "sk.csv", "3,1,dog,ant\n1,0\n2,1\n3,0\n");
  write_text(B "turned.csv", "1,1,ant,dog\n1,0\n");
  write_text(B "plain.csv", "1,dog\n2,ant\n");
  Dataset d = open_with(a, &w, B "sk.csv");
  check_labels(&d, m, 3, (int[]){0, 1, 0});
  d = open_with(a, &w, B "turned.csv");
  check_labels(&d, m, 1, (int[]){1});
  d = open_with(a, &w, B "plain.csv");
  check_labels(&d, m, 2, (int[]){0, 1});
  arena_free(a);
}

/* As metadata, there and back; odd words too. */
static void test_kept(void **state) {
  (void)state;
  Arena *a = arena_new();
  const dlc_model *m = animals(3);
  Words w = words_new(a, m), v = words_new(a, m), none = words_new(a, m);
  Fault f = {.text = ""};
  int32_t pairs;
  write_text(B "odd.csv", "1,\"a, \"\"b\"\"\"\n2,\xc3\xa4\\\n3,]\n");
  words_metadata(&none, &pairs);
  assert_int_equal(pairs, 0);
  open_with(a, &w, B "odd.csv");
  const char *const *pair = words_metadata(&w, &pairs);
  assert_int_equal(pairs, 1);
  assert_string_equal(pair[0], "classes.label");
  static const char *const bad[] = {"", "{}", "[1,2,3]", "[\"a\",\"b\"]", "[\"a\",\"b\",\"a\"]"};
  for (int i = -1; i < (int)(sizeof bad / sizeof *bad); i++) {
    const StPair meta[] = {{pair[0], i < 0 ? pair[1] : bad[i]}};
    StWriter file;
    assert_int_equal(st_create(&file, B "w.safetensors", NULL, 0, meta, 1), 0);
    assert_int_equal(st_commit(&file), 0);
    assert_int_equal(words_load(&v, B "w.safetensors", &f), i < 0);
    if (i >= 0) assert_non_null(strstr(f.text, "classes.label in its metadata is not a list of 3"));
    for (int k = 0; i < 0 && k < 3; k++)
      assert_string_equal(words_names(&v, "label")[k], words_names(&w, "label")[k]);
  }
  arena_free(a);
}

/* Each file counts its own samples, whatever is cut from them. */
static void test_places(void **state) {
  (void)state;
  const dlc_model *m = animals(3);
  write_text(B "a.csv", "1,0\n2,1\n3,2\n");
  write_text(B "b.csv", "x,label\n1,0\n\n2,3\n");
  refuse_with(m, B "a.csv," B "b.csv",
              "words-b.csv:4: label is 3; it must be an integer from 0 to 2");
  refuse_with(m, B "a.csv," B "b.csv,split=4:1,part=train", "words-b.csv:4: label is 3");
  refuse_with(m, B "b.csv,fold=1/2", "words-b.csv:4: label is 3");
  int64_t good[] = {2, 0, 1}, wrong[] = {0, 9};
  float x[] = {1, 2, 3};
  for (int second = 0; second < 2; second++) {
    int64_t n = second ? 2 : 3;
    StTensor t[] = {{.name = "x", .type = ST_F32, .rank = 1, .dim = {n}},
                    {.name = "label", .type = ST_I64, .rank = 1, .dim = {n}}};
    StWriter w;
    assert_int_equal(st_create(&w, second ? B "b.safetensors" : B "a.safetensors", t, 2, NULL, 0),
                     0);
    st_write(&w, x, (size_t)n * 4);
    st_write(&w, second ? wrong : good, (size_t)n * 8);
    assert_int_equal(st_commit(&w), 0);
  }
  refuse_with(m, B "a.safetensors," B "b.safetensors", "words-b.safetensors: sample 2: label is 9");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_one_meaning),
      cmocka_unit_test(test_many_files),
      cmocka_unit_test(test_named_by_first_line),
      cmocka_unit_test(test_kept),
      cmocka_unit_test(test_places),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
