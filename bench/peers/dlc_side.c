/* A compiled network in a process of its own: MODEL.so SYMBOL train|infer|first BATCH THREADS.
 *
 * train, infer: steps on random data, timed (serve.h).
 * first: one prediction from freshly loaded weights (the file is the sixth argument), then the end.
 */
#include <dlfcn.h>
#include <string.h>

#include "runtime/dlc.h"
#include "serve.h"

enum { TENSORS = 16 };

typedef struct {
  const dlc_model *model;
  dlc_session *session;
  int64_t n;
  const void *inputs[TENSORS], *targets[TENSORS];
  void *outputs[TENSORS];
} Side;

static void need(int fine, const char *what) {
  if (fine) return;
  fprintf(stderr, "dlc_side: %s\n", what);
  exit(1);
}

/* Labels and bytes below the count of classes or 256, reals in [-1, 1). */
static void *random_tensor(const dlc_tensor *t, int64_t n) {
  int64_t count = t->elements * n, limit = t->classes ? t->classes : 256;
  void *x = calloc((size_t)count, 8);
  need(x != NULL, "no memory");
  for (int64_t i = 0; i < count; i++) {
    int r = rand();
    if (t->elem == DLC_U8) ((uint8_t *)x)[i] = (uint8_t)(r % limit);
    if (t->elem == DLC_I32) ((int32_t *)x)[i] = (int32_t)(r % limit);
    if (t->elem == DLC_F32) ((float *)x)[i] = (float)(r % 20000 - 10000) / 10000;
  }
  return x;
}

static void make_tensors(Side *s) {
  const dlc_model *m = s->model;
  need(m->input_count <= TENSORS && m->target_count <= TENSORS && m->output_count <= TENSORS,
       "too many");
  for (int i = 0; i < m->input_count; i++) s->inputs[i] = random_tensor(&m->inputs[i], s->n);
  for (int i = 0; i < m->target_count; i++) s->targets[i] = random_tensor(&m->targets[i], s->n);
  for (int i = 0; i < m->output_count; i++) s->outputs[i] = random_tensor(&m->outputs[i], s->n);
}

static void train(void *user) {
  Side *s = user;
  need(s->model->api->train_step(s->session, s->n, s->inputs, s->targets, NULL, NULL) == DLC_OK,
       "a step failed");
}

static void infer(void *user) {
  Side *s = user;
  need(s->model->api->infer(s->session, s->n, s->inputs, s->outputs) == DLC_OK, "no prediction");
}

int main(int argc, char **argv) {
  need(argc >= 6, "usage: MODEL.so SYMBOL train|infer|first BATCH THREADS [WEIGHTS]");
  Side s = {.n = atoll(argv[4])};
  void *library = dlopen(argv[1], RTLD_NOW);
  need(library != NULL, "cannot open the network");
  s.model = dlsym(library, argv[2]);
  need(s.model != NULL, "no such network");
  int training = !strcmp(argv[3], "train");
  dlc_mode mode = training ? DLC_TRAINING : DLC_INFERENCE;
  need(s.model->api->create(s.model, mode, &s.session) == DLC_OK, "no session");
  s.model->api->set_threads(s.session, atoi(argv[5]));
  make_tensors(&s);
  if (!strcmp(argv[3], "first")) {
    need(s.model->api->load(s.session, argv[6]) == DLC_OK, "no weights");
    infer(&s);
  } else {
    const dlc_program *program = &s.model->programs[training ? DLC_TRAIN : DLC_INFER];
    serve(training ? train : infer, &s, program->flops * (double)s.n);
  }
  s.model->api->destroy(s.session);
  return 0;
}
