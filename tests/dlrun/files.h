/* For tests of readers: files made byte by byte, and networks that are only tensors. */
#ifndef DLC_TESTS_FILES_H
#define DLC_TESTS_FILES_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "dlrun/data/dataset.h"

typedef struct {
  char *at;
  size_t length;
} Blob;

static inline void put_bytes(Blob *b, const void *bytes, size_t n) {
  b->at = realloc(b->at, b->length + n + 1);
  memcpy(b->at + b->length, bytes, n);
  b->length += n;
}

static inline void put_little(Blob *b, uint64_t v, int size) {
  for (int i = 0; i < size; i++) put_bytes(b, &(char){(char)(v >> (8 * i))}, 1);
}

static inline void put_big(Blob *b, uint64_t v, int size) {
  for (int i = size - 1; i >= 0; i--) put_bytes(b, &(char){(char)(v >> (8 * i))}, 1);
}

static inline void write_blob(const char *path, const void *bytes, size_t n) {
  unlink(path); /* some file systems sync a file that is cut to nothing and written again */
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(bytes, 1, n, f), n);
  fclose(f);
}

static inline void write_text(const char *path, const char *text) {
  write_blob(path, text, strlen(text));
}

static inline void write_gzip(const char *path, const void *bytes, size_t n) {
  gzFile f = gzopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(gzwrite(f, bytes, (unsigned)n), (int)n);
  gzclose(f);
}

/* A network of one input and one target. */
static inline dlc_model *tensors_model(dlc_tensor input, dlc_tensor target) {
  static dlc_tensor in, out;
  static dlc_model m;
  in = input;
  out = target;
  m = (dlc_model){.name = "test",
                  .real_bytes = 4,
                  .input_count = 1,
                  .target_count = 1,
                  .inputs = &in,
                  .targets = &out};
  return &m;
}

static inline dlc_tensor tensor(const char *name, int32_t elem, int32_t classes, int rank,
                                const int64_t *dim) {
  dlc_tensor t = {.name = name, .elem = elem, .classes = classes, .rank = rank, .elements = 1};
  for (int d = 0; d < rank; d++) t.elements *= t.dim[d] = dim[d];
  return t;
}

static inline dlc_tensor label_of(int32_t classes) {
  return tensor("label", DLC_I32, classes, 0, NULL);
}

/* The data must be refused, with `why` in the reason. */
static inline void refuse_with(const dlc_model *m, const char *spec, const char *why) {
  Arena *a = arena_new();
  Dataset d;
  Fault f = {.text = ""};
  Words words = words_new(a, m);
  if (dataset_open(a, spec, true, &words, &d, &f))
    fail_msg("%s was taken; \"%s\" expected", spec, why);
  if (!strstr(f.text, why)) fail_msg("%s: \"%s\" lacks \"%s\"", spec, f.text, why);
  arena_free(a);
}

static inline Dataset open_data(Arena *a, const dlc_model *m, const char *spec) {
  Dataset d;
  Fault f = {.text = ""};
  Words words = words_new(a, m);
  if (!dataset_open(a, spec, true, &words, &d, &f)) fail_msg("%s: %s", spec, f.text);
  return d;
}

/* Element i of sample s of tensor t. */
static inline double data_at(const Dataset *d, const dlc_model *m, int t, int64_t s, int64_t i) {
  const dlc_tensor *k = t < m->input_count ? &m->inputs[t] : &m->targets[t - m->input_count];
  int64_t row = d->row ? d->row[s] : s, at = row * k->elements + i;
  if (k->elem == DLC_U8) return ((const uint8_t *)d->data[t])[at];
  if (k->elem == DLC_I32) return ((const int32_t *)d->data[t])[at];
  return k->elem == DLC_F64 ? ((const double *)d->data[t])[at]
                            : (double)((const float *)d->data[t])[at];
}

#endif
