/* kernel_put_rows: the table is cleared by rows, then rows are added in their order, a unit for
 * each block of columns, so that no two units meet in the table. */
#include "codegen/body.h"
#include "codegen/spec.h"

enum { COLUMN_VECTORS = 4, CLEAR_ELEMENTS = 8192 };

typedef struct {
  Cg *cg;
  const PutRowsSpec *spec;
  LLVMValueRef buffers;
} Rows;

/* An operation on `lanes` columns from `column` on; the rows are in the context. */
typedef void AtColumns(const Rows *r, LLVMValueRef table_row, LLVMValueRef source_row,
                       LLVMValueRef column, int lanes, LLVMValueRef mask);

static void each_column(const Rows *r, LLVMValueRef table_row, LLVMValueRef source_row,
                        LLVMValueRef from, LLVMValueRef to, AtColumns *f) {
  Cg *cg = r->cg;
  int lanes = cg->lanes;
  LLVMValueRef total = LLVMBuildSub(cg->builder, to, from, "");
  LLVMValueRef whole = LLVMBuildAnd(cg->builder, total, cg_int(cg, -(int64_t)lanes), "");
  LLVMValueRef end = LLVMBuildAdd(cg->builder, from, whole, "");
  CgLoop l = cg_loop(cg, from, end, lanes);
  f(r, table_row, source_row, l.index, lanes, NULL);
  cg_loop_end(cg, &l);
  l = cg_loop(cg, end, to, cg->masks ? lanes : 1);
  LLVMValueRef mask =
      cg->masks ? cg_mask(cg, LLVMBuildSub(cg->builder, to, l.index, ""), lanes) : NULL;
  f(r, table_row, source_row, l.index, cg->masks ? lanes : 1, mask);
  cg_loop_end(cg, &l);
}

static void clear(const Rows *r, LLVMValueRef table_row, LLVMValueRef source_row,
                  LLVMValueRef column, int lanes, LLVMValueRef mask) {
  (void)source_row;
  const View *t = &r->spec->table;
  view_store(r->cg, t->elem, cg_real(r->cg, 0), view_move(r->cg, t, table_row, 1, column),
             t->stride[1], lanes, mask);
}

static void add(const Rows *r, LLVMValueRef table_row, LLVMValueRef source_row, LLVMValueRef column,
                int lanes, LLVMValueRef mask) {
  const View *t = &r->spec->table, *s = &r->spec->source;
  LLVMValueRef at = view_move(r->cg, t, table_row, 1, column);
  LLVMValueRef from = view_move(r->cg, s, source_row, 1, column);
  LLVMValueRef old = view_load(r->cg, t->elem, at, t->stride[1], lanes, mask);
  LLVMValueRef v = view_load(r->cg, s->elem, from, s->stride[1], lanes, mask);
  view_store(r->cg, t->elem, LLVMBuildFAdd(r->cg->builder, old, v, ""), at, t->stride[1], lanes,
             mask);
}

static Kernel emit_clear(Cg *cg, const PutRowsSpec *s) {
  LLVMValueRef f = cg_function(cg, "put_rows_clear");
  Rows r = {cg, s, LLVMGetParam(f, 0)};
  int64_t rows = s->width < CLEAR_ELEMENTS ? CLEAR_ELEMENTS / s->width : 1;
  LLVMValueRef from = cg_mul(cg, LLVMGetParam(f, 2), cg_int(cg, rows));
  LLVMValueRef to =
      cg_min(cg, cg_mul(cg, LLVMGetParam(f, 3), cg_int(cg, rows)), cg_int(cg, s->count));
  CgLoop l = cg_loop(cg, from, to, 1);
  LLVMValueRef row = view_move(cg, &s->table, view_origin(cg, r.buffers, &s->table), 0, l.index);
  each_column(&r, row, NULL, cg_int(cg, 0), cg_int(cg, s->width), clear);
  cg_loop_end(cg, &l);
  LLVMBuildRetVoid(cg->builder);
  return (Kernel){
      .function = f, .units = {0, s->count}, .per = rows, .work = 0.05 * (double)(rows * s->width)};
}

/* The index as i64 and whether it is a row of the table. */
static LLVMValueRef row_index(const Rows *r, LLVMValueRef i, LLVMValueRef *inside) {
  Cg *cg = r->cg;
  const View *v = &r->spec->index;
  LLVMValueRef at = view_move(cg, v, view_origin(cg, r->buffers, v), 0, i);
  LLVMValueRef index =
      LLVMBuildSExt(cg->builder, view_load(cg, v->elem, at, 1, 1, NULL), cg->i64, "");
  *inside = LLVMBuildICmp(cg->builder, LLVMIntULT, index, cg_int(cg, r->spec->count), "");
  return index;
}

static void add_rows(const Rows *r, LLVMValueRef n, LLVMValueRef from, LLVMValueRef to) {
  Cg *cg = r->cg;
  const PutRowsSpec *s = r->spec;
  LLVMValueRef count =
                   cg_add(cg, cg_mul(cg, n, cg_int(cg, s->rows.each)), cg_int(cg, s->rows.fixed)),
               inside;
  CgLoop l = cg_loop(cg, cg_int(cg, 0), count, 1);
  LLVMValueRef index = row_index(r, l.index, &inside);
  CgIf valid = cg_if(cg, inside);
  LLVMValueRef table_row =
      view_move(cg, &s->table, view_origin(cg, r->buffers, &s->table), 0, index);
  LLVMValueRef source_row =
      view_move(cg, &s->source, view_origin(cg, r->buffers, &s->source), 0, l.index);
  each_column(r, table_row, source_row, from, to, add);
  cg_if_end(cg, &valid);
  cg_loop_end(cg, &l);
}

static Kernel emit_add(Cg *cg, const PutRowsSpec *s) {
  LLVMValueRef f = cg_function(cg, "put_rows");
  Rows r = {cg, s, LLVMGetParam(f, 0)};
  int64_t columns = (int64_t)cg->lanes * COLUMN_VECTORS;
  CgLoop l = cg_loop(cg, LLVMGetParam(f, 2), LLVMGetParam(f, 3), 1);
  LLVMValueRef from = cg_mul(cg, l.index, cg_int(cg, columns));
  LLVMValueRef to =
      cg_min(cg, LLVMBuildAdd(cg->builder, from, cg_int(cg, columns), ""), cg_int(cg, s->width));
  add_rows(&r, LLVMGetParam(f, 1), from, to);
  cg_loop_end(cg, &l);
  LLVMBuildRetVoid(cg->builder);
  double rows = (double)extent_at(s->rows, cg->max_batch);
  return (Kernel){
      .function = f, .units = {0, s->width}, .per = columns, .work = rows * 0.1 * (double)columns};
}

KernelList kernel_put_rows(Cg *cg, const PutRowsSpec *s) {
  Str key = str_new(cg->arena);
  str_printf(&key, "put_rows %lldn+%lld %lld %lld ", (long long)s->rows.each,
             (long long)s->rows.fixed, (long long)s->width, (long long)s->count);
  spec_view_text(&key, &s->index, 1);
  spec_view_text(&key, &s->source, 2);
  spec_view_text(&key, &s->table, 2);
  const KernelList *known = cg_kernel_find(cg, key.text);
  if (known) return *known;
  KernelList *list = ARENA_NEW(cg->arena, KernelList);
  *list = (KernelList){.count = 2, .stage = {emit_clear(cg, s), emit_add(cg, s)}};
  cg_kernel_keep(cg, key.text, list);
  return *list;
}
