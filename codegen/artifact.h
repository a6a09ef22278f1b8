/* An artifact: all programs of a network as one module, with the descriptor (dlc_model of
 * runtime/dlc.h) that is its only visible symbol, `dlc_v1_<network>`. */
#ifndef DLC_CODEGEN_ARTIFACT_H
#define DLC_CODEGEN_ARTIFACT_H

#include "codegen/block.h"
#include "codegen/cg.h"
#include "ir/index.h"
#include "passes/pipeline.h"

typedef struct {
  Graph *source;                 /* as the frontend built it; its leaves' orders become final */
  Graph *program[PROGRAM_COUNT]; /* planned; NULL where the network has none */
  int64_t max_batch;
  CgOptions target;
  bool keep_ir;
  bool remarks; /* say which convolutions are computed how */
  Diags *diags;
  const IndexRange *range;            /* of the source's leaves; set by artifact_compile */
  int64_t arena_bytes[PROGRAM_COUNT]; /* with scratch, at max_batch; set by artifact_emit */
} Artifact;

/* Runs the pipeline for every program that the network has (infer only with `inference_only`), all
 * with one layout of the parameters. False after a reported error. */
bool artifact_compile(Artifact *art, Arena *a, const PassOptions *options, bool inference_only);

/* The module, not yet optimised; NULL after a reported error. Free with cg_free. */
Cg *artifact_emit(Artifact *art, Arena *a);

/* The descriptor as a constant of the module. `code` and `arena_bytes` by DLC_* program. */
typedef struct {
  LLVMValueRef code;
  int64_t arena_bytes;
  double flops;
} ProgramCode;
void descriptor_emit(Cg *cg, const Artifact *art, const Block *block, const ProgramCode *programs);

#endif
