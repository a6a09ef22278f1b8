/* One error text, filled where something goes wrong and printed once, by main. */
#ifndef DLC_DLRUN_FAULT_H
#define DLC_DLRUN_FAULT_H

#include <stdbool.h>

typedef struct {
  char text[600];
  bool internal; /* ours, not the user's: exit status 70 */
} Fault;

/* Always false, for `return fault(f, ...)`. The first text stays. */
bool fault(Fault *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
