#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "frontend/frontend.h"
#include "golden.h"

Graph *golden_load(Arena *a, const char *path) {
  Diags *d = diags_new(a, sources_new(a));
  FrontendOptions o = {0};
  Graph *g = frontend_load(a, d, path, &o);
  golden_stop_on_errors(d);
  return g;
}
