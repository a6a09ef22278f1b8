/* Limits on everything that comes from outside. One place, so that a reader can see them all.
 * Fuzzers want every text to take microseconds, so their build has lower limits where time grows
 * with them. */
#ifndef DLC_BASE_LIMITS_H
#define DLC_BASE_LIMITS_H

#define LIMIT_SOURCE_BYTES (16 << 20) /* one .net or .ir file */
#define LIMIT_DIAGNOSTICS 20          /* errors reported for one compilation */
#define LIMIT_NESTING 200             /* expression, block, if/for and include nesting */
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
#define LIMIT_LAYERS 300
#define LIMIT_LOOP_STEPS 300
#else
#define LIMIT_LAYERS 100000      /* layers and ops after unrolling */
#define LIMIT_LOOP_STEPS 1000000 /* loop iterations over the whole compilation */
#endif
#define LIMIT_LIST_LENGTH 4096            /* elements of one compile-time list */
#define LIMIT_OPERANDS 4096               /* tensors that one concat joins */
#define LIMIT_NAME_BYTES 255              /* an identifier, a dotted parameter name */
#define LIMIT_RANK 8                      /* dimensions of a tensor, batch not counted */
#define LIMIT_DIM ((int64_t)1 << 31)      /* one dimension */
#define LIMIT_ELEMENTS ((int64_t)1 << 36) /* elements of one per-sample or shared tensor */
#define LIMIT_INTERP ((int64_t)1 << 31)   /* doubles that the interpreter holds for one graph */
#define LIMIT_BATCH (1 << 20)             /* compiled maximum of the batch */
#define LIMIT_ARENA ((int64_t)1 << 60)    /* bytes of all values of one program */

#endif
