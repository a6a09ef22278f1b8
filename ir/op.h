/* What an op is: its row of ops.def, parsed, and the functions that ir/ops/<section>.c gives. */
#ifndef DLC_IR_OP_H
#define DLC_IR_OP_H

#include "ir/emit.h"
#include "ir/ir.h"

typedef enum {
  KIND_LEAF,
  KIND_ELEMENTWISE,
  KIND_PRIMITIVE,
  KIND_COMPOSITE,
  KIND_FORMULA,
  KIND_LAYER
} OpKind;
typedef enum {
  DOMAIN_ANY,
  DOMAIN_POSITIVE,
  DOMAIN_UNIT,
  DOMAIN_NONZERO,
  DOMAIN_DISTINCT,
  DOMAIN_LABEL
} OpDomain;

/* ---- signatures ---- */

enum { SIG_OPERANDS = 5, SIG_ATTRS = 12, SIG_WORDS = 4 };

typedef struct {
  const char *name;
  bool optional, parameter, variadic;
} SigOperand;

typedef struct {
  const char *name;
  AttrKind kind;
  bool required; /* has no default */
  Attr value;    /* the default */
  int copies;    /* index of the earlier attribute whose value is the default, or -1 */
  const char *words[SIG_WORDS]; /* ATTR_WORDS: the words allowed, then NULL */
} SigAttr;

typedef struct {
  int noperands, nattrs;
  SigOperand operand[SIG_OPERANDS];
  SigAttr attr[SIG_ATTRS];
} Signature;

/* Parsed once and kept for the life of the process; not thread-safe on the first call for a row. */
const Signature *op_signature(Op op);
/* For the rows of train.def: parses `text` into *out (its storage is static text and `a`). */
void signature_parse(Arena *a, const char *text, Signature *out);

/* Fills every attribute that is not `given` (NULL: none is) with its default, copies resolved in
 * order. Returns the index of the first one that is neither given nor has a default, or -1. */
int signature_complete(const Signature *s, Attr *attr, const bool *given);
int op_attrs_complete(Op op, Attr *attr, const bool *given);

bool attr_in_range(int64_t i); /* an integer that an attribute can hold */
/* What a signature's attribute may be, for messages. */
const char *attr_kind_text(Arena *a, const SigAttr *s);

/* ---- rows of train.def ---- */

typedef enum { TRAIN_OPTIMIZER, TRAIN_SCHEDULE, TRAIN_AUGMENT } TrainKind;

typedef struct {
  TrainKind kind;
  const char *name, *signature;
} TrainRow;

extern const TrainRow train_rows[];
extern const int train_row_count;

/* NULL when there is no such row. */
const Signature *train_signature(TrainKind kind, const char *name);
/* An item's attribute by name; NULL when the item is absent or has none of that name. */
const Attr *train_attr(TrainKind kind, const TrainItem *item, const char *name);

/* The whole numbers of a train block. */
typedef struct {
  const char *name, *text; /* in a .net file; in the text form of a graph */
  int64_t low, high;
  size_t offset; /* in Train, of an int64_t */
} TrainNumber;
enum { TRAIN_NUMBERS = 4 };
extern const TrainNumber train_number[TRAIN_NUMBERS];

/* What is wrong with an item whose attributes are complete, or NULL; *attr is the one at fault, -1
 * where none is. */
const char *train_fault(Arena *a, TrainKind kind, const TrainItem *item, int *attr);
bool train_clips(double norm); /* it is one that gradients can be clipped to */

/* ---- tensors of the interpreter ---- */

/* Row-major doubles; a per-sample tensor holds n samples, one after the other. */
typedef struct {
  Type type;
  int64_t n; /* samples; 1 for a shared tensor */
  double *data;
} Tensor;

typedef struct {
  int64_t n;           /* the batch */
  uint64_t seed, step; /* of the random masks */
} EvalContext;

/* ---- the functions a row owes ---- */

typedef double OpEvalScalar(const Node *n, const double *x);
typedef void OpEvalTensor(const Node *n, const Tensor *const *in, Tensor *out,
                          const EvalContext *c);
/* Infers n->type from operands and attributes (and normalises ATTR_DIM). */
typedef bool OpShape(Node *n, Type *out, OpError *e);
/* Fills dx[i] with the gradient by operand i, as nodes, or leaves it NULL for none. dy has n's
 * type. For an ELEMENTWISE op dx[i] may have n's type: the caller sums it to the operand's. */
typedef void OpGrad(Graph *g, Node *n, Node *dy, Node **dx);
typedef EmitValue OpEmit(Emit *e, const Node *n, const EmitValue *x);

typedef struct {
  Graph *graph;
  bool training;
} Expand;
/* The node that takes n's place. n may live in another graph: only its op, attributes and type are
 * read; its operands are given in `in`. A failed check has been made before, by the type of the
 * same expansion; bad attributes are reported through *e by returning NULL. */
typedef Node *OpExpand(Expand *x, const Node *n, Node *const *in, OpError *e);

/* Makes the parameters that the user did not give: fills in[i] for each `@` that applies. */
typedef struct Params Params;
struct Params {
  Graph *graph;
  /* A new param (or buffer) `<layer>.<name>`; init as resolved by the caller. */
  Node *(*make)(Params *p, Op op, const char *name, int rank, const int64_t *dim, Init init);
  void *user;
};
typedef bool OpParams(Params *p, const Node *n, Node **in, OpError *e);

typedef struct {
  const char *name, *signature, *meaning, *section;
  OpKind kind;
  OpDomain domain;
  bool internal;             /* not callable from a .net file */
  OpEvalScalar *eval_scalar; /* ELEMENTWISE */
  OpEvalTensor *eval;        /* PRIMITIVE */
  OpShape *shape;            /* PRIMITIVE, LEAF */
  OpGrad *grad;              /* ELEMENTWISE, PRIMITIVE, FORMULA */
  OpEmit *emit;              /* ELEMENTWISE */
  OpExpand *expand;          /* COMPOSITE, FORMULA, LAYER */
  OpParams *params;          /* LAYER */
} OpInfo;

extern const OpInfo op_info[OP_COUNT];

/* OP_COUNT when there is none. */
Op op_by_name(const char *name);

/* ---- prototypes of all of them, from the table ---- */

#define SECTION(name)
#define LEAF(n, d, s, m) OpShape op_##n##_shape;
#define ELEMENTWISE(n, d, s, m) \
  OpEvalScalar op_##n##_eval;   \
  OpGrad op_##n##_grad;         \
  OpEmit op_##n##_emit;
#define PRIMITIVE(n, d, s, m) \
  OpShape op_##n##_shape;     \
  OpEvalTensor op_##n##_eval; \
  OpGrad op_##n##_grad;
#define COMPOSITE(n, d, s, m) OpExpand op_##n##_expand;
#define FORMULA(n, d, s, m) \
  OpExpand op_##n##_expand; \
  OpGrad op_##n##_grad;
#define LAYER(n, d, s, m)   \
  OpExpand op_##n##_expand; \
  OpParams op_##n##_params;
#include "ir/ops.def"
#undef SECTION
#undef LEAF
#undef ELEMENTWISE
#undef PRIMITIVE
#undef COMPOSITE
#undef FORMULA
#undef LAYER

/* ---- shared by ops, passes and codegen ---- */

/* The type that n's op infers from its operands and attributes; e->arena must be set. */
bool node_infer(const Node *n, Type *out, OpError *e);
/* Rank, dimensions and number of elements are within the limits of base/limits.h. */
bool type_valid(const Type *t, OpError *e);

/* NumPy broadcasting of two per-sample shapes; the result is batched if either is. */
bool type_broadcast(const Type *a, const Type *b, Type *out, OpError *e);

/* Window o of a pooling node along axis 0 (height) or 1 (width) of its input. */
typedef struct {
  int64_t start, end, step; /* input positions start, start+step, ... < end, all inside the image */
  int64_t count;            /* what a mean divides by, along this axis */
} PoolWindow;
/* `pool` is any node of the pooling section; `size` the image's extent on that axis. */
PoolWindow pool_window(const Node *pool, int axis, int64_t size, int64_t o);
/* From one window to the next, before they are cut off at the edges; 0 where it varies. The windows
 * that are moved copies of one window are next to each other. */
int64_t pool_stride(const Node *pool, int axis, int64_t size);

/* Philox 4x32-10 (Salmon et al. 2011), key = seed, counter = (element low, element high, stream,
 * step): the first word. The compiled code draws the same. An element's index is logical:
 * row-major, sample by sample. */
uint32_t philox(uint64_t seed, uint64_t step, uint32_t stream, uint64_t element);

/* Resolves default, xavier and kaiming by shape ([out, in, receptive field...]), as PyTorch
 * computes fans. */
Init init_resolve(Init init, int rank, const int64_t *dim);
/* Why it cannot fill a tensor of this rank, or NULL. */
const char *init_fault(Init init, int rank);

#endif
