/* Saving and loading a session's tensors as safetensors, in PyTorch's names, shapes and row-major
 * order.
 *
 * A checkpoint holds the optimizer state too, and in its metadata format, step, seed (of the masks)
 * and learning rate, the last as a C hexadecimal float: resumed training goes on with the same
 * bits. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/rt.h"
#include "runtime/safetensors.h"

#define CHECKPOINT_FORMAT "dlc-checkpoint-1"

enum { CHUNK = 1 << 13, ROWS = 16 };

/* ---- saving ---- */

static StTensor describe(const dlc_parameter *p, int real) {
  StTensor t = {.name = p->name, .type = real == 8 ? ST_F64 : ST_F32, .rank = p->rank};
  memcpy(t.dim, p->dim, sizeof t.dim);
  return t;
}

static int write_tensor(StWriter *w, const dlc_parameter *p, int real, const char *stored) {
  if (layout_is_plain(p)) return st_write(w, stored, (size_t)p->elements * (size_t)real);
  double chunk[CHUNK];
  LayoutCursor c = layout_start(p);
  for (int64_t i = 0; i < p->elements;) {
    int64_t now = p->elements - i < CHUNK ? p->elements - i : CHUNK;
    for (int64_t k = 0; k < now; k++, layout_next(&c))
      memcpy((char *)chunk + k * real, stored + c.at * real, (size_t)real);
    int code = st_write(w, chunk, (size_t)(now * real));
    if (code != DLC_OK) return code;
    i += now;
  }
  return DLC_OK;
}

static int32_t saved_count(const dlc_session *s, int full) {
  int32_t count = 0;
  for (int32_t i = 0; i < s->model->parameter_count; i++)
    count += full || s->model->parameters[i].role != DLC_STATE;
  return count;
}

static int write_all(StWriter *w, const dlc_session *s, int full) {
  const dlc_model *m = s->model;
  int code = DLC_OK;
  for (int32_t i = 0; i < m->parameter_count && code == DLC_OK; i++) {
    const dlc_parameter *p = &m->parameters[i];
    if (full || p->role != DLC_STATE)
      code = write_tensor(w, p, m->real_bytes, s->parameters + p->offset);
  }
  return code == DLC_OK ? st_commit(w) : code;
}

static int save(const dlc_session *s, const char *path, int full, const StPair *meta,
                int64_t meta_count) {
  const dlc_model *m = s->model;
  param_ensure(s);
  StTensor *table = calloc((size_t)m->parameter_count + 1, sizeof *table);
  if (!table) return rt_error(s, DLC_ENOMEM, "out of memory");
  int32_t count = 0;
  for (int32_t i = 0; i < m->parameter_count; i++)
    if (full || m->parameters[i].role != DLC_STATE)
      table[count++] = describe(&m->parameters[i], m->real_bytes);
  StWriter w;
  int code = st_create(&w, path, table, saved_count(s, full), meta, meta_count);
  if (code == DLC_OK) code = write_all(&w, s, full);
  free(table);
  return code == DLC_OK ? code : rt_error(s, code, "%s", w.error);
}

int checkpoint_set_metadata(dlc_session *s, const char *const *pairs, int32_t count) {
  static const char *const own[] = {"format", "dlc", "step", "seed", "lr"};
  if (!s) return DLC_EINVAL;
  if (count < 0 || (count && !pairs)) return rt_error(s, DLC_EINVAL, "%d pairs", (int)count);
  for (int32_t i = 0; i < 2 * count; i++) {
    if (!pairs[i]) return rt_error(s, DLC_EINVAL, "a key or value is NULL");
    for (size_t k = 0; i % 2 == 0 && k < sizeof own / sizeof *own; k++)
      if (strcmp(pairs[i], own[k]) == 0)
        return rt_error(s, DLC_EINVAL, "the metadata's %s is written by save itself", own[k]);
  }
  s->metadata = pairs;
  s->metadata_count = count;
  return DLC_OK;
}

/* The session's own entries behind the first `own`. */
static int save_with_metadata(const dlc_session *s, const char *path, int full, const StPair *meta,
                              int64_t own) {
  StPair *all = malloc((size_t)(own + s->metadata_count) * sizeof *all);
  if (!all) return rt_error(s, DLC_ENOMEM, "out of memory");
  memcpy(all, meta, (size_t)own * sizeof *all);
  for (int32_t i = 0; i < s->metadata_count; i++)
    all[own + i] = (StPair){s->metadata[2 * i], s->metadata[2 * i + 1]};
  int code = save(s, path, full, all, own + s->metadata_count);
  free(all);
  return code;
}

int checkpoint_save(const dlc_session *s, const char *path) {
  static const StPair meta[] = {{"format", "pt"}}; /* what transformers and others look for */
  return s && path ? save_with_metadata(s, path, 0, meta, 1) : DLC_EINVAL;
}

int checkpoint_save_full(const dlc_session *s, const char *path) {
  if (!s || !path) return DLC_EINVAL;
  if (s->mode != DLC_TRAINING)
    return rt_error(s, DLC_ESTATE, "only a training session has a checkpoint");
  char step[32], seed[32], lr[48];
  snprintf(step, sizeof step, "%lld", (long long)s->step);
  snprintf(seed, sizeof seed, "%llu", (unsigned long long)s->seed);
  snprintf(lr, sizeof lr, "%a", s->lr);
  StPair meta[] = {
      {"format", "pt"}, {"dlc", CHECKPOINT_FORMAT}, {"step", step}, {"seed", seed}, {"lr", lr}};
  return save_with_metadata(s, path, 1, meta, sizeof meta / sizeof *meta);
}

/* ---- loading ---- */

static void shape_text(char *out, size_t size, int rank, const int64_t *dim) {
  size_t at = (size_t)snprintf(out, size, "[");
  for (int d = 0; d < rank && at < size; d++)
    at += (size_t)snprintf(out + at, size - at, "%s%lld", d ? ", " : "", (long long)dim[d]);
  if (at < size) snprintf(out + at, size - at, "]");
}

/* torch.nn.DataParallel puts a word before every name. */
static int check_missing(dlc_session *s, const StFile *f, const char *name) {
  char wrapped[256];
  snprintf(wrapped, sizeof wrapped, "module.%.200s", name);
  return rt_error(s, DLC_EMISMATCH, "%.200s is missing%s", name,
                  st_find(f, wrapped)
                      ? "; the names begin with module., as of a DataParallel: save "
                        "its .module.state_dict()"
                      : "");
}

/* Whether the file has the tensor, in its shape and in a type that becomes a real. */
static int check_tensor(dlc_session *s, const StFile *f, const dlc_parameter *p) {
  const StTensor *t = st_find(f, p->name);
  if (!t) return check_missing(s, f, p->name);
  if (!st_is_float(t->type))
    return rt_error(s, DLC_EMISMATCH, "%.160s is of type %s, not of a float type", p->name,
                    st_type_name(t->type));
  int same = t->rank == p->rank;
  for (int d = 0; same && d < t->rank; d++) same = t->dim[d] == p->dim[d];
  if (same) return DLC_OK;
  char here[96], there[96];
  shape_text(here, sizeof here, p->rank, p->dim);
  shape_text(there, sizeof there, t->rank, t->dim);
  return rt_error(s, DLC_EMISMATCH, "%.110s is %s in the file and %s in the network", p->name,
                  there, here);
}

/* Up to ROWS rows of values go out side by side: where the layout is a transposed one, what they
 * write lies next to each other. Gives how many values went. */
static int64_t store_rows(char *stored, int real, LayoutCursor *c, const double *values,
                          int64_t count) {
  LayoutRun run[ROWS];
  int64_t first[ROWS], done = 0;
  int rows = 0;
  for (; rows < ROWS && done < count; done += run[rows++].count) {
    first[rows] = done;
    run[rows] = layout_run(c, count - done);
  }
  for (int64_t k = 0, longest = run[0].count; k < longest; k++)
    for (int r = 0; r < rows; r++) {
      int64_t at = run[r].at + k * run[r].stride;
      if (run[r].count > longest) longest = run[r].count;
      if (k >= run[r].count) continue;
      if (real == 8)
        ((double *)stored)[at] = values[first[r] + k];
      else
        ((float *)stored)[at] = (float)values[first[r] + k];
    }
  return done;
}

static int load_tensor(dlc_session *s, StFile *f, const dlc_parameter *p) {
  const StTensor *t = st_find(f, p->name);
  double chunk[CHUNK];
  char *stored = s->parameters + p->offset;
  LayoutCursor c = layout_start(p);
  for (int64_t i = 0; i < p->elements;) {
    int64_t now = p->elements - i < CHUNK ? p->elements - i : CHUNK;
    int code = st_read_doubles(f, t, i, now, chunk);
    if (code != DLC_OK) return rt_error(s, code, "%.160s: %.120s", p->name, f->error);
    for (int64_t k = 0; k < now;)
      k += store_rows(stored, s->model->real_bytes, &c, chunk + k, now - k);
    i += now;
  }
  return DLC_OK;
}

/* A whole decimal number, or -1. */
static int64_t meta_number(const StFile *f, const char *key, unsigned long long *out) {
  const char *text = st_meta(f, key);
  char *end;
  if (!text || *text < '0' || *text > '9') return -1;
  errno = 0;
  *out = strtoull(text, &end, 10);
  return *end || errno ? -1 : 0;
}

static int load_position(dlc_session *s, const StFile *f) {
  unsigned long long step, seed;
  const char *lr = st_meta(f, "lr");
  if (meta_number(f, "step", &step) || meta_number(f, "seed", &seed) || step > INT64_MAX || !lr)
    return rt_error(s, DLC_EFORMAT, "the checkpoint's step, seed or lr is not a number");
  char *end;
  double rate = strtod(lr, &end);
  if (end == lr || *end || !(rate >= 0 && rate <= 1e30))
    return rt_error(s, DLC_EFORMAT, "the checkpoint's learning rate is not a number");
  s->step = (int64_t)step;
  s->seed = seed;
  s->lr = rate;
  return DLC_OK;
}

static int load_from(dlc_session *s, StFile *f) {
  const dlc_model *m = s->model;
  const char *kind = st_meta(f, "dlc");
  int full = s->mode == DLC_TRAINING && kind && strcmp(kind, CHECKPOINT_FORMAT) == 0, code = DLC_OK;
  for (int32_t i = 0; i < m->parameter_count && code == DLC_OK; i++)
    if (full || m->parameters[i].role != DLC_STATE) code = check_tensor(s, f, &m->parameters[i]);
  if (full && code == DLC_OK) code = load_position(s, f);
  if (code != DLC_OK) return code;
  if (!full && s->mode == DLC_TRAINING) param_ensure(s); /* the file has no optimizer state */
  session_forget_forward(s);
  for (int32_t i = 0; i < m->parameter_count && code == DLC_OK; i++)
    if (full || m->parameters[i].role != DLC_STATE) code = load_tensor(s, f, &m->parameters[i]);
  if (code == DLC_OK) s->undrawn = 0;
  return code;
}

int checkpoint_load(dlc_session *s, const char *path) {
  if (!s || !path) return DLC_EINVAL;
  StFile f;
  int code = st_open(&f, path);
  if (code != DLC_OK) return rt_error(s, code, "%s", f.error);
  code = load_from(s, &f);
  st_close(&f);
  return code;
}
