/* IDX, CIFAR-10, npy, npz, safetensors; each cut at every byte and with every byte changed. */
#include "tests/dlrun/files.h"

#include "runtime/safetensors.h"

#define IMAGES TEST_BINARY_DIR "/binary-images"
#define LABELS TEST_BINARY_DIR "/binary-labels"
#define FILE_NPY TEST_BINARY_DIR "/binary.npy"
#define FILE_NPZ TEST_BINARY_DIR "/binary.npz"
#define FILE_ST TEST_BINARY_DIR "/binary.safetensors"
#define FILE_BIN TEST_BINARY_DIR "/binary.bin"

static dlc_model *images(void) {
  return tensors_model(tensor("image", DLC_U8, 0, 3, (int64_t[]){1, 2, 3}), label_of(4));
}

static Blob idx(int type, int rank, const uint32_t *dim, const void *data, size_t n) {
  Blob b = {0};
  put_big(&b, (uint64_t)type << 8 | (uint64_t)rank, 4);
  for (int d = 0; d < rank; d++) put_big(&b, dim[d], 4);
  put_bytes(&b, data, n);
  return b;
}

static const uint8_t pixels[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 255}, classes[2] = {3, 0};

/* Opens whatever is there; only a crash is wrong. */
static void try_open(const dlc_model *m, const char *spec) {
  Arena *a = arena_new();
  Dataset d;
  Fault f = {.text = ""};
  Words words = words_new(a, m);
  if (!dataset_open(a, spec, true, &words, &d, &f)) assert_true(f.text[0]);
  arena_free(a);
}

/* Cut anywhere it must be refused; changed anywhere it must not crash. */
static void torture(const dlc_model *m, const char *path, const char *spec, const Blob *b) {
  for (size_t cut = 0; cut < b->length; cut++) {
    write_blob(path, b->at, cut);
    refuse_with(m, spec, "");
  }
  static const uint8_t others[] = {0xff, '9'};
  for (size_t i = 0; i < b->length && i < 600; i++)
    for (size_t k = 0; k < sizeof others; k++) {
      char was = b->at[i];
      b->at[i] = (char)others[k];
      write_blob(path, b->at, b->length);
      b->at[i] = was;
      try_open(m, spec);
    }
  write_blob(path, b->at, b->length);
}

static void test_idx(void **state) {
  (void)state;
  Blob x = idx(8, 3, (uint32_t[]){2, 2, 3}, pixels, 12), y = idx(8, 1, (uint32_t[]){2}, classes, 2);
  const dlc_model *m = images();
  for (int zip = 0; zip < 2; zip++) {
    (zip ? write_gzip : write_blob)(IMAGES, x.at, x.length);
    (zip ? write_gzip : write_blob)(LABELS, y.at, y.length);
    Arena *a = arena_new();
    Dataset d = open_data(a, m, IMAGES "," LABELS);
    assert_int_equal(d.n, 2);
    for (int i = 0; i < 12; i++) assert_int_equal(data_at(&d, m, 0, i / 6, i % 6), pixels[i]);
    assert_int_equal(data_at(&d, m, 1, 0, 0), 3);
    assert_int_equal(data_at(&d, m, 1, 1, 0), 0);
    arena_free(a);
  }
  write_blob(LABELS, y.at, y.length);
  torture(m, IMAGES, IMAGES "," LABELS, &x);
  refuse_with(m, IMAGES, "nothing for label");
  refuse_with(m, IMAGES "," LABELS "," LABELS, "more than the network has inputs and targets");
  y.at[8] = 4;
  /* what is not asked for is not looked at */
  Dataset d;
  Fault f = {.text = ""};
  Arena *a = arena_new();
  write_blob(LABELS, y.at, y.length);
  Words words = words_new(a, m);
  assert_true(dataset_open(a, IMAGES "," LABELS, false, &words, &d, &f));
  assert_int_equal(d.tensors, 1);
  arena_free(a);
  write_blob(LABELS, y.at, y.length);
  refuse_with(m, IMAGES "," LABELS, "binary-labels: sample 1: label is 4");
  Blob three = idx(8, 1, (uint32_t[]){3}, "\0\1\2", 3);
  write_blob(LABELS, three.at, three.length);
  refuse_with(m, IMAGES "," LABELS, "3 samples for label, but 2");
  free(x.at), free(y.at), free(three.at);
}

static void test_idx_types(void **state) {
  (void)state;
  const dlc_model *m =
      tensors_model(tensor("x", DLC_F32, 0, 0, NULL), tensor("y", DLC_F32, 0, 0, NULL));
  Blob x = idx(0x0b, 1, (uint32_t[]){2}, "\xff\xfe\x01\x00", 4);
  Blob y = idx(0x0d, 1, (uint32_t[]){2}, "\x3f\xc0\x00\x00\xc0\x00\x00\x00", 8);
  write_blob(IMAGES, x.at, x.length);
  write_blob(LABELS, y.at, y.length);
  Arena *a = arena_new();
  Dataset d = open_data(a, m, IMAGES "," LABELS);
  assert_true(data_at(&d, m, 0, 0, 0) == -2 && data_at(&d, m, 0, 1, 0) == 256);
  assert_true(data_at(&d, m, 1, 0, 0) == 1.5 && data_at(&d, m, 1, 1, 0) == -2);
  arena_free(a);
  free(x.at), free(y.at);
  Blob huge = idx(8, 3, (uint32_t[]){0xffffffffu, 0xffffffffu, 0xffffffffu}, pixels, 12);
  write_blob(IMAGES, huge.at, huge.length);
  refuse_with(m, IMAGES "," LABELS, "promises more");
  free(huge.at);
}

static void test_gzip_cut(void **state) {
  (void)state;
  Blob x = idx(8, 3, (uint32_t[]){2, 2, 3}, pixels, 12), y = idx(8, 1, (uint32_t[]){2}, classes, 2),
       packed = {0};
  write_blob(LABELS, y.at, y.length);
  write_gzip(IMAGES, x.at, x.length);
  char buffer[256];
  FILE *f = fopen(IMAGES, "rb");
  put_bytes(&packed, buffer, fread(buffer, 1, sizeof buffer, f));
  fclose(f);
  torture(images(), IMAGES, IMAGES "," LABELS, &packed);
  free(x.at), free(y.at), free(packed.at);
}

static void test_cifar(void **state) {
  (void)state;
  Blob b = {0};
  for (int r = 0; r < 3; r++) {
    put_little(&b, (uint64_t)r, 1);
    for (int i = 0; i < 3072; i++) put_little(&b, (uint64_t)(i * 7 + r) & 0xff, 1);
  }
  write_gzip(FILE_BIN ".gz", b.at, b.length);
  const dlc_model *m =
      tensors_model(tensor("image", DLC_U8, 0, 3, (int64_t[]){3, 32, 32}), label_of(3));
  Arena *a = arena_new();
  Dataset d = open_data(a, m, FILE_BIN ".gz");
  assert_int_equal(d.n, 3);
  for (int r = 0; r < 3; r++) {
    assert_int_equal(data_at(&d, m, 1, r, 0), r);
    assert_int_equal(data_at(&d, m, 0, r, 3071), (3071 * 7 + r) & 0xff);
  }
  /* two files are one data set */
  write_blob(FILE_BIN, b.at, b.length / 3);
  d = open_data(a, m, FILE_BIN ".gz," FILE_BIN);
  assert_int_equal(d.n, 4);
  assert_int_equal(data_at(&d, m, 1, 2, 0), 2);
  assert_int_equal(data_at(&d, m, 1, 3, 0), 0);
  assert_int_equal(data_at(&d, m, 0, 3, 3071), 3071 * 7 & 0xff);
  arena_free(a);
  write_blob(FILE_BIN, b.at, b.length - 1);
  refuse_with(m, FILE_BIN, "no multiple of 3073");
  write_blob(FILE_BIN, b.at, 0);
  refuse_with(m, FILE_BIN, "no multiple");
  unlink(FILE_BIN ".gz");
  free(b.at);
}

static Blob npy(const char *dictionary, const void *data, size_t n) {
  Blob b = {0};
  put_bytes(&b, "\x93NUMPY\1\0", 8);
  put_little(&b, strlen(dictionary), 2);
  put_bytes(&b, dictionary, strlen(dictionary));
  put_bytes(&b, data, n);
  return b;
}

static const char float_dictionary[] =
    "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }\n";
static const double six[6] = {1, -2, 3, 4.5, 5, 1e300};

static void test_npy(void **state) {
  (void)state;
  Blob b = npy(float_dictionary, six, sizeof six),
       y = npy("{'descr':'|b1','fortran_order':False,'shape':(2,)}", "\1\0", 2);
  const dlc_model *m = tensors_model(tensor("x", DLC_F64, 0, 1, (int64_t[]){3}), label_of(2));
  write_blob(FILE_NPY, b.at, b.length);
  write_blob(LABELS, y.at, y.length);
  Arena *a = arena_new();
  Dataset d = open_data(a, m, FILE_NPY "," LABELS);
  for (int i = 0; i < 6; i++) assert_true(data_at(&d, m, 0, i / 3, i % 3) == six[i]);
  assert_int_equal(data_at(&d, m, 1, 0, 0), 1);
  arena_free(a);
  torture(m, FILE_NPY, FILE_NPY "," LABELS, &b);
  static const char *const bad[][2] = {
      {"{'descr': '<f8', 'fortran_order': True, 'shape': (2, 3)}", "Fortran"},
      {"{'descr': '<c16', 'fortran_order': False, 'shape': (2, 3)}", "element type"},
      {"{'descr': '|O', 'fortran_order': False, 'shape': (2, 3)}", "element type"},
      {"{'descr': [('a','<f8')], 'fortran_order': False, 'shape': (2, 3)}", "structures"},
      {"{'descr': '<f8', 'shape': (2, 3)}", "lacks"},
      {"{'descr': '<f8', 'fortran_order': False, 'shape': (2, -3)}", "shape"},
      {"{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999,)}", "shape"},
      {"{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904, 8)}", "cut off"},
      {"{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2)}", "follow"},
      {"{'descr': '<f8', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1,1)}", "shape"},
      {"{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), 'x': 1}", "unknown key"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    Blob broken = npy(bad[i][0], six, sizeof six);
    write_blob(FILE_NPY, broken.at, broken.length);
    refuse_with(m, FILE_NPY "," LABELS, bad[i][1]);
    free(broken.at);
  }
  free(b.at), free(y.at);
}

/* ---- zip ---- */

typedef struct {
  const char *name;
  Blob data;
  bool deflate;
} ZipEntry;

static Blob zip(const ZipEntry *e, int count) {
  Blob b = {0}, directory = {0};
  for (int i = 0; i < count; i++) {
    uLong crc = crc32(0, (const Bytef *)e[i].data.at, (uInt)e[i].data.length);
    uint8_t packed[8192];
    z_stream z = {.next_in = (Bytef *)e[i].data.at,
                  .avail_in = (uInt)e[i].data.length,
                  .next_out = packed,
                  .avail_out = sizeof packed};
    size_t size = e[i].data.length;
    if (e[i].deflate) {
      assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
      assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
      size = z.total_out;
      deflateEnd(&z);
    }
    uint64_t offset = b.length, name = strlen(e[i].name);
    put_bytes(&b, "PK\3\4\24\0\0\0", 8);
    put_bytes(&directory, "PK\1\2\24\0\24\0\0\0", 10);
    Blob *both[] = {&b, &directory};
    for (int k = 0; k < 2; k++) {
      put_little(both[k], e[i].deflate ? 8 : 0, 2);
      put_little(both[k], 0, 4);
      put_little(both[k], crc, 4);
      put_little(both[k], size, 4);
      put_little(both[k], e[i].data.length, 4);
      put_little(both[k], name, 2);
      put_little(both[k], 0, 2);
    }
    put_bytes(&directory, "\0\0\0\0\0\0\0\0\0\0", 10);
    put_little(&directory, offset, 4);
    put_bytes(&b, e[i].name, name);
    put_bytes(&directory, e[i].name, name);
    put_bytes(&b, e[i].deflate ? (const void *)packed : e[i].data.at, size);
  }
  uint64_t at = b.length;
  put_bytes(&b, directory.at, directory.length);
  put_bytes(&b, "PK\5\6\0\0\0\0", 8);
  put_little(&b, (uint64_t)count, 2);
  put_little(&b, (uint64_t)count, 2);
  put_little(&b, directory.length, 4);
  put_little(&b, at, 4);
  put_little(&b, 0, 2);
  free(directory.at);
  return b;
}

static void test_npz(void **state) {
  (void)state;
  /* [2, 2, 3, 3] of H, W, C to C, H, W */
  uint8_t hwc[36];
  for (int i = 0; i < 36; i++) hwc[i] = (uint8_t)i;
  Blob x = npy("{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2, 3, 3), }", hwc, 36);
  Blob y =
      npy("{'descr': '<i4', 'fortran_order': False, 'shape': (2, 1), }", "\1\0\0\0\0\0\0\0", 8);
  const dlc_model *m =
      tensors_model(tensor("image", DLC_F32, 0, 3, (int64_t[]){3, 2, 3}), label_of(2));
  for (int mode = 0; mode < 4; mode++) {
    bool named = mode & 1;
    ZipEntry e[] = {{"ignored.npy", x, false},
                    {named ? "image.npy" : "train_images.npy", x, mode & 2},
                    {named ? "label.npy" : "train_labels.npy", y, mode & 2}};
    Blob b = zip(e, 3);
    const char *spec = named ? FILE_NPZ : FILE_NPZ ":train";
    write_blob(FILE_NPZ, b.at, b.length);
    Arena *a = arena_new();
    Dataset d = open_data(a, m, spec);
    assert_int_equal(d.n, 2);
    for (int s = 0; s < 2; s++)
      for (int c = 0; c < 3; c++)
        for (int p = 0; p < 6; p++)
          assert_int_equal(data_at(&d, m, 0, s, c * 6 + p), s * 18 + p * 3 + c);
    assert_int_equal(data_at(&d, m, 1, 0, 0), 1);
    arena_free(a);
    if (mode == 3) torture(m, FILE_NPZ, spec, &b);
    refuse_with(m, named ? FILE_NPZ ":train" : FILE_NPZ, "no array is named");
    free(b.at);
  }
  free(x.at), free(y.at);
}

static void test_npz_damage(void **state) {
  (void)state;
  Blob x = npy(float_dictionary, six, sizeof six);
  const dlc_model *m = tensors_model(tensor("x", DLC_F64, 0, 1, (int64_t[]){3}), label_of(2));
  ZipEntry e[] = {{"x.npy", x, false}};
  Blob b = zip(e, 1);
  b.at[30 + 5 + 20] ^= 1; /* within the member: the checksum tells */
  write_blob(FILE_NPZ, b.at, b.length);
  refuse_with(m, FILE_NPZ, "is damaged");
  b.at[30 + 5 + 20] ^= 1;
  char *directory = b.at + b.length - 22 - 46 - 5;
  memset(directory + 24, 0xfe, 4); /* an unpacked size of 4 GB */
  write_blob(FILE_NPZ, b.at, b.length);
  refuse_with(m, FILE_NPZ, "impossible size");
  free(b.at), free(x.at);
}

static void test_safetensors(void **state) {
  (void)state;
  StTensor t[] = {{.name = "x", .type = ST_F32, .rank = 2, .dim = {2, 3}},
                  {.name = "label", .type = ST_I64, .rank = 1, .dim = {2}},
                  {.name = "other", .type = ST_BOOL, .rank = 1, .dim = {4}}};
  float x[6] = {1, 2, 3, 4, 5, 6.5f};
  int64_t label[2] = {1, 0};
  StWriter w;
  assert_int_equal(st_create(&w, FILE_ST, t, 3, NULL, 0), DLC_OK);
  st_write(&w, x, sizeof x);
  st_write(&w, label, sizeof label);
  st_write(&w, "abcd", 4);
  assert_int_equal(st_commit(&w), DLC_OK);
  const dlc_model *m = tensors_model(tensor("x", DLC_F64, 0, 1, (int64_t[]){3}), label_of(2));
  Arena *a = arena_new();
  Dataset d = open_data(a, m, FILE_ST);
  for (int i = 0; i < 6; i++) assert_true(data_at(&d, m, 0, i / 3, i % 3) == (double)x[i]);
  assert_int_equal(data_at(&d, m, 1, 0, 0), 1);
  arena_free(a);
  m = tensors_model(tensor("x", DLC_F64, 0, 1, (int64_t[]){4}), label_of(2));
  refuse_with(m, FILE_ST, "samples of shape [3] do not fit x, which is [4]");
  m = tensors_model(tensor("z", DLC_F64, 0, 1, (int64_t[]){3}), label_of(2));
  refuse_with(m, FILE_ST, "nothing for z");
  m = tensors_model(tensor("other", DLC_F64, 0, 1, (int64_t[]){3}), label_of(2));
  refuse_with(m, FILE_ST, "BOOL");
}

static void test_batches(void **state) {
  (void)state;
  Blob x = idx(8, 3, (uint32_t[]){2, 2, 3}, pixels, 12), y = idx(8, 1, (uint32_t[]){2}, classes, 2);
  write_blob(IMAGES, x.at, x.length);
  write_blob(LABELS, y.at, y.length);
  const dlc_model *m = images();
  Arena *a = arena_new();
  Dataset d = open_data(a, m, IMAGES "," LABELS);
  Batch b = dataset_batch(a, &d, 2);
  dataset_gather(&d, (int64_t[]){1, 0}, 0, 2, &b);
  assert_memory_equal(b.inputs[0], pixels + 6, 6);
  assert_memory_equal((const char *)b.inputs[0] + 6, pixels, 6);
  assert_int_equal(((const int32_t *)b.targets[0])[0], 0);
  assert_int_equal(((const int32_t *)b.targets[0])[1], 3);
  arena_free(a);
  free(x.at), free(y.at);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_idx),        cmocka_unit_test(test_idx_types),
      cmocka_unit_test(test_gzip_cut),   cmocka_unit_test(test_cifar),
      cmocka_unit_test(test_npy),        cmocka_unit_test(test_npz),
      cmocka_unit_test(test_npz_damage), cmocka_unit_test(test_safetensors),
      cmocka_unit_test(test_batches),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  static const char *const files[] = {IMAGES, LABELS, FILE_NPY, FILE_NPZ, FILE_ST, FILE_BIN};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) unlink(files[i]);
  return failed;
}
