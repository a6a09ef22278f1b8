/* A better order, by moving one kernel at a time: down to right before the first that waits for it,
 * as a large result should come late, or up to right behind the last that it waits for, as what
 * frees much should come early. A move is made when the most that lives at once in the stretch that
 * it touches gets less, or stays and lives get shorter; the rest of the order does not notice.
 * Writing in place is not counted: the plan pass compares whole plans. */
#include <stdlib.h>

#include "passes/cost.h"
#include "passes/plan_groups.h"

enum { WINDOW = 32, SWEEPS = 2 };

typedef struct {
  int64_t bytes;
  int writer;      /* group */
  IntList readers; /* groups */
  bool pinned;     /* a result */
} Value;

typedef struct {
  Groups *groups;
  Arena *scratch;
  int real_bytes, count;
  int *at, *number;         /* group by place, place by group; places from 1 */
  IntList *waiting, *needs; /* by group: groups that must come after it, before it */
  Value *value;             /* by node id */
  IntList *touches;         /* by group: values that it writes or reads */
  int64_t *own;             /* by group: bytes of scratch */
} Search;

/* ---- what waits for what ---- */

static void add_edge(Search *s, int before, int after) {
  vec_push(s->scratch, &s->waiting[before], after);
  vec_push(s->scratch, &s->needs[after], before);
}

static void find_edges(Search *s) {
  for (int k = 1; k <= s->count; k++) {
    const GroupInfo *g = &s->groups->at[k];
    for (int i = 0; i < g->after.count; i++) add_edge(s, g->after.at[i], k);
    for (int i = 0; g->updates && i < g->readers.count; i++) add_edge(s, g->readers.at[i], k);
  }
}

static bool lies_in_arena(const Search *s, const Node *owner) {
  return owner->group && !s->groups->placed[owner->id];
}

static void find_values(Search *s) {
  const Graph *g = s->groups->graph;
  const Memory *memory = s->groups->memory;
  for (int i = 0; i < g->nodes.count; i++) {
    const Node *n = g->nodes.at[i];
    for (int k = 0; n->group && k < n->nin; k++) {
      const Node *owner = n->in[k] ? memory[n->in[k]->id].owner : NULL;
      if (!owner || owner->group == n->group || !lies_in_arena(s, owner)) continue;
      vec_push(s->scratch, &s->value[owner->id].readers, n->group);
      vec_push(s->scratch, &s->touches[n->group], owner->id);
    }
  }
  for (int i = 0; i < g->results.count; i++)
    s->value[memory[g->results.at[i].node->id].owner->id].pinned = true;
  for (int i = 0; i < g->nodes.count; i++) {
    const Node *n = g->nodes.at[i];
    Value *v = &s->value[i];
    if (!lies_in_arena(s, n) || (!v->readers.count && !v->pinned)) continue;
    v->writer = n->group;
    v->bytes = plan_bytes(n, g->train.batch, s->real_bytes);
    vec_push(s->scratch, &s->touches[n->group], i);
  }
}

/* ---- what lives in a stretch ---- */

static int last_place(const Search *s, const Value *v) {
  int last = v->pinned ? s->count + 1 : s->number[v->writer];
  for (int i = 0; i < v->readers.count; i++)
    if (s->number[v->readers.at[i]] > last) last = s->number[v->readers.at[i]];
  return last;
}

static void add_life(const Search *s, const Value *v, int from, int to, int64_t *live) {
  int first = s->number[v->writer], last = last_place(s, v);
  for (int t = first > from ? first : from; t <= to && t <= last; t++) live[t - from] += v->bytes;
}

typedef struct {
  int64_t most, sum;
} Alive;

/* Bytes at once in places from..to, of the values that kernels there touch. */
static Alive alive(const Search *s, int from, int to) {
  int64_t live[WINDOW] = {0};
  for (int t = from; t <= to; t++) {
    const IntList *touched = &s->touches[s->at[t]];
    live[t - from] += s->own[s->at[t]];
    for (int i = 0; i < touched->count; i++) {
      const Value *v = &s->value[touched->at[i]];
      bool earlier = false; /* counted at the first place that touches it */
      if (s->number[v->writer] >= from && s->number[v->writer] < t) earlier = true;
      for (int k = 0; k < v->readers.count && !earlier; k++)
        earlier = s->number[v->readers.at[k]] >= from && s->number[v->readers.at[k]] < t;
      for (int k = 0; k < i && !earlier; k++) earlier = touched->at[k] == touched->at[i];
      if (!earlier) add_life(s, v, from, to, live);
    }
  }
  Alive a = {0};
  for (int t = 0; t <= to - from; t++) {
    if (live[t] > a.most) a.most = live[t];
    a.sum += live[t];
  }
  return a;
}

/* ---- moves ---- */

static void put(Search *s, int place, int group) {
  s->at[place] = group;
  s->number[group] = place;
}

static void move(Search *s, int from, int to) {
  int group = s->at[from], step = from < to ? 1 : -1;
  for (int t = from; t != to; t += step) put(s, t, s->at[t + step]);
  put(s, to, group);
}

static bool same_part(const Search *s, int from, int to) {
  for (int t = from; t < to; t++)
    if (s->groups->at[s->at[t]].forward != s->groups->at[s->at[to]].forward) return false;
  return true;
}

static bool try_move(Search *s, int from, int to) {
  int low = from < to ? from : to, high = from < to ? to : from;
  if (low == high || high - low >= WINDOW || !same_part(s, low, high)) return false;
  Alive before = alive(s, low, high);
  move(s, from, to);
  Alive after = alive(s, low, high);
  if (after.most < before.most || (after.most == before.most && after.sum < before.sum))
    return true;
  move(s, to, from);
  return false;
}

static int lowest(const Search *s, const IntList *groups) {
  int place = s->count + 1;
  for (int i = 0; i < groups->count; i++)
    if (s->number[groups->at[i]] < place) place = s->number[groups->at[i]];
  return place;
}

static int highest(const Search *s, const IntList *groups) {
  int place = 0;
  for (int i = 0; i < groups->count; i++)
    if (s->number[groups->at[i]] > place) place = s->number[groups->at[i]];
  return place;
}

static bool improve_once(Search *s) {
  bool moved = false;
  for (int t = s->count; t >= 1; t--) {
    int group = s->at[t];
    moved |= try_move(s, t, lowest(s, &s->waiting[group]) - 1);
  }
  for (int t = 1; t <= s->count; t++) {
    int group = s->at[t];
    moved |= try_move(s, t, highest(s, &s->needs[group]) + 1);
  }
  return moved;
}

int *groups_search(Groups *groups, const int *number, int real_bytes) {
  int n = groups->count + 2;
  Search s = {.groups = groups,
              .scratch = groups->scratch,
              .real_bytes = real_bytes,
              .count = groups->count};
  s.at = ARENA_ARRAY(s.scratch, int, n);
  s.number = ARENA_ARRAY(s.scratch, int, n);
  s.waiting = ARENA_ARRAY(s.scratch, IntList, n);
  s.needs = ARENA_ARRAY(s.scratch, IntList, n);
  s.touches = ARENA_ARRAY(s.scratch, IntList, n);
  s.value = ARENA_ARRAY(s.scratch, Value, groups->graph->nodes.count + 1);
  s.own = ARENA_ARRAY(s.scratch, int64_t, n);
  for (int k = 1; k <= groups->count; k++) {
    put(&s, number[k], k);
    s.own[k] = cost_scratch(&groups->members[k], real_bytes);
  }
  find_edges(&s);
  find_values(&s);
  for (int i = 0; i < SWEEPS && improve_once(&s); i++) {
  }
  return s.number;
}
