/* TensorBoard event files: DIR/events.out.tfevents.<time>.<host>.<process>, scalars over steps. */
#ifndef DLC_DLRUN_EVENTS_H
#define DLC_DLRUN_EVENTS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/arena.h"
#include "dlrun/fault.h"

typedef struct {
  FILE *file; /* NULL: nothing is kept */
  char *path;
} Events;

/* Makes a new file in the folder, which must be there. */
bool events_open(Events *e, Arena *a, const char *dir, Fault *f);
/* tag: at most EVENTS_TAG bytes count. */
enum { EVENTS_TAG = 200 };
void events_scalar(Events *e, double wall_time, int64_t step, const char *tag, double value);
/* Everything so far is in the file; false when something could not be written. */
bool events_flush(Events *e, Fault *f);
void events_close(Events *e);

/* CRC-32C (Castagnoli) as TFRecord has it: rotated and offset. */
uint32_t events_masked_crc(const void *data, size_t n);

#endif
