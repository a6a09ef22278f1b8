/* What the files of the simplify pass share. */
#ifndef DLC_PASSES_SIMPLIFY_H
#define DLC_PASSES_SIMPLIFY_H

#include "ir/op.h"

/* A rewrite that a line of text cannot say: what takes n's place, or NULL. The replacement may have
 * a smaller type that broadcasts to n's. */
typedef Node *Rewrite(Graph *g, Node *n);

/* The lines of the rule table, read once a pass. */
typedef struct RuleSet RuleSet;
RuleSet *rules_read(Arena *scratch);
/* The replacement by the first line that matches n, or NULL. */
Node *rules_apply(const RuleSet *rules, Graph *g, Node *n);

/* The rewrites of products; NULL-terminated. */
extern Rewrite *const simplify_product[];
/* All rewrites of shapes, sums and products, by op; NULL-terminated. */
extern Rewrite *const *const simplify_rewrite[OP_COUNT];
extern Rewrite *const simplify_elementwise[]; /* of every ELEMENTWISE op, last */

/* Those that are for the lowered graph only, by op; NULL-terminated. */
extern Rewrite *const *const simplify_lowered[OP_COUNT];

/* The pass; `lowered` when layers and formulas are all gone. */
void simplify_graph(Graph *g, Arena *scratch, bool lowered);

/* A constant, or one broadcast: its value. */
bool constant_value(const Node *n, double *value);
bool op_commutes(Op op);
/* May this factor change places, so that another value stands on the way to the same result? Of a
 * constant of 1e30 no: what stands there might overflow. Counts and their reciprocals may. */
bool factor_moves(const Node *n);

/* Common subexpressions: the equal node that was kept before, or n itself, which is now kept. */
typedef struct Common Common;
Common *common_new(Arena *scratch, int count);
Node *common_keep(Common *c, Node *n);

#endif
