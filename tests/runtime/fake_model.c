/* See fake_model.h. Compiled once a precision: FAKE_REAL and FAKE_MODEL are given on the command
 * line; the program for float also holds fake_last_call. */
#include <math.h>
#include <string.h>

#include "tests/runtime/fake_model.h"

typedef FAKE_REAL Real;

#define SIZE ((int64_t)sizeof(Real))
#define STRING2(x) #x
#define STRING(x) STRING2(x)

enum {
  AT_WEIGHT = 0,
  AT_BIAS = 16,
  AT_MEAN = 32,
  AT_STATE = 48,
  AT_BIAS_STATE = 64,
  AT_END = 80
}; /* reals */

typedef struct {
  Real dlogits[FAKE_MAX_BATCH][FAKE_OUT], loss[FAKE_MAX_BATCH], hit[FAKE_MAX_BATCH];
  Real dweight[FAKE_IN * FAKE_OUT], dbias[FAKE_OUT];
} Arena;

#ifndef FAKE_SECOND
dlc_call fake_last_call;
#endif

static void sample(const dlc_call *c, int64_t i) {
  const Real *p = c->parameters, *x = (const Real *)c->inputs[0] + i * FAKE_IN;
  Real *y = (Real *)c->outputs[0] + i * FAKE_OUT, sum = 0, most = -INFINITY;
  for (int o = 0; o < FAKE_OUT; o++) {
    y[o] = p[AT_BIAS + o];
    for (int k = 0; k < FAKE_IN; k++) y[o] += x[k] * p[AT_WEIGHT + k * FAKE_OUT + o];
    if (y[o] > most) most = y[o];
  }
  for (int o = 0; o < FAKE_OUT; o++) sum += y[o] = (Real)exp((double)(y[o] - most));
  for (int o = 0; o < FAKE_OUT; o++) y[o] /= sum;
}

static void lose(const dlc_call *c, int64_t i) {
  Arena *a = c->arena;
  int32_t label = ((const int32_t *)c->inputs[1])[i], best = 0;
  const Real *y = (const Real *)c->outputs[0] + i * FAKE_OUT;
  for (int o = 0; o < FAKE_OUT; o++) {
    a->dlogits[i][o] = (y[o] - (Real)(o == label)) / (Real)c->n;
    if (y[o] > y[best]) best = o;
  }
  a->loss[i] = (Real)-log((double)y[label]);
  a->hit[i] = best == label;
}

static void infer_range(void *context, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; i++) sample(context, i);
}

static void lose_range(void *context, int64_t begin, int64_t end) {
  infer_range(context, begin, end);
  for (int64_t i = begin; i < end; i++) lose(context, i);
}

static void loop(const dlc_call *c, dlc_range body) {
  fake_last_call = *c;
  if (c->threads > 1)
    c->parallel_for(c->executor, c->n, body, (void *)(uintptr_t)c);
  else
    body((void *)(uintptr_t)c, 0, c->n);
}

static void infer(const dlc_call *c) { loop(c, infer_range); }

static void evaluate(const dlc_call *c) {
  const Arena *a = c->arena;
  loop(c, lose_range);
  for (int64_t i = 0; i < c->n; i++) {
    c->scalars[0] += (double)a->loss[i] / (double)c->n;
    c->scalars[1] += (double)a->hit[i];
  }
}

static void forward(const dlc_call *c) {
  Real *p = c->parameters;
  evaluate(c);
  for (int k = 0; k < FAKE_IN; k++) {
    Real mean = 0;
    for (int64_t i = 0; i < c->n; i++)
      mean += ((const Real *)c->inputs[0])[i * FAKE_IN + k] / (Real)c->n;
    p[AT_MEAN + k] = (Real)0.9 * p[AT_MEAN + k] + (Real)0.1 * mean;
  }
}

static void gradients(const dlc_call *c, Real *dweight, Real *dbias) {
  const Arena *a = c->arena;
  memset(dweight, 0, sizeof(Real) * FAKE_IN * FAKE_OUT);
  memset(dbias, 0, sizeof(Real) * FAKE_OUT);
  for (int64_t i = 0; i < c->n; i++)
    for (int o = 0; o < FAKE_OUT; o++) {
      dbias[o] += a->dlogits[i][o];
      for (int k = 0; k < FAKE_IN; k++)
        dweight[k * FAKE_OUT + o] +=
            a->dlogits[i][o] * ((const Real *)c->inputs[0])[i * FAKE_IN + k];
    }
}

static void update(const dlc_call *c, const Real *dweight, const Real *dbias) {
  Real *p = c->parameters, lr = (Real)c->hyper[0];
  for (int i = 0; i < FAKE_IN * FAKE_OUT; i++) {
    p[AT_STATE + i] = (Real)0.9 * p[AT_STATE + i] + dweight[i];
    p[AT_WEIGHT + i] -= lr * p[AT_STATE + i];
  }
  for (int o = 0; o < FAKE_OUT; o++) {
    p[AT_BIAS_STATE + o] = (Real)0.9 * p[AT_BIAS_STATE + o] + dbias[o];
    p[AT_BIAS + o] -= lr * p[AT_BIAS_STATE + o];
  }
}

static void train(const dlc_call *c) {
  Arena *a = c->arena;
  forward(c);
  gradients(c, a->dweight, a->dbias);
  update(c, a->dweight, a->dbias);
}

static void input_gradient(const dlc_call *c, Real *dx) {
  const Arena *a = c->arena;
  const Real *p = c->parameters;
  for (int64_t i = 0; i < c->n; i++)
    for (int k = 0; k < FAKE_IN; k++) {
      Real sum = 0;
      for (int o = 0; o < FAKE_OUT; o++) sum += a->dlogits[i][o] * p[AT_WEIGHT + k * FAKE_OUT + o];
      dx[i * FAKE_IN + k] = sum;
    }
}

static void backward(const dlc_call *c) {
  Real *g = c->gradients;
  fake_last_call = *c;
  gradients(c, g + AT_WEIGHT, g + AT_BIAS);
  if (c->input_gradients[0]) input_gradient(c, c->input_gradients[0]);
}

static void apply(const dlc_call *c) {
  const Real *g = c->gradients;
  fake_last_call = *c;
  update(c, g + AT_WEIGHT, g + AT_BIAS);
}

static const dlc_tensor inputs[] = {{.name = "x",
                                     .elem = sizeof(Real) == 8 ? DLC_F64 : DLC_F32,
                                     .rank = 1,
                                     .dim = {4},
                                     .elements = 4}};
static const dlc_tensor targets[] = {
    {.name = "label", .elem = DLC_I32, .elements = 1, .classes = 3}};
static const dlc_tensor outputs[] = {{.name = "probabilities",
                                      .elem = sizeof(Real) == 8 ? DLC_F64 : DLC_F32,
                                      .rank = 1,
                                      .dim = {3},
                                      .elements = 3}};
static const char *const metrics[] = {"accuracy"};

#define MATRIX                                                                           \
  .rank = 2, .store_rank = 2, .dim = {3, 4}, .store_dim = {3, 4}, .store_order = {1, 0}, \
  .elements = 12
#define VECTOR(n) .rank = 1, .store_rank = 1, .dim = {n}, .store_dim = {n}, .elements = n
static const dlc_parameter parameters[] = {
    {.name = "fc.weight",
     .trainable = 1,
     MATRIX,
     .offset = AT_WEIGHT * SIZE,
     .init = 2,
     .init_a = -0.5,
     .init_b = 0.5},
    {.name = "fc.bias",
     .trainable = 1,
     VECTOR(3),
     .offset = AT_BIAS * SIZE,
     .init = 3,
     .init_a = 0,
     .init_b = 0.1},
    {.name = "fc.running_mean", .role = DLC_BUFFER, VECTOR(4), .offset = AT_MEAN * SIZE, .init = 1},
    {.name = "fc.weight.momentum", .role = DLC_STATE, MATRIX, .offset = AT_STATE * SIZE, .init = 1},
    {.name = "fc.bias.momentum",
     .role = DLC_STATE,
     VECTOR(3),
     .offset = AT_BIAS_STATE * SIZE,
     .init = 1},
};

static const dlc_training training = {.optimizer = "sgd",
                                      .lr = 0.05,
                                      .momentum = 0.9,
                                      .schedule = "constant",
                                      .batch = 16,
                                      .epochs = 30,
                                      .seed = 1};

__attribute__((visibility("default"))) const dlc_model FAKE_MODEL = {
    .abi_version = DLC_ABI_VERSION,
    .abi_minor = DLC_ABI_MINOR,
    .real_bytes = sizeof(Real),
    .name = STRING(FAKE_MODEL),
    .cpu_features = "",
    .max_batch = FAKE_MAX_BATCH,
    .input_count = 1,
    .target_count = 1,
    .output_count = 1,
    .metric_count = 1,
    .parameter_count = FAKE_PARAMETERS,
    .inputs = inputs,
    .targets = targets,
    .outputs = outputs,
    .metrics = metrics,
    .parameters = parameters,
    .parameter_bytes = AT_STATE * SIZE,
    .state_bytes = (AT_END - AT_STATE) * SIZE,
    .programs = {[DLC_INFER] = {infer, 64, 24},
                 [DLC_EVALUATE] = {evaluate, sizeof(Arena), 24},
                 [DLC_TRAIN] = {train, sizeof(Arena), 72},
                 [DLC_FORWARD] = {forward, sizeof(Arena), 24},
                 [DLC_BACKWARD] = {backward, sizeof(Arena), 48},
                 [DLC_APPLY] = {apply, 64, 0},
                 [DLC_FORWARD_EVAL] = {evaluate, sizeof(Arena), 24},
                 [DLC_BACKWARD_EVAL] = {backward, sizeof(Arena), 48}},
    .training = &training,
    .api = &dlc_api_v1,
};
