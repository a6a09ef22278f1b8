/* Compilation within --memory-budget. The passes plan the results of kernels; their scratch memory
 * is known only when they are emitted. So what does not fit then is planned again with less. */
#include "driver/driver.h"

enum { LEAST = 1, TRIES = 3 }; /* bytes that nothing fits in: the smallest plan */

static int64_t largest_arena(const Artifact *art) {
  int64_t most = 0;
  for (int p = 0; p < PROGRAM_COUNT; p++)
    if (art->arena_bytes[p] > most) most = art->arena_bytes[p];
  return most;
}

static Cg *compile_planned(Compilation *c, Artifact *art, int64_t planned, bool again) {
  PassOptions options = driver_pass_options(c);
  options.memory_budget = planned;
  art->remarks = options.remarks &= !again;
  if (!artifact_compile(art, c->arena, &options, c->options->inference_only)) return NULL;
  return artifact_emit(art, c->arena);
}

static Cg *refuse(Compilation *c, const Artifact *art) {
  long long least = largest_arena(art);
  diag_error(c->diags, (Span){0},
             "the arena needs %lld bytes at batch %lld, more than the budget of %lld", least,
             (long long)art->max_batch, (long long)c->options->memory_budget);
  diag_note(c->diags, (Span){0}, "the least possible budget is %lld; a smaller --batch needs less",
            least);
  return NULL;
}

Cg *driver_compile(Compilation *c, Artifact *art) {
  int64_t budget = c->options->memory_budget, planned = budget;
  for (int tries = 1;; tries++) {
    Cg *cg = compile_planned(c, art, planned, tries > 1);
    if (!cg || !budget || largest_arena(art) <= budget) return cg;
    cg_free(cg);
    if (planned == LEAST) return refuse(c, art);
    int64_t excess = largest_arena(art) - budget;
    planned = tries < TRIES && excess < planned ? planned - excess : LEAST;
  }
}
