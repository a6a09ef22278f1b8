/* The algebra of the simplify pass: one line a rule, "what is found" -> "what takes its place".
 *
 *   x y z s   any node (the same letter twice: the same node)      c d   a constant, or one
 * broadcast 1 -1 0.5  that constant                                        op(a, b; 2)   an op, its
 * attributes after ';'
 *
 * Operands of add, mul, minimum, maximum and equal match in either order. The result is broadcast
 * to the type of what it replaces. Rules hold for NaN and infinities (so x * 0 and x - x stay) and
 * for all but the sign of a zero; what they change beyond that is rounding, and over- and underflow
 * on the way to a result. They may take some away, and bring none but near the ends of f32's range:
 * where a constant changes places (factor_moves), or where x +- y stands before s. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "passes/simplify.h"

typedef bool Guard(Node *const *bound);

static Guard s_is_small, c_comes_out, d_divides, cd_is_ordinary, d_goes_in, c_is_negative,
    x_is_bits;

static const struct {
  const char *found, *made;
  Guard *guard;
} line[] = {
    {"identity(x)", "x", NULL},
    {"detach(x)", "x", NULL},
    {"add(x, 0)", "x", NULL},
    {"sub(x, 0)", "x", NULL},
    {"sub(0, x)", "neg(x)", NULL},
    {"mul(x, 1)", "x", NULL},
    {"mul(x, -1)", "neg(x)", NULL},
    {"div(x, 1)", "x", NULL},
    {"div(x, -1)", "neg(x)", NULL},
    {"pow(x; 0)", "1", NULL},
    {"pow(x; 1)", "x", NULL},
    {"pow(x; 2)", "square(x)", NULL},
    {"pow(x; -1)", "div(1, x)", NULL},

    {"neg(neg(x))", "x", NULL},
    {"neg(sub(x, y))", "sub(y, x)", NULL},
    {"neg(mul(x, c))", "mul(x, neg(c))", NULL},
    {"neg(mul(sub(x, y), z))", "mul(sub(y, x), z)", NULL},
    {"neg(div(sub(x, y), z))", "div(sub(y, x), z)", NULL},
    {"add(x, neg(y))", "sub(x, y)", NULL},
    {"sub(x, neg(y))", "add(x, y)", NULL},
    {"sub(neg(x), y)", "neg(add(x, y))", NULL},
    {"mul(neg(x), c)", "mul(x, neg(c))", NULL},
    {"mul(neg(x), y)", "neg(mul(x, y))", NULL},
    {"div(neg(x), y)", "neg(div(x, y))", NULL},
    {"div(x, neg(y))", "neg(div(x, y))", NULL},
    {"abs(neg(x))", "abs(x)", NULL},
    {"abs(abs(x))", "abs(x)", NULL},
    {"square(neg(x))", "square(x)", NULL},
    {"square(abs(x))", "square(x)", NULL},
    {"mul(x, x)", "square(x)", NULL},

    {"div(x, d)", "mul(x, div(1, d))", d_divides},
    {"mul(mul(x, c), d)", "mul(x, mul(c, d))", cd_is_ordinary},
    {"mul(mul(x, div(c, z)), d)", "mul(x, div(mul(c, d), z))", d_goes_in},
    {"mul(div(c, x), d)", "div(mul(c, d), x)", cd_is_ordinary},
    {"mul(mul(x, c), y)", "mul(mul(x, y), c)", c_comes_out},
    {"mul(sub(x, y), c)", "mul(sub(y, x), neg(c))", c_is_negative},
    {"mul(sub(x, y), div(c, z))", "mul(sub(y, x), div(neg(c), z))", c_is_negative},
    {"sub(mul(x, s), mul(y, s))", "mul(sub(x, y), s)", s_is_small},
    {"add(mul(x, s), mul(y, s))", "mul(add(x, y), s)", s_is_small},
    {"sub(div(x, s), div(y, s))", "div(sub(x, y), s)", s_is_small},
    {"add(div(x, s), div(y, s))", "div(add(x, y), s)", s_is_small},

    {"relu(relu(x))", "relu(x)", NULL},
    {"positive(positive(x))", "positive(x)", NULL},
    {"square(positive(x))", "positive(x)", NULL},
    {"minimum(x, x)", "x", NULL},
    {"maximum(x, x)", "x", NULL},
    {"select(x, y, y)", "y", NULL},
    {"select(x, y, 0)", "mul(x, y)", x_is_bits},
};
enum { LINES = sizeof line / sizeof line[0], LETTERS = 26 };

static Node *letter(Node *const *bound, char c) { return bound[c - 'a']; }

/* Factoring s out pays, and prints as a formula should, where s has fewer elements than what it
 * scales. */
static bool s_is_small(Node *const *bound) {
  const Type *s = &letter(bound, 's')->type, *x = &letter(bound, 'x')->type,
             *y = &letter(bound, 'y')->type;
  int64_t n = type_elements(s);
  bool fewer = n < type_elements(x) && n < type_elements(y);
  return (fewer || (!s->batched && x->batched && y->batched)) &&
         s->batched <= (x->batched && y->batched);
}

static double value_of(Node *const *bound, char c) {
  double value = 0;
  constant_value(letter(bound, c), &value);
  return value;
}

bool factor_moves(const Node *n) {
  double c;
  if (!constant_value(n, &c)) return true;
  return fabs(c) >= 0x1p-24 && fabs(c) <= 0x1p24;
}

static bool c_comes_out(Node *const *bound) {
  return type_equal(&letter(bound, 'x')->type, &letter(bound, 'y')->type) &&
         factor_moves(letter(bound, 'c'));
}

/* With its reciprocal too a normal number in single precision. */
static bool is_ordinary(double d) { return fabs(d) > 1e-30 && fabs(d) < 1e30; }

static bool d_divides(Node *const *bound) {
  double x;
  return is_ordinary(value_of(bound, 'd')) && !constant_value(letter(bound, 'x'), &x);
}

static bool cd_is_ordinary(Node *const *bound) {
  return is_ordinary(value_of(bound, 'c') * value_of(bound, 'd'));
}

static bool d_goes_in(Node *const *bound) {
  return factor_moves(letter(bound, 'd')) && cd_is_ordinary(bound);
}

static bool c_is_negative(Node *const *bound) { return value_of(bound, 'c') < 0; }

/* Made of finite constants and the size of the batch. */
static bool is_finite(const Node *n, int depth) {
  double c;
  if (constant_value(n, &c)) return isfinite(c);
  if (!depth) return false;
  if (n->op == OP_broadcast || n->op == OP_neg || n->op == OP_mul) {
    for (int i = 0; i < n->nin; i++)
      if (!is_finite(n->in[i], depth - 1)) return false;
    return true;
  }
  if (n->op == OP_div) return is_finite(n->in[0], depth - 1) && n->in[1]->op == OP_batch_size;
  return n->op == OP_batch_size;
}

/* x is 0 or 1, and y finite. */
static bool x_is_bits(Node *const *bound) {
  const Node *x = letter(bound, 'x');
  while (x->op == OP_permute || x->op == OP_reshape) x = x->in[0];
  return x->op == OP_one_hot && is_finite(letter(bound, 'y'), 4);
}

/* ---- reading the lines ---- */

typedef enum { TERM_ANY, TERM_CONSTANT, TERM_NUMBER, TERM_OP } TermKind;

typedef struct Term {
  TermKind kind;
  char letter;
  double number;
  Op op;
  int turn; /* of an op that commutes: its number in the line, from 1 */
  int nin, nattr;
  struct Term *in[3];
  double attr[2];
} Term;

struct RuleSet {
  struct {
    Term *found, *made;
    int turns; /* ops in `found` that commute */
  } rule[LINES];
  VEC(int) by_op[OP_COUNT];
};

static Term *read_term(Arena *a, const char **p, int *turns);

static void read_arguments(Arena *a, Term *t, const char **p, int *turns) {
  bool attrs = false;
  while (**p && **p != ')') {
    if (attrs)
      t->attr[t->nattr++] = strtod(*p, (char **)p);
    else
      t->in[t->nin++] = read_term(a, p, turns);
    attrs = attrs || **p == ';';
    *p += strspn(*p, ",; ");
  }
  if (**p) (*p)++;
}

static Term *read_term(Arena *a, const char **p, int *turns) {
  Term *t = ARENA_NEW(a, Term);
  if (!isalpha((unsigned char)**p)) {
    t->kind = TERM_NUMBER;
    t->number = strtod(*p, (char **)p);
    return t;
  }
  size_t n = strspn(*p, "abcdefghijklmnopqrstuvwxyz_0123456789");
  if (n == 1) {
    t->letter = *(*p)++;
    t->kind = t->letter == 'c' || t->letter == 'd' ? TERM_CONSTANT : TERM_ANY;
    return t;
  }
  t->kind = TERM_OP;
  t->op = op_by_name(arena_strndup(a, *p, n));
  if (op_commutes(t->op)) t->turn = ++*turns;
  *p += n + 1;
  read_arguments(a, t, p, turns);
  return t;
}

RuleSet *rules_read(Arena *scratch) {
  RuleSet *r = ARENA_NEW(scratch, RuleSet);
  for (int i = 0; i < LINES; i++) {
    const char *found = line[i].found, *made = line[i].made;
    int ignored = 0;
    r->rule[i].found = read_term(scratch, &found, &r->rule[i].turns);
    r->rule[i].made = read_term(scratch, &made, &ignored);
    vec_push(scratch, &r->by_op[r->rule[i].found->op], i);
  }
  return r;
}

/* ---- matching ---- */

bool constant_value(const Node *n, double *value) {
  while (n->op == OP_broadcast) n = n->in[0];
  if (n->op != OP_constant) return false;
  *value = node_float(n, "value");
  return true;
}

bool op_commutes(Op op) {
  return op == OP_add || op == OP_mul || op == OP_minimum || op == OP_maximum || op == OP_equal;
}

static bool bind(const Term *t, Node *n, Node **bound) {
  Node **b = &bound[t->letter - 'a'];
  double have, is;
  if (!*b) {
    if (t->kind == TERM_CONSTANT && !constant_value(n, &is)) return false;
    *b = n;
    return true;
  }
  if (*b == n) return true;
  return constant_value(*b, &have) && constant_value(n, &is) && have == is;
}

/* Bit k of `swapped` says that the k-th commuting op of the line is read with its operands
 * exchanged. */
static bool match(const Term *t, Node *n, Node **bound, unsigned swapped) {
  double is;
  if (t->kind == TERM_NUMBER) return constant_value(n, &is) && is == t->number;
  if (t->kind != TERM_OP) return bind(t, n, bound);
  if (n->op != t->op) return false;
  for (int i = 0; i < t->nattr; i++)
    if (n->attr[i].f != t->attr[i]) return false;
  bool swap = t->turn && (swapped >> (t->turn - 1) & 1);
  for (int i = 0; i < t->nin; i++)
    if (!match(t->in[i], n->in[swap ? 1 - i : i], bound, swapped)) return false;
  return true;
}

static Node *build(const Term *t, Graph *g, Node *const *bound) {
  if (t->kind == TERM_NUMBER) return ir_constant(g, t->number);
  if (t->kind == TERM_CONSTANT) {
    double value = 0;
    constant_value(letter(bound, t->letter), &value);
    return ir_constant(g, value);
  }
  if (t->kind == TERM_ANY) return letter(bound, t->letter);
  Node *in[3] = {0};
  for (int i = 0; i < t->nin; i++) in[i] = build(t->in[i], g, bound);
  return ir_make(g, t->op, t->nin, in, NULL);
}

static bool line_matches(const RuleSet *rules, int i, Node *n, Node **bound) {
  for (unsigned swapped = 0; swapped < 1u << rules->rule[i].turns; swapped++) {
    memset(bound, 0, LETTERS * sizeof *bound);
    if (match(rules->rule[i].found, n, bound, swapped) && (!line[i].guard || line[i].guard(bound)))
      return true;
  }
  return false;
}

Node *rules_apply(const RuleSet *rules, Graph *g, Node *n) {
  Node *bound[LETTERS];
  for (int k = 0; k < rules->by_op[n->op].count; k++) {
    int i = rules->by_op[n->op].at[k];
    if (line_matches(rules, i, n, bound)) return build(rules->rule[i].made, g, bound);
  }
  return NULL;
}
