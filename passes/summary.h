/* The table of a network's layers: shape and parameters of each, and the totals, which are those of
 * the rows. */
#ifndef DLC_PASSES_SUMMARY_H
#define DLC_PASSES_SUMMARY_H

#include "ir/ir.h"

typedef struct {
  const Node *node;          /* a layer, a function, or a parameter that no op takes */
  const char *name;          /* or "" */
  int64_t trainable, frozen; /* elements of its parameters; shared ones count where first used */
} SummaryRow;

typedef struct {
  VEC(SummaryRow) rows;
  int64_t trainable, frozen;
} Summary;

/* What an output needs, and whatever has parameters. Arithmetic between layers is no row. */
Summary summary_of(const Graph *source, Arena *a);
void summary_print(const Graph *source, Str *out);

#endif
