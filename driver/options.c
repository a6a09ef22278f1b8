#include "driver/options.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "base/limits.h"
#include "base/str.h"

const char options_help[] =
    "usage: dlc FILE.net [options]     compile a network\n"
    "\n"
    "  -o OUT                 output; its suffix chooses .so .o .a .s .ll .bc (default: FILE.so)\n"
    "  -c, -S                 an object file, assembly\n"
    "  --emit=KIND            so obj lib asm llvm bc, or as text: ir ast dot math plan summary "
    "header\n"
    "  -O0 .. -O3             optimisation (default -O2; -O0 turns every optimisation off)\n"
    "  -g                     line tables that name the .net file\n"
    "  -D NAME=VALUE          override a const\n"
    "  -I DIR                 where include looks after the including file's folder\n"
    "  --batch N              largest batch (default: the train block's)\n"
    "  --inference-only       no training code\n"
    "  --precision f32|f64    the type of all real numbers (default f32)\n"
    "  -mcpu=NAME             native (default), x86-64, haswell, ...\n"
    "  --target TRIPLE        compile for another machine\n"
    "  --memory-budget SIZE   bytes (K, M, G) that the arena may take\n"
    "  --dump=PASS|all        print the graph after a pass\n"
    "  --stop-after=PASS      print the graph there and stop\n"
    "  --passes=A,B           run just these passes on a .ir file and print the graph\n"
    "  --program=NAME         infer evaluate train grad grad_eval apply, for --stop-after and "
    "--emit=plan\n"
    "  --verify-each          check the graph, and interpret it, around every pass\n"
    "  --remarks              say what fused and what did not, and how convolutions run\n"
    "  --time-passes          where the time went\n"
    "  --no-ir                leave the graph's text out of the artifact (dlrun check needs it)\n"
    "  -j N                   threads for code generation\n"
    "  --help, --version\n";

/* ---- values ---- */

typedef struct {
  Arena *arena;
  Options *out;
  const char **why;
} Parse;

typedef bool Setter(Parse *p, const char *value);

static bool refuse(Parse *p, const char *what, const char *value) {
  *p->why = arena_printf(p->arena, "%s '%s'", what, value);
  return false;
}

static bool refuse_near(Parse *p, const char *what, const char *value, const char *const *names,
                        int count) {
  const char *near = near_name(value, names, count);
  *p->why = near ? arena_printf(p->arena, "%s '%s'; did you mean '%s'?", what, value, near)
                 : arena_printf(p->arena, "%s '%s'", what, value);
  return false;
}

static bool number(const char *text, int64_t lo, int64_t hi, int64_t *out) {
  char *end;
  errno = 0;
  long long v = strtoll(text, &end, 10);
  if (errno || end == text || *end || v < lo || v > hi) return false;
  *out = v;
  return true;
}

static bool set_output(Parse *p, const char *v) { return p->out->output = v, true; }
static bool set_define(Parse *p, const char *v) {
  if (!strchr(v, '=')) return refuse(p, "-D wants NAME=VALUE, not", v);
  vec_push(p->arena, &p->out->defines, v);
  return true;
}
static bool set_include(Parse *p, const char *v) {
  vec_push(p->arena, &p->out->include_dirs, v);
  return true;
}
static bool set_batch(Parse *p, const char *v) {
  if (number(v, 1, LIMIT_BATCH, &p->out->batch)) return true;
  const char *wants = "--batch wants a whole number from 1 to %lld, not";
  return refuse(p, arena_printf(p->arena, wants, (long long)LIMIT_BATCH), v);
}
static bool set_jobs(Parse *p, const char *v) {
  int64_t n;
  if (!number(v, 1, 256, &n)) return refuse(p, "-j wants a number from 1 to 256, not", v);
  p->out->jobs = (int)n;
  return true;
}
static bool set_precision(Parse *p, const char *v) {
  p->out->real_bytes = !strcmp(v, "f64") ? 8 : 4;
  return !strcmp(v, "f64") || !strcmp(v, "f32") || refuse(p, "--precision is f32 or f64, not", v);
}
static bool set_cpu(Parse *p, const char *v) { return p->out->cpu = v, true; }
static bool set_target(Parse *p, const char *v) { return p->out->target = v, true; }
static bool set_dump(Parse *p, const char *v) { return p->out->dump = v, true; }
static bool set_stop(Parse *p, const char *v) { return p->out->stop_after = v, true; }
static bool set_passes(Parse *p, const char *v) { return p->out->passes = v, true; }
static bool set_program(Parse *p, const char *v) { return p->out->program = v, true; }

static bool set_budget(Parse *p, const char *v) {
  static const char units[] = "KMG";
  char *end;
  errno = 0;
  double n = strtod(v, &end);
  double scale = 1;
  const char *unit = *end ? strchr(units, *end) : NULL;
  if (unit) {
    for (const char *u = units; u <= unit; u++) scale *= 1024;
    end++;
    if (*end == 'B') end++;
  }
  if (errno || end == v || *end || !(n > 0) || n * scale > 1e15)
    return refuse(p, "--memory-budget wants a size such as 64M, not", v);
  p->out->memory_budget = (int64_t)(n * scale);
  return true;
}

static const struct {
  const char *name;
  EmitKind kind;
} emit_kind[] = {
    {"so", EMIT_SO},         {"obj", EMIT_OBJ},   {"lib", EMIT_LIB},   {"asm", EMIT_ASM},
    {"llvm", EMIT_LLVM},     {"bc", EMIT_BC},     {"ir", EMIT_IR},     {"ast", EMIT_AST},
    {"dot", EMIT_DOT},       {"math", EMIT_MATH}, {"plan", EMIT_PLAN}, {"summary", EMIT_SUMMARY},
    {"header", EMIT_HEADER},
};
enum { EMIT_KINDS = sizeof emit_kind / sizeof *emit_kind };

static bool set_emit(Parse *p, const char *v) {
  for (int i = 0; i < EMIT_KINDS; i++)
    if (!strcmp(emit_kind[i].name, v)) return p->out->emit = emit_kind[i].kind, true;
  const char *names[EMIT_KINDS];
  for (int i = 0; i < EMIT_KINDS; i++) names[i] = emit_kind[i].name;
  if (near_name(v, names, EMIT_KINDS))
    return refuse_near(p, "--emit does not know", v, names, EMIT_KINDS);
  Str known = str_new(p->arena);
  for (int i = 0; i < EMIT_KINDS; i++) str_printf(&known, "%s%s", i ? ", " : "", names[i]);
  *p->why = arena_printf(p->arena, "--emit does not know '%s'; there are %s", v, known.text);
  return false;
}

/* ---- the table ---- */

static const struct {
  const char *name;
  Setter *set;
} with_value[] = {
    {"-o", set_output},
    {"-D", set_define},
    {"-I", set_include},
    {"--batch", set_batch},
    {"-j", set_jobs},
    {"--precision", set_precision},
    {"-mcpu", set_cpu},
    {"--target", set_target},
    {"--dump", set_dump},
    {"--stop-after", set_stop},
    {"--passes", set_passes},
    {"--program", set_program},
    {"--memory-budget", set_budget},
    {"--emit", set_emit},
};
enum { WITH_VALUE = sizeof with_value / sizeof *with_value };

static const struct {
  const char *name;
  size_t flag; /* its place in Options */
} flags[] = {
    {"-g", offsetof(Options, debug)},
    {"--inference-only", offsetof(Options, inference_only)},
    {"--verify-each", offsetof(Options, verify_each)},
    {"--remarks", offsetof(Options, remarks)},
    {"--time-passes", offsetof(Options, time_passes)},
    {"--no-ir", offsetof(Options, no_ir)},
    {"--help", offsetof(Options, help)},
    {"-h", offsetof(Options, help)},
    {"--version", offsetof(Options, version)},
};
enum { FLAGS = sizeof flags / sizeof *flags };

static bool *flag_of(Options *o, const char *arg) {
  for (int i = 0; i < FLAGS; i++)
    if (!strcmp(flags[i].name, arg)) return (bool *)((char *)o + flags[i].flag);
  return NULL;
}

static bool set_short(Options *o, const char *arg) {
  if (!strcmp(arg, "-c")) return o->emit = EMIT_OBJ, true;
  if (!strcmp(arg, "-S")) return o->emit = EMIT_ASM, true;
  if (arg[0] == '-' && arg[1] == 'O' && arg[2] >= '0' && arg[2] <= '3' && !arg[3])
    return o->level = arg[2] - '0', true;
  bool *flag = flag_of(o, arg);
  if (flag) *flag = true;
  return flag;
}

/* The option's value: after '=', glued on (-DX=1), or the next argument; NULL when arg is not this
 * option. */
static const char *value_of(const char *name, const char *arg, const char *next, int *used) {
  size_t n = strlen(name);
  if (strncmp(arg, name, n)) return NULL;
  *used = 1;
  if (arg[n] == '=') return arg + n + 1;
  if (arg[n] && n == 2) return arg + n;
  if (arg[n]) return NULL;
  *used = 2;
  return next ? next : "";
}

static bool unknown_option(Parse *p, const char *arg) {
  const char *names[WITH_VALUE + FLAGS];
  int n = 0;
  if (!strncmp(arg, "-O", 2)) return refuse(p, "-O wants a level from 0 to 3, not", arg + 2);
  for (int i = 0; i < WITH_VALUE; i++) names[n++] = with_value[i].name;
  for (int i = 0; i < FLAGS; i++) names[n++] = flags[i].name;
  const char *word = arena_strndup(p->arena, arg, strcspn(arg, "="));
  const char *near = near_name(word, names, n);
  bool far =
      near && !near_name(word + strspn(word, "-"), (const char *[]){near + strspn(near, "-")}, 1);
  return far ? refuse(p, "unknown option", word) : refuse_near(p, "unknown option", word, names, n);
}

static bool take_option(Parse *p, char **argv, int *used) {
  for (int i = 0; i < WITH_VALUE; i++) {
    const char *v = value_of(with_value[i].name, argv[0], argv[1], used);
    if (!v) continue;
    if (!*v) return refuse(p, "a value is missing after", with_value[i].name);
    return with_value[i].set(p, v);
  }
  return unknown_option(p, argv[0]);
}

bool options_parse(Arena *a, int argc, char **argv, Options *out, const char **why) {
  *out = (Options){.level = 2, .real_bytes = 4, .jobs = 1};
  Parse p = {a, out, why};
  for (int i = 1; i < argc;) {
    int used = 1;
    if (argv[i][0] != '-' || !argv[i][1]) {
      if (out->input) return refuse(&p, "one input file is enough; what is", argv[i]);
      out->input = argv[i];
    } else if (!set_short(out, argv[i]) && !take_option(&p, argv + i, &used)) {
      return false;
    }
    i += used;
  }
  if (out->input || out->help || out->version) return true;
  *why = "no input file";
  return false;
}
