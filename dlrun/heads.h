/* Outputs that score classes. The graph inside the network tells: softmax is probabilities, what
 * cross_entropy takes is logits. A network without its graph is judged by names and sizes. */
#ifndef DLC_DLRUN_HEADS_H
#define DLC_DLRUN_HEADS_H

#include "base/arena.h"
#include "runtime/dlc.h"

typedef enum {
  HEAD_PLAIN, /* no classes */
  HEAD_PROBABILITIES,
  HEAD_LOGITS,
  HEAD_GUESS /* logits if a number of it lies outside [0, 1], else probabilities */
} HeadKind;

typedef struct {
  HeadKind kind;
  int32_t target; /* whose classes they are; -1: not known */
} Head;

/* One an output. Where probabilities and their logits are both outputs, the logits are plain. */
const Head *heads_find(Arena *a, const dlc_model *m);

#endif
