/* Text and normal form of pointwise specifications. */
#include "codegen/spec.h"

#include <string.h>

#include "codegen/body.h"

/* ---- text ---- */

void spec_view_text(Str *out, const View *view, int rank) {
  str_printf(out, "[%d:%d+%lld", view->slot, (int)view->elem, (long long)view->offset);
  for (int d = 0; d < rank; d++) str_printf(out, ",%lld", (long long)view->stride[d]);
  str_put(out, "]");
}

static void attr_text(Str *out, const Attr *a) {
  str_printf(out, "(%lld,%a,%s,%a,%a", (long long)a->i, a->f, a->s ? a->s : "", a->init.a,
             a->init.b);
  for (int i = 0; i < a->n; i++) str_printf(out, ",%lld", (long long)a->v[i]);
  str_put(out, ")");
}

void spec_node_text(Str *out, const Node *node) {
  str_put(out, op_info[node->op].name);
  int n = node->attr ? op_signature(node->op)->nattrs : 0;
  for (int i = 0; i < n; i++) attr_text(out, &node->attr[i]);
}

static void value_text(Str *out, const BodyValue *v, int rank) {
  str_printf(out, ";%d", (int)v->kind);
  if (v->kind == BODY_OP) spec_node_text(out, v->node);
  for (int i = 0; i < body_arguments(v); i++) str_printf(out, " %%%d", v->arg[i]);
  bool numbered = v->kind == BODY_CONSTANT || v->kind == BODY_INTEGER || v->kind == BODY_GATHER;
  if (numbered) str_printf(out, " %a", v->number);
  if (v->kind == BODY_COORD) str_printf(out, " d%d", v->dim);
  if (v->kind == BODY_UNIFORM) str_printf(out, " s%u", v->stream);
  if (v->kind == BODY_GATHER) str_printf(out, " x%lld", (long long)v->view_step);
  if (body_viewed(v)) spec_view_text(out, &v->view, rank);
}

void spec_text(Str *out, const PointwiseSpec *s) {
  for (int d = 0; d < s->rank; d++)
    str_printf(out, "%s%lldn+%lld%s", d ? "x" : "", (long long)s->extent[d].each,
               (long long)s->extent[d].fixed, s->nreduces && s->reduced[d] ? "r" : "");
  for (int i = 0; i < s->nvalues; i++) value_text(out, &s->value[i], s->rank);
  for (int i = 0; i < s->nstores; i++) {
    str_printf(out, ";=%d", s->store[i].value);
    spec_view_text(out, &s->store[i].view, s->rank);
  }
  for (int i = 0; i < s->nreduces; i++) {
    str_printf(out, ";r%d=%d", (int)s->reduce[i].kind, s->reduce[i].value);
    spec_view_text(out, &s->reduce[i].view, s->rank);
  }
  if (s->nreduces) str_printf(out, ";t%d", s->scratch);
}

/* ---- normal form ---- */

/* A copy whose views may be changed. */
typedef struct {
  PointwiseSpec spec;
  BodyValue *value;
  BodyStore *store;
  BodyReduce *reduce;
} Copy;

static Copy copy_of(Arena *a, const PointwiseSpec *s) {
  Copy c = {*s, ARENA_ARRAY(a, BodyValue, s->nvalues + 1),
            ARENA_ARRAY(a, BodyStore, s->nstores + 1), ARENA_ARRAY(a, BodyReduce, s->nreduces + 1)};
  if (s->nvalues) memcpy(c.value, s->value, (size_t)s->nvalues * sizeof *c.value);
  if (s->nstores) memcpy(c.store, s->store, (size_t)s->nstores * sizeof *c.store);
  if (s->nreduces) memcpy(c.reduce, s->reduce, (size_t)s->nreduces * sizeof *c.reduce);
  c.spec.value = c.value;
  c.spec.store = c.store;
  c.spec.reduce = c.reduce;
  return c;
}

static View *view_of(Copy *c, int i) {
  if (i < c->spec.nvalues) return &c->value[i].view;
  i -= c->spec.nvalues;
  return i < c->spec.nstores ? &c->store[i].view : &c->reduce[i - c->spec.nstores].view;
}

static int view_count(const Copy *c) {
  return c->spec.nvalues + c->spec.nstores + c->spec.nreduces;
}

/* Takes dimension d out; its index is 0 in what stays. */
static void drop(Copy *c, int d) {
  PointwiseSpec *s = &c->spec;
  for (int i = 0; i < view_count(c); i++) {
    View *v = view_of(c, i);
    memmove(&v->stride[d], &v->stride[d + 1], (size_t)(VIEW_RANK - 1 - d) * sizeof v->stride[0]);
  }
  for (int i = 0; i < s->nvalues; i++) {
    BodyValue *v = &c->value[i];
    if (v->kind != BODY_COORD) continue;
    if (v->dim == d)
      *v = (BodyValue){.kind = BODY_INTEGER};
    else if (v->dim > d)
      v->dim--;
  }
  for (int e = d; e + 1 < s->rank; e++) {
    s->extent[e] = s->extent[e + 1];
    s->reduced[e] = s->reduced[e + 1];
  }
  s->rank--;
}

/* Whether dimensions d and d + 1 are one in every view. */
static bool joinable(Copy *c, int d) {
  const PointwiseSpec *s = &c->spec;
  if (s->extent[d + 1].each || (s->nreduces && s->reduced[d] != s->reduced[d + 1])) return false;
  for (int i = 0; i < s->nvalues; i++)
    if (c->value[i].kind == BODY_COORD && (c->value[i].dim == d || c->value[i].dim == d + 1))
      return false;
  int views = view_count(c) - (s->nreduces && s->reduced[d] ? s->nreduces : 0);
  for (int i = 0; i < views; i++) {
    const View *v = view_of(c, i);
    if (i < s->nvalues && !body_viewed(&c->value[i])) continue;
    if (v->stride[d] != v->stride[d + 1] * s->extent[d + 1].fixed) return false;
  }
  return true;
}

static void join(Copy *c, int d) {
  PointwiseSpec *s = &c->spec;
  Extent e = {s->extent[d].each * s->extent[d + 1].fixed,
              s->extent[d].fixed * s->extent[d + 1].fixed};
  drop(c, d);
  s->extent[d] = e;
}

PointwiseSpec spec_normal(Arena *a, const PointwiseSpec *spec) {
  Copy c = copy_of(a, spec);
  PointwiseSpec *s = &c.spec;
  for (int d = s->rank - 1; d >= 0; d--)
    if (s->extent[d].each == 0 && s->extent[d].fixed == 1) drop(&c, d);
  for (int d = s->rank - 2; d >= 0; d--)
    if (joinable(&c, d)) join(&c, d);
  if (!s->rank) {
    s->rank = 1;
    s->extent[0] = (Extent){0, 1};
    s->reduced[0] = false;
    for (int i = 0; i < view_count(&c); i++)
      memset(view_of(&c, i)->stride, 0, sizeof(View){0}.stride);
  }
  return *s;
}
