/* The product in BROADCAST form. A unit is a block of C:
 *
 *   for each K block of kc:  for each panel of columns: (pack it)  for each mr rows:  one register
 * tile
 *
 * so that a panel of B (kc x panel) stays in the L2 cache while the block's rows of A pass over it,
 * and an mr x kc strip of A in L1. The sum over k is sequential within a block and blocks follow in
 * order: it depends on shapes alone. Rows left over at the end of the block, when their number is
 * known, have a tile of that height; otherwise a full tile whose surplus rows read the last row
 * again and store nothing. */
#include "codegen/matmul.h"

#include <string.h>

/* FEW_VALUES: longer epilogues are not repeated for every vector of a tile. */
enum { PREFETCH_STEPS = 12, FEW_VALUES = 10 };

static int most(int a, int b) { return a > b ? a : b; }

typedef struct {
  Cg *cg;
  const Matmul *mm;
  MatmulUnits u;
  LLVMValueRef room, shelf;   /* the packed panel; a finished tile on its way out */
  LLVMValueRef pack, finish;  /* helper functions, once they are needed */
  LLVMValueRef a, b, partial; /* bases of the unit's batch element */
  LLVMValueRef m0, m1;        /* rows of the unit */
  LLVMValueRef k0, steps;     /* K block */
  LLVMValueRef first, last;   /* i1, NULL when there is one block */
} Product;

typedef struct {
  LLVMValueRef panel, column; /* first column of its panel, of itself */
  LLVMValueRef mask;          /* of the last vector */
  int vectors;
  bool whole; /* these columns are all there is of the panel */
} Columns;

typedef struct {
  LLVMValueRef row;
  int rows;
  bool clamped; /* only rows below m1 exist */
  bool packing; /* reads B itself, and packs it in passing */
  bool direct;  /* reads B itself */
  bool main;    /* most of the work: others are kept short */
} Rows;

static void b_operand(Product *p, const Rows *rows, const Columns *c, Micro *m) {
  Cg *cg = p->cg;
  const Matmul *mm = p->mm;
  if (mm->packed && !rows->packing && !rows->direct) {
    m->b = cg_at(cg, cg->real, p->room, LLVMBuildSub(cg->builder, c->column, c->panel, ""));
    m->bk = mm->panel;
    return;
  }
  m->bk = mm->s.b.stride[mm->s.nbatch];
  m->b = cg_at(cg, cg->real, p->b, cg_add(cg, cg_mul(cg, p->k0, cg_int(cg, m->bk)), c->column));
  m->mask = c->mask;
  if (!rows->packing) return;
  m->copy = p->room;
  m->copy_step = mm->panel;
  m->prefetch_b = PREFETCH_STEPS;
}

/* Row offsets from the tile's first row, `stride` elements apart. */
static void row_offsets(Product *p, const Rows *rows, int64_t stride, LLVMValueRef *out) {
  Cg *cg = p->cg;
  LLVMValueRef most =
      rows->clamped ? LLVMBuildSub(cg->builder, LLVMBuildSub(cg->builder, p->m1, rows->row, ""),
                                   cg_int(cg, 1), "")
                    : NULL;
  for (int r = 0; r < rows->rows; r++) {
    LLVMValueRef at = cg_int(cg, r);
    if (most && r) at = cg_min(cg, at, most);
    out[r] = cg_mul(cg, at, cg_int(cg, stride));
  }
}

/* A is read rows later, or steps later where its rows lie together and its steps not a page apart.
 */
static void prefetch_ahead(const Product *p, const Rows *rows, Micro *m) {
  const Matmul *mm = p->mm;
  int64_t am = mm->s.a.stride[mm->s.nbatch];
  if (m->ak == 1)
    m->prefetch = mm->m > rows->rows ? rows->rows * am : 0;
  else if (m->ak * p->cg->real_bytes < 4096)
    m->prefetch = PREFETCH_STEPS * m->ak;
}

/* What a packing tile will read next, the next K block of the panel or the next panel, comes to the
 * L2 cache while the tiles before it compute: each takes a share of lines and rows, so that enough
 * tiles, or 16, have asked for all. */
static void prefetch_next(Product *p, const Rows *rows, const Columns *c, Micro *m) {
  Cg *cg = p->cg;
  const Matmul *mm = p->mm;
  int64_t tiles = mm->rows / mm->mr, turns = mm->kc / MICRO_UNROLL, line = 64 / cg->real_bytes;
  int64_t bk = mm->s.b.stride[mm->s.nbatch], width = (int64_t)c->vectors * cg->lanes / line;
  if (!mm->packed || mm->s.b.stride[mm->s.nbatch + 1] != 1) return;
  if (rows->rows != mm->mr || tiles < MICRO_UNROLL || turns < 16) return;
  int64_t shares = tiles >= 16 ? 4 : tiles >= 8 ? 2 : 1; /* of a row's lines */
  if (width % shares) return;
  LLVMValueRef tile = LLVMBuildUDiv(cg->builder, LLVMBuildSub(cg->builder, rows->row, p->m0, ""),
                                    cg_int(cg, mm->mr), "");
  tile = LLVMBuildURem(cg->builder, tile, cg_int(cg, MICRO_UNROLL * shares), "");
  LLVMValueRef share = LLVMBuildURem(cg->builder, tile, cg_int(cg, shares), "");
  LLVMValueRef row =
      cg_mul(cg, LLVMBuildUDiv(cg->builder, tile, cg_int(cg, shares), ""), cg_int(cg, turns));
  LLVMValueRef column = cg_add(cg, c->column, cg_mul(cg, share, cg_int(cg, width / shares * line)));
  if (mm->kc < mm->k)
    row = cg_add(cg, row, cg_int(cg, mm->kc));
  else
    column = cg_add(cg, column, cg_int(cg, mm->panel));
  row = cg_add(cg, row, p->k0);
  m->ahead = cg_at(cg, cg->real, p->b, cg_add(cg, cg_mul(cg, row, cg_int(cg, bk)), column));
  m->ahead_lines = (int)(width / shares);
  m->ahead_step = bk;
}

static void tile_operands(Product *p, const Rows *rows, const Columns *c, Micro *m) {
  Cg *cg = p->cg;
  const Matmul *mm = p->mm;
  int nb = mm->s.nbatch;
  int64_t am = mm->s.a.stride[nb], ak = mm->s.a.stride[nb + 1];
  *m = (Micro){.rows = rows->rows, .vectors = c->vectors, .k = p->steps, .ak = ak};
  LLVMValueRef at =
      cg_add(cg, cg_mul(cg, rows->row, cg_int(cg, am)), cg_mul(cg, p->k0, cg_int(cg, ak)));
  m->a = cg_at(cg, cg->real, p->a, at);
  b_operand(p, rows, c, m);
  row_offsets(p, rows, am, m->row);
  m->unroll = rows->main ? 0 : 1;
  if (rows->main) prefetch_ahead(p, rows, m);
  if (rows->main) prefetch_next(p, rows, c, m);
}

/* Where sums wait between K blocks: C itself when it is stored without an epilogue. */
static LLVMValueRef waiting(Product *p, const Rows *rows, const Columns *c, LLVMValueRef *offset) {
  Cg *cg = p->cg;
  const Matmul *mm = p->mm;
  int64_t stride = mm->partial ? mm->n : mm->s.c.stride[mm->s.nbatch];
  LLVMValueRef base = mm->partial ? p->partial : matmul_base(cg, mm, &p->u, &mm->s.c);
  row_offsets(p, rows, stride, offset);
  return cg_at(cg, cg->real, base,
               cg_add(cg, cg_mul(cg, rows->row, cg_int(cg, stride)), c->column));
}

/* Zeros in the first K block, what waits in the others. */
static void tile_begin(Product *p, const Rows *rows, const Columns *c, Micro *m) {
  Cg *cg = p->cg;
  micro_zero(cg, m);
  if (!p->first) return;
  LLVMBasicBlockRef entry = LLVMGetInsertBlock(cg->builder);
  LLVMBasicBlockRef again = cg_block(cg, cg_current(cg), "again"),
                    go = cg_block(cg, cg_current(cg), "go");
  LLVMBuildCondBr(cg->builder, p->first, go, again);
  LLVMPositionBuilderAtEnd(cg->builder, again);
  LLVMValueRef offset[MICRO_ROWS], zero = m->acc[0];
  LLVMValueRef base = waiting(p, rows, c, offset), mask = m->mask;
  m->mask = c->mask;
  micro_load(cg, m, base, offset);
  m->mask = mask;
  LLVMBuildBr(cg->builder, go);
  LLVMPositionBuilderAtEnd(cg->builder, go);
  for (int i = 0; i < m->rows * m->vectors; i++) {
    LLVMValueRef phi = LLVMBuildPhi(cg->builder, LLVMTypeOf(zero), "");
    LLVMAddIncoming(phi, (LLVMValueRef[]){zero, m->acc[i]}, (LLVMBasicBlockRef[]){entry, again}, 2);
    m->acc[i] = phi;
  }
}

/* Runs `body` for each row that exists. */
typedef void TileRow(Product *p, const Rows *rows, const Columns *c, const Micro *m, int r,
                     void *user);
static void each_row(Product *p, const Rows *rows, const Columns *c, const Micro *m, TileRow *body,
                     void *user) {
  Cg *cg = p->cg;
  for (int r = 0; r < m->rows; r++) {
    if (!rows->clamped || !r) {
      body(p, rows, c, m, r, user);
      continue;
    }
    LLVMValueRef row = cg_add(cg, rows->row, cg_int(cg, r));
    CgIf exists = cg_if(cg, LLVMBuildICmp(cg->builder, LLVMIntSLT, row, p->m1, ""));
    body(p, rows, c, m, r, user);
    cg_if_end(cg, &exists);
  }
}

static void put_row(Product *p, const Rows *rows, const Columns *c, const Micro *m, int r,
                    void *user) {
  (void)user;
  Cg *cg = p->cg;
  for (int v = 0; v < m->vectors; v++)
    matmul_put(cg, p->mm, &p->u, cg_add(cg, rows->row, cg_int(cg, r)),
               cg_add(cg, c->column, cg_int(cg, (int64_t)v * cg->lanes)), cg->lanes,
               v == m->vectors - 1 ? c->mask : NULL, m->acc[r * m->vectors + v]);
}

typedef struct {
  LLVMValueRef base, offset[MICRO_ROWS];
} Waiting;

static void wait_row(Product *p, const Rows *rows, const Columns *c, const Micro *m, int r,
                     void *user) {
  (void)rows;
  Cg *cg = p->cg;
  const Waiting *w = user;
  LLVMValueRef at = cg_at(cg, cg->real, w->base, w->offset[r]);
  for (int v = 0; v < m->vectors; v++)
    cg_store(cg, m->acc[r * m->vectors + v],
             cg_at(cg, cg->real, at, cg_int(cg, (int64_t)v * cg->lanes)),
             v == m->vectors - 1 ? c->mask : NULL);
}

/* By way of memory, so that the epilogue's code is there once: see matmul_finish. */
static void put_shelved(Product *p, const Rows *rows, const Columns *c, const Micro *m) {
  Cg *cg = p->cg;
  LLVMValueRef height = cg_int(cg, rows->rows), width = cg_int(cg, (int64_t)m->vectors * cg->lanes);
  if (rows->clamped) height = cg_min(cg, height, LLVMBuildSub(cg->builder, p->m1, rows->row, ""));
  if (c->mask) width = cg_min(cg, width, LLVMBuildSub(cg->builder, p->u.n, c->column, ""));
  for (int i = 0; i < m->rows * m->vectors; i++)
    cg_store(cg, m->acc[i], cg_at(cg, cg->real, p->shelf, cg_int(cg, (int64_t)i * cg->lanes)),
             NULL);
  matmul_finish(cg, p->mm, &p->u, &p->finish, p->shelf, m->vectors, rows->row, c->column, height,
                width);
}

static void put_tile(Product *p, const Rows *rows, const Columns *c, const Micro *m) {
  const PointwiseSpec *store = p->mm->store;
  bool brief = store && rows->main && store->nvalues <= FEW_VALUES;
  if (p->mm->turned || (store && !brief))
    put_shelved(p, rows, c, m);
  else
    each_row(p, rows, c, m, put_row, NULL);
}

/* Room for a tile; a turned one is read as squares. */
static LLVMValueRef shelf_room(Product *p) {
  const Matmul *mm = p->mm;
  int lines = most(most(mm->mr, mm->tail_mr), mm->turned ? p->cg->lanes : 0);
  LLVMTypeRef type = LLVMArrayType2(p->cg->real, (uint64_t)(lines * mm->panel));
  LLVMValueRef room = LLVMBuildAlloca(p->cg->builder, type, "shelf");
  LLVMSetAlignment(room, 64);
  return room;
}

static void tile_end(Product *p, const Rows *rows, const Columns *c, const Micro *m) {
  Cg *cg = p->cg;
  if (!p->last || !p->mm->partial) {
    put_tile(p, rows, c, m);
    return;
  }
  CgIf last = cg_if(cg, p->last);
  put_tile(p, rows, c, m);
  cg_if_end(cg, &last);
  CgIf more = cg_if(cg, LLVMBuildNot(cg->builder, p->last, ""));
  Waiting w;
  w.base = waiting(p, rows, c, w.offset);
  each_row(p, rows, c, m, wait_row, &w);
  cg_if_end(cg, &more);
}

static void emit_tile(Product *p, const Rows *rows, const Columns *c) {
  Micro m;
  tile_operands(p, rows, c, &m);
  tile_begin(p, rows, c, &m);
  micro_run(p->cg, &m);
  tile_end(p, rows, c, &m);
}

/* Rows left over after whole tiles, or -1 when that is not known: only the last block of rows has
 * any. */
static int64_t rows_left(const Matmul *mm, int mr) {
  if (mm->s.m.each) return -1;
  return mm->rows % mr == 0 || mm->rows >= mm->m ? mm->m % mr : -1;
}

static void pack_panel(Product *p, LLVMValueRef column) {
  if (p->mm->packed)
    matmul_pack(p->cg, p->mm, &p->pack, p->b, p->k0, p->steps, column, p->u.n, p->room);
}

/* Whether the first tile over a panel packs it: its loads of B cost nothing beside its
 * multiply-adds. */
static bool packs_in_passing(const Product *p, const Columns *c, int mr) {
  const MatmulSpec *s = &p->mm->s;
  bool maskable = p->cg->masks || !c->mask;
  return p->mm->packed && s->b.stride[s->nbatch + 1] == 1 && c->whole && maskable && p->mm->m >= mr;
}

/* The first tile of the block. A block lower than a tile, as at run-time batches far below the
 * maximum, has no use for a packed panel. Returns the next row. */
static LLVMValueRef first_tile(Product *p, const Columns *c, int mr) {
  Cg *cg = p->cg;
  LLVMValueRef next = cg_add(cg, p->m0, cg_int(cg, mr));
  LLVMValueRef fits = LLVMBuildICmp(cg->builder, LLVMIntSLE, next, p->m1, "");
  CgIf tall = cg_if(cg, fits);
  emit_tile(p, &(Rows){p->m0, mr, .packing = true}, c);
  cg_if_end(cg, &tall);
  int64_t left = p->mm->m % p->mm->rows;
  if (p->mm->s.m.each || (left && left < mr)) {
    CgIf low = cg_if(cg, LLVMBuildNot(cg->builder, fits, ""));
    emit_tile(p, &(Rows){p->m0, mr, .clamped = true, .direct = true}, c);
    cg_if_end(cg, &low);
  }
  return LLVMBuildSelect(cg->builder, fits, next, p->m1, "");
}

/* All tiles over one set of columns. */
static void emit_columns(Product *p, const Columns *c, int mr) {
  Cg *cg = p->cg;
  int64_t left = rows_left(p->mm, mr);
  LLVMValueRef row = p->m0;
  if (packs_in_passing(p, c, mr))
    row = first_tile(p, c, mr);
  else if (c->whole)
    pack_panel(p, c->panel);
  if (p->mm->m >= mr) {
    LLVMValueRef end = LLVMBuildSub(cg->builder, p->m1, cg_int(cg, mr - 1), "");
    CgLoop l = cg_loop(cg, row, end, mr);
    emit_tile(p, &(Rows){l.index, mr, .main = true}, c);
    cg_loop_end(cg, &l);
    row = l.index;
  }
  if (!left) return;
  CgIf some = cg_if(cg, LLVMBuildICmp(cg->builder, LLVMIntSLT, row, p->m1, ""));
  emit_tile(p,
            left > 0 ? &(Rows){row, (int)left, .main = p->mm->m == left}
                     : &(Rows){row, mr, .clamped = true},
            c);
  cg_if_end(cg, &some);
}

/* Columns after the last whole panel: a run-time number goes one vector at a time. */
static void emit_last_columns(Product *p, LLVMValueRef column) {
  Cg *cg = p->cg;
  const Matmul *mm = p->mm;
  bool several = mm->s.n.each != 0;
  if (several) pack_panel(p, column);
  CgLoop l = cg_loop(cg, column, p->u.n, (int64_t)mm->tail_nr * cg->lanes);
  LLVMValueRef left = LLVMBuildSub(cg->builder, p->u.n, l.index, "");
  if (mm->tail_nr > 1)
    left = LLVMBuildSub(cg->builder, left, cg_int(cg, (int64_t)(mm->tail_nr - 1) * cg->lanes), "");
  bool whole = !mm->s.n.each && mm->n % cg->lanes == 0;
  LLVMValueRef mask = whole ? NULL : cg_mask(cg, left, cg->lanes);
  emit_columns(p, &(Columns){column, l.index, mask, mm->tail_nr, !several}, mm->tail_mr);
  cg_loop_end(cg, &l);
}

static void emit_panels(Product *p) {
  Cg *cg = p->cg;
  const Matmul *mm = p->mm;
  LLVMValueRef n0 = cg_mul(cg, p->u.column, cg_int(cg, mm->columns)), column = n0;
  LLVMValueRef stop = cg_min(cg, cg_add(cg, n0, cg_int(cg, mm->columns)), p->u.n);
  if (mm->n >= mm->panel) {
    LLVMValueRef end = LLVMBuildSub(cg->builder, stop, cg_int(cg, mm->panel - 1), "");
    CgLoop l = cg_loop(cg, n0, end, mm->panel);
    emit_columns(p, &(Columns){l.index, l.index, NULL, mm->nr, true}, mm->mr);
    cg_loop_end(cg, &l);
    column = l.index;
  }
  if (!mm->tail_nr) return;
  CgIf some = cg_if(cg, LLVMBuildICmp(cg->builder, LLVMIntSLT, column, stop, ""));
  emit_last_columns(p, column);
  cg_if_end(cg, &some);
}

static void emit_blocks(Product *p) {
  Cg *cg = p->cg;
  const Matmul *mm = p->mm;
  p->k0 = cg_int(cg, 0);
  p->steps = p->u.k;
  if (mm->kc >= mm->k) {
    emit_panels(p);
    return;
  }
  CgLoop l = cg_loop(cg, p->k0, p->u.k, mm->kc);
  LLVMValueRef left = LLVMBuildSub(cg->builder, p->u.k, l.index, ""), block = cg_int(cg, mm->kc);
  p->k0 = l.index;
  p->steps = !mm->s.k.each && mm->k % mm->kc == 0 ? block : cg_min(cg, left, block);
  p->first = LLVMBuildICmp(cg->builder, LLVMIntEQ, l.index, cg_int(cg, 0), "");
  p->last = LLVMBuildICmp(cg->builder, LLVMIntSLE, left, block, "");
  emit_panels(p);
  cg_loop_end(cg, &l);
}

Kernel matmul_emit_broadcast(Cg *cg, const Matmul *mm) {
  Kernel out = {.function = cg_function(cg, "matmul")};
  Product p = {.cg = cg, .mm = mm};
  if (mm->packed) p.room = matmul_panel_room(cg, mm);
  if (mm->store || mm->turned) p.shelf = shelf_room(&p);
  p.u = matmul_units(cg, mm, out.function);
  p.a = matmul_base(cg, mm, &p.u, &mm->s.a);
  p.b = matmul_base(cg, mm, &p.u, &mm->s.b);
  if (mm->partial) p.partial = matmul_partial(cg, mm, &p.u);
  p.m0 = cg_mul(cg, p.u.row, cg_int(cg, mm->rows));
  p.m1 = cg_min(cg, cg_add(cg, p.m0, cg_int(cg, mm->rows)), p.u.m);
  emit_blocks(&p);
  matmul_units_end(cg, &p.u);
  matmul_count_units(cg, mm, &out);
  return out;
}
