/* What is checked before compiled code sees it: every tensor is there, every label and index is in
 * its range. */
#include "runtime/rt.h"

static int64_t integer_at(const dlc_tensor *t, const void *data, int64_t i) {
  return t->elem == DLC_U8 ? ((const uint8_t *)data)[i] : ((const int32_t *)data)[i];
}

static int check_range(dlc_session *s, const dlc_tensor *t, const int32_t *limits, int64_t n,
                       const void *data) {
  int64_t count = n * t->elements;
  for (int64_t i = 0; i < count; i++) {
    int64_t v = integer_at(t, data, i), limit = limits ? limits[i % t->elements] : t->classes;
    if (!limit || (v >= 0 && v < limit)) continue;
    return rt_error(s, DLC_ELABEL, "%.100s of sample %lld is %lld, which is not from 0 to %lld",
                    t->name, (long long)(i / t->elements), (long long)v, (long long)limit - 1);
  }
  return DLC_OK;
}

int check_tensors(dlc_session *s, const dlc_tensor *t, const int32_t *const *limits, int32_t count,
                  int64_t n, const void *const *data) {
  if (count && !data)
    return rt_error(s, DLC_EINVAL, "no array of tensors was given; %d are needed", (int)count);
  for (int32_t i = 0; i < count; i++) {
    if (!data[i]) return rt_error(s, DLC_EINVAL, "%.100s is NULL", t[i].name);
    const int32_t *each = limits ? limits[i] : NULL;
    int integer = t[i].elem == DLC_U8 || t[i].elem == DLC_I32;
    int ranged = integer && (each || t[i].classes > 0);
    int code = ranged ? check_range(s, &t[i], each, n, data[i]) : DLC_OK;
    if (code != DLC_OK) return code;
  }
  return DLC_OK;
}
