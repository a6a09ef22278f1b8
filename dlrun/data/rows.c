/* Which samples: split= divides the data in order; fold=K/N divides a fixed shuffle of them into
 * the K-th fold (test) and all others (train). part= chooses, train where it is not said. limit=
 * keeps the first ones. */
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
  int64_t begin, end;
  if (!s->split[0]) return fault(f, "part=%s needs split=TRAIN:VALID:TEST or fold=K/N", s->part);
  if (!raw_part(s, s->split, d->n, &begin, &end))
    return fault(f, "%lld samples, fewer than split= adds up to", (long long)d->n);
  keep_range(a, d, begin, end);
  return true;
}

bool bind_rows(Arena *a, const DataSpec *s, bool whole, Dataset *d, Fault *f) {
  if (s->folds)
    keep_fold(a, s, d);
  else if ((s->part || s->split[0]) && !whole && !keep_part(a, s, d, f))
    return false;
  if (s->limit && s->limit < d->n) keep_range(a, d, 0, s->limit);
  return d->n > 0 ? true : fault(f, "no sample is left");
}
