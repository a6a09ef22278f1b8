/* dlrun bench: medians of a training step and of inference, on random data, after warming up. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dlrun/commands.h"
#include "dlrun/json.h"
#include "dlrun/random.h"
#include "dlrun/synthetic.h"
#include "dlrun/tool.h"

enum { RUNS_LEAST = 11, RUNS_MOST = 2000 };

typedef struct {
  Tool *tool;
  int64_t n;
  Batch batch;
} Bench;

typedef bool BenchRun(const Bench *b);

static bool train(const Bench *b) {
  return tool_ok(b->tool, b->tool->api->train_step(b->tool->session, b->n, b->batch.inputs,
                                                   b->batch.targets, NULL, NULL));
}

static bool infer(const Bench *b) {
  return tool_ok(b->tool, b->tool->api->infer(b->tool->session, b->n, b->batch.inputs, NULL));
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Milliseconds: the median over at least RUNS_LEAST runs and about `seconds` of time. */
static bool median(const Bench *b, BenchRun *run, double seconds, double *out) {
  static double taken[RUNS_MOST];
  int runs = 0;
  for (int i = 0; i < 3; i++)
    if (!run(b)) return false;
  for (double start = tool_seconds(); runs < RUNS_MOST; runs++) {
    double before = tool_seconds();
    if (runs >= RUNS_LEAST && before - start > seconds) break;
    if (!run(b)) return false;
    taken[runs] = (tool_seconds() - before) * 1e3;
  }
  qsort(taken, (size_t)runs, sizeof *taken, by_value);
  *out = runs % 2 ? taken[runs / 2] : (taken[runs / 2 - 1] + taken[runs / 2]) / 2;
  return true;
}

typedef struct {
  int64_t threads;
  double train_ms, infer_ms; /* negative: not compiled in */
} BenchResult;

static void print_json(const dlc_model *m, int64_t n, const BenchResult *r) {
  json_object_t *o = json_new();
  double flops = m->programs[DLC_TRAIN].flops * (double)n;
  json_text_at(o, "network", m->name);
  json_integer_at(o, "batch", n);
  json_integer_at(o, "threads", r->threads);
  json_real_at(o, "train_step_ms", r->train_ms < 0 ? 0.0 / 0.0 : r->train_ms);
  json_real_at(o, "inference_ms", r->infer_ms);
  json_real_at(o, "flops_per_step", flops);
  json_integer_at(o, "arena_bytes_train", m->programs[DLC_TRAIN].arena_bytes);
  json_integer_at(o, "arena_bytes_inference", m->programs[DLC_INFER].arena_bytes);
  json_integer_at(o, "parameter_bytes", m->parameter_bytes);
  json_print(o);
}

static void print_text(const dlc_model *m, int64_t n, const BenchResult *r) {
  double flops = m->programs[DLC_TRAIN].flops * (double)n;
  printf("%s, batch %lld, %lld thread%s\n", m->name, (long long)n, (long long)r->threads,
         r->threads > 1 ? "s" : "");
  if (r->train_ms >= 0) {
    printf("  training step  %10.4f ms  %10.0f samples/s", r->train_ms,
           1e3 * (double)n / r->train_ms);
    printf(flops > 0 ? "  %8.1f GFLOP/s\n" : "\n", flops / r->train_ms / 1e6);
  }
  printf("  inference      %10.4f ms  %10.0f samples/s\n", r->infer_ms,
         1e3 * (double)n / r->infer_ms);
  printf("  arena          %lld bytes training, %lld inference; parameters %lld bytes\n",
         (long long)m->programs[DLC_TRAIN].arena_bytes,
         (long long)m->programs[DLC_INFER].arena_bytes, (long long)m->parameter_bytes);
}

static bool measure(Tool *t, int64_t n, double seconds, bool json, BenchResult *r) {
  Bench b = {.tool = t};
  if (!tool_batch(t, n, &b.n)) return false;
  b.batch = synthetic_batch(t->arena, t->model, b.n, 0, RANDOM_BENCH);
  r->train_ms = -1;
  if (t->model->training && t->model->programs[DLC_TRAIN].code &&
      !median(&b, train, seconds, &r->train_ms))
    return false;
  if (!median(&b, infer, seconds, &r->infer_ms)) return false;
  (json ? print_json : print_text)(t->model, b.n, r);
  return true;
}

int command_bench(int argc, char **argv) {
  const char *model;
  int64_t batch = 0;
  double seconds = 1;
  bool json = false;
  int status;
  BenchResult r = {.threads = 1};
  const Opt opts[] = {
      {"--batch", OPT_COUNT, &batch, "N", "samples at once (default: the train block's)", false},
      {"--threads", OPT_COUNT, &r.threads, "T", "threads (default 1)", false},
      {"--seconds", OPT_REAL, &seconds, "S", "time for each measurement (default 1)", false},
      {"--json", OPT_FLAG, &json, NULL, "print JSON", false},
  };
  const Cli cli = {"bench", "Measure training steps and inference: medians, on random data.", opts,
                   OPT_LIST_COUNT(opts)};
  if (!cli_parse(&cli, argc, argv, &model, &status)) return status;
  Tool t;
  bool fine = tool_open(&t, model) &&
              tool_session(&t, t.model->training ? DLC_TRAINING : DLC_INFERENCE, r.threads, 0) &&
              measure(&t, batch, seconds, json, &r);
  return tool_close(&t, fine);
}
