/* The kinds of --emit that are code: through codegen to an object, then linked as asked. */
#include <string.h>
#include <sys/utsname.h>

#include "codegen/artifact.h"
#include "codegen/header.h"
#include "codegen/link.h"
#include "codegen/object.h"
#include "codegen/parts.h"
#include "driver/fatal.h"
#include "driver/output.h"

typedef struct {
  EmitKind kind;
  const char *suffix;
  bool linked;
  LinkKind link;
  ObjectKind object;
} Kind;

static const Kind kinds[] = {
    {EMIT_SO, ".so", true, LINK_SHARED, OBJECT_OBJ},
    {EMIT_OBJ, ".o", true, LINK_OBJECT, OBJECT_OBJ},
    {EMIT_LIB, ".a", true, LINK_ARCHIVE, OBJECT_OBJ},
    {EMIT_ASM, ".s", false, LINK_OBJECT, OBJECT_ASM},
    {EMIT_LLVM, ".ll", false, LINK_OBJECT, OBJECT_LLVM},
    {EMIT_BC, ".bc", false, LINK_OBJECT, OBJECT_BITCODE},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* The path without the suffix of its file name. */
static const char *stem(Arena *a, const char *path) {
  const char *slash = strrchr(path, '/'), *dot = strrchr(path, '.');
  return dot && dot > (slash ? slash + 1 : path) ? arena_strndup(a, path, (size_t)(dot - path))
                                                 : path;
}

static const Kind *kind_of(const Options *o) {
  for (int i = 0; i < KINDS; i++) {
    if (o->emit == kinds[i].kind) return &kinds[i];
    size_t n = o->output ? strlen(o->output) : 0, m = strlen(kinds[i].suffix);
    if (o->emit == EMIT_NONE && n > m && !strcmp(o->output + n - m, kinds[i].suffix))
      return &kinds[i];
  }
  return o->emit == EMIT_NONE && !o->output ? &kinds[0] : NULL;
}

static bool fail(Compilation *c, const char *why) {
  diag_error(c->diags, (Span){0}, "%s", why ? why : "internal fault in code generation");
  return false;
}

/* The runtime that is linked in is this machine's. */
static bool check_target(Compilation *c, const Kind *k) {
  const char *target = c->options->target;
  struct utsname host;
  if (!k->linked || !target || uname(&host)) return true;
  size_t n = strcspn(target, "-");
  if (n == strlen(host.machine) && !strncmp(target, host.machine, n)) return true;
  diag_error(c->diags, (Span){0}, "code for '%s' cannot be linked with the runtime of this %s",
             target, host.machine);
  diag_note(c->diags, (Span){0}, "emit asm, llvm or bc, and link it there");
  return false;
}

/* Machine code into `count` files, on as many threads. */
static bool emit_objects(Compilation *c, Cg *cg, int count, const char *const *objects) {
  const char *why = NULL;
  bool ok = count == 1 ? object_emit(cg, OBJECT_OBJ, objects[0], &why)
                       : parts_emit(cg, count, objects, &why);
  return ok || fail(c, why);
}

static bool write_code(Compilation *c, const Artifact *art, const Kind *k, Cg *cg,
                       const char *out) {
  const char *why = NULL;
  if (!object_optimise(cg, &why)) return fail(c, why);
  if (!k->linked) return object_emit(cg, k->object, out, &why) || fail(c, why);
  const char *folder = link_workspace(c->arena, &why);
  if (!folder) return fail(c, why);
  fatal_remove(folder);
  int count = c->options->jobs;
  const char **objects = ARENA_ARRAY(c->arena, const char *, count);
  for (int i = 0; i < count; i++) objects[i] = arena_printf(c->arena, "%s/network%d.o", folder, i);
  const char *symbol = arena_printf(c->arena, "dlc_v1_%s", art->source->name);
  bool ok =
      emit_objects(c, cg, count, objects) &&
      (link_artifact(c->arena, k->link, folder, count, objects, symbol, out, &why) || fail(c, why));
  link_workspace_remove(folder);
  return ok;
}

/* The files of one artifact: all of them appear, or none. */
typedef struct {
  const char *out, *fresh;
  const char *header, *fresh_header; /* NULL beside code that is not linked */
} Files;

static bool is_text(const Kind *k) { return k->kind == EMIT_ASM || k->kind == EMIT_LLVM; }

static bool begin_files(Compilation *c, const Kind *k, Files *f) {
  const Options *o = c->options;
  const char *source = arena_printf(c->arena, "%s%s", stem(c->arena, o->input), k->suffix);
  *f = (Files){.out = o->output ? o->output : source};
  if (output_is_stdout(f->out)) return is_text(k) || fail(c, "only text goes to standard output");
  f->fresh = output_fresh(c, f->out);
  if (!k->linked) return output_check(c, f->out);
  f->header = arena_printf(c->arena, "%s.h", stem(c->arena, f->out));
  f->fresh_header = output_fresh(c, f->header);
  if (!strcmp(f->out, f->header))
    return fail(c, arena_printf(c->arena, "'%s' is the name of the header as well", f->out));
  return output_check(c, f->out) && output_check(c, f->header);
}

static bool write_files(Compilation *c, const Artifact *art, const Kind *k, Cg *cg,
                        const Files *f) {
  if (output_is_stdout(f->out)) return write_code(c, art, k, cg, f->out); /* "-" is LLVM's too */
  bool ok = write_code(c, art, k, cg, f->fresh);
  if (!k->linked) return output_commit(c, f->fresh, f->out, ok);
  Str text = str_new(c->arena);
  header_print(art, &text);
  ok = ok && output_write(c, f->fresh_header, f->header, text.text);
  ok = output_commit(c, f->fresh_header, f->header, ok);
  return output_commit(c, f->fresh, f->out, ok);
}

bool emit_code(Compilation *c) {
  const Options *o = c->options;
  const Kind *k = kind_of(o);
  Files files;
  if (!k) return fail(c, "the output's suffix is none of .so .o .a .s .ll .bc; say --emit=KIND");
  if (!check_target(c, k) || !begin_files(c, k, &files)) return false;
  Artifact art = driver_artifact(c);
  Cg *cg = driver_compile(c, &art);
  if (!cg) return false;
  bool ok = write_files(c, &art, k, cg, &files);
  cg_free(cg);
  return ok;
}
