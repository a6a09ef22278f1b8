#include "codegen/block.h"

#include <string.h>

#include "passes/plan.h"

const BlockEntry *block_find(const Block *b, const char *name) {
  for (int i = 0; i < b->entries.count; i++)
    if (!strcmp(b->entries.at[i].name, name)) return &b->entries.at[i];
  return NULL;
}

static int64_t add_entry(Block *b, Arena *a, const Node *leaf, BlockRole role, int64_t offset) {
  BlockEntry e = {.leaf = leaf, .name = node_str(leaf, "name"), .role = role, .offset = offset};
  vec_push(a, &b->entries, e);
  return offset + plan_bytes(leaf, 1, b->real_bytes);
}

Block *block_build(const Graph *source, const Graph *training, int real_bytes, Arena *a) {
  Block *b = ARENA_NEW(a, Block);
  b->real_bytes = real_bytes;
  int64_t end = 0;
  for (int i = 0; i < source->nodes.count; i++) {
    const Node *n = source->nodes.at[i];
    if (n->op == OP_param || n->op == OP_buffer)
      end = add_entry(b, a, n, n->op == OP_param ? ROLE_PARAM : ROLE_BUFFER, end);
  }
  b->parameter_bytes = end;
  for (int i = 0; training && i < training->nodes.count; i++) {
    const Node *n = training->nodes.at[i];
    if (n->op == OP_buffer && !block_find(b, node_str(n, "name")))
      end = add_entry(b, a, n, ROLE_STATE, end);
  }
  b->state_bytes = end - b->parameter_bytes;
  return b;
}
