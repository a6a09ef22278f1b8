/* JSON out, over jansson: numbers that JSON cannot say (NaN, infinities) become null. */
#ifndef DLC_DLRUN_JSON_H
#define DLC_DLRUN_JSON_H

#include <stdint.h>

typedef struct json_t json_object_t;

json_object_t *json_new(void);
void json_real_at(json_object_t *o, const char *key, double v);
void json_integer_at(json_object_t *o, const char *key, int64_t v);
void json_text_at(json_object_t *o, const char *key, const char *v);
/* Prints and frees. */
void json_print(json_object_t *o);

#endif
