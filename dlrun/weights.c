#include "dlrun/weights.h"

#include <string.h>

#include "base/glob.h"
#include "base/str.h"
#include "dlrun/table.h"
#include "runtime/safetensors.h"

typedef struct {
  Tool *tool;
  const char *path;
  StFile file;
  const TextList *only, *skip;
  Table table;
  int loaded, kept, unused;
} Loader;

static const char *shape_text(Arena *a, int rank, const int64_t *dim) {
  Str s = str_new(a);
  str_put(&s, "[");
  for (int d = 0; d < rank; d++) str_printf(&s, "%s%lld", d ? "," : "", (long long)dim[d]);
  str_put(&s, "]");
  return s.text;
}

/* The first pattern that fits, or NULL. */
static const char *fitting(const TextList *list, const char *name) {
  for (int i = 0; i < list->count; i++)
    if (glob_fits(list->at[i], name)) return list->at[i];
  return NULL;
}

/* Why the tensor is left as it is, or NULL: it is to be loaded. */
static const char *reason_kept(const Loader *l, const char *name) {
  const char *skip = fitting(l->skip, name);
  if (skip) return arena_printf(l->tool->arena, "kept: --skip %s", skip);
  if (l->only->count && !fitting(l->only, name)) return "kept: no --only fits";
  return NULL;
}

static bool check_patterns(const Loader *l, const TextList *list, const char *option) {
  const dlc_model *m = l->tool->model;
  for (int k = 0; k < list->count; k++) {
    bool used = false;
    for (int32_t i = 0; i < m->parameter_count && !used; i++)
      used = m->parameters[i].role != DLC_STATE && glob_fits(list->at[k], m->parameters[i].name);
    for (int64_t i = 0; i < l->file.count && !used; i++)
      used = glob_fits(list->at[k], l->file.tensor[i].name);
    if (!used)
      return fault(&l->tool->fault, "%s %s: no tensor of %s or of the file has such a name", option,
                   list->at[k], m->name);
  }
  return true;
}

static bool same_shape(const StTensor *t, const dlc_parameter *p) {
  if (t->rank != p->rank) return false;
  for (int d = 0; d < t->rank; d++)
    if (t->dim[d] != p->dim[d]) return false;
  return true;
}

static bool check_tensor(Loader *l, const StTensor *t, const dlc_parameter *p) {
  Fault *f = &l->tool->fault;
  Arena *a = l->tool->arena;
  if (!t) return fault(f, "%s: %s is missing; --skip %s leaves it out", l->path, p->name, p->name);
  if (!st_is_float(t->type))
    return fault(f, "%s: %s is of type %s, not of a float type", l->path, p->name,
                 st_type_name(t->type));
  if (same_shape(t, p)) return true;
  return fault(f, "%s: %s is %s in the file and %s in the network; --skip %s leaves it out",
               l->path, p->name, shape_text(a, t->rank, t->dim), shape_text(a, p->rank, p->dim),
               p->name);
}

static bool load_one(Loader *l, int32_t i, const StTensor *t) {
  Tool *tool = l->tool;
  const dlc_parameter *p = &tool->model->parameters[i];
  if (!check_tensor(l, t, p)) return false;
  Arena *scratch = arena_new();
  double *v = ARENA_ARRAY(scratch, double, p->elements + 1);
  bool fine = st_read_doubles(&l->file, t, 0, p->elements, v) == DLC_OK ||
              fault(&tool->fault, "%s: %s", p->name, l->file.error);
  float *narrow = (float *)v; /* in place: element i of the floats lies before it of the doubles */
  for (int64_t k = 0; tool->model->real_bytes == 4 && k < p->elements; k++) {
    float one = (float)v[k];
    memcpy(narrow + k, &one, sizeof one);
  }
  fine = fine && tool_ok(tool, tool->api->set_parameter(tool->session, i, v));
  arena_free(scratch);
  return fine;
}

static void report(Loader *l, const char *name, const char *shape, const char *what) {
  table_row(&l->table, name, shape, what);
}

static bool load_parameters(Loader *l) {
  const dlc_model *m = l->tool->model;
  Arena *a = l->tool->arena;
  for (int32_t i = 0; i < m->parameter_count; i++) {
    const dlc_parameter *p = &m->parameters[i];
    if (p->role == DLC_STATE) continue;
    const StTensor *t = st_find(&l->file, p->name);
    const char *kept = reason_kept(l, p->name);
    if (!kept && !load_one(l, i, t)) return false;
    *(kept ? &l->kept : &l->loaded) += 1;
    if (kept && t && !same_shape(t, p))
      kept = arena_printf(a, "%s (%s in the file)", kept, shape_text(a, t->rank, t->dim));
    report(l, p->name, shape_text(a, p->rank, p->dim), kept ? kept : "loaded");
  }
  return true;
}

static bool is_known(const dlc_model *m, const char *name) {
  for (int32_t i = 0; i < m->parameter_count; i++)
    if (m->parameters[i].role != DLC_STATE && strcmp(m->parameters[i].name, name) == 0) return true;
  return false;
}

static void report_unused(Loader *l) {
  Arena *a = l->tool->arena;
  for (int64_t i = 0; i < l->file.count; i++) {
    const StTensor *t = &l->file.tensor[i];
    if (is_known(l->tool->model, t->name)) continue;
    l->unused++;
    report(l, arena_strdup(a, t->name), shape_text(a, t->rank, t->dim), "not in the network");
  }
}

static void print_report(const Loader *l) {
  printf("weights of %s\n", l->path);
  table_print(&l->table, stdout);
  printf("%d loaded, %d kept as initialised, %d of the file not used\n\n", l->loaded, l->kept,
         l->unused);
}

bool weights_load(Tool *t, const char *path, const TextList *only, const TextList *skip,
                  bool print) {
  Loader l = {.tool = t, .path = path, .only = only, .skip = skip};
  l.table = table_new(t->arena, "lll");
  if (st_open(&l.file, path) != DLC_OK) return fault(&t->fault, "%s", l.file.error);
  bool fine = check_patterns(&l, only, "--only") && check_patterns(&l, skip, "--skip") &&
              load_parameters(&l);
  if (fine) report_unused(&l);
  if (fine && print) print_report(&l);
  st_close(&l.file);
  if (fine && !l.loaded) return fault(&t->fault, "%s: nothing is left to load", path);
  return fine;
}
