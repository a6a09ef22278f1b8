/* Where the tests of derivatives take the operands of an op, and how they make scalars of its
 * value. */
#ifndef DLC_TESTS_IR_OP_POINTS_H
#define DLC_TESTS_IR_OP_POINTS_H

#include <math.h>

#include "ir/op.h"

static uint64_t random_state = 1;

/* splitmix64, in [0, 1) */
static inline double uniform(void) {
  uint64_t z = random_state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

static inline double between(double lo, double hi) { return lo + (hi - lo) * uniform(); }

/* At least 0.15 away from every multiple of 0.5: no row has its kinks elsewhere. */
static inline double nonzero(void) { return (floor(between(-16, 16)) + between(0.3, 0.7)) / 2; }

/* Distinct numbers 0.3 apart in random order, over all operands of a case. */
static inline double distinct(void) {
  static int order[512], used = 512;
  if (used == 512) {
    for (int i = 0; i < 512; i++) {
      int k = (int)between(0, i + 1);
      order[i] = order[k];
      order[k] = i;
    }
    used = 0;
  }
  return (order[used++] - 256) * 0.3 + between(0, 0.02);
}

static inline double draw_point(OpDomain domain) {
  static const double range[][2] = {[DOMAIN_ANY] = {-2, 2},
                                    [DOMAIN_POSITIVE] = {0.3, 2.5},
                                    [DOMAIN_UNIT] = {0.1, 0.9},
                                    [DOMAIN_LABEL] = {-2, 2}};
  if (domain == DOMAIN_NONZERO) return nonzero();
  if (domain == DOMAIN_DISTINCT) return distinct();
  return between(range[domain][0], range[domain][1]);
}

/* A leaf of that type that the test fills. */
static inline Node *leaf_like(Graph *g, const char *name, const Type *t) {
  Attr shape = attr_ints(t->rank, t->dim);
  if (!t->batched) {
    Attr attr[] = {attr_str(name), shape, attr_init((Init){INIT_CONSTANT, 0, 0}), attr_bool(true)};
    return ir_make(g, OP_param, 0, NULL, attr);
  }
  Attr attr[] = {attr_str(name), attr_int(0), shape, attr_words("f32")};
  return ir_make(g, OP_input, 0, NULL, attr);
}

/* <a, b> over all elements and samples. */
static inline Node *inner(Graph *g, Node *a, Node *b) {
  int64_t dims[LIMIT_RANK];
  Node *p = ir_binary(g, OP_mul, a, b);
  for (int d = 0; d < p->type.rank; d++) dims[d] = d;
  return ir_sum(g, p, p->type.rank, dims, p->type.batched);
}

#endif
