/* The graph IR: an SSA graph in one arena.
 *
 * A Node is one operation with operands, attributes, a type and the source span it came from. A
 * tensor is *per sample* (batched: it has an implicit leading batch dimension, not counted in its
 * rank) or *shared*. A Graph is one program: its nodes in topological order and the results it is
 * computed for.
 *
 * The element type F32 stands for the real type: `--precision f64` compiles it as double, and the
 * interpreter always computes in double. */
#ifndef DLC_IR_IR_H
#define DLC_IR_IR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/diag.h"
#include "base/limits.h"
#include "base/str.h"
#include "base/vec.h"

typedef enum { ELEM_F32, ELEM_U8, ELEM_I32 } Elem;

typedef struct {
  Elem elem;
  bool batched;
  int rank;
  int64_t dim[LIMIT_RANK];
} Type;

/* ---- ops: the table's enum ---- */

typedef enum {
#define SECTION(name)
#define ROW(name, domain, signature, meaning) OP_##name,
#define LEAF ROW
#define ELEMENTWISE ROW
#define PRIMITIVE ROW
#define COMPOSITE ROW
#define FORMULA ROW
#define LAYER ROW
#include "ir/ops.def"
#undef SECTION
#undef ROW
#undef LEAF
#undef ELEMENTWISE
#undef PRIMITIVE
#undef COMPOSITE
#undef FORMULA
#undef LAYER
  OP_COUNT
} Op;

/* ---- attributes ---- */

typedef enum {
  ATTR_INT,   /* i */
  ATTR_FLOAT, /* f */
  ATTR_BOOL,  /* i: 0 or 1 */
  ATTR_DIM,   /* i; negative counts from the end until the node is typed, then 0..rank-1 */
  ATTR_INTS,  /* v, n */
  ATTR_DIMS,  /* v, n; n = -1 means all */
  ATTR_PAIR,  /* v, n = 2 */
  ATTR_PADS,  /* v, n = 2 (height, width); n = -1 means "same" */
  ATTR_STR,   /* s */
  ATTR_WORDS, /* s: one of the words of the signature */
  ATTR_INIT,  /* init */
  ATTR_PAIRS  /* v, n = 2 a pair: [[a, b], ...] in one row */
} AttrKind;

typedef enum {
  INIT_DEFAULT,
  INIT_CONSTANT,
  INIT_UNIFORM,
  INIT_NORMAL,
  INIT_ORTHOGONAL,
  /* resolved to the ones above, by the parameter's shape, before a param node is made: */
  INIT_XAVIER_UNIFORM,
  INIT_XAVIER_NORMAL,
  INIT_KAIMING_UNIFORM,
  INIT_KAIMING_NORMAL
} InitKind;

/* constant(a) · uniform(a, b) · normal(mean a, std b) · orthogonal · xavier_* · kaiming_*(a, b 1
 * for fan_out) */
typedef struct {
  InitKind kind;
  double a, b;
} Init;

typedef struct {
  AttrKind kind;
  int n;
  int64_t i;
  double f;
  const char *s;
  const int64_t *v;
  Init init;
} Attr;

/* ---- nodes and graphs ---- */

typedef struct Node Node;

struct Node {
  Op op;
  int id;  /* its place in Graph.nodes */
  int nin; /* operands, counted with missing ones; a missing operand is NULL */
  Type type;
  Node **in;
  Attr *attr; /* as many as the op's signature has, in its order */
  /* full dotted name of a layer ("layer1.0.conv1") or the name bound to it; or NULL */
  const char *label;
  Span span;
  /* Set by late passes; printed and parsed where set. */
  int group; /* fuse: the kernel that computes it, from 1; 0 = none yet, or a view */
  uint8_t order[LIMIT_RANK]; /* layout: memory order of the dimensions, outermost first */
  bool ordered;              /* layout has set `order`; otherwise 0, 1, 2, ... */
  int64_t offset;            /* plan: byte offset in the arena at the maximum batch; -1 = none */
};

typedef enum {
  RESULT_OUTPUT, /* a named inference output */
  RESULT_LOSS,   /* the scalar to minimise; shared after the expand pass, any scalar before */
  RESULT_METRIC, /* a per-sample scalar before expand; its sum over the batch, shared, after */
  RESULT_GRAD, /* gradient of the loss by `target` (a param, or an input), added by the grad pass */
  RESULT_ASSIGN /* the new value of `target` (a param or a buffer), stored after all its old uses */
} ResultKind;

typedef struct {
  ResultKind kind;
  const char *name;
  Node *node;
  Node *target; /* GRAD and ASSIGN only */
} Result;

/* One `name(args)` of the train block: `attr` in the order of its row's signature in train.def. */
typedef struct {
  const char *name; /* NULL when absent */
  Attr *attr;
} TrainItem;

typedef struct {
  bool present; /* the file has a train block */
  TrainItem optimizer, schedule;
  VEC(TrainItem) augment;
  VEC(const char *) freeze; /* patterns over full parameter names: * and ? */
  int64_t warmup_steps, batch, epochs, seed;
  double clip_grad_norm; /* 0: none */
} Train;

typedef struct {
  Arena *arena;
  Sources *sources; /* NULL when the graph was made in memory */
  const char *name;
  /* NULL as the frontend builds it; else the program it is expanded for ("train") */
  const char *program;
  VEC(Node *) nodes;
  VEC(Result) results;
  Train train;
  int64_t streams; /* random nodes made so far: the stream of the next one */
  Span at;         /* ir_at */
  void *trial;     /* set while a type is inferred by a trial expansion: see ir/infer.c */
} Graph;

/* ---- making graphs ---- */

Graph *ir_graph_new(Arena *a, Sources *sources, const char *name);

/* What is wrong with a node that could not be made. `operand` (or `attribute`, an index in the
 * signature) is the one at fault, -1 where none is; `note` may be NULL. */
typedef struct {
  Arena *arena;
  const char *text, *note;
  int operand, attribute;
} OpError;
/* Fills *e and returns false, for `return op_error(e, ...)`. e may be NULL. */
bool op_error(OpError *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#ifdef __clang_analyzer__ /* which reads one file at a time */
#define op_error(...) (op_error(__VA_ARGS__), false)
#endif

/* Appends a node and infers its type. `attr` (one an attribute of the signature, in order) may be
 * NULL when every attribute has a default; operands and attributes are copied. Returns NULL and
 * fills *e when the op does not accept them; with e == NULL that is a bug and aborts. */
Node *ir_try(Graph *g, Op op, int nin, Node *const *in, const Attr *attr, Span span, OpError *e);

/* The same for code that makes what it knows is right; the span is g's "current" one, see ir_at. */
Node *ir_make(Graph *g, Op op, int nin, Node *const *in, const Attr *attr);
void ir_at(Graph *g, Span span); /* nodes made from now on come from here */

#define ir_unary(g, OP, x) ir_make((g), (OP), 1, (Node *[]){(x)}, NULL)
#define ir_binary(g, OP, x, y) ir_make((g), (OP), 2, (Node *[]){(x), (y)}, NULL)
#define ir_with(g, OP, x, ...) ir_make((g), (OP), 1, (Node *[]){(x)}, (Attr[]){__VA_ARGS__})
#define ir_with2(g, OP, x, y, ...) \
  ir_make((g), (OP), 2, (Node *[]){(x), (y)}, (Attr[]){__VA_ARGS__})

Node *ir_constant(Graph *g, double value);
Node *ir_scale(Graph *g, Node *x, double factor); /* x * factor; x itself for 1 */
Node *ir_shift(Graph *g, Node *x, double term);   /* x + term; x itself for 0 */
Node *ir_reshape(Graph *g, Node *x, int rank, const int64_t *dim);
Node *ir_permute(Graph *g, Node *x, const int64_t *order);
Node *ir_sum(Graph *g, Node *x, int ndims, const int64_t *dims, bool batch);
Node *ir_mean(Graph *g, Node *x, int ndims, const int64_t *dims, bool batch);
Node *ir_broadcast(Graph *g, Node *x, const Type *like); /* x itself when the shape agrees */
Node *ir_sum_to(Graph *g, Node *x, const Type *like);    /* broadcast transposed */
/* reduced dims back as 1 */
Node *ir_keepdims(Graph *g, Node *x, const Type *before, int ndims, const int64_t *dims);

Attr attr_int(int64_t i);
Attr attr_float(double f);
Attr attr_bool(bool b);
Attr attr_dim(int64_t i);
Attr attr_str(const char *s);
Attr attr_words(const char *s);
Attr attr_ints(int n, const int64_t *v);
Attr attr_dims(int n, const int64_t *v);
Attr attr_pair(const int64_t *v);
Attr attr_pairs(int n, const int64_t *v); /* n numbers */
Attr attr_init(Init init);

/* Attributes by name; the name must be in the op's signature. */
const Attr *node_attr(const Node *n, const char *name);
int64_t node_int(const Node *n, const char *name);
double node_float(const Node *n, const char *name);
bool node_bool(const Node *n, const char *name);
const char *node_str(const Node *n, const char *name);
const int64_t *node_ints(const Node *n, const char *name);

void ir_result(Graph *g, ResultKind kind, const char *name, Node *node, Node *target);
/* input, target, param or buffer; or NULL */
Node *ir_find_leaf(const Graph *g, Op op, const char *name);

/* ---- changing graphs ---- */

/* Every use of a node i, in operands and results, becomes to[i] (followed transitively) where that
 * is not NULL. `to` has nodes.count entries at the time of the call. A result's target changes only
 * into another leaf. */
void ir_substitute(Graph *g, Node **to);
/* Drops what no result needs (inputs, targets, params and buffers stay), sorts topologically
 * (stable), renumbers. */
void ir_tidy(Graph *g);
/* A deep copy in another arena. */
Graph *ir_copy(const Graph *g, Arena *a);
/* Number of uses of each node, by id, results counted. */
int *ir_use_counts(const Graph *g, Arena *scratch);

/* ---- types ---- */

bool type_equal(const Type *a, const Type *b);
int64_t type_elements(const Type *t); /* of one sample, or of the shared tensor */
Type type_scalar(bool batched);
Type type_of(Elem elem, bool batched, int rank, const int64_t *dim);
const char *type_text(Arena *a, const Type *t); /* f32[*,3,8] per sample, f32[3,8] shared */

/* ---- text, checks ---- */

/* The text form; ir_parse gives back an equal graph, spans and annotations included. */
void ir_print(const Graph *g, Str *out);
/* NULL after an error, which is reported in d, for a graph that does not verify too; `file` is the
 * index of the text in d->sources. */
Graph *ir_parse(Arena *a, Diags *d, int file);
/* Whole-graph equality, as the text would show it. */
bool ir_equal(const Graph *a, const Graph *b);
/* The first broken invariant as text, or NULL: operands before uses, types as the ops infer them,
 * attributes complete, results of the kinds above with the types they must have. */
const char *ir_verify(const Graph *g, Arena *scratch);

#endif
