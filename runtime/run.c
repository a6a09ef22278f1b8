/* Running programs: arguments are checked, a dlc_call is made, the code runs, loss and metrics are
 * handed out.
 *
 * Steps: random masks are keyed by the number of steps done before. Step t (from 1) corrects Adam's
 * moments by 1 - beta1^t and 1 - beta2^t. */
#include <math.h>
#include <string.h>

#include "runtime/rt.h"

static int usable(dlc_session *s, int program, int training) {
  if (training && s->mode != DLC_TRAINING)
    return rt_error(s, DLC_ESTATE, "this session was made for inference");
  if (!s->model->programs[program].code)
    return rt_error(s, DLC_ESTATE, "%.100s was compiled without this program", s->model->name);
  return DLC_OK;
}

static int check_inputs(dlc_session *s, int64_t n, const void *const *inputs,
                        const void *const *targets) {
  const dlc_model *m = s->model;
  if (n < 1 || n > m->max_batch)
    return rt_error(s, DLC_EINVAL, "a batch of %lld: from 1 to %lld is compiled in", (long long)n,
                    (long long)m->max_batch);
  const int32_t *const *limits = m->limits, *const *rest = limits ? limits + m->input_count : NULL;
  int code = check_tensors(s, m->inputs, limits, m->input_count, n, inputs);
  if (code == DLC_OK && targets)
    code = check_tensors(s, m->targets, rest, m->target_count, n, targets);
  if (code != DLC_OK) return code;
  for (int i = 0; i < m->input_count; i++) s->inputs[i] = inputs[i];
  for (int i = 0; i < m->target_count; i++)
    s->inputs[m->input_count + i] = targets ? targets[i] : NULL;
  return DLC_OK;
}

static int check_all(dlc_session *s, int64_t n, const void *const *inputs,
                     const void *const *targets) {
  if (s->model->target_count && !targets) return rt_error(s, DLC_EINVAL, "no targets were given");
  return check_inputs(s, n, inputs, targets);
}

static void set_outputs(dlc_session *s, void *const *outputs) {
  for (int i = 0; i < s->model->output_count; i++)
    s->outputs[i] = outputs && outputs[i] ? outputs[i] : s->sinks[i];
}

static double bias_correction(double beta, int64_t t) {
  return beta > 0 ? 1 - pow(beta, (double)t) : 1;
}

static void set_hyper(const dlc_session *s, dlc_call *call) {
  const dlc_training *t = s->model->training;
  call->hyper[0] = s->lr;
  call->hyper[1] = t ? bias_correction(t->beta1, s->step + 1) : 1;
  call->hyper[2] = t ? bias_correction(t->beta2, s->step + 1) : 1;
}

static void execute(dlc_session *s, int program, int64_t n, void *const *input_gradients) {
  param_ensure(s);
  memset(s->scalars, 0, (1 + (size_t)s->model->metric_count) * sizeof(double));
  dlc_call call = {
      .n = n,
      .parameters = s->parameters,
      .gradients = s->gradients,
      .arena = s->arena,
      .inputs = s->inputs,
      .outputs = s->outputs,
      .input_gradients = input_gradients,
      .scalars = s->scalars,
      .seed = s->seed,
      .step = (uint64_t)s->step,
      .threads = s->user_for ? s->user_threads : s->pool.threads,
      .parallel_for = s->user_for ? s->user_for : pool_for,
      .executor = s->user_for ? s->user_executor : &s->pool,
  };
  set_hyper(s, &call);
  session_forget_forward(s); /* the arena is about to be overwritten */
  s->model->programs[program].code(&call);
}

static void hand_out(const dlc_session *s, int64_t n, double *loss, double *metrics) {
  if (loss) *loss = s->scalars[0];
  for (int i = 0; metrics && i < s->model->metric_count; i++)
    metrics[i] = s->scalars[1 + i] / (double)n;
}

int run_infer(dlc_session *s, int64_t n, const void *const *inputs, void *const *outputs) {
  if (!s) return DLC_EINVAL;
  int code = usable(s, DLC_INFER, 0);
  if (code == DLC_OK) code = check_inputs(s, n, inputs, NULL);
  if (code != DLC_OK) return code;
  set_outputs(s, outputs);
  execute(s, DLC_INFER, n, s->no_gradients);
  return DLC_OK;
}

int run_evaluate(dlc_session *s, int64_t n, const void *const *inputs, const void *const *targets,
                 void *const *outputs, double *loss, double *metrics) {
  if (!s) return DLC_EINVAL;
  int code = usable(s, DLC_EVALUATE, 0);
  if (code == DLC_OK) code = check_all(s, n, inputs, targets);
  if (code != DLC_OK) return code;
  set_outputs(s, outputs);
  execute(s, DLC_EVALUATE, n, s->no_gradients);
  hand_out(s, n, loss, metrics);
  return DLC_OK;
}

int run_train_step(dlc_session *s, int64_t n, const void *const *inputs, const void *const *targets,
                   double *loss, double *metrics) {
  if (!s) return DLC_EINVAL;
  int code = usable(s, DLC_TRAIN, 1);
  if (code == DLC_OK) code = check_all(s, n, inputs, targets);
  if (code != DLC_OK) return code;
  set_outputs(s, NULL);
  execute(s, DLC_TRAIN, n, s->no_gradients);
  s->step++;
  hand_out(s, n, loss, metrics);
  return DLC_OK;
}

int run_forward(dlc_session *s, int eval, int64_t n, const void *const *inputs,
                const void *const *targets, void *const *outputs, double *loss, double *metrics) {
  if (!s) return DLC_EINVAL;
  int program = eval ? DLC_FORWARD_EVAL : DLC_FORWARD;
  int code = usable(s, program, 1);
  if (code == DLC_OK) code = check_all(s, n, inputs, targets);
  if (code != DLC_OK) return code;
  set_outputs(s, outputs);
  execute(s, program, n, s->no_gradients);
  s->pending = eval ? PENDING_EVAL : PENDING_TRAIN;
  s->pending_n = n;
  hand_out(s, n, loss, metrics);
  return DLC_OK;
}

int run_backward(dlc_session *s, void *const *input_gradients) {
  if (!s) return DLC_EINVAL;
  if (s->pending == PENDING_NONE)
    return rt_error(s, DLC_ESTATE,
                    "backward needs a forward before it, with no other run and no change of "
                    "parameters, seed or step between");
  int program = s->pending == PENDING_EVAL ? DLC_BACKWARD_EVAL : DLC_BACKWARD;
  int code = usable(s, program, 1);
  if (code != DLC_OK) return code;
  for (int i = 0; i < s->model->input_count; i++)
    s->input_gradients[i] = input_gradients ? input_gradients[i] : NULL;
  execute(s, program, s->pending_n, s->input_gradients);
  s->gradient_state = GRADIENTS_FRESH;
  return DLC_OK;
}

int run_apply(dlc_session *s) {
  if (!s) return DLC_EINVAL;
  if (s->gradient_state != GRADIENTS_FRESH)
    return rt_error(s, DLC_ESTATE, "apply needs a backward before it");
  int code = usable(s, DLC_APPLY, 1);
  if (code != DLC_OK) return code;
  execute(s, DLC_APPLY, 1, s->no_gradients);
  s->step++;
  s->gradient_state = GRADIENTS_USED;
  return DLC_OK;
}
