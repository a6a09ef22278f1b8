#include "dlrun/out.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "dlrun/interrupt.h"

void out_add(Arena *a, OutSet *o, const char *name, int real_bytes, int rank, const int64_t *dim,
             const void *data) {
  OutTensor t = {.tensor = {.name = name, .type = real_bytes == 8 ? ST_F64 : ST_F32, .rank = rank},
                 .data = data};
  t.tensor.elements = 1;
  for (int d = 0; d < rank; d++) t.tensor.elements *= t.tensor.dim[d] = dim[d];
  vec_push(a, &o->list, t);
}

void out_add_shared(Arena *a, OutSet *o, const char *name, int real_bytes, int rank,
                    const int64_t *dim, const void *data) {
  out_add(a, o, name, real_bytes, rank, dim, data);
  o->list.at[o->list.count - 1].shared = true;
}

static bool write_safetensors(Tool *t, const OutSet *o, const char *path) {
  StTensor *table = ARENA_ARRAY(t->arena, StTensor, o->list.count + 1);
  for (int i = 0; i < o->list.count; i++) table[i] = o->list.at[i].tensor;
  StWriter w;
  int code = st_create(&w, path, table, o->list.count, NULL, 0);
  for (int i = 0; i < o->list.count && code == DLC_OK; i++)
    code =
        st_write(&w, o->list.at[i].data, (size_t)table[i].elements * st_type_size(table[i].type));
  if (code == DLC_OK) code = st_commit(&w);
  return code == DLC_OK || fault(&t->fault, "%s", w.error);
}

static int64_t columns(const OutTensor *t, int64_t n) {
  return t->shared ? t->tensor.elements : t->tensor.elements / n;
}

static void csv_header(FILE *f, const OutSet *o, int64_t n) {
  const char *comma = "";
  for (int i = 0; i < o->list.count; i++) {
    const StTensor *t = &o->list.at[i].tensor;
    int64_t each = columns(&o->list.at[i], n);
    for (int64_t k = 0; k < each; k++, comma = ",") {
      if (each == 1)
        fprintf(f, "%s%s", comma, t->name);
      else
        fprintf(f, "%s%s[%lld]", comma, t->name, (long long)k);
    }
  }
  fprintf(f, "\n");
}

static void csv_row(FILE *f, const OutSet *o, int64_t n, int64_t row) {
  const char *comma = "";
  for (int i = 0; i < o->list.count; i++) {
    const StTensor *t = &o->list.at[i].tensor;
    const void *data = o->list.at[i].data;
    int64_t each = columns(&o->list.at[i], n), first = o->list.at[i].shared ? 0 : row * each;
    for (int64_t k = first; k < first + each; k++, comma = ",") {
      if (t->type == ST_F64)
        fprintf(f, "%s%.17g", comma, ((const double *)data)[k]);
      else
        fprintf(f, "%s%.9g", comma, (double)((const float *)data)[k]);
    }
  }
  fprintf(f, "\n");
}

void out_csv_print(FILE *f, const OutSet *o, int64_t n) {
  csv_header(f, o, n);
  for (int64_t row = 0; row < n; row++) csv_row(f, o, n, row);
}

static bool write_csv(Tool *t, const OutSet *o, int64_t n, const char *path) {
  char *temporary = arena_printf(t->arena, "%s.tmp%ld", path, (long)getpid());
  FILE *f = fopen(temporary, "wx");
  if (!f) return fault(&t->fault, "%s: %s", path, strerror(errno));
  out_csv_print(f, o, n);
  bool bad = ferror(f);
  bad = fclose(f) || bad;
  if (!bad && !rename(temporary, path)) return true;
  int why = errno;
  unlink(temporary);
  return fault(&t->fault, "%s: %s", path, strerror(why));
}

bool out_check(Tool *t, const char *path, bool csv) {
  if (has_suffix(path, ".safetensors") || (csv && has_suffix(path, ".csv")))
    return tool_writes(t, "-o", path);
  return fault(&t->fault, "-o %s: %sFILE.safetensors can be written", path,
               csv ? "FILE.csv or " : "");
}

bool out_file(Tool *t, const OutSet *o, int64_t n, const char *path) {
  interrupt_hold();
  bool fine = has_suffix(path, ".csv") ? write_csv(t, o, n, path) : write_safetensors(t, o, path);
  interrupt_release();
  return fine;
}
