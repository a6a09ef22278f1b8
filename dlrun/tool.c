#include "dlrun/tool.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clean.h"

bool tool_open(Tool *t, const char *path) {
  memset(t, 0, sizeof *t);
  t->arena = arena_new();
  tool_reads(t, path);
  if (!model_open(path, &t->handle, &t->model, &t->fault)) return false;
  t->api = t->model->api;
  return true;
}

bool tool_ok(Tool *t, int code) {
  return code == DLC_OK || fault(&t->fault, "%s", t->api->error_text(t->session, code));
}

bool tool_session(Tool *t, dlc_mode mode, int64_t threads, uint64_t seed) {
  if (!tool_ok(t, t->api->create(t->model, mode, &t->session))) return false;
  int wanted = threads > 1000000 ? 1000000 : (int)threads;
  if (!tool_ok(t, t->api->set_threads(t->session, wanted))) return false;
  return tool_ok(t, t->api->initialize(t->session, seed)) &&
         tool_ok(t, t->api->set_seed(t->session, seed));
}

bool tool_load(Tool *t, const char *weights) {
  int code = t->api->load(t->session, weights);
  if (code == DLC_OK) return true;
  const char *why = t->api->error_text(t->session, code);
  bool named = strncmp(why, weights, strlen(weights)) == 0;
  return fault(&t->fault, "%s%s%s", named ? "" : weights, named ? "" : ": ", why);
}

int tool_close(Tool *t, bool fine) {
  if (!fine && t->fault.text[0]) fprintf(stderr, "dlrun: error: %s\n", clean_text(t->fault.text));
  if (t->fault.internal)
    fprintf(stderr,
            "This is a fault in dlrun or dlc. Please report it with the .net file and this command "
            "line.\n");
  if (t->session) t->api->destroy(t->session);
  if (t->handle) dlclose(t->handle);
  arena_free(t->arena);
  if (t->fault.internal) return EXIT_INTERNAL;
  return fine ? EXIT_FINE : EXIT_DIAGNOSED;
}

bool tool_batch(Tool *t, int64_t asked, int64_t *out) {
  int64_t most = t->model->max_batch, own = t->model->training ? t->model->training->batch : 0;
  *out = asked ? asked : own > 0 && own < most ? own : most;
  if (*out <= most) return true;
  return fault(&t->fault, "a batch of %lld: %s was compiled for at most %lld (dlc --batch)",
               (long long)*out, t->model->name, (long long)most);
}

const Head *tool_heads(Tool *t) {
  if (!t->heads) t->heads = heads_find(t->arena, t->model);
  return t->heads;
}

/* ---- files ---- */

void tool_reads(Tool *t, const char *path) {
  struct stat st;
  if (path && !stat(path, &st)) vec_push(t->arena, &t->inputs, ((FileId){st.st_dev, st.st_ino}));
}

bool tool_reads_data(Tool *t, const char *spec) {
  const char *const *file;
  int count;
  if (!dataset_files(t->arena, spec, &file, &count, &t->fault)) return false;
  for (int i = 0; i < count; i++) tool_reads(t, file[i]);
  return true;
}

static const char *folder_of(Arena *a, const char *path) {
  const char *slash = strrchr(path, '/');
  if (!slash) return ".";
  return slash == path ? "/" : arena_strndup(a, path, (size_t)(slash - path));
}

bool tool_writes(Tool *t, const char *option, const char *path) {
  struct stat st;
  const char *folder = folder_of(t->arena, path);
  if (stat(folder, &st) || (S_ISDIR(st.st_mode) && access(folder, W_OK | X_OK)))
    return fault(&t->fault, "%s %s: %s: %s", option, path, folder, strerror(errno));
  if (!S_ISDIR(st.st_mode)) return fault(&t->fault, "%s %s: %s is no folder", option, path, folder);
  if (stat(path, &st)) return true;
  if (!S_ISREG(st.st_mode)) return fault(&t->fault, "%s %s: not a regular file", option, path);
  for (int i = 0; i < t->inputs.count; i++)
    if (t->inputs.at[i].device == st.st_dev && t->inputs.at[i].inode == st.st_ino)
      return fault(&t->fault, "%s %s: this file is read by the same command, and would be lost",
                   option, path);
  return true;
}

double tool_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

bool tool_is_terminal(void) {
  const char *term = getenv("TERM");
  return isatty(STDOUT_FILENO) && !(term && strcmp(term, "dumb") == 0);
}

bool tool_colour(void) {
  const char *no = getenv("NO_COLOR");
  return tool_is_terminal() && !(no && *no);
}

bool tool_unicode(void) {
  static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
  for (int i = 0; i < 3; i++) {
    const char *value = getenv(names[i]);
    if (value && *value)
      return strstr(value, "UTF-8") || strstr(value, "utf8") || strstr(value, "UTF8");
  }
  return false;
}
