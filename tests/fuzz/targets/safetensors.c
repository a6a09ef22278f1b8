/* A safetensors file: each tensor's elements in every way that its type allows, and the ends of the
 * data. */
#include <stdlib.h>

#include "runtime/dlc.h"
#include "runtime/safetensors.h"
#include "targets.h"

static void read_tensor(StFile *f, const StTensor *t) {
  size_t bytes = t->end - t->begin;
  void *room = malloc((size_t)t->elements * 8 + 1);
  if (!room) fuzz_broken("a tensor larger than its file");
  int real = st_read_doubles(f, t, 0, t->elements, room);
  int whole = st_read_integers(f, t, 0, t->elements, room);
  if ((real == DLC_OK) != (st_is_float(t->type) || st_is_integer(t->type))) fuzz_broken("doubles");
  if ((whole == DLC_OK) != st_is_integer(t->type)) fuzz_broken("integers");
  if (st_read_integers(f, t, t->elements, 1, room) == DLC_OK)
    fuzz_broken("an element behind the last");
  if (st_read_bytes(f, t->begin, room, bytes) != DLC_OK) fuzz_broken("bytes");
  if (st_find(f, t->name) != t) fuzz_broken("a tensor is not found by its name");
  free(room);
}

int fuzz_safetensors(const uint8_t *data, size_t size) {
  StFile f;
  if (st_open(&f, fuzz_file(data, size)) != DLC_OK) {
    if (!f.error[0]) fuzz_broken("no error text");
    return 0;
  }
  for (int64_t i = 0; i < f.count; i++) read_tensor(&f, &f.tensor[i]);
  for (int64_t i = 0; i < f.meta_count; i++)
    if (!st_meta(&f, f.meta[i].key)) fuzz_broken("metadata is not found by its key");
  st_close(&f);
  return 0;
}
