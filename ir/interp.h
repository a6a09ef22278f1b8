/* The reference interpreter: evaluates a graph in double, one op after the other, and shares
 * nothing with the code generator. COMPOSITE, FORMULA and LAYER nodes are evaluated by their
 * expansions. After a run the value of every node of the graph can be read. Tensors are row-major
 * in logical order, whatever layout has set. */
#ifndef DLC_IR_INTERP_H
#define DLC_IR_INTERP_H

#include "ir/op.h"

typedef struct Interp Interp;

/* For a batch of n. `training` chooses the expansions of layers and random ops that are still in
 * the graph. NULL and an error for what cannot be evaluated: grad() not yet resolved, or more than
 * LIMIT_INTERP elements. e->arena must be set. The interpreter keeps g, which must not change. */
Interp *interp_new(Arena *a, const Graph *g, int64_t n, bool training, OpError *e);

/* Of the random masks; 0, 0 at first. */
void interp_random(Interp *p, uint64_t seed, uint64_t step);

/* The storage of an input, target, param or buffer of g, to be filled by the caller (it counts as
 * bound from now on); *count may be NULL. By name, inputs and targets come first; NULL when there
 * is none. */
double *interp_leaf(Interp *p, const Node *leaf, int64_t *count);
double *interp_leaf_named(Interp *p, const char *name, int64_t *count);
/* Copies; false when there is no such leaf or count is not its size. */
bool interp_bind(Interp *p, const char *name, const double *data, int64_t count);
/* "lr", "bias_correction1", "bias_correction2": every hyper leaf of that name. */
void interp_hyper(Interp *p, const char *name, double value);

/* Fills every leaf that is not bound: labels and indices within range, u8 0..255, buffers positive,
 * params small enough that deep networks stay finite. The same seed gives the same data by the
 * leaf's name, in any graph. */
void interp_randomize(Interp *p, uint64_t seed);

/* Evaluates all nodes. False and an error when a leaf is not bound, or a label is out of its
 * classes. */
bool interp_run(Interp *p, OpError *e);

/* Of a node of g, after a run (of a leaf, also before). */
const Tensor *interp_value(const Interp *p, const Node *n);

/* ---- how far rounding alone can move a result ---- */

/* Compiled code in the same precision may be as many times as far off: a sum inside one op rounds
 * at every term there, here only at its end. */
enum { ROUNDING_ROOM = 16 };

/* Of a run: the same graph and leaves, run again `runs` times with every value rounded to `bits`
 * bits (24: f32, also in range), up or down by chance, and in every other run moved by up to
 * ROUNDING_ROOM units. That is done when it is first asked for, in the memory of one more
 * interpreter. */
typedef struct {
  const Interp *exact;
  Arena *arena;
  int bits, runs;
  double **spread; /* of the graph's results */
} Rounding;

/* By element of a result's node: infinite where only one of a value and its exact one was finite;
 * else the farthest that an element of the node came from its exact value, NaN from NaN being 0;
 * of a run with room, the part 1 / ROUNDING_ROOM of it. */
const double *rounding_spread(Rounding *r, const Node *n);

#endif
