#include "dlrun/keep.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/diag.h"
#include "dlrun/classes.h"
#include "dlrun/interrupt.h"
#include "runtime/safetensors.h"

static const char suffix[] = ".safetensors";

/* Length of the path without its suffix. */
static size_t stem_length(const char *path) {
  size_t n = strlen(path), s = sizeof suffix - 1;
  return n > s && strcmp(path + n - s, suffix) == 0 ? n - s : n;
}

const char *keep_name(Arena *a, const char *path, const char *kind) {
  size_t n = stem_length(path);
  return arena_printf(a, "%.*s.%s%s", (int)n, path, kind, path + n);
}

static bool grows(const char *metric) {
  static const char *const names[] = {"accuracy", "top_k", "auc"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (metric_is(metric, names[i])) return true;
  return false;
}

static bool find_metric(Keep *k, const char *name) {
  const dlc_model *m = k->tool->model;
  const char **names = ARENA_ARRAY(k->tool->arena, const char *, m->metric_count + 1);
  for (int i = 0; i < m->metric_count; i++) {
    names[i] = m->metrics[i];
    if (strcmp(names[i], name) == 0) return k->metric = i, true;
  }
  names[m->metric_count] = "loss";
  if (strcmp(name, "loss") == 0) return true;
  const char *near = near_name(name, names, m->metric_count + 1);
  return fault(&k->tool->fault, "--best %s: %s has no such metric%s%s%s", name, m->name,
               near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

bool keep_new(Tool *t, const char *save, const char *best, Keep *k) {
  *k = (Keep){.tool = t, .save = save, .metric = -1};
  if (best) return find_metric(k, best);
  for (int i = 0; i < t->model->metric_count && k->metric < 0; i++)
    if (grows(t->model->metrics[i])) k->metric = i;
  return true;
}

enum { NUMBERS = 4 };
static const char *const number_key[NUMBERS] = {"train.lr", "train.batch", "train.epochs",
                                                "train.samples"};

void keep_describe(Keep *k, const Words *words, const Resume *r) {
  Arena *a = k->tool->arena;
  const char *const *own = words_metadata(words, &k->weights_pairs);
  const char **all = ARENA_ARRAY(a, const char *, 2 * (k->weights_pairs + NUMBERS));
  const char *value[NUMBERS] = {arena_printf(a, "%a", r->lr),
                                arena_printf(a, "%lld", (long long)r->batch),
                                arena_printf(a, "%lld", (long long)r->epochs),
                                arena_printf(a, "%lld", (long long)r->samples)};
  for (int i = 0; i < 2 * k->weights_pairs; i++) all[i] = own[i];
  for (int i = 0; i < NUMBERS; i++) {
    all[2 * (k->weights_pairs + i)] = number_key[i];
    all[2 * (k->weights_pairs + i) + 1] = value[i];
  }
  k->pairs = all;
  k->all_pairs = k->weights_pairs + NUMBERS;
}

static bool save_as(const Keep *k, bool checkpoint, const char *path) {
  Tool *t = k->tool;
  int32_t pairs = checkpoint ? k->all_pairs : k->weights_pairs;
  if (!tool_ok(t, t->api->set_metadata(t->session, k->pairs, pairs))) return false;
  interrupt_hold();
  bool fine = tool_ok(t, (checkpoint ? t->api->save_checkpoint : t->api->save)(t->session, path));
  interrupt_release();
  return fine;
}

bool keep_last(const Keep *k) {
  return !k->save || (save_as(k, false, k->save) &&
                      save_as(k, true, keep_name(k->tool->arena, k->save, "resume")));
}

static bool is_better(const Keep *k, double value, double loss) {
  if (isnan(value)) return false;
  if (!k->any) return true;
  if (value == k->value) return loss < k->loss;
  return k->metric >= 0 && grows(k->tool->model->metrics[k->metric]) ? value > k->value
                                                                     : value < k->value;
}

bool keep_best(Keep *k, double loss, const double *metrics, bool *better) {
  double value = k->metric < 0 ? loss : metrics[k->metric];
  *better = is_better(k, value, loss);
  if (!*better) return true;
  k->any = true;
  k->value = value;
  k->loss = loss;
  return !k->save || save_as(k, false, keep_name(k->tool->arena, k->save, "best"));
}

static int64_t whole(const StFile *f, const char *key) {
  const char *text = st_meta(f, key);
  char *end;
  if (!text || *text < '0' || *text > '9' || strlen(text) > 18) return 0;
  int64_t v = strtoll(text, &end, 10);
  return *end ? 0 : v;
}

static double real(const StFile *f, const char *key) {
  const char *text = st_meta(f, key);
  char *end;
  double v = text ? strtod(text, &end) : -1;
  return text && end != text && !*end && v >= 0 && v < 1e30 ? v : -1;
}

/* False when the file is no checkpoint; *why tells when it cannot be read. */
static bool read_position(Arena *a, const char *path, Resume *out, const char **why) {
  StFile f;
  *why = NULL;
  if (st_open(&f, path) != DLC_OK) return *why = arena_strdup(a, f.error), false;
  const char *seed = st_meta(&f, "seed");
  bool fine = st_meta(&f, "dlc") && seed;
  if (fine)
    *out = (Resume){.path = path,
                    .seed = strtoull(seed, NULL, 10),
                    .step = whole(&f, "step"),
                    .lr = real(&f, number_key[0]),
                    .batch = whole(&f, number_key[1]),
                    .epochs = whole(&f, number_key[2]),
                    .samples = whole(&f, number_key[3])};
  st_close(&f);
  return fine;
}

bool keep_find(Tool *t, const char *given, Resume *out) {
  const char *why, *beside = keep_name(t->arena, given, "resume");
  if (read_position(t->arena, given, out, &why)) return true;
  if (read_position(t->arena, beside, out, &why)) return true;
  if (why && access(beside, F_OK) == 0) return fault(&t->fault, "%s", why);
  return fault(&t->fault, "%s: not a checkpoint, and there is no %s beside it", given, beside);
}

/* The name that --save had: w.safetensors from w.resume.safetensors. */
static const char *saved_name(Arena *a, const char *path) {
  static const char resume[] = ".resume";
  size_t n = stem_length(path), r = sizeof resume - 1;
  if (n <= r || memcmp(path + n - r, resume, r) != 0) return path;
  return arena_printf(a, "%.*s%s", (int)(n - r), path, path + n);
}

bool keep_load_best(Tool *t, const char *path, bool *found) {
  const char *best = keep_name(t->arena, saved_name(t->arena, path), "best");
  *found = access(best, F_OK) == 0;
  return !*found || tool_load(t, best);
}
