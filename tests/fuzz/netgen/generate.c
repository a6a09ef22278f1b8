#include <math.h>
#include <string.h>

#include "ir/interp.h"
#include "netgen.h"

/* ---- leaves ---- */

static Node *leaf_of(Gen *g, Op op, const char *name, Elem elem, int rank, const int64_t *dim,
                     int64_t classes) {
  static const char *const words[] = {"f32", "u8", "i32"};
  Attr data[] = {attr_str(name), attr_int(classes), attr_ints(rank, dim), attr_words(words[elem])};
  Attr stored[] = {attr_str(name), attr_ints(rank, dim), attr_init((Init){INIT_NORMAL, 0, 0.5}),
                   attr_bool(true)};
  return ir_make(g->graph, op, 0, NULL, op == OP_param || op == OP_buffer ? stored : data);
}

Node *gen_leaf(Gen *g, Op op, Elem elem, int rank, const int64_t *dim, int64_t classes) {
  static const char letter[] = {[OP_input] = 'x', [OP_target] = 'y', [OP_param] = 'w'};
  return leaf_of(g, op, arena_printf(g->arena, "%c%d", letter[op], g->leaves++), elem, rank, dim,
                 classes);
}

/* ---- nodes ---- */

typedef struct {
  Gen *gen;
  const char *layer;
} Owner;

/* Now and then a declared parameter, an old one of that shape if there is one. */
static Node *shared_param(Gen *g, int rank, const int64_t *dim) {
  Type t = type_of(ELEM_F32, false, rank, dim);
  for (int i = 0; i < g->graph->nodes.count; i++) {
    Node *n = g->graph->nodes.at[i];
    if (n->op == OP_param && !strchr(node_str(n, "name"), '.') && type_equal(&n->type, &t))
      return n;
  }
  return gen_leaf(g, OP_param, ELEM_F32, rank, dim, 0);
}

static Node *make_param(Params *p, Op op, const char *name, int rank, const int64_t *dim,
                        Init init) {
  Owner *o = p->user;
  (void)init;
  if (op == OP_param && rng_chance(&o->gen->rng, 25)) return shared_param(o->gen, rank, dim);
  return leaf_of(o->gen, op, arena_printf(o->gen->arena, "%s.%s", o->layer, name), ELEM_F32, rank,
                 dim, 0);
}

static bool fill_params(Gen *g, Op op, int nin, Node **in, const Attr *attr, const char *label) {
  Owner owner = {g, label};
  Params p = {g->graph, make_param, &owner};
  OpError e = {.arena = g->arena, .operand = -1, .attribute = -1};
  Node n = {.op = op, .nin = nin, .in = in, .attr = (Attr *)attr};
  return op_info[op].params(&p, &n, in, &e);
}

Node *gen_node(Gen *g, Op op, int nin, Node *const *in, const Attr *attr) {
  int before = g->graph->nodes.count;
  Node **all = ARENA_ARRAY(g->arena, Node *, nin + 1);
  const char *label = NULL;
  OpError e = {.arena = g->arena};
  memcpy(all, in, (size_t)nin * sizeof *all);
  if (op_info[op].kind == KIND_LAYER) {
    label = arena_printf(g->arena, "%s%d", op_info[op].name, ++g->layers);
    if (!fill_params(g, op, nin, all, attr, label)) return g->graph->nodes.count = before, NULL;
  }
  Node *n = ir_try(g->graph, op, nin, all, attr, (Span){0}, &e);
  if (!n || type_elements(&n->type) > g->most) return g->graph->nodes.count = before, NULL;
  n->label = label;
  return n;
}

/* ---- magnitudes ---- */

/* The largest |value| on random data; infinite where one is not finite, 0 where the graph cannot be
 * interpreted. */
static double magnitude(Gen *g, const Node *n) {
  Arena *a = arena_new();
  OpError e = {.arena = a};
  double largest = 0;
  Interp *p = interp_new(a, g->graph, 2, false, &e);
  if (p) interp_randomize(p, 1);
  if (p && interp_run(p, &e)) {
    const Tensor *t = interp_value(p, n);
    for (int64_t i = 0; i < t->n * type_elements(&t->type); i++)
      largest = fmax(largest, isfinite(t->data[i]) ? fabs(t->data[i]) : INFINITY);
  }
  arena_free(a);
  return largest;
}

/* Neither huge nor, like the sum of what has been normalised, nothing but rounding. NULL for NULL.
 */
static Node *tamed(Gen *g, Node *n) {
  if (!n) return NULL;
  double size = magnitude(g, n);
  if (isinf(size) || (size > 0 && size < 1e-9)) return NULL;
  if (size < 15) return n;
  if (rng_chance(&g->rng, 40)) return gen_node(g, OP_tanh, 1, &n, NULL);
  double factor = size > 1000 ? 1e-3 : size > 100 ? 0.01 : 0.1;
  return gen_node(g, OP_mul, 2, (Node *[]){n, ir_constant(g->graph, factor)}, NULL);
}

/* ---- one op ---- */

static const struct {
  const char *section;
  int weight;
} sections[] = {{"elementwise", 4}, {"activation", 3},     {"reduction", 2},
                {"shape", 4},       {"linear_algebra", 3}, {"pooling", 2},
                {"random", 1},      {"loss", 1},           {"layer", 6}};

static bool may_draw(const Gen *g, const OpInfo *o) {
  return o->kind != KIND_LEAF && strcmp(o->name, "grad") != 0 && !(g->language && o->internal);
}

/* A section by weight, then a row of it. Sections that are not named above weigh 1. */
static Op draw_op(Gen *g) {
  for (;;) {
    Op op = (Op)rng_int(&g->rng, 0, OP_COUNT - 1);
    int weight = 1, rows = 0;
    if (!may_draw(g, &op_info[op])) continue;
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++)
      if (!strcmp(sections[i].section, op_info[op].section)) weight = sections[i].weight;
    for (int i = 0; i < OP_COUNT; i++)
      rows += may_draw(g, &op_info[i]) && !strcmp(op_info[i].section, op_info[op].section);
    if (rng_int(&g->rng, 0, 6 * rows) < weight) return op;
  }
}

static Node *try_op(Gen *g, Op op) {
  int before = g->graph->nodes.count, leaves = g->leaves, layers = g->layers, nin = 0;
  Node *in[SIG_OPERANDS + 4] = {0};
  Attr attr[SIG_ATTRS] = {{0}};
  Node *n = NULL;
  if (draw_operands(g, op, &nin, in, attr)) n = gen_node(g, op, nin, in, attr);
  n = tamed(g, n);
  if (!n) g->graph->nodes.count = before, g->leaves = leaves, g->layers = layers;
  return n;
}

static void add_op(Gen *g) {
  for (int tries = 0; tries < 20; tries++) {
    Op op = draw_op(g);
    for (int again = 0; again < 8; again++) {
      Node *n = try_op(g, op);
      if (!n) continue;
      vec_push(g->arena, &g->pool, n);
      return;
    }
  }
}

/* ---- beginning ---- */

static void add_input(Gen *g) {
  Rng *r = &g->rng;
  int64_t kind = rng_int(r, 0, 9),
          dim[3] = {rng_int(r, 1, 17), rng_int(r, 1, 12), rng_int(r, 1, 12)};
  int rank = kind == 0 ? 0 : kind < 5 ? 3 : kind < 7 ? 2 : 1;
  Elem elem = rng_chance(r, 80) ? ELEM_F32 : rng_chance(r, 60) ? ELEM_U8 : ELEM_I32;
  if (rank == 3) dim[0] = rng_int(r, 1, 5);
  Node *x = gen_leaf(g, OP_input, elem, rank, dim, 0);
  if (elem != ELEM_F32) x = tamed(g, gen_node(g, OP_real, 1, &x, NULL));
  if (x) vec_push(g->arena, &g->pool, x);
}

static void add_param(Gen *g) {
  int64_t dim[3] = {rng_int(&g->rng, 1, 9), rng_int(&g->rng, 1, 9), rng_int(&g->rng, 1, 5)};
  Node *w = gen_leaf(g, OP_param, ELEM_F32, (int)rng_int(&g->rng, 0, 3), dim, 0);
  vec_push(g->arena, &g->pool, w);
}

/* ---- scalars, and gradients of them ---- */

static Node *all_of(Gen *g, Op op, Node *x) {
  if (!x || !x->type.rank) return x;
  return gen_node(g, op, 1, &x, (Attr[]){attr_dims(-1, NULL), attr_bool(false)});
}

static Node *scalar_of(Gen *g, Node *x) {
  int64_t roll = rng_int(&g->rng, 0, 3);
  if (roll == 0 && x->type.batched) {
    Node *y = gen_leaf(g, OP_target, ELEM_F32, x->type.rank, x->type.dim, 0);
    return gen_node(g, OP_mse, 2, (Node *[]){x, y}, NULL);
  }
  return all_of(g, rng_chance(&g->rng, 70) ? OP_mean : OP_sum,
                roll == 1 ? x : gen_node(g, OP_square, 1, &x, NULL));
}

/* grad(s, t) of something on the way to s. */
static void add_grad(Gen *g) {
  Node *s = scalar_of(g, pool_pick(g)), *t = pool_pick(g);
  if (!s || t->op == OP_constant) return;
  if (s->type.batched != t->type.batched && rng_chance(&g->rng, 50)) return;
  Node *d = gen_node(g, OP_grad, 2, (Node *[]){s, t}, NULL);
  if (d) vec_push(g->arena, &g->pool, d);
}

/* ---- ending ---- */

/* Inference has no targets. */
static bool *by_target(Gen *g) {
  bool *from = ARENA_ARRAY(g->arena, bool, g->graph->nodes.count + 1);
  for (int i = 0; i < g->graph->nodes.count; i++) {
    const Node *n = g->graph->nodes.at[i];
    from[i] = n->op == OP_target;
    for (int k = 0; k < n->nin; k++) from[i] |= n->in[k] && from[n->in[k]->id];
  }
  return from;
}

static void add_outputs(Gen *g) {
  int64_t count = rng_int(&g->rng, 1, 3);
  const bool *from_target = by_target(g);
  for (int64_t i = 0; i < count; i++) {
    Node *n = pool_pick(g);
    if (from_target[n->id]) n = g->pool.at[0];
    ir_result(g->graph, RESULT_OUTPUT, arena_printf(g->arena, "out%lld", (long long)i), n, NULL);
  }
}

/* Every value that nothing uses becomes a term, so that no layer is dead. */
static void add_loss(Gen *g) {
  int *uses = ir_use_counts(g->graph, g->arena);
  Node *loss = NULL;
  for (int i = 0; i < g->pool.count; i++) {
    Node *x = g->pool.at[i];
    bool leaf = op_info[x->op].kind == KIND_LEAF;
    if (uses[x->id] || (leaf && g->pool.count > 1)) continue;
    Node *term = scalar_of(g, x);
    if (term) loss = loss ? gen_node(g, OP_add, 2, (Node *[]){loss, term}, NULL) : term;
  }
  if (!loss) loss = scalar_of(g, pool_pick(g));
  if (loss) ir_result(g->graph, RESULT_LOSS, "loss", loss, NULL);
}

static void add_metric(Gen *g) {
  Node *x = pool_pick(g);
  if (!x->type.batched || !x->type.rank || type_elements(&x->type) > 100) return;
  Node *y = rng_chance(&g->rng, 50) ? gen_leaf(g, OP_target, ELEM_F32, x->type.rank, x->type.dim, 0)
                                    : NULL;
  Node *m = NULL;
  if (y)
    m = gen_node(g, rng_chance(&g->rng, 50) ? OP_mse : OP_mae, 2, (Node *[]){x, y}, NULL);
  else if ((y = gen_leaf(g, OP_target, ELEM_I32, x->type.rank - 1, x->type.dim,
                         x->type.dim[x->type.rank - 1])))
    m = gen_node(g, rng_chance(&g->rng, 60) ? OP_accuracy : OP_top_k, 2, (Node *[]){x, y},
                 (Attr[]){attr_int(rng_int(&g->rng, 1, x->type.dim[x->type.rank - 1]))});
  if (m) ir_result(g->graph, RESULT_METRIC, arena_printf(g->arena, "m%d", g->leaves), m, NULL);
}

static void set_optimizer(Gen *g, const TrainRow *row) {
  Signature *s = ARENA_NEW(g->arena, Signature);
  signature_parse(g->arena, row->signature, s);
  Attr *attr = ARENA_ARRAY(g->arena, Attr, s->nattrs + 1);
  for (int i = 0; i < s->nattrs; i++) {
    bool decay = !strncmp(s->attr[i].name, "beta", 4) || !strcmp(s->attr[i].name, "alpha");
    attr[i] = draw_attr(&g->rng, g->arena, &s->attr[i], 0, NULL);
    if (decay) attr[i] = attr_float(rng_decimal(&g->rng, 0.5, 0.99));
    if (!strcmp(s->attr[i].name, "lr")) attr[i] = attr_float(rng_decimal(&g->rng, 0.01, 0.2));
  }
  g->graph->train.optimizer = (TrainItem){row->name, attr};
}

static void add_train(Gen *g) {
  Train *t = &g->graph->train;
  int row;
  do row = (int)rng_int(&g->rng, 0, train_row_count - 1);
  while (train_rows[row].kind != TRAIN_OPTIMIZER);
  set_optimizer(g, &train_rows[row]);
  const Attr *momentum = train_attr(TRAIN_OPTIMIZER, &t->optimizer, "momentum");
  Attr *nesterov = (Attr *)train_attr(TRAIN_OPTIMIZER, &t->optimizer, "nesterov");
  if (nesterov && momentum->f <= 0) nesterov->i = 0; /* the frontend wants a momentum for it */
  t->present = true;
  t->batch = NETGEN_BATCH;
  if (rng_chance(&g->rng, 30)) t->clip_grad_norm = rng_decimal(&g->rng, 0.1, 3);
  if (rng_chance(&g->rng, 20)) t->warmup_steps = rng_int(&g->rng, 1, 9);
}

/* The smallest of three: most networks are quick, and every length comes. */
static int draw_length(Gen *g) {
  int64_t least = 40;
  for (int i = 0; i < 3; i++) {
    int64_t n = rng_int(&g->rng, 1, 40);
    if (n < least) least = n;
  }
  return (int)least;
}

Graph *netgen_graph(Arena *a, uint64_t seed, bool *language) {
  Gen g = {.arena = a, .graph = ir_graph_new(a, NULL, "net"), .most = 700};
  g.rng.state = rng_next(&(Rng){seed}); /* neighbours must not be one stream, shifted */
  g.language = *language = rng_chance(&g.rng, 60);
  int inputs = (int)rng_int(&g.rng, 1, 3), length = draw_length(&g);
  bool second = rng_chance(&g.rng, 15);
  while (g.pool.count < inputs) add_input(&g);
  for (int64_t i = rng_int(&g.rng, -2, 2); i > 0; i--) add_param(&g);
  for (int i = 0; i < length; i++) {
    add_op(&g);
    if (second && rng_chance(&g.rng, 15)) add_grad(&g);
  }
  if (!rng_chance(&g.rng, 5)) {
    add_loss(&g);
    if (rng_chance(&g.rng, 40)) add_metric(&g);
    if (rng_chance(&g.rng, 75)) add_train(&g);
  }
  add_outputs(&g);
  ir_tidy(g.graph);
  return g.graph;
}
