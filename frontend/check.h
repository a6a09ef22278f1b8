/* The walk over the syntax tree: it evaluates what is known at compile time and makes the graph's
 * nodes on the way.
 *
 *   eval.c       expressions of compile-time values       layers.c   names and parameters of layers
 *   arguments.c  arguments against a signature            block.c    calls of blocks
 *   tensors.c    calls of ops, operators on tensors       network.c  statements and declarations
 *   train.c      the train block                          include.c  files, consts and blocks
 *   names.c      names where the walk never came
 *
 * What failed has been reported and is a value of kind VALUE_FAILED, which silences its uses. */
#ifndef DLC_FRONTEND_CHECK_H
#define DLC_FRONTEND_CHECK_H

#include "frontend/ast.h"
#include "frontend/frontend.h"
#include "frontend/table.h"
#include "ir/op.h"

/* ---- values ---- */

typedef enum {
  VALUE_FAILED,
  VALUE_INT,    /* i */
  VALUE_FLOAT,  /* f */
  VALUE_BOOL,   /* i */
  VALUE_STRING, /* s */
  VALUE_LIST,   /* v, n */
  VALUE_INIT,   /* init */
  VALUE_TENSOR, /* node */
  VALUE_TUPLE   /* v, n: what a block returns when that is more than one value */
} ValueKind;

typedef struct Value Value;
struct Value {
  ValueKind kind;
  int n;
  union {
    int64_t i;
    double f;
    const char *s;
    const Value *v;
    const Init *init;
    Node *node;
  };
};

static inline Value value_failed(void) { return (Value){.kind = VALUE_FAILED}; }
static inline Value value_int(int64_t i) { return (Value){.kind = VALUE_INT, .i = i}; }
static inline Value value_float(double f) { return (Value){.kind = VALUE_FLOAT, .f = f}; }
static inline Value value_bool(bool b) { return (Value){.kind = VALUE_BOOL, .i = b}; }
static inline Value value_string(const char *s) { return (Value){.kind = VALUE_STRING, .s = s}; }
static inline Value value_tensor(Node *n) {
  return (Value){.kind = n ? VALUE_TENSOR : VALUE_FAILED, .node = n};
}

bool value_is_number(const Value *v);
double value_number(const Value *v);
/* "an integer", "a tensor": for messages. */
const char *value_kind_text(const Value *v);
/* The same, but numbers and strings as they are written. */
const char *value_text(Arena *a, const Value *v);

/* ---- the walk's state ---- */

/* A binding of a name; also an entry of the table of consts. */
typedef struct {
  Value value;
  Span span;
} Binding;

/* The names that one instance of a block (or the network) can see, and where its layers stand. */
typedef struct Scope Scope;
struct Scope {
  Scope *caller;
  const Item *item;   /* the block or network */
  const char *prefix; /* "" or "layer1.0." */
  Table names;        /* Binding */
  Table counts;       /* int: nameless layers so far, by the layer's name */
  bool returned;
  Value result;
};

typedef struct {
  Arena *arena;
  Diags *diags;
  Graph *graph;
  const FrontendOptions *options;
  Table consts; /* Binding */
  Items all_consts;
  Table blocks;  /* Item */
  Table leaves;  /* Leaf: full names of inputs, targets, parameters and buffers */
  Table defines; /* Item: a const for each -D */
  Table outputs; /* Span */
  const Item *network, *train;
  Scope *scope;
  VEC(Node *) real; /* by id: the f32 form of a u8 or i32 tensor, made on its first use */
  VEC(Span) freeze_spans;
  Span augment;
  Span loss;
  int depth;      /* of the walk */
  int64_t work;   /* expressions and statements walked */
  int64_t layers; /* ops made by calls and operators */
  int64_t steps;  /* of loops */
  int64_t block_calls;
  int reports;
  int gradients; /* calls of grad */
  bool unparsed; /* a file has syntax errors: what is missing may stand there */
  bool stopped;  /* a limit was passed: everything fails silently from here on */
} Checker;

/* Where an integer was wanted: the mend, if the number is whole. */
void value_note_integer(Checker *c, const Value *v);

/* Reports an error; the result is VALUE_FAILED. */
Value check_error(Checker *c, Span at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
#define check_note(c, at, ...) diag_note((c)->diags, (at), __VA_ARGS__)
static inline Span no_place(void) { return (Span){0}; }
/* "a, b, c" */
const char *names_text(Arena *a, const char *const *names, int count);
/* The nearest of a table's names and `more` names, or NULL. */
const char *check_near(Checker *c, const char *word, const Table *t);

/* Counts one more level, and one more piece of work; false when the walk must not go on. */
bool check_enter(Checker *c, Span at);
bool check_work(Checker *c, Span at); /* without a level */
static inline void check_leave(Checker *c) { c->depth--; }
/* Counts a loop step, a call of a block. */
bool check_step(Checker *c, Span at);
bool check_block_call(Checker *c, Span at);

/* ---- eval.c ---- */

Value eval(Checker *c, const Expr *x);
/* The same for the whole right side of a binding: a layer takes that name. */
Value eval_bound(Checker *c, const Expr *x, const Name *bound);
/* An integer in [low, high]; `what` names it in the error. */
bool eval_int(Checker *c, const Expr *x, const char *what, int64_t low, int64_t high, int64_t *out);
Value eval_name(Checker *c, const char *name, Span at);
void scope_bind(Checker *c, const char *name, Value v, Span at);

/* ---- calls ---- */

/* One call, its arguments evaluated: a piped value is the first of them. */
typedef struct {
  const char *name; /* NULL: positional */
  Span name_span, span;
  Value value;
} ArgValue;

typedef struct {
  const Expr *expr;
  const char *what; /* the function's name */
  Span span, name_span;
  ArgValue *args;
  int nargs;
  const Name *bound; /* the binding whose whole right side this is, or NULL */
} Call;

/* Evaluates the arguments; false when one failed. */
bool call_begin(Checker *c, const Expr *x, const Value *piped, Span piped_span, Call *out);
/* Something of the call's name can be called; false after an error. */
bool call_exists(Checker *c, const Expr *x);
Value call_value(Checker *c, const Expr *x, const Value *piped, Span piped_span, const Name *bound);

/* ---- arguments.c ---- */

/* The arguments of a call, sorted by the signature. Spans have file 0 where nothing was given. */
typedef struct {
  Value operand[SIG_OPERANDS];
  Span operand_span[SIG_OPERANDS];
  VEC(Value) variadic; /* in place of operand[0], when that takes any number */
  VEC(Span) variadic_span;
  Attr attr[SIG_ATTRS];
  Span attr_span[SIG_ATTRS];
} Matched;

bool match_arguments(Checker *c, const Call *call, const Signature *s, Matched *out);
bool match_attr(Checker *c, const SigAttr *s, const ArgValue *x, const char *of, Attr *out);

/* ---- tensors.c ---- */

Value tensor_call(Checker *c, Op op, const Call *call);
Value tensor_binary(Checker *c, const Expr *x, Value left, Value right);
Value tensor_negate(Checker *c, const Expr *x, Value v);
/* Counts a layer against the limit. */
bool tensor_count(Checker *c, Span at);
/* n itself when it is f32, its f32 form when it is u8 or i32; NULL after an error: a class label.
 */
Node *tensor_real(Checker *c, Node *n, Span at);
Node *tensor_constant(Checker *c, double f, Span at);
/* ir_try with its error reported: operand and attribute spans are those of `m`, or NULL. */
Node *tensor_make(Checker *c, Op op, int nin, Node *const *in, const Attr *attr, Span at,
                  const Span *operand, const Span *attribute);
/* dim(x, i), rank(x). */
bool tensor_is_question(const char *name);
Value tensor_question(Checker *c, const Call *call);
/* A label for a node that has none: the name bound to it. */
void tensor_label(Checker *c, Node *n, const char *name);

/* ---- layers.c ---- */

/* How often the scope has asked for this word, this time included. */
int scope_count(Checker *c, const char *word);
/* The name of a layer or block instance in its scope: `as`, the binding's (of a layer), or
 * <what><k>. NULL after an error. */
const char *layer_name(Checker *c, const Call *call);
/* Makes the parameters of a layer that were not given. */
bool layer_params(Checker *c, Op op, const Call *call, const char *name, int nin, Node **in,
                  const Attr *attr, const Matched *m);
/* Files and headers have leaves (inputs, targets, parameters, buffers) by their full names: false
 * after an error where another one has it. `at` is the name's place, `whole` the leaf's. */
bool leaf_claim(Checker *c, Op op, const char *full, Span at, Span whole);
/* A param or buffer under its full name; NULL after an error. */
Node *layer_param(Checker *c, Op op, const char *full, int rank, const int64_t *dim, Init init,
                  Span at);
/* Some parameter's full name fits the pattern. */
bool layer_fits(const Checker *c, const char *pattern);

/* ---- initialisers ---- */

bool init_exists(const char *name);
Value init_call(Checker *c, const Call *call);
Value init_bare(Checker *c, const char *name, Span at);

/* ---- block.c ---- */

Value block_call(Checker *c, const Item *block, const Call *call);

/* ---- network.c ---- */

bool metric_exists(const char *name);
void exec_statements(Checker *c, const Stmts *list);
void check_network(Checker *c);

/* ---- train.c ---- */

/* The train block; before the network, whose parameters it may freeze. */
void check_train(Checker *c);
/* What needs the network: defaults, freeze patterns that fit nothing. */
void check_train_end(Checker *c);

/* ---- names.c ---- */

/* Unknown names where the walk never came: in blocks not called, branches not taken. */
void check_names(Checker *c);

/* ---- include.c ---- */

/* Reads the file and what it includes: blocks, network and train, and the consts in order. */
bool load_program(Checker *c, const char *path);
/* Parses the values of -D, each as if it stood in a file. */
bool load_defines(Checker *c);

#endif
