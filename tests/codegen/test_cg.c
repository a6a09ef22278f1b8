/* The builders: loops, masks, carried values; processors; the kernel cache. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/codegen/harness.h"

static const char *const cpus[] = {"native", "haswell", "sandybridge", "x86-64"};

/* y[i] = x[i] * x[i] + 1 for i < n, and y[n] = sum of x: vectors with a masked tail. */
static KernelList emit_square(Cg *cg) {
  LLVMValueRef f = cg_function(cg, "square");
  LLVMValueRef buffers = LLVMGetParam(f, 0), n = LLVMGetParam(f, 1);
  LLVMValueRef x = cg_buffer(cg, buffers, 0), y = cg_buffer(cg, buffers, 1);
  LLVMValueRef one = cg_splat(cg, cg_real(cg, 1), cg->lanes);
  CgLoop l = cg_loop(cg, cg_int(cg, 0), n, cg->lanes);
  LLVMValueRef sum = cg_carry(cg, &l, LLVMConstNull(cg_vector(cg, cg->real, cg->lanes)));
  LLVMValueRef mask = cg_mask(cg, LLVMBuildSub(cg->builder, n, l.index, ""), cg->lanes);
  LLVMValueRef v = cg_load(cg, cg->real, cg_at(cg, cg->real, x, l.index), cg->lanes, mask);
  cg_store(cg, cg_fma(cg, v, v, one), cg_at(cg, cg->real, y, l.index), mask);
  cg_carry_next(&l, sum, LLVMBuildFAdd(cg->builder, sum, v, ""));
  cg_loop_end(cg, &l);
  LLVMValueRef args[] = {cg_real(cg, 0), sum};
  LLVMValueRef total =
      cg_call(cg, "llvm.vector.reduce.fadd", 1, (LLVMTypeRef[]){LLVMTypeOf(sum)}, 2, args);
  cg_store(cg, total, cg_at(cg, cg->real, y, n), NULL);
  LLVMBuildRetVoid(cg->builder);
  return (KernelList){.count = 1, .stage = {{.function = f, .units = {0, 1}}}};
}

static void check_square(const char *cpu) {
  Cg *cg = harness_cg(cpu, 4, 100);
  KernelList list = emit_square(cg);
  Harness *h = harness_new(cg);
  for (int n = 0; n <= 70; n++) {
    float x[71], y[72], sum = 0;
    for (int i = 0; i < n; i++) sum += x[i] = (float)(i * 3 - 20);
    memset(y, 0x55, sizeof y);
    float guard = y[71];
    harness_run(h, &list, (void *[]){x, y}, n, 0);
    for (int i = 0; i < n; i++) assert_true(y[i] == x[i] * x[i] + 1);
    assert_true(y[n] == sum);
    assert_true(y[71] == guard);
  }
  harness_free(h);
  harness_cg_free(cg);
}

static void test_loop_and_masks(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof cpus / sizeof *cpus; i++) check_square(cpus[i]);
}

static void test_processors(void **state) {
  (void)state;
  Cg *cg = harness_cg("haswell", 4, 1);
  assert_int_equal(cg->lanes, 8);
  assert_int_equal(cg->registers, 16);
  assert_true(cg->fma && cg->masks);
  assert_non_null(strstr(cg->features, "avx2"));
  harness_cg_free(cg);
  cg = harness_cg("skylake-avx512", 8, 1);
  assert_int_equal(cg->lanes, 8);
  assert_int_equal(cg->registers, 32);
  harness_cg_free(cg);
  cg = harness_cg("x86-64", 4, 1);
  assert_int_equal(cg->lanes, 4);
  assert_false(cg->masks || cg->fma);
  assert_string_equal(cg->features, "");
  harness_cg_free(cg);
}

static void expect_refused(const char *triple, const char *cpu, const char *text) {
  Arena *a = arena_new();
  const char *why = NULL;
  CgOptions options = {.triple = triple, .cpu = cpu, .real_bytes = 4, .level = 1};
  assert_null(cg_new(a, "m", &options, 1, &why));
  assert_non_null(why);
  if (!strstr(why, text)) fail_msg("'%s' does not mention '%s'", why, text);
  arena_free(a);
}

static void test_refused(void **state) {
  (void)state;
  expect_refused(NULL, "haswel", "haswell");
  expect_refused(NULL, "z80", "z80");
  expect_refused("nonsense-triple", NULL, "nonsense");
  expect_refused("aarch64-linux-gnu", "haswell", "haswell");
}

static void test_cache(void **state) {
  (void)state;
  Cg *cg = harness_cg("native", 4, 1);
  int a, b;
  assert_null(cg_kernel_find(cg, "a"));
  cg_kernel_keep(cg, "a", &a);
  cg_kernel_keep(cg, "b", &b);
  assert_ptr_equal(cg_kernel_find(cg, "a"), &a);
  assert_ptr_equal(cg_kernel_find(cg, "b"), &b);
  assert_null(cg_kernel_find(cg, "c"));
  harness_cg_free(cg);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_loop_and_masks),
      cmocka_unit_test(test_processors),
      cmocka_unit_test(test_refused),
      cmocka_unit_test(test_cache),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
