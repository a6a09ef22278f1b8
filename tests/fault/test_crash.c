/* Training killed at random moments: whatever was saved loads, and training that goes on from it
 * ends with the same bits as one that was never stopped, with dropout, augmentation, Adam and a
 * schedule. DLC_KILLS says how often it is killed (20). */
#include "tests/dlrun/run.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>

#include "runtime/safetensors.h"

#define B TEST_BINARY_DIR "/crash-"
#define EPOCHS "16"
#define STEPS (16 * 10)

static const char net[] =
    "network frail {\n"
    "  input image : u8[1, 6, 6];\n"
    "  target label : class[3];\n"
    "  h = image / 255 |> conv2d(4, kernel=3, padding=1) as conv |> batch_norm as bn |> relu\n"
    "    |> flatten |> dropout(0.3) |> linear(3) as fc;\n"
    "  output p = softmax(h);\n"
    "  loss cross_entropy(h, label);\n"
    "  metric accuracy(h, label);\n"
    "}\n"
    "train { optimizer adam(lr=0.01); schedule cosine(16); warmup 5;\n"
    "  augment hflip(0.5), crop(1), rotate(10); batch 16; epochs " EPOCHS "; seed 4; }\n";

static const char *const kept[] = {"", ".resume", ".best"};

static const char *file_of(const char *run, int k) {
  static char path[1024];
  snprintf(path, sizeof path, B "%s%s.safetensors", run, kept[k]);
  return path;
}

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static pid_t start(const char *run, int resume) {
  char save[1024], log[1024];
  snprintf(save, sizeof save, B "%s.safetensors", run);
  snprintf(log, sizeof log, B "%s-log", run);
  const char *argv[] = {DLRUN,
                        "train",
                        B "frail.so",
                        "--data",
                        B "data.csv,split=160:40,part=train",
                        "--valid",
                        B "data.csv,split=160:40,part=test",
                        "--save",
                        save,
                        "--log",
                        log,
                        "--quiet",
                        resume ? "--resume" : NULL,
                        save,
                        NULL};
  pid_t child = fork();
  assert_true(child >= 0);
  if (child) return child;
  execv(DLRUN, (char *const *)(uintptr_t)argv);
  _exit(127);
}

/* Whether it was killed; otherwise it must have ended well. */
static int wait_for(pid_t child) {
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) return 1;
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
  return 0;
}

static double whole_seconds;

static int prepare(void **state) {
  (void)state;
  uint32_t r = 3;
  FILE *f = fopen(B "frail.net", "w");
  fputs(net, f);
  fclose(f);
  f = fopen(B "data.csv", "w");
  for (int s = 0; s < 200; s++) {
    for (int i = 0; i < 36; i++) {
      r = r * 1664525u + 1013904223u;
      fprintf(f, "%u,", (r >> 24) / 2 + (i % 6 / 2 == s % 3 ? 60 : 0));
    }
    fprintf(f, "%d\n", s % 3);
  }
  fclose(f);
  expect(0, "", run_program(DLC, "%s -o %s", B "frail.net", B "frail.so"));
  expect(0, "", run_program("rm", "-rf " B "whole-log"));
  double begin = seconds();
  assert_false(wait_for(start("whole", 0)));
  whole_seconds = seconds() - begin;
  return 0;
}

/* Every file that is there is complete; gives the steps of the checkpoint, or -1. */
static long check_files(const char *run) {
  long step = -1;
  for (int k = 0; k < 3; k++) {
    StFile f;
    if (access(file_of(run, k), F_OK)) continue;
    if (st_open(&f, file_of(run, k))) fail_msg("%s", f.error);
    const char *text = st_meta(&f, "step");
    assert_true((k == 1) == (text != NULL));
    if (text) step = strtol(text, NULL, 10);
    st_close(&f);
  }
  return step;
}

static int count_lines(const char *path) {
  int lines = 0;
  FILE *f = fopen(path, "r");
  assert_non_null(f);
  for (int c = fgetc(f); c != EOF; c = fgetc(f)) lines += c == '\n';
  fclose(f);
  return lines;
}

/* Killed again and again until it comes to its end. */
static int one_training(uint32_t *r, int *resumed) {
  int kills = 0;
  long last = -1;
  expect(0, "", run_program("rm", "-rf " B "part-log " B "part.*"));
  for (int done = 0; !done;) {
    pid_t child = start("part", last >= 0);
    *resumed += last >= 0;
    *r = *r * 1664525u + 1013904223u;
    double pause = whole_seconds * 0.8 * (*r >> 8) / 0x1p24;
    nanosleep(&(struct timespec){(time_t)pause, (long)(pause * 1e9) % 1000000000L}, NULL);
    kill(child, SIGKILL);
    done = !wait_for(child);
    kills += !done;
    long step = check_files("part");
    assert_true(step >= last);
    last = step;
    done |= last == STEPS; /* killed on its way out */
  }
  for (int k = 0; k < 3; k++) {
    char whole[1024];
    snprintf(whole, sizeof whole, "%s", file_of("whole", k));
    if (!files_equal(whole, file_of("part", k))) fail_msg("%s differs", file_of("part", k));
  }
  assert_int_equal(count_lines(B "part-log/log.csv"), count_lines(B "whole-log/log.csv"));
  return kills;
}

static void test_kills(void **state) {
  (void)state;
  const char *text = getenv("DLC_KILLS");
  int wanted = text ? atoi(text) : 20, kills = 0, trainings = 0, resumed = 0;
  uint32_t r = 1;
  for (; kills < wanted; trainings++) kills += one_training(&r, &resumed);
  print_message("%d kills, %d trainings resumed, %d ended with the same bits\n", kills, resumed,
                trainings);
  assert_true(resumed > 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_kills)};
  return cmocka_run_group_tests(tests, prepare, NULL);
}
