/* Malformed files, a table for every reader of dlrun: each row is one change of a good file, and a
 * part of the error that must follow. Then every cut of each, what is no regular file, gzip that
 * unpacks without end, and hostile names of files. */
#include "tests/dlrun/files.h"

#include <dlfcn.h>
#include <png.h>
#include <sys/stat.h>

#include "dlrun/model.h"
#include "runtime/safetensors.h"

#define B TEST_BINARY_DIR "/bad-"

/* ---- good files: two samples of six numbers, labels of three classes ---- */

typedef struct {
  const char *name; /* of the format */
  const char *file; /* that is changed */
  const char *spec; /* how it is asked for */
  Blob (*make)(void);
} Format;

static const char *const no_labels = B "labels.idx";

static Blob idx_header(int type, int rank, const uint32_t *dim) {
  Blob b = {0};
  put_big(&b, (uint64_t)type << 8 | (uint64_t)rank, 4);
  for (int d = 0; d < rank; d++) put_big(&b, dim[d], 4);
  return b;
}

static Blob make_idx(void) {
  Blob b = idx_header(8, 2, (uint32_t[]){2, 6});
  put_bytes(&b, "abcdefghijkl", 12);
  return b;
}

static Blob make_labels(void) {
  Blob b = idx_header(8, 1, (uint32_t[]){2});
  put_bytes(&b, "\2\0", 2);
  return b;
}

static Blob make_cifar(void) {
  Blob b = {0};
  for (int s = 0; s < 2; s++) {
    put_little(&b, (uint64_t)s, 1);
    for (int i = 0; i < 3072; i++) put_little(&b, (uint64_t)(i & 255), 1);
  }
  return b;
}

static Blob make_csv(void) {
  Blob b = {0};
  static const char text[] = "1,2,3,4,5,6,2\n7,8,9,10,11,12,0\n";
  put_bytes(&b, text, sizeof text - 1);
  return b;
}

static Blob npy(const char *dictionary, const void *data, size_t bytes) {
  Blob b = {0};
  size_t length = strlen(dictionary) + 1;
  put_bytes(&b, "\x93NUMPY\1\0", 8);
  put_little(&b, length, 2);
  put_bytes(&b, dictionary, length - 1);
  put_bytes(&b, "\n", 1);
  put_bytes(&b, data, bytes);
  return b;
}

static const float twelve[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

static Blob make_npy(void) {
  return npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 6)}", twelve, sizeof twelve);
}

/* Stored members x.npy and label.npy. */
static Blob make_npz(void) {
  Blob b = {0}, directory = {0};
  Blob data[] = {make_npy(), npy("{'descr': '<i4', 'fortran_order': False, 'shape': (2,)}",
                                 "\2\0\0\0\0\0\0\0", 8)};
  static const char *const name[] = {"x.npy", "label.npy"};
  for (int i = 0; i < 2; i++) {
    uint64_t crc = crc32(0, (const Bytef *)data[i].at, (uInt)data[i].length), offset = b.length;
    put_bytes(&b, "PK\3\4\24\0\0\0\0\0\0\0\0\0", 14);
    put_bytes(&directory, "PK\1\2\24\0\24\0\0\0\0\0\0\0\0\0", 16);
    Blob *both[] = {&b, &directory};
    for (int k = 0; k < 2; k++) {
      put_little(both[k], crc, 4);
      put_little(both[k], data[i].length, 4);
      put_little(both[k], data[i].length, 4);
      put_little(both[k], strlen(name[i]), 2);
      put_little(both[k], 0, 2);
    }
    put_bytes(&directory, "\0\0\0\0\0\0\0\0\0\0", 10);
    put_little(&directory, offset, 4);
    put_bytes(&b, name[i], strlen(name[i]));
    put_bytes(&directory, name[i], strlen(name[i]));
    put_bytes(&b, data[i].at, data[i].length);
    free(data[i].at);
  }
  uint64_t at = b.length;
  put_bytes(&b, directory.at, directory.length);
  put_bytes(&b, "PK\5\6\0\0\0\0\2\0\2\0", 12);
  put_little(&b, directory.length, 4);
  put_little(&b, at, 4);
  put_little(&b, 0, 2);
  free(directory.at);
  return b;
}

/* A file of this header, with `bytes` of data. */
static Blob tensors(const char *header, size_t bytes) {
  Blob b = {0};
  put_little(&b, strlen(header), 8);
  put_bytes(&b, header, strlen(header));
  for (size_t i = 0; i < bytes; i++) put_little(&b, 0, 1);
  return b;
}

#define X "\"x\":{\"dtype\":\"F32\",\"shape\":[2,6],\"data_offsets\":[0,48]}"
#define LABEL "\"label\":{\"dtype\":\"I64\",\"shape\":[2],\"data_offsets\":[48,64]}"

static Blob make_tensors(void) { return tensors("{" X "," LABEL "}", 64); }

static Blob make_png(void) {
  uint8_t x[24];
  Blob b = {0};
  char bytes[4096];
  png_image png = {
      .version = PNG_IMAGE_VERSION, .width = 6, .height = 4, .format = PNG_FORMAT_GRAY};
  for (int i = 0; i < 24; i++) x[i] = (uint8_t)(i * 10);
  assert_true(png_image_write_to_file(&png, B "made.png", 0, x, 0, NULL));
  FILE *f = fopen(B "made.png", "rb");
  put_bytes(&b, bytes, fread(bytes, 1, sizeof bytes, f));
  fclose(f);
  return b;
}

static Blob make_so(void) {
  Blob b = {0};
  static char bytes[1 << 20];
  FILE *f = fopen(FAKE, "rb");
  put_bytes(&b, bytes, fread(bytes, 1, sizeof bytes, f));
  fclose(f);
  return b;
}

enum { IDX, LABELS, CIFAR, CSV, NPY, NPZ, TENSORS, PNG, SO, FORMATS };
static const Format format[FORMATS] = {
    [IDX] = {"IDX", B "x.idx", B "x.idx," B "labels.idx", make_idx},
    [LABELS] = {"IDX labels", B "l.idx", B "images.idx," B "l.idx", make_labels},
    [CIFAR] = {"CIFAR", B "x.bin", B "x.bin", make_cifar},
    [CSV] = {"CSV", B "x.csv", B "x.csv", make_csv},
    [NPY] = {"npy", B "x.npy", B "x.npy," B "labels.idx", make_npy},
    [NPZ] = {"npz", B "x.npz", B "x.npz", make_npz},
    [TENSORS] = {"safetensors", B "x.safetensors", B "x.safetensors", make_tensors},
    [PNG] = {"PNG", B "x.png", B "x.png," B "one.idx", make_png},
    [SO] = {".so", B "x.so", B "x.so", make_so},
};

static dlc_model *model_for(int k) {
  if (k == CIFAR)
    return tensors_model(tensor("x", DLC_U8, 0, 3, (int64_t[]){3, 32, 32}), label_of(3));
  if (k == PNG) return tensors_model(tensor("x", DLC_U8, 0, 3, (int64_t[]){1, 4, 6}), label_of(3));
  return tensors_model(tensor("x", DLC_F32, 0, 1, (int64_t[]){6}), label_of(3));
}

/* ---- reading ---- */

static bool open_library(const char *path, Fault *f) {
  void *handle;
  const dlc_model *m;
  bool fine = model_open(path, &handle, &m, f);
  if (handle) dlclose(handle); /* the next of this name is another */
  return fine;
}

static bool opens(int k, Fault *f) {
  Dataset d;
  f->text[0] = 0;
  if (k == SO) return open_library(format[k].file, f);
  Arena *a = arena_new();
  Words words = words_new(a, model_for(k));
  bool fine = dataset_open(a, format[k].spec, true, &words, &d, f);
  arena_free(a);
  return fine;
}

static int wrong;

static void refused(int k, const char *what, const char *why) {
  Fault f;
  bool fine = opens(k, &f);
  if (!fine && strstr(f.text, why)) return;
  print_message("%s, %s: \"%s\" expected: %s\n", format[k].name, what, why,
                fine ? "taken" : f.text);
  wrong++;
}

static int prepare(void **state) {
  (void)state;
  Blob images = make_idx(), labels = make_labels(), one = idx_header(8, 1, (uint32_t[]){1});
  put_bytes(&one, "\1", 1);
  write_blob(B "images.idx", images.at, images.length);
  write_blob(no_labels, labels.at, labels.length);
  write_blob(B "one.idx", one.at, one.length);
  free(images.at), free(labels.at), free(one.at);
  return 0;
}

static void test_good_files(void **state) {
  (void)state;
  for (int k = 0; k < FORMATS; k++) {
    Fault f;
    Blob b = format[k].make();
    write_blob(format[k].file, b.at, b.length);
    if (!opens(k, &f)) fail_msg("%s: %s", format[k].name, f.text);
    free(b.at);
  }
}

/* ---- the table ---- */

typedef struct {
  int format;
  const char *what;
  enum {
    PUT,
    ADD,
    ALL
  } edit; /* `n` bytes at `at` (negative: from the end), behind the end, or instead */
  long at;
  const char *bytes;
  size_t n;
  const char *why;
} Bad;

#define BYTES(text) text, sizeof text - 1
#define DICTIONARY(text) "\x93NUMPY\1\0\x40\0" text
#define ST(format, what, header, bytes, why) {format, what, ALL, bytes, header, 0, why}
#define OTHER(at, end) \
  "\"other\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[" #at "," #end "]}"

static const Bad bad[] = {
    {IDX, "empty", ALL, 0, BYTES(""), "neither CSV, IDX"},
    {IDX, "magic", PUT, 0, BYTES("\1"), "neither CSV, IDX"},
    {IDX, "element type", PUT, 2, BYTES("\7"), "not an IDX file"},
    {IDX, "no dimension", PUT, 3, BYTES("\0"), "not an IDX file"},
    {IDX, "too many dimensions", PUT, 3, BYTES("\12"), "not an IDX file"},
    {IDX, "dimensions behind the end", PUT, 3, BYTES("\11"), "cut off"},
    {IDX, "more samples than there are", PUT, 7, BYTES("\3"), "promises more"},
    {IDX, "product overflow", PUT, 4, BYTES("\xff\xff\xff\xff\xff\xff\xff\xff"), "promises more"},
    {IDX, "no samples", ALL, 0, BYTES("\0\0\10\2\0\0\0\0\0\0\0\6"), "but 0 for what comes"},
    {IDX, "bytes behind the last", ADD, 0, BYTES("x"), "bytes follow"},
    {IDX, "another shape", PUT, 4, BYTES("\0\0\0\3\0\0\0\4"), "do not fit x"},
    {IDX, "fewer samples than labels", ALL, 0, BYTES("\0\0\10\2\0\0\0\1\0\0\0\6abcdef"),
     "2 samples"},
    {LABELS, "label out of range", PUT, -1, BYTES("\3"), "sample 2: label is 3"},
    {LABELS, "negative label", ALL, 0, BYTES("\0\0\11\1\0\0\0\2\0\377"), "label is -1"},
    {LABELS, "NaN label", ALL, 0, BYTES("\0\0\15\1\0\0\0\2\0\0\0\0\177\300\0\0"), "label is nan"},
    {LABELS, "fraction", ALL, 0, BYTES("\0\0\15\1\0\0\0\2\77\0\0\0\0\0\0\0"), "label is 0.5"},
    {CIFAR, "empty", ALL, 0, BYTES(""), "no multiple of 3073"},
    {CIFAR, "part of a record", ADD, 0, BYTES("x"), "no multiple of 3073"},
    {CIFAR, "label out of range", PUT, 3073, BYTES("\11"), "sample 2: label is 9"},
    {CSV, "empty", ALL, 0, BYTES(""), "the file is empty"},
    {CSV, "empty lines", ALL, 0, BYTES("\n\r\n\n"), "the file is empty"},
    {CSV, "names only", ALL, 0, BYTES("a,b,c,d,e,f,label\n"), "no row follows"},
    {CSV, "short row", ADD, 0, BYTES("1,2,3\n"), ":3: 3 cells"},
    {CSV, "long row", ADD, 0, BYTES("1,2,3,4,5,6,7,8\n"), ":3: 8 cells"},
    {CSV, "text", PUT, 2, BYTES("b"), ":1: \"b\" in column 2 is not a number"},
    {CSV, "NaN", ADD, 0, BYTES("nan,2,3,4,5,6,0\n"), ":3: \"nan\""},
    {CSV, "infinity", ADD, 0, BYTES("1e999,2,3,4,5,6,0\n"), ":3: \"1e999\""},
    {CSV, "hexadecimal", ADD, 0, BYTES("0x1,2,3,4,5,6,0\n"), ":3: \"0x1\""},
    {CSV, "empty cell", ADD, 0, BYTES(",2,3,4,5,6,0\n"), ":3: \"\" in column 1"},
    {CSV, "label out of range", ADD, 0, BYTES("1,2,3,4,5,6,3\n"), ":3: label is 3"},
    {CSV, "label missing", ADD, 0, BYTES("1,2,3,4,5,6,\n"), ":3: the label is missing"},
    {CSV, "open quote", ADD, 0, BYTES("\"1,2,3,4,5,6,0\n"), "a quote is not closed"},
    {CSV, "text behind a quote", ADD, 0, BYTES("\"1\"1,2,3,4,5,6,0\n"), "closing quote"},
    {CSV, "zero byte", PUT, 2, BYTES("\0"), "a zero byte"},
    {CSV, "semicolons", ALL, 0, BYTES("1;2;3;4;5;6;0\n7;8;9;10;11;12;0\n"), "semicolons"},
    {NPY, "magic", PUT, 1, BYTES("X"), "neither CSV, IDX"},
    {NPY, "version", PUT, 6, BYTES("\11"), "not an npy array"},
    {NPY, "header behind the end", PUT, 8, BYTES("\377\377"), "header is cut off"},
    {NPY, "Fortran order", PUT, 44, BYTES("True "), "Fortran order"},
    {NPY, "objects", PUT, 21, BYTES("|O"), "element type"},
    {NPY, "complex numbers", PUT, 21, BYTES("<c8"), "element type"},
    {NPY, "structures", PUT, 20, BYTES("[1]"), "structures"},
    {NPY, "negative shape", PUT, 61, BYTES("-2"), "shape is malformed"},
    {NPY, "no shape", PUT, 52, BYTES("sharp"), "unknown key"},
    {NPY, "data cut off", PUT, 61, BYTES("9"), "the array is cut off"},
    {NPY, "bytes behind the last", ADD, 0, BYTES("x"), "bytes follow"},
    {NPY, "product overflow", ALL, 0,
     BYTES(DICTIONARY("{'descr':'<f4','fortran_order':False,'shape':(4294967296,99999999)}")),
     "malformed"},
    {NPY, "too many dimensions", ALL, 0,
     BYTES(DICTIONARY("{'descr':'<f4','fortran_order':False,'shape':(1,1,1,1,1,1,1,1,1,1)}  ")),
     "malformed"},
    {NPZ, "no end record", PUT, -22, BYTES("XX"), "not an npz archive"},
    {NPZ, "directory behind the end", PUT, -6, BYTES("\377\377\377\377"), "directory is malformed"},
    {NPZ, "more members than there are", PUT, -12, BYTES("\11"), "directory is malformed"},
    {NPZ, "member behind the end", PUT, -22 - 55 - 51 + 42, BYTES("\377\377\377\0"),
     "outside the file"},
    {NPZ, "unknown compression", PUT, -22 - 55 - 51 + 10, BYTES("\14"), "an unknown way"},
    {NPZ, "encrypted", PUT, -22 - 55 - 51 + 8, BYTES("\1"), "an unknown way"},
    {NPZ, "size that cannot be", PUT, -22 - 55 - 51 + 24, BYTES("\377\377\377\177"),
     "impossible size"},
    {NPZ, "checksum", PUT, -22 - 55 - 51 + 16, BYTES("\0\0\0\0"), "is damaged"},
    {NPZ, "data changed", PUT, 30 + 5 + 100, BYTES("!"), "is damaged"},
    {NPZ, "same name twice", PUT, -22 - 55 + 28, BYTES("\5\0\0\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0x.npy"),
     "x is there twice"},
    {NPZ, "no target", PUT, -22 - 9, BYTES("w"), "nothing for label"},
    {NPZ, "other names", PUT, -22 - 55 - 5, BYTES("z"), "nothing for x"},
    {TENSORS, "empty", ALL, 0, BYTES(""), "too short"},
    {TENSORS, "header behind the end", PUT, 0, BYTES("\377\377"), "length is impossible"},
    {TENSORS, "header of 2^63 bytes", PUT, 7, BYTES("\200"), "length is impossible"},
    {TENSORS, "bytes behind the last", ADD, 0, BYTES("x"), "bytes follow"},
    ST(TENSORS, "overlap", "{" X "," LABEL "," OTHER(40, 48) "}", 64, "overlap"),
    ST(TENSORS, "hole", "{" X "," LABEL "," OTHER(65, 73) "}", 73, "hole"),
    ST(TENSORS, "same name twice", "{" X "," LABEL "," OTHER(64, 72) "," OTHER(72, 80) "}", 80,
       "one name"),
    ST(TENSORS, "behind the end", "{" X "," LABEL "," OTHER(64, 72) "}", 64, "past the end"),
    ST(TENSORS, "product overflow",
       "{\"x\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0,
       "too large"),
    ST(TENSORS, "shape and offsets",
       "{\"x\":{\"dtype\":\"F32\",\"shape\":[2,6],\"data_offsets\":[0,44]}}", 44, "disagree"),
    ST(TENSORS, "too many dimensions",
       "{\"x\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", 1, "x"),
    ST(TENSORS, "element type", "{\"x\":{\"dtype\":\"F31\",\"shape\":[1],\"data_offsets\":[0,4]}}",
       4, "dtype"),
    ST(TENSORS, "no number type",
       "{\"x\":{\"dtype\":\"BOOL\",\"shape\":[2,6],\"data_offsets\":[0,12]}}", 12, "of type BOOL"),
    ST(TENSORS, "no samples' dimension",
       "{\"x\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", 4, "no dimension"),
    ST(TENSORS, "nothing of use", "{" OTHER(0, 8) "}", 8, "no tensor is named"),
    ST(TENSORS, "no target", "{" X "}", 48, "nothing for label"),
    {PNG, "checksum", PUT, 20, BYTES("\5"), "x.png"},
    {PNG, "width of 2^31", PUT, 16, BYTES("\177\377\377\377"), "x.png"},
    {PNG, "no picture behind the magic", ALL, 0, BYTES("\x89PNG\r\n\x1a\n"), "x.png"},
    {SO, "text", ALL, 0, BYTES("hello, world"), "not a shared library"},
    {SO, "magic", PUT, 1, BYTES("X"), "not a shared library"},
    {SO, "an object file", PUT, 16, BYTES("\1"), "an object file"},
    {SO, "an executable for 32 bits", PUT, 4, BYTES("\1"), "32"},
    {SO, "for another processor", PUT, 18, BYTES("\x28"), "x.so"},
    {SO, "size of program headers", PUT, 54, BYTES("\1"), "program headers are malformed"},
    {SO, "no program headers", PUT, 56, BYTES("\0\0"), "program headers are malformed"},
    {SO, "program headers behind the end", PUT, 32, BYTES("\0\0\0\1"), "cut off"},
    {SO, "sections behind the end", PUT, 40, BYTES("\0\0\0\1"), "cut off"},
    {SO, "segment behind the end", PUT, 64 + 32, BYTES("\0\0\0\1"), "cut off"},
};

static Blob make_bad(const Bad *x) {
  if (x->edit == ALL && x->format == TENSORS && !x->n && x->bytes[0])
    return tensors(x->bytes, (size_t)x->at);
  Blob b = format[x->format].make();
  if (x->edit == ALL) b.length = 0;
  if (x->edit != PUT) {
    put_bytes(&b, x->bytes, x->n);
    return b;
  }
  size_t at = x->at < 0 ? b.length - (size_t)-x->at : (size_t)x->at;
  assert_true(at + x->n <= b.length);
  memcpy(b.at + at, x->bytes, x->n);
  return b;
}

static void test_table(void **state) {
  (void)state;
  int count[FORMATS] = {0}, total = 0;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++, total++) {
    Blob b = make_bad(&bad[i]);
    write_blob(format[bad[i].format].file, b.at, b.length);
    refused(bad[i].format, bad[i].what, bad[i].why);
    count[bad[i].format]++;
    free(b.at);
  }
  for (int k = 0; k < FORMATS; k++) print_message("%-12s %d\n", format[k].name, count[k]);
  print_message("%d classes of malformed files\n", total);
  assert_true(total >= 40);
  assert_int_equal(wrong, 0);
}

/* ---- cuts ---- */

static void test_every_cut(void **state) {
  (void)state;
  int cuts = 0;
  for (int k = 0; k < FORMATS; k++) {
    Blob b = format[k].make();
    size_t step = b.length > 2000 ? b.length / 101 : 1;
    for (size_t n = 0; n < b.length; n += n < 64 ? 1 : step, cuts++) {
      Fault f;
      write_blob(format[k].file, b.at, n);
      /* a table that ends after a whole cell is a table, a picture needs no end mark */
      bool whole = k == CSV || (k == PNG && n >= b.length - 12);
      if (opens(k, &f) && !whole) fail_msg("%s: cut after %zu bytes is taken", format[k].name, n);
    }
    free(b.at);
  }
  print_message("%d cuts\n", cuts);
}

/* ---- what is no file ---- */

enum { FOLDER, PIPE, LOOP, NOWHERE, DEVICE, SPECIALS };

static void make_special(int which, const char *path) {
  unlink(path);
  rmdir(path);
  if (which == FOLDER) assert_int_equal(mkdir(path, 0777), 0);
  if (which == PIPE) assert_int_equal(mkfifo(path, 0666), 0);
  if (which == LOOP) assert_int_equal(symlink(path, path), 0);
  if (which == NOWHERE) assert_int_equal(symlink("/no/such/file", path), 0);
  if (which == DEVICE) assert_int_equal(symlink("/dev/zero", path), 0);
}

static void test_no_files(void **state) {
  (void)state;
  for (int k = 0; k < FORMATS; k++) {
    for (int which = 0; which < SPECIALS; which++) {
      make_special(which, format[k].file);
      refused(k, "no file", format[k].file);
    }
    unlink(format[k].file);
    /* a link to a good one is fine */
    Fault f;
    Blob b = format[k].make();
    write_blob(B "target", b.at, b.length);
    assert_int_equal(symlink(B "target", format[k].file), 0);
    if (!opens(k, &f)) fail_msg("%s through a link: %s", format[k].name, f.text);
    unlink(format[k].file);
    free(b.at);
  }
}

/* ---- gzip ---- */

/* A hundred kilobytes that unpack to a hundred megabytes. */
static void test_gzip_bomb(void **state) {
  (void)state;
  static char zeros[1 << 20];
  gzFile f = gzopen(B "bomb.csv.gz", "wb9");
  assert_non_null(f);
  for (int i = 0; i < 100; i++) assert_int_equal(gzwrite(f, zeros, sizeof zeros), sizeof zeros);
  gzclose(f);
  refuse_with(model_for(CSV), B "bomb.csv.gz", "unpacks to more than");
  /* damage inside */
  Blob b = {0};
  Blob good = make_csv();
  char bytes[4096];
  write_gzip(B "x.csv.gz", good.at, good.length);
  FILE *in = fopen(B "x.csv.gz", "rb");
  put_bytes(&b, bytes, fread(bytes, 1, sizeof bytes, in));
  fclose(in);
  b.at[b.length - 8] ^= 1; /* the checksum */
  write_blob(B "x.csv.gz", b.at, b.length);
  refuse_with(model_for(CSV), B "x.csv.gz", "x.csv.gz: ");
  free(b.at), free(good.at);
}

/* ---- names ---- */

static void test_hostile_names(void **state) {
  (void)state;
  static const char *const names[] = {
      "a b;c", "$(touch " B "pwned)", "`id`", "%s%n%n", "'\"", "\x1b[2J", "a\nb", "..", "-rf"};
  char path[64], spec[512];
  unlink(B "pwned");
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    Blob b = make_csv();
    snprintf(path, sizeof path, "%s", names[i]);
    for (char *c = path; *c; c++)
      if (*c == '/') *c = '_';
    snprintf(spec, sizeof spec, B "%s.csv", path);
    write_blob(spec, b.at, b.length);
    Arena *a = arena_new();
    assert_int_equal(open_data(a, model_for(CSV), spec).n, 2);
    arena_free(a);
    write_blob(spec, "1,2", 3);
    refuse_with(model_for(CSV), spec, path);
    unlink(spec);
    free(b.at);
  }
  assert_int_not_equal(access(B "pwned", F_OK), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_good_files), cmocka_unit_test(test_table),
      cmocka_unit_test(test_every_cut),  cmocka_unit_test(test_no_files),
      cmocka_unit_test(test_gzip_bomb),  cmocka_unit_test(test_hostile_names),
  };
  return cmocka_run_group_tests(tests, prepare, NULL);
}
