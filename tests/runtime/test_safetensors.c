/* safetensors: what is written is read back; every malformed file is refused with a reason. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/dlc.h"
#include "runtime/safetensors.h"

static const char path[] = TEST_BINARY_DIR "/test_safetensors.safetensors";

static void put_file(const void *bytes, size_t length) {
  unlink(path); /* some file systems sync a file that is cut to nothing and written again */
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(bytes, 1, length, f), length);
  fclose(f);
}

/* A file of this header and `data` bytes counting up from 1. */
static size_t compose(char *out, const char *header, size_t data) {
  size_t length = strlen(header);
  for (int i = 0; i < 8; i++) out[i] = (char)(length >> (8 * i) & 0xff);
  memcpy(out + 8, header, length);
  for (size_t i = 0; i < data; i++) out[8 + length + i] = (char)(i + 1);
  return 8 + length + data;
}

static int open_text(StFile *f, const char *header, size_t data) {
  char bytes[4096];
  put_file(bytes, compose(bytes, header, data));
  return st_open(f, path);
}

static void test_round_trip(void **state) {
  (void)state;
  StTensor tensors[] = {{.name = "b.weight", .type = ST_F32, .rank = 2, .dim = {2, 3}},
                        {.name = "a \"quoted\"\n\xc3\xa9", .type = ST_F64, .rank = 0},
                        {.name = "empty", .type = ST_F32, .rank = 2, .dim = {0, 5}},
                        {.name = "labels", .type = ST_I64, .rank = 1, .dim = {2}}};
  StPair meta[] = {{"format", "pt"}, {"k\\", "v\t"}};
  float b[6] = {1, 2, 3, 4, 5, 6};
  double a = -0.1, back[6];
  int64_t labels[2] = {-7, INT64_MAX}, got[2];
  StWriter w;
  assert_int_equal(st_create(&w, path, tensors, 4, meta, 2), DLC_OK);
  assert_int_equal(st_write(&w, b, sizeof b), DLC_OK);
  assert_int_equal(st_write(&w, &a, sizeof a), DLC_OK);
  assert_int_equal(st_write(&w, labels, sizeof labels), DLC_OK);
  assert_int_equal(st_commit(&w), DLC_OK);
  StFile f;
  assert_int_equal(st_open(&f, path), DLC_OK);
  assert_int_equal(f.count, 4);
  assert_int_equal(f.data_at % 8, 0);
  assert_string_equal(st_meta(&f, "k\\"), "v\t");
  assert_null(st_meta(&f, "nothing"));
  const StTensor *t = st_find(&f, "b.weight");
  assert_int_equal(t->rank, 2);
  assert_int_equal(t->dim[1], 3);
  assert_int_equal(st_read_doubles(&f, t, 1, 5, back), DLC_OK);
  for (int i = 0; i < 5; i++) assert_true(back[i] == i + 2);
  assert_int_equal(st_read_doubles(&f, t, 1, 6, back), DLC_EFORMAT);
  assert_int_equal(st_read_doubles(&f, st_find(&f, "a \"quoted\"\n\xc3\xa9"), 0, 1, back), DLC_OK);
  assert_true(back[0] == -0.1);
  assert_int_equal(st_find(&f, "empty")->elements, 0);
  assert_int_equal(st_read_integers(&f, st_find(&f, "labels"), 0, 2, got), DLC_OK);
  assert_memory_equal(got, labels, sizeof got);
  assert_int_equal(st_read_integers(&f, t, 0, 1, got), DLC_EFORMAT);
  assert_null(st_find(&f, "b.weigh"));
  st_close(&f);
}

static void test_conversions(void **state) {
  (void)state;
  const char *header =
      "{\"h\":{\"dtype\":\"F16\",\"shape\":[6],\"data_offsets\":[0,12]},"
      "\"b\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[12,16]},"
      "\"i\":{\"dtype\":\"I8\",\"shape\":[2],\"data_offsets\":[16,18]},"
      "\"u\":{\"dtype\":\"U16\",\"shape\":[1],\"data_offsets\":[18,20]}}";
  char bytes[1024];
  size_t n = compose(bytes, header, 20);
  static const uint8_t data[] = {0x00, 0x3c, 0x00, 0xc0, 0x01, 0x00, 0x00, 0x7c, 0xff, 0x7b,
                                 0x01, 0x7e, 0x80, 0x3f, 0x20, 0xc1, 0x80, 0x7f, 0xff, 0xff};
  memcpy(bytes + n - 20, data, 20);
  put_file(bytes, n);
  StFile f;
  double v[6];
  assert_int_equal(st_open(&f, path), DLC_OK);
  assert_int_equal(st_read_doubles(&f, st_find(&f, "h"), 0, 6, v), DLC_OK);
  assert_true(v[0] == 1 && v[1] == -2 && v[2] == 0x1p-24 && isinf(v[3]) && v[4] == 65504 &&
              isnan(v[5]));
  assert_int_equal(st_read_doubles(&f, st_find(&f, "b"), 0, 2, v), DLC_OK);
  assert_true(v[0] == 1 && v[1] == -10);
  assert_int_equal(st_read_doubles(&f, st_find(&f, "i"), 0, 2, v), DLC_OK);
  assert_true(v[0] == -128 && v[1] == 127);
  assert_int_equal(st_read_doubles(&f, st_find(&f, "u"), 0, 1, v), DLC_OK);
  assert_true(v[0] == 65535);
  st_close(&f);
}

static const char good[] =
    "{\"__metadata__\":{\"a\":\"b\"},\"x\":{\"dtype\":\"F32\",\"shape\":[1,2],"
    "\"data_offsets\":[0,8]}, \"y\" : {\"data_offsets\":[8,10],\"shape\":[2],\"dtype\":\"U8\"}}  ";

static void test_truncation(void **state) {
  (void)state;
  char bytes[512];
  size_t n = compose(bytes, good, 10);
  StFile f;
  put_file(bytes, n);
  assert_int_equal(st_open(&f, path), DLC_OK);
  st_close(&f);
  for (size_t cut = 0; cut < n; cut++) {
    put_file(bytes, cut);
    assert_int_equal(st_open(&f, path), DLC_EFORMAT);
    assert_non_null(strstr(f.error, ": "));
  }
  /* the header cut at every byte, with the length made to fit */
  for (size_t cut = 0; cut < strlen(good) - 2; cut++) {
    char header[512];
    snprintf(header, sizeof header, "%.*s", (int)cut, good);
    assert_int_equal(open_text(&f, header, 10), DLC_EFORMAT);
  }
}

/* Each byte of the file changed in turn: anything may come out but a crash. */
static void test_every_byte_changed(void **state) {
  (void)state;
  char bytes[512];
  size_t n = compose(bytes, good, 10);
  static const char other[] = {0, '"', '{', '9', (char)0xff, '\\', ','};
  for (size_t i = 0; i < n; i++)
    for (size_t k = 0; k < sizeof other; k++) {
      char was = bytes[i];
      bytes[i] = other[k];
      put_file(bytes, n);
      bytes[i] = was;
      StFile f;
      if (st_open(&f, path) == DLC_OK) st_close(&f);
    }
}

static void test_malformed(void **state) {
  (void)state;
#define X(shape, offsets) \
  "{\"x\":{\"dtype\":\"F32\",\"shape\":[" shape "],\"data_offsets\":[" offsets "]}}"
  static const struct {
    const char *header;
    size_t data;
    const char *why;
  } cases[] = {
      {"", 0, "start with {"},
      {"[]", 0, "start with {"},
      {"{}x", 0, "follows"},
      {"{\"x\":1}", 0, "properties"},
      {"{\"x\":{}}", 0, "lacks"},
      {"{\"x\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "lacks"},
      {X("1", "0,4"), 5, "bytes follow"},
      {X("1", "0,4"), 3, "past the end"},
      {X("1", "1,5"), 5, "hole"},
      {X("2", "0,4"), 4, "disagree"},
      {X("1", "4,0"), 4, "begin, end"},
      {X("1", "0"), 4, "begin, end"},
      {X("1", "0,4,8"), 4, "too long"},
      {X("1,1,1,1,1,1,1,1,1", "0,4"), 4, "too long"},
      {X("-1", "0,4"), 4, "non-negative"},
      {X("1.5", "0,4"), 4, "no end"},
      {X("01", "0,4"), 4, "starts with 0"},
      {X("9223372036854775808", "0,4"), 4, "too large"},
      {X("4294967296,4294967296", "0,0"), 0, "too large"},
      {X("4611686018427387904", "0,0"), 0, "too large"},
      {"{\"x\":{\"dtype\":\"F33\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "dtype"},
      {"{\"x\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
       "twice"},
      {"{\"x\":{\"type\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "unknown property"},
      {"{\"x\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
       "\"y\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}",
       3, "overlap"},
      {"{\"x\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
       "\"x\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
       2, "one name"},
      {"{\"__metadata__\":{\"a\":1}}", 0, "string"},
      {"{\"__metadata__\":[]}", 0, "object"},
      {"{\"__metadata__\":{\"a\":{\"b\":\"c\"}}}", 0, "string"},
      {"{\"\\ud800\":{}}", 0, "surrogate"},
      {"{\"\\udc00\":{}}", 0, "surrogate"},
      {"{\"\\u0000\":{}}", 0, "zero byte"},
      {"{\"\\u00g0\":{}}", 0, "escape"},
      {"{\"\\q\":{}}", 0, "escape"},
      {"{\"a\tb\":{}}", 0, "control"},
      {"{\"x\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},}", 0, "string"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    StFile f;
    assert_int_equal(open_text(&f, cases[i].header, cases[i].data), DLC_EFORMAT);
    if (!strstr(f.error, cases[i].why))
      fail_msg("case %zu: \"%s\" lacks \"%s\"", i, f.error, cases[i].why);
  }
}

static void test_header_length(void **state) {
  (void)state;
  StFile f;
  for (int bit = 4; bit < 64; bit++) {
    uint8_t bytes[16] = {0};
    bytes[bit / 8] = (uint8_t)(1 << bit % 8);
    put_file(bytes, sizeof bytes);
    assert_int_equal(st_open(&f, path), DLC_EFORMAT);
  }
  assert_int_equal(st_open(&f, TEST_BINARY_DIR "/no such file"), DLC_EIO);
  assert_int_equal(st_open(&f, TEST_BINARY_DIR), DLC_EIO);
}

/* Deep nesting is refused at once: the parser does not recurse. */
static void test_nesting(void **state) {
  (void)state;
  size_t depth = 1000000;
  char *bytes = malloc(depth + 16);
  for (int i = 0; i < 8; i++) bytes[i] = (char)(depth >> (8 * i) & 0xff);
  memset(bytes + 8, '{', depth);
  put_file(bytes, depth + 8);
  StFile f;
  assert_int_equal(st_open(&f, path), DLC_EFORMAT);
  memset(bytes + 8, '[', depth);
  memcpy(bytes + 8, "{\"x\":{\"shape\":", 14);
  put_file(bytes, depth + 8);
  assert_int_equal(st_open(&f, path), DLC_EFORMAT);
  free(bytes);
}

static void test_write_failures(void **state) {
  (void)state;
  StWriter w;
  StTensor t = {.name = "x", .type = ST_U8, .rank = 1, .dim = {1}};
  assert_int_equal(st_create(&w, TEST_BINARY_DIR "/no/such/folder/x", &t, 1, NULL, 0), DLC_EIO);
  assert_non_null(strstr(w.error, "No such file"));
  put_file("old", 3);
  assert_int_equal(st_create(&w, path, &t, 1, NULL, 0), DLC_OK);
  char temporary[512];
  snprintf(temporary, sizeof temporary, "%s", w.temporary);
  assert_int_equal(access(temporary, F_OK), 0);
  st_abort(&w);
  assert_int_not_equal(access(temporary, F_OK), 0);
  char back[4] = "";
  FILE *f = fopen(path, "rb");
  assert_int_equal(fread(back, 1, 4, f), 3);
  fclose(f);
  assert_string_equal(back, "old");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_round_trip), cmocka_unit_test(test_conversions),
      cmocka_unit_test(test_truncation), cmocka_unit_test(test_every_byte_changed),
      cmocka_unit_test(test_malformed),  cmocka_unit_test(test_header_length),
      cmocka_unit_test(test_nesting),    cmocka_unit_test(test_write_failures),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  unlink(path);
  return failed;
}
