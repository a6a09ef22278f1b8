/* Cuts a row of a grid's pixels into tiles.
 *
 * Which pixels of a tile have tap q inside of the image is known here, so that padding is never
 * computed: consecutive taps with the same pixels make a group, and consecutive tiles with the same
 * groups make a run, one loop. Pixel j has tap q for lo(q) <= j < hi(q), and both fall as q grows:
 * between lo(0) and hi(last) pixels have all taps. */
#include <string.h>

#include "codegen/conv.h"

/* Beyond these a row is not worth its code: kernels of absurd size. */
enum { MOST_RUNS = 40, MOST_STEPS = 100000 };

typedef struct {
  const ConvPlan *plan;
  const ConvGrid *grid;
  int64_t steps;
} Cut;

static int64_t first_pixel(const Cut *c, int64_t q) {
  return conv_ceil_div(-(q * c->grid->dw + c->grid->w0), c->grid->sw);
}

static int64_t end_pixel(const Cut *c, int64_t q) {
  int64_t room = c->plan->aw - q * c->grid->dw - c->grid->w0;
  return conv_min_int(conv_ceil_div(room, c->grid->sw), c->grid->gw);
}

static uint32_t pixels_of_tap(const Cut *c, int64_t first, int size, int64_t q) {
  int64_t lo = conv_max_int(first_pixel(c, q) - first, 0);
  int64_t hi = conv_min_int(end_pixel(c, q) - first, size);
  return lo < hi ? (1u << hi) - (1u << lo) : 0;
}

static ConvRun edge_run(Cut *c, int64_t first, int size) {
  ConvRun run = {.first = first, .tiles = 1, .size = size};
  run.group = ARENA_ARRAY(c->plan->cg->arena, ConvTaps, 4 * size + 2);
  for (int64_t q = 0; q < c->grid->taps_w; q++, c->steps++) {
    uint32_t pixels = pixels_of_tap(c, first, size, q);
    ConvTaps *last = run.ngroups ? &run.group[run.ngroups - 1] : NULL;
    if (!pixels) continue;
    if (last && last->pixels == pixels) {
      last->end = q + 1;
    } else {
      run.group[run.ngroups++] = (ConvTaps){q, q + 1, pixels};
    }
  }
  return run;
}

static ConvRun inner_run(Cut *c, int64_t first, int64_t tiles, int size) {
  ConvRun run = {.first = first, .tiles = tiles, .size = size, .ngroups = c->grid->taps_w ? 1 : 0};
  run.group = ARENA_NEW(c->plan->cg->arena, ConvTaps);
  *run.group = (ConvTaps){0, c->grid->taps_w, (1u << size) - 1};
  return run;
}

static bool same_run(const ConvRun *a, const ConvRun *b) {
  return a->size == b->size && a->ngroups == b->ngroups &&
         !memcmp(a->group, b->group, sizeof(ConvTaps) * (size_t)a->ngroups);
}

bool conv_cut_row(const ConvPlan *plan, ConvGrid *g) {
  Cut c = {plan, g, 0};
  int64_t mr = conv_most_rows(plan->cg, plan->nr, plan->most), tiles = conv_ceil_div(g->gw, mr);
  int64_t small = g->gw / tiles, big = g->gw % tiles, at = 0;
  int64_t lo = g->taps_w ? first_pixel(&c, 0) : 0;
  int64_t hi = g->taps_w ? end_pixel(&c, g->taps_w - 1) : g->gw;
  g->run = ARENA_ARRAY(plan->cg->arena, ConvRun, MOST_RUNS);
  for (int64_t t = 0; t < tiles; c.steps++) {
    int size = (int)(t < big ? small + 1 : small);
    int64_t inner = at >= lo ? conv_min_int((t < big ? big : tiles) - t, (hi - at) / size) : 0;
    ConvRun run = inner > 0 ? inner_run(&c, at, inner, size) : edge_run(&c, at, size);
    ConvRun *last = g->nruns ? &g->run[g->nruns - 1] : NULL;
    if (last && same_run(last, &run)) {
      last->tiles += run.tiles;
    } else if (g->nruns == MOST_RUNS || c.steps > MOST_STEPS) {
      return false;
    } else {
      g->run[g->nruns++] = run;
    }
    t += run.tiles;
    at += run.tiles * size;
  }
  return true;
}
