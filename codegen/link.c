#include "codegen/link.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/vec.h"

extern char **environ;

/* ---- running tools ---- */

static bool run(Arena *a, const char *const *argv, const char **why) {
  pid_t pid;
  int error = posix_spawnp(&pid, argv[0], NULL, NULL, (char *const *)argv, environ);
  if (error) {
    *why = arena_printf(a, "cannot run '%s': %s", argv[0], strerror(error));
    return false;
  }
  int status;
  while (waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) return false;
  if (WIFEXITED(status) && !WEXITSTATUS(status)) return true;
  *why = arena_printf(a, "'%s' failed", argv[0]);
  return false;
}

/* ---- files ---- */

const char *link_workspace(Arena *a, const char **why) {
  const char *root = getenv("TMPDIR");
  char *folder = arena_printf(a, "%s/dlc-XXXXXX", root && *root ? root : "/tmp");
  if (mkdtemp(folder)) return folder;
  *why = arena_printf(a, "cannot make a folder in '%s': %s", root && *root ? root : "/tmp",
                      strerror(errno));
  return NULL;
}

static bool is_entry(const struct dirent64 *e) {
  return strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
}

/* Without opendir, which allocates: the end of a process calls this, from a signal's handler too.
 */
void link_workspace_remove(const char *folder) {
  _Alignas(struct dirent64) char room[4096];
  int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  for (ssize_t n; fd >= 0 && (n = getdents64(fd, room, sizeof room)) > 0;)
    for (ssize_t at = 0; at < n;) {
      const struct dirent64 *e = (const struct dirent64 *)(room + at);
      if (is_entry(e)) unlinkat(fd, e->d_name, 0);
      at += e->d_reclen;
    }
  if (fd >= 0) close(fd);
  rmdir(folder);
}

/* The runtime lies beside the compiler in a build tree, and in ../lib/dlc where it is installed;
 * DLC_RUNTIME in the environment names another. */
static const char *find_runtime(Arena *a, const char **why) {
  const char *named = getenv("DLC_RUNTIME");
  if (named && *named) return named;
  char self[4096];
  ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
  char *slash = n > 0 ? (self[n] = 0, strrchr(self, '/')) : NULL;
  static const char *const places[] = {"libdlcrt.a", "../lib/dlc/libdlcrt.a"};
  for (size_t i = 0; slash && i < sizeof places / sizeof *places; i++) {
    const char *path = arena_printf(a, "%.*s/%s", (int)(slash - self), self, places[i]);
    if (!access(path, R_OK)) return path;
  }
  *why = "the runtime library libdlcrt.a is neither beside the compiler nor in ../lib/dlc";
  return NULL;
}

static bool write_file(Arena *a, const char *path, const char *text, const char **why) {
  FILE *f = fopen(path, "w");
  bool ok = f && fputs(text, f) >= 0;
  if (f && fclose(f)) ok = false;
  if (!ok) *why = arena_printf(a, "cannot write '%s': %s", path, strerror(errno));
  return ok;
}

/* A path that no tool takes for an option. */
static const char *as_path(Arena *a, const char *path) {
  return *path == '-' ? arena_printf(a, "./%s", path) : path;
}

/* ---- the kinds ---- */

typedef struct {
  Arena *arena;
  const char *folder, *runtime, *symbol;
  int count;
  const char *const *objects;
} Link;

/* Arguments of a tool, one after the other. */
typedef struct {
  Arena *arena;
  VEC(const char *) list;
} Command;

static void argument(Command *c, const char *text) { vec_push(c->arena, &c->list, text); }

static void inputs(Command *c, const Link *l) {
  for (int i = 0; i < l->count; i++) argument(c, l->objects[i]);
  argument(c, l->runtime);
}

static bool run_command(Command *c, const char **why) {
  argument(c, NULL);
  return run(c->arena, c->list.at, why);
}

/* Linked under a name of its own, which the file keeps in its version definitions, and then copied:
 * the same network gives the same bytes. */
static bool link_shared(const Link *l, const char *out, const char **why) {
  const char *linked = arena_printf(l->arena, "%s/%s.so", l->folder, l->symbol);
  const char *script = arena_printf(l->arena, "%s/exports", l->folder);
  const char *text = arena_printf(l->arena, "DLC_1 { global: %s; local: *; };\n", l->symbol);
  if (!write_file(l->arena, script, text, why)) return false;
  Command c = {.arena = l->arena};
  argument(&c, "cc");
  argument(&c, "-shared");
  argument(&c, "-o");
  argument(&c, linked);
  inputs(&c, l);
  argument(&c, arena_printf(l->arena, "-Wl,--version-script=%s", script));
  argument(&c, "-Wl,--gc-sections,-z,relro,-z,now,-z,noexecstack,--hash-style=both");
  argument(&c, "-Wl,--no-undefined");
  argument(&c, "-lm");
  argument(&c, "-lpthread");
  const char *copy[] = {"cp", linked, out, NULL};
  return run_command(&c, why) && run(l->arena, copy, why);
}

static bool link_object(const Link *l, const char *out, const char **why) {
  const char *whole = arena_printf(l->arena, "%s/whole.o", l->folder);
  Command c = {.arena = l->arena};
  argument(&c, "cc");
  argument(&c, "-r");
  argument(&c, "-nostdlib");
  argument(&c, "-o");
  argument(&c, whole);
  inputs(&c, l);
  const char *hide[] = {"objcopy", arena_printf(l->arena, "--keep-global-symbol=%s", l->symbol),
                        whole, out, NULL};
  return run_command(&c, why) && run(l->arena, hide, why);
}

static bool link_archive(const Link *l, const char *out, const char **why) {
  const char *member = arena_printf(l->arena, "%s/%s.o", l->folder, l->symbol);
  const char *argv[] = {"ar", "rcs", out, member, NULL};
  return link_object(l, member, why) && run(l->arena, argv, why);
}

bool link_artifact(Arena *a, LinkKind kind, const char *folder, int count,
                   const char *const *objects, const char *symbol, const char *out,
                   const char **why) {
  static bool (*const rule[])(const Link *, const char *, const char **) = {
      [LINK_SHARED] = link_shared, [LINK_OBJECT] = link_object, [LINK_ARCHIVE] = link_archive};
  Link l = {.arena = a,
            .folder = folder,
            .runtime = find_runtime(a, why),
            .symbol = symbol,
            .count = count,
            .objects = objects};
  return l.runtime && rule[kind](&l, as_path(a, out), why);
}
