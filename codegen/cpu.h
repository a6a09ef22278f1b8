/* Processors: what a -mcpu name stands for. Code is generated for one of the x86-64 levels and only
 * tuned for the named processor, so that the list of features needed at run time is exact. */
#ifndef DLC_CODEGEN_CPU_H
#define DLC_CODEGEN_CPU_H

#include <stdbool.h>

#include "base/arena.h"

typedef struct {
  const char *base;     /* LLVM's name of the level; its instructions may be used */
  const char *tune;     /* LLVM's name of the processor to schedule for */
  const char *add;      /* features beyond the base, in LLVM's "+avx" form, or "" */
  const char *features; /* needed at run time, comma-separated, "" for the target's baseline */
  int vector_bytes, registers;
  bool masks, fma;
} Cpu;

/* `name` NULL is "native". False with *why set when the name is not known for the triple's
 * architecture. */
bool cpu_find(Arena *a, const char *triple, const char *name, Cpu *out, const char **why);

#endif
