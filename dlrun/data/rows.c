/* Which samples: part= with split= cuts the data in order, part= with fold=K/N takes all but the
 * K-th fold of a fixed shuffle (train) or that fold (test), limit= keeps the first ones. */
#include <string.h>

#include "dlrun/data/bind.h"
#include "dlrun/random.h"

static void keep_range(Arena *a, Dataset *d, int64_t begin, int64_t end) {
  int64_t *row = ARENA_ARRAY(a, int64_t, end - begin + 1);
  for (int64_t i = begin; i < end; i++) row[i - begin] = d->row ? d->row[i] : i;
  d->row = row;
  d->n = end - begin;
}

static void keep_fold(Arena *a, const DataSpec *s, Dataset *d) {
  int64_t *order = ARENA_ARRAY(a, int64_t, d->n), *row = ARENA_ARRAY(a, int64_t, d->n), count = 0;
  random_permutation(0, RANDOM_FOLD, 0, d->n, order);
  bool test = s->part && strcmp(s->part, "test") == 0;
  for (int64_t i = 0; i < d->n; i++)
    if ((i % s->folds == s->fold - 1) == test) row[count++] = order[i];
  d->row = row;
  d->n = count;
}

static bool keep_part(Arena *a, const DataSpec *s, Dataset *d, Fault *f) {
  int64_t first = s->split[0], second = s->split[1], third = s->split[2];
  if (!first) return fault(f, "part=%s needs split=TRAIN:VALID:TEST or fold=K/N", s->part);
  if (first > d->n || second > d->n - first || third > d->n - first - second)
    return fault(f, "%lld samples, fewer than split= adds up to", (long long)d->n);
  if (strcmp(s->part, "train") == 0) keep_range(a, d, 0, first);
  /* split=A:B is train and test */
  else if (!third || strcmp(s->part, "valid") == 0)
    keep_range(a, d, first, first + second);
  else
    keep_range(a, d, first + second, first + second + third);
  return true;
}

bool bind_rows(Arena *a, const DataSpec *s, bool whole, Dataset *d, Fault *f) {
  if (s->folds)
    keep_fold(a, s, d);
  else if (s->part && !whole && !keep_part(a, s, d, f))
    return false;
  if (s->limit && s->limit < d->n) keep_range(a, d, 0, s->limit);
  return d->n > 0 ? true : fault(f, "no sample is left");
}
