/* A hand-written "compiled network" for testing the runtime and the tool without the compiler:
 * softmax regression of f32[4] to class[3], SGD with momentum 0.9, weight [3, 4] stored transposed,
 * a running mean as buffer. */
#ifndef DLC_TESTS_FAKE_MODEL_H
#define DLC_TESTS_FAKE_MODEL_H

#include "runtime/rt.h"

enum { FAKE_IN = 4, FAKE_OUT = 3, FAKE_MAX_BATCH = 64 };
enum {
  FAKE_WEIGHT,
  FAKE_BIAS,
  FAKE_MEAN,
  FAKE_WEIGHT_MOMENTUM,
  FAKE_BIAS_MOMENTUM,
  FAKE_PARAMETERS
};

extern const dlc_model dlc_v1_fake32, dlc_v1_fake64;
/* The last call that either was given. */
extern dlc_call fake_last_call;

#endif
