/* The tool from end to end, on the hand-written network: exit statuses, what is printed, what is
 * written. */
#include "tests/dlrun/run.h"

#include <jansson.h>
#include <math.h>

#include "runtime/safetensors.h"

#define B TEST_BINARY_DIR "/tool-"
#define CSV B "data.csv"

static int write_data(void **state) {
  (void)state;
  FILE *f = fopen(CSV, "w");
  for (int i = 0; i < 90; i++)
    fprintf(f, "%g,%g,%g,%g,%d\n", i % 3 + 0.1 * (i % 7), 1 - 0.1 * (i % 5), i % 3 == 1 ? 2.0 : 0.5,
            0.01 * i, i % 3);
  fclose(f);
  return 0;
}

static void test_usage(void **state) {
  (void)state;
  expect(2, "usage: dlrun COMMAND", dlrun("%s", ""));
  expect(0, "usage: dlrun COMMAND", dlrun("%s", "--help"));
  expect(2, "did you mean train?", dlrun("trian"));
  expect(2, "MODEL.so is missing", dlrun("summary"));
  expect(2, "this option is needed: --data", dlrun("train %s", FAKE));
  expect(2, "did you mean --data?", dlrun("train %s --dat x", FAKE));
  expect(2, "a value is missing after --data", dlrun("train %s --data", FAKE));
  expect(2, "--epochs wants a whole number from 1, not '0'",
         dlrun("train %s --data x --epochs 0", FAKE));
  expect(2, "--lr wants a number from 0, not 'nan'", dlrun("train %s --data x --lr nan", FAKE));
  expect(2, "--seed wants a whole number from 0 to 18446744073709551615, not '-1'",
         dlrun("init %s --seed=-1 -o x", FAKE));
  expect(2, "it is there twice: --data", dlrun("train %s --data x --data y", FAKE));
  expect(2, "it is there twice: -o", dlrun("init %s -o x -o y", FAKE));
  expect(2, "no option --data; did you mean --inputs?", dlrun("predict %s --data x", FAKE));
  expect(2, "no option --inputs; did you mean --data?", dlrun("train %s --inputs=x", FAKE));
  expect(2, "there is no option --foo\n", dlrun("train %s --foo", FAKE));
  expect(2, "one MODEL.so only", dlrun("summary %s other", FAKE));
  static const char *const commands[] = {"summary", "init",  "train", "eval",    "predict",
                                         "grad",    "check", "bench", "features"};
  for (int i = 0; i < 9; i++) expect(0, "--help", dlrun("%s --help", commands[i]));
}

/* What cannot be printed is an error, wherever it comes from. */
static void test_full_output(void **state) {
  (void)state;
  static const char *const commands[] = {"--help", "--version", "train --help", "summary " FAKE};
  for (int i = 0; i < 4; i++) {
    expect(0, "1\n",
           run_program("sh", "-c '%s %s 3>&1 >/dev/full 2>&3; echo $?'", DLRUN, commands[i]));
    expect(0, "dlrun: error: cannot write standard output: No space left on device\n", 0);
    expect(0, "1\n", run_program("sh", "-c '%s %s >&-; echo $?'", DLRUN, commands[i]));
    expect(0, "dlrun: error: cannot write standard output: Bad file descriptor\n", 0);
  }
}

static void test_bad_models(void **state) {
  (void)state;
  expect(1, "No such file", dlrun("summary " B "none.so"));
  expect(1, "error", dlrun("summary %s", CSV));
  expect(1, "not a network compiled by dlc", dlrun("summary %s", ZLIB));
  expect(1, "without its graph", dlrun("check %s", FAKE));
}

static void test_summary(void **state) {
  (void)state;
  expect(0, "fc.weight        [3,4]          12\n", dlrun("summary %s", FAKE));
  expect(0, "Total                           15\n", dlrun("summary %s", FAKE));
}

static void test_training(void **state) {
  (void)state;
  expect(0, "epoch 40/40",
         dlrun("train %s --data %s --valid %s,limit=30 --epochs 40 --save " B
               "a.safetensors --log " B "log",
               FAKE, CSV, CSV));
  assert_non_null(strstr(output, "loss of the training steps"));
  assert_null(strstr(output, "\x1b"));
  expect(0, "accuracy", dlrun("eval %s --weights " B "a.safetensors --data %s --json", FAKE, CSV));
  json_t *o = json_loads(output, 0, NULL);
  assert_non_null(o);
  assert_true(json_real_value(json_object_get(o, "accuracy")) > 0.9);
  assert_true(json_real_value(json_object_get(o, "loss")) < 0.5);
  assert_int_equal(json_integer_value(json_object_get(o, "samples")), 90);
  json_decref(o);
  char head[256];
  FILE *f = fopen(B "log/log.csv", "r");
  assert_non_null(fgets(head, sizeof head, f));
  assert_string_equal(head, "epoch,step,lr,seconds,loss,accuracy,valid_loss,valid_accuracy\n");
  int rows = 0;
  while (fgets(head, sizeof head, f)) rows++;
  fclose(f);
  assert_int_equal(rows, 40);
  assert_int_equal(access(B "log/curves.svg", R_OK), 0);
}

/* Ten epochs in one go, and in two: the same bits, with another number of threads too. */
static void test_resume(void **state) {
  (void)state;
  const char *train = "train %s --data %s --batch 16 --seed 5 --quiet --epochs";
  char line[1024];
  snprintf(line, sizeof line, train, FAKE, CSV);
  expect(0, "", dlrun("%s 10 --save " B "one.safetensors", line));
  expect(0, "", dlrun("%s 4 --save " B "part.safetensors --log " B "rlog", line));
  assert_false(files_equal(B "one.safetensors", B "part.safetensors"));
  snprintf(line, sizeof line, "train %s --data %s --batch 16 --quiet --threads 2 --epochs 10", FAKE,
           CSV);
  expect(
      0, "",
      dlrun("%s --resume " B "part.safetensors --save " B "two.safetensors --log " B "rlog", line));
  assert_true(files_equal(B "one.safetensors", B "two.safetensors"));
  assert_true(files_equal(B "one.resume.safetensors", B "two.resume.safetensors"));
  char text[256];
  int rows = -1;
  FILE *f = fopen(B "rlog/log.csv", "r");
  while (fgets(text, sizeof text, f)) rows++;
  fclose(f);
  assert_int_equal(rows, 10);
  expect(1, "has done 10 epochs already", dlrun("%s --resume " B "two.safetensors", line));
  expect(0, "", dlrun("init %s --seed 1 -o " B "fresh.safetensors", FAKE));
  expect(1, "not a checkpoint", dlrun("%s --resume " B "fresh.safetensors", line));
}

static void test_predictions(void **state) {
  (void)state;
  expect(0, "", dlrun("init %s --seed 7 -o " B "w.safetensors", FAKE));
  expect(
      0, "",
      dlrun("predict %s --weights " B "w.safetensors --inputs %s -o " B "p.safetensors --batch 7",
            FAKE, CSV));
  expect(0, "",
         dlrun("predict %s --weights " B "w.safetensors --inputs %s -o " B "p.csv", FAKE, CSV));
  StFile st;
  double p[270];
  assert_int_equal(st_open(&st, B "p.safetensors"), 0);
  const StTensor *t = st_find(&st, "probabilities");
  assert_int_equal(t->dim[0], 90);
  assert_int_equal(st_read_doubles(&st, t, 0, 270, p), 0);
  st_close(&st);
  FILE *f = fopen(B "p.csv", "r");
  char head[128];
  assert_non_null(fgets(head, sizeof head, f));
  assert_string_equal(head, "probabilities[0],probabilities[1],probabilities[2]\n");
  for (int i = 0; i < 90; i++) {
    float a, b, c;
    assert_int_equal(fscanf(f, "%f,%f,%f", &a, &b, &c), 3);
    assert_true((double)a == p[3 * i] && (double)b == p[3 * i + 1] && (double)c == p[3 * i + 2]);
    assert_true(fabs((double)(a + b + c) - 1) < 1e-5);
  }
  fclose(f);
  expect(1, "missing", dlrun("eval %s --weights " B "p.safetensors --data %s", FAKE, CSV));
}

static void test_gradients(void **state) {
  (void)state;
  expect(0, "", dlrun("init %s --seed 7 -o " B "w.safetensors", FAKE));
  expect(0, "",
         dlrun("grad %s --weights " B "w.safetensors --inputs %s,limit=5 -o " B "g.safetensors",
               FAKE, CSV));
  StFile f;
  assert_int_equal(st_open(&f, B "g.safetensors"), 0);
  assert_int_equal(f.count, 5);
  assert_int_equal(st_find(&f, "loss")->rank, 0);
  assert_int_equal(st_find(&f, "output.probabilities")->dim[0], 5);
  assert_int_equal(st_find(&f, "grad.fc.weight")->dim[1], 4);
  assert_int_equal(st_find(&f, "grad.x")->dim[0], 5);
  double bias[3];
  st_read_doubles(&f, st_find(&f, "grad.fc.bias"), 0, 3, bias);
  assert_true(fabs(bias[0] + bias[1] + bias[2]) < 1e-6 && fabs(bias[0]) > 1e-4);
  st_close(&f);
  expect(1, "at most 64 at once",
         dlrun("grad %s --weights " B "w.safetensors --inputs %s -o x.safetensors", FAKE, CSV));
  expect(1, "-o x.csv: FILE.safetensors can be written",
         dlrun("grad %s --weights " B "w.safetensors --inputs %s -o x.csv", FAKE, CSV));
}

static void test_bench(void **state) {
  (void)state;
  expect(0, "{", dlrun("bench %s --json --seconds 0.01 --batch 3", FAKE));
  json_t *o = json_loads(output, 0, NULL);
  static const char *const keys[] = {
      "train_step_ms",         "inference_ms",    "flops_per_step", "arena_bytes_train",
      "arena_bytes_inference", "parameter_bytes", "threads"};
  assert_non_null(o);
  assert_int_equal(json_integer_value(json_object_get(o, "batch")), 3);
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
    assert_true(json_number_value(json_object_get(o, keys[i])) > 0);
  json_decref(o);
  expect(1, "compiled for at most 64", dlrun("bench %s --batch 65", FAKE));
}

static void test_bad_data(void **state) {
  (void)state;
  expect(1, "No such file", dlrun("train %s --data /no/such.csv", FAKE));
  expect(1, "/tool-data.csv: no column is named nothing",
         dlrun("train %s --data %s,label=nothing", FAKE, CSV));
  expect(1, "No such file",
         dlrun("train %s --data %s --save /no/such/dir/w.safetensors --epochs 1", FAKE, CSV));
  expect(1, "the loss is", dlrun("train %s --data %s --lr 1e30 --epochs 3", FAKE, CSV));
  assert_non_null(strstr(output, "smaller --lr"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_usage),       cmocka_unit_test(test_full_output),
      cmocka_unit_test(test_bad_models),  cmocka_unit_test(test_summary),
      cmocka_unit_test(test_training),    cmocka_unit_test(test_resume),
      cmocka_unit_test(test_predictions), cmocka_unit_test(test_gradients),
      cmocka_unit_test(test_bench),       cmocka_unit_test(test_bad_data),
  };
  return cmocka_run_group_tests(tests, write_data, NULL);
}
