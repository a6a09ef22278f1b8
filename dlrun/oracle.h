/* The interpreter on a compiled network's own graph, parameters and samples. */
#ifndef DLC_DLRUN_ORACLE_H
#define DLC_DLRUN_ORACLE_H

#include "dlrun/tool.h"
#include "ir/interp.h"

typedef struct {
  Tool *tool;
  int64_t n;
  Graph *gradients, *forward; /* the loss with its gradients; without, to perturb */
  Interp *with, *without;
  const Node *loss;  /* of `forward` */
  Rounding rounding; /* to f32, of `with` */
} Oracle;

/* For a batch of n, in training mode or not, with masks of `seed` at step 0. */
bool oracle_new(Tool *t, int64_t n, bool training, uint64_t seed, Oracle *out);
/* Gives an interpreter of the model's graph the session's parameters and the n samples of the
 * batch; where it has no targets (NULL), they are 0. */
bool oracle_fill(Tool *t, Interp *p, int64_t n, const Batch *b);
/* Takes over the session's parameters and the batch, and runs. */
bool oracle_run(Oracle *o, const Batch *b);

/* The loss, an output, the gradient by a parameter or input; NULL when there is none. */
const Node *oracle_loss(const Oracle *o);
const Node *oracle_output(const Oracle *o, const char *name);
const Node *oracle_gradient(const Oracle *o, const char *name);
/* After a run: the value of one of them, and how far it moves when every value on the way is
 * rounded to f32. */
const Tensor *oracle_value(const Oracle *o, const Node *n);
double oracle_rounding(Oracle *o, const Node *n);

/* (L(x + h) - L(x - h)) / 2h by element i of the leaf. */
bool oracle_difference(Oracle *o, const char *leaf, int64_t i, double h, double *out);

#endif
