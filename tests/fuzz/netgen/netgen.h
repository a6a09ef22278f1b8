/* netgen: random networks, compiled and compared with the interpreter.
 *
 *   draw.c      random numbers, attributes by the op's signature
 *   operands.c  operands of the shapes and domains that an op wants
 *   generate.c  a network: ops over a pool of values, loss, outputs, train block
 *   source.c    a graph as .net text, in varied notation
 *   check.c     the oracles
 *   derivative.c  gradients against differences
 *   child.c     a check in a process of its own, since compiled code may crash
 *   export.c    a network with its values, for an oracle outside
 *   reduce.c    a smaller network that fails in the same way
 *
 * A network is valid because every node was accepted by ir_try: an op that is added to ops.def is
 * drawn with attributes by their kinds and names, or with those of tests/ir/op_settings.h, and
 * needs nothing here. */
#ifndef DLC_TESTS_NETGEN_H
#define DLC_TESTS_NETGEN_H

#include "ir/op.h"

/* ---- draw.c ---- */

typedef struct {
  uint64_t state;
} Rng;

uint64_t rng_next(Rng *r);
int64_t rng_int(Rng *r, int64_t low, int64_t high); /* both included */
bool rng_chance(Rng *r, int percent);
double rng_decimal(Rng *r, double low, double high); /* two decimals */

/* An attribute of op for operand `in[0]`; the node need not be valid with it. */
Attr draw_attr(Rng *r, Arena *a, const SigAttr *s, int nin, Node *const *in);

/* ---- generate.c ---- */

typedef struct {
  Arena *arena;
  Graph *graph;
  Rng rng;
  bool language;    /* only what a .net file can say */
  VEC(Node *) pool; /* f32 values */
  int leaves, layers;
  int64_t most; /* elements of one value */
} Gen;

enum { NETGEN_BATCH = 5 };

/* The same graph for the same seed. *language: it can be written as a .net file. */
Graph *netgen_graph(Arena *a, uint64_t seed, bool *language);

/* Appends a node, and makes a layer's parameters. NULL, with the graph as it was, when the op does
 * not accept them. */
Node *gen_node(Gen *g, Op op, int nin, Node *const *in, const Attr *attr);
Node *gen_leaf(Gen *g, Op op, Elem elem, int rank, const int64_t *dim, int64_t classes);

/* ---- operands.c ---- */

Node *pool_pick(Gen *g);
/* Operands and attributes for one try of op. False when there is none. `in` holds SIG_OPERANDS and
 * 4 more. */
bool draw_operands(Gen *g, Op op, int *nin, Node **in, Attr *attr);
/* x as a value of that type: reshaped, or through a linear layer, or a new parameter. */
Node *coerce(Gen *g, Node *x, const Type *t);

/* ---- source.c ---- */

/* The .net text of a graph of language ops; `seed` chooses among notations. */
const char *netgen_source(Arena *a, const Graph *g, uint64_t seed);

/* ---- check.c ---- */

typedef struct {
  bool all; /* every way; else one, chosen by the seed */
  int64_t compared, excused;
} CheckCount;

/* Fails the process (cmocka's fail, outside a test: exit) on the first disagreement. */
void netgen_check(const Graph *g, uint64_t seed, CheckCount *count);
/* The same for text: .net when it does not begin with "graph" (after comments), else IR. */
Graph *netgen_read(Arena *a, const char *text);

/* ---- derivative.c ---- */

const Result *netgen_loss(const Graph *g); /* or NULL */
/* Fails in the same way when gradients are not the derivatives of the loss. */
void netgen_check_derivatives(const Graph *g, uint64_t seed);

/* ---- export.c ---- */

/* Writes STEM.ir, the graph, and STEM.safetensors, what the interpreter computes for 3 samples of
 * it in evaluation and in training. By mode (eval, train), each tensor in one dimension:
 *   MODE.leaf.NAME                 data and parameters, where the mode uses them
 *   MODE.KIND.NAME                 outputs, losses, metrics (summed over the samples), gradients
 *                                  and what is assigned
 *   MODE.spread.KIND.NAME          how far rounding alone moves it
 *
 * False when it could not be computed or written. */
bool netgen_export(const Graph *g, const char *stem);

/* ---- child.c ---- */

typedef struct {
  bool failed;
  int code;           /* of the exit, or minus the signal */
  char message[2048]; /* the last that it wrote */
  int64_t compared, excused;
} Verdict;

/* Runs what netgen_check does on the text; `source` is .net or IR. */
Verdict netgen_try(const char *text, uint64_t seed, bool all);

/* ---- reduce.c ---- */

/* The text of a smaller network with a verdict like `v`; `language` keeps it a .net text. */
const char *netgen_reduce(Arena *a, const Graph *g, bool language, uint64_t seed, const Verdict *v);

#endif
