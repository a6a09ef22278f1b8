/* One op as a formula, from the formulas of its operands. */
#ifndef DLC_PASSES_MATH_EXPR_H
#define DLC_PASSES_MATH_EXPR_H

#include "ir/op.h"

/* How tightly a formula binds. Parentheses go around what binds less than its place asks for. */
typedef enum {
  BIND_SUM,     /* a + b */
  BIND_PRODUCT, /* a * b, a / b, -a */
  BIND_MATRIX,  /* 2 a, W x */
  BIND_POWER,   /* a^T, a^2 */
  BIND_ATOM
} Binding;

/* A product that begins with a number says so, that the numbers of products within products become
 * one. */
typedef struct {
  const char *text;
  Binding binding;
  double scale; /* 0: no number; else `rest` is the text without it */
  const char *rest;
  Binding rest_binding;
} Formula;

typedef struct {
  Arena *arena;
  Formula *of;       /* by id: what stands for the node where it is used; filled for all operands */
  const bool *named; /* by id: that is a name */
  bool batch;        /* sums over the batch are written out */
} MathContext;

Formula math_formula(const MathContext *c, const Node *n);
bool math_is_call(const Node *n); /* has no notation of its own */

#endif
