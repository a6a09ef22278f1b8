/* The readers of data files: what they make of the bytes is bound to a network's tensors, cut into
 * parts and gathered into a batch. The network and the options of --data follow from the length. */
#include <string.h>

#include "dlrun/data/bind.h"
#include "targets.h"

static const dlc_tensor image = {
    .name = "image", .elem = DLC_U8, .rank = 3, .dim = {1, 2, 3}, .elements = 6};
static const dlc_tensor picture = {
    .name = "picture", .elem = DLC_U8, .rank = 3, .dim = {3, 32, 32}, .elements = 3072};
static const dlc_tensor x = {.name = "x", .elem = DLC_F32, .rank = 1, .dim = {3}, .elements = 3};
static const dlc_tensor words = {
    .name = "words", .elem = DLC_I32, .classes = 7, .rank = 1, .dim = {2}, .elements = 2};
static const dlc_tensor label = {.name = "label", .elem = DLC_I32, .classes = 4, .elements = 1};
static const dlc_tensor y = {.name = "y", .elem = DLC_F64, .rank = 1, .dim = {1}, .elements = 1};

static const dlc_model models[] = {
    {.name = "a",
     .real_bytes = 4,
     .input_count = 1,
     .target_count = 1,
     .inputs = &image,
     .targets = &label},
    {.name = "b",
     .real_bytes = 8,
     .input_count = 1,
     .target_count = 1,
     .inputs = &x,
     .targets = &y},
    {.name = "c",
     .real_bytes = 4,
     .input_count = 1,
     .target_count = 1,
     .inputs = &picture,
     .targets = &label},
    {.name = "d", .real_bytes = 4, .input_count = 1, .inputs = &words},
};
static const DataSpec specs[] = {
    {.limit = 0},
    {.part = "test", .split = {1, 1, 1}},
    {.part = "train", .fold = 1, .folds = 2},
    {.limit = 1},
    {.label = "class"},
};
static const DataSpec windows = {.window = 3, .horizon = 1};

enum { MODELS = sizeof models / sizeof *models, SPECS = sizeof specs / sizeof *specs, MOST = 4 };

typedef bool Read(RawSet *s, const DataSpec *spec, Bytes b, Fault *f);

static bool npy(RawSet *s, const DataSpec *spec, Bytes b, Fault *f) {
  return (void)spec, read_npy(s, "fuzz", NULL, b, f);
}
static bool npz(RawSet *s, const DataSpec *spec, Bytes b, Fault *f) {
  return read_npz(s, "fuzz", spec->part, b, f);
}
static bool idx(RawSet *s, const DataSpec *spec, Bytes b, Fault *f) {
  return (void)spec, read_idx(s, "fuzz", b, f);
}
static bool cifar(RawSet *s, const DataSpec *spec, Bytes b, Fault *f) {
  return (void)spec, read_cifar(s, "fuzz", b, f);
}
static bool png(RawSet *s, const DataSpec *spec, Bytes b, Fault *f) {
  return (void)spec, read_png(s, "fuzz", b, f);
}
static bool csv(RawSet *s, const DataSpec *spec, Bytes b, Fault *f) {
  return read_csv(s, "fuzz", spec, b, f);
}
static bool series(RawSet *s, const DataSpec *spec, Bytes b, Fault *f) {
  return (void)spec, read_series(s, "fuzz", &windows, b, f);
}

static void gather(Arena *a, const Dataset *d) {
  int64_t n = d->n < MOST ? d->n : MOST;
  Batch b = dataset_batch(a, d, n);
  dataset_gather(d, NULL, d->n - n, n, &b);
}

static RawSet new_set(const dlc_model *m, bool targets) {
  Arena *a = arena_new();
  RawSet s = {.arena = a, .model = m, .targets = targets, .words = ARENA_NEW(a, Words)};
  *s.words = words_new(a, m);
  s.fresh = ARENA_ARRAY(a, NewWords, m->input_count + m->target_count + 1);
  return s;
}

static int run(Read *read, const uint8_t *data, size_t size) {
  RawSet s = new_set(&models[size % MODELS], size / MODELS / SPECS & 1);
  const DataSpec *spec = &specs[size / MODELS % SPECS];
  Dataset d = {0};
  Fault f = {.text = ""};
  bool fine = read(&s, spec, (Bytes){data, size}, &f) && raw_join(&s, &f) &&
              raw_settle_words(&s, &f) && bind_arrays(&s, s.targets, &d, &f) &&
              bind_rows(s.arena, spec, false, &d, &f);
  if (fine == !!f.text[0]) fuzz_broken(fine ? f.text : "refused without a reason");
  if (fine) gather(s.arena, &d);
  arena_free(s.arena);
  return 0;
}

#define TARGET(name) \
  int fuzz_##name(const uint8_t *data, size_t size) { return run(name, data, size); }
TARGET(npy)
TARGET(npz)
TARGET(idx)
TARGET(cifar)
TARGET(png)
TARGET(csv)
TARGET(series)
