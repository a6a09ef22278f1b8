#include "dlrun/json.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>

json_object_t *json_new(void) { return json_object(); }

void json_real_at(json_object_t *o, const char *key, double v) {
  json_object_set_new(o, key, isfinite(v) ? json_real(v) : json_null());
}

void json_integer_at(json_object_t *o, const char *key, int64_t v) {
  json_object_set_new(o, key, json_integer(v));
}

void json_text_at(json_object_t *o, const char *key, const char *v) {
  json_object_set_new(o, key, json_string(v));
}

void json_print(json_object_t *o) {
  json_dumpf(o, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
  printf("\n");
  json_decref(o);
}
