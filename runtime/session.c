/* Sessions: one block of memory cut into the session itself, its tables, the parameter block, the
 * gradient block and the arena, each aligned to RT_ALIGN. Nothing else is allocated for as long as
 * the session lives. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "runtime/rt.h"

/* ---- errors ---- */

static const char *code_text(int code) {
  static const char *const text[] = {
      "no error",
      "an argument is out of range",
      "out of memory",
      "this processor lacks an instruction set that the network was compiled for",
      "a file could not be read or written",
      "a file is not in the expected format",
      "a file does not fit the network",
      "called out of order",
      "a label or index is out of range",
  };
  int i = -code;
  return i >= 0 && i < (int)(sizeof text / sizeof *text) ? text[i] : "unknown error";
}

/* Why the last create of this thread failed: there is no session yet that could hold it. */
static _Thread_local char create_error[RT_ERROR_BYTES];
static _Thread_local int create_code;

static int create_failed(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int create_failed(int code, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(create_error, sizeof create_error, fmt, ap);
  va_end(ap);
  return create_code = code;
}

int rt_error(const dlc_session *user, int code, const char *fmt, ...) {
  dlc_session *s = (dlc_session *)(uintptr_t)user;
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(s->error, sizeof s->error, fmt, ap);
  va_end(ap);
  return s->error_code = code;
}

const char *session_error_text(const dlc_session *s, int code) {
  if (s && code != DLC_OK && s->error_code == code) return s->error;
  if (!s && code != DLC_OK && create_code == code) return create_error;
  return code_text(code);
}

/* ---- memory ---- */

typedef struct {
  size_t inputs, outputs, sinks, input_gradients, no_gradients, scalars, parameters, gradients,
      arena, sink_data;
  size_t total; /* 0: overflow */
} Plan;

static size_t plan_take(Plan *p, int64_t count, size_t size) {
  size_t at = p->total, bytes;
  if (!at || count < 0 || __builtin_mul_overflow((size_t)count, size, &bytes) ||
      bytes > SIZE_MAX / 4 || at > SIZE_MAX / 4) {
    p->total = 0;
    return 0;
  }
  p->total = (at + bytes + RT_ALIGN - 1) / RT_ALIGN * RT_ALIGN;
  return at;
}

static int64_t arena_bytes(const dlc_model *m, dlc_mode mode) {
  int64_t most = 0;
  for (int i = 0; i < DLC_PROGRAMS; i++) {
    if (mode == DLC_INFERENCE && i != DLC_INFER && i != DLC_EVALUATE) continue;
    if (m->programs[i].code && m->programs[i].arena_bytes > most) most = m->programs[i].arena_bytes;
  }
  return most;
}

static size_t tensor_bytes(const dlc_model *m, const dlc_tensor *t) {
  size_t samples = t->shared ? 1 : (size_t)m->max_batch, bytes;
  if (__builtin_mul_overflow(samples, (size_t)t->elements * 8, &bytes)) return SIZE_MAX / 2;
  return bytes;
}

static Plan plan_session(const dlc_model *m, dlc_mode mode) {
  Plan p = {.total = (sizeof(dlc_session) + RT_ALIGN - 1) / RT_ALIGN * RT_ALIGN};
  int training = mode == DLC_TRAINING;
  p.inputs = plan_take(&p, (int64_t)m->input_count + m->target_count, sizeof(void *));
  p.outputs = plan_take(&p, m->output_count, sizeof(void *));
  p.sinks = plan_take(&p, m->output_count, sizeof(void *));
  p.input_gradients = plan_take(&p, m->input_count, sizeof(void *));
  p.no_gradients = plan_take(&p, m->input_count, sizeof(void *));
  p.scalars = plan_take(&p, 1 + (int64_t)m->metric_count, sizeof(double));
  p.parameters = plan_take(&p, m->parameter_bytes, 1);
  if (training) plan_take(&p, m->state_bytes, 1);
  p.gradients = plan_take(&p, training ? m->parameter_bytes : 0, 1);
  p.arena = plan_take(&p, arena_bytes(m, mode), 1);
  p.sink_data = p.total;
  for (int i = 0; i < m->output_count; i++)
    plan_take(&p, (int64_t)tensor_bytes(m, &m->outputs[i]), 1);
  return p;
}

size_t session_bytes(const dlc_model *m, dlc_mode mode) {
  if (!m || (mode != DLC_INFERENCE && mode != DLC_TRAINING)) return 0;
  return plan_session(m, mode).total;
}

/* Outputs that the caller does not want are written here, so that compiled code need not ask. */
static void place_sinks(dlc_session *s, char *at) {
  for (int i = 0; i < s->model->output_count; i++) {
    s->sinks[i] = at;
    at += (tensor_bytes(s->model, &s->model->outputs[i]) + RT_ALIGN - 1) / RT_ALIGN * RT_ALIGN;
  }
}

static void place(dlc_session *s, const Plan *p) {
  char *base = (char *)s;
  s->inputs = (const void **)(base + p->inputs);
  s->outputs = (void **)(base + p->outputs);
  s->sinks = (void **)(base + p->sinks);
  s->input_gradients = (void **)(base + p->input_gradients);
  s->no_gradients = (void **)(base + p->no_gradients);
  s->scalars = (double *)(base + p->scalars);
  s->parameters = base + p->parameters;
  s->gradients = s->mode == DLC_TRAINING ? base + p->gradients : NULL;
  s->arena = base + p->arena;
  /* Gradients are written by backward before anything reads them; steps as a whole never touch
   * them. */
  memset(base + p->inputs, 0, p->gradients - p->inputs);
  place_sinks(s, base + p->sink_data);
}

/* ---- making and unmaking ---- */

static int refuse(const dlc_model *m, dlc_mode mode) {
  if (!m || (mode != DLC_INFERENCE && mode != DLC_TRAINING))
    return create_failed(DLC_EINVAL, "no model, or a mode that does not exist");
  if (m->abi_version != DLC_ABI_VERSION)
    return create_failed(DLC_EINVAL, "the network has interface version %d, the runtime %d",
                         (int)m->abi_version, DLC_ABI_VERSION);
  if (mode == DLC_TRAINING && !m->training)
    return create_failed(DLC_ESTATE, "%.100s was compiled for inference only", m->name);
  size_t length;
  const char *missing = cpu_missing(m->cpu_features, &length);
  if (missing)
    return create_failed(DLC_ECPU, "this processor lacks %.*s, which %.100s was compiled for",
                         (int)length, missing, m->name);
  return DLC_OK;
}

static int build(const dlc_model *m, dlc_mode mode, void *memory, const Plan *plan,
                 dlc_session **out) {
  dlc_session *s = memory;
  memset(s, 0, sizeof *s);
  s->model = m;
  s->mode = mode;
  s->lr = m->training ? m->training->lr : 0;
  pool_init(&s->pool);
  place(s, plan);
  int code = param_start(s);
  if (code != DLC_OK) {
    create_failed(code, "%s", session_error_text(s, code));
    pool_stop(&s->pool);
    return code;
  }
  *out = s;
  return DLC_OK;
}

int session_create_in(const dlc_model *m, dlc_mode mode, void *memory, size_t bytes,
                      dlc_session **out) {
  if (!out) return create_failed(DLC_EINVAL, "no place for the session");
  *out = NULL;
  int code = refuse(m, mode);
  if (code != DLC_OK) return code;
  if (!memory || (uintptr_t)memory % RT_ALIGN)
    return create_failed(DLC_EINVAL, "the memory given is not aligned to %d bytes", RT_ALIGN);
  Plan plan = plan_session(m, mode);
  if (!plan.total || bytes < plan.total)
    return create_failed(DLC_ENOMEM, "the session needs %zu bytes, %zu were given", plan.total,
                         bytes);
  return build(m, mode, memory, &plan, out);
}

enum { HUGE_PAGE = 2 << 20 };

/* Large sessions ask for huge pages: fewer misses of the TLB, nothing else. Freed by free(). */
static void *allocate(size_t bytes) {
  void *memory = NULL;
  if (posix_memalign(&memory, bytes >= 2 * HUGE_PAGE ? HUGE_PAGE : RT_ALIGN, bytes)) return NULL;
#ifdef MADV_HUGEPAGE
  if (bytes >= 2 * HUGE_PAGE) madvise(memory, bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
#endif
  return memory;
}

int session_create(const dlc_model *m, dlc_mode mode, dlc_session **out) {
  if (!out) return create_failed(DLC_EINVAL, "no place for the session");
  *out = NULL;
  int code = refuse(m, mode);
  if (code != DLC_OK) return code;
  Plan plan = plan_session(m, mode);
  void *memory = plan.total ? allocate(plan.total) : NULL;
  if (!memory) return create_failed(DLC_ENOMEM, "the session needs %zu bytes", plan.total);
  code = build(m, mode, memory, &plan, out);
  if (code == DLC_OK)
    (*out)->owns_memory = 1;
  else
    free(memory);
  return code;
}

void session_destroy(dlc_session *s) {
  if (!s) return;
  pool_stop(&s->pool);
  if (s->owns_memory) free(s);
}

/* ---- settings ---- */

int session_set_threads(dlc_session *s, int threads) {
  if (!s) return DLC_EINVAL;
  if (threads < 1 || threads > RT_MAX_THREADS)
    return rt_error(s, DLC_EINVAL, "%d threads: from 1 to %d can be had", threads, RT_MAX_THREADS);
  if (pool_resize(&s->pool, threads) == DLC_OK) return DLC_OK;
  return rt_error(s, DLC_ENOMEM, "the system refused %d threads; one is used", threads);
}

int session_set_parallel_for(dlc_session *s, dlc_parallel_for function, void *executor,
                             int threads) {
  if (!s) return DLC_EINVAL;
  if (function && threads < 1)
    return rt_error(s, DLC_EINVAL, "an executor with %d threads", threads);
  s->user_for = function;
  s->user_executor = executor;
  s->user_threads = threads;
  return DLC_OK;
}

void session_forget_forward(dlc_session *s) { s->pending = PENDING_NONE; }

int session_set_seed(dlc_session *s, uint64_t seed) {
  if (!s) return DLC_EINVAL;
  session_forget_forward(s); /* masks are drawn anew in backward */
  s->seed = seed;
  return DLC_OK;
}

int session_set_learning_rate(dlc_session *s, double lr) {
  if (!s) return DLC_EINVAL;
  if (!(lr >= 0 && lr <= 1e30)) return rt_error(s, DLC_EINVAL, "a learning rate of %g", lr);
  s->lr = lr;
  return DLC_OK;
}

double session_learning_rate(const dlc_session *s) { return s ? s->lr : 0; }

int64_t session_step(const dlc_session *s) { return s ? s->step : 0; }

int session_set_step(dlc_session *s, int64_t step) {
  if (!s) return DLC_EINVAL;
  if (step < 0) return rt_error(s, DLC_EINVAL, "step %lld", (long long)step);
  session_forget_forward(s);
  s->step = step;
  return DLC_OK;
}
