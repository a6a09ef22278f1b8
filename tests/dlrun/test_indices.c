/* Indices and labels of compiled networks: every bit of them counts and their range is checked,
 * however they are moved before they are used. */
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

/* ---- ranges ---- */

/* Two samples; the second one's values are `given`, the first one's 0. Says what the session does.
 */
typedef struct {
  const char *body, *error; /* NULL: all is well */
  int32_t given[2][4];      /* of the inputs and targets in their order */
} Range;

#define HEAD "network ranges { param p : f32[1] = zeros; output o = p; "
#define MOVED \
  "input i : i32[4]; loss sum(i |> reshape([2, 2]) |> transpose(0, 1) |> embedding(10, 1));"
#define LABEL "input x : f32[3]; input k : i32; z = x |> linear(3) as z; loss cross_entropy(z, k);"
#define COLUMNS                                        \
  "input i : i32[3];"                                  \
  "a = i |> slice(0, 0, 1) |> embedding(10, 2) as a;"  \
  "b = i |> slice(0, 1, 2) |> embedding(100, 2) as b;" \
  "loss sum(a) + sum(b) + sum(slice(i, 0, 2, 3));"
#define LEAST         \
  "input i : i32[4];" \
  "loss sum(i |> embedding(10, 1) as a) + sum(i |> reshape([2, 2]) |> embedding(5, 1) as b);"
#define JOINED                          \
  "input i : i32[1]; input j : i32[2];" \
  "loss sum(concat(i, j) |> embedding(7, 1));"
#define TARGET                                               \
  "param s : f32[2, 2, 3] = zeros; target y : class[10][4];" \
  "loss cross_entropy(s, reshape(y, [2, 2]));"
#define METRIC                                                                \
  "input x : f32[3]; input k : i32[1]; z = x |> linear(3) as z; loss sum(z);" \
  "metric accuracy(z, squeeze(k, 0));"
#define OWN                             \
  "input i : i32[2]; input k : i32[2];" \
  "loss sum(reshape(i, [2, 1]) |> embedding(4, 1)) + sum(k);"

static const Range ranges[] = {
    {MOVED, NULL, {{9, 0, 1, 2}}},
    {MOVED, "i of sample 1 is 10, which is not from 0 to 9", {{0, 1, 10, 2}}},
    {MOVED, "i of sample 1 is -5, which is not from 0 to 9", {{0, 1, 2, -5}}},
    {LABEL, NULL, {{0}, {2}}},
    {LABEL, "k of sample 1 is 7, which is not from 0 to 2", {{0}, {7}}},
    {LABEL, "k of sample 1 is -2, which is not from 0 to 2", {{0}, {-2}}},
    {COLUMNS, NULL, {{9, 99, -12345}}},
    {COLUMNS, "i of sample 1 is 10, which is not from 0 to 9", {{10, 99, 0}}},
    {COLUMNS, "i of sample 1 is 100, which is not from 0 to 99", {{9, 100, 0}}},
    {LEAST, NULL, {{4, 4, 4, 4}}},
    {LEAST, "i of sample 1 is 5, which is not from 0 to 4", {{4, 4, 5, 4}}},
    {JOINED, NULL, {{6}, {6, 6}}},
    {JOINED, "j of sample 1 is 7, which is not from 0 to 6", {{6}, {6, 7}}},
    {TARGET, NULL, {{2, 2, 2, 2}}},
    {TARGET, "y of sample 1 is 3, which is not from 0 to 2", {{2, 2, 2, 3}}},
    {METRIC, NULL, {{0}, {2}}},
    {METRIC, "k of sample 1 is 3, which is not from 0 to 2", {{0}, {3}}},
    {OWN, NULL, {{3, 0}, {99, -99}}},
};

static void check_range(const Range *r) {
  char net[1000];
  snprintf(net, sizeof net, HEAD "%s } train { batch 2; }", r->body);
  Compiled c = compile(net, "");
  const dlc_model *m = c.model;
  int32_t values[2][8] = {{0}};
  const void *data[2];
  for (int t = 0; t < m->input_count + m->target_count; t++) {
    int64_t each =
        t < m->input_count ? m->inputs[t].elements : m->targets[t - m->input_count].elements;
    memcpy(values[t] + each, r->given[t], (size_t)each * sizeof(int32_t));
    data[t] = values[t];
  }
  int status = m->api->forward(c.session, 0, 2, data, data + m->input_count, NULL, NULL, NULL);
  assert_int_equal(status, r->error ? DLC_ELABEL : DLC_OK);
  if (r->error) assert_string_equal(m->api->error_text(c.session, status), r->error);
  done(&c);
}

static void test_ranges(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
    print_message("%zu: %s\n", i, ranges[i].body);
    check_range(&ranges[i]);
  }
}

static void test_too_many(void **state) {
  (void)state;
  static const char net[] = HEAD
      "input i : i32[16777216];\n"
      "x = i |> reshape([4096, 4096]) |> embedding(2, 1); loss sum(x); }";
  write_blob(B "net.net", net, strlen(net));
  expect(1, "net.net:2:35: error: indices of 33554432 elements are too many to be moved",
         run_program(DLC, "%s -o %s", B "net.net", B "net.so"));
}

/* Data that dlrun makes up is within ranges too. */
static void test_made_up(void **state) {
  (void)state;
  Compiled c = compile(HEAD COLUMNS "}", "");
  done(&c);
  expect(0, "train", dlrun("bench %s --batch 8", B "net.so"));
  expect(0, "grad.a.weight", dlrun("check %s --batch 8", B "net.so"));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_large), cmocka_unit_test(test_ranges),
                                     cmocka_unit_test(test_too_many),
                                     cmocka_unit_test(test_made_up)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
