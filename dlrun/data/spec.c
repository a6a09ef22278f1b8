/* The argument of --data and --inputs: files and options between commas,
 *   images.gz,labels.gz   iris.csv,fold=1/5,part=test   ETTh1.csv,window=96,horizon=96
 * set.npz:train */
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "dlrun/data/limits.h"
#include "dlrun/data/raw.h"

enum { DIGITS = 18 }; /* fit an int64_t */

/* A whole non-negative number; *end is where it stops. */
static bool number(const char *text, int64_t *out, const char **end) {
  size_t digits = strspn(text, "0123456789");
  if (!digits || digits > DIGITS) return false;
  *out = strtoll(text, NULL, 10);
  *end = text + digits;
  return true;
}

static bool one_number(const char *text, int64_t *out) {
  const char *end;
  return number(text, out, &end) && !*end && *out > 0;
}

static bool split_numbers(const char *text, int64_t out[3]) {
  const char *end = text;
  int n = 0;
  while (n < 3 && number(end, &out[n], &end)) {
    n++;
    if (*end != ':') return !*end && n >= 2 && out[0] > 0;
    end++;
  }
  return false;
}

static bool set_fold(DataSpec *s, const char *text) {
  const char *end;
  return number(text, &s->fold, &end) && *end == '/' && one_number(end + 1, &s->folds) &&
         s->fold >= 1 && s->fold <= s->folds && s->folds >= 2;
}

static bool set_window(DataSpec *s, const char *v) { return one_number(v, &s->window); }
static bool set_horizon(DataSpec *s, const char *v) { return one_number(v, &s->horizon); }
static bool set_limit(DataSpec *s, const char *v) { return one_number(v, &s->limit); }
static bool set_split(DataSpec *s, const char *v) { return split_numbers(v, s->split); }
static bool set_label(DataSpec *s, const char *v) { return *(s->label = v) != 0; }

static const char *const parts[] = {"train", "valid", "test"};
enum { PARTS = sizeof parts / sizeof *parts };

static bool set_part(DataSpec *s, const char *v) {
  for (int i = 0; i < PARTS; i++)
    if (strcmp(v, parts[i]) == 0) return s->part = v, true;
  return false;
}

static const struct {
  const char *name;
  bool (*set)(DataSpec *s, const char *value);
  const char *wants;
} options[] = {
    {"window", set_window, "a number of rows from 1"},
    {"horizon", set_horizon, "a number of rows from 1"},
    {"part", set_part, "train, valid or test"},
    {"split", set_split, "TRAIN:VALID:TEST or TRAIN:TEST, numbers of samples, TRAIN from 1"},
    {"fold", set_fold, "K/N, the K-th of N folds: N from 2, K from 1 to N"},
    {"limit", set_limit, "a number of samples from 1"},
    {"label", set_label, "the name of a column"},
};
enum { OPTIONS = sizeof options / sizeof *options };

static bool unknown_option(const char *item, const char *key, Fault *f) {
  const char *names[OPTIONS];
  for (int i = 0; i < OPTIONS; i++) names[i] = options[i].name;
  const char *near = near_name(key, names, OPTIONS);
  if (near) return fault(f, "%s: no such option; did you mean %s=?", item, near);
  return fault(f, "%s: no such option; there are window, horizon, part, split, fold, limit, label",
               item);
}

static bool option(Arena *a, DataSpec *s, const char *item, const char *value, Fault *f) {
  const char *key = arena_strndup(a, item, (size_t)(value - item - 1));
  int i = 0;
  while (i < OPTIONS && strcmp(options[i].name, key) != 0) i++;
  if (i == OPTIONS) return unknown_option(item, key, f);
  for (int k = 0; k < s->given.count; k++)
    if (s->given.at[k] == options[i].name) return fault(f, "%s: %s= is there twice", item, key);
  vec_push(a, &s->given, options[i].name);
  if (options[i].set(s, value)) return true;
  const char *near = options[i].set == set_part ? near_name(value, parts, PARTS) : NULL;
  return fault(f, "%s: %s= wants %s%s%s%s", item, key, options[i].wants,
               near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

static bool add_item(Arena *a, DataSpec *s, const char *item, Fault *f) {
  const char *equals = strchr(item, '=');
  if (!*item) return fault(f, "an empty name between the commas");
  const char *slash = strchr(item, '/');
  if (equals && (!slash || equals < slash)) return option(a, s, item, equals + 1, f);
  if (s->files.count == LIMIT_DATA_FILES) return fault(f, "more than %d files", LIMIT_DATA_FILES);
  vec_push(a, &s->files, item);
  return true;
}

bool raw_spec_parse(Arena *a, const char *text, DataSpec *out, Fault *f) {
  memset(out, 0, sizeof *out);
  for (const char *at = text;;) {
    size_t n = strcspn(at, ",");
    if (!add_item(a, out, arena_strndup(a, at, n), f)) return false;
    if (!at[n]) break;
    at += n + 1;
  }
  if (!out->files.count) return fault(f, "%s: no file is named", text);
  if (!out->window != !out->horizon) return fault(f, "window and horizon go together");
  if (out->folds && out->part && strcmp(out->part, "valid") == 0)
    return fault(f, "a fold has no part=valid");
  if (out->folds && out->split[0]) return fault(f, "fold and split exclude each other");
  if (out->folds && out->window)
    return fault(f, "fold and window exclude each other: the parts of a series follow each other");
  if (out->label && out->window)
    return fault(f, "label=%s: the windows of a series have no label", out->label);
  return true;
}

/* split=A:B is train and test. */
bool raw_part(const DataSpec *s, const int64_t split[3], int64_t count, int64_t *begin,
              int64_t *end) {
  int64_t train = split[0], valid = split[1], test = split[2];
  if (train > count || valid > count - train || test > count - train - valid) return false;
  if (!s->part || strcmp(s->part, "train") == 0)
    *begin = 0, *end = train;
  else if (!test || strcmp(s->part, "valid") == 0)
    *begin = train, *end = train + valid;
  else
    *begin = train + valid, *end = train + valid + test;
  return true;
}
