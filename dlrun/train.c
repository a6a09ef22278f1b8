/* dlrun train. Epoch e takes the samples in the order of (seed, e); step t (from 0, over all
 * epochs) draws its masks and augmentation from (seed, t). So a checkpoint's step, seed and tensors
 * are all that the rest depends on, and a resumed training goes on with the same bits. --save FILE
 * writes the weights, in PyTorch's names, and beside them the checkpoint, FILE with .resume before
 * the suffix; --resume takes either name. */
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "dlrun/commands.h"
#include "dlrun/evaluate.h"
#include "dlrun/feeder.h"
#include "dlrun/interrupt.h"
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
  double lr;     /* negative: not given */
  uint64_t seed; /* UINT64_MAX: not given */
  bool quiet;
} TrainOptions;

typedef struct {
  Tool *tool;
  const TrainOptions *options;
  Resume from; /* path NULL: a new training */
  Words words;
  Dataset data, valid;
  uint64_t seed;
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

/* Everything that will be written can be, and is not read too. */
static bool check_files(Trainer *r) {
  static const char *const logs[] = {"log.csv", "curves.svg", "curves.png"};
  Tool *t = r->tool;
  const TrainOptions *o = r->options;
  if (!tool_reads_data(t, o->data) || (o->valid && !tool_reads_data(t, o->valid))) return false;
  tool_reads(t, o->weights);
  if (o->save && !(tool_writes(t, "--save", o->save) &&
                   tool_writes(t, "--save", keep_name(t->arena, o->save, "resume")) &&
                   tool_writes(t, "--save", keep_name(t->arena, o->save, "best"))))
    return false;
  for (int i = 0; o->log && i < 3 && access(o->log, F_OK) == 0; i++)
    if (!tool_writes(t, "--log", arena_printf(t->arena, "%s/%s", o->log, logs[i]))) return false;
  return true;
}

/* Words are those of the network trained before, if it is taken as a whole. */
static bool open_words(Trainer *r) {
  Tool *t = r->tool;
  const TrainOptions *o = r->options;
  bool whole = o->weights && !o->only.count && !o->skip.count;
  const char *from = r->from.path ? r->from.path : whole ? o->weights : NULL;
  r->words = words_new(t->arena, t->model);
  return !from || words_load(&r->words, from, &t->fault);
}

static bool open_data(Trainer *r) {
  Tool *t = r->tool;
  const TrainOptions *o = r->options;
  if (!open_words(r) || !dataset_open(t->arena, o->data, true, &r->words, &r->data, &t->fault))
    return false;
  if (o->valid && !dataset_open(t->arena, o->valid, true, &r->words, &r->valid, &t->fault))
    return false;
  if (r->from.samples && r->from.samples != r->data.n)
    return fault(&t->fault,
                 "%s: it was trained on %lld samples, this data has %lld; start on other data with "
                 "--weights",
                 r->from.path, (long long)r->from.samples, (long long)r->data.n);
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
  if (!keep_load_best(t, r->from.path, &found)) return false;
  if (!found) return true;
  return evaluate(t, &r->valid, r->batch, false, &e) &&
         keep_best(&r->keep, e.loss, e.metrics, &better);
}

static bool load_weights(Trainer *r) {
  Tool *t = r->tool;
  const TrainOptions *o = r->options;
  bool some = o->only.count || o->skip.count;
  if (some && !o->weights) return fault(&t->fault, "--only and --skip choose from --weights");
  if (o->weights && some && !weights_load(t, o->weights, &o->only, &o->skip, !o->quiet))
    return false;
  if (o->weights && !some && !tool_load(t, o->weights)) return false;
  return !r->from.path || (recall_best(r) && tool_load(t, r->from.path));
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

/* What a checkpoint fixes: its step counts batches of one size, in an order that the seed gives. */
static bool open_checkpoint(Trainer *r) {
  Tool *t = r->tool;
  const TrainOptions *o = r->options;
  Resume *c = &r->from;
  *c = (Resume){.path = NULL, .lr = -1};
  if (!o->resume) return true;
  if (o->weights)
    return fault(&t->fault, "--resume has the weights; --weights starts a training of its own");
  if (!keep_find(t, o->resume, c)) return false;
  if (o->batch && c->batch && o->batch != c->batch)
    return fault(&t->fault, "--batch %lld: %s counts batches of %lld", (long long)o->batch, c->path,
                 (long long)c->batch);
  if (o->seed != UINT64_MAX && o->seed != c->seed)
    return fault(&t->fault, "--seed %llu: %s goes on with its own, %llu",
                 (unsigned long long)o->seed, c->path, (unsigned long long)c->seed);
  return true;
}

/* The command line, then the checkpoint, then the train block. */
static bool choose_numbers(Trainer *r) {
  const TrainOptions *o = r->options;
  const dlc_training *train = r->tool->model->training;
  int64_t own = train->epochs > 0 ? train->epochs : 1;
  r->epochs = o->epochs ? o->epochs : r->from.epochs ? r->from.epochs : own;
  r->base_lr = o->lr >= 0 ? o->lr : r->from.lr >= 0 ? r->from.lr : train->lr;
  r->seed = r->from.path ? r->from.seed : o->seed != UINT64_MAX ? o->seed : (uint64_t)train->seed;
  return tool_batch(r->tool, o->batch ? o->batch : r->from.batch, &r->batch);
}

/* The line that a resumed training starts with. */
static void say_resumed(const Trainer *r) {
  const Resume *c = &r->from;
  if (!c->path || r->options->quiet) return;
  printf("resumed from %s: step %lld, epoch %lld of %lld, batch %lld, seed %llu, lr %g", c->path,
         (long long)c->step, (long long)(c->step / r->steps), (long long)r->epochs,
         (long long)r->batch, (unsigned long long)r->seed, r->base_lr);
  if (c->lr >= 0 && c->lr != r->base_lr) printf(" (--lr; it was %g)", c->lr);
  if (c->epochs && c->epochs != r->epochs)
    printf(" (--epochs; they were %lld)", (long long)c->epochs);
  printf("\n");
}

static bool prepare(Trainer *r) {
  Tool *t = r->tool;
  const TrainOptions *o = r->options;
  if (o->best && !o->valid) return fault(&t->fault, "--best needs --valid");
  if (!open_checkpoint(r) || !choose_numbers(r) || !check_files(r) ||
      !keep_new(t, o->save, o->best, &r->keep))
    return false;
  if (!open_data(r) || !tool_ok(t, t->api->initialize(t->session, r->seed)) ||
      !tool_ok(t, t->api->set_seed(t->session, r->seed)) || !load_weights(r))
    return false;
  keep_describe(
      &r->keep, &r->words,
      &(Resume){.lr = r->base_lr, .batch = r->batch, .epochs = r->epochs, .samples = r->data.n});
  r->metrics = ARENA_ARRAY(t->arena, double, t->model->metric_count + 1);
  r->augment = augment_new(t->arena, t->model, r->seed);
  feeder_init(&r->feeder, t->arena, &r->data, &r->augment, r->batch);
  r->progress = progress_new(t->model, r->epochs, r->data.n);
  return open_history(r) && journal_open(&r->journal, o->log, &r->history, &t->fault);
}

/* ---- one epoch ---- */

typedef struct {
  int64_t done, here;                   /* samples of the epoch; of them, in this run */
  double loss, metric[HISTORY_METRICS]; /* sums over the samples here */
} Sums;

static bool all_finite(const dlc_tensor *t, const void *data) {
  bool fine = true;
  for (int64_t i = 0; t->elem == DLC_F32 && fine && i < t->elements; i++)
    fine = isfinite(((const float *)data)[i]);
  for (int64_t i = 0; t->elem == DLC_F64 && fine && i < t->elements; i++)
    fine = isfinite(((const double *)data)[i]);
  return fine;
}

/* What may be behind a loss that is no number: the data, or else the rate. */
static const char *loss_hint(const Trainer *r) {
  const dlc_model *m = r->tool->model;
  const Dataset *d = &r->data;
  for (int32_t k = 0; k < m->input_count + m->target_count; k++)
    for (int64_t i = 0; i < d->n; i++) {
      const dlc_tensor *t = words_tensor(&r->words, k);
      int64_t row = d->row ? d->row[i] : i;
      if (!all_finite(t, d->data[k] + (size_t)row * d->bytes[k]))
        return arena_printf(r->tool->arena,
                            "%s of the data is not finite everywhere: see sample %lld", t->name,
                            (long long)row + 1);
    }
  return "a smaller --lr may help";
}

static bool step(Trainer *r, int64_t epoch, Sums *s) {
  Tool *t = r->tool;
  int64_t at = t->api->step(t->session), n;
  double loss, lr = schedule_rate(t->model->training, r->base_lr, epoch, at);
  const Batch *b = feeder_next(&r->feeder, &n);
  if (!tool_ok(t, t->api->set_learning_rate(t->session, lr)) ||
      !tool_ok(t, t->api->train_step(t->session, n, b->inputs, b->targets, &loss, r->metrics)))
    return false;
  if (!isfinite(loss))
    return fault(&t->fault, "the loss is %g at step %lld; %s", isnan(loss) ? fabs(loss) : loss,
                 (long long)at + 1, loss_hint(r));
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
  /* The journal first: after a crash between them the epoch is done again, and its row replaced. */
  return journal_epoch(&r->journal, &t->fault) && keep_last(&r->keep);
}

/* After an interrupt: the step in progress is the last. */
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
    if (interrupt_noted() && s->done < r->data.n) return stop_here(r);
  }
  return true;
}

static bool train_epoch(Trainer *r, int64_t epoch) {
  double start = tool_seconds();
  int64_t at = r->tool->api->step(r->tool->session);
  Sums s = {.done = at % r->steps * r->batch};
  random_permutation(r->seed, RANDOM_SHUFFLE, (uint32_t)epoch, r->data.n, r->order);
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

static bool train_epochs(Trainer *r, int64_t epoch) {
  for (; epoch < r->epochs; epoch++)
    if (!train_epoch(r, epoch) || (interrupt_noted() && epoch + 1 < r->epochs && !stop_here(r))) {
      progress_clear(&r->progress);
      return false;
    }
  return true;
}

static bool train(Tool *t, const TrainOptions *o) {
  Trainer r = {.tool = t, .options = o};
  if (!prepare(&r)) return false;
  /* Data has a row, so an epoch a step. NOLINTNEXTLINE(clang-analyzer-core.DivideZero) */
  int64_t epoch = t->api->step(t->session) / r.steps;
  if (epoch >= r.epochs)
    return fault(&t->fault,
                 "the checkpoint has done %lld epochs already; --epochs %lld asks for no more",
                 (long long)epoch, (long long)r.epochs);
  say_resumed(&r);
  interrupt_catch();
  bool fine = train_epochs(&r, epoch);
  fine = journal_close(&r.journal, &t->fault) && fine;
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
       "best by: loss, or a metric (default: the first accuracy, top_k or auc, else loss)", false},
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
  fine = fine && tool_session(&t, DLC_TRAINING, o.threads, 0) && train(&t, &o);
  return tool_close(&t, fine);
}
