/* U = G g G^T of each pair of channels, for winograd.c: panels [panel][element][k][channel of the
 * panel] (winograd_panel). Forward reads the weights where they are, [tap][k][channel];
 * backward-data reads what conv_pack.c leaves, [panel][tap][k][channel], with the taps turned.
 * A unit is some k. */
#include "codegen/winograd.h"

enum { UNIT_K = 8 };

static LLVMValueRef half(Cg *cg, LLVMValueRef v, int lanes) {
  return LLVMBuildFMul(cg->builder, v, cg_splat(cg, cg_real(cg, 0.5), lanes), "");
}

static int lanes_of(LLVMValueRef v) {
  LLVMTypeRef type = LLVMTypeOf(v);
  return LLVMGetTypeKind(type) == LLVMVectorTypeKind ? (int)LLVMGetVectorSize(type) : 1;
}

/* G times 3 values. */
static void line(Cg *cg, const LLVMValueRef *g, LLVMValueRef *out) {
  LLVMBuilderRef b = cg->builder;
  int lanes = lanes_of(g[0]);
  LLVMValueRef ends = half(cg, LLVMBuildFAdd(b, g[0], g[2], ""), lanes);
  LLVMValueRef middle = half(cg, g[1], lanes);
  out[0] = g[0];
  out[1] = LLVMBuildFAdd(b, ends, middle, "");
  out[2] = LLVMBuildFSub(b, ends, middle, "");
  out[3] = g[2];
}

/* A vector of channels: taps `tap` elements apart at `from`, matrices of U `matrix` apart at `to`.
 */
static void transform(Cg *cg, LLVMValueRef from, int64_t tap, LLVMValueRef to, int64_t matrix,
                      int lanes, LLVMValueRef mask) {
  LLVMValueRef g[9], u[WINOGRAD_ELEMENTS];
  for (int i = 0; i < 9; i++) g[i] = cg_load(cg, cg->real, conv_at(cg, from, i * tap), lanes, mask);
  winograd_both(cg, line, 3, 4, g, u);
  for (int i = 0; i < WINOGRAD_ELEMENTS; i++) cg_store(cg, u[i], conv_at(cg, to, i * matrix), mask);
}

/* Row k of the panels in `run`. */
static void transform_row(const Winograd *w, const ConvColumns *run, LLVMValueRef buffers,
                          LLVMValueRef weights, LLVMValueRef k) {
  Cg *cg = w->cg;
  const ConvPlan *p = w->conv;
  LLVMValueRef mask = NULL;
  if (run->active < run->lanes) mask = cg_mask(cg, cg_int(cg, run->active), run->lanes);
  CgLoop l =
      cg_loop(cg, cg_int(cg, run->at), cg_int(cg, run->at + run->tiles * run->width), run->width);
  int64_t row = p->packed ? run->width : p->cc;
  LLVMValueRef from = conv_move(cg, weights, l.index, p->packed ? 9 * p->ak : 1);
  LLVMValueRef to = winograd_panel(w, buffers, l.index);
  from = conv_move(cg, from, k, row);
  to = conv_move(cg, to, k, run->width);
  for (int v = 0; v < run->vectors; v++) {
    int64_t at = (int64_t)v * run->lanes;
    transform(cg, conv_at(cg, from, at), p->ak * row, conv_at(cg, to, at), winograd_matrix(w, run),
              run->lanes, v == run->vectors - 1 ? mask : NULL);
  }
  cg_loop_end(cg, &l);
}

Kernel winograd_weights(const Winograd *w) {
  Cg *cg = w->cg;
  const ConvPlan *p = w->conv;
  LLVMValueRef f = cg_function(cg, "winograd_weights"), buffers = LLVMGetParam(f, 0);
  LLVMValueRef weights = p->packed ? cg_buffer(cg, buffers, p->spec->scratch)
                                   : conv_at(cg, cg_buffer(cg, buffers, p->b), p->b_offset);
  LLVMValueRef per = cg_int(cg, UNIT_K), begin = cg_mul(cg, LLVMGetParam(f, 2), per);
  LLVMValueRef end = cg_min(cg, cg_mul(cg, LLVMGetParam(f, 3), per), cg_int(cg, p->ak));
  CgLoop k = cg_loop(cg, begin, end, 1);
  for (int i = 0; i < p->channels.count; i++)
    transform_row(w, &p->channels.run[i], buffers, weights, k.index);
  cg_loop_end(cg, &k);
  LLVMBuildRetVoid(cg->builder);
  return (Kernel){.function = f,
                  .units = {0, p->ak},
                  .per = UNIT_K,
                  .work = 20.0 * (double)(UNIT_K * conv_vectors(cg, p->ck))};
}
