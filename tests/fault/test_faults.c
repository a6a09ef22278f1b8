/* The programs and the session interface while the n-th call of a kind fails, for every n until a
 * run is clean: no crash and no hang, a clear error, and under a final name either the old file, or
 * a whole one. DLC_FAULTS=all tries every n; otherwise some, evenly. */
#include "tests/dlrun/run.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <png.h>
#include <stdbool.h>
#include <zlib.h>

#include "runtime/safetensors.h"

#define B TEST_BINARY_DIR "/faults-"

enum { MOST_WORDS = 40, MOST_OUTPUTS = 6, SOME = 6, SECONDS = 200 };

typedef struct {
  const char *name, *program, *words;
  const char *outputs[MOST_OUTPUTS];
  int most;    /* runs of a kind, even when all are wanted; 0: no limit */
  bool random; /* outputs have times, or names of temporary files, in them */
} Case;

#define TRAIN                                         \
  "train " B "net.so --data " B "data.csv --valid " B \
  "data.csv --epochs 2 --threads 2 --quiet "          \
  "--save " B "w.safetensors --log " B "log"
#define GIVEN B "net.so --weights " B "given.safetensors "

static const Case cases[] = {
    {"api", API, B "api.safetensors", {NULL}, 0, false},
    {"dlc to .ir", DLC, B "net.net --emit=ir -o " B "out.ir", {B "out.ir"}, 0, false},
    {"dlc to .h", DLC, B "net.net --emit=header -o " B "out.h", {B "out.h"}, 0, false},
    {"dlc to .o", DLC, B "net.net -O0 -o " B "out.o", {B "out.o", B "out.h"}, 300, false},
    {"dlc to .so", DLC, B "net.net -O0 -o " B "out.so", {B "out.so", B "out.h"}, 300, true},
    {"dlc to .ll", DLC, B "net.net -O0 -o " B "out.ll", {B "out.ll"}, 100, false},
    {"summary", DLRUN, "summary " B "net.so", {NULL}, 0, false},
    {"init", DLRUN, "init " B "net.so -o " B "i.safetensors", {B "i.safetensors"}, 0, false},
    {"train",
     DLRUN,
     TRAIN,
     {B "w.safetensors", B "w.resume.safetensors", B "w.best.safetensors", B "log/log.csv",
      B "log/curves.svg", B "log/curves.png"},
     0,
     true},
    {"eval", DLRUN, "eval " GIVEN "--json --data " B "data.csv", {NULL}, 0, false},
    {"predict to .csv",
     DLRUN,
     "predict " GIVEN "--inputs " B "one.png -o " B "p.csv",
     {B "p.csv"},
     0,
     false},
    {"predict",
     DLRUN,
     "predict " GIVEN "--inputs " B "x.idx.gz -o " B "p.safetensors",
     {B "p.safetensors"},
     0,
     false},
    {"grad",
     DLRUN,
     "grad " GIVEN "--inputs " B "data.csv,limit=3 -o " B "g.safetensors",
     {B "g.safetensors"},
     0,
     false},
    {"check", DLRUN, "check " B "net.so --json", {NULL}, 0, false},
    {"features",
     DLRUN,
     "features " GIVEN "--inputs " B "one.png -o " B "f.png",
     {B "f.png"},
     0,
     false},
};

static const char *const kinds[] = {"alloc", "own",    "open",  "read",  "write", "rename",
                                    "sync",  "thread", "short", "again", "full",  "stop"};

/* ---- one run ---- */

static long limit_of(const char *kind, long n) { return strcmp(kind, "full") == 0 ? n : -1; }

static void enter(const Case *c, const char *kind, long n, int words_to) {
  static char words[2000];
  char *argv[MOST_WORDS] = {(char *)(uintptr_t)c->program}, number[32];
  int count = 1;
  snprintf(words, sizeof words, "%s", c->words);
  for (char *w = strtok(words, " "); w; w = strtok(NULL, " ")) argv[count++] = w;
  snprintf(number, sizeof number, "%ld", n);
  setenv("FAULT_KIND", kind, 1);
  setenv("FAULT_AT", number, 1);
  setenv("FAULT_COUNT", B "count", 1);
  setenv("TMPDIR", B "tmp", 1);
  setenv("LD_PRELOAD", SHIM, 1);
  int nowhere = open("/dev/null", O_WRONLY);
  dup2(strcmp(c->program, API) ? nowhere : words_to, 1);
  dup2(words_to, 2);
  signal(SIGXFSZ, SIG_IGN);
  long limit = limit_of(kind, n);
  if (limit >= 0) setrlimit(RLIMIT_FSIZE, &(struct rlimit){(rlim_t)limit, (rlim_t)limit});
  alarm(SECONDS);
  execv(c->program, argv);
  _exit(127);
}

/* What it says stands in `output`: through a pipe, which no limit on files cuts off. */
static int run_case(const Case *c, const char *kind, long n) {
  int status, ends[2];
  size_t length = 0;
  assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
  pid_t child = fork();
  assert_true(child >= 0);
  if (!child) enter(c, kind, n, ends[1]);
  close(ends[1]);
  for (ssize_t got = 1; got > 0; length += (size_t)(got > 0 ? got : 0))
    got = read(ends[0], output + length, sizeof output - 1 - length);
  output[length] = 0;
  close(ends[0]);
  assert_int_equal(waitpid(child, &status, 0), child);
  return status;
}

/* ---- what it leaves behind ---- */

typedef struct {
  char *at;
  size_t size;
} Whole;

static Whole read_whole(const char *path) {
  Whole w = {NULL, 0};
  FILE *f = fopen(path, "rb");
  if (!f) return w;
  w.at = malloc(1 << 22);
  w.size = fread(w.at, 1, (1 << 22) - 1, f);
  fclose(f);
  return w;
}

static bool equal(Whole a, Whole b) {
  return a.at && b.at && a.size == b.size && memcmp(a.at, b.at, a.size) == 0;
}

static bool ends_with(Whole w, const char *end, size_t n) {
  return w.size >= n && memcmp(w.at + w.size - n, end, n) == 0;
}

/* Whole by its own lights: for files that an epoch before, a clock or the process's number makes
 * different. */
static bool is_complete(const char *path, Whole w) {
  StFile f;
  const char *dot = strrchr(path, '.');
  if (strcmp(dot, ".svg") == 0) return ends_with(w, "</svg>\n", 7);
  if (strcmp(dot, ".png") == 0) return ends_with(w, "IEND\xae\x42\x60\x82", 8);
  if (strcmp(dot, ".so") == 0) return w.size > 50000 && memcmp(w.at, "\177ELF", 4) == 0;
  if (strcmp(dot, ".csv") == 0) return ends_with(w, "\n", 1) && w.size > 60;
  if (st_open(&f, path)) return false;
  st_close(&f);
  return true;
}

static const Whole old = {"old\n", 4};

static void put_old(const Case *c) {
  for (int i = 0; i < MOST_OUTPUTS && c->outputs[i]; i++) {
    unlink(c->outputs[i]);
    FILE *f = fopen(c->outputs[i], "wb");
    assert_non_null(f);
    fwrite(old.at, 1, old.size, f);
    fclose(f);
  }
}

static int total, tolerated, wrong;

static void complain(const Case *c, const char *kind, long n, const char *what, const char *said) {
  print_message("%s, %s %ld: %s: \"%.300s\"\n", c->name, kind, n, what, said);
  wrong++;
}

/* Stopped, a program ends by the signal, or at its own next halt. */
static const char *wrong_stop(int status) {
  if (WIFSIGNALED(status) && WTERMSIG(status) != SIGTERM) return "crashes";
  if (WIFEXITED(status) && WEXITSTATUS(status) && !strstr(output, "error: interrupted"))
    return "fails without a word";
  return NULL;
}

/* What is wrong with the way it ended, or NULL. */
static const char *wrong_end(const Case *c, const char *kind, int status) {
  if (strcmp(kind, "stop") == 0) return wrong_stop(status);
  if (!WIFEXITED(status)) return WTERMSIG(status) == SIGALRM ? "hangs" : "crashes";
  int code = WEXITSTATUS(status);
  if (code != 0 && code != 1 && code != 70) return "an odd exit status";
  if (!code) return NULL;
  if (strcmp(c->program, API) == 0) return "is not as promised";
  return strstr(output, "error: ") ? NULL : "fails without a word";
}

static bool output_fine(const Case *c, const char *path, Whole reference, bool fine) {
  Whole now = read_whole(path);
  bool same =
      equal(now, reference) || (c->random && is_complete(path, now)) || (!fine && equal(now, old));
  free(now.at);
  return same;
}

static bool any_temporary(void) {
  static const char *const patterns[] = {B "*.tmp*", B "log/*.tmp*"};
  bool any = false;
  for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
    glob_t found;
    any |= glob(patterns[i], 0, NULL, &found) == 0;
    globfree(&found);
  }
  return any;
}

static void check_run(const Case *c, const char *kind, long n, int status, const Whole *reference) {
  const char *end = wrong_end(c, kind, status);
  bool fine = WIFEXITED(status) && !WEXITSTATUS(status);
  if (!end && !fine && strcmp(kind, "short") == 0) end = "gives up over a short read or write";
  if (end) complain(c, kind, n, end, output);
  for (int i = 0; i < MOST_OUTPUTS && c->outputs[i]; i++)
    if (!output_fine(c, c->outputs[i], reference[i], fine))
      complain(c, kind, n, "leaves half a file", c->outputs[i]);
  if (strcmp(c->program, API) && any_temporary())
    complain(c, kind, n, "leaves a temporary file", "");
  if (rmdir(B "tmp")) {
    complain(c, kind, n, "leaves something in TMPDIR", strerror(errno));
    run_program("rm", "-rf " B "tmp");
  }
  mkdir(B "tmp", 0777);
  tolerated += fine;
}

/* ---- all n ---- */

static void remove_temporaries(void) {
  run_program("rm", "-rf " B "*.tmp* " B "log/*.tmp* " B "log/events*");
}

/* How many calls of the kind a clean run makes; its outputs. */
static long clean_run(const Case *c, const char *kind, Whole *reference) {
  unlink(B "count");
  put_old(c);
  bool full = strcmp(kind, "full") == 0;
  int status = run_case(c, full ? "" : kind, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status))
    fail_msg("%s: a clean run fails: %s", c->name, output);
  long calls = 0;
  for (int i = 0; i < MOST_OUTPUTS && c->outputs[i]; i++) {
    reference[i] = read_whole(c->outputs[i]);
    if (full && (long)reference[i].size > calls) calls = (long)reference[i].size - 1;
  }
  Whole count = read_whole(B "count");
  if (!full && count.at) count.at[count.size] = 0, calls = atol(count.at);
  free(count.at);
  return calls;
}

static long next_n(long n, long calls, int most) {
  long step = most && calls > most ? calls / most : 1;
  return n + (step ? step : 1);
}

static void sweep(const Case *c, const char *kind) {
  Whole reference[MOST_OUTPUTS] = {{NULL, 0}};
  const char *all = getenv("DLC_FAULTS");
  bool every = all && strcmp(all, "all") == 0;
  long calls = clean_run(c, kind, reference), start = every ? 1 : 1 + (long)(strlen(c->name) % 3);
  int most = every ? c->most : SOME, runs = 0;
  if (every && strcmp(kind, "full") == 0 && (!most || most > 200)) most = 200;
  for (long n = start; n <= calls; n = next_n(n, calls, most), runs++) {
    put_old(c);
    int status = run_case(c, kind, n);
    check_run(c, kind, n, status, reference);
  }
  remove_temporaries();
  for (int i = 0; i < MOST_OUTPUTS; i++) free(reference[i].at);
  if (calls) print_message("%-16s %-7s %6ld calls, %4d made to fail\n", c->name, kind, calls, runs);
  total += runs;
}

static void test_faults(void **state) {
  (void)state;
  const char *only = getenv("DLC_FAULTS_CASE");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    for (size_t k = FIRST_KIND; k < sizeof kinds / sizeof *kinds; k++)
      if (!only || strcmp(only, cases[i].name) == 0) sweep(&cases[i], kinds[k]);
  print_message("%d runs, %d of them went well all the same\n", total, tolerated);
  assert_int_equal(wrong, 0);
  assert_true(total > 100 || only);
}

/* ---- what the cases need ---- */

static const char net[] =
    "network frail {\n"
    "  input image : u8[1, 4, 6];\n"
    "  target label : class[3];\n"
    "  h = image / 255 |> conv2d(2, kernel=3, padding=1) as conv |> relu |> flatten\n"
    "    |> linear(3) as fc;\n"
    "  output p = softmax(h);\n"
    "  loss cross_entropy(h, label);\n"
    "  metric accuracy(h, label);\n"
    "}\n"
    "train { optimizer adam; augment hflip(0.5); batch 8; epochs 2; }\n";

static void write_inputs(void) {
  uint8_t x[24], idx[16 + 24] = {0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 6};
  for (int i = 0; i < 24; i++) x[i] = idx[16 + i] = (uint8_t)(i * 10);
  png_image png = {
      .version = PNG_IMAGE_VERSION, .width = 6, .height = 4, .format = PNG_FORMAT_GRAY};
  assert_true(png_image_write_to_file(&png, B "one.png", 0, x, 0, NULL));
  gzFile f = gzopen(B "x.idx.gz", "wb");
  assert_int_equal(gzwrite(f, idx, sizeof idx), sizeof idx);
  gzclose(f);
}

static int prepare(void **state) {
  (void)state;
  static const char *const word[] = {"ant", "bee", "cow"};
  mkdir(B "log", 0777);
  mkdir(B "tmp", 0777);
  FILE *f = fopen(B "net.net", "w");
  fputs(net, f);
  fclose(f);
  f = fopen(B "data.csv", "w");
  for (int s = 0; s < 20; s++) {
    for (int i = 0; i < 24; i++) fprintf(f, "%d,", (s * 31 + i * 17) % 256);
    fprintf(f, "%s\n", word[s % 3]);
  }
  fclose(f);
  write_inputs();
  expect(0, "", run_program(DLC, "%s -o %s", B "net.net", B "net.so"));
  expect(0, "",
         run_program(DLRUN, "train %s --data %s --epochs 1 --quiet --save %s", B "net.so",
                     B "data.csv", B "given.safetensors"));
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_faults)};
  return cmocka_run_group_tests(tests, prepare, NULL);
}
