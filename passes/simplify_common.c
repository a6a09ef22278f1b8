/* Common subexpressions: a hash table of nodes by op, attributes and operands. */
#include <string.h>

#include "ir/text.h"
#include "passes/simplify.h"

struct Common {
  Node **slot;
  size_t mask;
  int used;
  Arena *arena;
};

Common *common_new(Arena *scratch, int count) {
  Common *c = ARENA_NEW(scratch, Common);
  size_t size = 64;
  while (size < 2 * (size_t)count + 2) size *= 2;
  *c = (Common){.slot = ARENA_ARRAY(scratch, Node *, size), .mask = size - 1, .arena = scratch};
  return c;
}

static uint64_t mix(uint64_t h, uint64_t x) { return (h ^ x) * 0x9e3779b97f4a7c15u ^ (h >> 29); }

static uint64_t hash_attr(uint64_t h, const Attr *a) {
  uint64_t bits;
  memcpy(&bits, &a->f, sizeof bits);
  h = mix(mix(h, (uint64_t)a->i), bits);
  for (int i = 0; i < a->n; i++) h = mix(h, (uint64_t)a->v[i]);
  return h;
}

/* The same for both orders of operands where the op commutes. */
static uint64_t hash_node(const Node *n) {
  uint64_t h = mix(0x243f6a8885a308d3u, n->op), sum = 0;
  for (int i = 0; i < op_signature(n->op)->nattrs; i++) h = hash_attr(h, &n->attr[i]);
  for (int i = 0; i < n->nin; i++) {
    uint64_t id = n->in[i] ? (uint64_t)n->in[i]->id + 1 : 0;
    if (op_commutes(n->op))
      sum += id * id;
    else
      h = mix(h, id);
  }
  h = mix(h, sum);
  return h ^ h >> 32;
}

static bool same_operands(const Node *a, const Node *b) {
  if (a->nin != b->nin) return false;
  if (op_commutes(a->op) && a->in[0] == b->in[1] && a->in[1] == b->in[0]) return true;
  return !a->nin || !memcmp(a->in, b->in, (size_t)a->nin * sizeof *a->in);
}

static bool same_node(const Node *a, const Node *b) {
  if (a->op != b->op || !same_operands(a, b) || !type_equal(&a->type, &b->type)) return false;
  for (int i = 0; i < op_signature(a->op)->nattrs; i++)
    if (!attr_equal(&a->attr[i], &b->attr[i])) return false;
  return true;
}

static void put(Common *c, Node *n) {
  size_t i = hash_node(n) & c->mask;
  while (c->slot[i]) i = (i + 1) & c->mask;
  c->slot[i] = n;
}

static void grow(Common *c) {
  Node **old = c->slot;
  size_t count = c->mask + 1;
  c->mask = 2 * count - 1;
  c->slot = ARENA_ARRAY(c->arena, Node *, 2 * count);
  for (size_t i = 0; i < count; i++)
    if (old[i]) put(c, old[i]);
}

Node *common_keep(Common *c, Node *n) {
  for (size_t i = hash_node(n) & c->mask; c->slot[i]; i = (i + 1) & c->mask)
    if (same_node(c->slot[i], n)) return c->slot[i];
  if (2 * (size_t)++c->used > c->mask) grow(c);
  put(c, n);
  return n;
}
