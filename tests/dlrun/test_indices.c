/* Indices and labels of compiled networks: every bit of them counts, however they are moved before
 * they are used. */
#include <dlfcn.h>
#include <stdint.h>

#include "dlrun/model.h"
#include "tests/dlrun/files.h"
#include "tests/dlrun/run.h"

#define B TEST_BINARY_DIR "/indices-"

typedef struct {
  void *handle;
  const dlc_model *model;
  dlc_session *session;
} Compiled;

static Compiled compile(const char *net, const char *flags) {
  Compiled c;
  Fault f;
  write_blob(B "net.net", net, strlen(net));
  expect(0, "", run_program(DLC, "%s -o %s %s", B "net.net", B "net.so", flags));
  assert_true(model_open(B "net.so", &c.handle, &c.model, &f));
  assert_int_equal(c.model->api->create(c.model, DLC_TRAINING, &c.session), DLC_OK);
  return c;
}

static void done(Compiled *c) {
  c->model->api->destroy(c->session);
  dlclose(c->handle);
}

/* ---- large indices ---- */

/* f32 has only every second whole number here. */
enum { ROWS = 16777300, FIRST = 16777211 };

static const char large[] =
    "network large {\n"
    "  input i : i32[4];\n"
    "  param t : f32[16777300, 1] = zeros;\n"
    "  output direct = i |> embedding(16777300, 1, weight=t) |> flatten;\n"
    "  output turned = i |> reshape([2, 2]) |> transpose(0, 1) |> embedding(16777300, 1, weight=t)"
    " |> flatten;\n"
    "  output joined = concat(slice(i, 0, 2, 4), slice(i, 0, 0, 2))"
    " |> embedding(16777300, 1, weight=t) |> flatten;\n"
    "  loss sum(turned) + 2 * sum(joined);\n"
    "}\n";

static void expect_rows(const float *got, const int32_t *index, const int *order) {
  for (int k = 0; k < 4; k++) assert_true(got[k] == (float)(index[order[k]] - FIRST));
}

static void test_large(void **state) {
  (void)state;
  static const int32_t index[4] = {16777217, 16777299, 16777219, 16777213};
  static const char *const flags[] = {"-O3", "-O0", "-mcpu=x86-64"};
  for (int k = 0; k < 3; k++) {
    Compiled c = compile(large, flags[k]);
    const dlc_api *api = c.model->api;
    float *table = api->parameter_data(c.session, 0), out[3][4];
    for (int i = FIRST; i < ROWS; i++) table[i] = (float)(i - FIRST);
    const void *in[] = {index};
    assert_int_equal(
        api->forward(c.session, 0, 1, in, NULL, (void *[]){out[0], out[1], out[2]}, NULL, NULL),
        DLC_OK);
    expect_rows(out[0], index, (int[]){0, 1, 2, 3});
    expect_rows(out[1], index, (int[]){0, 2, 1, 3});
    expect_rows(out[2], index, (int[]){2, 3, 0, 1});
    assert_int_equal(api->backward(c.session, NULL), DLC_OK);
    float *gradient = malloc(sizeof *gradient * ROWS);
    assert_int_equal(api->get_gradient(c.session, 0, gradient), DLC_OK);
    for (int i = FIRST; i < ROWS; i++) {
      bool taken = i == index[0] || i == index[1] || i == index[2] || i == index[3];
      assert_true(gradient[i] == (taken ? 3 : 0));
    }
    free(gradient);
    done(&c);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_large)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
