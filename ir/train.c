/* The rows of train.def, and what the numbers of a train block may be. */
#include "ir/op.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#define OPTIMIZER(n, s) {TRAIN_OPTIMIZER, #n, s},
#define SCHEDULE(n, s) {TRAIN_SCHEDULE, #n, s},
#define AUGMENT(n, s) {TRAIN_AUGMENT, #n, s},
const TrainRow train_rows[] = {
#include "ir/train.def"
};
#undef OPTIMIZER
#undef SCHEDULE
#undef AUGMENT

enum { TRAIN_ROWS = sizeof train_rows / sizeof *train_rows };
const int train_row_count = TRAIN_ROWS;

const Signature *train_signature(TrainKind kind, const char *name) {
  static Signature parsed[TRAIN_ROWS];
  static bool done[TRAIN_ROWS];
  static Arena *arena; /* for the life of the process */
  for (int i = 0; i < TRAIN_ROWS; i++) {
    if (train_rows[i].kind != kind || strcmp(train_rows[i].name, name) != 0) continue;
    if (!arena) arena = arena_new();
    if (!done[i]) signature_parse(arena, train_rows[i].signature, &parsed[i]);
    done[i] = true;
    return &parsed[i];
  }
  return NULL;
}

const Attr *train_attr(TrainKind kind, const TrainItem *item, const char *name) {
  const Signature *s = item->name ? train_signature(kind, item->name) : NULL;
  for (int i = 0; s && i < s->nattrs; i++)
    if (!strcmp(s->attr[i].name, name)) return &item->attr[i];
  return NULL;
}

/* ---- ranges ---- */

const TrainNumber train_number[TRAIN_NUMBERS] = {
    {"warmup", "warmup_steps", 0, INT32_MAX, offsetof(Train, warmup_steps)},
    {"batch", "batch", 1, LIMIT_BATCH, offsetof(Train, batch)},
    {"epochs", "epochs", 1, INT32_MAX, offsetof(Train, epochs)},
    {"seed", "seed", 0, INT64_MAX, offsetof(Train, seed)},
};

bool train_clips(double norm) { return norm > 0 && isfinite(norm); }

typedef struct {
  const char *attr;
  double high; /* the largest value */
  bool open;   /* the bounds themselves are not allowed */
} Bound;

/* Every other number of an item is at least 0. */
static const Bound bounds[] = {
    {"p", 1, false},         {"beta1", 1, true},      {"beta2", 1, true},     {"size", 1e300, true},
    {"period", 1e300, true}, {"epochs", 1e300, true}, {"degrees", 360, false}};

static bool in_bounds(const char *name, double x) {
  if (!isfinite(x)) return false;
  for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
    const Bound *b = &bounds[i];
    if (strcmp(b->attr, name) != 0) continue;
    bool beta = b->high == 1 && b->open; /* 0 is a decay like any other */
    return (b->open && !beta ? x > 0 : x >= 0) && (b->open ? x < b->high : x <= b->high);
  }
  return x >= 0;
}

static const char *number_text(Arena *a, const Attr *x) {
  return x->kind == ATTR_FLOAT ? arena_printf(a, "%g", x->f)
                               : arena_printf(a, "%lld", (long long)x->i);
}

const char *train_fault(Arena *a, TrainKind kind, const TrainItem *item, int *attr) {
  const Signature *s = train_signature(kind, item->name);
  for (*attr = 0; *attr < s->nattrs; ++*attr) {
    const Attr *x = &item->attr[*attr];
    const char *name = s->attr[*attr].name;
    if (in_bounds(name, x->kind == ATTR_FLOAT ? x->f : (double)x->i)) continue;
    return arena_printf(a, "%s of %s cannot be %s", name, item->name, number_text(a, x));
  }
  *attr = -1;
  const Attr *nesterov = train_attr(kind, item, "nesterov"),
             *momentum = train_attr(kind, item, "momentum");
  return nesterov && nesterov->i && !(momentum->f > 0) ? "nesterov needs momentum above 0" : NULL;
}
