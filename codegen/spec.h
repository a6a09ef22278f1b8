/* Pointwise specifications as data: their text, and their normal form. */
#ifndef DLC_CODEGEN_SPEC_H
#define DLC_CODEGEN_SPEC_H

#include "base/str.h"
#include "codegen/kernel.h"

/* Everything that the code of a specification depends on, as text: for keys of cg_kernel_find. */
void spec_text(Str *out, const PointwiseSpec *spec);
void spec_view_text(Str *out, const View *view, int rank);
void spec_node_text(Str *out, const Node *node); /* the op and its attributes */

/* The same loop nest with fewer dimensions: those of extent 1 dropped, neighbours joined where
 * every view allows. At least one dimension is left. */
PointwiseSpec spec_normal(Arena *a, const PointwiseSpec *spec);

static inline int64_t extent_at(Extent e, int64_t n) { return e.each * n + e.fixed; }

#endif
