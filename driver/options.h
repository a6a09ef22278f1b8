/* The command line of dlc. */
#ifndef DLC_DRIVER_OPTIONS_H
#define DLC_DRIVER_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/vec.h"

typedef enum {
  EMIT_NONE, /* by the output's suffix */
  EMIT_SO,
  EMIT_OBJ,
  EMIT_LIB,
  EMIT_ASM,
  EMIT_LLVM,
  EMIT_BC, /* code */
  EMIT_IR,
  EMIT_AST,
  EMIT_DOT,
  EMIT_MATH,
  EMIT_PLAN,
  EMIT_SUMMARY,
  EMIT_HEADER /* text */
} EmitKind;

typedef struct {
  const char *input, *output;
  EmitKind emit;
  int level;
  bool debug, inference_only, verify_each, remarks, time_passes, no_ir, help, version;
  VEC(const char *) defines, include_dirs;
  int64_t batch; /* 0: the train block's */
  int real_bytes;
  const char *cpu, *target, *dump, *stop_after, *passes, *program;
  int64_t memory_budget;
  int jobs;
} Options;

/* False with *why set (in `a`) for a usage error. */
bool options_parse(Arena *a, int argc, char **argv, Options *out, const char **why);
extern const char options_help[];

#endif
