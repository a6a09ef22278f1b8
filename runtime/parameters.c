/* The parameter table: get, set and in place. */
#include <string.h>

#include "runtime/rt.h"

/* The entry, or NULL when there is none or (optimizer state of an inference session) no memory
 * behind it. */
static const dlc_parameter *entry(const dlc_session *s, int32_t index) {
  if (!s || index < 0 || index >= s->model->parameter_count) return NULL;
  const dlc_parameter *p = &s->model->parameters[index];
  return p->role == DLC_STATE && s->mode != DLC_TRAINING ? NULL : p;
}

int param_get(const dlc_session *s, int32_t index, void *out) {
  const dlc_parameter *p = entry(s, index);
  if (!p || !out) return DLC_EINVAL;
  layout_unpack(p, s->model->real_bytes, s->parameters + p->offset, out);
  return DLC_OK;
}

int param_set(dlc_session *s, int32_t index, const void *in) {
  const dlc_parameter *p = entry(s, index);
  if (!p || !in) return DLC_EINVAL;
  layout_pack(p, s->model->real_bytes, in, s->parameters + p->offset);
  return DLC_OK;
}

int param_get_gradient(const dlc_session *s, int32_t index, void *out) {
  const dlc_parameter *p = entry(s, index);
  if (!p || !out || p->role != DLC_PARAM || !p->trainable) return DLC_EINVAL;
  if (s->gradient_state == GRADIENTS_NONE) return DLC_ESTATE;
  layout_unpack(p, s->model->real_bytes, s->gradients + p->offset, out);
  return DLC_OK;
}

void *param_data(dlc_session *s, int32_t index) {
  const dlc_parameter *p = entry(s, index);
  return p ? s->parameters + p->offset : NULL;
}
