/* netgen [--seed N] [--count N] [--seconds N] [--jobs N] [--all] [--keep DIR] [--print]
 *        [--export DIR] [FILE]
 *
 * Checks `count` networks (500) of rising seeds, in processes of their own; each of the jobs stops
 * after `seconds` of processor time when that is given, and after its third failure. The first seed
 * is --seed, or NETGEN_SEED, or follows from the date. A failure is printed with its seed and
 * reduced network, and both are kept in DIR. --print writes the network of the seed instead,
 * --export writes all of them with their data and values into DIR; a FILE is checked with the
 * seed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "netgen.h"

typedef struct {
  uint64_t seed;
  int64_t count, seconds, jobs;
  bool all, print;
  const char *keep, *export, *file;
} Options;

enum { FAILURES = 3 };

typedef struct {
  int64_t networks, failures, compared, excused;
  bool drawn[OP_COUNT];
} Total;

static const char *text_of(Arena *a, const Graph *g, bool language, uint64_t seed) {
  if (language) return netgen_source(a, g, seed);
  Str s = str_new(a);
  ir_print(g, &s);
  return s.text;
}

static void keep_text(const Options *o, uint64_t seed, const char *suffix, const char *text) {
  char path[4096];
  const char *kind = !strncmp(text, "graph", 5) ? "ir" : "net";
  snprintf(path, sizeof path, "%s/netgen-%llu%s.%s", o->keep, (unsigned long long)seed, suffix,
           kind);
  FILE *f = fopen(path, "w");
  if (!f) return;
  fputs(text, f);
  fclose(f);
}

static void report(const Options *o, Arena *a, const Graph *g, bool language, uint64_t seed,
                   const Verdict *v) {
  printf("netgen: seed %llu failed (exit %d)\n%s\n", (unsigned long long)seed, v->code, v->message);
  keep_text(o, seed, "", text_of(a, g, language, seed));
  fflush(stdout);
  const char *small = netgen_reduce(a, g, language, seed, v);
  printf("netgen: seed %llu, reduced:\n%s\n", (unsigned long long)seed,
         small ? small : "not reproduced");
  if (small) keep_text(o, seed, "-min", small);
  fflush(stdout);
}

static void check_seed(const Options *o, uint64_t seed, Total *t) {
  Arena *a = arena_new();
  bool language;
  Graph *g = netgen_graph(a, seed, &language);
  Verdict v = netgen_try(text_of(a, g, language, seed), seed, o->all);
  t->networks++;
  t->compared += v.compared;
  t->excused += v.excused;
  t->failures += v.failed;
  for (int i = 0; i < g->nodes.count; i++) t->drawn[g->nodes.at[i]->op] = true;
  if (v.failed) report(o, a, g, language, seed, &v);
  arena_free(a);
}

/* Of this process and those that it has waited for. */
static int64_t processor_seconds(void) {
  struct rusage own, children;
  getrusage(RUSAGE_SELF, &own);
  getrusage(RUSAGE_CHILDREN, &children);
  return own.ru_utime.tv_sec + own.ru_stime.tv_sec + children.ru_utime.tv_sec +
         children.ru_stime.tv_sec;
}

static void lane(const Options *o, int64_t job, int to) {
  Total t = {0};
  for (int64_t i = job; i < o->count && t.failures < FAILURES; i += o->jobs) {
    if (o->seconds && processor_seconds() >= o->seconds) break;
    check_seed(o, o->seed + (uint64_t)i, &t);
  }
  if (write(to, &t, sizeof t) != sizeof t) _exit(1);
  _exit(0);
}

static void add(Total *sum, const Total *t) {
  sum->networks += t->networks, sum->failures += t->failures;
  sum->compared += t->compared, sum->excused += t->excused;
  for (int op = 0; op < OP_COUNT; op++) sum->drawn[op] |= t->drawn[op];
}

static void print_total(const Total *t) {
  int rows = 0, drawn = 0;
  Arena *a = arena_new();
  Str missing = str_new(a);
  for (int op = 0; op < OP_COUNT; op++) {
    if (op_info[op].kind == KIND_LEAF) continue;
    rows++, drawn += t->drawn[op];
    if (!t->drawn[op]) str_printf(&missing, " %s", op_info[op].name);
  }
  printf(
      "netgen: %lld networks, %lld numbers compared, %lld excused by conditioning, %lld failed\n",
      (long long)t->networks, (long long)t->compared, (long long)t->excused,
      (long long)t->failures);
  printf("netgen: %d of %d op rows drawn%s%s\n", drawn, rows, drawn < rows ? "; not" : "",
         missing.text);
  arena_free(a);
}

static int run(const Options *o) {
  int pipes[2];
  Total sum = {0}, t;
  printf("netgen: %lld networks from seed %llu\n", (long long)o->count,
         (unsigned long long)o->seed);
  fflush(stdout);
  if (pipe(pipes)) return 1;
  for (int64_t job = 0; job < o->jobs; job++)
    if (!fork()) lane(o, job, pipes[1]);
  close(pipes[1]);
  int64_t lanes = 0;
  for (; read(pipes[0], &t, sizeof t) == sizeof t; lanes++) add(&sum, &t);
  while (wait(NULL) > 0) continue;
  if (lanes < o->jobs) printf("netgen: the generator itself crashed\n");
  print_total(&sum);
  return sum.failures || lanes < o->jobs || !sum.compared;
}

static int check_file(const Options *o) {
  static char text[1 << 20];
  FILE *f = fopen(o->file, "r");
  if (!f) return perror(o->file), 1;
  text[fread(text, 1, sizeof text - 1, f)] = 0;
  fclose(f);
  Verdict v = netgen_try(text, o->seed, o->all);
  printf("%s: %s (exit %d)\n%s\n", o->file, v.failed ? "failed" : "fine", v.code, v.message);
  return v.failed;
}

static int export_all(const Options *o) {
  for (int64_t i = 0; i < o->count; i++) {
    uint64_t seed = o->seed + (uint64_t)i;
    Arena *a = arena_new();
    bool language;
    const Graph *g = netgen_graph(a, seed, &language);
    bool fine = netgen_export(g, arena_printf(a, "%s/%llu", o->export, (unsigned long long)seed));
    arena_free(a);
    if (!fine)
      return fprintf(stderr, "netgen: seed %llu not exported\n", (unsigned long long)seed), 1;
  }
  return 0;
}

static uint64_t first_seed(void) {
  const char *given = getenv("NETGEN_SEED");
  if (given) return strtoull(given, NULL, 10);
  return (uint64_t)time(NULL) / 3600 * 10000; /* moves every hour */
}

static void option(Options *o, const char *name, const char *value) {
  if (!strcmp(name, "--seed")) o->seed = strtoull(value, NULL, 10);
  if (!strcmp(name, "--count")) o->count = atoll(value);
  if (!strcmp(name, "--seconds")) o->seconds = atoll(value);
  if (!strcmp(name, "--jobs")) o->jobs = atoll(value);
  if (!strcmp(name, "--keep")) o->keep = value;
  if (!strcmp(name, "--export")) o->export = value;
}

int main(int argc, char **argv) {
  Options o = {
      .seed = first_seed(), .count = 500, .jobs = sysconf(_SC_NPROCESSORS_ONLN), .keep = "."};
  for (int i = 1; i < argc; i++) {
    if (!strcmp(argv[i], "--all"))
      o.all = true;
    else if (!strcmp(argv[i], "--print"))
      o.print = true;
    else if (argv[i][0] != '-')
      o.file = argv[i];
    else if (i + 1 < argc)
      option(&o, argv[i], argv[i + 1]), i++;
  }
  if (o.jobs < 1) o.jobs = 1;
  if (o.file) return check_file(&o);
  if (o.export) return export_all(&o);
  if (!o.print) return run(&o);
  Arena *a = arena_new();
  bool language;
  Graph *g = netgen_graph(a, o.seed, &language);
  fputs(text_of(a, g, language, o.seed), stdout);
  arena_free(a);
  return 0;
}
