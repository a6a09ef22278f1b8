/* What a reader makes of a file: arrays, their first dimension the samples; and one reader a
 * format. */
#ifndef DLC_DLRUN_RAW_H
#define DLC_DLRUN_RAW_H

#include "base/arena.h"
#include "base/vec.h"
#include "dlrun/data/bytes.h"
#include "dlrun/data/words.h"
#include "runtime/dlc.h"

typedef enum { RAW_U8, RAW_I64, RAW_F32, RAW_F64 } RawElem;

enum { RAW_RANK = 9 };

/* Samples that come from one file. */
typedef struct {
  const char *where;   /* the file */
  int64_t first;       /* of the array's samples */
  const int64_t *line; /* of each sample; NULL where files have no lines */
} RawPart;

typedef struct {
  const char *name;  /* NULL: known by its place among the unnamed */
  const char *where; /* the first file */
  const char *kind;  /* unnamed arrays of one kind are parts of one; NULL: none of them */
  RawElem elem;
  int rank;
  int64_t dim[RAW_RANK];
  int64_t each; /* elements of one sample */
  void *data;
  int64_t room; /* samples that data has room for */
  VEC(RawPart) parts;
  bool words; /* elements are numbers in the set's list of new words */
} RawArray;

/* Labels of a tensor, as they come: words once one of them is no number. */
typedef struct {
  WordList list;
  bool ordered;           /* they were named in the order of the classes */
  const char *first_word; /* where the first that is no number stands */
} NewWords;

typedef struct {
  Arena *arena;
  const dlc_model *model; /* whose tensors are wanted */
  bool targets;           /* these too */
  const char *files;      /* as the user named them, for messages */
  Words *words;           /* which are known; new ones are added once everything is read */
  NewWords *fresh;        /* one a tensor */
  VEC(RawArray) list;
  VEC(const char *) passed; /* names of arrays in files that no tensor has */
} RawSet;

/* What stands between the commas of --data. */
typedef struct {
  VEC(const char *) files;
  VEC(const char *) given; /* names of the options */
  const char *label;       /* label=NAME: the CSV column */
  const char *part;        /* part=train|valid|test; NULL: train, where the data is divided */
  int64_t split[3];        /* split=A:B:C samples (rows of a series); 0: not given */
  int64_t fold, folds;     /* fold=K/N */
  int64_t limit;           /* limit=N samples */
  int64_t window, horizon; /* of a series */
} DataSpec;

bool raw_spec_parse(Arena *a, const char *text, DataSpec *out, Fault *f);
/* The part that part= says, *begin to *end, of `count` samples or rows which `split` divides. False
 * when they are too few. */
bool raw_part(const DataSpec *s, const int64_t split[3], int64_t count, int64_t *begin,
              int64_t *end);

/* Adds an array with room for its elements; checks the count against `available` bytes of source
 * each taking `source_size`. NULL after a fault. */
RawArray *raw_add(RawSet *s, const char *name, const char *where, RawElem elem, int rank,
                  const int64_t *dim, Fault *f);
/* The model's input or target of this name, or NULL. */
const char *raw_tensor_name(const dlc_model *m, const char *name);
/* "; its other arrays: x, y", or nothing: the end of a message. */
const char *raw_passed(const RawSet *s);
/* Joins arrays of one name, or one kind: the samples of several files, in their order. */
bool raw_join(RawSet *s, Fault *f);
/* Where sample i stands: FILE:LINE, or FILE: sample N, counted from 1. */
const char *raw_place(Arena *a, const RawArray *r, int64_t i);
/* New labels become classes: numbers as they are, words in their order. */
bool raw_settle_words(RawSet *s, Fault *f);
size_t raw_size(RawElem elem);
double raw_double(const RawArray *r, int64_t i);
/* Product of dimensions; false when it passes `most`. */
bool raw_count(int rank, const int64_t *dim, int64_t most, int64_t *out);

/* How numbers lie in a file. */
typedef struct {
  char kind; /* 'u', 'i' or 'f' */
  int size;  /* 1, 2, 4 or 8; 'f' 2 too */
  bool big_endian;
} Scalar;
RawElem raw_elem_for(Scalar s);
/* r's elements from b, which must hold them all. */
bool raw_fill(RawArray *r, Scalar s, Bytes *b, Fault *f);

bool read_idx(RawSet *s, const char *path, Bytes b, Fault *f);
bool read_cifar(RawSet *s, const char *path, Bytes b, Fault *f);
extern const char raw_png[]; /* the kind: a file is one sample */
bool read_png(RawSet *s, const char *path, Bytes b, Fault *f);
bool read_npy(RawSet *s, const char *path, const char *name, Bytes b, Fault *f);
bool read_npz(RawSet *s, const char *path, const char *part, Bytes b, Fault *f);
bool read_csv(RawSet *s, const char *path, const DataSpec *spec, Bytes b, Fault *f);
bool read_series(RawSet *s, const char *path, const DataSpec *spec, Bytes b, Fault *f);
bool read_tensors(RawSet *s, const char *path, Fault *f); /* safetensors */

#endif
