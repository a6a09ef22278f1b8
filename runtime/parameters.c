/* The parameter table: get, set and in place. */
#include <string.h>

#include "runtime/rt.h"

/* The entry, or NULL when there is none or (optimizer state of an inference session) no memory
 * behind it. */
static const dlc_parameter *entry(const dlc_session *s, int32_t index) {
  if (!s) return NULL;
  if (index < 0 || index >= s->model->parameter_count)
    return rt_error(s, DLC_EINVAL, "there is no parameter %d; %.100s has %d, from 0", (int)index,
                    s->model->name, (int)s->model->parameter_count),
           NULL;
  const dlc_parameter *p = &s->model->parameters[index];
  param_ensure(s);
  if (p->role != DLC_STATE || s->mode == DLC_TRAINING) return p;
  return rt_error(s, DLC_EINVAL, "%.200s is optimizer state: an inference session has none",
                  p->name),
         NULL;
}

static int missing(const dlc_session *s, const dlc_parameter *p) {
  return p ? rt_error(s, DLC_EINVAL, "%.200s: the place for its values is NULL", p->name)
           : DLC_EINVAL;
}

int param_get(const dlc_session *s, int32_t index, void *out) {
  const dlc_parameter *p = entry(s, index);
  if (!p || !out) return missing(s, p);
  layout_unpack(p, s->model->real_bytes, s->parameters + p->offset, out);
  return DLC_OK;
}

int param_set(dlc_session *s, int32_t index, const void *in) {
  const dlc_parameter *p = entry(s, index);
  if (!p || !in) return missing(s, p);
  session_forget_forward(s);
  layout_pack(p, s->model->real_bytes, in, s->parameters + p->offset);
  return DLC_OK;
}

int param_get_gradient(const dlc_session *s, int32_t index, void *out) {
  const dlc_parameter *p = entry(s, index);
  if (!p || !out) return missing(s, p);
  if (p->role != DLC_PARAM || !p->trainable)
    return rt_error(s, DLC_EINVAL, "%.200s is not trained: it has no gradient", p->name);
  if (s->gradient_state == GRADIENTS_NONE)
    return rt_error(s, DLC_ESTATE, "there is no gradient before the first backward");
  layout_unpack(p, s->model->real_bytes, s->gradients + p->offset, out);
  return DLC_OK;
}

void *param_data(dlc_session *s, int32_t index) {
  const dlc_parameter *p = entry(s, index);
  return p ? s->parameters + p->offset : NULL;
}
