/* The rows of train.def. */
#include "ir/op.h"

#include <stdio.h>
#include <stdlib.h>
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
