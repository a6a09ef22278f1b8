/* The argument of --data and --inputs: files and options between commas,
 *   images.gz,labels.gz   iris.csv,fold=1/5,part=test   ETTh1.csv,window=96,horizon=96
 * set.npz:train */
#include <stdlib.h>
#include <string.h>

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
  do {
    if (n == 3 || !number(end, &out[n], &end)) return false;
    n++;
  } while (*end == ':' && *++end);
  return !*end && n >= 2 && out[0] > 0;
}

static bool fold_numbers(const char *text, DataSpec *s) {
  const char *end;
  return number(text, &s->fold, &end) && *end == '/' && one_number(end + 1, &s->folds) &&
         s->fold >= 1 && s->fold <= s->folds && s->folds >= 2;
}

static bool part_name(const char *text) {
  return strcmp(text, "train") == 0 || strcmp(text, "valid") == 0 || strcmp(text, "test") == 0;
}

static bool option(DataSpec *s, const char *item, const char *value, Fault *f) {
  size_t n = (size_t)(value - item - 1);
#define KEY(name) (n == strlen(name) && memcmp(item, name, n) == 0)
  bool fine;
  if (KEY("window"))
    fine = one_number(value, &s->window);
  else if (KEY("horizon"))
    fine = one_number(value, &s->horizon);
  else if (KEY("limit"))
    fine = one_number(value, &s->limit);
  else if (KEY("split"))
    fine = split_numbers(value, s->split);
  else if (KEY("fold"))
    fine = fold_numbers(value, s);
  else if (KEY("part"))
    fine = part_name(s->part = value);
  else if (KEY("label"))
    fine = *(s->label = value) != 0;
  else
    return fault(
        f, "%s: no such option; there are window, horizon, part, split, fold, limit and label",
        item);
#undef KEY
  return fine || fault(f, "%s: not a value of this option", item);
}

static bool add_item(Arena *a, DataSpec *s, const char *item, Fault *f) {
  const char *equals = strchr(item, '=');
  if (!*item) return fault(f, "an empty name between the commas");
  if (equals && !strchr(item, '/')) return option(s, item, equals + 1, f);
  if (equals && equals < strchr(item, '/')) return option(s, item, equals + 1, f);
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
  return true;
}
