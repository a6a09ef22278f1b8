/* dlrun features: what the layers make of a sample. The interpreter runs the graph that the network
 * carries, in evaluation mode, with the session's weights; each stage's map becomes a tile: one
 * channel, from black (its least value) to white, enlarged without smoothing to the height of all
 * tiles. A row of tiles is a sample. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/diag.h"
#include "base/str.h"
#include "dlrun/commands.h"
#include "dlrun/graph.h"
#include "dlrun/image.h"
#include "dlrun/oracle.h"
#include "dlrun/stages.h"
#include "dlrun/table.h"

enum {
  TILE_LEAST = 112,
  TILE_MOST = 512,
  GAP = 6,
  CAPTION = 18,
  SAMPLES_MOST = 16,
  STAGES_MOST = 64,
  CHANNEL_LEAST = 32, /* pixels of one channel's height, when all are shown */
  PIXELS_MOST = 1 << 26,
  INK = 0x222222,
  PAPER = 0xffffff
};

typedef struct {
  const char *weights, *inputs, *out;
  TextList layers;
  int64_t channel, samples;
  bool has_channel;
} FeatureOptions;

typedef struct {
  Tool *tool;
  const FeatureOptions *options;
  Interp *interp;
  Dataset data;
  Stages stages;
  int height;   /* of the tiles */
  int *left;    /* of each column */
  int *channel; /* shown of each stage */
  Image grid;
  Table table;
} Features;

typedef struct {
  const double *data;
  int channels, height, width;
} Map;

static Map map_of(const Features *f, int stage) {
  const Node *n = f->stages.list.at[stage].node;
  return (Map){interp_value(f->interp, n)->data, (int)n->type.dim[0], (int)n->type.dim[1],
               (int)n->type.dim[2]};
}

static const double *plane_of(const Map *m, int channel) {
  return m->data + (size_t)channel * (size_t)(m->height * m->width);
}

static void range_of(const double *v, int count, double *lo, double *hi) {
  *lo = *hi = v[0];
  for (int i = 1; i < count; i++) {
    *lo = fmin(*lo, v[i]);
    *hi = fmax(*hi, v[i]);
  }
}

/* The channel that varies most; among equals the first. */
static int liveliest(const Map *m) {
  double most = -1;
  int best = 0, count = m->height * m->width;
  for (int c = 0; c < m->channels; c++) {
    const double *v = plane_of(m, c);
    double sum = 0, squares = 0;
    for (int i = 0; i < count; i++) sum += v[i];
    for (int i = 0; i < count; i++) squares += pow(v[i] - sum / count, 2);
    if (squares > most) most = squares, best = c;
  }
  return best;
}

/* ---- drawing ---- */

static int tile_width(const Node *n, int height) {
  int64_t w = height * n->type.dim[2] / n->type.dim[1];
  return (int)(w < 1 ? 1 : w > 2 * height ? 2 * height : w);
}

static uint32_t grey(double v, double lo, double hi) {
  double part = hi > lo && isfinite(v) ? (v - lo) / (hi - lo) : 0;
  return (uint32_t)lrint(255 * part);
}

/* Three planes are drawn as red, green and blue, one as grey. */
static void draw_planes(Image *to, const Map *m, const double *const plane[3], int x, int y, int w,
                        int h) {
  double lo[3], hi[3];
  for (int k = 0; k < 3; k++) range_of(plane[k], m->height * m->width, &lo[k], &hi[k]);
  for (int row = 0; row < h; row++)
    for (int column = 0; column < w; column++) {
      int at = row * m->height / h * m->width + column * m->width / w;
      uint32_t colour = 0;
      for (int k = 0; k < 3; k++) colour = colour << 8 | grey(plane[k][at], lo[k], hi[k]);
      image_fill(to, x + column, y + row, 1, 1, colour);
    }
}

static void draw_channel(Image *to, const Map *m, int channel, int x, int y, int w, int h) {
  const double *v = plane_of(m, channel);
  draw_planes(to, m, (const double *const[]){v, v, v}, x, y, w, h);
}

static bool shows_colour(const Features *f, int stage) {
  const Node *n = f->stages.list.at[stage].node;
  return n->op == OP_input && n->type.dim[0] == 3 && !f->options->has_channel;
}

static void draw_tile(Features *f, int stage, int x, int y) {
  Map m = map_of(f, stage);
  int w = tile_width(f->stages.list.at[stage].node, f->height);
  if (shows_colour(f, stage))
    draw_planes(&f->grid, &m,
                (const double *const[]){plane_of(&m, 0), plane_of(&m, 1), plane_of(&m, 2)}, x, y, w,
                f->height);
  else
    draw_channel(&f->grid, &m, f->channel[stage], x, y, w, f->height);
}

/* As much of the name as fits the tile. */
static void draw_caption(Features *f, int stage, int y) {
  const Stage *s = &f->stages.list.at[stage];
  int letters = tile_width(s->node, f->height) / IMAGE_FONT_WIDTH;
  char *text = arena_printf(f->tool->arena, "%.*s", letters, s->name);
  image_text(&f->grid, f->left[stage], y + IMAGE_FONT_ASCENT + 2, text, false, INK);
}

/* ---- the grid ---- */

static int64_t rows_of(const Features *f) {
  return f->data.n < f->options->samples ? f->data.n : f->options->samples;
}

static bool lay_out(Features *f) {
  Tool *t = f->tool;
  int count = f->stages.list.count, x = GAP;
  f->height = TILE_LEAST;
  for (int i = 0; i < count; i++) {
    int64_t h = f->stages.list.at[i].node->type.dim[1];
    if (h > f->height) f->height = h < TILE_MOST ? (int)h : TILE_MOST;
  }
  f->left = ARENA_ARRAY(t->arena, int, count);
  f->channel = ARENA_ARRAY(t->arena, int, count);
  for (int i = 0; i < count; i++) {
    f->left[i] = x;
    x += tile_width(f->stages.list.at[i].node, f->height) + GAP;
  }
  int64_t y = GAP + rows_of(f) * (f->height + GAP) + CAPTION;
  if (x * y > PIXELS_MOST)
    return fault(&t->fault,
                 "a picture of %d x %lld pixels; choose fewer with --layer and --samples", x,
                 (long long)y);
  f->grid = image_new(t->arena, x, (int)y, PAPER);
  return true;
}

/* The first sample chooses the channels. */
static bool choose_channels(Features *f) {
  for (int i = 0; i < f->stages.list.count; i++) {
    Map m = map_of(f, i);
    f->channel[i] = f->options->has_channel ? (int)f->options->channel : liveliest(&m);
    if (f->channel[i] >= m.channels)
      return fault(&f->tool->fault,
                   "--channel %d: %s has %d channels, counted from 0; --layer chooses others",
                   f->channel[i], f->stages.list.at[i].name, m.channels);
  }
  return true;
}

static void describe(Features *f) {
  Arena *a = f->tool->arena;
  f->table = table_new(a, "rlllrr");
  table_row(&f->table, "tile", "layer", "map", "channel", "least", "largest");
  for (int i = 0; i < f->stages.list.count; i++) {
    const Stage *s = &f->stages.list.at[i];
    Map m = map_of(f, i);
    double lo, hi;
    bool colour = shows_colour(f, i);
    range_of(plane_of(&m, colour ? 0 : f->channel[i]),
             m.height * m.width * (colour ? m.channels : 1), &lo, &hi);
    table_row(&f->table, arena_printf(a, "%d", i + 1), s->name,
              arena_printf(a, "[%d,%d,%d]", m.channels, m.height, m.width),
              colour ? "all" : arena_printf(a, "%d", f->channel[i]), arena_printf(a, "%.4g", lo),
              arena_printf(a, "%.4g", hi));
  }
}

/* ---- a folder: the grid, and all channels of each stage of the first sample ---- */

static const char *file_name(Arena *a, const char *dir, int stage, const char *name) {
  char *path = arena_printf(a, "%s/%02d-%.100s.png", dir, stage + 1, name);
  for (char *p = path + strlen(dir) + 1; *p; p++)
    if (*p == ' ' || *p == '/') *p = '-';
  return path;
}

static bool write_channels(Features *f, int stage, const char *dir) {
  Tool *t = f->tool;
  Map m = map_of(f, stage);
  int across = (int)ceil(sqrt(m.channels)), down = (m.channels + across - 1) / across;
  int h = m.height > CHANNEL_LEAST ? m.height : CHANNEL_LEAST,
      w = tile_width(f->stages.list.at[stage].node, h);
  if ((int64_t)across * (w + 2) * down * (h + 2) > PIXELS_MOST)
    return fault(&t->fault, "%s: too many channels for a picture", f->stages.list.at[stage].name);
  Arena *scratch = arena_new();
  Image image = image_new(scratch, across * (w + 2) - 2, down * (h + 2) - 2, PAPER);
  for (int c = 0; c < m.channels; c++)
    draw_channel(&image, &m, c, c % across * (w + 2), c / across * (h + 2), w, h);
  bool fine = image_write_png(
      scratch, &image, file_name(scratch, dir, stage, f->stages.list.at[stage].name), &t->fault);
  arena_free(scratch);
  return fine;
}

static const char *folder_of(const char *out) { return has_suffix(out, ".png") ? NULL : out; }

/* A name with a suffix is not meant as a folder, unless it is one. */
static bool check_out(Tool *t, const char *out) {
  const char *slash = strrchr(out, '/'), *dot = strrchr(out, '.');
  if (!folder_of(out)) return tool_writes(t, "-o", out);
  struct stat st;
  if (!dot || !dot[1] || dot[1] == '.' || (slash && slash > dot) || dot == out ||
      (!stat(out, &st) && S_ISDIR(st.st_mode)))
    return true;
  return fault(&t->fault, "-o %s: FILE.png, or a folder, can be written", out);
}

static bool write_folder(Features *f) {
  const char *dir = folder_of(f->options->out);
  if (!dir) return true;
  if (mkdir(dir, 0777) && errno != EEXIST)
    return fault(&f->tool->fault, "%s: %s", dir, strerror(errno));
  for (int i = 0; i < f->stages.list.count; i++)
    if (!write_channels(f, i, dir)) return false;
  return true;
}

static bool write_grid(Features *f) {
  Tool *t = f->tool;
  const char *dir = folder_of(f->options->out);
  const char *path = dir ? arena_printf(t->arena, "%s/features.png", dir) : f->options->out;
  for (int i = 0; i < f->stages.list.count; i++) draw_caption(f, i, f->grid.height - CAPTION);
  return image_write_png(t->arena, &f->grid, path, &t->fault);
}

/* ---- running ---- */

/* Losses and metrics are not wanted: targets are not there. */
static void keep_outputs(Graph *g) {
  int kept = 0;
  for (int i = 0; i < g->results.count; i++)
    if (g->results.at[i].kind == RESULT_OUTPUT) g->results.at[kept++] = g->results.at[i];
  g->results.count = kept;
  ir_tidy(g);
}

/* --layer fits nothing. */
static bool no_stage(Features *f, const Graph *g) {
  Tool *t = f->tool;
  TextList all = {.at = {"*"}, .count = 1};
  Stages s = stages_find(t->arena, g, &all);
  const char **names = ARENA_ARRAY(t->arena, const char *, s.list.count + 1);
  Str list = str_new(t->arena);
  for (int i = 0; i < s.list.count; i++) {
    names[i] = s.list.at[i].node->label;
    str_printf(&list, "%s%s", i ? ", " : "", names[i]);
  }
  const char *wanted = f->options->layers.at[0], *near = near_name(wanted, names, s.list.count);
  return fault(&t->fault, "--layer %s: no feature map [C, H, W] has such a name; %s %s%s", wanted,
               near ? "did you mean" : "there are", near ? near : list.text, near ? "?" : "");
}

static bool open_graph(Features *f) {
  Tool *t = f->tool;
  Diags *diags;
  OpError e = {.arena = t->arena};
  Graph *g = graph_load(t, &diags);
  if (!g) return false;
  keep_outputs(g);
  f->stages = stages_find(t->arena, g, &f->options->layers);
  if (!f->stages.list.count && f->options->layers.count) return no_stage(f, g);
  if (!f->stages.list.count || f->stages.list.count > STAGES_MOST)
    return fault(&t->fault, "%s: %d feature maps [C, H, W] to show; from 1 to %d can be",
                 t->model->name, f->stages.list.count, STAGES_MOST);
  f->interp = interp_new(t->arena, g, 1, false, &e);
  return f->interp || fault(&t->fault, "%s", e.text);
}

static bool run_sample(Features *f, int64_t i) {
  Tool *t = f->tool;
  OpError e = {.arena = t->arena};
  Batch b = dataset_batch(t->arena, &f->data, 1);
  dataset_gather(&f->data, NULL, i, 1, &b);
  b.targets = NULL;
  return oracle_fill(t, f->interp, 1, &b) &&
         (interp_run(f->interp, &e) || fault(&t->fault, "%s", e.text));
}

static bool run(Tool *t, const FeatureOptions *o) {
  Features f = {.tool = t, .options = o};
  if (o->samples > SAMPLES_MOST)
    return fault(&t->fault, "--samples: at most %d rows of tiles", SAMPLES_MOST);
  Words words = words_new(t->arena, t->model);
  tool_reads(t, o->weights);
  if (!tool_reads_data(t, o->inputs) || !check_out(t, o->out)) return false;
  if (!tool_load(t, o->weights) || !words_load(&words, o->weights, &t->fault) ||
      !dataset_open(t->arena, o->inputs, false, &words, &f.data, &t->fault))
    return false;
  if (!open_graph(&f) || !lay_out(&f)) return false;
  for (int64_t i = 0; i < rows_of(&f); i++) {
    if (!run_sample(&f, i)) return false;
    if (!i && !(choose_channels(&f) && write_folder(&f))) return false;
    if (!i) describe(&f);
    for (int k = 0; k < f.stages.list.count; k++)
      draw_tile(&f, k, f.left[k], GAP + (int)i * (f.height + GAP));
  }
  if (!write_grid(&f)) return false;
  table_print(&f.table, stdout);
  return true;
}

int command_features(int argc, char **argv) {
  const char *model;
  FeatureOptions o = {.samples = 1};
  uint64_t channel = UINT64_MAX;
  int status;
  const Opt opts[] = {
      {"--weights", OPT_TEXT, &o.weights, "W", "safetensors file", true},
      {"--inputs", OPT_TEXT, &o.inputs, "I",
       "the inputs, as --data of train; targets are not needed", true},
      {"-o", OPT_TEXT, &o.out, "OUT",
       "FILE.png, or a folder: the grid as features.png, and all channels of each layer", true},
      {"--layer", OPT_LIST, &o.layers, "PATTERN",
       "layers to show, by name; * and ?; may be repeated (default: the last map of each size)",
       false},
      {"--channel", OPT_SEED, &channel, "K",
       "the channel shown (default: the one that varies most)", false},
      {"--samples", OPT_COUNT, &o.samples, "N", "rows of tiles, a sample each (default 1)", false},
  };
  const Cli cli = {"features", "Draw feature maps: a tile a layer, a row a sample.", opts,
                   OPT_LIST_COUNT(opts)};
  if (!cli_parse(&cli, argc, argv, &model, &status)) return status;
  o.has_channel = channel != UINT64_MAX;
  o.channel = channel > 1000000 ? 1000000 : (int64_t)channel;
  Tool t;
  bool fine = tool_open(&t, model) && tool_session(&t, DLC_INFERENCE, 1, 0) && run(&t, &o);
  return tool_close(&t, fine);
}
