/* Optimizer steps on given batches, for steps.py: steps WEIGHTS BATCHES OUT. BATCHES holds, step by
 * step, the learning rate, the count of samples, and so many of the input and of the target as the
 * network takes them. */
#include <stdio.h>
#include <stdlib.h>

#include HEADER

static size_t bytes_of(const dlc_tensor *t, long n) {
  static const size_t size[] = {4, 1, 4, 8};
  return size[t->elem] * (size_t)t->elements * (size_t)n;
}

static int step(const dlc_model *m, dlc_session *s, FILE *f, long n) {
  size_t x_bytes = bytes_of(m->inputs, n), y_bytes = bytes_of(m->targets, n);
  void *x = malloc(x_bytes), *y = malloc(y_bytes);
  const void *inputs[] = {x}, *targets[] = {y};
  int status = DLC_EIO;
  if (x && y && fread(x, x_bytes, 1, f) == 1 && fread(y, y_bytes, 1, f) == 1)
    status = m->api->train_step(s, n, inputs, targets, NULL, NULL);
  free(x);
  free(y);
  return status;
}

static int all_steps(const dlc_model *m, dlc_session *s, FILE *f) {
  struct {
    double rate;
    int64_t n;
  } head;
  int status = DLC_OK;
  while (status == DLC_OK && fread(&head, sizeof head, 1, f) == 1) {
    status = m->api->set_learning_rate(s, head.rate);
    if (status == DLC_OK) status = step(m, s, f, (long)head.n);
  }
  return status;
}

int main(int argc, char **argv) {
  const dlc_model *m = &MODEL;
  dlc_session *s = NULL;
  FILE *f = argc == 4 ? fopen(argv[2], "rb") : NULL;
  int status = f ? m->api->create(m, DLC_TRAINING, &s) : DLC_EIO;
  if (status == DLC_OK) status = m->api->load(s, argv[1]);
  if (status == DLC_OK) status = all_steps(m, s, f);
  if (status == DLC_OK) status = m->api->save(s, argv[3]);
  if (status != DLC_OK) fprintf(stderr, "steps: %s\n", m->api->error_text(s, status));
  m->api->destroy(s);
  if (f) fclose(f);
  return status != DLC_OK;
}
