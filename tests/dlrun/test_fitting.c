/* Training as one does it: the best epoch kept, parts of weights taken over, a folder of results,
 * pictures of what was learnt, classes by their names. */
#include "tests/dlrun/run.h"

#include <jansson.h>
#include <math.h>
#include <png.h>

#include "dlrun/image.h"
#include "runtime/safetensors.h"

#define B TEST_BINARY_DIR "/fitting-"
#define DATA B "data.csv"
#define SPLIT DATA ",split=70:50"

enum { SAMPLES = 120, H = 4, W = 6, PIXELS = H * W };

static const char net[] =
    "network tiny {\n"
    "  input  image : u8[1, 4, 6];\n"
    "  target label : class[%s];\n"
    "  x = (image / 255 - 0.25) * 4;\n"
    "  h = x |> conv2d(3, kernel=3, padding=1) as conv |> relu |> max_pool2d(2) |> flatten;\n"
    "  logits = h |> linear(%s) as %s;\n"
    "  output probabilities = softmax(logits);\n"
    "  loss   cross_entropy(logits, label);\n"
    "  metric accuracy(logits, label);\n"
    "%s"
    "}\n"
    "train { optimizer sgd(lr=0.2, momentum=0.9); batch 8; epochs 6; }\n";

static uint8_t image[SAMPLES][PIXELS];
static int labels[SAMPLES];

static void write_net(const char *path, const char *classes, const char *metric) {
  FILE *f = fopen(path, "w");
  fprintf(f, net, classes, classes, "fc", metric);
  fclose(f);
}

/* Noise; the class is the third of the columns that is brighter, mostly. */
static void write_data(void) {
  uint32_t r = 5;
  FILE *f = fopen(DATA, "w");
  for (int s = 0; s < SAMPLES; s++) {
    int label = labels[s] = (int)((r = r * 1664525u + 1013904223u) >> 20) % 3;
    for (int i = 0; i < PIXELS; i++) {
      r = r * 1664525u + 1013904223u;
      image[s][i] = (uint8_t)((r >> 24) / 2 + (i % W / 2 == label ? 50 : 0));
      fprintf(f, "%d,", image[s][i]);
    }
    fprintf(f, "%d\n", label);
  }
  fclose(f);
}

static int compile(void **state) {
  (void)state;
  write_data();
  write_net(B "three.net", "3", "");
  write_net(B "five.net", "5", "");
  write_net(B "auc.net", "3", "  metric auc(logits, label);\n");
  expect(0, "", run_program(DLC, "%s -o %s", B "three.net", B "three.so"));
  expect(0, "", run_program(DLC, "%s -o %s", B "five.net", B "five.so"));
  expect(0, "", run_program(DLC, "%s -o %s", B "auc.net", B "auc.so"));
  return 0;
}

static void train(const char *more) {
  expect(0, "", dlrun("train %s --data " SPLIT ",part=train --seed 3 %s", B "three.so", more));
}

/* Column `name` of a log.csv. */
static int read_column(const char *path, const char *name, double *out) {
  char line[1024];
  int column = 0, rows = 0;
  FILE *f = fopen(path, "r");
  assert_non_null(f);
  assert_non_null(fgets(line, sizeof line, f));
  char *at = strtok(line, ",\n");
  for (; at && strcmp(at, name); at = strtok(NULL, ",\n")) column++;
  assert_non_null(at);
  while (fgets(line, sizeof line, f)) {
    at = strtok(line, ",\n");
    for (int i = 0; i < column; i++) at = strtok(NULL, ",\n");
    out[rows++] = strtod(at, NULL);
  }
  fclose(f);
  return rows;
}

/* The file called best is the training stopped at the best epoch; best by what is asked for. */
static void check_best(const char *by, const char *column, int sign) {
  double v[64], loss[64];
  char line[512];
  snprintf(line, sizeof line,
           "--valid " SPLIT ",part=test --epochs 9 --quiet --save " B "a.safetensors --log " B
           "log%s",
           by);
  train(line);
  int n = read_column(B "log/log.csv", column, v), best = 0;
  assert_int_equal(read_column(B "log/log.csv", "valid_loss", loss), n);
  assert_int_equal(n, 9);
  for (int i = 1; i < n; i++)
    if (sign * v[i] > sign * v[best] || (v[i] == v[best] && loss[i] < loss[best])) best = i;
  assert_true(best > 0 && best < 8); /* neither the first nor the last: the test can tell */
  assert_false(files_equal(B "a.safetensors", B "a.best.safetensors"));
  snprintf(line, sizeof line, "--epochs %d --quiet --save " B "stopped.safetensors", best + 1);
  train(line);
  assert_true(files_equal(B "stopped.safetensors", B "a.best.safetensors"));
}

static void test_best(void **state) {
  (void)state;
  check_best("", "valid_accuracy", 1);
  check_best(" --best loss", "valid_loss", -1);
  train("--valid " SPLIT ",part=test --epochs 3 --save " B "b.safetensors");
  assert_non_null(strstr(output, "kept as " B "b.best.safetensors"));
  unlink(B "n.best.safetensors");
  train("--epochs 1 --quiet --save " B "n.safetensors");
  assert_int_not_equal(access(B "n.best.safetensors", F_OK), 0);
  expect(1, "did you mean accuracy?",
         dlrun("train %s --data " DATA " --valid " DATA " --best acuracy", B "three.so"));
  expect(1, "--best needs --valid", dlrun("train %s --data " DATA " --best loss", B "three.so"));
}

/* Resumed training knows what the best was. */
static void test_best_resumed(void **state) {
  (void)state;
  const char *model = B "three.so";
  for (int first = 1; first < 9; first += 3) {
    char line[512];
    snprintf(line, sizeof line,
             "--valid " SPLIT ",part=test --epochs %d --quiet --save " B "p.safetensors", first);
    train(line);
    unlink(B "q.best.safetensors");
    expect(
        0, "",
        dlrun("train %s --data " SPLIT ",part=train --valid " SPLIT
              ",part=test --epochs 9 --quiet --resume " B "p.safetensors --save " B "q.safetensors",
              model));
    train("--valid " SPLIT ",part=test --epochs 9 --quiet --save " B "whole.safetensors");
    assert_true(files_equal(B "whole.safetensors", B "q.safetensors"));
    assert_true(files_equal(B "whole.best.safetensors", B "q.best.safetensors"));
  }
}

static void read_tensor(const char *path, const char *name, double *out, int count) {
  StFile f;
  assert_int_equal(st_open(&f, path), 0);
  const StTensor *t = st_find(&f, name);
  assert_non_null(t);
  assert_int_equal(t->elements, count);
  assert_int_equal(st_read_doubles(&f, t, 0, count, out), 0);
  st_close(&f);
}

static int same_tensor(const char *a, const char *b, const char *name, int count) {
  double x[256], y[256];
  read_tensor(a, name, x, count);
  read_tensor(b, name, y, count);
  return memcmp(x, y, (size_t)count * sizeof *x) == 0;
}

/* Another head on a trained body. */
static void test_parts_of_weights(void **state) {
  (void)state;
  const char *tune = "train %s --data " DATA " --epochs 1 --lr 0 --seed 8 --weights " B
                     "body.safetensors --save " B "tuned.safetensors %s";
  train("--epochs 2 --quiet --save " B "body.safetensors");
  expect(0, "", dlrun("init %s --seed 8 -o " B "fresh.safetensors", B "five.so"));
  expect(1, "--skip fc.weight leaves it out", dlrun(tune, B "five.so", "--only '*'"));
  expect(1, "nothing: no tensor of tiny", dlrun(tune, B "five.so", "--skip nothing"));
  expect(0, "4 loaded, 0 kept", dlrun(tune, B "three.so", "--only 'conv.*' --only 'fc*'"));
  expect(0, "2 loaded, 2 kept as initialised, 0 of the file",
         dlrun(tune, B "five.so", "--skip 'fc.*'"));
  assert_non_null(strstr(output, "conv.weight  [3,1,3,3]  loaded\n"));
  assert_non_null(
      strstr(output, "fc.weight    [5,18]     kept: --skip fc.* ([3,18] in the file)\n"));
  assert_true(same_tensor(B "tuned.safetensors", B "body.safetensors", "conv.weight", 27));
  assert_false(same_tensor(B "fresh.safetensors", B "body.safetensors", "conv.weight", 27));
  assert_true(same_tensor(B "tuned.safetensors", B "fresh.safetensors", "fc.weight", 90));
  expect(0, "1 loaded, 3 kept", dlrun(tune, B "five.so", "--only 'conv.weigh?'"));
  assert_non_null(strstr(output, "conv.bias    [3]        kept: no --only fits\n"));
  assert_true(same_tensor(B "tuned.safetensors", B "fresh.safetensors", "conv.bias", 3));
  expect(1, "nothing is left to load", dlrun(tune, B "five.so", "--skip '*'"));
  expect(1, "choose from --weights",
         dlrun("train %s --data " DATA " --only 'conv*'", B "three.so"));
}

/* Points of the first curve, drawn seldom but at the end for certain. */
static int points_drawn(const char *path) {
  char text[1 << 14];
  FILE *f = fopen(path, "r");
  assert_non_null(f);
  text[fread(text, 1, sizeof text - 1, f)] = 0;
  fclose(f);
  const char *at = strstr(text, "<polyline class=\"i2\" points=\"");
  assert_non_null(at);
  int points = 0;
  for (at = strstr(at, "points=") + 8; *at != '"'; at++) points += *at == ',';
  return points;
}

static void test_log(void **state) {
  (void)state;
  expect(0, "", run_program("rm", "-rf " B "log2"));
  train("--epochs 5 --quiet --log " B "log2");
  assert_int_equal(points_drawn(B "log2/curves.svg"), 5);
  expect(0, "", run_program("ls", B "log2"));
  static const char files[] = "curves.png\ncurves.svg\nevents.out.tfevents.";
  assert_true(strncmp(output, files, strlen(files)) == 0);
  png_image png = {.version = PNG_IMAGE_VERSION};
  assert_true(png_image_begin_read_from_file(&png, B "log2/curves.png"));
  assert_true(png.width == 840 && png.height == 320);
  png_image_free(&png);
}

static json_t *json_output(void) {
  json_error_t e;
  json_t *o = json_loads(output, 0, &e);
  if (!o) fail_msg("not JSON: %s\n%s", e.text, output);
  return o;
}

static double number_at(const json_t *o, const char *key) {
  const json_t *v = json_object_get(o, key);
  assert_true(json_is_number(v));
  return json_number_value(v);
}

/* Pairs in order, from the probabilities that predict writes of the last 50 samples. */
static double auc_of_predictions(void) {
  static double p[50][3];
  char head[128];
  double sum = 0;
  FILE *f = fopen(B "p.csv", "r");
  assert_non_null(fgets(head, sizeof head, f));
  for (int i = 0; i < 50; i++)
    assert_int_equal(fscanf(f, "%lf,%lf,%lf", &p[i][0], &p[i][1], &p[i][2]), 3);
  fclose(f);
  for (int c = 0; c < 3; c++) {
    double right = 0, pairs = 0;
    for (int i = 0; i < 50; i++)
      for (int j = 0; j < 50; j++)
        if (labels[70 + i] == c && labels[70 + j] != c)
          right += p[i][c] > p[j][c] ? 1 : p[i][c] == p[j][c] ? 0.5 : 0, pairs++;
    sum += right / pairs;
  }
  return sum / 3;
}

static void test_auc(void **state) {
  (void)state;
  const char *model = B "three.so";
  train("--epochs 1 --lr 0.1 --quiet --save " B "w.safetensors");
  expect(0, "",
         dlrun("predict %s --weights " B "w.safetensors --inputs " SPLIT ",part=test -o " B "p.csv",
               model));
  double auc = auc_of_predictions(), got;
  assert_true(auc > 0.5 && auc < 0.99);
  expect(0, "accuracy",
         dlrun("eval %s --weights " B "w.safetensors --data " SPLIT ",part=test --auc --batch 7",
               model));
  const char *line = strstr(output, "\nauc ");
  assert_non_null(line);
  assert_int_equal(sscanf(line, " auc %lf", &got), 1);
  assert_true(fabs(got - auc) < 1e-5);
  expect(
      0, "",
      dlrun("eval %s --weights " B "w.safetensors --data " SPLIT ",part=test --auc --json", model));
  json_t *o = json_output();
  assert_true(fabs(number_at(o, "auc") - auc) < 1e-8 && number_at(o, "samples") == 50);
  json_decref(o);
}

/* A metric called auc is that of the whole validation set, and what the best is best by. */
static void test_auc_metric(void **state) {
  (void)state;
  double logged[8], train_auc[8];
  char line[64];
  expect(0, "",
         dlrun("train %s --data " SPLIT ",part=train --valid " SPLIT
               ",part=test --seed 3 --lr 0.02 --epochs 3 --quiet --best auc --save " B
               "m.safetensors --log " B "auclog",
               B "auc.so"));
  assert_int_equal(read_column(B "auclog/log.csv", "valid_auc", logged), 3);
  read_column(B "auclog/log.csv", "auc", train_auc);
  assert_true(isnan(train_auc[2]) && logged[2] > 0.5);
  for (int batch = 3; batch <= 8; batch += 5) {
    expect(0, "auc",
           dlrun("eval %s --weights " B "m.safetensors --data " SPLIT ",part=test --batch %d",
                 B "auc.so", batch));
    snprintf(line, sizeof line, "auc          %.6g\n", logged[2]);
    assert_non_null(strstr(output, line));
  }
  expect(0, "",
         dlrun("predict %s --weights " B "m.safetensors --inputs " SPLIT ",part=test -o " B "p.csv",
               B "auc.so"));
  assert_true(fabs(auc_of_predictions() - logged[2]) < 1e-8);
}

/* The same images as CSV, IDX and PNG: the same classes and numbers. */
static void write_png(const char *path, const uint8_t *pixels) {
  png_image png = {
      .version = PNG_IMAGE_VERSION, .width = W, .height = H, .format = PNG_FORMAT_GRAY};
  assert_true(png_image_write_to_file(&png, path, 0, pixels, 0, NULL));
}

static void test_classes(void **state) {
  (void)state;
  char first[400];
  train("--epochs 6 --quiet --save " B "w.safetensors");
  const char *ask =
      "predict %s --weights " B "w.safetensors --inputs %s --classes left,middle,right";
  expect(0, "", dlrun(ask, B "three.so", DATA ",limit=2"));
  assert_true(strncmp(output, "0  ", 3) == 0 && strstr(output, "\n1  "));
  char *end = strchr(output, '\n');
  double p[3], sum = 0;
  char name[3][16];
  assert_int_equal(sscanf(output, "0 %15s %lf %15s %lf %15s %lf", name[0], &p[0], name[1], &p[1],
                          name[2], &p[2]),
                   6);
  for (int i = 0; i < 3; i++) sum += p[i];
  assert_true(fabs(sum - 1) < 2e-4 && p[0] >= p[1] && p[1] >= p[2]);
  snprintf(first, sizeof first, "%.*s", (int)(end - output - 3), output + 3);
  write_png(B "one.png", image[0]);
  expect(0, first, dlrun(ask, B "three.so", B "one.png"));
  assert_true(strncmp(output, B "one.png  ", strlen(B "one.png  ")) == 0);
  FILE *f = fopen(B "images.idx", "wb");
  fwrite("\0\0\x08\x03\0\0\0\x02\0\0\0\x04\0\0\0\x06", 1, 16, f);
  fwrite(image, 1, 2 * PIXELS, f);
  fclose(f);
  expect(0, "", run_program("gzip", "-kf " B "images.idx"));
  expect(0, first, dlrun(ask, B "three.so", B "images.idx.gz"));
  expect(0, first,
         dlrun("predict %s --weights " B "w.safetensors --inputs %s --classes "
               "left,middle,right -o " B "p.csv",
               B "three.so", DATA ",limit=1"));
  assert_int_equal(access(B "p.csv", R_OK), 0);
  expect(0, B "one.png  ",
         dlrun("predict %s --weights " B "w.safetensors --inputs %s", B "three.so", B "one.png"));
  expect(1, "2 class names for 3 classes",
         dlrun("predict %s --weights " B "w.safetensors --inputs x --classes a,b", B "three.so"));
}

static void test_norms(void **state) {
  (void)state;
  expect(0, "conv", dlrun("check %s --norms --json --batch 4", B "three.so"));
  json_t *o = json_output(), *layers = json_object_get(o, "layers");
  assert_int_equal(json_array_size(layers), 2);
  for (size_t i = 0; i < 2; i++) {
    const json_t *l = json_array_get(layers, i);
    double c = number_at(l, "compiled"), d = number_at(l, "interpreted");
    assert_true(d > 1e-3 && fabs(c - d) < 1e-5 * d);
    assert_true(json_is_false(json_object_get(l, "underflow")));
  }
  assert_string_equal(json_string_value(json_object_get(json_array_get(layers, 1), "layer")), "fc");
  json_decref(o);
}

/* A chain of sigmoids: gradients shrink by a factor of 16 or so a layer. */
static void test_underflow(void **state) {
  (void)state;
  FILE *f = fopen(B "chain.net", "w");
  fprintf(f,
          "network chain {\n  input x : f32[4];\n  target y : f32[4];\n  h = x;\n"
          "  for i in 0..60 { h = h |> linear(4) as l[i] |> sigmoid; }\n"
          "  output z = h;\n  loss mse(h, y);\n}\n");
  fclose(f);
  expect(0, "", run_program(DLC, "%s -o %s", B "chain.net", B "chain.so"));
  expect(0, "", run_program(DLC, "%s -o %s --precision f64", B "chain.net", B "chain64.so"));
  expect(0, "below 2^-126\n", dlrun("check %s --norms", B "chain.so"));
  double compiled, interpreted;
  char mark[32];
  const char *row = strstr(output, "\nl.0 ");
  assert_non_null(row);
  assert_int_equal(sscanf(row, " l.0 20 %lf %31s %lf below 2^-126", &compiled, mark, &interpreted),
                   3);
  assert_string_equal(mark, "underflow");
  assert_true(compiled < 0x1p-126 && interpreted > 0 && interpreted < 0x1p-126);
  expect(0, "below 2^-126\n", dlrun("check %s --norms", B "chain64.so"));
  assert_null(strstr(output, "underflow"));
  double again;
  row = strstr(output, "\nl.0 ");
  assert_int_equal(sscanf(row, " l.0 20 %lf %lf below", &compiled, &again), 2);
  assert_true(fabs(again - interpreted) < 1e-5 * interpreted);
  assert_true(fabs(compiled - interpreted) < 1e-5 * interpreted);
}

static void test_json(void **state) {
  (void)state;
  expect(0, "", dlrun("summary %s --json", B "three.so"));
  json_t *o = json_output();
  assert_true(number_at(o, "parameters") == 30 + 57 && number_at(o, "max_batch") == 8);
  const json_t *layers = json_object_get(o, "layers");
  int found = 0;
  for (size_t i = 0; i < json_array_size(layers); i++) {
    const json_t *l = json_array_get(layers, i);
    if (strcmp(json_string_value(json_object_get(l, "layer")), "conv")) continue;
    found++;
    assert_true(number_at(l, "parameters") == 30);
    assert_int_equal(json_integer_value(json_array_get(json_object_get(l, "shape"), 2)), W);
  }
  assert_int_equal(found, 1);
  json_decref(o);
  expect(0, "", dlrun("check %s --json", B "three.so"));
  o = json_output();
  assert_true(json_is_true(json_object_get(o, "ok")));
  assert_int_equal(json_array_size(json_object_get(o, "tensors")),
                   6); /* 4 parameters, loss, output */
  json_decref(o);
}

static uint32_t pixel(const uint8_t *rgb, int width, int x, int y) {
  const uint8_t *p = rgb + (y * width + x) * 3;
  return (uint32_t)(p[0] << 16 | p[1] << 8 | p[2]);
}

/* Tiles: the input, 4 by 6; the convolution's map of that size; the pooled one, 2 by 3. */
static void test_features(void **state) {
  (void)state;
  static uint8_t rgb[600 * 300 * 3];
  train("--epochs 1 --quiet --save " B "w.safetensors");
  const char *draw = "features %s --weights " B "w.safetensors --inputs " DATA " -o %s";
  expect(0, "   1  image            [1,4,6]  0 ", dlrun(draw, B "three.so", B "f.png --samples 2"));
  assert_non_null(strstr(output, "   2  conv relu        [3,4,6]  "));
  assert_non_null(strstr(output, "   3  conv max_pool2d  [3,2,3]  "));
  png_image png = {.version = PNG_IMAGE_VERSION};
  assert_true(png_image_begin_read_from_file(&png, B "f.png"));
  assert_int_equal(png.width, 3 * 168 + 4 * 6);
  assert_int_equal(png.height, 6 + 2 * (112 + 6) + 18);
  png.format = PNG_FORMAT_RGB;
  assert_true(png_image_finish_read(&png, NULL, rgb, 0, NULL));
  for (int s = 0; s < 2; s++) {
    int lo = 255, hi = 0;
    for (int i = 0; i < PIXELS; i++) {
      if (image[s][i] < lo) lo = image[s][i];
      if (image[s][i] > hi) hi = image[s][i];
    }
    for (int i = 0; i < PIXELS; i++) {
      uint32_t grey = (uint32_t)lrint(255.0 * (image[s][i] - lo) / (hi - lo));
      int x = 6 + i % W * 28 + 14, y = 6 + s * 118 + i / W * 28 + 14;
      assert_int_equal(pixel(rgb, 528, x, y), grey * 0x10101);
    }
  }
  /* a pixel of the pooled map is as wide as two of what went in, and the same all over */
  int x = 6 + 2 * 174;
  assert_int_equal(pixel(rgb, 528, x + 1, 7), pixel(rgb, 528, x + 54, 60));
  expect(0, "conv", dlrun(draw, B "three.so", B "maps --layer 'con?'"));
  assert_int_equal(access(B "maps/01-conv.png", R_OK), 0);
  assert_int_equal(access(B "maps/features.png", R_OK), 0);
  expect(1, "--layer nothing: no feature map [C, H, W] has such a name; there are x, conv",
         dlrun(draw, B "three.so", B "maps --layer nothing"));
  expect(1, "no feature map [C, H, W] has such a name; did you mean conv?",
         dlrun(draw, B "three.so", B "maps --layer cnov"));
  expect(1, "-o " B "f.jpg: FILE.png, or a folder, can be written",
         dlrun(draw, B "three.so", B "f.jpg"));
  expect(1, "--channel 3: conv has 3 channels, counted from 0; --layer chooses others",
         dlrun(draw, B "three.so", B "f.png --channel 3 --layer conv"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_best),
      cmocka_unit_test(test_best_resumed),
      cmocka_unit_test(test_parts_of_weights),
      cmocka_unit_test(test_log),
      cmocka_unit_test(test_auc),
      cmocka_unit_test(test_auc_metric),
      cmocka_unit_test(test_classes),
      cmocka_unit_test(test_norms),
      cmocka_unit_test(test_underflow),
      cmocka_unit_test(test_json),
      cmocka_unit_test(test_features),
  };
  return cmocka_run_group_tests(tests, compile, NULL);
}
