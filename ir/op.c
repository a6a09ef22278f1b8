/* op_info[], made from the rows of ops.def. */
#include "ir/op.h"

#include <stdlib.h>
#include <string.h>

/* The section's name at each line of ops.def: a SECTION row names all lines from its own on. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
static const char section_at[1000][20] = {
#define SECTION(name) [__LINE__... 999] = #name,
#define LEAF(n, d, s, m)
#define ELEMENTWISE(n, d, s, m)
#define PRIMITIVE(n, d, s, m)
#define COMPOSITE(n, d, s, m)
#define FORMULA(n, d, s, m)
#define LAYER(n, d, s, m)
#include "ir/ops.def"
#undef SECTION
#undef LEAF
#undef ELEMENTWISE
#undef PRIMITIVE
#undef COMPOSITE
#undef FORMULA
#undef LAYER
};
#pragma GCC diagnostic pop

/* NOLINTBEGIN(bugprone-macro-parentheses): initialisers, in which a string or NULL stands alone */
#define BASE(n, d, sig, m, k)                                                                    \
  .name = #n, .signature = sig, .meaning = m, .section = section_at[__LINE__], .kind = KIND_##k, \
  .domain = DOMAIN_##d, .internal = __builtin_strncmp(m, "internal", 8) == 0
/* NOLINTEND(bugprone-macro-parentheses) */

const OpInfo op_info[OP_COUNT] = {
#define SECTION(name)
#define LEAF(n, d, s, m) [OP_##n] = {BASE(n, d, s, m, LEAF), .shape = op_##n##_shape},
#define ELEMENTWISE(n, d, s, m)                                                                   \
  [OP_##n] = {BASE(n, d, s, m, ELEMENTWISE), .eval_scalar = op_##n##_eval, .grad = op_##n##_grad, \
              .emit = op_##n##_emit},
#define PRIMITIVE(n, d, s, m)                                                              \
  [OP_##n] = {BASE(n, d, s, m, PRIMITIVE), .eval = op_##n##_eval, .shape = op_##n##_shape, \
              .grad = op_##n##_grad},
#define COMPOSITE(n, d, s, m) [OP_##n] = {BASE(n, d, s, m, COMPOSITE), .expand = op_##n##_expand},
#define FORMULA(n, d, s, m) \
  [OP_##n] = {BASE(n, d, s, m, FORMULA), .expand = op_##n##_expand, .grad = op_##n##_grad},
#define LAYER(n, d, s, m) \
  [OP_##n] = {BASE(n, d, s, m, LAYER), .expand = op_##n##_expand, .params = op_##n##_params},
#include "ir/ops.def"
#undef SECTION
#undef LEAF
#undef ELEMENTWISE
#undef PRIMITIVE
#undef COMPOSITE
#undef FORMULA
#undef LAYER
};

Op op_by_name(const char *name) {
  int op = 0;
  while (op < OP_COUNT && strcmp(op_info[op].name, name) != 0) op++;
  return (Op)op;
}

const Signature *op_signature(Op op) {
  static Signature parsed[OP_COUNT];
  static bool done[OP_COUNT];
  static Arena *arena; /* for the life of the process */
  if (!arena) arena = arena_new();
  if (!done[op]) signature_parse(arena, op_info[op].signature, &parsed[op]);
  done[op] = true;
  return &parsed[op];
}

int op_attrs_complete(Op op, Attr *attr, const bool *given) {
  return signature_complete(op_signature(op), attr, given);
}
