#include <math.h>
#include <string.h>

#include "netgen.h"

/* ---- random numbers: splitmix64 ---- */

uint64_t rng_next(Rng *r) {
  uint64_t x = r->state += 0x9E3779B97F4A7C15u;
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
  x = (x ^ x >> 27) * 0x94D049BB133111EBu;
  return x ^ x >> 31;
}

int64_t rng_int(Rng *r, int64_t low, int64_t high) {
  return low + (int64_t)(rng_next(r) % (uint64_t)(high - low + 1));
}

bool rng_chance(Rng *r, int percent) { return rng_int(r, 0, 99) < percent; }

double rng_decimal(Rng *r, double low, double high) {
  return rint(100 * (low + (high - low) * (double)rng_int(r, 0, 1000) / 1000)) / 100;
}

/* ---- lists of integers, by the attribute's name ---- */

typedef struct {
  int n;
  int64_t v[16];
} List;

typedef void DrawList(Rng *r, const Type *x, List *out);

/* The elements of x in other dimensions, now and then with -1 for one of them. */
static void draw_shape(Rng *r, const Type *x, List *out) {
  int64_t left = type_elements(x);
  while (left > 1 && out->n < 5) {
    int64_t d = rng_int(r, 1, left < 12 ? left : 12);
    if (left % d == 0) out->v[out->n++] = d, left /= d;
  }
  if (left > 1 || (!out->n && rng_chance(r, 50))) out->v[out->n++] = left;
  if (out->n && rng_chance(r, 20)) out->v[rng_int(r, 0, out->n - 1)] = -1;
}

static void draw_order(Rng *r, const Type *x, List *out) {
  out->n = x->rank;
  for (int i = 0; i < x->rank; i++) out->v[i] = i;
  for (int i = x->rank - 1; i > 0; i--) {
    int64_t j = rng_int(r, 0, i), t = out->v[i];
    out->v[i] = out->v[j], out->v[j] = t;
  }
  for (int i = 0; i < x->rank; i++)
    if (rng_chance(r, 15)) out->v[i] -= x->rank;
}

static void draw_subset(Rng *r, const Type *x, List *out) {
  for (int d = 0; d < x->rank; d++)
    if (rng_chance(r, 45)) out->v[out->n++] = d;
}

static void draw_start(Rng *r, const Type *x, List *out) {
  out->n = x->rank;
  for (int d = 0; d < x->rank; d++)
    out->v[d] = rng_chance(r, 50) ? 0 : rng_int(r, 0, (x->dim[d] - 1) / 2);
}

static void draw_box(Rng *r, const Type *x, List *out) {
  out->n = x->rank;
  for (int d = 0; d < x->rank; d++) out->v[d] = rng_int(r, 1, (x->dim[d] + 1) / 2);
}

static void draw_step(Rng *r, const Type *x, List *out) {
  out->n = x->rank;
  for (int d = 0; d < x->rank; d++) out->v[d] = rng_chance(r, 70) ? 1 : rng_int(r, 1, 3);
}

static void draw_margin(Rng *r, const Type *x, List *out) {
  out->n = x->rank;
  for (int d = 0; d < x->rank; d++) out->v[d] = rng_chance(r, 50) ? 0 : rng_int(r, 0, 2);
}

static void draw_pads(Rng *r, const Type *x, List *out) {
  (void)x;
  out->n = 4;
  for (int i = 0; i < 4; i++) out->v[i] = rng_chance(r, 40) ? 0 : rng_int(r, 0, 2);
}

static void draw_image(Rng *r, const Type *x, List *out) {
  (void)x;
  out->n = 2;
  for (int i = 0; i < 2; i++) out->v[i] = rng_int(r, 1, 9);
}

static void draw_one_dim(Rng *r, const Type *x, List *out) {
  out->n = x->rank > 0;
  if (x->rank) out->v[0] = rng_int(r, 0, x->rank - 1);
}

static void draw_none(Rng *r, const Type *x, List *out) { (void)r, (void)x, (void)out; }

static const struct {
  const char *name;
  DrawList *draw;
} lists[] = {
    {"shape", draw_shape},        {"order", draw_order},  {"dims", draw_subset},
    {"start", draw_start},        {"size", draw_box},     {"step", draw_step},
    {"low", draw_margin},         {"high", draw_margin},  {"inner", draw_margin},
    {"pads", draw_pads},          {"out", draw_image},    {"contract_a", draw_one_dim},
    {"contract_b", draw_one_dim}, {"batch_a", draw_none}, {"batch_b", draw_none},
};

static Attr draw_list(Rng *r, Arena *a, const SigAttr *s, const Type *x) {
  List l = {0};
  DrawList *draw = draw_subset;
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
    if (!strcmp(lists[i].name, s->name)) draw = lists[i].draw;
  draw(r, x, &l);
  int64_t *v = ARENA_ARRAY(a, int64_t, l.n + 1);
  memcpy(v, l.v, (size_t)l.n * sizeof *v);
  return attr_ints(l.n, v);
}

/* ---- one number ---- */

typedef struct {
  const char *name;
  double low, high;
} Range;

static const Range ranges[] = {
    {"out", 1, 17},      {"count", 3, 9},      {"width", 1, 9},
    {"classes", 3, 6},   {"groups", 1, 3},     {"stream", 0, 5},
    {"start", -4, 4},    {"end", -2, 12},      {"step", 1, 3},
    {"lo", -1.5, -0.1},  {"hi", 0.1, 1.5},     {"lower", 0.05, 0.3},
    {"upper", 0.3, 0.6}, {"slope", -0.3, 0.9}, {"exponent", -1.5, 3},
    {"keep", 0.3, 0.9},  {"p", 0, 0.8},        {"eps", 0.01, 0.3},
    {"alpha", 0.2, 1.5}, {"delta", 0.1, 2},    {"label_smoothing", 0, 0.4},
    {"momentum", 0, 1},  {"value", -2, 2},
};

static Range range_of(const SigAttr *s, double low, double high) {
  for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
    if (!strcmp(ranges[i].name, s->name)) return ranges[i];
  return (Range){s->name, low, high};
}

static double draw_float(Rng *r, const SigAttr *s) {
  Range x = range_of(s, 0.1, 1);
  if (rng_chance(r, 25) && !strcmp(s->name, "exponent")) return (double)rng_int(r, -1, 3);
  return rng_decimal(r, x.low, x.high);
}

static int64_t draw_int(Rng *r, const SigAttr *s) {
  Range x = range_of(s, 1, 4);
  return rng_int(r, (int64_t)x.low, (int64_t)x.high);
}

/* Kernels, strides, paddings, sizes. */
static Attr draw_pair(Rng *r, Arena *a, const SigAttr *s) {
  int64_t *v = ARENA_ARRAY(a, int64_t, 2);
  int64_t low = strcmp(s->name, "padding") ? 1 : 0;
  int64_t high = strcmp(s->name, "kernel") ? low + 2 : rng_chance(r, 20) ? 6 : 3;
  v[0] = v[1] = rng_int(r, low, high);
  if (rng_chance(r, 50)) v[1] = rng_int(r, low, high);
  Attr pair = attr_pair(v);
  if (s->kind != ATTR_PADS) return pair;
  pair.kind = ATTR_PADS;
  if (rng_chance(r, 25)) pair.n = -1;
  return pair;
}

/* One pair a dimension. */
static Attr draw_pairs(Rng *r, Arena *a, const Type *x) {
  int64_t *v = ARENA_ARRAY(a, int64_t, 2 * x->rank + 1);
  for (int i = 0; i < 2 * x->rank; i++) v[i] = rng_chance(r, 50) ? 0 : rng_int(r, -1, 2);
  return attr_pairs(2 * x->rank, v);
}

static int64_t draw_dim(Rng *r, const Type *x) {
  return rng_int(r, -x->rank, x->rank > 0 ? x->rank - 1 : 0);
}

Attr draw_attr(Rng *r, Arena *a, const SigAttr *s, int nin, Node *const *in) {
  static const Type scalar;
  const Type *x = nin && in[0] ? &in[0]->type : &scalar;
  if (!s->required && rng_chance(r, 45) && s->copies < 0) return s->value;
  if (s->kind == ATTR_INT) return attr_int(draw_int(r, s));
  if (s->kind == ATTR_FLOAT) return attr_float(draw_float(r, s));
  if (s->kind == ATTR_BOOL) return attr_bool(rng_chance(r, 50));
  if (s->kind == ATTR_DIM) return attr_dim(draw_dim(r, x));
  if (s->kind == ATTR_PAIR || s->kind == ATTR_PADS) return draw_pair(r, a, s);
  if (s->kind == ATTR_PAIRS) return draw_pairs(r, a, x);
  if (s->kind == ATTR_INTS) return draw_list(r, a, s, x);
  if (s->kind == ATTR_DIMS) {
    Attr list = draw_list(r, a, s, x);
    bool all = !list.n || rng_chance(r, 20);
    return attr_dims(all ? -1 : list.n, list.v);
  }
  if (s->kind == ATTR_WORDS) {
    int words = 0;
    while (words < SIG_WORDS && s->words[words]) words++;
    return attr_words(s->words[rng_int(r, 0, words - 1)]);
  }
  return s->value;
}
