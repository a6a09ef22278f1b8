/* The interpreter works on a flat copy of the graph, in which every op that has an expansion is
 * replaced by it; `of[i]` is the flat node that stands for node i. Values have one storage each, by
 * the flat node's id. */
#include "ir/interp.h"

#include <math.h>
#include <string.h>

#include "ir/index.h"

struct Interp {
  Arena *arena;
  const Graph *graph;
  Graph *flat;
  Node **of;     /* by id in graph */
  Tensor *value; /* by id in flat */
  bool *bound;   /* by id in flat; leaves only */
  EvalContext context;
  int dropped; /* low bits that every value loses by chance; 0: none */
  int room;    /* so many units of what is left it may then move, at most */
  uint64_t chance;
};

/* ---- the flat graph ---- */

static bool is_flat(const Node *n) { return !op_info[n->op].expand; }

/* Expansions are appended and may hold ops that expand in turn: the walk reaches them too. */
static Node **expand_all(Graph *flat, bool training, OpError *e) {
  Expand x = {flat, training};
  VEC(Node *) to = {0};
  for (int i = 0; i < flat->nodes.count; i++) {
    Node *n = flat->nodes.at[i], *r = NULL;
    if (n->op == OP_grad) return op_error(e, "grad() is not resolved in this graph"), NULL;
    ir_at(flat, n->span);
    if (!is_flat(n)) r = op_info[n->op].expand(&x, n, n->in, e);
    if (!is_flat(n) && !r) return NULL;
    vec_push(flat->arena, &to, r);
  }
  return to.at;
}

static bool flatten(Interp *p, bool training, OpError *e) {
  int count = p->graph->nodes.count;
  p->flat = ir_copy(p->graph, p->arena);
  p->flat->results.count = 0;
  p->of = ARENA_ARRAY(p->arena, Node *, count);
  for (int i = 0; i < count; i++)
    ir_result(p->flat, RESULT_OUTPUT, NULL, p->flat->nodes.at[i], NULL);
  Node **to = expand_all(p->flat, training, e);
  if (!to && count) return false;
  if (count) ir_substitute(p->flat, to);
  for (int i = 0; i < count; i++) p->of[i] = p->flat->results.at[i].node;
  ir_tidy(p->flat);
  return true;
}

static bool allocate(Interp *p, OpError *e) {
  Graph *g = p->flat;
  int64_t total = 0;
  p->value = ARENA_ARRAY(p->arena, Tensor, g->nodes.count);
  p->bound = ARENA_ARRAY(p->arena, bool, g->nodes.count);
  for (int i = 0; i < g->nodes.count; i++) {
    const Type *t = &g->nodes.at[i]->type;
    p->value[i] = (Tensor){.type = *t, .n = t->batched ? p->context.n : 1};
    total += p->value[i].n * type_elements(t);
    if (total > LIMIT_INTERP) return op_error(e, "this graph is too large to interpret");
  }
  for (int i = 0; i < g->nodes.count; i++) {
    Tensor *v = &p->value[i];
    v->data = ARENA_ARRAY(p->arena, double, v->n *type_elements(&v->type));
  }
  return true;
}

Interp *interp_new(Arena *a, const Graph *g, int64_t n, bool training, OpError *e) {
  Interp *p = ARENA_NEW(a, Interp);
  *p = (Interp){.arena = a, .graph = g, .context = {.n = n}};
  if (n < 1 || n > LIMIT_BATCH) return op_error(e, "a batch of %lld", (long long)n), NULL;
  return flatten(p, training, e) && allocate(p, e) ? p : NULL;
}

void interp_random(Interp *p, uint64_t seed, uint64_t step) {
  p->context.seed = seed;
  p->context.step = step;
}

/* ---- leaves ---- */

static bool is_named(const Node *n) {
  return n->op == OP_input || n->op == OP_target || n->op == OP_param || n->op == OP_buffer;
}

static double *leaf_storage(Interp *p, const Node *flat, int64_t *count) {
  Tensor *v = &p->value[flat->id];
  p->bound[flat->id] = true;
  if (count) *count = v->n * type_elements(&v->type);
  return v->data;
}

double *interp_leaf(Interp *p, const Node *leaf, int64_t *count) {
  return leaf_storage(p, p->of[leaf->id], count);
}

double *interp_leaf_named(Interp *p, const char *name, int64_t *count) {
  static const Op ops[] = {OP_input, OP_target, OP_param, OP_buffer};
  for (int i = 0; i < 4; i++) {
    Node *n = ir_find_leaf(p->flat, ops[i], name);
    if (n) return leaf_storage(p, n, count);
  }
  return NULL;
}

bool interp_bind(Interp *p, const char *name, const double *data, int64_t count) {
  int64_t size;
  double *to = interp_leaf_named(p, name, &size);
  if (!to || size != count) return false;
  memcpy(to, data, (size_t)count * sizeof *to);
  return true;
}

void interp_hyper(Interp *p, const char *name, double value) {
  for (int i = 0; i < p->flat->nodes.count; i++) {
    Node *n = p->flat->nodes.at[i];
    if (n->op == OP_hyper && !strcmp(node_str(n, "name"), name)) *leaf_storage(p, n, NULL) = value;
  }
}

static bool check_labels(const Node *n, const Tensor *v, OpError *e) {
  int64_t classes = node_int(n, "classes"), count = v->n * type_elements(&v->type);
  for (int64_t i = 0; classes && i < count; i++)
    if (!(v->data[i] >= 0 && v->data[i] < (double)classes && v->data[i] == floor(v->data[i])))
      return op_error(e, "%s: %g is not a label 0..%lld", node_str(n, "name"), v->data[i],
                      (long long)classes - 1);
  return true;
}

static void fill(Tensor *v, double x) {
  int64_t count = v->n * type_elements(&v->type);
  for (int64_t i = 0; i < count; i++) v->data[i] = x;
}

static bool eval_leaf(Interp *p, const Node *n, OpError *e) {
  Tensor *v = &p->value[n->id];
  if (n->op == OP_constant)
    fill(v, node_float(n, "value"));
  else if (n->op == OP_batch_size)
    fill(v, (double)p->context.n);
  else if (!p->bound[n->id])
    return op_error(e, "%s has no value", node_str(n, "name"));
  else if (n->op == OP_input || n->op == OP_target)
    return check_labels(n, v, e);
  return true;
}

/* ---- evaluation ---- */

enum { AXES = LIMIT_RANK + 1 };

/* Steps in x's data for one step along each axis of `out`: axis 0 is the batch. 0 where x is
 * repeated. */
static void broadcast_steps(const Tensor *x, const Type *out, int64_t *step) {
  int64_t size = 1;
  int lead = out->rank - x->type.rank;
  memset(step, 0, AXES * sizeof *step);
  for (int i = x->type.rank - 1; i >= 0; i--) {
    if (x->type.dim[i] > 1) step[1 + lead + i] = size;
    size *= x->type.dim[i];
  }
  if (x->type.batched) step[0] = size;
}

typedef struct {
  const Node *node;
  int operands, axes;
  int64_t extent[AXES], step[SIG_OPERANDS][AXES];
  const double *in[SIG_OPERANDS];
} Sweep;

/* One run along the last axis; `at` is the place of each operand at its start. */
static double *sweep_row(const Sweep *s, const int64_t *at, double *out) {
  OpEvalScalar *eval = op_info[s->node->op].eval_scalar;
  double x[SIG_OPERANDS];
  for (int64_t k = 0; k < s->extent[s->axes - 1]; k++) {
    for (int i = 0; i < s->operands; i++) x[i] = s->in[i][at[i] + k * s->step[i][s->axes - 1]];
    *out++ = eval(s->node, x);
  }
  return out;
}

/* Counts up all axes but the last; false when they are through. */
static bool sweep_advance(const Sweep *s, int64_t *index, int64_t *at) {
  for (int axis = s->axes - 2; axis >= 0; axis--) {
    for (int i = 0; i < s->operands; i++) at[i] += s->step[i][axis];
    if (++index[axis] < s->extent[axis]) return true;
    for (int i = 0; i < s->operands; i++) at[i] -= s->step[i][axis] * s->extent[axis];
    index[axis] = 0;
  }
  return false;
}

static void eval_elementwise(const Node *n, const Tensor *const *in, Tensor *out) {
  Sweep s = {.node = n, .operands = n->nin, .axes = n->type.rank + 1};
  int64_t index[AXES] = {0}, at[SIG_OPERANDS] = {0};
  double *to = out->data;
  s.extent[0] = out->n;
  for (int i = 0; i < n->type.rank; i++) s.extent[1 + i] = n->type.dim[i];
  for (int i = 0; i < n->nin; i++) {
    s.in[i] = in[i]->data;
    broadcast_steps(in[i], &n->type, s.step[i]);
  }
  do to = sweep_row(&s, at, to);
  while (sweep_advance(&s, index, at));
}

static void eval_node(Interp *p, const Node *n, const Tensor **in) {
  for (int i = 0; i < n->nin; i++) in[i] = n->in[i] ? &p->value[n->in[i]->id] : NULL;
  Tensor *out = &p->value[n->id];
  if (op_info[n->op].kind == KIND_ELEMENTWISE)
    eval_elementwise(n, in, out);
  else
    op_info[n->op].eval(n, in, out, &p->context);
}

/* ---- rounding by chance ---- */

static double of_word(uint64_t word) {
  double x;
  memcpy(&x, &word, sizeof x);
  return x;
}

/* To one of the `room` nearest on either side. A value with no more bits than that stays, so data
 * that is moved, compared or counted does too. */
static double round_by_chance(double x, int dropped, int room, uint64_t random) {
  uint64_t low = ((uint64_t)1 << dropped) - 1, word;
  if (!isfinite(x)) return x;
  memcpy(&word, &x, sizeof word);
  if (!(word & low)) return x;
  double below = of_word(word & ~low), above = of_word((word & ~low) + low + 1);
  int steps = (int)(random % (2 * (uint64_t)room)) + 1 - room;
  if (room > 1 && isfinite(above))
    x = below + steps * (above - below);
  else
    x = random & 1 ? above : below;
  return dropped >= 29 && !isinf(x) ? (double)(float)x : x; /* f32 has fewer exponents too */
}

static void round_value(Interp *p, Tensor *v) {
  int64_t count = v->n * type_elements(&v->type);
  for (int64_t i = 0; p->dropped && i < count; i++) {
    p->chance = p->chance * 6364136223846793005u + 1442695040888963407u;
    v->data[i] = round_by_chance(v->data[i], p->dropped, p->room, p->chance >> 33);
  }
}

static int most_operands(const Graph *g) {
  int most = 0;
  for (int i = 0; i < g->nodes.count; i++)
    if (g->nodes.at[i]->nin > most) most = g->nodes.at[i]->nin;
  return most;
}

bool interp_run(Interp *p, OpError *e) {
  Arena *scratch = arena_new();
  const Tensor **in = ARENA_ARRAY(scratch, const Tensor *, most_operands(p->flat));
  bool fine = true;
  for (int i = 0; fine && i < p->flat->nodes.count; i++) {
    Node *n = p->flat->nodes.at[i];
    if (op_info[n->op].kind == KIND_LEAF)
      fine = eval_leaf(p, n, e);
    else
      eval_node(p, n, in);
    round_value(p, &p->value[n->id]);
  }
  arena_free(scratch);
  return fine;
}

static void load_leaves(Interp *to, const Interp *from) {
  for (int i = 0; i < from->flat->nodes.count; i++) {
    if (op_info[from->flat->nodes.at[i]->op].kind != KIND_LEAF) continue;
    const Tensor *v = &from->value[i];
    memcpy(to->value[i].data, v->data, (size_t)(v->n * type_elements(&v->type)) * sizeof(double));
    to->bound[i] = from->bound[i];
  }
}

/* The same graph in storage of its own. */
static Interp *copy_graph(const Interp *p, Arena *a) {
  Interp *q = ARENA_NEW(a, Interp);
  OpError e = {.arena = a};
  *q = *p;
  q->arena = a;
  return allocate(q, &e) ? q : NULL;
}

static double distance(double x, double y) {
  if (x == y || (isnan(x) && isnan(y))) return 0;
  return isfinite(x) && isfinite(y) ? fabs(x - y) : INFINITY;
}

/* What has room moves as many times as far. */
static void widen(const Rounding *r, const Interp *rounded) {
  for (int i = 0; i < r->exact->flat->nodes.count; i++) {
    if (!r->spread[i]) continue;
    const Tensor *x = &r->exact->value[i], *y = &rounded->value[i];
    int64_t count = x->n * type_elements(&x->type);
    for (int64_t k = 0; k < count; k++)
      r->spread[i][k] = fmax(r->spread[i][k], distance(x->data[k], y->data[k]) / rounded->room);
  }
}

/* Every other run rounds each value by as much as compiled code may be off in it: a step at some
 * distance (of argmax, or of Adam's first update at gradient 0) is crossed only so. Rounded values
 * that the graph refuses say nothing. */
static void measure(Rounding *r) {
  Arena *scratch = arena_new();
  OpError e = {.arena = scratch};
  Interp *p = copy_graph(r->exact, scratch);
  for (int i = 0; p && i < r->runs; i++) {
    load_leaves(p, r->exact);
    p->dropped = r->bits < 53 ? 53 - r->bits : 0;
    p->chance = (uint64_t)i + 1;
    p->room = i & 1 ? ROUNDING_ROOM : 1;
    if (interp_run(p, &e)) widen(r, p);
  }
  arena_free(scratch);
}

/* Chance may leave one element alone, and move those beside it. */
static void level(Rounding *r) {
  for (int i = 0; i < r->exact->flat->nodes.count; i++) {
    const Tensor *v = &r->exact->value[i];
    int64_t count = r->spread[i] ? v->n * type_elements(&v->type) : 0;
    double most = 0;
    for (int64_t k = 0; k < count; k++)
      if (isfinite(r->spread[i][k])) most = fmax(most, r->spread[i][k]);
    for (int64_t k = 0; k < count; k++)
      if (isfinite(r->spread[i][k])) r->spread[i][k] = most;
  }
}

static void open_spreads(Rounding *r) {
  const Interp *p = r->exact;
  r->spread = ARENA_ARRAY(r->arena, double *, p->flat->nodes.count);
  for (int i = 0; i < p->graph->results.count; i++) {
    const Node *n = p->of[p->graph->results.at[i].node->id];
    const Tensor *v = &p->value[n->id];
    if (!r->spread[n->id])
      r->spread[n->id] = ARENA_ARRAY(r->arena, double, v->n *type_elements(&v->type));
  }
}

const double *rounding_spread(Rounding *r, const Node *n) {
  if (!r->spread) {
    open_spreads(r);
    measure(r);
    level(r);
  }
  return r->spread[r->exact->of[n->id]->id];
}

const Tensor *interp_value(const Interp *p, const Node *n) { return &p->value[p->of[n->id]->id]; }

/* ---- random data ---- */

/* Indices without classes stay within every table and one-hot of the graph. */
static int64_t index_limit(const Graph *g) {
  int64_t limit = 10;
  for (int i = 0; i < g->nodes.count; i++) {
    const Node *n = g->nodes.at[i];
    int64_t bound;
    if (index_operand(n, &bound) && bound < limit) limit = bound;
  }
  return limit;
}

/* Uniform on (0, 1), by name and element. */
static double uniform(uint64_t seed, const Node *n, int64_t element) {
  uint32_t hash = 2166136261u; /* FNV-1a */
  for (const char *s = node_str(n, "name"); *s; s++) hash = (hash ^ (unsigned char)*s) * 16777619u;
  return (philox(seed, 0, hash, (uint64_t)element) + 0.5) / 4294967296.0;
}

/* A leaf's values are low + size * u, rounded down for integers. */
static void random_range(const Node *n, int64_t limit, double *low, double *size) {
  const Type *t = &n->type;
  *low = -1, *size = 2;
  if (n->op == OP_buffer) *low = 0.5, *size = 1;
  if (n->op == OP_target) *low = 0, *size = 1;
  if (t->elem == ELEM_U8) *low = 0, *size = 256;
  if (t->elem == ELEM_I32) *low = 0, *size = (double)limit;
  if ((n->op == OP_input || n->op == OP_target) && node_int(n, "classes"))
    *low = 0, *size = (double)node_int(n, "classes");
  if (n->op != OP_param || t->rank < 2) return;
  double bound = sqrt(3.0 * (double)t->dim[0] / (double)type_elements(t));
  *low = -bound, *size = 2 * bound;
}

static void randomize_leaf(Interp *p, const Node *n, uint64_t seed, int64_t limit) {
  int64_t count;
  double low, size, *data = leaf_storage(p, n, &count);
  bool whole = n->type.elem != ELEM_F32;
  random_range(n, limit, &low, &size);
  for (int64_t i = 0; i < count; i++) {
    double x = low + size * uniform(seed, n, i);
    data[i] = whole ? floor(x) : x;
  }
}

void interp_randomize(Interp *p, uint64_t seed) {
  int64_t limit = index_limit(p->flat);
  for (int i = 0; i < p->flat->nodes.count; i++) {
    Node *n = p->flat->nodes.at[i];
    if (p->bound[i]) continue;
    if (is_named(n)) randomize_leaf(p, n, seed, limit);
    if (n->op == OP_hyper)
      *leaf_storage(p, n, NULL) = strcmp(node_str(n, "name"), "lr") ? 0.19 : 0.01;
  }
}
