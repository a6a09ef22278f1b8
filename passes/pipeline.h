/* From the graph that the frontend built to the graphs that codegen compiles: one a program. */
#ifndef DLC_PASSES_PIPELINE_H
#define DLC_PASSES_PIPELINE_H

#include "ir/ir.h"

/* The programs of an artifact. FORWARD and BACKWARD of a mode are one graph; codegen cuts it. */
typedef enum {
  PROGRAM_INFER,    /* evaluation mode: outputs */
  PROGRAM_EVALUATE, /* evaluation mode: outputs, loss, metrics */
  PROGRAM_TRAIN,    /* training mode: loss, metrics, assigns */
  /* training mode: outputs, loss, metrics, gradients of params and f32 inputs, buffer assigns */
  PROGRAM_GRAD,
  PROGRAM_GRAD_EVAL, /* the same in evaluation mode */
  PROGRAM_APPLY,     /* assigns from gradients given as inputs */
  PROGRAM_COUNT
} Program;

extern const char *const program_name[PROGRAM_COUNT]; /* "infer", "evaluate", "train", ... */

typedef struct {
  bool verify_each; /* verify, and interpret before and after, each pass */
  bool remarks;
  bool time_passes;
  int level;        /* -O0 .. -O3; 0 turns every optimisation off */
  const char *dump; /* a pass's name, "all" or NULL: print the graph after it to stdout */
  const char *stop_after;
  int real_bytes;        /* 4 (also when 0), or 8 under --precision f64: plan counts with it */
  int64_t memory_budget; /* bytes; 0: none */
  Diags *diags;          /* remarks and errors go here */
} PassOptions;

/* A fresh graph in `a`: source expanded for the program's mode, differentiated, optimised and
 * planned. `source` is not changed. NULL after an error reported in options->diags. */
Graph *pipeline_run(const Graph *source, Program program, Arena *a, const PassOptions *options);

/* Runs the passes named in `list` ("simplify,fuse") on g, in that order. False after a reported
 * error. */
bool pipeline_passes(Graph *g, const char *list, const PassOptions *options);

#endif
