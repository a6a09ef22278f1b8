/* layout: the memory order of every tensor's dimensions.
 *
 * Users see images as [C, H, W]; in memory they are [H, W, C], convolution weights [KH, KW, I, O]
 * and the weights of linear layers [in, out]. The pass seeds these orders where convolutions, pools
 * and products ask for them and spreads them over everything that computes element by element with
 * a seeded tensor, so that one order meets itself; what no seed reaches keeps 0, 1, 2, ...
 *
 * Needs: only LEAF, ELEMENTWISE and PRIMITIVE nodes. Keeps: all values and types. Sets: order. */
#include <string.h>

#include "ir/op.h"
#include "passes/pass.h"

typedef struct {
  Graph *graph;
  VEC(Node *) work; /* nodes whose order was set and has not been spread yet */
  Arena *scratch;
  VEC(Node *) * users; /* by id */
  VEC(Node *) *
      partners; /* by id: the other side of an ASSIGN or GRAD result, whose memory it may become */
} Layout;

typedef struct {
  uint8_t at[LIMIT_RANK];
} Order;

static const Order image = {{1, 2, 0}};
static const Order conv_weights = {{2, 3, 1, 0}};
static const Order linear_weights = {{1, 0}};

static bool is_user_memory(const Node *n) { return n->op == OP_input || n->op == OP_target; }

/* Inputs and targets come row-major; a reshape that has to copy writes row-major, and so does
 * put_rows where a row is more than a vector. */
static bool is_row_major(const Node *n) {
  return is_user_memory(n) || n->op == OP_constant || n->op == OP_reshape ||
         (n->op == OP_put_rows && n->type.rank != 2);
}

static void set_order(Layout *l, Node *n, const Order *o) {
  /* A permute has its operand. NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
  if (n->ordered || is_row_major(n)) return;
  memcpy(n->order, o->at, sizeof n->order);
  n->ordered = true;
  vec_push(l->scratch, &l->work, n);
}

/* ---- seeds ---- */

static void seed_image(Layout *l, Node *n) {
  if (n->type.rank == 3) set_order(l, n, &image);
}

static void seed_conv(Layout *l, Node *n) {
  seed_image(l, n->in[0]);
  set_order(l, n->in[1], &conv_weights);
  seed_image(l, n);
}

static void seed_conv_weight(Layout *l, Node *n) {
  seed_image(l, n->in[0]);
  seed_image(l, n->in[1]);
  set_order(l, n, &conv_weights);
}

static void seed_pool(Layout *l, Node *n) {
  for (int i = 0; i < n->nin; i++) seed_image(l, n->in[i]);
  seed_image(l, n);
}

static void seed_dot(Layout *l, Node *n) {
  Node *w = n->in[1];
  if (w->op == OP_param && w->type.rank == 2 && node_attr(n, "contract_b")->n == 1 &&
      node_ints(n, "contract_b")[0] == 1)
    set_order(l, w, &linear_weights);
}

typedef void Seed(Layout *l, Node *n);

/* Convolutions come first: where two seeds meet, the earlier rule has set the order. */
static Seed *const seed_first[OP_COUNT] = {
    [OP_conv] = seed_conv,
    [OP_conv_input] = seed_conv,
    [OP_conv_weight] = seed_conv_weight,
};
static Seed *const seed_second[OP_COUNT] = {
    [OP_max_pool2d] = seed_pool,
    [OP_max_pool2d_put] = seed_pool,
    [OP_max_pool2d_take] = seed_pool,
    [OP_avg_pool2d] = seed_pool,
    [OP_avg_pool2d_put] = seed_pool,
    [OP_adaptive_avg_pool2d] = seed_pool,
    [OP_adaptive_avg_pool2d_put] = seed_pool,
    [OP_adaptive_max_pool2d] = seed_pool,
    [OP_adaptive_max_pool2d_put] = seed_pool,
    [OP_adaptive_max_pool2d_take] = seed_pool,
    [OP_dot_general] = seed_dot,
};

/* ---- spreading ---- */

static bool same_shape(const Node *a, const Node *b) {
  return a->type.rank == b->type.rank &&
         !memcmp(a->type.dim, b->type.dim, sizeof a->type.dim[0] * (size_t)a->type.rank);
}

/* Ops whose result is best in the order of operands of the same rank. */
static bool follows_operands(const Node *n) {
  return op_info[n->op].kind == KIND_ELEMENTWISE || n->op == OP_concat || n->op == OP_cut ||
         n->op == OP_surround || n->op == OP_random_mask || n->op == OP_random_uniform;
}

static bool elementwise_edge(const Node *user, const Node *operand) {
  if (!follows_operands(user) || user->type.rank != operand->type.rank) return false;
  return op_info[user->op].kind != KIND_ELEMENTWISE || same_shape(user, operand);
}

static void spread_permute(Layout *l, Node *from, Node *user) {
  const int64_t *p = node_ints(user, "order"); /* user dim d is from's dim p[d] */
  Order o = {{0}};
  for (int i = 0; i < from->type.rank; i++)
    for (int d = 0; d < user->type.rank; d++)
      if (p[d] == from->order[i]) o.at[i] = (uint8_t)d;
  set_order(l, user, &o);
}

static void spread_permute_back(Layout *l, Node *user) {
  const int64_t *p = node_ints(user, "order");
  Order o = {{0}};
  for (int i = 0; i < user->type.rank; i++) o.at[i] = (uint8_t)p[user->order[i]];
  set_order(l, user->in[0], &o);
}

static void spread(Layout *l, Node *n) {
  Order o;
  memcpy(o.at, n->order, sizeof o.at);
  for (int i = 0; i < n->nin; i++)
    if (n->in[i] && elementwise_edge(n, n->in[i])) set_order(l, n->in[i], &o);
  if (n->op == OP_permute) spread_permute_back(l, n);
  for (int i = 0; i < l->users[n->id].count; i++) {
    Node *user = l->users[n->id].at[i];
    if (elementwise_edge(user, n)) set_order(l, user, &o);
    if (user->op == OP_permute) spread_permute(l, n, user);
  }
  for (int i = 0; i < l->partners[n->id].count; i++) set_order(l, l->partners[n->id].at[i], &o);
}

static void seed_all(Layout *l, Seed *const *rules) {
  for (int i = 0; i < l->graph->nodes.count; i++) {
    Node *n = l->graph->nodes.at[i];
    if (rules[n->op]) rules[n->op](l, n);
  }
  while (l->work.count) spread(l, l->work.at[--l->work.count]);
}

/* A parameter whose order another program of the same artifact has fixed already. */
static void seed_preset(Layout *l) {
  for (int i = 0; i < l->graph->nodes.count; i++)
    if (l->graph->nodes.at[i]->ordered) vec_push(l->scratch, &l->work, l->graph->nodes.at[i]);
  while (l->work.count) spread(l, l->work.at[--l->work.count]);
}

/* `order` of an inner node that equals 0, 1, 2, ... is not worth printing. */
static void drop_trivial(Node *n) {
  for (int i = 0; i < n->type.rank; i++)
    if (n->order[i] != i) return;
  n->ordered = false;
}

static void find_neighbours(Layout *l, const Graph *g) {
  l->users = arena_alloc(l->scratch, (size_t)g->nodes.count + 1, sizeof *l->users);
  l->partners = arena_alloc(l->scratch, (size_t)g->nodes.count + 1, sizeof *l->partners);
  for (int i = 0; i < g->nodes.count; i++) {
    Node *n = g->nodes.at[i];
    for (int k = 0; k < n->nin; k++)
      if (n->in[k]) vec_push(l->scratch, &l->users[n->in[k]->id], n);
  }
  for (int i = 0; i < g->results.count; i++) {
    const Result *r = &g->results.at[i];
    if (!r->target || is_user_memory(r->target)) continue;
    vec_push(l->scratch, &l->partners[r->target->id], r->node);
    vec_push(l->scratch, &l->partners[r->node->id], r->target);
  }
}

void pass_layout(Graph *g, Arena *scratch, const PassOptions *options) {
  (void)options;
  Layout l = {.graph = g, .scratch = scratch};
  find_neighbours(&l, g);
  seed_preset(&l);
  seed_all(&l, seed_first);
  seed_all(&l, seed_second);
  for (int i = 0; i < g->nodes.count; i++)
    if (g->nodes.at[i]->ordered) drop_trivial(g->nodes.at[i]);
}
