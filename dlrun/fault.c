#include "dlrun/fault.h"

#include <stdarg.h>
#include <stdio.h>

bool fault(Fault *f, const char *fmt, ...) {
  if (f->text[0]) return false;
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(f->text, sizeof f->text, fmt, ap);
  va_end(ap);
  return false;
}
