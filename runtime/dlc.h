/* dlc.h: the C interface of a compiled network. Version 1.
 *
 * Every generated header begins with this text, so an application needs one header only. The whole
 * network, code and runtime, is reached through one exported object of type dlc_model,
 * `dlc_v1_<network>`.
 *
 * Shapes are row-major and per sample, as the .net file says them ([C, H, W] for images); the batch
 * comes first. "real" is float, or double for a network compiled with --precision f64. Functions
 * return DLC_OK or a negative error code and never exit, abort or print. Nothing is global:
 * different sessions may be used from different threads at once, one session from one thread at a
 * time. */
#ifndef DLC_V1_H
#define DLC_V1_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DLC_ABI_VERSION 1
#define DLC_ABI_MINOR 2 /* counts additions to the end of dlc_api and dlc_model */

enum {
  DLC_OK = 0,
  /* an argument is out of range: a NULL pointer, n < 1 or n > max_batch, an unknown name */
  DLC_EINVAL = -1,
  DLC_ENOMEM = -2, /* memory could not be had, or the memory given is too small */
  /* this processor lacks an instruction set that the code needs; error_text names it */
  DLC_ECPU = -3,
  DLC_EIO = -4,     /* a file could not be read or written */
  DLC_EFORMAT = -5, /* a file is not what it should be */
  /* a file's tensor has another shape or type than the network's, or is missing */
  DLC_EMISMATCH = -6,
  /* called out of order: backward before forward, training on an inference session */
  DLC_ESTATE = -7,
  DLC_ELABEL = -8 /* a label or index is outside its range */
};

typedef enum { DLC_F32 = 0, DLC_U8 = 1, DLC_I32 = 2, DLC_F64 = 3 } dlc_elem;

/* A tensor that goes in or out, per sample unless `shared`. */
typedef struct {
  const char *name;
  int32_t elem; /* dlc_elem */
  int32_t rank;
  int64_t dim[8];
  int64_t elements; /* of one sample */
  int32_t classes;  /* inputs and targets: labels and indices are from 0 to classes - 1; 0: any */
  int32_t shared;   /* outputs only: one value for the whole batch */
} dlc_tensor;

typedef enum { DLC_PARAM = 0, DLC_BUFFER = 1, DLC_STATE = 2 } dlc_role;

/* A tensor that the session keeps: a parameter, a buffer (running statistics) or optimizer state.
 * Its name and shape are PyTorch's. In the parameter block it lies at `offset`, in the compiler's
 * own layout: the row-major tensor viewed as store_dim, its dimensions permuted so that
 * store_order[0] is outermost. */
typedef struct {
  const char *name;
  int32_t role; /* dlc_role */
  int32_t trainable;
  int32_t rank, store_rank;
  int64_t dim[8];
  int64_t store_dim[8];
  int32_t store_order[8];
  int64_t elements, offset; /* offset in bytes */
  int32_t init;             /* 1 constant(a), 2 uniform[a, b), 3 normal(a, b), 4 orthogonal */
  int32_t reserved;
  double init_a, init_b;
} dlc_parameter;

/* Numbers of the train block. Unused ones are 0. */
typedef struct {
  const char *optimizer; /* "sgd", "adam", "adamw", "rmsprop" */
  double lr, momentum, beta1, beta2, alpha, eps, weight_decay;
  int32_t nesterov, reserved;
  const char *schedule; /* "constant", "step", "cosine", "linear" */
  double schedule_size, schedule_gamma, schedule_period, schedule_min_lr, schedule_epochs,
      schedule_end;
  int64_t warmup_steps, batch, epochs, seed;
  double clip_grad_norm, hflip, vflip, rotate_degrees;
  int64_t crop_padding;
} dlc_training;

/* Runs body(context, begin, end) over [0, count) in pieces, each exactly once, in any order and on
 * any threads, and returns when all are done. */
typedef void (*dlc_range)(void *context, int64_t begin, int64_t end);
typedef void (*dlc_parallel_for)(void *executor, int64_t count, dlc_range body, void *context);

/* What compiled code is called with. Internal. */
typedef struct {
  int64_t n;
  void *parameters; /* the parameter block */
  void *gradients;  /* as the parameter block, parameters only */
  void *arena;
  const void *const *inputs; /* inputs, then targets */
  void *const *outputs;
  void *const *input_gradients; /* one an input; NULL where not wanted */
  double *scalars;              /* loss, then each metric's sum over the batch */
  double hyper[4];              /* lr, bias_correction1, bias_correction2 */
  uint64_t seed, step;
  int64_t threads;
  dlc_parallel_for parallel_for;
  void *executor;
} dlc_call;
typedef void (*dlc_code)(const dlc_call *call);

enum {
  DLC_INFER,
  DLC_EVALUATE,
  DLC_TRAIN,
  DLC_FORWARD,
  DLC_BACKWARD,
  DLC_APPLY,
  DLC_FORWARD_EVAL,
  DLC_BACKWARD_EVAL,
  DLC_PROGRAMS
};

typedef struct {
  dlc_code code;       /* NULL: not compiled in */
  int64_t arena_bytes; /* at max_batch */
  double flops;        /* for one sample: a multiply-add counts as 2 */
} dlc_program;

typedef struct dlc_session dlc_session;
typedef struct dlc_api dlc_api;

typedef struct {
  int32_t abi_version;
  int32_t real_bytes; /* 4 or 8 */
  const char *name;
  const char *cpu_features; /* what the code needs, "avx512f,fma"; "" for the baseline */
  int64_t max_batch;
  int32_t input_count, target_count, output_count, metric_count, parameter_count, abi_minor;
  const dlc_tensor *inputs, *targets, *outputs; /* inputs and targets share one order */
  const char *const *metrics;
  const dlc_parameter
      *parameters;         /* parameters and buffers in PyTorch's order, then optimizer state */
  int64_t parameter_bytes; /* of parameters and buffers: the first part of the block */
  int64_t state_bytes;     /* of the optimizer state behind it */
  dlc_program programs[DLC_PROGRAMS];
  const dlc_training *training; /* NULL: inference only */
  const char *ir;               /* the graph's text, NUL-terminated; NULL when stripped */
  const dlc_api *api;
  /* Of inputs, then targets: what each element of a sample must stay below (0: any) where they
   * differ, `classes` being 0; NULL for the others. NULL: there are none. Since minor 2. */
  const int32_t *const *limits;
} dlc_model;

typedef enum { DLC_INFERENCE = 0, DLC_TRAINING = 1 } dlc_mode;

struct dlc_api {
  /* Bytes that create_in needs. */
  size_t (*session_bytes)(const dlc_model *model, dlc_mode mode);
  /* A session in memory of its own, to be freed by destroy. Parameters are initialised with seed 0.
   */
  int (*create)(const dlc_model *model, dlc_mode mode, dlc_session **out);
  /* The same in the caller's memory, which must be aligned to 64 bytes and outlive the session. */
  int (*create_in)(const dlc_model *model, dlc_mode mode, void *memory, size_t bytes,
                   dlc_session **out);
  void (*destroy)(dlc_session *session); /* NULL is fine */
  const char *(*error_text)(const dlc_session *session,
                            int code); /* session may be NULL; lives with the session */

  /* Threads used by one call: 1 (the default) runs on the caller's. The results' bits do not depend
   * on it. */
  int (*set_threads)(dlc_session *session, int threads);
  /* The application's own threads instead; NULL goes back. `threads` is its parallelism. */
  int (*set_parallel_for)(dlc_session *session, dlc_parallel_for function, void *executor,
                          int threads);

  /* New initial parameters, drawn from seed; optimizer state and step back to 0. */
  int (*initialize)(dlc_session *session, uint64_t seed);
  int (*set_seed)(dlc_session *session, uint64_t seed); /* of the random masks */
  int (*set_learning_rate)(dlc_session *session, double lr);
  double (*learning_rate)(const dlc_session *session);
  int64_t (*step)(const dlc_session *session); /* optimizer steps done */
  int (*set_step)(dlc_session *session, int64_t step);

  /* One array of pointers an argument: inputs and targets in the model's order, n samples each. */
  int (*infer)(dlc_session *session, int64_t n, const void *const *inputs, void *const *outputs);
  /* Forward in evaluation mode: loss (mean over the batch), metrics (means) and outputs. Each
   * result may be NULL. */
  int (*evaluate)(dlc_session *session, int64_t n, const void *const *inputs,
                  const void *const *targets, void *const *outputs, double *loss, double *metrics);
  /* Forward, backward and update. */
  int (*train_step)(dlc_session *session, int64_t n, const void *const *inputs,
                    const void *const *targets, double *loss, double *metrics);
  /* The same in parts. forward (training mode, or evaluation mode with `eval`), then backward,
   * which fills the gradients and, where not NULL, input_gradients (one an input, NULL for those
   * not wanted), then apply. backward is DLC_ESTATE when any program ran since forward, or what it
   * depends on was changed: by load, initialize, set_parameter, set_seed or set_step. The gradients
   * stay until the next backward, whatever happens to the parameters. */
  int (*forward)(dlc_session *session, int eval, int64_t n, const void *const *inputs,
                 const void *const *targets, void *const *outputs, double *loss, double *metrics);
  int (*backward)(dlc_session *session, void *const *input_gradients);
  int (*apply)(dlc_session *session);

  /* Parameters by index in model->parameters, converted from and to row-major reals of their
   * PyTorch shape. */
  int (*get_parameter)(const dlc_session *session, int32_t index, void *out);
  int (*set_parameter)(dlc_session *session, int32_t index, const void *in);
  int (*get_gradient)(const dlc_session *session, int32_t index, void *out);
  void *(*parameter_data)(dlc_session *session,
                          int32_t index); /* in place, in the compiler's layout */

  /* safetensors with PyTorch's names and layouts. save: parameters and buffers; save_checkpoint:
   * optimizer state, seed and step too. Written to a temporary file, synced and renamed. load takes
   * both kinds: every parameter of the network must be there; other tensors are left alone. When a
   * file fails its check nothing is changed; when reading it fails later (DLC_EIO), some parameters
   * are the file's and others are not. */
  int (*save)(const dlc_session *session, const char *path);
  int (*save_checkpoint)(const dlc_session *session, const char *path);
  int (*load)(dlc_session *session, const char *path);
  /* Entries that save and save_checkpoint add to the file's metadata: pairs of key and value. The
   * strings are the caller's, and must last as long as the session or until the next call. Keys
   * that the two write themselves are DLC_EINVAL. */
  int (*set_metadata)(dlc_session *session, const char *const *pairs, int32_t count);
};

#ifdef __cplusplus
}
#endif
#endif
