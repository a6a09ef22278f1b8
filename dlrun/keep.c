#include "dlrun/keep.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/diag.h"
#include "dlrun/classes.h"
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

bool keep_last(const Keep *k) {
  Tool *t = k->tool;
  if (!k->save) return true;
  return tool_ok(t, t->api->save(t->session, k->save)) &&
         tool_ok(t, t->api->save_checkpoint(t->session, keep_name(t->arena, k->save, "resume")));
}

static bool is_better(const Keep *k, double value, double loss) {
  if (isnan(value)) return false;
  if (!k->any) return true;
  if (value == k->value) return loss < k->loss;
  return k->metric >= 0 && grows(k->tool->model->metrics[k->metric]) ? value > k->value
                                                                     : value < k->value;
}

bool keep_best(Keep *k, double loss, const double *metrics, bool *better) {
  Tool *t = k->tool;
  double value = k->metric < 0 ? loss : metrics[k->metric];
  *better = is_better(k, value, loss);
  if (!*better) return true;
  k->any = true;
  k->value = value;
  k->loss = loss;
  return !k->save || tool_ok(t, t->api->save(t->session, keep_name(t->arena, k->save, "best")));
}

/* The seed of a checkpoint, for shuffling; false when the file is none. */
static bool checkpoint_seed(const char *path, uint64_t *seed) {
  StFile f;
  if (st_open(&f, path) != DLC_OK) return false;
  const char *kind = st_meta(&f, "dlc"), *text = st_meta(&f, "seed");
  bool fine = kind && text;
  if (fine) *seed = strtoull(text, NULL, 10);
  st_close(&f);
  return fine;
}

bool keep_resume(Tool *t, const char *given, uint64_t *seed) {
  const char *path = given;
  if (!checkpoint_seed(path, seed)) {
    path = keep_name(t->arena, given, "resume");
    if (!checkpoint_seed(path, seed))
      return fault(&t->fault, "%s: not a checkpoint, and there is no %s beside it", given, path);
  }
  return tool_load(t, path);
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
