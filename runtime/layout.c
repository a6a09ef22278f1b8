/* Between a parameter's row-major PyTorch form and its place in the parameter block.
 *
 * The row-major tensor, viewed as store_dim, has its dimensions permuted so that store_order[0] is
 * outermost. So the element with coordinates c lies at sum over k of c[store_order[k]] * product of
 * store_dim[store_order[j]], j > k. */
#include <string.h>

#include "runtime/rt.h"

LayoutCursor layout_start(const dlc_parameter *p) {
  LayoutCursor c = {.rank = p->store_rank};
  int64_t stride = 1;
  for (int k = p->store_rank - 1; k >= 0; k--) {
    c.stride[p->store_order[k]] = stride;
    stride *= p->store_dim[p->store_order[k]];
  }
  for (int d = 0; d < p->store_rank; d++) c.dim[d] = p->store_dim[d];
  return c;
}

void layout_next(LayoutCursor *c) {
  for (int d = c->rank - 1; d >= 0; d--) {
    c->at += c->stride[d];
    if (++c->coord[d] < c->dim[d]) return;
    c->at -= c->coord[d] * c->stride[d];
    c->coord[d] = 0;
  }
}

LayoutRun layout_run(LayoutCursor *c, int64_t most) {
  int last = c->rank - 1;
  LayoutRun r = {.at = c->at, .count = 1};
  if (c->rank) {
    int64_t left = c->dim[last] - c->coord[last];
    r.count = left < most ? left : most;
    r.stride = c->stride[last];
    c->coord[last] += r.count - 1;
    c->at += (r.count - 1) * r.stride;
  }
  layout_next(c);
  return r;
}

int layout_is_plain(const dlc_parameter *p) {
  for (int k = 0; k < p->store_rank; k++)
    if (p->store_order[k] != k) return 0;
  return 1;
}

void layout_unpack(const dlc_parameter *p, int real, const void *stored, void *out) {
  if (layout_is_plain(p)) {
    memcpy(out, stored, (size_t)p->elements * (size_t)real);
    return;
  }
  LayoutCursor c = layout_start(p);
  for (int64_t i = 0; i < p->elements; i++, layout_next(&c)) {
    if (real == 8)
      ((double *)out)[i] = ((const double *)stored)[c.at];
    else
      ((float *)out)[i] = ((const float *)stored)[c.at];
  }
}

void layout_pack(const dlc_parameter *p, int real, const void *in, void *stored) {
  if (layout_is_plain(p)) {
    memcpy(stored, in, (size_t)p->elements * (size_t)real);
    return;
  }
  LayoutCursor c = layout_start(p);
  for (int64_t i = 0; i < p->elements; i++, layout_next(&c)) {
    if (real == 8)
      ((double *)stored)[c.at] = ((const double *)in)[i];
    else
      ((float *)stored)[c.at] = ((const float *)in)[i];
  }
}
