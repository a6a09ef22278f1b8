/* The tool on networks that dlc compiled: gradients three ways in both precisions, training that
 * learns, the same bits after resuming and on any number of threads. */
#include "tests/dlrun/files.h"
#include "tests/dlrun/run.h"

#include <math.h>

#include "runtime/safetensors.h"

#define B TEST_BINARY_DIR "/compiled-"
#define DATA B "data.safetensors"
#define IR TEST_SOURCE_DIR "/tests/dlrun/small.ir"

enum { SAMPLES = 100, IMAGE = 72 };

/* Noise with a bright third of the columns: the class. */
static void write_data(void) {
  static float x[SAMPLES * IMAGE];
  static int64_t y[SAMPLES];
  uint32_t r = 1;
  for (int s = 0; s < SAMPLES; s++) {
    y[s] = s * 7 % 3;
    for (int i = 0; i < IMAGE; i++) {
      r = r * 1664525u + 1013904223u;
      x[s * IMAGE + i] = (float)(r >> 8) * 0x1p-24f + (i % 6 / 2 == y[s] ? 0.5f : 0);
    }
  }
  StTensor t[] = {{.name = "image", .type = ST_F32, .rank = 4, .dim = {SAMPLES, 2, 6, 6}},
                  {.name = "label", .type = ST_I64, .rank = 1, .dim = {SAMPLES}}};
  StWriter w;
  assert_int_equal(st_create(&w, DATA, t, 2, NULL, 0), 0);
  st_write(&w, x, sizeof x);
  st_write(&w, y, sizeof y);
  assert_int_equal(st_commit(&w), 0);
}

static int compile(void **state) {
  (void)state;
  write_data();
  expect(0, "", run_program(DLC, "%s -o %s", IR, B "f32.so"));
  expect(0, "", run_program(DLC, "%s -o %s --precision f64", IR, B "f64.so"));
  expect(0, "", run_program(DLC, "%s -o %s -mcpu=x86-64 -O0", IR, B "base.so"));
  return 0;
}

static void test_summary(void **state) {
  (void)state;
  expect(0, "conv   conv2d      [5,6,6]               95\n", dlrun("summary %s", B "f32.so"));
  expect(0, "Total                                   243\n", dlrun("summary %s", B "f32.so"));
}

static void test_check(void **state) {
  (void)state;
  static const char *const models[] = {B "f32.so", B "f64.so", B "base.so"};
  for (int i = 0; i < 3; i++)
    for (int n = 1; n <= 16; n += n == 1 ? 2 : 13) {
      expect(0, "grad.conv.weight", dlrun("check %s --batch %d --seed %d", models[i], n, i + n));
      assert_null(strstr(output, "WRONG"));
      expect(0, "grad.image", dlrun("check %s --batch %d --eval", models[i], n));
    }
}

/* With grad() in the network, one interpreter serves gradients and differences: each at its own
 * place. */
static void test_check_grad(void **state) {
  (void)state;
  expect(0, "",
         run_program(DLC, "%s -o %s --precision f64 --verify-each",
                     TEST_SOURCE_DIR "/tests/dlrun/slope.net", B "slope.so"));
  expect(0, "output.slope", dlrun("check %s", B "slope.so"));
  assert_null(strstr(output, "WRONG"));
}

/* Copies a file; where it first holds `was`, the copy holds `is`, of the same length. */
static void copy_changed(const char *from, const char *to, const char *was, const char *is) {
  static char data[1 << 20];
  FILE *f = fopen(from, "rb");
  assert_non_null(f);
  size_t size = fread(data, 1, sizeof data, f);
  fclose(f);
  char *at = memmem(data, size, was, strlen(was));
  assert_non_null(at);
  memcpy(at, is, strlen(was));
  write_blob(to, data, size);
}

/* A gradient that cancels may be as far off as rounding takes it and no further: code that differs
 * from its own graph by a constant's second digit is found. */
static void test_check_cancelling(void **state) {
  (void)state;
  expect(0, "",
         run_program(DLC, "%s -o %s", TEST_SOURCE_DIR "/tests/dlrun/cancels.net", B "cancels.so"));
  expect(0, "rounding\n", dlrun("check %s", B "cancels.so"));
  copy_changed(B "cancels.so", B "differs.so", "{value=0.9}", "{value=0.8}");
  expect(1, "WRONG\n", dlrun("check %s", B "differs.so"));
}

static void test_index_range(void **state) {
  (void)state;
  static const double x[6] = {0}, y[2] = {0};
  static const int32_t word[4] = {4, 0, 1, 5};
  StTensor t[] = {{.name = "x", .type = ST_F64, .rank = 2, .dim = {2, 3}},
                  {.name = "word", .type = ST_I32, .rank = 2, .dim = {2, 2}},
                  {.name = "y", .type = ST_F64, .rank = 2, .dim = {2, 1}}};
  StWriter w;
  assert_int_equal(st_create(&w, B "words.safetensors", t, 3, NULL, 0), 0);
  st_write(&w, x, sizeof x);
  st_write(&w, word, sizeof word);
  st_write(&w, y, sizeof y);
  assert_int_equal(st_commit(&w), 0);
  expect(1, "words.safetensors: sample 2: word is 5",
         dlrun("train %s --data %s --epochs 1", B "slope.so", B "words.safetensors"));
}

static void test_learns(void **state) {
  (void)state;
  expect(0, "epoch 6/6",
         dlrun("train %s --data %s --save %s", B "f32.so", DATA, B "w.safetensors"));
  expect(0, "accuracy     1\n",
         dlrun("eval %s --weights %s --data %s --batch 7", B "f32.so", B "w.safetensors", DATA));
}

static void test_resume(void **state) {
  (void)state;
  const char *model = B "f32.so";
  expect(0, "",
         dlrun("train %s --data %s --seed 9 --quiet --epochs 5 --save %s", model, DATA,
               B "one.safetensors"));
  expect(0, "",
         dlrun("train %s --data %s --seed 9 --quiet --epochs 2 --save %s", model, DATA,
               B "part.safetensors"));
  expect(0, "",
         dlrun("train %s --data %s --quiet --epochs 5 --threads 2 --resume %s --save %s", model,
               DATA, B "part.safetensors", B "two.safetensors"));
  assert_true(files_equal(B "one.safetensors", B "two.safetensors"));
  assert_true(files_equal(B "one.resume.safetensors", B "two.resume.safetensors"));
  expect(0, "",
         dlrun("train %s --data %s --seed 9 --quiet --epochs 5 --threads 8 --save %s", model, DATA,
               B "eight.safetensors"));
  assert_true(files_equal(B "one.safetensors", B "eight.safetensors"));
}

/* grad.<name> in double against central differences of the loss in double, through the files alone.
 */
static double loss_of(const char *weights) {
  StFile f;
  double loss = NAN;
  expect(0, "",
         dlrun("grad %s --weights %s --inputs %s,limit=9 --seed 4 -o %s", B "f64.so", weights, DATA,
               B "g.safetensors"));
  assert_int_equal(st_open(&f, B "g.safetensors"), 0);
  assert_int_equal(st_read_doubles(&f, st_find(&f, "loss"), 0, 1, &loss), 0);
  st_close(&f);
  return loss;
}

static void move_weight(const char *from, const char *to, const char *name, int64_t i, double by) {
  char bytes[1 << 16];
  StFile f;
  assert_int_equal(st_open(&f, from), 0);
  uint64_t at = f.data_at + st_find(&f, name)->begin + (uint64_t)i * 8;
  st_close(&f);
  FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
  size_t n = fread(bytes, 1, sizeof bytes, in);
  double v;
  memcpy(&v, bytes + at, 8);
  v += by;
  memcpy(bytes + at, &v, 8);
  fwrite(bytes, 1, n, out);
  fclose(in);
  fclose(out);
}

static void test_grad(void **state) {
  (void)state;
  static const struct {
    const char *name;
    int64_t i;
  } where[] = {{"conv.weight", 31}, {"fc.weight", 77}, {"bn.weight", 2}, {"fc.bias", 1}};
  const char *w = B "w64.safetensors", *moved = B "moved.safetensors";
  expect(0, "", dlrun("init %s --seed 2 -o %s", B "f64.so", w));
  for (size_t k = 0; k < sizeof where / sizeof *where; k++) {
    move_weight(w, moved, where[k].name, where[k].i, 1e-6);
    double up = loss_of(moved);
    move_weight(w, moved, where[k].name, where[k].i, -1e-6);
    double difference = (up - loss_of(moved)) / 2e-6, g, loss = loss_of(w);
    char name[64];
    snprintf(name, sizeof name, "grad.%s", where[k].name);
    StFile f;
    assert_int_equal(st_open(&f, B "g.safetensors"), 0);
    assert_int_equal(st_read_doubles(&f, st_find(&f, name), where[k].i, 1, &g), 0);
    st_close(&f);
    assert_true(loss > 0.1 && fabs(g) > 1e-6);
    if (!(fabs(g - difference) <= 1e-5 + 1e-3 * fabs(g)))
      fail_msg("%s: %g is not %g", name, g, difference);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_summary),     cmocka_unit_test(test_check),
      cmocka_unit_test(test_check_grad),  cmocka_unit_test(test_check_cancelling),
      cmocka_unit_test(test_index_range), cmocka_unit_test(test_learns),
      cmocka_unit_test(test_resume),      cmocka_unit_test(test_grad),
  };
  return cmocka_run_group_tests(tests, compile, NULL);
}
