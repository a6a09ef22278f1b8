/* Lowering: a planned graph becomes functions void(const dlc_call *) that run its kernels in order.
 *
 * Inner header of codegen/lower*.c. A step lowers one kernel of the plan: it names the memory it
 * touches by slots, asks kernel.h for the code, and emits the call. */
#ifndef DLC_CODEGEN_LOWER_H
#define DLC_CODEGEN_LOWER_H

#include "codegen/block.h"
#include "codegen/debug.h"
#include "codegen/kernel.h"
#include "passes/plan.h"

/* What a slot points to. */
typedef enum {
  BASE_ARENA,     /* arena + offset */
  BASE_SCRATCH,   /* the same, where nothing lies while the step runs */
  BASE_PARAMETER, /* parameter block + offset */
  BASE_GRADIENT,  /* gradient block + offset */
  BASE_INPUT,     /* inputs[index] */
  BASE_OUTPUT,    /* outputs[index] */
  BASE_INPUT_GRADIENT,
  BASE_SCALAR, /* scalars + index */
  BASE_HYPER,  /* hyper + index */
  BASE_RANDOM, /* seed and step */
  BASE_BATCH   /* n as a double */
} Base;

typedef struct {
  Base base;
  int64_t offset; /* bytes, or an index */
} Slot;

enum { LOWER_SLOTS = 128 }; /* more than FUSIBLE_MEMBERS + FUSIBLE_READS, seed and scratch */

typedef struct {
  Cg *cg;
  const Graph *graph;
  const Plan *plan;
  const Block *block;
  Diags *diags;
  bool remarks;
  Debug *debug; /* NULL without -g */
  Arena *arena;
  /* the function being emitted */
  const char *name;
  LLVMValueRef function, call, batch_cell, buffers;
  LLVMValueRef batch; /* the run-time batch */
  LLVMValueRef
      n; /* what the kernels of this step are called with: the batch, or 1 for shared images */
  /* the step */
  int group; /* its number in the plan; of copies of results, that of the kernel after which they
                run */
  int nslots;
  Slot slot[LOWER_SLOTS];
  int64_t step_scratch; /* end of the scratch that this step has taken */
  int64_t arena_bytes;  /* end of all that the steps so far use of the arena */
  double flops;
} Lower;

/* The axes of a loop nest: each is a run of dimensions of `type` that lie together in every view,
 * the innermost given. */
enum { AXIS_BATCH = -1, AXIS_NONE = -2 /* extent 1, for a dimension that is not there */ };
typedef struct {
  const Type *type;
  int rank;
  Extent extent[VIEW_RANK];
  int dim[VIEW_RANK]; /* dimension of `type` whose stride the axis walks, or one of the above */
} Domain;

Domain lower_domain(const Node *n); /* one axis a dimension, in n's memory order */

int lower_slot(Lower *l, Base base, int64_t offset);
MemElem lower_elem(const Node *n);
/* The slot behind which the storage of `owner` (which owns its memory) starts. */
int lower_storage(Lower *l, const Node *owner);
/* n's elements, broadcast over the domain. */
View lower_view(Lower *l, const Node *n, const Domain *domain);
/* A view of `memory` for a tensor of type t. */
View lower_memory_view(int slot, MemElem elem, const Memory *m, const Type *t,
                       const Domain *domain);
bool lower_is_constant(const Lower *l, const Node *n, double *value);
int lower_scratch(Lower *l, int64_t bytes); /* a slot of this step's own */

LLVMValueRef lower_slot_pointer(Lower *l, Base base, int64_t offset); /* what a slot will hold */

/* kernel.h's functions, called while a function is being lowered. */
KernelList lower_pointwise_kernel(Lower *l, const PointwiseSpec *spec);
KernelList lower_matmul_kernel(Lower *l, const MatmulSpec *spec);
KernelList lower_conv_kernel(Lower *l, const ConvSpec *spec);
KernelList lower_pool_kernel(Lower *l, const PoolSpec *spec);
KernelList lower_put_rows_kernel(Lower *l, const PutRowsSpec *spec);

/* Emits the calls of a kernel list on the slots as they are now. */
void lower_run(Lower *l, const KernelList *list);
/* The same for kernels that need scratch behind `slot`, which must be the last scratch slot taken.
 */
void lower_run_scratch(Lower *l, const KernelList *list, int slot);

/* A body in the making. */
typedef struct {
  Lower *l;
  Domain domain;
  VEC(BodyValue) values;
  VEC(BodyStore) stores;
  VEC(BodyReduce) reduces;
  bool reduced[VIEW_RANK];
  int *value_of; /* by node id: 1 + index of the value; 0 none */
} Draft;

void draft_begin(Draft *b, Lower *l, const Domain *domain);
int draft_add(Draft *b, BodyValue v);
int draft_load(Draft *b, const Node *n);
int draft_op(Draft *b, Op op, int x, int y, int z);
int draft_number(Draft *b, double x);
void draft_put(Draft *b, int value, View view);
/* Computes the members of a group (but for `product`, which is BODY_RESULT) and stores what is
 * stored. */
void draft_members(Draft *b, const PlanGroup *g, const Node *product);
PointwiseSpec draft_spec(Draft *b);

/* Lowers one kernel of the plan as the current step; false after a reported error. */
typedef bool LowerStep(Lower *l, const PlanGroup *g, const Node *n);
LowerStep lower_sweep, lower_product, lower_conv, lower_pool, lower_concat, lower_surround,
    lower_argmax, lower_take_rows, lower_put_rows, lower_copy, lower_fill;

/* Copies x into `to` over the domain. */
void lower_copy_to(Lower *l, const Node *x, const Domain *domain, View to);
/* A slot with x dense in the given memory order, repeated over the batch where it is shared and
 * `batched` wants it: x's own storage where it is so, else a copy in scratch. */
int lower_dense(Lower *l, const Node *x, const uint8_t *order, bool batched, int64_t *offset);
MemElem lower_dense_elem(const Node *x); /* of those elements */

/* The kernels first..last of the plan, then the results of the kinds asked for, as one function. */
LLVMValueRef lower_function(Lower *l, const char *name, int first, int last, bool gradients,
                            bool others);

#endif
