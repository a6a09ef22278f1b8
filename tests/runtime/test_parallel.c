/* The thread pool: each index exactly once, whatever the counts, again and again, asleep or awake.
 */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/rt.h"

enum { MOST = 5000 };
static _Atomic int hits[MOST];
static Pool pool;

static void hit(void *context, int64_t begin, int64_t end) {
  (void)context;
  for (int64_t i = begin; i < end; i++) atomic_fetch_add(&hits[i], 1);
}

static void check_once(int64_t count, int times) {
  for (int64_t i = 0; i < MOST; i++) assert_int_equal(hits[i], i < count ? times : 0);
}

static void test_counts(void **state) {
  (void)state;
  pool_init(&pool);
  for (int threads = 1; threads <= 8; threads = threads * 2 + 1) {
    assert_int_equal(pool_resize(&pool, threads), DLC_OK);
    for (int64_t count = 0; count < 70; count++) {
      memset(hits, 0, sizeof hits);
      pool_for(&pool, count, hit, NULL);
      check_once(count, 1);
    }
  }
  pool_stop(&pool);
}

static void test_many_short_loops(void **state) {
  (void)state;
  pool_init(&pool);
  assert_int_equal(pool_resize(&pool, 4), DLC_OK);
  memset(hits, 0, sizeof hits);
  for (int round = 0; round < 20000; round++) pool_for(&pool, 17, hit, NULL);
  check_once(17, 20000);
  pool_stop(&pool);
}

static void test_sleeping_workers_wake(void **state) {
  (void)state;
  pool_init(&pool);
  assert_int_equal(pool_resize(&pool, 3), DLC_OK);
  for (int round = 0; round < 5; round++) {
    usleep(20000);
    memset(hits, 0, sizeof hits);
    pool_for(&pool, MOST, hit, NULL);
    check_once(MOST, 1);
  }
  pool_stop(&pool);
}

enum { CREW = 4, ROUNDS = 20 };
static _Atomic int here;
static pthread_t ran[ROUNDS][CREW];

/* Waits until every thread has a unit. */
static void meet(void *context, int64_t begin, int64_t end) {
  ((pthread_t *)context)[begin] = pthread_self();
  atomic_fetch_add(&here, (int)(end - begin));
  while (atomic_load(&here) < CREW) sched_yield();
}

static void test_a_thread_keeps_its_share(void **state) {
  (void)state;
  pool_init(&pool);
  assert_int_equal(pool_resize(&pool, CREW), DLC_OK);
  for (int round = 0; round < ROUNDS; round++) {
    atomic_store(&here, 0);
    pool_for(&pool, CREW, meet, ran[round]);
    assert_true(pthread_equal(ran[round][0], pthread_self()));
    for (int i = 0; i < CREW; i++) assert_true(pthread_equal(ran[round][i], ran[0][i]));
  }
  pool_stop(&pool);
}

/* Whoever takes unit 0 is done only after the rest, which others have to do. */
static void hold_up(void *context, int64_t begin, int64_t end) {
  hit(context, begin, end);
  atomic_fetch_add(&here, (int)(end - begin));
  while (!begin && atomic_load(&here) < MOST) sched_yield();
}

static void test_others_help_a_late_thread(void **state) {
  (void)state;
  pool_init(&pool);
  assert_int_equal(pool_resize(&pool, 3), DLC_OK);
  memset(hits, 0, sizeof hits);
  atomic_store(&here, 0);
  pool_for(&pool, MOST, hold_up, NULL);
  check_once(MOST, 1);
  pool_stop(&pool);
}

static void nest(void *context, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; i++) pool_for(context, 100, hit, NULL);
}

static void test_nested_loops_run(void **state) {
  (void)state;
  pool_init(&pool);
  assert_int_equal(pool_resize(&pool, 4), DLC_OK);
  memset(hits, 0, sizeof hits);
  pool_for(&pool, 50, nest, &pool);
  check_once(100, 50);
  pool_stop(&pool);
}

static void test_resize_and_stop(void **state) {
  (void)state;
  for (int round = 0; round < 50; round++) {
    pool_init(&pool);
    assert_int_equal(pool_resize(&pool, 1 + round % 5), DLC_OK);
    assert_int_equal(pool_resize(&pool, 1 + round % 3), DLC_OK);
    memset(hits, 0, sizeof hits);
    pool_for(&pool, 1000, hit, NULL);
    check_once(1000, 1);
    pool_stop(&pool);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_counts),
      cmocka_unit_test(test_many_short_loops),
      cmocka_unit_test(test_sleeping_workers_wake),
      cmocka_unit_test(test_a_thread_keeps_its_share),
      cmocka_unit_test(test_others_help_a_late_thread),
      cmocka_unit_test(test_nested_loops_run),
      cmocka_unit_test(test_resize_and_stop),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
