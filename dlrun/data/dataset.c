/* Finds the reader for each file, by suffix and then by content. */
#include "dlrun/data/dataset.h"

#include <stdlib.h>
#include <string.h>

#include "dlrun/data/bind.h"

static bool has_suffix(const char *path, size_t length, const char *suffix) {
  size_t n = strlen(suffix);
  return length >= n && memcmp(path + length - n, suffix, n) == 0;
}

/* FILE.npz:part */
static const char *npz_part(Arena *a, const char **path) {
  const char *colon = strrchr(*path, ':');
  if (!colon || strchr(colon, '/') || !has_suffix(*path, (size_t)(colon - *path), ".npz"))
    return NULL;
  *path = arena_strndup(a, *path, (size_t)(colon - *path));
  return colon + 1;
}

static bool read_text(RawSet *s, const char *path, const DataSpec *spec, Bytes b, Fault *f) {
  return spec->window ? read_series(s, path, spec, b, f) : read_csv(s, path, spec, b, f);
}

static size_t length_unpacked(const char *path) {
  size_t n = strlen(path);
  return has_suffix(path, n, ".gz") ? n - 3 : n;
}

static bool is_text(const char *path) {
  size_t n = length_unpacked(path);
  return has_suffix(path, n, ".csv") || has_suffix(path, n, ".txt");
}

static bool read_loaded(RawSet *s, const char *path, const char *part, const DataSpec *spec,
                        Bytes b, Fault *f) {
  if (is_text(path)) return read_text(s, path, spec, b, f);
  if (bytes_start_with(b, "\x93NUMPY", 6)) return read_npy(s, path, NULL, b, f);
  if (bytes_start_with(b, "\x89PNG", 4)) return read_png(s, path, b, f);
  if (bytes_start_with(b, "PK", 2)) return read_npz(s, path, part, b, f);
  if (has_suffix(path, length_unpacked(path), ".bin")) return read_cifar(s, path, b, f);
  if (bytes_start_with(b, "\0\0", 2)) return read_idx(s, path, b, f);
  return fault(f, "%s: neither CSV, IDX, PNG, CIFAR-10 binary, npy, npz nor safetensors", path);
}

static bool read_file(RawSet *s, const char *path, const DataSpec *spec, bool *cut, Fault *f) {
  Bytes b;
  void *owner;
  const char *part = npz_part(s->arena, &path);
  if ((spec->label || spec->window) && !is_text(path))
    return fault(f, "%s: %s= is for CSV files", path, spec->label ? "label" : "window");
  if (has_suffix(path, strlen(path), ".safetensors")) return read_tensors(s, path, f);
  if (!part && spec->part && has_suffix(path, strlen(path), ".npz") && !spec->split[0] &&
      !spec->folds) {
    part = strcmp(spec->part, "valid") == 0 ? "val" : spec->part;
    *cut = true;
  }
  *cut |= spec->window != 0;
  if (!bytes_load(path, &b, &owner, f)) return false;
  bool fine = read_loaded(s, path, part, spec, b, f);
  free(owner);
  return fine;
}

bool dataset_files(Arena *a, const char *text, const char *const **file, int *count, Fault *f) {
  DataSpec spec;
  if (!raw_spec_parse(a, text, &spec, f)) return false;
  for (int i = 0; i < spec.files.count; i++) npz_part(a, &spec.files.at[i]);
  *file = spec.files.at;
  *count = spec.files.count;
  return true;
}

bool dataset_open(Arena *a, const char *text, bool targets, Words *words, Dataset *out, Fault *f) {
  DataSpec spec;
  RawSet set = {
      .arena = a, .model = words->model, .targets = targets, .words = words, .files = text};
  set.fresh = ARENA_ARRAY(a, NewWords, words->model->input_count + words->model->target_count + 1);
  bool cut = false;
  memset(out, 0, sizeof *out);
  if (!raw_spec_parse(a, text, &spec, f)) return false;
  for (int i = 0; i < spec.files.count; i++)
    if (!read_file(&set, spec.files.at[i], &spec, &cut, f)) return false;
  if (!raw_join(&set, f) || !raw_settle_words(&set, f) || !bind_arrays(&set, targets, out, f))
    return false;
  const char *kind = set.list.count == 1 ? set.list.at[0].kind : NULL;
  if (kind && strcmp(kind, raw_png) == 0) out->name = spec.files.at;
  return bind_rows(a, &spec, cut, out, f);
}

Batch dataset_batch(Arena *a, const Dataset *d, int64_t most) {
  Batch b = {.data = ARENA_ARRAY(a, char *, d->tensors + 1)};
  b.inputs = ARENA_ARRAY(a, const void *, d->tensors + 1);
  b.targets = b.inputs + d->inputs;
  for (int32_t i = 0; i < d->tensors; i++)
    b.inputs[i] = b.data[i] = arena_alloc(a, (size_t)most, d->bytes[i]);
  return b;
}

void dataset_gather(const Dataset *d, const int64_t *order, int64_t first, int64_t n, Batch *b) {
  for (int64_t k = 0; k < n; k++) {
    int64_t i = order ? order[first + k] : first + k;
    if (d->row) i = d->row[i];
    for (int32_t t = 0; t < d->tensors; t++)
      memcpy(b->data[t] + (size_t)k * d->bytes[t], d->data[t] + (size_t)i * d->bytes[t],
             d->bytes[t]);
  }
}
