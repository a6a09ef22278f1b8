/* The parameter block: where each parameter, buffer and piece of optimizer state lies, for all
 * programs of an artifact. */
#ifndef DLC_CODEGEN_BLOCK_H
#define DLC_CODEGEN_BLOCK_H

#include "ir/op.h"

typedef enum { ROLE_PARAM, ROLE_BUFFER, ROLE_STATE } BlockRole;

typedef struct {
  const Node *leaf; /* its name, shape, order and initial value */
  const char *name;
  BlockRole role;
  int64_t offset;
} BlockEntry;

typedef struct {
  VEC(BlockEntry) entries;
  int64_t parameter_bytes; /* of params and buffers, which come first */
  int64_t state_bytes;
  int real_bytes;
} Block;

/* Params and buffers of `source` in its order, then the buffers that only `training` (may be NULL)
 * has. */
Block *block_build(const Graph *source, const Graph *training, int real_bytes, Arena *a);
const BlockEntry *block_find(const Block *b, const char *name); /* or NULL */

#endif
