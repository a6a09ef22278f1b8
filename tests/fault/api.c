/* The session interface while calls fail underneath it (see shim.c): every call gives DLC_OK or an
 * error with a text, a failed one leaves the session usable, files are whole or not there, and
 * nothing is left behind. Prints what is wrong; the exit status is 1 then. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/safetensors.h"
#include "tests/runtime/fake_model.h"

static const dlc_api *const api = &dlc_api_v1;
static const dlc_model *const model = &dlc_v1_fake32;
static int faults;

/* ---- what the runtime has taken and not given back (linked with --wrap) ---- */

static long live;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
int __real_posix_memalign(void **out, size_t alignment, size_t n);
void __real_free(void *p);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
int __wrap_posix_memalign(void **out, size_t alignment, size_t n);
char *__wrap_strdup(const char *s);
void __wrap_free(void *p);

static void *taken(void *p) {
  live += p != NULL;
  return p;
}

void *__wrap_malloc(size_t n) { return taken(__real_malloc(n)); }

void *__wrap_calloc(size_t n, size_t size) { return taken(__real_calloc(n, size)); }

void *__wrap_realloc(void *p, size_t n) {
  return p ? __real_realloc(p, n) : taken(__real_realloc(p, n));
}

int __wrap_posix_memalign(void **out, size_t alignment, size_t n) {
  int code = __real_posix_memalign(out, alignment, n);
  live += !code;
  return code;
}

char *__wrap_strdup(const char *s) {
  char *copy = __wrap_malloc(strlen(s) + 1);
  return copy ? strcpy(copy, s) : NULL;
}

void __wrap_free(void *p) {
  live -= p != NULL;
  __real_free(p);
}

static void wrong(const char *what, const char *why) {
  printf("%s: %s\n", what, why);
  faults++;
}

/* Whether the call went well. */
static int fine(const dlc_session *s, const char *what, int code) {
  if (code == DLC_OK) return 1;
  if (code != DLC_ENOMEM && code != DLC_EIO) wrong(what, "an unexpected code");
  const char *text = api->error_text(s, code);
  if (!text || !*text) wrong(what, "no text");
  return 0;
}

static void train(dlc_session *s) {
  static float x[8 * FAKE_IN];
  static int32_t label[8];
  const void *inputs[] = {x}, *targets[] = {label};
  double loss;
  if (api->train_step(s, 8, inputs, targets, &loss, NULL) != DLC_OK) wrong("train_step", "fails");
}

static void check_file(const char *path) {
  StFile f;
  if (access(path, F_OK)) return;
  int code = st_open(&f, path);
  if (code == DLC_OK)
    st_close(&f);
  else if (code == DLC_EFORMAT)
    wrong(path, "is not whole");
}

static void use(dlc_session *s, const char *path) {
  static const char *const pairs[] = {"classes.label", "[]"};
  if (fine(s, "set_threads", api->set_threads(s, 3))) train(s);
  api->set_metadata(s, pairs, 1);
  fine(s, "save", api->save(s, path));
  check_file(path);
  train(s);
  fine(s, "save_checkpoint", api->save_checkpoint(s, path));
  check_file(path);
  train(s);
  if (!access(path, F_OK)) fine(s, "load", api->load(s, path));
  train(s);
  fine(s, "initialize", api->initialize(s, 3));
  train(s);
}

static int open_files(void) {
  int n = 0;
  for (int fd = 0; fd < 256; fd++) n += fcntl(fd, F_GETFD) >= 0;
  return n;
}

static void once(const char *path) {
  dlc_session *s = NULL;
  unlink(path);
  if (fine(NULL, "create", api->create(model, DLC_TRAINING, &s))) use(s, path);
  api->destroy(s);
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  int files = open_files();
  once(argv[1]);
  once(argv[1]);
  if (open_files() != files) wrong("files", "left open");
  if (live) wrong("memory", "not freed");
  return faults > 0;
}
