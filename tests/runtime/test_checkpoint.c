/* Saving and loading sessions: row-major on disk, whatever the layout; resumed bit for bit; misfits
 * named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/safetensors.h"
#include "tests/runtime/fake_model.h"

static const dlc_api *const api = &dlc_api_v1;
static const char path[] = TEST_BINARY_DIR "/test_checkpoint.safetensors";

static float x[8 * FAKE_IN];
static int32_t label[8];
static const void *const inputs[] = {x};
static const void *const targets[] = {label};

static dlc_session *session(const dlc_model *m, dlc_mode mode, uint64_t seed) {
  dlc_session *s;
  for (int i = 0; i < 8; i++) {
    label[i] = i % 3;
    for (int k = 0; k < FAKE_IN; k++) x[i * FAKE_IN + k] = (float)((i * 5 + k) % 7) / 7;
  }
  assert_int_equal(api->create(m, mode, &s), DLC_OK);
  assert_int_equal(api->initialize(s, seed), DLC_OK);
  return s;
}

static size_t block_bytes(const dlc_session *s) {
  return (size_t)(s->model->parameter_bytes + s->model->state_bytes);
}

static void test_weights(void **state) {
  (void)state;
  dlc_session *a = session(&dlc_v1_fake32, DLC_TRAINING, 1),
              *b = session(&dlc_v1_fake32, DLC_TRAINING, 2);
  assert_memory_not_equal(a->parameters, b->parameters, block_bytes(a));
  assert_int_equal(api->save(a, path), DLC_OK);
  assert_int_equal(api->load(b, path), DLC_OK);
  assert_memory_equal(a->parameters, b->parameters, block_bytes(a));
  StFile f;
  float w[12];
  double file[12];
  assert_int_equal(st_open(&f, path), DLC_OK);
  assert_int_equal(f.count, 3); /* no optimizer state */
  const StTensor *t = st_find(&f, "fc.weight");
  assert_true(t->type == ST_F32 && t->rank == 2 && t->dim[0] == 3 && t->dim[1] == 4);
  assert_int_equal(st_read_doubles(&f, t, 0, 12, file), DLC_OK);
  api->get_parameter(a, FAKE_WEIGHT, w);
  for (int i = 0; i < 12; i++) assert_true(file[i] == (double)w[i]);
  st_close(&f);
  api->destroy(a);
  api->destroy(b);
}

/* A new session's values are drawn when first needed: a file takes their place, a load that fails
 * does not. */
static void test_fresh(void **state) {
  (void)state;
  dlc_session *drawn = session(&dlc_v1_fake32, DLC_TRAINING, 0), *other, *fresh;
  assert_int_equal(api->create(&dlc_v1_fake32, DLC_TRAINING, &fresh), DLC_OK);
  assert_int_not_equal(api->load(fresh, TEST_BINARY_DIR "/not.there"), DLC_OK);
  assert_non_null(api->parameter_data(fresh, FAKE_WEIGHT));
  assert_memory_equal(fresh->parameters, drawn->parameters, block_bytes(drawn));
  api->destroy(fresh);
  other = session(&dlc_v1_fake32, DLC_TRAINING, 7);
  assert_int_equal(api->save(other, path), DLC_OK);
  for (int mode = DLC_INFERENCE; mode <= DLC_TRAINING; mode++) {
    float was[12], is[12];
    assert_int_equal(api->create(&dlc_v1_fake32, (dlc_mode)mode, &fresh), DLC_OK);
    assert_int_equal(api->load(fresh, path), DLC_OK);
    assert_int_equal(api->get_parameter(other, FAKE_WEIGHT, was), DLC_OK);
    assert_int_equal(api->get_parameter(fresh, FAKE_WEIGHT, is), DLC_OK);
    assert_memory_equal(was, is, sizeof was);
    api->destroy(fresh);
  }
  assert_int_equal(api->create(&dlc_v1_fake32, DLC_TRAINING, &fresh), DLC_OK);
  api->train_step(fresh, 8, inputs, targets, NULL, NULL);
  api->train_step(drawn, 8, inputs, targets, NULL, NULL);
  assert_memory_equal(fresh->parameters, drawn->parameters, block_bytes(drawn));
  api->destroy(fresh);
  api->destroy(drawn);
  api->destroy(other);
}

/* Runs pass over the same elements in the same order as single steps. */
static void test_runs(void **state) {
  (void)state;
  const dlc_parameter p = {.store_rank = 3, .store_dim = {5, 3, 20}, .store_order = {2, 0, 1}};
  LayoutCursor runs = layout_start(&p), steps = layout_start(&p);
  for (int64_t done = 0, most = 1; done < 5 * 3 * 20; most = most % 33 + 4) {
    LayoutRun r = layout_run(&runs, most);
    assert_in_range(r.count, 1, most);
    for (int64_t k = 0; k < r.count; k++, done++, layout_next(&steps))
      assert_int_equal(r.at + k * r.stride, steps.at);
  }
  const dlc_parameter scalar = {0};
  runs = layout_start(&scalar);
  assert_int_equal(layout_run(&runs, 9).count, 1);
}

/* The session's own entries go into both kinds of file. */
static void test_metadata(void **state) {
  (void)state;
  static const char *const pairs[] = {"classes.label", "[\"a\", \"\\u00e4\"]", "note", ""};
  dlc_session *s = session(&dlc_v1_fake32, DLC_TRAINING, 1);
  assert_int_equal(api->set_metadata(s, pairs, 2), DLC_OK);
  for (int full = 0; full < 2; full++) {
    StFile f;
    assert_int_equal((full ? api->save_checkpoint : api->save)(s, path), DLC_OK);
    assert_int_equal(st_open(&f, path), DLC_OK);
    assert_string_equal(st_meta(&f, "format"), "pt");
    assert_string_equal(st_meta(&f, pairs[0]), pairs[1]);
    assert_string_equal(st_meta(&f, "note"), "");
    assert_int_equal(f.meta_count, full ? 7 : 3);
    st_close(&f);
    assert_int_equal(api->load(s, path), DLC_OK);
  }
  assert_int_equal(api->set_metadata(s, (const char *const[]){"step", "1"}, 1), DLC_EINVAL);
  assert_non_null(strstr(api->error_text(s, DLC_EINVAL), "step is written by save"));
  assert_int_equal(api->set_metadata(s, (const char *const[]){"a", NULL}, 1), DLC_EINVAL);
  assert_int_equal(api->set_metadata(s, NULL, 1), DLC_EINVAL);
  assert_int_equal(api->set_metadata(s, NULL, 0), DLC_OK);
  api->destroy(s);
}

static void test_resume(void **state) {
  (void)state;
  dlc_session *through = session(&dlc_v1_fake32, DLC_TRAINING, 3);
  api->set_seed(through, 41);
  for (int i = 0; i < 10; i++) {
    api->set_learning_rate(through, 0.1 / (i + 1));
    if (i == 4) assert_int_equal(api->save_checkpoint(through, path), DLC_OK);
    api->train_step(through, 8, inputs, targets, NULL, NULL);
  }
  dlc_session *again = session(&dlc_v1_fake32, DLC_TRAINING, 99);
  assert_int_equal(api->load(again, path), DLC_OK);
  assert_int_equal(api->step(again), 4);
  assert_true(api->learning_rate(again) == 0.1 / 5);
  for (int i = 4; i < 10; i++) {
    api->set_learning_rate(again, 0.1 / (i + 1));
    api->train_step(again, 8, inputs, targets, NULL, NULL);
  }
  assert_int_equal(fake_last_call.seed, 41);
  assert_memory_equal(through->parameters, again->parameters, block_bytes(again));
  dlc_session *inference = session(&dlc_v1_fake32, DLC_INFERENCE, 5);
  assert_int_equal(api->load(inference, path), DLC_OK);
  assert_int_equal(api->save_checkpoint(inference, path), DLC_ESTATE);
  api->destroy(inference);
  api->destroy(again);
  api->destroy(through);
}

static void test_precisions(void **state) {
  (void)state;
  dlc_session *narrow = session(&dlc_v1_fake32, DLC_INFERENCE, 1),
              *wide = session(&dlc_v1_fake64, DLC_INFERENCE, 2);
  float a[12];
  double b[12];
  assert_int_equal(api->save(narrow, path), DLC_OK);
  assert_int_equal(api->load(wide, path), DLC_OK);
  api->get_parameter(narrow, FAKE_WEIGHT, a);
  api->get_parameter(wide, FAKE_WEIGHT, b);
  for (int i = 0; i < 12; i++) assert_true((double)a[i] == b[i]);
  for (int i = 0; i < 12; i++) b[i] = 0.1 * i;
  api->set_parameter(wide, FAKE_WEIGHT, b);
  assert_int_equal(api->save(wide, path), DLC_OK);
  assert_int_equal(api->load(narrow, path), DLC_OK);
  api->get_parameter(narrow, FAKE_WEIGHT, a);
  for (int i = 0; i < 12; i++) assert_true(a[i] == (float)(0.1 * i));
  api->destroy(narrow);
  api->destroy(wide);
}

/* A file with the three tensors as given by `type`, bias of `bias` elements, and PyTorch's counter
 * beside them. */
static void write_file(StType type, int64_t bias, const char *mean) {
  StTensor t[] = {{.name = "fc.weight", .type = type, .rank = 2, .dim = {3, 4}},
                  {.name = "fc.bias", .type = type, .rank = 1, .dim = {bias}},
                  {.name = mean, .type = type, .rank = 1, .dim = {4}},
                  {.name = "fc.num_batches_tracked", .type = ST_I64, .rank = 0}};
  StWriter w;
  char zeros[512] = {0};
  assert_int_equal(st_create(&w, path, t, 4, NULL, 0), DLC_OK);
  assert_int_equal(st_write(&w, zeros, (size_t)(16 + bias) * st_type_size(type) + 8), DLC_OK);
  assert_int_equal(st_commit(&w), DLC_OK);
}

static void expect_misfit(dlc_session *s, const char *text) {
  assert_int_equal(api->load(s, path), DLC_EMISMATCH);
  const char *why = api->error_text(s, DLC_EMISMATCH);
  if (!strstr(why, text)) fail_msg("\"%s\" lacks \"%s\"", why, text);
}

static void test_misfits(void **state) {
  (void)state;
  dlc_session *s = session(&dlc_v1_fake32, DLC_TRAINING, 1);
  char *before = malloc(block_bytes(s));
  memcpy(before, s->parameters, block_bytes(s));
  write_file(ST_F32, 3, "fc.mean");
  expect_misfit(s, "fc.running_mean is missing");
  write_file(ST_F32, 5, "fc.running_mean");
  expect_misfit(s, "fc.bias is [5] in the file and [3] in the network");
  write_file(ST_I32, 3, "fc.running_mean");
  expect_misfit(s, "fc.weight is of type I32");
  assert_memory_equal(before, s->parameters, block_bytes(s)); /* nothing was touched */
  write_file(ST_BF16, 3, "fc.running_mean");
  assert_int_equal(api->load(s, path), DLC_OK);
  assert_int_equal(api->load(s, TEST_BINARY_DIR "/no such file"), DLC_EIO);
  assert_int_equal(api->load(s, NULL), DLC_EINVAL);
  assert_int_equal(api->save(s, TEST_BINARY_DIR "/no/such/folder"), DLC_EIO);
  free(before);
  api->destroy(s);
}

static void test_bad_positions(void **state) {
  (void)state;
  dlc_session *s = session(&dlc_v1_fake32, DLC_TRAINING, 1);
  assert_int_equal(api->save_checkpoint(s, path), DLC_OK);
  FILE *f = fopen(path, "r+b");
  char bytes[4096];
  size_t n = fread(bytes, 1, sizeof bytes, f);
  char *place = memmem(bytes, n, "\"step\":\"0\"", 10);
  assert_non_null(place);
  place[8] = 'x';
  rewind(f);
  fwrite(bytes, 1, n, f);
  fclose(f);
  assert_int_equal(api->load(s, path), DLC_EFORMAT);
  /* for inference the position does not matter */
  dlc_session *inference = session(&dlc_v1_fake32, DLC_INFERENCE, 1);
  assert_int_equal(api->load(inference, path), DLC_OK);
  api->destroy(inference);
  api->destroy(s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_weights), cmocka_unit_test(test_fresh),
      cmocka_unit_test(test_runs),    cmocka_unit_test(test_metadata),
      cmocka_unit_test(test_resume),  cmocka_unit_test(test_precisions),
      cmocka_unit_test(test_misfits), cmocka_unit_test(test_bad_positions),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  unlink(path);
  return failed;
}
