/* Two networks in one program: each has its own runtime and its own parameters. Trains `second` on
 * y = (x0 + x1, x2) until the loss has fallen, and checks that iris, between the steps, keeps
 * giving the same probabilities. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "iris.h"
#include "second.h"

static int train_second(dlc_session *s, double *loss) {
  float x[8 * 3], scale[8], y[8 * 2];
  int i;
  for (i = 0; i < 8; i++) {
    x[3 * i] = (float)(i & 1), x[3 * i + 1] = (float)(i >> 1 & 1), x[3 * i + 2] = (float)(i >> 2);
    scale[i] = 1;
    y[2 * i] = x[3 * i] + x[3 * i + 1], y[2 * i + 1] = x[3 * i + 2];
  }
  return second_train_step(s, 8, x, scale, y, loss, NULL);
}

int main(void) {
  static const float flower[4] = {5.1f, 3.5f, 1.4f, 0.2f};
  dlc_session *first = NULL, *second = NULL;
  float before[3], after[3];
  double start = 0, end = 0;
  int i;
  if (iris_create(DLC_INFERENCE, &first) || second_create(DLC_TRAINING, &second)) return 2;
  if (iris_infer(first, 1, flower, before) || train_second(second, &start)) return 3;
  for (i = 0; i < 300; i++)
    if (train_second(second, &end)) return 4;
  if (iris_infer(first, 1, flower, after)) return 5;
  printf("loss %.4f -> %.4f, probabilities %.4f %.4f %.4f\n", start, end, after[0], after[1],
         after[2]);
  iris_destroy(first);
  second_destroy(second);
  if (!(end < 0.1 * start)) return 6;
  if (!(fabs((double)after[0] + after[1] + after[2] - 1) < 1e-5)) return 7;
  return memcmp(before, after, sizeof before) != 0;
}
