/* Files: the main one and what it includes, each once. An include is looked for beside the
 * including file, then in the -I directories, and never outside of the directory where it is looked
 * for; symbolic links are followed first. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/check.h"
#include "frontend/parse.h"

typedef struct {
  Checker *checker;
  Table files; /* bool *: by real path; true while its includes are being read */
  Table const_names, block_names;
  int depth;
  bool broken; /* some statements; the others are checked */
  bool lost;   /* what was to be included: nothing is checked */
} Loader;

static void load_file(Loader *l, int file, bool main_file);

/* ---- paths ---- */

/* A path that is relative and has no .. above its start. */
static bool stays_inside(const char *path) {
  int depth = 0;
  if (*path == '/' || !*path) return false;
  while (*path) {
    size_t n = strcspn(path, "/");
    if (n == 2 && !strncmp(path, "..", 2))
      depth--;
    else if (n && !(n == 1 && *path == '.'))
      depth++;
    if (depth < 0) return false;
    path += n + (path[n] == '/');
  }
  return true;
}

static const char *directory_of(Arena *a, const char *path) {
  const char *slash = strrchr(path, '/');
  if (!slash) return ".";
  return slash == path ? "/" : arena_strndup(a, path, (size_t)(slash - path));
}

static bool is_under(const char *path, const char *directory) {
  size_t n = strlen(directory);
  return !strncmp(path, directory, n) && (path[n] == '/' || (n && directory[n - 1] == '/'));
}

/* The path as to be shown, where the file is there; *escapes when only a link leads to it. */
static const char *candidate(Arena *a, const char *directory, const char *path, bool *escapes) {
  char base[PATH_MAX], real[PATH_MAX];
  const char *joined = !strcmp(directory, ".") ? path : arena_printf(a, "%s/%s", directory, path);
  if (!realpath(directory, base) || !realpath(joined, real)) return NULL;
  if (is_under(real, base)) return joined;
  *escapes = true;
  return NULL;
}

static const char *find_include(Loader *l, const Item *x) {
  Checker *c = l->checker;
  const FrontendOptions *o = c->options;
  const char *from = c->diags->sources->files.at[x->span.file].path;
  bool escapes = !stays_inside(x->name.text);
  if (!escapes) {
    const char *path = candidate(c->arena, directory_of(c->arena, from), x->name.text, &escapes);
    for (int i = 0; !path && i < o->ninclude_dirs; i++)
      path = candidate(c->arena, o->include_dirs[i], x->name.text, &escapes);
    if (path) return path;
  }
  if (escapes) {
    check_error(c, x->name.span,
                "an included file must be inside the directory it is looked for in");
    check_note(c, no_place(), "-I adds a directory");
  } else {
    check_error(c, x->name.span, "there is no file '%s' to include", x->name.text);
  }
  l->lost = true;
  return NULL;
}

/* ---- items ---- */

static void take_const(Loader *l, Item *x) {
  Checker *c = l->checker;
  const Item *other = table_get(&l->const_names, x->name.text);
  if (other) {
    check_error(c, x->name.span, "const %s is defined twice", x->name.text);
    check_note(c, other->name.span, "the other one is here");
    return;
  }
  table_put(c->arena, &l->const_names, x->name.text, x);
  vec_push(c->arena, &c->all_consts, x);
}

static void check_formals(Checker *c, const Item *x) {
  Table seen = {0};
  for (int i = 0; i < x->formals.count; i++) {
    const Name *name = &x->formals.at[i].name;
    if (table_get(&seen, name->text))
      check_error(c, name->span, "two arguments are named %s", name->text);
    table_put(c->arena, &seen, name->text, (void *)name);
  }
}

static void take_block(Loader *l, Item *x) {
  Checker *c = l->checker;
  const char *name = x->name.text;
  const Item *other = table_get(&c->blocks, name);
  Op op = op_by_name(name);
  bool function = (op < OP_COUNT && !op_info[op].internal) || init_exists(name) ||
                  !strcmp(name, "dim") || !strcmp(name, "rank");
  if (function) check_error(c, x->name.span, "%s is a function of the language", name);
  if (other) {
    check_error(c, x->name.span, "block %s is defined twice", name);
    check_note(c, other->name.span, "the other one is here");
  } else {
    check_formals(c, x);
    table_put(c->arena, &c->blocks, name, x);
  }
}

static void take_one(Loader *l, Item *x, const Item **slot, const char *what, bool main_file) {
  Checker *c = l->checker;
  if (!main_file) {
    check_error(c, x->name.span, "an included file holds consts and blocks only, not a %s", what);
  } else if (*slot) {
    check_error(c, x->name.span, "a file has one %s", what);
    check_note(c, (*slot)->name.span, "the other one is here");
  } else {
    *slot = x;
  }
}

/* ---- files ---- */

/* Marks the file; false when it need not be read, having been read before or being in the middle of
 * it. */
static bool enter_file(Loader *l, const char *path, Span at, bool **open) {
  Checker *c = l->checker;
  char real[PATH_MAX];
  if (!realpath(path, real)) return true; /* reading it will say why */
  bool *state = table_get(&l->files, real);
  if (state && *state) {
    check_error(c, at, "'%s' includes itself", path);
    l->lost = true;
  }
  if (state) return false;
  *open = ARENA_NEW(c->arena, bool);
  **open = true;
  table_put(c->arena, &l->files, arena_strdup(c->arena, real), *open);
  return true;
}

static void read_file(Loader *l, const char *path, Span at, bool main_file) {
  Checker *c = l->checker;
  bool none = false, *open = &none;
  const char *why = NULL;
  if (!enter_file(l, path, at, &open)) return;
  int file = sources_load(c->diags->sources, path, &why);
  if (!file) {
    check_error(c, at, "cannot read '%s': %s", path, why);
    l->lost = true;
    return;
  }
  load_file(l, file, main_file);
  *open = false;
}

static void take_include(Loader *l, const Item *x) {
  const char *path = find_include(l, x);
  if (!path) return;
  if (l->depth >= LIMIT_NESTING) {
    check_error(l->checker, x->span, "includes are nested more than %d levels deep", LIMIT_NESTING);
    l->lost = true;
    return;
  }
  l->depth++;
  read_file(l, path, x->name.span, false);
  l->depth--;
}

static void take(Loader *l, Item *x, bool main_file) {
  Checker *c = l->checker;
  if (x->kind == ITEM_CONST)
    take_const(l, x);
  else if (x->kind == ITEM_BLOCK)
    take_block(l, x);
  else if (x->kind == ITEM_INCLUDE)
    take_include(l, x);
  else if (x->kind == ITEM_NETWORK)
    take_one(l, x, &c->network, "network", main_file);
  else
    take_one(l, x, &c->train, "train block", main_file);
}

static void load_file(Loader *l, int file, bool main_file) {
  Checker *c = l->checker;
  Items items;
  Parsed parsed = parse_source(c->arena, c->diags, file, &items);
  l->broken |= parsed == PARSED_BROKEN;
  l->lost |= parsed == PARSED_NOT;
  if (parsed == PARSED_NOT) return;
  for (int i = 0; i < items.count; i++) take(l, items.at[i], main_file);
  if (main_file && !c->network) check_error(c, (Span){file, 1, 1, 1, 1}, "the file has no network");
}

bool load_program(Checker *c, const char *path) {
  Loader l = {.checker = c};
  read_file(&l, path, no_place(), true);
  c->reports += l.broken;
  return c->network && !l.lost;
}

/* ---- -D name=value ---- */

static bool load_define(Checker *c, const char *text) {
  Items items;
  const char *equals = strchr(text, '=');
  if (!equals || equals == text) {
    check_error(c, no_place(), "-D takes name=value, not '%s'", text);
    return false;
  }
  const char *source =
      arena_printf(c->arena, "const %.*s = %s;", (int)(equals - text), text, equals + 1);
  int file = sources_add(c->diags->sources, "-D", source, strlen(source));
  if (parse_source(c->arena, c->diags, file, &items) != PARSED) {
    c->reports++;
    return false;
  }
  if (items.count != 1 || items.at[0]->kind != ITEM_CONST) {
    check_error(c, no_place(), "-D takes name=value, not '%s'", text);
    return false;
  }
  table_put(c->arena, &c->defines, items.at[0]->name.text, items.at[0]);
  return true;
}

bool load_defines(Checker *c) {
  bool fine = true;
  for (int i = 0; i < c->options->ndefines; i++) fine &= load_define(c, c->options->defines[i]);
  return fine;
}
