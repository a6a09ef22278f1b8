/* Sessions: memory, order of calls, what is refused, and that the parts of a step are the step. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/runtime/fake_model.h"

static const dlc_api *const api = &dlc_api_v1;
static const dlc_model *const model = &dlc_v1_fake32;

static float x[FAKE_MAX_BATCH * FAKE_IN];
static int32_t label[FAKE_MAX_BATCH];
static const void *const inputs[] = {x};
static const void *const targets[] = {label};

static void make_data(void) {
  for (int i = 0; i < FAKE_MAX_BATCH; i++) {
    label[i] = i % 3;
    for (int k = 0; k < FAKE_IN; k++)
      x[i * FAKE_IN + k] = (float)((i * 7 + k * 3) % 11) / 10 + (float)(k == label[i]);
  }
}

static dlc_session *training_session(void) {
  dlc_session *s;
  make_data();
  assert_int_equal(api->create(model, DLC_TRAINING, &s), DLC_OK);
  return s;
}

static void test_memory(void **state) {
  (void)state;
  size_t training = api->session_bytes(model, DLC_TRAINING),
         inference = api->session_bytes(model, DLC_INFERENCE);
  assert_true(inference > 0 && training > inference);
  assert_int_equal(api->session_bytes(NULL, DLC_TRAINING), 0);
  char *memory = aligned_alloc(64, (training + 127) / 64 * 64);
  dlc_session *s = (dlc_session *)memory;
  assert_int_equal(api->create_in(model, DLC_TRAINING, memory + 8, training, &s), DLC_EINVAL);
  assert_null(s);
  assert_int_equal(api->create_in(model, DLC_TRAINING, memory, training - 1, &s), DLC_ENOMEM);
  assert_non_null(strstr(api->error_text(NULL, DLC_ENOMEM), "needs"));
  assert_int_equal(api->create_in(model, DLC_TRAINING, memory, training, &s), DLC_OK);
  assert_ptr_equal(s, memory);
  for (int i = 0; i < FAKE_PARAMETERS; i++)
    assert_int_equal((uintptr_t)api->parameter_data(s, i) % 64, 0);
  api->destroy(s);
  free(memory);
  api->destroy(NULL);
}

static void test_refusals(void **state) {
  (void)state;
  dlc_session *s;
  dlc_model odd = *model;
  odd.cpu_features = "sse2,avx99,fma";
  assert_int_equal(api->create(&odd, DLC_TRAINING, &s), DLC_ECPU);
  assert_non_null(strstr(api->error_text(NULL, DLC_ECPU), "lacks avx99"));
  odd = *model;
  odd.cpu_features = "sse2,+cx8,64bit";
  assert_int_equal(api->create(&odd, DLC_INFERENCE, &s), DLC_OK);
  api->destroy(s);
  odd = *model;
  odd.abi_version = 2;
  assert_int_equal(api->create(&odd, DLC_TRAINING, &s), DLC_EINVAL);
  odd = *model;
  odd.training = NULL;
  assert_int_equal(api->create(&odd, DLC_TRAINING, &s), DLC_ESTATE);
  odd = *model;
  odd.programs[DLC_INFER].arena_bytes = INT64_MAX;
  assert_int_equal(api->session_bytes(&odd, DLC_INFERENCE), 0);
  assert_int_equal(api->create(&odd, DLC_INFERENCE, &s), DLC_ENOMEM);
  assert_int_equal(api->create(NULL, DLC_INFERENCE, &s), DLC_EINVAL);
  assert_int_equal(api->create(model, DLC_INFERENCE, NULL), DLC_EINVAL);
}

static void test_training_learns(void **state) {
  (void)state;
  dlc_session *s = training_session();
  double first, loss = 0, accuracy = 0;
  assert_int_equal(api->evaluate(s, 60, inputs, targets, NULL, &first, &accuracy), DLC_OK);
  for (int i = 0; i < 200; i++)
    assert_int_equal(api->train_step(s, 60, inputs, targets, &loss, NULL), DLC_OK);
  assert_int_equal(api->step(s), 200);
  assert_int_equal(api->evaluate(s, 60, inputs, targets, NULL, &loss, &accuracy), DLC_OK);
  assert_true(loss < 0.5 * first);
  assert_true(accuracy > 0.9 && accuracy <= 1);
  api->destroy(s);
}

static void test_parts_are_the_step(void **state) {
  (void)state;
  dlc_session *whole = training_session(), *parts = training_session();
  for (int i = 0; i < 5; i++) {
    double a, b;
    assert_int_equal(api->train_step(whole, 7, inputs, targets, &a, NULL), DLC_OK);
    assert_int_equal(api->forward(parts, 0, 7, inputs, targets, NULL, &b, NULL), DLC_OK);
    assert_int_equal(fake_last_call.step, i);
    assert_int_equal(api->backward(parts, NULL), DLC_OK);
    assert_int_equal(fake_last_call.n, 7);
    assert_int_equal(api->apply(parts), DLC_OK);
    assert_true(a == b);
  }
  assert_int_equal(api->step(parts), 5);
  assert_memory_equal(whole->parameters, parts->parameters,
                      model->parameter_bytes + model->state_bytes);
  api->destroy(whole);
  api->destroy(parts);
}

static void test_gradients(void **state) {
  (void)state;
  dlc_session *s = training_session();
  float dx[FAKE_IN * 4], dw[12], db[3], w[12];
  void *const wanted[] = {dx};
  assert_int_equal(api->get_gradient(s, FAKE_WEIGHT, dw), DLC_ESTATE);
  assert_int_equal(api->forward(s, 1, 4, inputs, targets, NULL, NULL, NULL), DLC_OK);
  assert_int_equal(api->backward(s, wanted), DLC_OK);
  assert_int_equal(api->get_gradient(s, FAKE_WEIGHT, dw), DLC_OK);
  assert_int_equal(api->get_gradient(s, FAKE_BIAS, db), DLC_OK);
  assert_int_equal(api->get_gradient(s, FAKE_MEAN, db), DLC_EINVAL);
  assert_int_equal(api->get_parameter(s, FAKE_WEIGHT, w), DLC_OK);
  /* central differences through set_parameter, in the row-major order of [3, 4] */
  for (int i = 0; i < 12; i++) {
    double up, down;
    float moved[12];
    memcpy(moved, w, sizeof w);
    moved[i] = w[i] + 1e-2f;
    assert_int_equal(api->set_parameter(s, FAKE_WEIGHT, moved), DLC_OK);
    api->evaluate(s, 4, inputs, targets, NULL, &up, NULL);
    moved[i] = w[i] - 1e-2f;
    api->set_parameter(s, FAKE_WEIGHT, moved);
    api->evaluate(s, 4, inputs, targets, NULL, &down, NULL);
    assert_true(fabs((up - down) / 2e-2 - (double)dw[i]) < 1e-3);
  }
  double sum = 0;
  for (int i = 0; i < 16; i++) sum += fabs((double)dx[i]);
  assert_true(sum > 1e-3);
  api->destroy(s);
}

static void test_order_of_calls(void **state) {
  (void)state;
  dlc_session *s = training_session(), *inference;
  float y[3];
  void *const out[] = {y};
  assert_int_equal(api->backward(s, NULL), DLC_ESTATE);
  assert_int_equal(api->apply(s), DLC_ESTATE);
  assert_non_null(strstr(api->error_text(s, DLC_ESTATE), "backward"));
  assert_int_equal(api->forward(s, 0, 1, inputs, targets, NULL, NULL, NULL), DLC_OK);
  assert_int_equal(api->infer(s, 1, inputs, out), DLC_OK);
  assert_int_equal(api->backward(s, NULL), DLC_ESTATE); /* infer used the arena */
  assert_int_equal(api->forward(s, 0, 1, inputs, targets, NULL, NULL, NULL), DLC_OK);
  assert_int_equal(api->backward(s, NULL), DLC_OK);
  assert_int_equal(api->backward(s, NULL), DLC_ESTATE);
  assert_int_equal(api->apply(s), DLC_OK);
  assert_int_equal(api->apply(s), DLC_ESTATE);
  api->destroy(s);
  assert_int_equal(api->create(model, DLC_INFERENCE, &inference), DLC_OK);
  assert_int_equal(api->train_step(inference, 1, inputs, targets, NULL, NULL), DLC_ESTATE);
  assert_int_equal(api->forward(inference, 0, 1, inputs, targets, NULL, NULL, NULL), DLC_ESTATE);
  assert_int_equal(api->infer(inference, 1, inputs, out), DLC_OK);
  assert_true(fabs((double)(y[0] + y[1] + y[2]) - 1) < 1e-6);
  assert_int_equal(api->infer(inference, 1, inputs, NULL), DLC_OK);
  assert_null(api->parameter_data(inference, FAKE_WEIGHT_MOMENTUM));
  api->destroy(inference);
}

/* What forward left behind holds for the parameters, seed and step that it saw. */
static void test_forgotten_forward(void **state) {
  (void)state;
  static const char path[] = TEST_BINARY_DIR "/test_session.safetensors";
  enum { NOTHING, RATE, THREADS, SAVE, LOAD, INITIALIZE, SET, SEED, STEP, CASES };
  dlc_session *s = training_session();
  float w[12] = {0};
  for (int i = 0; i < CASES; i++) {
    assert_int_equal(api->forward(s, 0, 1, inputs, targets, NULL, NULL, NULL), DLC_OK);
    if (i == RATE) assert_int_equal(api->set_learning_rate(s, 0.1), DLC_OK);
    if (i == THREADS) assert_int_equal(api->set_threads(s, 2), DLC_OK);
    if (i == SAVE) assert_int_equal(api->save(s, path), DLC_OK);
    if (i == LOAD) assert_int_equal(api->load(s, path), DLC_OK);
    if (i == INITIALIZE) assert_int_equal(api->initialize(s, 1), DLC_OK);
    if (i == SET) assert_int_equal(api->set_parameter(s, FAKE_WEIGHT, w), DLC_OK);
    if (i == SEED) assert_int_equal(api->set_seed(s, 1), DLC_OK);
    if (i == STEP) assert_int_equal(api->set_step(s, 1), DLC_OK);
    if (api->backward(s, NULL) != (i < LOAD ? DLC_OK : DLC_ESTATE)) fail_msg("case %d", i);
  }
  /* a refused call changes nothing */
  assert_int_equal(api->forward(s, 0, 1, inputs, targets, NULL, NULL, NULL), DLC_OK);
  assert_int_equal(api->load(s, "/no/such"), DLC_EIO);
  assert_int_equal(api->set_step(s, -1), DLC_EINVAL);
  assert_int_equal(api->set_parameter(s, FAKE_PARAMETERS, w), DLC_EINVAL);
  assert_int_equal(api->backward(s, NULL), DLC_OK);
  /* gradients outlast their parameters */
  assert_int_equal(api->load(s, path), DLC_OK);
  assert_int_equal(api->get_gradient(s, FAKE_WEIGHT, w), DLC_OK);
  assert_int_equal(api->apply(s), DLC_OK);
  unlink(path);
  api->destroy(s);
}

/* Text of the error that the call before gave. */
static void expect_text(const dlc_session *s, int code, const char *text) {
  if (!strstr(api->error_text(s, code), text))
    fail_msg("\"%s\" lacks \"%s\"", api->error_text(s, code), text);
}

static void test_parameter_errors(void **state) {
  (void)state;
  dlc_session *s = training_session(), *inference;
  float w[12];
  assert_int_equal(api->create(model, DLC_INFERENCE, &inference), DLC_OK);
  assert_int_equal(api->get_parameter(s, -1, w), DLC_EINVAL);
  expect_text(s, DLC_EINVAL, "there is no parameter -1; dlc_v1_fake32 has 5, from 0");
  assert_int_equal(api->set_parameter(s, FAKE_PARAMETERS, w), DLC_EINVAL);
  expect_text(s, DLC_EINVAL, "there is no parameter 5");
  assert_int_equal(api->get_parameter(s, FAKE_BIAS, NULL), DLC_EINVAL);
  expect_text(s, DLC_EINVAL, "fc.bias: the place");
  assert_int_equal(api->get_gradient(s, FAKE_MEAN, w), DLC_EINVAL);
  expect_text(s, DLC_EINVAL, "has no gradient");
  assert_int_equal(api->get_gradient(s, FAKE_WEIGHT, w), DLC_ESTATE);
  expect_text(s, DLC_ESTATE, "before the first backward");
  assert_int_equal(api->get_parameter(inference, FAKE_BIAS_MOMENTUM, w), DLC_EINVAL);
  expect_text(inference, DLC_EINVAL, "optimizer state");
  assert_int_equal(api->get_parameter(NULL, 0, w), DLC_EINVAL);
  api->destroy(inference);
  api->destroy(s);
}

static void test_arguments(void **state) {
  (void)state;
  dlc_session *s = training_session();
  const void *const nothing[] = {NULL};
  assert_int_equal(api->train_step(s, 0, inputs, targets, NULL, NULL), DLC_EINVAL);
  assert_int_equal(api->train_step(s, FAKE_MAX_BATCH + 1, inputs, targets, NULL, NULL), DLC_EINVAL);
  assert_int_equal(api->train_step(s, 1, NULL, targets, NULL, NULL), DLC_EINVAL);
  assert_int_equal(api->train_step(s, 1, inputs, NULL, NULL, NULL), DLC_EINVAL);
  assert_int_equal(api->train_step(s, 1, nothing, targets, NULL, NULL), DLC_EINVAL);
  assert_non_null(strstr(api->error_text(s, DLC_EINVAL), "x is NULL"));
  assert_int_equal(api->train_step(NULL, 1, inputs, targets, NULL, NULL), DLC_EINVAL);
  label[3] = 3;
  assert_int_equal(api->train_step(s, 3, inputs, targets, NULL, NULL), DLC_OK);
  assert_int_equal(api->train_step(s, 4, inputs, targets, NULL, NULL), DLC_ELABEL);
  assert_non_null(strstr(api->error_text(s, DLC_ELABEL), "sample 3 is 3"));
  label[3] = -1;
  assert_int_equal(api->evaluate(s, 4, inputs, targets, NULL, NULL, NULL), DLC_ELABEL);
  assert_int_equal(api->step(s), 1);
  assert_int_equal(api->set_threads(s, 0), DLC_EINVAL);
  assert_int_equal(api->set_threads(s, RT_MAX_THREADS + 1), DLC_EINVAL);
  assert_int_equal(api->set_learning_rate(s, -1), DLC_EINVAL);
  assert_int_equal(api->set_learning_rate(s, NAN), DLC_EINVAL);
  assert_int_equal(api->set_step(s, -1), DLC_EINVAL);
  assert_int_equal(api->get_parameter(s, -1, x), DLC_EINVAL);
  assert_int_equal(api->get_parameter(s, FAKE_PARAMETERS, x), DLC_EINVAL);
  assert_non_null(api->error_text(NULL, -99));
  api->destroy(s);
}

static void test_hyper(void **state) {
  (void)state;
  dlc_model adam = *model;
  dlc_training t = *model->training;
  t.optimizer = "adam";
  t.beta1 = 0.9;
  t.beta2 = 0.999;
  adam.training = &t;
  dlc_session *s;
  make_data();
  assert_int_equal(api->create(&adam, DLC_TRAINING, &s), DLC_OK);
  assert_true(api->learning_rate(s) == 0.05);
  api->set_seed(s, 77);
  api->set_learning_rate(s, 0.25);
  api->train_step(s, 1, inputs, targets, NULL, NULL);
  assert_true(fake_last_call.hyper[0] == 0.25);
  assert_true(fabs(fake_last_call.hyper[1] - 0.1) < 1e-15);
  assert_true(fabs(fake_last_call.hyper[2] - 0.001) < 1e-15);
  assert_int_equal(fake_last_call.seed, 77);
  assert_int_equal(fake_last_call.step, 0);
  api->set_step(s, 9);
  api->train_step(s, 1, inputs, targets, NULL, NULL);
  assert_true(fabs(fake_last_call.hyper[1] - (1 - pow(0.9, 10))) < 1e-15);
  assert_int_equal(fake_last_call.step, 9);
  api->initialize(s, 3);
  assert_int_equal(api->step(s), 0);
  api->destroy(s);
}

static int executor_calls;

static void odd_executor(void *executor, int64_t count, dlc_range body, void *context) {
  executor_calls += *(int *)executor;
  for (int64_t i = count; i-- > 0;) body(context, i, i + 1);
}

static void test_threads_same_bits(void **state) {
  (void)state;
  dlc_session *one = training_session();
  for (int i = 0; i < 20; i++) api->train_step(one, 61, inputs, targets, NULL, NULL);
  for (int threads = 2; threads <= 9; threads += 3) {
    dlc_session *many = training_session();
    assert_int_equal(api->set_threads(many, threads), DLC_OK);
    for (int i = 0; i < 20; i++) api->train_step(many, 61, inputs, targets, NULL, NULL);
    assert_int_equal(fake_last_call.threads, threads);
    assert_memory_equal(one->parameters, many->parameters,
                        model->parameter_bytes + model->state_bytes);
    api->destroy(many);
  }
  dlc_session *own = training_session();
  int add = 1;
  assert_int_equal(api->set_parallel_for(own, odd_executor, &add, 0), DLC_EINVAL);
  assert_int_equal(api->set_parallel_for(own, odd_executor, &add, 4), DLC_OK);
  for (int i = 0; i < 20; i++) api->train_step(own, 61, inputs, targets, NULL, NULL);
  assert_int_equal(executor_calls, 20);
  assert_memory_equal(one->parameters, own->parameters,
                      model->parameter_bytes + model->state_bytes);
  assert_int_equal(api->set_parallel_for(own, NULL, NULL, 0), DLC_OK);
  api->train_step(own, 1, inputs, targets, NULL, NULL);
  assert_int_equal(fake_last_call.threads, 1);
  api->destroy(own);
  api->destroy(one);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_memory),
      cmocka_unit_test(test_refusals),
      cmocka_unit_test(test_training_learns),
      cmocka_unit_test(test_parts_are_the_step),
      cmocka_unit_test(test_gradients),
      cmocka_unit_test(test_order_of_calls),
      cmocka_unit_test(test_forgotten_forward),
      cmocka_unit_test(test_parameter_errors),
      cmocka_unit_test(test_arguments),
      cmocka_unit_test(test_hyper),
      cmocka_unit_test(test_threads_same_bits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
