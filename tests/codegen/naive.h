/* A pointwise specification done element by element in double, for comparison. */
#ifndef DLC_TESTS_CODEGEN_NAIVE_H
#define DLC_TESTS_CODEGEN_NAIVE_H

#include "codegen/kernel.h"

double naive_read(const View *v, void **buffers, int64_t at, int real_bytes);
void naive_pointwise(const PointwiseSpec *s, void **buffers, int64_t n, int real_bytes);

#endif
