/* What the driver's parts share: one compilation. */
#ifndef DLC_DRIVER_DRIVER_H
#define DLC_DRIVER_DRIVER_H

#include "codegen/artifact.h"
#include "driver/options.h"
#include "ir/ir.h"
#include "passes/pipeline.h"

/* Exit statuses. */
enum { EXIT_FINE = 0, EXIT_DIAGNOSED = 1, EXIT_USAGE = 2, EXIT_FAULT = 70 };

typedef struct {
  Arena *arena;
  const Options *options;
  Diags *diags;
  Graph *source; /* as the frontend built it */
} Compilation;

PassOptions driver_pass_options(const Compilation *c);
Artifact driver_artifact(const Compilation *c); /* still to be compiled */
/* All programs of the network, within the budget; NULL after a reported error. Free with cg_free.
 */
Cg *driver_compile(Compilation *c, Artifact *art);
int64_t driver_batch(const Compilation *c);
bool driver_has_loss(const Graph *g);

/* The text kinds of --emit, and --stop-after; all write to -o, or to stdout. False after a reported
 * error. */
bool emit_text(Compilation *c);
/* The code kinds, with the header beside them. */
bool emit_code(Compilation *c);

#endif
