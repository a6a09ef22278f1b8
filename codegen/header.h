/* The C header of an artifact: the runtime's interface, then typed wrappers under the network's own
 * names. */
#ifndef DLC_CODEGEN_HEADER_H
#define DLC_CODEGEN_HEADER_H

#include "base/str.h"
#include "codegen/artifact.h"

void header_print(const Artifact *art, Str *out);

#endif
