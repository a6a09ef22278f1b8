/* Samples in the types and shapes of a network's inputs and targets, read from whatever --data
 * names: IDX pairs, PNG, CIFAR-10 binary, CSV, windows of a CSV series, npy, npz, safetensors. */
#ifndef DLC_DLRUN_DATASET_H
#define DLC_DLRUN_DATASET_H

#include "base/arena.h"
#include "dlrun/data/words.h"
#include "dlrun/fault.h"
#include "runtime/dlc.h"

typedef struct {
  int64_t n;
  int32_t inputs, tensors; /* tensors: inputs, then targets; without targets tensors = inputs */
  const char **data;       /* of each tensor; samples one after the other */
  size_t *bytes;           /* of one sample of each */
  const int64_t *row;      /* sample i is row[i] of the data; NULL: i itself */
  const char *const *name; /* of each sample of the data: its file; NULL where files hold many */
} Dataset;

/* The batch: one buffer a tensor, in the model's order. */
typedef struct {
  char **data;
  const void **inputs, **targets;
} Batch;

/* `spec` as the user wrote it. With `targets`, data without them is a fault. Labels that are words
 * are looked up in `words`; where it has none for the tensor, those of the data become its classes,
 * and are added. */
bool dataset_open(Arena *a, const char *spec, bool targets, Words *words, Dataset *out, Fault *f);
/* The files that the spec names. */
bool dataset_files(Arena *a, const char *spec, const char *const **file, int *count, Fault *f);
Batch dataset_batch(Arena *a, const Dataset *d, int64_t most);
/* Samples order[first], ..., order[first + n - 1] (order NULL: the identity) into the batch. */
void dataset_gather(const Dataset *d, const int64_t *order, int64_t first, int64_t n, Batch *b);

#endif
