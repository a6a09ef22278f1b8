/* Schedules, permutations, augmentation, ticks and charts. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dlrun/augment.h"
#include "dlrun/feeder.h"
#include "dlrun/plot.h"
#include "dlrun/random.h"
#include "dlrun/schedule.h"

static void near(double a, double b) {
  if (!(fabs(a - b) <= 1e-12 * (1 + fabs(b)))) fail_msg("%.17g is not %.17g", a, b);
}

/* What PyTorch 2's StepLR(3, 0.5), CosineAnnealingLR(5, 0.02) and LinearLR(1, 0.25, 6) set at the
 * start of epochs 0 to 8, from 0.3 on. */
static void test_pytorch_schedules(void **state) {
  (void)state;
  static const dlc_training t[] = {
      {.schedule = "step", .schedule_size = 3, .schedule_gamma = 0.5},
      {.schedule = "cosine", .schedule_period = 5, .schedule_min_lr = 0.02},
      {.schedule = "linear", .schedule_epochs = 6, .schedule_end = 0.25}};
  static const double rate[][9] = {
      {0.3, 0.3, 0.3, 0.15, 0.15, 0.15, 0.075, 0.075, 0.075},
      {0.3, 0.273262379212493, 0.203262379212493, 0.116737620787507, 0.0467376207875074, 0.02,
       0.0467376207875074, 0.116737620787507, 0.203262379212493},
      {0.3, 0.2625, 0.225, 0.1875, 0.15, 0.1125, 0.075, 0.075, 0.075}};
  for (int k = 0; k < 3; k++)
    for (int e = 0; e < 9; e++)
      if (!(fabs(schedule_rate(&t[k], 0.3, e, 1000) - rate[k][e]) < 1e-14))
        fail_msg("%s, epoch %d: %.17g", t[k].schedule, e, schedule_rate(&t[k], 0.3, e, 1000));
}

static void test_schedules(void **state) {
  (void)state;
  dlc_training t = {.schedule = "constant"};
  near(schedule_rate(&t, 0.5, 7, 100), 0.5);
  t = (dlc_training){.schedule = "step", .schedule_size = 3, .schedule_gamma = 0.1};
  near(schedule_rate(&t, 1, 2, 0), 1);
  near(schedule_rate(&t, 1, 3, 0), 0.1);
  near(schedule_rate(&t, 1, 8, 0), 0.01);
  t = (dlc_training){.schedule = "cosine", .schedule_period = 10, .schedule_min_lr = 0.2};
  near(schedule_rate(&t, 1, 0, 0), 1);
  near(schedule_rate(&t, 1, 5, 0), 0.6);
  near(schedule_rate(&t, 1, 10, 0), 0.2);
  t = (dlc_training){.schedule = "linear", .schedule_epochs = 4, .schedule_end = 0.2};
  near(schedule_rate(&t, 1, 1, 0), 0.8);
  near(schedule_rate(&t, 1, 9, 0), 0.2);
  t = (dlc_training){.warmup_steps = 4};
  near(schedule_rate(&t, 1, 0, 0), 0.25);
  near(schedule_rate(&t, 1, 0, 3), 1);
  near(schedule_rate(&t, 1, 0, 4), 1);
}

static void test_permutations(void **state) {
  (void)state;
  int64_t a[100], b[100];
  int seen[100] = {0}, moved = 0;
  random_permutation(1, RANDOM_SHUFFLE, 0, 100, a);
  for (int i = 0; i < 100; i++) seen[a[i]]++, moved += a[i] != i;
  for (int i = 0; i < 100; i++) assert_int_equal(seen[i], 1);
  assert_true(moved > 80);
  random_permutation(1, RANDOM_SHUFFLE, 0, 100, b);
  assert_memory_equal(a, b, sizeof a);
  random_permutation(1, RANDOM_SHUFFLE, 1, 100, b);
  assert_memory_not_equal(a, b, sizeof a);
  random_permutation(2, RANDOM_SHUFFLE, 0, 100, b);
  assert_memory_not_equal(a, b, sizeof a);
}

enum { SIDE = 5, PIXELS = SIDE * SIDE };

/* One batch of n images, all 1..25, changed as `t` says. */
static void augment(const dlc_training *t, int64_t n, float *out) {
  dlc_tensor image = {
      .name = "x", .elem = DLC_F32, .rank = 3, .dim = {1, SIDE, SIDE}, .elements = PIXELS};
  dlc_model m = {.name = "m", .input_count = 1, .inputs = &image, .training = t};
  Arena *a = arena_new();
  Augment g = augment_new(a, &m, 3);
  char *data[] = {(char *)out};
  Batch b = {.data = data};
  for (int64_t i = 0; i < n * PIXELS; i++) out[i] = (float)(i % PIXELS + 1);
  augment_batch(&g, &b, 11, n);
  arena_free(a);
}

static float at(const float *x, int row, int column) {
  return row < 0 || column < 0 || row >= SIDE || column >= SIDE ? 0 : x[row * SIDE + column];
}

static void test_augmentation(void **state) {
  (void)state;
  static float plain[PIXELS], x[64 * PIXELS];
  augment(&(dlc_training){.lr = 1}, 1, plain);
  for (int i = 0; i < PIXELS; i++) assert_true(plain[i] == i + 1);
  augment(&(dlc_training){.hflip = 1}, 1, x);
  for (int i = 0; i < PIXELS; i++) assert_true(x[i] == at(plain, i / SIDE, SIDE - 1 - i % SIDE));
  augment(&(dlc_training){.vflip = 1}, 1, x);
  for (int i = 0; i < PIXELS; i++) assert_true(x[i] == at(plain, SIDE - 1 - i / SIDE, i % SIDE));
  int flipped = 0;
  augment(&(dlc_training){.hflip = 0.5}, 64, x);
  for (int k = 0; k < 64; k++) flipped += x[k * PIXELS] == SIDE;
  assert_true(flipped > 16 && flipped < 48);
  /* crop: every image is the plain one shifted by at most two, zeros moved in */
  int different = 0;
  augment(&(dlc_training){.crop_padding = 2}, 64, x);
  for (int k = 0; k < 64; k++) {
    int matches = 0;
    for (int dy = -2; dy <= 2; dy++)
      for (int dx = -2; dx <= 2; dx++) {
        int same = 1;
        for (int i = 0; i < PIXELS; i++)
          same &= x[k * PIXELS + i] == at(plain, i / SIDE + dy, i % SIDE + dx);
        matches += same;
      }
    assert_int_equal(matches, 1);
    different += memcmp(x + k * PIXELS, plain, sizeof plain) != 0;
  }
  assert_true(different > 40);
  /* rotation keeps the centre and, being linear between pixels, never leaves the range */
  augment(&(dlc_training){.rotate_degrees = 40}, 64, x);
  for (int k = 0; k < 64; k++) {
    assert_true(fabs((double)x[k * PIXELS + PIXELS / 2] - 13) < 1e-4);
    for (int i = 0; i < PIXELS; i++) assert_true(x[k * PIXELS + i] >= 0 && x[k * PIXELS + i] <= 25);
  }
}

/* The batches that a thread prepares are those made in place, from any sample on. */
static void test_feeder(void **state) {
  (void)state;
  enum { SAMPLES = 23, BATCH = 4 };
  static float data[SAMPLES * PIXELS];
  int64_t order[SAMPLES];
  dlc_tensor image = {
      .name = "x", .elem = DLC_F32, .rank = 3, .dim = {1, SIDE, SIDE}, .elements = PIXELS};
  dlc_training t = {.hflip = 0.5, .crop_padding = 1};
  dlc_model m = {.name = "m", .input_count = 1, .inputs = &image, .training = &t};
  const char *tensors[] = {(const char *)data};
  size_t bytes[] = {PIXELS * sizeof(float)};
  Dataset d = {.n = SAMPLES, .inputs = 1, .tensors = 1, .data = tensors, .bytes = bytes};
  for (int i = 0; i < SAMPLES * PIXELS; i++) data[i] = (float)i;
  random_permutation(5, RANDOM_SHUFFLE, 0, SAMPLES, order);
  Arena *a = arena_new();
  Augment g = augment_new(a, &m, 9), g2 = augment_new(a, &m, 9);
  Feeder ahead, here;
  feeder_init(&ahead, a, &d, &g, BATCH);
  feeder_init(&here, a, &d, &g2, BATCH);
  here.ahead = false;
  assert_true(ahead.ahead);
  for (int64_t first = 0; first < SAMPLES; first += BATCH) {
    feeder_begin(&ahead, order, first, 100 + first / BATCH);
    feeder_begin(&here, order, first, 100 + first / BATCH);
    int64_t n, k, total = 0;
    for (const Batch *b; (b = feeder_next(&ahead, &n)); total += n) {
      const Batch *c = feeder_next(&here, &k);
      assert_int_equal(n, k);
      assert_memory_equal(b->data[0], c->data[0], (size_t)n * PIXELS * sizeof(float));
    }
    assert_int_equal(total, SAMPLES - first);
    feeder_end(&ahead);
  }
  int64_t n;
  feeder_begin(&ahead, order, 0, 0); /* left in the middle */
  feeder_next(&ahead, &n);
  feeder_end(&ahead);
  arena_free(a);
}

static void test_ticks(void **state) {
  (void)state;
  double t[PLOT_TICKS];
  assert_int_equal(plot_ticks(0, 1, t), 6);
  near(t[0], 0);
  near(t[5], 1);
  static const double ranges[][2] = {{0, 0},    {1, 1},          {-5, 3},       {1e-9, 2e-9},
                                     {3, 4000}, {-1e300, 1e300}, {0.1, 0.10001}};
  for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
    int n = plot_ticks(ranges[i][0], ranges[i][1], t);
    assert_true(n >= 2 && n <= PLOT_TICKS);
    assert_true(t[0] <= ranges[i][0] && t[n - 1] >= ranges[i][1]);
  }
}

static void test_chart(void **state) {
  (void)state;
  char *text;
  size_t length;
  FILE *f = open_memstream(&text, &length);
  plot_text(f, (double[]){4, NAN, 1, 2}, 4, 60, 2, false);
  fclose(f);
  assert_string_equal(text, "         4 ||   \n         1 || .:\n");
  free(text);
}

static void test_svg(void **state) {
  (void)state;
  char *text;
  size_t length;
  double x[] = {1, 2, 3}, y[] = {3, NAN, 1};
  PlotPanel p = {.title = "a<b", .series = 1, .curve = {{"training", 3, x, y}}};
  FILE *f = open_memstream(&text, &length);
  plot_svg(f, "n&m", &p, 1);
  fclose(f);
  assert_non_null(strstr(text, "a&lt;b"));
  assert_non_null(strstr(text, "n&amp;m"));
  assert_null(strstr(text, "nan"));
  assert_non_null(strstr(text, ">training 1<"));
  assert_non_null(strstr(text, "</svg>"));
  free(text);
  p.curve[0].y = (double[]){NAN, NAN, NAN}; /* nothing to show: no name, no number */
  f = open_memstream(&text, &length);
  plot_svg(f, "n", &p, 1);
  fclose(f);
  assert_null(strstr(text, "nan"));
  assert_null(strstr(text, "training"));
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_schedules),    cmocka_unit_test(test_pytorch_schedules),
      cmocka_unit_test(test_permutations), cmocka_unit_test(test_augmentation),
      cmocka_unit_test(test_feeder),       cmocka_unit_test(test_ticks),
      cmocka_unit_test(test_chart),        cmocka_unit_test(test_svg),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
