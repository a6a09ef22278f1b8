/* Initialisers by shape, as PyTorch computes them: for [out, in, receptive field...],
 *   fan_in = in * field, fan_out = out * field;
 *   xavier:  variance 2 / (fan_in + fan_out)
 *   kaiming(a, b): variance 2 / ((1 + a^2) fan), of fan_in or, where b is 1, fan_out
 *   uniform of variance v has bound sqrt(3 v).
 * The default is PyTorch's for linear and conv weights: kaiming_uniform(a = sqrt 5), that is bound
 * 1 / sqrt(fan_in). Layers resolve defaults that are different (biases, norms, embeddings)
 * themselves. */
#include "ir/op.h"

#include <math.h>

static void fans(int rank, const int64_t *dim, double *in, double *out) {
  double field = 1;
  for (int i = 2; i < rank; i++) field *= (double)dim[i];
  *out = (rank > 0 ? (double)dim[0] : 1) * field;
  *in = (rank > 1 ? (double)dim[1] : rank > 0 ? (double)dim[0] : 1) * field;
}

static Init with_variance(bool uniform, double v) {
  if (uniform) return (Init){INIT_UNIFORM, -sqrt(3 * v), sqrt(3 * v)};
  return (Init){INIT_NORMAL, 0, sqrt(v)};
}

Init init_resolve(Init init, int rank, const int64_t *dim) {
  double in, out;
  fans(rank, dim, &in, &out);
  bool uniform = init.kind == INIT_XAVIER_UNIFORM || init.kind == INIT_KAIMING_UNIFORM;
  if (init.kind == INIT_DEFAULT) return with_variance(true, 1 / (3 * in));
  if (init.kind == INIT_XAVIER_UNIFORM || init.kind == INIT_XAVIER_NORMAL)
    return with_variance(uniform, 2 / (in + out));
  if (init.kind == INIT_KAIMING_UNIFORM || init.kind == INIT_KAIMING_NORMAL)
    return with_variance(uniform, 2 / ((1 + init.a * init.a) * (init.b > 0 ? out : in)));
  return init;
}

const char *init_fault(Init init, int rank) {
  bool by_element = init.kind == INIT_CONSTANT || init.kind == INIT_UNIFORM ||
                    init.kind == INIT_NORMAL || init.kind == INIT_DEFAULT;
  if (!by_element && rank < 2)
    return "this initialiser needs a parameter of two or more dimensions";
  if (!isfinite(init.a) || !isfinite(init.b)) return "the numbers of an initialiser must be finite";
  if (init.kind == INIT_NORMAL && init.b < 0) return "a standard deviation cannot be negative";
  if (init.kind == INIT_UNIFORM && init.a > init.b)
    return "the lower bound of uniform is above the upper one";
  return NULL;
}
