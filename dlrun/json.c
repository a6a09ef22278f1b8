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

void json_flag_at(json_object_t *o, const char *key, bool v) {
  json_object_set_new(o, key, json_boolean(v));
}

void json_integers_at(json_object_t *o, const char *key, int n, const int64_t *v) {
  json_t *list = json_list_at(o, key);
  for (int i = 0; i < n; i++) json_array_append_new(list, json_integer(v[i]));
}

json_object_t *json_list_at(json_object_t *o, const char *key) {
  json_t *list = json_array();
  json_object_set_new(o, key, list);
  return list;
}

json_object_t *json_append(json_object_t *list) {
  json_t *o = json_object();
  json_array_append_new(list, o);
  return o;
}

void json_drop(json_object_t *o) { json_decref(o); }

void json_print(json_object_t *o) {
  json_dumpf(o, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
  printf("\n");
  json_decref(o);
}
