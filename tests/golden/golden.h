/* Golden checks: a source graph is compiled in memory and run through the C interface; every result
 * (outputs, loss, metrics, gradients of parameters and inputs, new parameters after a step) is
 * compared with the interpreter's on the same data. */
#ifndef DLC_TESTS_GOLDEN_H
#define DLC_TESTS_GOLDEN_H

#include "ir/ir.h"

typedef struct {
  int real_bytes;  /* 4 or 8 */
  int level;       /* -O */
  const char *cpu; /* NULL: native */
  int64_t n, max_batch;
  double tolerance; /* of each tensor's largest magnitude; 0 wants equality */
  unsigned seed;
  bool integers; /* parameters and inputs are small whole numbers */
  int threads;   /* above 1: all again with so many, which must give the same bits */
  /* What lies further off is also accepted within the spread of the interpreter's own results when
   * every value is rounded by chance (rounding_spread); counted in *excused. NULL: it is not. */
  int64_t *excused;
} GoldenCase;

/* Fails the cmocka test with the tensor's name on the first difference. Returns how many numbers
 * were compared. */
int64_t golden_check(const Graph *source, const GoldenCase *c);

/* The graph of a .net file under examples/ (or tests/golden/), or of IR text. */
Graph *golden_load(Arena *a, const char *path);
Graph *golden_parse(Arena *a, const char *ir);

void golden_stop_on_errors(Diags *d); /* fails the test, with the errors printed */

#endif
