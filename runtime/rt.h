/* Inside the runtime: the session, and the prototypes of the files behind dlc_api. Every name here
 * is hidden in an artifact. Memory is taken in three places only: dlc_api.create, loading and
 * saving (a file's header), and the scratch matrix of an orthogonal initialiser. */
#ifndef DLC_RUNTIME_RT_H
#define DLC_RUNTIME_RT_H

#include <pthread.h>
#include <stdatomic.h>

#include "runtime/dlc.h"

enum { RT_ALIGN = 64, RT_MAX_THREADS = 256, RT_ERROR_BYTES = 320 };

/* ---- threads (parallel.c) ---- */

struct Pool;
/* A thread's part of the loop in progress, on a cache line of its own. */
typedef struct {
  /* generation << 32 | units not yet taken: a piece is taken by compare-and-swap, so a worker that
   * is late for one loop can never take a piece of the next under the wrong numbers. */
  _Alignas(64) _Atomic uint64_t ticket;
  struct Pool *pool;
  uint32_t first;   /* the generation that the thread starts after */
  pthread_t thread; /* none for share 0, the caller's */
} Share;

typedef struct Pool {
  pthread_mutex_t lock;
  pthread_cond_t work, done;
  /* What threads poll and what they count down lie on cache lines of their own. */
  _Alignas(64) _Atomic uint32_t generation; /* of loops */
  _Atomic int64_t count;
  _Atomic(dlc_range) body;
  _Atomic(void *) context;
  atomic_int stop;
  _Alignas(64) _Atomic int64_t remaining;
  atomic_int waiting;
  _Alignas(64) atomic_int sleepers;
  atomic_flag busy;
  int threads; /* 1: no pool */
  Share share[RT_MAX_THREADS];
} Pool;

void pool_init(Pool *p);
int pool_resize(Pool *p, int threads); /* DLC_OK, or DLC_ENOMEM with one thread left */
void pool_stop(Pool *p);
void pool_for(void *pool, int64_t count, dlc_range body, void *context); /* a dlc_parallel_for */

/* ---- the session (session.c) ---- */

typedef enum { PENDING_NONE, PENDING_TRAIN, PENDING_EVAL } Pending;
typedef enum { GRADIENTS_NONE, GRADIENTS_USED, GRADIENTS_FRESH } Gradients;

struct dlc_session {
  const dlc_model *model;
  dlc_mode mode;
  int owns_memory;
  int undrawn; /* parameters have no values yet */
  char *parameters, *gradients, *arena;
  const void **inputs; /* inputs, then targets, of the call in progress */
  void **outputs, **sinks, **input_gradients, **no_gradients;
  double *scalars;
  double lr;
  uint64_t seed;
  int64_t step, pending_n;
  Pending pending;
  Gradients gradient_state;
  const char *const *metadata; /* the caller's pairs */
  int32_t metadata_count;
  dlc_parallel_for user_for;
  void *user_executor;
  int user_threads;
  Pool pool;
  int error_code;
  char error[RT_ERROR_BYTES];
};

/* Notes what went wrong for error_text and returns code. A session that is const to its user still
 * takes the text. */
int rt_error(const dlc_session *s, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* What forward left behind is of no use any more. */
void session_forget_forward(dlc_session *s);

size_t session_bytes(const dlc_model *model, dlc_mode mode);
int session_create(const dlc_model *model, dlc_mode mode, dlc_session **out);
int session_create_in(const dlc_model *model, dlc_mode mode, void *memory, size_t bytes,
                      dlc_session **out);
void session_destroy(dlc_session *s);
const char *session_error_text(const dlc_session *s, int code);
int session_set_threads(dlc_session *s, int threads);
int session_set_parallel_for(dlc_session *s, dlc_parallel_for function, void *executor,
                             int threads);
int session_set_seed(dlc_session *s, uint64_t seed);
int session_set_learning_rate(dlc_session *s, double lr);
double session_learning_rate(const dlc_session *s);
int64_t session_step(const dlc_session *s);
int session_set_step(dlc_session *s, int64_t step);

/* ---- running (run.c), with what is checked first (check.c) ---- */

int run_infer(dlc_session *s, int64_t n, const void *const *inputs, void *const *outputs);
int run_evaluate(dlc_session *s, int64_t n, const void *const *inputs, const void *const *targets,
                 void *const *outputs, double *loss, double *metrics);
int run_train_step(dlc_session *s, int64_t n, const void *const *inputs, const void *const *targets,
                   double *loss, double *metrics);
int run_forward(dlc_session *s, int eval, int64_t n, const void *const *inputs,
                const void *const *targets, void *const *outputs, double *loss, double *metrics);
int run_backward(dlc_session *s, void *const *input_gradients);
int run_apply(dlc_session *s);

/* DLC_OK, DLC_EINVAL for a missing pointer, DLC_ELABEL for a label or index out of range. `limits`:
 * of these tensors, or NULL. */
int check_tensors(dlc_session *s, const dlc_tensor *t, const int32_t *const *limits, int32_t count,
                  int64_t n, const void *const *data);
/* The first of the comma-separated features that this processor and system lack, or NULL; *length
 * its length. */
const char *cpu_missing(const char *features, size_t *length);

/* ---- parameters (parameters.c, layout.c, init.c) ---- */

int param_get(const dlc_session *s, int32_t index, void *out);
int param_set(dlc_session *s, int32_t index, const void *in);
int param_get_gradient(const dlc_session *s, int32_t index, void *out);
void *param_data(dlc_session *s, int32_t index);
int param_initialize(dlc_session *s, uint64_t seed);
/* A new session's parameters are drawn, with seed 0, when first needed: loading a file does
 * without. Where that could fail they are drawn at once. */
int param_start(dlc_session *s);
void param_ensure(const dlc_session *s);

/* Walks a stored tensor in the order of its row-major PyTorch form: `at` is the element's place in
 * the block. */
typedef struct {
  int rank;
  int64_t at, coord[8], dim[8], stride[8];
} LayoutCursor;
LayoutCursor layout_start(const dlc_parameter *p);
void layout_next(LayoutCursor *c);
/* The elements from the cursor on that lie `stride` apart, at most `most`; the cursor goes behind
 * them. */
typedef struct {
  int64_t at, stride, count;
} LayoutRun;
LayoutRun layout_run(LayoutCursor *c, int64_t most);
int layout_is_plain(const dlc_parameter *p);
/* Between the block (stored) and row-major reals, of `real` bytes each. */
void layout_unpack(const dlc_parameter *p, int real, const void *stored, void *out);
void layout_pack(const dlc_parameter *p, int real, const void *in, void *stored);

/* Philox 4x32-10 (Salmon et al. 2011). */
void rt_philox(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4]);

/* ---- files (checkpoint.c) ---- */

int checkpoint_set_metadata(dlc_session *s, const char *const *pairs, int32_t count);
int checkpoint_save(const dlc_session *s, const char *path);
int checkpoint_save_full(const dlc_session *s, const char *path);
int checkpoint_load(dlc_session *s, const char *path);

/* The table that compiled modules refer to. */
extern const dlc_api dlc_api_v1;

#endif
