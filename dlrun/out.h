/* Tensors out, as safetensors or CSV. */
#ifndef DLC_DLRUN_OUT_H
#define DLC_DLRUN_OUT_H

#include <stdio.h>

#include "base/vec.h"
#include "dlrun/tool.h"
#include "runtime/safetensors.h"

/* A tensor and where its bytes are. */
typedef struct {
  StTensor tensor;
  const void *data;
  bool shared; /* one for all samples */
} OutTensor;

typedef struct {
  VEC(OutTensor) list;
} OutSet;

/* `real_bytes` wide; rank counts the samples' dimension where there is one. */
void out_add(Arena *a, OutSet *o, const char *name, int real_bytes, int rank, const int64_t *dim,
             const void *data);
/* The same, of a tensor that all samples share. */
void out_add_shared(Arena *a, OutSet *o, const char *name, int real_bytes, int rank,
                    const int64_t *dim, const void *data);
/* One row a sample, the columns of all tensors side by side; shared ones stand in every row. */
void out_csv_print(FILE *f, const OutSet *o, int64_t n);
/* Before the work: -o names a file that can be written, .safetensors or, with `csv`, .csv. */
bool out_check(Tool *t, const char *path, bool csv);
bool out_file(Tool *t, const OutSet *o, int64_t n, const char *path);

#endif
