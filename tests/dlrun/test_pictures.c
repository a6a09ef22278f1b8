/* Pictures out and in: drawing, PNG files, PNG as data, plots. */
#include "tests/dlrun/files.h"

#include <png.h>

#include "dlrun/plot.h"

#define B TEST_BINARY_DIR "/picture-"

static uint32_t pixel(const Image *m, int x, int y) {
  const uint8_t *p = m->rgb + (y * m->width + x) * 3;
  return (uint32_t)(p[0] << 16 | p[1] << 8 | p[2]);
}

static void test_drawing(void **state) {
  (void)state;
  Arena *a = arena_new();
  Image m = image_new(a, 20, 10, 0xffffff);
  image_fill(&m, 15, 5, 100, 100, 0x102030);
  assert_true(pixel(&m, 14, 9) == 0xffffff && pixel(&m, 15, 5) == 0x102030 &&
              pixel(&m, 19, 9) == 0x102030);
  image_line(&m, 2, 2.5, 10, 2.5, 1, 0x000000); /* the middle of row 2: sharp */
  assert_true(pixel(&m, 5, 2) == 0 && pixel(&m, 5, 1) == 0xffffff && pixel(&m, 5, 3) == 0xffffff);
  m = image_new(a, 20, 10, 0xffffff);
  image_line(&m, 2, 3, 10, 3, 1, 0x000000); /* between two rows: half of each */
  assert_true(pixel(&m, 5, 2) == pixel(&m, 5, 3) && pixel(&m, 5, 2) > 0x707070 &&
              pixel(&m, 5, 2) < 0x909090);
  image_disc(&m, -100, 3, 5, 0xff0000);
  image_line(&m, -1e6, -1e6, 1e6, -1e6, 2, 0xff0000);
  arena_free(a);
}

static void test_text(void **state) {
  (void)state;
  static const char *const letter[] = {"..X...", ".X.X..", "X...X.", "X...X.", "X...X.",
                                       "XXXXX.", "X...X.", "X...X.", "X...X."};
  Arena *a = arena_new();
  Image m = image_new(a, 12, 13, 0xffffff);
  image_text(&m, 6, 11, "A", false, 0x000000);
  for (int y = 0; y < 9; y++)
    for (int x = 0; x < 6; x++)
      assert_int_equal(pixel(&m, 6 + x, 2 + y), letter[y][x] == 'X' ? 0 : 0xffffff);
  image_text(&m, 9, 30, "\x80\xff~", true, 0); /* cut off, and no glyph */
  arena_free(a);
}

static void test_png(void **state) {
  (void)state;
  Arena *a = arena_new();
  Fault f = {.text = ""};
  Image m = image_new(a, 5, 3, 0);
  for (int i = 0; i < 45; i++) m.rgb[i] = (uint8_t)(i * 5);
  assert_true(image_write_png(a, &m, B "out.png", &f));
  uint8_t back[45];
  png_image png = {.version = PNG_IMAGE_VERSION};
  assert_true(png_image_begin_read_from_file(&png, B "out.png"));
  assert_true(png.width == 5 && png.height == 3);
  png.format = PNG_FORMAT_RGB;
  assert_true(png_image_finish_read(&png, NULL, back, 0, NULL));
  assert_memory_equal(back, m.rgb, 45);
  assert_false(image_write_png(a, &m, TEST_BINARY_DIR "/no/such/out.png", &f));
  arena_free(a);
}

static void write_png(const char *path, int format, int w, int h, const uint8_t *pixels) {
  png_image png = {.version = PNG_IMAGE_VERSION,
                   .width = (png_uint_32)w,
                   .height = (png_uint_32)h,
                   .format = (png_uint_32)format};
  assert_true(png_image_write_to_file(&png, path, 0, pixels, 0, NULL));
}

static void test_grey_data(void **state) {
  (void)state;
  Arena *a = arena_new();
  uint8_t x[2][24];
  for (int i = 0; i < 48; i++) x[i / 24][i % 24] = (uint8_t)(i * 5 + 3);
  write_png(B "a.png", PNG_FORMAT_GRAY, 6, 4, x[0]);
  write_png(B "b.png", PNG_FORMAT_GRAY, 6, 4, x[1]);
  write_text(B "labels.csv", "label\n2\n0\n");
  dlc_model *m = tensors_model(tensor("image", DLC_U8, 0, 3, (int64_t[]){1, 4, 6}), label_of(3));
  Dataset d;
  Fault f = {.text = ""};
  Words words = words_new(a, m);
  assert_true(dataset_open(a, B "a.png," B "b.png", false, &words, &d, &f));
  assert_int_equal(d.n, 2);
  assert_string_equal(d.name[1], B "b.png");
  for (int s = 0; s < 2; s++)
    for (int i = 0; i < 24; i++) assert_true(data_at(&d, m, 0, s, i) == x[s][i]);
  m->target_count = 0;
  dlc_tensor small = tensor("image", DLC_U8, 0, 3, (int64_t[]){1, 4, 5});
  m->inputs = &small;
  refuse_with(m, B "a.png", "a picture of 6 x 4 pixels; image takes 5 x 4");
  dlc_tensor vector = tensor("x", DLC_F32, 0, 1, (int64_t[]){24});
  m->inputs = &vector;
  refuse_with(m, B "a.png", "no input that takes a picture");
  arena_free(a);
}

/* Colours, rows of pixels in the file, become planes. */
static void test_colour_data(void **state) {
  (void)state;
  Arena *a = arena_new();
  uint8_t x[4 * 6 * 3];
  for (int i = 0; i < 72; i++) x[i] = (uint8_t)(i * 3);
  write_png(B "c.png", PNG_FORMAT_RGB, 6, 4, x);
  dlc_model *m = tensors_model(tensor("image", DLC_F32, 0, 3, (int64_t[]){3, 4, 6}), label_of(3));
  m->target_count = 0;
  Dataset d = open_data(a, m, B "c.png");
  for (int c = 0; c < 3; c++)
    for (int i = 0; i < 24; i++) assert_true(data_at(&d, m, 0, 0, c * 24 + i) == x[i * 3 + c]);
  /* grey where the network takes three channels: three times the same */
  uint8_t grey[24];
  for (int i = 0; i < 24; i++) grey[i] = (uint8_t)(i * 10);
  write_png(B "g.png", PNG_FORMAT_GRAY, 6, 4, grey);
  d = open_data(a, m, B "g.png");
  for (int i = 0; i < 72; i++) assert_true(data_at(&d, m, 0, 0, i) == grey[i % 24]);
  arena_free(a);
}

/* Every way of cutting the file off, and every byte changed: an error or a picture, nothing else.
 */
static void test_broken_data(void **state) {
  (void)state;
  uint8_t x[24], file[512], changed[512];
  for (int i = 0; i < 24; i++) x[i] = (uint8_t)(i * 7);
  write_png(B "whole.png", PNG_FORMAT_GRAY, 6, 4, x);
  FILE *f = fopen(B "whole.png", "rb");
  size_t n = fread(file, 1, sizeof file, f);
  fclose(f);
  dlc_model *m = tensors_model(tensor("image", DLC_U8, 0, 3, (int64_t[]){1, 4, 6}), label_of(3));
  m->target_count = 0;
  int refused = 0;
  for (size_t i = 0; i < 2 * n; i++) {
    Arena *a = arena_new();
    Dataset d;
    Fault fault = {.text = ""};
    memcpy(changed, file, n);
    if (i >= n) changed[i - n] ^= 0x55;
    write_blob(B "bad.png", changed, i < n ? i : n);
    Words words = words_new(a, m);
    bool fine = dataset_open(a, B "bad.png", false, &words, &d, &fault);
    assert_true(fine || fault.text[0]);
    refused += !fine;
    arena_free(a);
  }
  assert_true(refused > (int)n);
}

static void test_plot(void **state) {
  (void)state;
  Arena *a = arena_new();
  double x[] = {1, 2, 3}, y[] = {0, 1, 0}, z[] = {0.5, NAN, 0.5};
  PlotPanel p = {
      .title = "loss", .series = 2, .curve = {{"training", 3, x, y}, {"validation", 3, x, z}}};
  Image m = plot_image(a, "net", (PlotPanel[]){p, p}, 2);
  assert_true(m.width == 840 && m.height == 320);
  int curve[2] = {0, 0}, right = 0;
  for (int i = 0; i < m.width * m.height; i++) {
    uint32_t c = pixel(&m, i % m.width, i / m.width);
    curve[0] += c == 0x2166ac;
    curve[1] += c == 0xd6604d;
    right += c == 0x2166ac && i % m.width >= 420;
  }
  assert_true(curve[0] > 600 && curve[1] > 300 && right * 2 == curve[0]);
  /* the peak of the first curve: in the middle of the frame, at its top */
  assert_int_equal(pixel(&m, 62 + 170, 40 + 34), 0x2166ac);
  assert_int_equal(pixel(&m, 62, 40 + 34 + 200), 0x2166ac);
  assert_int_equal(pixel(&m, 62, 40 + 34 + 60), 0x888888); /* the axis */
  assert_int_equal(pixel(&m, 500, 5), 0xffffff);
  arena_free(a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_drawing),     cmocka_unit_test(test_text),
      cmocka_unit_test(test_png),         cmocka_unit_test(test_grey_data),
      cmocka_unit_test(test_colour_data), cmocka_unit_test(test_broken_data),
      cmocka_unit_test(test_plot),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
