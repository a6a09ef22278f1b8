/* Loads and stores through views: conversion between memory and values, and gathers where the lanes
 * are not next to each other. */
#include "codegen/body.h"

LLVMTypeRef view_type(Cg *cg, MemElem elem) {
  const LLVMTypeRef types[] = {
      [MEM_REAL] = cg->real, [MEM_U8] = cg->i8, [MEM_I32] = cg->i32, [MEM_F64] = cg->f64};
  return types[elem];
}

LLVMValueRef view_origin(Cg *cg, LLVMValueRef buffers, const View *view) {
  return cg_at(cg, view_type(cg, view->elem), cg_buffer(cg, buffers, view->slot),
               cg_int(cg, view->offset));
}

LLVMValueRef view_move(Cg *cg, const View *view, LLVMValueRef address, int dim,
                       LLVMValueRef count) {
  LLVMValueRef steps = cg_mul(cg, count, cg_int(cg, view->stride[dim]));
  return cg_at(cg, view_type(cg, view->elem), address, steps);
}

LLVMValueRef body_widen(Cg *cg, LLVMValueRef v, int lanes) {
  bool vector = LLVMGetTypeKind(LLVMTypeOf(v)) == LLVMVectorTypeKind;
  return vector ? v : cg_splat(cg, v, lanes);
}

/* A value as floating point `to`. */
static LLVMValueRef as_float(Cg *cg, LLVMValueRef v, LLVMTypeRef to, int lanes) {
  LLVMTypeRef type = cg_vector(cg, to, lanes);
  if (LLVMTypeOf(v) == type) return v;
  if (LLVMTypeOf(v) == cg_vector(cg, cg->i32, lanes))
    return LLVMBuildSIToFP(cg->builder, v, type, "");
  return LLVMBuildFPCast(cg->builder, v, type, "");
}

LLVMValueRef body_real(Cg *cg, LLVMValueRef v, int lanes) {
  return as_float(cg, body_widen(cg, v, lanes), cg->real, lanes);
}

/* What was loaded, as a value. */
static LLVMValueRef from_memory(Cg *cg, MemElem elem, LLVMValueRef v, int lanes) {
  if (elem == MEM_I32) return v;
  if (elem == MEM_U8) return LLVMBuildZExt(cg->builder, v, cg_vector(cg, cg->i32, lanes), "");
  return as_float(cg, v, cg->real, lanes);
}

static LLVMValueRef all_lanes(Cg *cg, int lanes) {
  return LLVMConstAllOnes(cg_vector(cg, cg->i1, lanes));
}

/* The addresses of lanes `stride` elements apart. */
static LLVMValueRef spread(Cg *cg, LLVMTypeRef type, LLVMValueRef address, int64_t stride,
                           int lanes) {
  LLVMValueRef each[64];
  for (int i = 0; i < lanes; i++) each[i] = cg_int(cg, i * stride);
  LLVMValueRef steps = LLVMConstVector(each, (unsigned)lanes);
  return LLVMBuildGEP2(cg->builder, type, address, &steps, 1, "");
}

static LLVMValueRef alignment(Cg *cg, LLVMTypeRef type) {
  return LLVMConstInt(cg->i32, LLVMStoreSizeOfType(cg->layout, type), false);
}

/* Unmasked and without gather instructions: lane by lane. */
static LLVMValueRef load_each(Cg *cg, LLVMTypeRef type, LLVMValueRef address, int64_t stride,
                              int lanes) {
  LLVMValueRef v = LLVMGetPoison(cg_vector(cg, type, lanes));
  for (int i = 0; i < lanes; i++) {
    LLVMValueRef one = cg_load(cg, type, cg_at(cg, type, address, cg_int(cg, i * stride)), 1, NULL);
    v = LLVMBuildInsertElement(cg->builder, v, one, LLVMConstInt(cg->i32, (unsigned)i, false), "");
  }
  return v;
}

static LLVMValueRef load_lanes(Cg *cg, LLVMTypeRef type, LLVMValueRef pointers, int lanes,
                               LLVMValueRef mask) {
  LLVMTypeRef wide = cg_vector(cg, type, lanes);
  LLVMValueRef args[] = {pointers, alignment(cg, type), mask, LLVMConstNull(wide)};
  return cg_call(cg, "llvm.masked.gather", 2, (LLVMTypeRef[]){wide, LLVMTypeOf(pointers)}, 4, args);
}

LLVMValueRef view_gather(Cg *cg, MemElem elem, LLVMValueRef pointers, int lanes,
                         LLVMValueRef mask) {
  return from_memory(cg, elem, load_lanes(cg, view_type(cg, elem), pointers, lanes, mask), lanes);
}

static LLVMValueRef load_strided(Cg *cg, LLVMTypeRef type, LLVMValueRef address, int64_t stride,
                                 int lanes, LLVMValueRef mask) {
  if (!mask) return load_each(cg, type, address, stride, lanes);
  return load_lanes(cg, type, spread(cg, type, address, stride, lanes), lanes, mask);
}

LLVMValueRef view_load(Cg *cg, MemElem elem, LLVMValueRef address, int64_t stride, int lanes,
                       LLVMValueRef mask) {
  LLVMTypeRef type = view_type(cg, elem);
  if (lanes == 1 || stride == 1)
    return from_memory(cg, elem, cg_load(cg, type, address, lanes, mask), lanes);
  return from_memory(cg, elem, load_strided(cg, type, address, stride, lanes, mask), lanes);
}

/* ---- lines that lie across ---- */

LLVMValueRef view_pick(Cg *cg, LLVMValueRef x, LLVMValueRef y, const int *pick, int lanes) {
  LLVMValueRef each[64];
  for (int j = 0; j < lanes; j++)
    each[j] = LLVMConstInt(cg->i32, (unsigned long long)pick[j], false);
  return LLVMBuildShuffleVector(cg->builder, x, y, LLVMConstVector(each, (unsigned)lanes), "");
}

/* Squares of two lanes in x and y: the first and the second lane of each pair. */
static void transpose_pairs(Cg *cg, LLVMValueRef *v, int lanes) {
  int pick[2][64];
  for (int j = 0; j < lanes; j++)
    for (int s = 0; s < 2; s++) pick[s][j] = j / 2 * 2 + s + j % 2 * lanes;
  LLVMValueRef first = view_pick(cg, v[0], v[1], pick[0], lanes);
  v[1] = view_pick(cg, v[0], v[1], pick[1], lanes);
  v[0] = first;
}

/* Squares of four lanes in four vectors: singles of neighbours, then pairs; both are unpacking
 * instructions. */
static void transpose_fours(Cg *cg, LLVMValueRef *v, int lanes) {
  int single[2][64], pair[2][64];
  LLVMValueRef half[4];
  for (int j = 0; j < lanes; j++)
    for (int s = 0; s < 2; s++) {
      single[s][j] = j / 4 * 4 + 2 * s + j % 4 / 2 + j % 2 * lanes;
      pair[s][j] = j / 4 * 4 + 2 * s + j % 2 + j % 4 / 2 * lanes;
    }
  for (int s = 0; s < 4; s++)
    half[s] = view_pick(cg, v[s / 2 * 2], v[s / 2 * 2 + 1], single[s % 2], lanes);
  for (int s = 0; s < 4; s++)
    v[s] = view_pick(cg, half[s / 2], half[s / 2 + 2], pair[s % 2], lanes);
}

int view_group(const Cg *cg) { return 16 / cg->real_bytes; }

void view_turn(Cg *cg, LLVMValueRef *v, int lanes) {
  (view_group(cg) == 4 ? transpose_fours : transpose_pairs)(cg, v, lanes);
}

static LLVMValueRef joined(Cg *cg, LLVMValueRef x, LLVMValueRef y, int lanes) {
  int pick[64];
  for (int i = 0; i < lanes; i++) pick[i] = i;
  return view_pick(cg, x, y, pick, lanes);
}

/* Vector c holds elements c, c + group, ... of all lines, each element's lines next to each other;
 * turned, line c. */
void view_load_lines(Cg *cg, LLVMValueRef address, int64_t stride, int lanes, LLVMValueRef *line) {
  int group = view_group(cg);
  for (int c = 0; c < group; c++) {
    LLVMValueRef part[64];
    for (int i = 0; i < lanes / group; i++) {
      LLVMValueRef at = cg_at(cg, cg->real, address, cg_int(cg, (i * group + c) * stride));
      part[i] = cg_load(cg, cg->real, at, group, NULL);
    }
    for (int size = group; size < lanes; size *= 2)
      for (int i = 0; i < lanes / size; i += 2)
        part[i / 2] = joined(cg, part[i], part[i + 1], 2 * size);
    line[c] = part[0];
  }
  view_turn(cg, line, lanes);
}

/* ---- stores ---- */

static LLVMValueRef to_memory(Cg *cg, MemElem elem, LLVMValueRef v, int lanes) {
  LLVMTypeRef type = view_type(cg, elem);
  if (elem == MEM_U8) return LLVMBuildTrunc(cg->builder, v, cg_vector(cg, type, lanes), "");
  return elem == MEM_I32 ? v : as_float(cg, v, type, lanes);
}

void view_store(Cg *cg, MemElem elem, LLVMValueRef value, LLVMValueRef address, int64_t stride,
                int lanes, LLVMValueRef mask) {
  LLVMTypeRef type = view_type(cg, elem);
  LLVMValueRef v = to_memory(cg, elem, body_widen(cg, value, lanes), lanes);
  if (lanes == 1 || stride == 1) {
    cg_store(cg, v, address, mask);
    return;
  }
  LLVMValueRef pointers = spread(cg, type, address, stride, lanes);
  LLVMValueRef args[] = {v, pointers, alignment(cg, type), mask ? mask : all_lanes(cg, lanes)};
  cg_call(cg, "llvm.masked.scatter", 2, (LLVMTypeRef[]){LLVMTypeOf(v), LLVMTypeOf(pointers)}, 4,
          args);
}
