#include "passes/memory.h"

#include <string.h>

int memory_dim(const Node *n, int i) { return n->ordered ? n->order[i] : i; }

bool memory_same_order(const Node *a, const Node *b) {
  if (a->type.rank != b->type.rank) return false;
  for (int i = 0; i < a->type.rank; i++)
    if (memory_dim(a, i) != memory_dim(b, i)) return false;
  return true;
}

Memory memory_own(const Node *n) {
  Memory m = {.owner = n};
  int64_t step = 1;
  for (int i = n->type.rank - 1; i >= 0; i--) {
    int d = memory_dim(n, i);
    m.stride[d] = step;
    step *= n->type.dim[d];
  }
  m.batch = n->type.batched ? step : 0;
  return m;
}

bool memory_is_view(const Memory *m, const Node *n) { return m->owner != n; }

bool memory_is_dense(const Memory *m, const Node *n) {
  Memory own = memory_own(n);
  if (m->offset || m->batch != own.batch) return false;
  for (int d = 0; d < n->type.rank; d++)
    if (n->type.dim[d] > 1 && m->stride[d] != own.stride[d]) return false;
  return true;
}

void memory_broadcast(const Memory *m, const Type *t, const Type *domain, int64_t *out) {
  out[0] = domain->batched && t->batched ? m->batch : 0;
  int shift = domain->rank - t->rank;
  for (int d = 0; d < domain->rank; d++) {
    int o = d - shift;
    out[1 + d] = o >= 0 && t->dim[o] == domain->dim[d] && t->dim[o] > 1 ? m->stride[o] : 0;
  }
}

static bool view_permute(const Node *n, const Memory *x, Memory *m) {
  const int64_t *order = node_ints(n, "order");
  for (int d = 0; d < n->type.rank; d++) m->stride[d] = x->stride[order[d]];
  return true;
}

static bool view_cut(const Node *n, const Memory *x, Memory *m) {
  const int64_t *start = node_ints(n, "start"), *step = node_ints(n, "step");
  for (int d = 0; d < n->type.rank; d++) {
    m->offset += start[d] * x->stride[d];
    m->stride[d] = step[d] * x->stride[d];
  }
  return true;
}

static bool view_broadcast(const Node *n, const Memory *x, Memory *m) {
  int64_t stride[1 + LIMIT_RANK];
  memory_broadcast(x, &n->in[0]->type, &n->type, stride);
  m->batch = stride[0];
  memcpy(m->stride, stride + 1, sizeof m->stride);
  return true;
}

/* A stretch of old dimensions that lies contiguously in memory, being cut into new dimensions from
 * the inside. */
typedef struct {
  const Type *from;
  const Memory *x;
  int i;            /* the next old dimension outwards */
  int64_t elements; /* in the stretch */
  int64_t step;     /* stride of its innermost dimension */
  int64_t next;     /* the stride that would continue it outwards */
} Stretch;

static bool stretch_grow(Stretch *s) {
  while (s->i >= 0 && s->from->dim[s->i] == 1) s->i--;
  if (s->i < 0) return false;
  if (s->elements == 1) {
    s->step = s->x->stride[s->i];
  } else if (s->x->stride[s->i] != s->next) {
    return false;
  }
  s->next = s->x->stride[s->i] * s->from->dim[s->i];
  s->elements *= s->from->dim[s->i--];
  return true;
}

/* Walks the new shape from the innermost dimension; each new dimension must divide a stretch. */
static bool view_reshape(const Node *n, const Memory *x, Memory *m) {
  Stretch s = {.from = &n->in[0]->type, .x = x, .i = n->in[0]->type.rank - 1, .elements = 1};
  int64_t taken = 1;
  for (int j = n->type.rank - 1; j >= 0; j--) {
    if (n->type.dim[j] == 1) continue;
    if (taken == s.elements) { /* a new stretch */
      taken = s.elements = 1;
      if (!stretch_grow(&s)) return false;
    }
    while (s.elements % (taken * n->type.dim[j]))
      if (!stretch_grow(&s)) return false;
    m->stride[j] = s.step * taken;
    taken *= n->type.dim[j];
  }
  return true;
}

typedef bool ViewRule(const Node *n, const Memory *x, Memory *m);

static ViewRule *const view_rule[OP_COUNT] = {
    [OP_permute] = view_permute,
    [OP_cut] = view_cut,
    [OP_broadcast] = view_broadcast,
    [OP_reshape] = view_reshape,
};

static Memory memory_of(const Node *n, const Memory *all) {
  if (view_rule[n->op]) {
    const Memory *x = &all[n->in[0]->id];
    Memory m = {.owner = x->owner, .offset = x->offset, .batch = x->batch};
    if (view_rule[n->op](n, x, &m)) return m;
  }
  return memory_own(n);
}

Memory *memory_map(const Graph *g, Arena *a) {
  Memory *all = ARENA_ARRAY(a, Memory, g->nodes.count + 1);
  for (int i = 0; i < g->nodes.count; i++) all[i] = memory_of(g->nodes.at[i], all);
  return all;
}

int64_t elem_bytes(Elem e, int real_bytes) {
  static const int64_t bytes[] = {[ELEM_F32] = 0, [ELEM_U8] = 1, [ELEM_I32] = 4};
  return e == ELEM_F32 ? real_bytes : bytes[e];
}
