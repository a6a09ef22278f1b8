/* Making attributes, and reading them from nodes by name. */
#include "ir/op.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Attr attr_int(int64_t i) { return (Attr){.kind = ATTR_INT, .i = i}; }
Attr attr_float(double f) { return (Attr){.kind = ATTR_FLOAT, .f = f}; }
Attr attr_bool(bool b) { return (Attr){.kind = ATTR_BOOL, .i = b}; }
Attr attr_dim(int64_t i) { return (Attr){.kind = ATTR_DIM, .i = i}; }
Attr attr_str(const char *s) { return (Attr){.kind = ATTR_STR, .s = s}; }
Attr attr_words(const char *s) { return (Attr){.kind = ATTR_WORDS, .s = s}; }
Attr attr_ints(int n, const int64_t *v) { return (Attr){.kind = ATTR_INTS, .n = n, .v = v}; }
Attr attr_dims(int n, const int64_t *v) { return (Attr){.kind = ATTR_DIMS, .n = n, .v = v}; }
Attr attr_pair(const int64_t *v) { return (Attr){.kind = ATTR_PAIR, .n = 2, .v = v}; }
Attr attr_pairs(int n, const int64_t *v) { return (Attr){.kind = ATTR_PAIRS, .n = n, .v = v}; }
Attr attr_init(Init init) { return (Attr){.kind = ATTR_INIT, .init = init}; }

const Attr *node_attr(const Node *n, const char *name) {
  const Signature *s = op_signature(n->op);
  for (int i = 0; i < s->nattrs; i++)
    if (!strcmp(s->attr[i].name, name)) return &n->attr[i];
  fprintf(stderr, "internal fault: op %s has no attribute %s\n", op_info[n->op].name, name);
  abort();
}

int64_t node_int(const Node *n, const char *name) { return node_attr(n, name)->i; }
double node_float(const Node *n, const char *name) { return node_attr(n, name)->f; }
bool node_bool(const Node *n, const char *name) { return node_attr(n, name)->i != 0; }
const char *node_str(const Node *n, const char *name) { return node_attr(n, name)->s; }
const int64_t *node_ints(const Node *n, const char *name) { return node_attr(n, name)->v; }

bool attr_in_range(int64_t i) { return i >= -LIMIT_DIM && i <= LIMIT_DIM; }

const char *attr_kind_text(Arena *a, const SigAttr *s) {
  static const char *const text[] = {"an integer",
                                     "a number",
                                     "true or false",
                                     "a dimension",
                                     "a list of integers",
                                     "all, a dimension or a list of dimensions",
                                     "an integer or a pair [a, b]",
                                     "an integer, a pair [a, b] or \"same\"",
                                     "a string",
                                     "",
                                     "an initialiser",
                                     "a list of pairs [[a, b], ...]"};
  if (s->kind != ATTR_WORDS) return text[s->kind];
  Str list = str_new(a);
  for (int i = 0; s->words[i]; i++) str_printf(&list, "%s\"%s\"", i ? " or " : "", s->words[i]);
  return list.text;
}
