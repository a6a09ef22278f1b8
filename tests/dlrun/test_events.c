/* TensorBoard files, decoded here byte by byte: records, checksums, protocol buffers. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "dlrun/data/bytes.h"
#include "dlrun/journal.h"

#define DIR TEST_BINARY_DIR "/events"

/* A table-driven CRC-32C, apart from the one under test. */
static uint32_t crc32c(const uint8_t *p, size_t n) {
  static uint32_t table[256];
  for (uint32_t i = 0; i < 256; i++) {
    table[i] = i;
    for (int k = 0; k < 8; k++) table[i] = (table[i] >> 1) ^ (0x82f63b78u * (table[i] & 1));
  }
  uint32_t crc = 0xffffffffu;
  while (n--) crc = table[(crc ^ *p++) & 0xff] ^ (crc >> 8);
  return crc ^ 0xffffffffu;
}

static uint32_t masked(const uint8_t *p, size_t n) {
  uint32_t crc = crc32c(p, n);
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

static void test_crc(void **state) {
  (void)state;
  /* RFC 3720, B.4 */
  uint8_t zeros[32] = {0}, ones[32];
  memset(ones, 0xff, sizeof ones);
  assert_int_equal(crc32c(zeros, 32), 0x8a9136aau);
  assert_int_equal(crc32c(ones, 32), 0x62a8ab43u);
  assert_int_equal(crc32c((const uint8_t *)"123456789", 9), 0xe3069283u);
  assert_int_equal(events_masked_crc(zeros, 32), masked(zeros, 32));
  assert_int_equal(events_masked_crc("123456789", 9),
                   0xa282ead8u + (0xe3069283u >> 15 | 0xe3069283u << 17));
  assert_int_equal(events_masked_crc("", 0), 0xa282ead8u);
}

static uint64_t varint(Bytes *b) {
  uint64_t v = 0;
  for (int shift = 0;; shift += 7) {
    const uint8_t *p = bytes_take(b, 1);
    assert_non_null(p);
    assert_true(shift < 64);
    v |= (uint64_t)(*p & 0x7f) << shift;
    if (*p < 0x80) return v;
  }
}

typedef struct {
  double wall_time;
  int64_t step;
  char version[32], tag[256];
  float value;
} Event;

static Bytes inner(Bytes *b) {
  size_t n = varint(b);
  const uint8_t *p = bytes_take(b, n);
  assert_non_null(p);
  return (Bytes){p, n};
}

static void take_value(Bytes b, Event *e) {
  while (b.left) {
    uint64_t key = varint(&b);
    if (key == (1 << 3 | 2)) {
      Bytes tag = inner(&b);
      memcpy(e->tag, tag.at, tag.left);
      e->tag[tag.left] = 0;
    } else {
      assert_int_equal(key, 2 << 3 | 5);
      memcpy(&e->value, bytes_take(&b, 4), 4);
    }
  }
}

static Event decode(Bytes b) {
  Event e = {.step = -1};
  while (b.left) {
    uint64_t key = varint(&b);
    if (key == (1 << 3 | 1)) {
      memcpy(&e.wall_time, bytes_take(&b, 8), 8);
    } else if (key == (2 << 3 | 0)) {
      e.step = (int64_t)varint(&b);
    } else if (key == (3 << 3 | 2)) {
      Bytes text = inner(&b);
      memcpy(e.version, text.at, text.left);
    } else {
      assert_int_equal(key, 5 << 3 | 2);
      Bytes summary = inner(&b);
      assert_int_equal(varint(&summary), 1 << 3 | 2);
      take_value(inner(&summary), &e);
      assert_int_equal(summary.left, 0);
    }
  }
  return e;
}

static int read_events(const char *path, Event *out, int most) {
  Fault f = {.text = ""};
  Bytes b;
  void *owner;
  int n = 0;
  assert_true(bytes_load(path, &b, &owner, &f));
  while (b.left) {
    const uint8_t *head = b.at;
    uint64_t length, crc;
    assert_true(bytes_little(&b, 8, &length) && bytes_little(&b, 4, &crc));
    assert_int_equal(crc, masked(head, 8));
    const uint8_t *data = bytes_take(&b, length);
    assert_non_null(data);
    assert_true(bytes_little(&b, 4, &crc));
    assert_int_equal(crc, masked(data, length));
    assert_true(n < most);
    out[n++] = decode((Bytes){data, length});
  }
  free(owner);
  return n;
}

static void test_file(void **state) {
  (void)state;
  Arena *a = arena_new();
  Fault f = {.text = ""};
  Events e;
  Event got[8];
  static const int64_t steps[] = {0, 127, 128, 300000000000};
  assert_true(events_open(&e, a, TEST_BINARY_DIR, &f));
  assert_non_null(strstr(e.path, "/events.out.tfevents."));
  for (int i = 0; i < 4; i++)
    events_scalar(&e, 1.5 + i, steps[i], i % 2 ? "b" : "loss/train", 0.1 * i);
  events_close(&e);
  assert_int_equal(read_events(e.path, got, 8), 5);
  assert_string_equal(got[0].version, "brain.Event:2");
  assert_true(got[0].wall_time > 1.7e9);
  for (int i = 0; i < 4; i++) {
    assert_string_equal(got[i + 1].tag, i % 2 ? "b" : "loss/train");
    assert_int_equal(got[i + 1].step, steps[i]);
    assert_true(got[i + 1].value == (float)(0.1 * i) && got[i + 1].wall_time == 1.5 + i);
  }
  unlink(e.path);
  /* a tag of any length */
  char tag[1000];
  memset(tag, 'x', sizeof tag);
  tag[999] = 0;
  assert_true(events_open(&e, a, TEST_BINARY_DIR, &f));
  events_scalar(&e, 0, 1, tag, 2);
  events_close(&e);
  assert_int_equal(read_events(e.path, got, 8), 2);
  assert_int_equal(strlen(got[1].tag), EVENTS_TAG);
  unlink(e.path);
  assert_false(events_open(&e, a, TEST_BINARY_DIR "/no/such/folder", &f));
  assert_non_null(strstr(f.text, "No such file"));
  arena_free(a);
}

static double scalar(const Event *e, int n, const char *tag, int64_t step) {
  for (int i = 0; i < n; i++)
    if (strcmp(e[i].tag, tag) == 0 && e[i].step == step) return (double)e[i].value;
  fail_msg("no %s at step %lld", tag, (long long)step);
  return 0;
}

static void test_journal(void **state) {
  (void)state;
  Arena *a = arena_new();
  Fault f = {.text = ""};
  const char *const metrics[] = {"accuracy", "auc"};
  dlc_model m = {.name = "m", .metric_count = 2, .metrics = metrics};
  History h = {.arena = a, .model = &m, .metrics = 2, .valid = true};
  Journal j;
  Event e[32];
  assert_true(journal_open(&j, DIR, &h, &f));
  journal_step(&j, 1, 4);
  journal_step(&j, 2, 3);
  HistoryRow row = {.epoch = 1, .step = 2, .lr = 0.5, .loss = 3.5, .valid_loss = 3.25};
  row.metric[0] = 0.5;
  row.metric[1] = NAN;
  row.valid_metric[0] = 0.25;
  row.valid_metric[1] = 0.75;
  vec_push(a, &h.rows, row);
  assert_true(journal_epoch(&j, &f));
  int n = read_events(j.events.path, e, 32);
  assert_int_equal(n, 1 + 2 + 2 + 3 + 1); /* the metric that is NaN is not there */
  assert_true(scalar(e, n, "loss/step", 1) == 4 && scalar(e, n, "loss/step", 2) == 3);
  assert_true(scalar(e, n, "loss/train", 2) == 3.5 && scalar(e, n, "loss/valid", 2) == 3.25);
  assert_true(scalar(e, n, "accuracy/train", 2) == 0.5 && scalar(e, n, "auc/valid", 2) == 0.75);
  assert_true(scalar(e, n, "accuracy/valid", 2) == 0.25 && scalar(e, n, "train/lr", 2) == 0.5);
  assert_true(journal_close(&j, &f));
  unlink(j.events.path);
  arena_free(a);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_crc), cmocka_unit_test(test_file),
                                     cmocka_unit_test(test_journal)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
