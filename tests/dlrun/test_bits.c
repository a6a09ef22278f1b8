/* Fifty steps of ResNet-18 end in the same weights on any number of threads and under any memory
 * budget, and a step touches the memory that was planned. */
#include "tests/dlrun/run.h"

#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "runtime/dlc.h"
#include "runtime/safetensors.h"

#define B TEST_BINARY_DIR "/bits-"
#define DATA B "data.safetensors"

enum { STEPS = 50, BATCH = 8, SAMPLES = STEPS * BATCH, IMAGE = 3 * 28 * 28 };

static void write_data(void) {
  static uint8_t image[SAMPLES * IMAGE];
  static int64_t label[SAMPLES];
  uint32_t r = 1;
  for (int s = 0; s < SAMPLES; s++) {
    label[s] = s * 7 % 9;
    for (int i = 0; i < IMAGE; i++) {
      r = r * 1664525u + 1013904223u;
      image[s * IMAGE + i] = (uint8_t)((r >> 25) + (i % 9 == label[s] ? 100 : 0));
    }
  }
  StTensor t[] = {{.name = "image", .type = ST_U8, .rank = 4, .dim = {SAMPLES, 3, 28, 28}},
                  {.name = "label", .type = ST_I64, .rank = 1, .dim = {SAMPLES}}};
  StWriter w;
  assert_int_equal(st_create(&w, DATA, t, 2, NULL, 0), 0);
  st_write(&w, image, sizeof image);
  st_write(&w, label, sizeof label);
  assert_int_equal(st_commit(&w), 0);
}

static long long arena_bytes(const char *model) {
  expect(0, "arena", dlrun("bench %s --seconds 0", model));
  const char *at = strstr(output, "arena");
  return atoll(at + strcspn(at, "0123456789"));
}

/* Compiles within `budget` bytes, or without one for 0. Returns the arena. */
static long long compile(const char *model, long long budget) {
  char option[64] = "";
  if (budget) snprintf(option, sizeof option, "--memory-budget %lld", budget);
  expect(0, "",
         run_program(DLC, "%s/examples/resnet18.net --batch %d -o %s %s", TEST_SOURCE_DIR, BATCH,
                     model, option));
  return arena_bytes(model);
}

static void train(const char *model, int threads, const char *weights) {
  expect(0, "",
         dlrun("train %s --data %s --seed 5 --epochs 1 --quiet --threads %d --save %s", model, DATA,
               threads, weights));
}

static void expect_same(const char *weights) {
  if (run_program("cmp", "%s %s", B "one.safetensors", weights))
    fail_msg("%s has other bits: %s", weights, output);
}

/* The programs that are run from now on, and their threads, get so much stack. */
static void limit_stack(rlim_t bytes) {
  struct rlimit limit;
  assert_int_equal(getrlimit(RLIMIT_STACK, &limit), 0);
  limit.rlim_cur = bytes;
  assert_int_equal(setrlimit(RLIMIT_STACK, &limit), 0);
}

static void test_threads(void **state) {
  (void)state;
  static const int threads[] = {2, 3, 8};
  for (int i = 0; i < 3; i++) {
    limit_stack(threads[i] == 8 ? 512 << 10 : 8 << 20);
    train(B "free.so", threads[i], B "threads.safetensors");
    expect_same(B "threads.safetensors");
  }
  limit_stack(8 << 20);
}

static long long least_budget(void) {
  expect(1, "the least possible budget is ",
         run_program(DLC, "%s/examples/resnet18.net --batch %d -o %s --memory-budget 1K",
                     TEST_SOURCE_DIR, BATCH, B "none.so"));
  return atoll(strstr(output, "budget is ") + 10);
}

static void test_budgets(void **state) {
  (void)state;
  long long all = arena_bytes(B "free.so"), least = least_budget();
  const long long budget[] = {least, (least + all) / 2};
  assert_true(least < all);
  for (int i = 0; i < 2; i++) {
    long long arena = compile(B "budget.so", budget[i]);
    if (arena > budget[i]) fail_msg("%lld bytes with a budget of %lld", arena, budget[i]);
    train(B "budget.so", 1, B "budget.safetensors");
    expect_same(B "budget.safetensors");
  }
}

static long long resident(void *memory, size_t bytes) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = (bytes + page - 1) / page;
  unsigned char *in_core = malloc(pages);
  long long count = 0;
  assert_int_equal(mincore(memory, bytes, in_core), 0);
  for (size_t i = 0; i < pages; i++) count += in_core[i] & 1;
  free(in_core);
  return count * (long long)page;
}

/* What a training step touches of a session is all of it but the gradient block, which only
 * backward writes: the arena as planned, to a hundredth. */
static void test_memory_is_as_planned(void **state) {
  (void)state;
  static uint8_t image[BATCH * IMAGE];
  static int32_t label[BATCH];
  void *so = dlopen(B "free.so", RTLD_NOW);
  const dlc_model *m = so ? dlsym(so, "dlc_v1_resnet18") : NULL;
  assert_non_null(m);
  size_t bytes = m->api->session_bytes(m, DLC_TRAINING);
  void *memory =
      mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  assert_true(memory != MAP_FAILED);
  madvise(memory, bytes, MADV_NOHUGEPAGE);
  dlc_session *s;
  const void *inputs[] = {image}, *targets[] = {label};
  assert_int_equal(m->api->create_in(m, DLC_TRAINING, memory, bytes, &s), DLC_OK);
  assert_int_equal(m->api->train_step(s, BATCH, inputs, targets, NULL, NULL), DLC_OK);
  double arena = (double)m->programs[DLC_TRAIN].arena_bytes,
         blocks = (double)(m->parameter_bytes + m->state_bytes),
         used = (double)resident(memory, bytes) - blocks;
  if (used > arena * 1.01 || used < arena * 0.99)
    fail_msg("%.0f bytes planned, %.0f used", arena, used);
  m->api->destroy(s);
  munmap(memory, bytes);
  dlclose(so);
}

static int begin(void **state) {
  (void)state;
  write_data();
  compile(B "free.so", 0);
  train(B "free.so", 1, B "one.safetensors");
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_threads), cmocka_unit_test(test_budgets),
                                     cmocka_unit_test(test_memory_is_as_planned)};
  return cmocka_run_group_tests(tests, begin, NULL);
}
