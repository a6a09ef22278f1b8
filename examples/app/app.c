/* A C program that trains a network linked in as an object file: iris.net on the flowers in a CSV
 * file.
 *
 *   dlc iris.net -o flowers.o && cc app.c flowers.o -lm -lpthread -o app && ./app iris.csv
 */
#include <stdio.h>
#include <stdlib.h>

#include "flowers.h"

enum { FLOWERS = 150, EPOCHS = 60, BATCH = 16 };

typedef struct {
  float flower[FLOWERS][4];
  int32_t species[FLOWERS];
} Data;

static int read_data(const char *path, Data *d) {
  FILE *f = fopen(path, "r");
  int i, ok = f && fscanf(f, "%*[^\n]") == 0; /* the first line says what is in the file */
  for (i = 0; ok && i < FLOWERS; i++)
    ok = fscanf(f, "%f,%f,%f,%f,%d", &d->flower[i][0], &d->flower[i][1], &d->flower[i][2],
                &d->flower[i][3], &d->species[i]) == 5;
  if (f) fclose(f);
  return ok;
}

/* The file is sorted by species: a fixed shuffle makes every batch a fair sample. */
static void shuffle(Data *d) {
  unsigned state = 1;
  int i, k;
  for (i = FLOWERS - 1; i > 0; i--) {
    int j = (int)((state = state * 1103515245u + 12345u) >> 16) % (i + 1);
    int32_t s = d->species[i];
    d->species[i] = d->species[j], d->species[j] = s;
    for (k = 0; k < 4; k++) {
      float x = d->flower[i][k];
      d->flower[i][k] = d->flower[j][k], d->flower[j][k] = x;
    }
  }
}

static int train(dlc_session *session, const Data *d) {
  int epoch, i, status = DLC_OK;
  double loss = 0;
  for (epoch = 0; epoch < EPOCHS && status == DLC_OK; epoch++) {
    for (i = 0; i < FLOWERS && status == DLC_OK; i += BATCH) {
      int n = FLOWERS - i < BATCH ? FLOWERS - i : BATCH;
      status = iris_train_step(session, n, d->flower[i], &d->species[i], &loss, NULL);
    }
    if (epoch % 10 == 9) printf("epoch %2d  loss %.4f\n", epoch + 1, loss);
  }
  return status;
}

static int count_right(dlc_session *session, const Data *d) {
  int i, right = 0;
  for (i = 0; i < FLOWERS; i++) {
    float p[IRIS_PROBABILITIES_ELEMENTS];
    int best;
    if (iris_infer(session, 1, d->flower[i], p) != DLC_OK) return -1;
    best = p[1] > p[0] ? 1 : 0;
    if (p[2] > p[best]) best = 2;
    right += best == d->species[i];
  }
  return right;
}

int main(int argc, char **argv) {
  static Data data;
  dlc_session *session = NULL;
  int status;
  if (argc != 2 || !read_data(argv[1], &data)) {
    fprintf(stderr, "usage: app iris.csv\n");
    return 2;
  }
  shuffle(&data);
  status = iris_create(DLC_TRAINING, &session);
  if (status == DLC_OK) status = train(session, &data);
  if (status == DLC_OK)
    printf("%d of %d flowers named right\n", count_right(session, &data), FLOWERS);
  if (status != DLC_OK) fprintf(stderr, "app: %s\n", dlc_v1_iris.api->error_text(session, status));
  iris_destroy(session);
  return status != DLC_OK;
}
