/* Memory of views: strides against the place of every element, on random shapes, orders and chains
 * of views. */
#include "tests/passes/fixture.h"

#include "passes/memory.h"

enum { SAMPLES = 2, ROUNDS = 400, CHAIN = 5 };

static uint64_t next_random(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return *state >> 33;
}
static int64_t below(uint64_t *r, int64_t n) { return (int64_t)(next_random(r) % (uint64_t)n); }

/* ---- a leaf whose elements are their own numbers ---- */

static Node *random_leaf(Graph *g, uint64_t *r) {
  int64_t dim[LIMIT_RANK];
  int rank = 1 + (int)below(r, 4);
  for (int d = 0; d < rank; d++) dim[d] = 1 + below(r, 4);
  Node *x = ir_make(g, OP_input, 0, NULL,
                    (Attr[]){attr_str("x"), attr_int(0), attr_ints(rank, dim), attr_words("f32")});
  for (int d = 0; d < rank; d++) x->order[d] = (uint8_t)d;
  for (int d = rank - 1; d > 0; d--) {
    int k = (int)below(r, d + 1);
    uint8_t t = x->order[d];
    x->order[d] = x->order[k], x->order[k] = t;
  }
  x->ordered = true;
  return x;
}

static Node *random_reshape(Graph *g, Node *x, uint64_t *r) {
  int64_t dim[LIMIT_RANK], left = type_elements(&x->type);
  int rank = 0;
  while (rank < 5 && (left > 1 || below(r, 3) == 0)) {
    int64_t d = 1 + below(r, left);
    while (left % d) d--;
    if (rank == 4) d = left;
    dim[rank++] = d;
    left /= d;
  }
  return ir_reshape(g, x, rank, dim);
}

static Node *random_permute(Graph *g, Node *x, uint64_t *r) {
  int64_t order[LIMIT_RANK];
  for (int d = 0; d < x->type.rank; d++) order[d] = d;
  for (int d = x->type.rank - 1; d > 0; d--) {
    int64_t k = below(r, d + 1), t = order[d];
    order[d] = order[k], order[k] = t;
  }
  return ir_permute(g, x, order);
}

static Node *random_cut(Graph *g, Node *x, uint64_t *r) {
  int64_t start[LIMIT_RANK], size[LIMIT_RANK], step[LIMIT_RANK];
  int rank = x->type.rank;
  for (int d = 0; d < rank; d++) {
    start[d] = below(r, x->type.dim[d]);
    step[d] = 1 + below(r, 3);
    int64_t most = (x->type.dim[d] - start[d] + step[d] - 1) / step[d];
    size[d] = 1 + below(r, most);
  }
  return ir_with(g, OP_cut, x, attr_ints(rank, start), attr_ints(rank, size),
                 attr_ints(rank, step));
}

static Node *random_broadcast(Graph *g, Node *x, uint64_t *r) {
  int64_t dim[LIMIT_RANK];
  int rank = 0;
  if (x->type.rank < 5 && below(r, 2)) dim[rank++] = 1 + below(r, 3);
  for (int d = 0; d < x->type.rank; d++)
    dim[rank++] = x->type.dim[d] == 1 ? 1 + below(r, 3) : x->type.dim[d];
  return ir_with(g, OP_broadcast, x, attr_ints(rank, dim), attr_bool(true));
}

/* ---- the place of an element ---- */

static int64_t place_of(const Memory *m, const Type *t, int64_t sample, int64_t element) {
  int64_t at = m->offset + sample * m->batch;
  for (int d = t->rank - 1; d >= 0; d--) {
    at += element % t->dim[d] * m->stride[d];
    element /= t->dim[d];
  }
  return at;
}

/* Where the elements of n lie in the leaf, by the interpreter. */
static int64_t true_place(const Interp *p, const Node *leaf, const Memory *own, const Node *n,
                          int64_t i) {
  int64_t e = type_elements(&leaf->type), v = (int64_t)interp_value(p, n)->data[i];
  return place_of(own, &leaf->type, v / e, v % e);
}

/* Could strides say where the elements of n lie? */
static bool strides_exist(const Interp *p, const Node *leaf, const Memory *own, const Node *n) {
  int64_t count = type_elements(&n->type), step = count;
  Memory m = {.offset = true_place(p, leaf, own, n, 0)};
  m.batch = true_place(p, leaf, own, n, count) - m.offset;
  for (int d = 0; d < n->type.rank; d++) {
    step /= n->type.dim[d];
    m.stride[d] = n->type.dim[d] > 1 ? true_place(p, leaf, own, n, step) - m.offset : 0;
  }
  for (int64_t i = 0; i < SAMPLES * count; i++)
    if (place_of(&m, &n->type, i / count, i % count) != true_place(p, leaf, own, n, i))
      return false;
  return true;
}

static void check_places(const Interp *p, const Node *leaf, const Memory *own, const Node *n,
                         const Memory *m) {
  int64_t count = type_elements(&n->type);
  for (int64_t i = 0; i < SAMPLES * count; i++)
    assert_int_equal(place_of(m, &n->type, i / count, i % count), true_place(p, leaf, own, n, i));
}

static void views_against_enumeration(void **state) {
  (void)state;
  static Node *(*const make[])(Graph *, Node *, uint64_t *) = {
      random_reshape, random_permute, random_cut, random_broadcast, random_reshape};
  uint64_t r = 1;
  int views = 0, copies = 0;
  for (int round = 0; round < ROUNDS; round++) {
    Arena *a = arena_new();
    Graph *g = ir_graph_new(a, NULL, "g");
    Node *leaf = random_leaf(g, &r), *n = leaf;
    for (int k = 0; k < CHAIN; k++) n = make[below(&r, 5)](g, n, &r);
    OpError e = {.arena = a};
    Interp *p = interp_new(a, g, SAMPLES, false, &e);
    int64_t count;
    double *x = interp_leaf(p, leaf, &count);
    for (int64_t i = 0; i < count; i++) x[i] = (double)i;
    run_again(p, a);
    Memory *all = memory_map(g, a), own = memory_own(leaf);
    bool view = true;
    for (int i = 1; i < g->nodes.count && view; i++) {
      n = g->nodes.at[i];
      view = all[i].owner == leaf;
      assert_true(view == strides_exist(p, leaf, &own, n));
      assert_true(view || (n->op == OP_reshape && all[i].owner == n));
      if (view) check_places(p, leaf, &own, n, &all[i]);
      view ? views++ : copies++;
    }
    arena_free(a);
  }
  assert_true(views > ROUNDS && copies > ROUNDS / 20); /* both kinds were met */
}

/* ---- the rest ---- */

static void own_memory_follows_the_order(void **state) {
  Arena *a = *state;
  Graph *g =
      parse(a,
            "graph g {\n %0 = input {name=\"x\", shape=[3,4,5], elem=\"f32\"} order [1,2,0]\n"
            " %1 = tanh(%0)\n output y = %1\n}\n");
  Memory m = memory_own(g->nodes.at[0]), row = memory_own(g->nodes.at[1]);
  assert_int_equal(m.stride[1], 15);
  assert_int_equal(m.stride[2], 3);
  assert_int_equal(m.stride[0], 1);
  assert_int_equal(m.batch, 60);
  assert_int_equal(row.stride[0], 20);
  assert_false(memory_same_order(g->nodes.at[0], g->nodes.at[1]));
  assert_true(memory_is_dense(&m, g->nodes.at[0]));
  assert_false(memory_is_dense(&m, g->nodes.at[1]));
}

static void dense_needs_no_offset_and_no_gap(void **state) {
  Arena *a = *state;
  Graph *g = parse(a,
                   "graph g {\n %0 = param {name=\"w\", shape=[4,6], init=constant(0)}\n"
                   " %1 = cut(%0) {start=[0,0], size=[2,6], step=[1,1]}\n"
                   " %2 = cut(%0) {start=[1,0], size=[2,6], step=[1,1]}\n"
                   " %3 = cut(%0) {start=[0,0], size=[2,6], step=[2,1]}\n"
                   " %4 = broadcast(%0) {shape=[4,6], batched=true}\n"
                   " output a = %1\n output b = %2\n output c = %3\n output d = %4\n}\n");
  Memory *all = memory_map(g, a);
  static const bool dense[] = {true, true, false, false, false};
  for (int i = 0; i < 5; i++) {
    assert_ptr_equal(all[i].owner, g->nodes.at[0]);
    assert_true(memory_is_dense(&all[i], g->nodes.at[i]) == dense[i]);
  }
}

static void broadcast_strides(void **state) {
  (void)state;
  Memory m = {.batch = 99, .stride = {7, 5, 3}};
  Type t = type_of(ELEM_F32, true, 3, (int64_t[]){2, 1, 4});
  Type domain = type_of(ELEM_F32, true, 4, (int64_t[]){6, 2, 3, 4});
  int64_t out[1 + LIMIT_RANK];
  memory_broadcast(&m, &t, &domain, out);
  static const int64_t want[] = {99, 0, 7, 0, 3};
  for (int i = 0; i < 5; i++) assert_int_equal(out[i], want[i]);
  t.batched = false;
  memory_broadcast(&m, &t, &domain, out);
  assert_int_equal(out[0], 0);
}

static void bytes_of_elements(void **state) {
  (void)state;
  assert_int_equal(elem_bytes(ELEM_F32, 4), 4);
  assert_int_equal(elem_bytes(ELEM_F32, 8), 8);
  assert_int_equal(elem_bytes(ELEM_U8, 8), 1);
  assert_int_equal(elem_bytes(ELEM_I32, 8), 4);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(views_against_enumeration),
      TEST(own_memory_follows_the_order),
      TEST(dense_needs_no_offset_and_no_gap),
      TEST(broadcast_strides),
      TEST(bytes_of_elements),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
