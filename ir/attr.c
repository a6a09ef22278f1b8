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
