/* dlrun train. Epoch e takes the samples in the order of (seed, e); step t (from 0, over all
 * epochs) draws its masks and augmentation from (seed, t). So a checkpoint's step, seed and tensors
 * are all that the rest depends on, and a resumed training goes on with the same bits. --save FILE
 * writes the weights, in PyTorch's names, and beside them the checkpoint, FILE with .resume before
 * the suffix; --resume takes either name. */
#include <math.h>
#include <signal.h>
#include <stdio.h>

#include "dlrun/commands.h"
#include "dlrun/evaluate.h"
#include "dlrun/feeder.h"
#include "dlrun/journal.h"
#include "dlrun/keep.h"
#include "dlrun/plot.h"
#include "dlrun/progress.h"
#include "dlrun/random.h"
#include "dlrun/schedule.h"
#include "dlrun/tool.h"
#include "dlrun/weights.h"

typedef struct {
  const char *data, *valid, *weights, *save, *best, *resume, *log;
  TextList only, skip;
  int64_t epochs, batch, threads;
  double lr;
  uint64_t seed;
  bool quiet;
} TrainOptions;

typedef struct {
  Tool *tool;
  const TrainOptions *options;
  Dataset data, valid;
  int64_t batch, epochs, steps; /* steps of one epoch */
  Augment augment;
  Feeder feeder;
  int64_t *order;
  Keep keep;
  History history;
  Journal journal;
  Progress progress;
  double base_lr, *metrics;
  VEC(double) losses; /* of every step, for the chart */
} Trainer;

/* ---- setting up ---- */

static bool open_data(Trainer *r) {
  Tool *t = r->tool;
  const TrainOptions *o = r->options;
  if (!dataset_open(t->arena, o->data, t->model, true, &r->data, &t->fault)) return false;
  if (o->valid && !dataset_open(t->arena, o->valid, t->model, true, &r->valid, &t->fault))
    return false;
  r->order = ARENA_ARRAY(t->arena, int64_t, r->data.n);
  r->steps = (r->data.n + r->batch - 1) / r->batch;
  return true;
}

/* What was best before the checkpoint stays the mark to beat. */
static bool recall_best(Trainer *r) {
  Tool *t = r->tool;
  Evaluation e;
  bool found, better;
  if (!r->options->valid) return true;
  if (!keep_load_best(t, r->options->resume, &found)) return false;
  if (!found) return true;
  return evaluate(t, &r->valid, r->batch, false, &e) &&
         keep_best(&r->keep, e.loss, e.metrics, &better);
}

static bool load_weights(Trainer *r, uint64_t *seed) {
  Tool *t = r->tool;
  const TrainOptions *o = r->options;
  bool some = o->only.count || o->skip.count;
  if (some && !o->weights) return fault(&t->fault, "--only and --skip choose from --weights");
  if (o->weights && some && !weights_load(t, o->weights, &o->only, &o->skip, !o->quiet))
    return false;
  if (o->weights && !some && !tool_load(t, o->weights)) return false;
  return !o->resume || (recall_best(r) && keep_resume(t, o->resume, seed));
}

static bool open_history(Trainer *r) {
  Tool *t = r->tool;
  const TrainOptions *o = r->options;
  int metrics = t->model->metric_count < HISTORY_METRICS ? t->model->metric_count : HISTORY_METRICS;
  r->history =
      (History){.arena = t->arena, .model = t->model, .metrics = metrics, .valid = o->valid};
  return !(o->resume && o->log) ||
         history_read(&r->history, o->log, t->api->step(t->session) / r->steps, &t->fault);
}

static bool prepare(Trainer *r, uint64_t *seed) {
  Tool *t = r->tool;
  const TrainOptions *o = r->options;
  const dlc_training *train = t->model->training;
  if (!tool_batch(t, o->batch, &r->batch)) return false;
  r->epochs = o->epochs ? o->epochs : train->epochs > 0 ? train->epochs : 1;
  r->base_lr = o->lr >= 0 ? o->lr : train->lr;
  if (o->best && !o->valid) return fault(&t->fault, "--best needs --valid");
  if (!keep_new(t, o->save, o->best, &r->keep) || !open_data(r) || !load_weights(r, seed))
    return false;
  r->metrics = ARENA_ARRAY(t->arena, double, t->model->metric_count + 1);
  r->augment = augment_new(t->arena, t->model, *seed);
  feeder_init(&r->feeder, t->arena, &r->data, &r->augment, r->batch);
  r->progress = progress_new(t->model, r->epochs, r->data.n);
  return open_history(r) && journal_open(&r->journal, o->log, &r->history, &t->fault);
}

/* ---- one epoch ---- */

typedef struct {
  int64_t done, here;                   /* samples of the epoch; of them, in this run */
  double loss, metric[HISTORY_METRICS]; /* sums over the samples here */
} Sums;

static bool step(Trainer *r, int64_t epoch, Sums *s) {
  Tool *t = r->tool;
  int64_t at = t->api->step(t->session), n;
  double loss, lr = schedule_rate(t->model->training, r->base_lr, epoch, at);
  const Batch *b = feeder_next(&r->feeder, &n);
  if (!tool_ok(t, t->api->set_learning_rate(t->session, lr)) ||
      !tool_ok(t, t->api->train_step(t->session, n, b->inputs, b->targets, &loss, r->metrics)))
    return false;
  if (!isfinite(loss))
    return fault(&t->fault, "the loss is %g at step %lld; a smaller --lr may help", loss,
                 (long long)at + 1);
  s->done += n;
  s->here += n;
  s->loss += loss * (double)n;
  for (int i = 0; i < r->history.metrics; i++) s->metric[i] += r->metrics[i] * (double)n;
  vec_push(t->arena, &r->losses, loss);
  journal_step(&r->journal, at + 1, loss);
  return true;
}

/* Means over the samples of the epoch; an AUC is of a whole set, which changes as training goes. */
static void fill_metrics(const Trainer *r, const Sums *s, double *out) {
  for (int i = 0; i < r->history.metrics; i++)
    out[i] = evaluate_is_auc(r->tool->model, i) ? NAN : s->metric[i] / (double)s->here;
}

static void show(Trainer *r, int64_t epoch, const Sums *s) {
  double mean[HISTORY_METRICS];
  fill_metrics(r, s, mean);
  if (!r->options->quiet)
    progress_step(&r->progress, epoch, s->done, s->loss / (double)s->here, mean);
}

static bool validate(Trainer *r, HistoryRow *row) {
  Evaluation e;
  row->valid_loss = NAN;
  if (!r->options->valid) return true;
  if (!evaluate(r->tool, &r->valid, r->batch, false, &e)) return false;
  row->valid_loss = e.loss;
  for (int i = 0; i < r->history.metrics; i++) row->valid_metric[i] = e.metrics[i];
  return keep_best(&r->keep, e.loss, e.metrics, &row->best);
}

static bool finish_epoch(Trainer *r, int64_t epoch, const Sums *s, double start) {
  Tool *t = r->tool;
  HistoryRow row = {.epoch = epoch + 1,
                    .step = t->api->step(t->session),
                    .lr = t->api->learning_rate(t->session),
                    .loss = s->loss / (double)s->here};
  fill_metrics(r, s, row.metric);
  row.seconds = tool_seconds() - start;
  if (!validate(r, &row)) return false;
  vec_push(t->arena, &r->history.rows, row);
  if (!r->options->quiet) progress_row(&r->progress, &r->history);
  return keep_last(&r->keep) && journal_epoch(&r->journal, &t->fault);
}

/* The first interrupt ends training after the step in progress, with everything saved; a second one
 * kills. */
static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number) {
  (void)signal_number;
  interrupted = 1;
}

static void catch_interrupt(void) {
  struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
  sigaction(SIGINT, &action, NULL);
}

static bool stop_here(Trainer *r) {
  Tool *t = r->tool;
  if (!keep_last(&r->keep)) return false;
  return fault(&t->fault, "interrupted after step %lld%s%s", (long long)t->api->step(t->session),
               r->options->save ? "; go on with --resume " : "",
               r->options->save ? r->options->save : "");
}

static bool train_steps(Trainer *r, int64_t epoch, Sums *s) {
  while (s->done < r->data.n) {
    if (!step(r, epoch, s)) return false;
    show(r, epoch, s);
    if (interrupted && s->done < r->data.n) return stop_here(r);
  }
  return true;
}

static bool train_epoch(Trainer *r, uint64_t seed, int64_t epoch) {
  double start = tool_seconds();
  int64_t at = r->tool->api->step(r->tool->session);
  Sums s = {.done = at % r->steps * r->batch};
  random_permutation(seed, RANDOM_SHUFFLE, (uint32_t)epoch, r->data.n, r->order);
  progress_epoch(&r->progress, s.done);
  feeder_begin(&r->feeder, r->order, s.done, at);
  bool fine = train_steps(r, epoch, &s);
  feeder_end(&r->feeder);
  return fine && finish_epoch(r, epoch, &s, start);
}

static void print_best(const Trainer *r) {
  const HistoryRow *best = NULL;
  for (int i = 0; i < r->history.rows.count; i++)
    if (r->history.rows.at[i].best) best = &r->history.rows.at[i];
  if (!best || !r->options->save) return;
  const char *what = r->keep.metric < 0 ? "loss" : r->tool->model->metrics[r->keep.metric];
  printf("\nbest: epoch %lld, valid %s %.6g, kept as %s\n", (long long)best->epoch, what,
         r->keep.value, keep_name(r->tool->arena, r->options->save, "best"));
}

static void print_chart(const Trainer *r) {
  if (r->options->quiet) return;
  if (r->losses.count > 1) {
    printf("\nloss of the training steps\n");
    plot_text(stdout, r->losses.at, r->losses.count, 64, 8, tool_unicode());
  }
  print_best(r);
  if (r->options->log)
    printf("\ncurves: %s/curves.svg and .png, numbers: %s/log.csv\n", r->options->log,
           r->options->log);
}

static bool train_epochs(Trainer *r, uint64_t seed, int64_t epoch) {
  for (; epoch < r->epochs; epoch++)
    if (!train_epoch(r, seed, epoch) || (interrupted && epoch + 1 < r->epochs && !stop_here(r))) {
      progress_clear(&r->progress);
      return false;
    }
  return true;
}

static bool train(Tool *t, const TrainOptions *o, uint64_t seed) {
  Trainer r = {.tool = t, .options = o};
  if (!prepare(&r, &seed)) return false;
  int64_t epoch = t->api->step(t->session) / r.steps;
  if (epoch >= r.epochs)
    return fault(&t->fault,
                 "the checkpoint has done %lld epochs already; --epochs %lld asks for no more",
                 (long long)epoch, (long long)r.epochs);
  catch_interrupt();
  bool fine = train_epochs(&r, seed, epoch);
  journal_close(&r.journal);
  if (fine) print_chart(&r);
  return fine;
}

int command_train(int argc, char **argv) {
  const char *model;
  TrainOptions o = {.threads = 1, .lr = -1, .seed = UINT64_MAX};
  int status;
  const Opt opts[] = {
      {"--data", OPT_TEXT, &o.data, "D", "the data: files and options, see docs/data.md", true},
      {"--valid", OPT_TEXT, &o.valid, "V", "data to evaluate on after each epoch", false},
      {"--epochs", OPT_COUNT, &o.epochs, "N", "in all (default: the train block's)", false},
      {"--batch", OPT_COUNT, &o.batch, "N", "samples a step (default: the train block's)", false},
      {"--lr", OPT_REAL, &o.lr, "X", "learning rate (default: the train block's)", false},
      {"--seed", OPT_SEED, &o.seed, "S",
       "of initial values, order, masks (default: the train block's)", false},
      {"--threads", OPT_COUNT, &o.threads, "T",
       "threads (default 1); they do not change the result", false},
      {"--weights", OPT_TEXT, &o.weights, "W", "start from these weights", false},
      {"--only", OPT_LIST, &o.only, "PATTERN",
       "of these weights, load those with such names; * and ? as in file names; may be repeated",
       false},
      {"--skip", OPT_LIST, &o.skip, "PATTERN", "but not those with such names; may be repeated",
       false},
      {"--save", OPT_TEXT, &o.save, "W",
       "after each epoch, write weights, checkpoint (W.resume) and the best so far (W.best)",
       false},
      {"--best", OPT_TEXT, &o.best, "NAME",
       "best by: loss, or a metric (default: the first that is an accuracy or auc, else loss)",
       false},
      {"--resume", OPT_TEXT, &o.resume, "C", "go on from what --save wrote", false},
      {"--log", OPT_TEXT, &o.log, "DIR",
       "write DIR/log.csv, curves.svg, curves.png and TensorBoard events", false},
      {"--quiet", OPT_FLAG, &o.quiet, NULL, "print nothing but errors", false},
  };
  const Cli cli = {"train", "Train the network on data.", opts, OPT_LIST_COUNT(opts)};
  if (!cli_parse(&cli, argc, argv, &model, &status)) return status;
  Tool t;
  bool fine = tool_open(&t, model);
  if (fine && !t.model->training) fine = fault(&t.fault, "%s: compiled for inference only", model);
  if (fine && o.seed == UINT64_MAX) o.seed = (uint64_t)t.model->training->seed;
  fine = fine && tool_session(&t, DLC_TRAINING, o.threads, o.seed) && train(&t, &o, o.seed);
  return tool_close(&t, fine);
}
