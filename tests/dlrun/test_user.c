/* What a user meets: printed predictions, words as labels from training to prediction, files that
 * must not or cannot be written, files that are no network, what a resumed training takes over. */
#include "tests/dlrun/run.h"

#include <math.h>
#include <sys/stat.h>

#include "runtime/safetensors.h"

#define B TEST_BINARY_DIR "/user-"
#define CSV B "pets.csv"
#define WORDS CSV " --weights " B "w.safetensors"

static const char pets[] =
    "network pets {\n"
    "  input x : f32[2];\n"
    "  target kind : class[3];\n"
    "  logits = x |> linear(3) as fc;\n"
    "%s"
    "  loss cross_entropy(logits, kind);\n"
    "  metric accuracy(logits, kind);\n"
    "}\n"
    "train { optimizer adam(lr=0.05); batch 8; epochs 4; seed 5; }\n";

static void compile(const char *name, const char *text, const char *outputs) {
  char path[256];
  snprintf(path, sizeof path, B "%s.net", name);
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fprintf(f, text, outputs);
  fclose(f);
  expect(0, "", run_program(DLC, "%s -o " B "%s.so", path, name));
}

static void write_file(const char *path, const char *text) {
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fputs(text, f);
  fclose(f);
}

static int prepare(void **state) {
  (void)state;
  static const char *const word[] = {"cat", "dog", "ant"};
  FILE *f = fopen(CSV, "w");
  for (int i = 0; i < 60; i++)
    fprintf(f, "%g,%g,%s\n", i % 3 + 0.01 * i, 1 - i % 3 * 0.5, word[i % 3]);
  fclose(f);
  compile("logits", pets, "  output logits = logits;\n");
  compile("both", pets,
          "  output logits = logits;\n  output p = softmax(logits);\n"
          "  output wide = concat(x, logits, x, logits);\n  output slope = sum(x) * 2;\n");
  compile("plain",
          "network plain {\n%s  input x : f32[2];\n  target y : f32[3];\n"
          "  output z = x |> linear(3) as fc;\n  loss mse(z, y);\n}\n",
          "");
  expect(0, "",
         dlrun("train %s --data %s --quiet --epochs 40 --save %s", B "logits.so", CSV,
               B "w.safetensors"));
  return 0;
}

/* ---- predict ---- */

static void test_printed_classes(void **state) {
  (void)state;
  double p[3];
  char name[3][16];
  expect(0, "", dlrun("predict %s --inputs " WORDS, B "logits.so"));
  assert_int_equal(sscanf(output, "0 %15s %lf %15s %lf %15s %lf", name[0], &p[0], name[1], &p[1],
                          name[2], &p[2]),
                   6);
  assert_string_equal(name[0], "cat");
  assert_true(p[0] > 0.5 && p[0] + p[1] + p[2] > 0.999 && p[0] + p[1] + p[2] < 1.001);
  assert_non_null(strstr(output, "\n1   dog "));
  assert_non_null(strstr(output, "\n59  ant "));
  expect(0, "0  y ",
         dlrun("predict %s --classes x,y,z --inputs %s,limit=1 --weights %s", B "logits.so", CSV,
               B "w.safetensors"));
}

static void test_printed_outputs(void **state) {
  (void)state;
  const char *ask = "predict %s --inputs %s,limit=2 --weights %s";
  expect(0, "0  p       cat 0.", dlrun(ask, B "both.so", CSV, B "w.safetensors"));
  assert_non_null(strstr(output, "\n1  p       dog 0."));
  assert_true(strncmp(output, "0  logits  ", 11) == 0);
  assert_null(strstr(output, "logits  cat"));
  assert_non_null(strstr(output, "\n0  wide    0 1 "));
  assert_non_null(strstr(output, " ... (10 values, -"));
  assert_non_null(strstr(output, "\n1  slope   3.02\n"));
  write_file(B "plain.csv", "1,2\n3,4\n");
  expect(0, "", dlrun("init %s -o %s", B "plain.so", B "p.safetensors"));
  expect(0, "\n1  z  ", dlrun(ask, B "plain.so", B "plain.csv", B "p.safetensors"));
  assert_null(strstr(output, "..."));
  expect(1, "no output that scores classes",
         dlrun("predict %s --classes a,b,c --inputs %s --weights %s", B "plain.so", B "plain.csv",
               B "p.safetensors"));
}

/* What all samples share stands in every row of a CSV, also where it is as long as there are
 * samples. */
static void test_shared_csv(void **state) {
  (void)state;
  compile("shared",
          "network shared {\n%s  input x : f32[2];\n  param w : f32[2] = ones;\n  output y = sum(x "
          "* w);\n"
          "  output twice = 2 * w;\n}\n",
          "");
  write_file(B "shared.csv", "1,2\n3,4\n");
  expect(0, "", dlrun("init %s -o %s", B "shared.so", B "shared.safetensors"));
  expect(0, "",
         dlrun("predict %s --inputs %s --weights %s -o %s", B "shared.so", B "shared.csv",
               B "shared.safetensors", B "shared.out.csv"));
  expect(0, "y,twice[0],twice[1]\n3,2,2\n7,2,2\n", run_program("cat", "%s", B "shared.out.csv"));
}

/* What the samples share may be a sum over them: then it is of one batch. */
static void test_shared_sum(void **state) {
  (void)state;
  static const char net[] =
      "network sums {\n%s  input x : f32[2];\n  param w : f32[2] = ones;\n  s = sum(x * w);\n"
      "  output y = s;\n  output g = grad(s, w);\n}\n";
  const char *ask = "predict %s --inputs %s%s --weights %s%s";
  compile("sums", net, "");
  write_file(B "sums.csv", "1,2\n3,4\n5,6\n");
  expect(0, "", dlrun("init %s -o %s", B "sums.so", B "sums.safetensors"));
  expect(0, "\nall  g  9 12\n",
         dlrun(ask, B "sums.so", B "sums.csv", "", B "sums.safetensors", ""));
  static const char *const out[] = {"", " -o " B "sums.out.csv", " -o " B "sums.out.safetensors"};
  for (int i = 0; i < 3; i++) {
    char more[300];
    snprintf(more, sizeof more, " --batch 2%s", out[i]);
    unlink(B "sums.out.csv");
    expect(1, "output g depends on the batch, and 3 samples are several batches; --batch 3",
           dlrun(ask, B "sums.so", B "sums.csv", "", B "sums.safetensors", more));
    assert_int_not_equal(access(B "sums.out.csv", F_OK), 0);
  }
  expect(0, "all  g  1 2\n",
         dlrun(ask, B "sums.so", B "sums.csv", ",limit=1", B "sums.safetensors", " --batch 2"));
  expect(0, "", run_program(DLC, "%s --batch 2 -o %s", B "sums.net", B "sums.so"));
  expect(1, "a network compiled by dlc --batch 3 takes all at once",
         dlrun(ask, B "sums.so", B "sums.csv", "", B "sums.safetensors", ""));
}

static void test_check_without_inputs(void **state) {
  (void)state;
  compile("bare",
          "network bare {\n%s  param w : f32[3] = normal();\n  output y = w;\n  loss "
          "sum(square(w));\n}\n",
          "");
  expect(0, "grad.w", dlrun("check %s", B "bare.so"));
}

/* Names from files do not reach the terminal as they are. */
static void test_clean_output(void **state) {
  (void)state;
  write_file(B "red.csv", "2.1,0,\033[31mred\n1.05,0.5,b\n1,1,c\n");
  expect(0, "",
         dlrun("train %s --data %s --epochs 1 --save %s --quiet", B "logits.so", B "red.csv",
               B "red.safetensors"));
  expect(0, "?[31mred 0.",
         dlrun("predict %s --inputs %s --weights %s", B "logits.so", B "red.csv",
               B "red.safetensors"));
  expect(1, "\"ant\" is not one of the classes of " B "red.safetensors: ?[31mred, b, c",
         dlrun("eval %s --data %s --weights %s", B "logits.so", B "more.csv", B "red.safetensors"));
}

/* The last numbers of the lines from `head` on, up to the total's, which is given back. */
static long add_rows(const char *head, long *sum) {
  const char *line = strstr(output, head);
  assert_non_null(line);
  *sum = 0;
  while ((line = strchr(line, '\n'))) {
    char name[40];
    long count = 0;
    line++;
    size_t n = strcspn(line, "\n"), at = n;
    while (at && line[at - 1] != ' ') at--;
    sscanf(line + at, "%ld", &count);
    if (sscanf(line, "%39s", name) == 1 && strcasecmp(name, "total") == 0) return count;
    *sum += count;
  }
  fail_msg("no total: %s", output);
  return 0;
}

/* The rows of both tables add up to what the weights have, heads that only the loss needs and what
 * nothing needs too. */
static void test_summary(void **state) {
  (void)state;
  compile("parts",
          "network parts {\n%s  input x : f32[4];\n  target y : class[3];\n  target r : f32[1];\n"
          "  param unused : f32[3] = zeros;\n  dead = x |> linear(7) as dead;\n"
          "  h = x |> linear(16) as body |> relu;\n  z = h |> linear(3) as head;\n"
          "  rec = h |> linear(8) as aux1 |> relu |> linear(1) as aux2;\n"
          "  output p = softmax(z);\n  loss cross_entropy(z, y) + mse(rec, r);\n}\n",
          "");
  long sum;
  expect(0, "unused  param    [3]                    3\n", dlrun("summary %s", B "parts.so"));
  assert_int_equal(add_rows("layer ", &sum), 3 + 35 + 80 + 51 + 136 + 9);
  assert_int_equal(sum, 3 + 35 + 80 + 51 + 136 + 9);
  expect(0, "aux2 ", run_program(DLC, "%s --emit=summary", B "parts.net"));
  assert_int_equal(add_rows("layer ", &sum), 3 + 35 + 80 + 51 + 136 + 9);
  assert_int_equal(sum, 3 + 35 + 80 + 51 + 136 + 9);
}

static void test_suffix(void **state) {
  (void)state;
  static const char *const bad[] = {"x.json", "x.npy", "x", "x.CSV", ".csv"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    expect(1, "FILE.csv or FILE.safetensors can be written",
           dlrun("predict %s --inputs " WORDS " -o %s", B "logits.so", bad[i]));
}

/* Numbers that are none, in formats that have them. */
static void test_nan(void **state) {
  (void)state;
  static const float x[4] = {1, 2, NAN, 4}, y[6] = {0};
  StTensor t[] = {{.name = "x", .type = ST_F32, .rank = 2, .dim = {2, 2}},
                  {.name = "y", .type = ST_F32, .rank = 2, .dim = {2, 3}}};
  StWriter w;
  assert_int_equal(st_create(&w, B "nan.safetensors", t, 2, NULL, 0), 0);
  st_write(&w, x, sizeof x);
  st_write(&w, y, sizeof y);
  assert_int_equal(st_commit(&w), 0);
  compile("trained",
          "network plain {\n%s  input x : f32[2];\n  target y : f32[3];\n"
          "  output z = x |> linear(3) as fc;\n  loss mse(z, y);\n}\n"
          "train { optimizer sgd(lr=0.1); batch 2; }\n",
          "");
  expect(1, "the loss is nan at step 1; x of the data is not finite everywhere: see sample 2",
         dlrun("train %s --data %s", B "trained.so", B "nan.safetensors"));
}

/* Files whose tensors have other names. */
static void write_tensors(const char *path, const char *const name[2]) {
  static const float zero[6];
  StTensor t[] = {{.name = name[0], .type = ST_F32, .rank = 2, .dim = {3, 2}},
                  {.name = name[1], .type = ST_F32, .rank = 1, .dim = {3}}};
  StWriter w;
  assert_int_equal(st_create(&w, path, t, 2, NULL, 0), 0);
  st_write(&w, zero, sizeof zero);
  st_write(&w, zero, 3 * sizeof *zero);
  assert_int_equal(st_commit(&w), 0);
}

static void test_other_names(void **state) {
  (void)state;
  const char *eval = "eval %s --data %s --weights %s", *odd = B "odd.safetensors";
  write_tensors(odd, (const char *const[]){"module.fc.weight", "module.fc.bias"});
  expect(1, "fc.weight is missing; the names begin with module., as of a DataParallel",
         dlrun(eval, B "logits.so", CSV, odd));
  write_tensors(odd, (const char *const[]){"x", "sort"});
  expect(1, "odd.safetensors: the data has nothing for kind; its other arrays: sort",
         dlrun(eval, B "logits.so", odd, B "w.safetensors"));
  write_tensors(odd, (const char *const[]){"X", "kinds"});
  expect(1, "no tensor is named as an input of the network; its other arrays: X, kinds",
         dlrun(eval, B "logits.so", odd, B "w.safetensors"));
  write_file(B "one.csv", "2.1,0\n"); /* one sample, and no picture: by its number */
  expect(
      0, "0  ant",
      dlrun("predict %s --inputs %s --weights %s", B "logits.so", B "one.csv", B "w.safetensors"));
}

/* ---- words ---- */

static void test_words(void **state) {
  (void)state;
  write_file(B "two.csv", "2.1,0,ant\n1.05,0.5,dog\n");
  write_file(B "more.csv", "2.1,0,ant\n1.05,0.5,cow\n");
  const char *eval = "eval %s --data %s --weights " B "w.safetensors";
  expect(0, "accuracy     1\n", dlrun(eval, B "logits.so", B "two.csv"));
  expect(1, "more.csv:2: \"cow\" is not one of the classes of " B "w.safetensors: ant, cat, dog",
         dlrun(eval, B "logits.so", B "more.csv"));
  expect(1, "more.csv:2: \"cow\"",
         dlrun("train %s --data %s --valid %s", B "logits.so", CSV, B "more.csv"));
  expect(1, "more.csv:2: \"cow\"",
         dlrun("train %s --data %s --weights %s", B "logits.so", B "more.csv", B "w.safetensors"));
  /* labels that are not asked for are not looked at */
  expect(
      0, "ant",
      dlrun("predict %s --inputs %s --weights %s", B "logits.so", B "more.csv", B "w.safetensors"));
  /* weights from elsewhere, no words: all of them must be there */
  expect(0, "", dlrun("init %s -o %s", B "logits.so", B "i.safetensors"));
  expect(1, "2 different words, the network 3 classes",
         dlrun("eval %s --data %s --weights %s", B "logits.so", B "two.csv", B "i.safetensors"));
  /* a new head learns new words */
  write_file(B "new.csv", "1,2,x\n3,4,y\n5,6,z\n");
  expect(0, "1 loaded, 1 kept",
         dlrun("train %s --data %s --weights %s --skip fc.bias --save %s", B "logits.so",
               B "new.csv", B "w.safetensors", B "n.safetensors"));
  expect(
      0, " z 0.",
      dlrun("predict %s --inputs %s --weights %s", B "logits.so", B "new.csv", B "n.safetensors"));
}

/* ---- files to write ---- */

static void test_unwritable(void **state) {
  (void)state;
  static const struct {
    const char *more, *why;
  } cases[] = {
      {"--save /no/such/w.safetensors", "--save /no/such/w.safetensors: /no/such: No such file"},
      {"--save " B "folder", "not a regular file"},
      {"--save " B "part.safetensors", "part.resume.safetensors: not a regular file"},
      {"--save " CSV "/w.safetensors", "is no folder"},
      {"--save " CSV, "this file is read by the same command"},
      {"--save " B "link.csv", "this file is read by the same command"},
      {"--save " B "logits.so", "this file is read by the same command"},
      {"--valid " B "two.csv --save " B "two.csv", "this file is read"},
      {"--weights " B "w.safetensors --save " B "w.safetensors", "this file is read"},
      {"--log /no/such/log", "No such file"},
      {"--log " CSV, "is no folder"},
      {"--log " B "logdir", "log.csv: this file is read"},
  };
  mkdir(B "folder", 0777);
  mkdir(B "part.resume.safetensors", 0777);
  mkdir(B "logdir", 0777);
  unlink(B "link.csv");
  unlink(B "logdir/log.csv");
  assert_int_equal(link(CSV, B "link.csv"), 0);
  assert_int_equal(link(CSV, B "logdir/log.csv"), 0);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    expect(1, cases[i].why, dlrun("train %s --data %s %s", B "logits.so", CSV, cases[i].more));
    if (strstr(output, "epoch ")) fail_msg("%s: found too late", cases[i].more);
  }
  unlink(B "logdir/log.csv");
  rmdir(B "part.resume.safetensors");
  expect(1, "this file is read", dlrun("predict %s --inputs " WORDS " -o %s", B "logits.so", CSV));
  expect(1, "this file is read",
         dlrun("grad %s --inputs " WORDS " -o %s", B "logits.so", B "w.safetensors"));
  expect(1, "this file is read", dlrun("init %s -o %s", B "logits.so", B "logits.so"));
}

/* ---- files that are no network ---- */

static void test_not_a_network(void **state) {
  (void)state;
  expect(1, "this is a network's source; compile it first: dlc " B "both.net -o " B "both.so\n",
         dlrun("summary %s", B "both.net"));
  expect(1, "not a shared library: dlc FILE.net -o FILE.so makes one", dlrun("summary %s", CSV));
  expect(0, "", run_program(DLC, "%s -o " B "object.o", B "plain.net"));
  expect(1, "an object file", dlrun("summary %s", B "object.o"));
  expect(1, "not a regular file", dlrun("summary %s", TEST_BINARY_DIR));
  unlink(B "pipe");
  assert_int_equal(mkfifo(B "pipe", 0600), 0);
  expect(1, "not a regular file", dlrun("summary %s", B "pipe"));
  unlink(B "pipe");
  int same = dlrun("--version");
  char own[64];
  snprintf(own, sizeof own, "%.60s", output + strlen("dlrun "));
  expect(0, own, same | run_program(DLC, "--version"));
}

/* Cut anywhere, it is refused before the loader touches it. */
static void test_cut_library(void **state) {
  (void)state;
  static char bytes[1 << 20];
  FILE *f = fopen(B "logits.so", "rb");
  size_t n = fread(bytes, 1, sizeof bytes, f);
  fclose(f);
  assert_true(n > 4096 && n < sizeof bytes);
  for (size_t cut = 0; cut < n; cut += cut < 64 ? 9 : n / 16) {
    f = fopen(B "cut.so", "wb");
    fwrite(bytes, 1, cut, f);
    fclose(f);
    expect(1, cut < 4 ? "not a shared library" : "the library is cut off",
           dlrun("summary %s", B "cut.so"));
  }
}

/* ---- going on ---- */

static void test_resume(void **state) {
  (void)state;
  const char *first =
      "train %s --data %s --seed 9 --batch 7 --lr 0.02 --epochs 6 --quiet --save %s";
  const char *more = "train %s --data %s --resume " B "r.safetensors %s";
  expect(0, "", dlrun(first, B "logits.so", CSV, B "whole.safetensors"));
  expect(0, "", dlrun(first, B "logits.so", CSV, B "r.safetensors --epochs 2"));
  expect(1, "--batch 8: " B "r.resume.safetensors counts batches of 7",
         dlrun(more, B "logits.so", CSV, "--batch 8"));
  expect(1, "--seed 1: " B "r.resume.safetensors goes on with its own, 9",
         dlrun(more, B "logits.so", CSV, "--seed 1"));
  expect(1, "--resume has the weights", dlrun(more, B "logits.so", CSV, "--weights x"));
  expect(1, "trained on 60 samples, this data has 50",
         dlrun(more, B "logits.so", CSV ",limit=50", ""));
  expect(1, "has done 2 epochs already", dlrun(more, B "logits.so", CSV, ""));
  expect(0,
         "resumed from " B
         "r.resume.safetensors: step 18, epoch 2 of 3, batch 7, seed 9, lr "
         "0.5 (--lr; it was 0.02) (--epochs; they were 2)\n",
         dlrun(more, B "logits.so", CSV, "--epochs 3 --lr 0.5 --batch 7 --seed 9"));
  expect(0, "lr 0.02 (--epochs; they were 2)\n",
         dlrun(more, B "logits.so", CSV, "--epochs 6 --save " B "r.safetensors"));
  assert_true(files_equal(B "whole.safetensors", B "r.safetensors"));
  assert_true(files_equal(B "whole.resume.safetensors", B "r.resume.safetensors"));
  write_file(B "r.resume.safetensors", "rubbish");
  expect(1, "r.resume.safetensors: too short", dlrun(more, B "logits.so", CSV, ""));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_printed_classes),
      cmocka_unit_test(test_printed_outputs),
      cmocka_unit_test(test_shared_csv),
      cmocka_unit_test(test_shared_sum),
      cmocka_unit_test(test_check_without_inputs),
      cmocka_unit_test(test_summary),
      cmocka_unit_test(test_suffix),
      cmocka_unit_test(test_other_names),
      cmocka_unit_test(test_nan),
      cmocka_unit_test(test_words),
      cmocka_unit_test(test_clean_output),
      cmocka_unit_test(test_unwritable),
      cmocka_unit_test(test_not_a_network),
      cmocka_unit_test(test_cut_library),
      cmocka_unit_test(test_resume),
  };
  return cmocka_run_group_tests(tests, prepare, NULL);
}
