#include "passes/fusible.h"

static const bool pointwise[OP_COUNT] = {
    [OP_one_hot] = true, [OP_random_mask] = true, [OP_random_uniform] = true, [OP_iota] = true};
static const bool reduction[OP_COUNT] = {
    [OP_reduce_sum] = true, [OP_reduce_max] = true, [OP_reduce_min] = true, [OP_reduce_var] = true};
static const bool product[OP_COUNT] = {
    [OP_dot_general] = true, [OP_conv] = true, [OP_conv_input] = true};

bool fusible_pointwise(Op op) { return op_info[op].kind == KIND_ELEMENTWISE || pointwise[op]; }
bool fusible_reduction(Op op) { return reduction[op]; }
bool fusible_product(Op op) { return product[op]; }
