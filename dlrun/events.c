/* A file of TFRecords: length (8 bytes, little-endian), masked CRC of these 8 bytes, data, masked
 * CRC of the data. The data is a protocol buffer:
 *
 *   Event   { double wall_time = 1; int64 step = 2; string file_version = 3; Summary summary = 5; }
 *   Summary { repeated Value value = 1; }    Value { string tag = 1; float simple_value = 2; }
 *
 * A field begins with number << 3 | wire type: 0 varint, 1 eight bytes, 2 length and bytes, 5 four
 * bytes. */
#include "dlrun/events.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5, MESSAGE = 512 };

typedef struct {
  uint8_t at[MESSAGE];
  size_t n;
} Message;

uint32_t events_masked_crc(const void *data, size_t n) {
  const uint8_t *p = data;
  uint32_t crc = 0xffffffffu;
  for (size_t i = 0; i < n; i++) {
    crc ^= p[i];
    for (int k = 0; k < 8; k++) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
  }
  crc = ~crc;
  return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static void little(Message *m, uint64_t v, int size) {
  for (int i = 0; i < size; i++) m->at[m->n++] = (uint8_t)(v >> (8 * i));
}

static void varint(Message *m, uint64_t v) {
  for (; v >= 0x80; v >>= 7) m->at[m->n++] = (uint8_t)(v | 0x80);
  m->at[m->n++] = (uint8_t)v;
}

static void key(Message *m, int field, int wire) { varint(m, (uint64_t)(field << 3 | wire)); }

static void put_double(Message *m, int field, double v) {
  uint64_t bits;
  memcpy(&bits, &v, sizeof bits);
  key(m, field, FIXED64);
  little(m, bits, 8);
}

static void put_float(Message *m, int field, float v) {
  uint32_t bits;
  memcpy(&bits, &v, sizeof bits);
  key(m, field, FIXED32);
  little(m, bits, 4);
}

static void put_bytes(Message *m, int field, const void *data, size_t n) {
  key(m, field, BYTES);
  varint(m, n);
  memcpy(m->at + m->n, data, n);
  m->n += n;
}

static void write_record(Events *e, const Message *m) {
  Message head = {.n = 0}, tail = {.n = 0};
  little(&head, m->n, 8);
  little(&head, events_masked_crc(head.at, 8), 4);
  little(&tail, events_masked_crc(m->at, m->n), 4);
  fwrite(head.at, 1, head.n, e->file);
  fwrite(m->at, 1, m->n, e->file);
  fwrite(tail.at, 1, tail.n, e->file);
}

bool events_open(Events *e, Arena *a, const char *dir, Fault *f) {
  char host[256] = "host";
  struct timespec now;
  gethostname(host, sizeof host - 1);
  clock_gettime(CLOCK_REALTIME, &now);
  for (int k = 0; k < 1000; k++) {
    e->path = arena_printf(a, "%s/events.out.tfevents.%010lld.%s.%ld.%d", dir,
                           (long long)now.tv_sec, host, (long)getpid(), k);
    e->file = fopen(e->path, "wbx");
    if (e->file || errno != EEXIST) break;
  }
  if (!e->file) return fault(f, "%s: %s", e->path, strerror(errno));
  static const char version[] = "brain.Event:2";
  Message m = {.n = 0};
  put_double(&m, 1, (double)now.tv_sec + 1e-9 * (double)now.tv_nsec);
  put_bytes(&m, 3, version, sizeof version - 1);
  write_record(e, &m);
  return events_flush(e, f);
}

void events_scalar(Events *e, double wall_time, int64_t step, const char *tag, double value) {
  if (!e->file) return;
  Message scalar = {.n = 0}, summary = {.n = 0}, event = {.n = 0};
  put_bytes(&scalar, 1, tag, strnlen(tag, EVENTS_TAG));
  put_float(&scalar, 2, (float)value);
  put_bytes(&summary, 1, scalar.at, scalar.n);
  put_double(&event, 1, wall_time);
  key(&event, 2, VARINT);
  varint(&event, (uint64_t)step);
  put_bytes(&event, 5, summary.at, summary.n);
  write_record(e, &event);
}

bool events_flush(Events *e, Fault *f) {
  if (!e->file || (!fflush(e->file) && !ferror(e->file))) return true;
  return fault(f, "%s: %s", e->path, strerror(errno));
}

void events_close(Events *e) {
  if (e->file) fclose(e->file);
  e->file = NULL;
}
