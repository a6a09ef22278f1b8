/* JSON out, over jansson: numbers that JSON cannot say (NaN, infinities) become null. */
#ifndef DLC_DLRUN_JSON_H
#define DLC_DLRUN_JSON_H

#include <stdbool.h>
#include <stdint.h>

typedef struct json_t json_object_t;

json_object_t *json_new(void);
void json_real_at(json_object_t *o, const char *key, double v);
void json_integer_at(json_object_t *o, const char *key, int64_t v);
void json_text_at(json_object_t *o, const char *key, const char *v);
void json_flag_at(json_object_t *o, const char *key, bool v);
void json_integers_at(json_object_t *o, const char *key, int n, const int64_t *v);
/* An empty list in o, and a new object at the end of a list. */
json_object_t *json_list_at(json_object_t *o, const char *key);
json_object_t *json_append(json_object_t *list);
void json_drop(json_object_t *o); /* NULL is fine */
/* Prints and frees. */
void json_print(json_object_t *o);

#endif
