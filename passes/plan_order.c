/* The order in which kernels run: of those that wait for nothing any more, the forward part first,
 * then kernels that store a new parameter (their gradient dies at once), then the earliest in the
 * graph. */
#include <stdlib.h>

#include "passes/plan_groups.h"

enum { GIVEN_UP = -2 }; /* offset of a result that is not computed in its target's memory */

typedef struct {
  Groups *groups;
  Arena *scratch;
  IntList *readers,
      *writers; /* by group: those that wait for its results, and those for its reads to be over */
  int *missing; /* by group: how many of those that it waits for have not run */
  int *number;  /* new number by old; 0: has not run */
  int *ready, nready; /* a heap, the next at [0] */
  int count;
} Order;

static bool comes_before(const Order *o, int x, int y) {
  const GroupInfo *a = &o->groups->at[x], *b = &o->groups->at[y];
  if (a->forward != b->forward) return a->forward;
  if (a->updates != b->updates) return a->updates;
  return a->first_id != b->first_id ? a->first_id < b->first_id : x < y;
}

static void exchange(Order *o, int i, int k) {
  int t = o->ready[i];
  o->ready[i] = o->ready[k];
  o->ready[k] = t;
}

static void put_ready(Order *o, int group) {
  int i = o->nready++;
  o->ready[i] = group;
  for (; i && comes_before(o, o->ready[i], o->ready[(i - 1) / 2]); i = (i - 1) / 2)
    exchange(o, i, (i - 1) / 2);
}

static int take_ready(Order *o) {
  int group = o->ready[0], i = 0;
  o->ready[0] = o->ready[--o->nready];
  for (;;) {
    int least = i;
    for (int child = 2 * i + 1; child <= 2 * i + 2 && child < o->nready; child++)
      if (comes_before(o, o->ready[child], o->ready[least])) least = child;
    if (least == i) return group;
    exchange(o, i, least);
    i = least;
  }
}

static void has_run(Order *o, int group) {
  if (!--o->missing[group]) put_ready(o, group);
}

static void run(Order *o, int group) {
  o->number[group] = ++o->count;
  for (int i = 0; i < o->readers[group].count; i++) has_run(o, o->readers[group].at[i]);
  for (int i = 0; i < o->writers[group].count; i++)
    if (o->groups->at[o->writers[group].at[i]].updates) has_run(o, o->writers[group].at[i]);
}

static void give_up_place(Order *o, int group) {
  Groups *s = o->groups;
  for (int i = 0; i < s->members[group].members.count; i++) {
    Node *n = s->members[group].members.at[i];
    const Result *r = s->placed[n->id];
    if (r && r->kind == RESULT_ASSIGN) s->placed[n->id] = NULL, n->offset = GIVEN_UP;
  }
  s->at[group].updates = false;
  for (int i = 0; i < s->at[group].readers.count; i++)
    if (!o->number[s->at[group].readers.at[i]]) has_run(o, group);
}

static void break_circle(Order *o) {
  for (int k = 1; k <= o->groups->count; k++)
    if (!o->number[k] && o->groups->at[k].updates) {
      give_up_place(o, k);
      return;
    }
  abort(); /* the graph has a cycle: ir_verify excludes it */
}

static void count_missing(Order *o) {
  for (int k = 1; k <= o->groups->count; k++) {
    const GroupInfo *g = &o->groups->at[k];
    o->missing[k] = g->after.count + g->readers.count;
    for (int i = 0; i < g->after.count; i++) vec_push(o->scratch, &o->readers[g->after.at[i]], k);
    for (int i = 0; i < g->readers.count; i++)
      vec_push(o->scratch, &o->writers[g->readers.at[i]], k);
  }
  for (int k = 1; k <= o->groups->count; k++)
    if (!o->missing[k]) put_ready(o, k);
}

int *groups_order(Groups *s) {
  int n = s->count + 1;
  Order o = {.groups = s, .scratch = s->scratch};
  o.readers = ARENA_ARRAY(s->scratch, IntList, n);
  o.writers = ARENA_ARRAY(s->scratch, IntList, n);
  o.missing = ARENA_ARRAY(s->scratch, int, n);
  o.number = ARENA_ARRAY(s->scratch, int, n);
  o.ready = ARENA_ARRAY(s->scratch, int, n);
  count_missing(&o);
  while (o.count < s->count)
    if (o.nready)
      run(&o, take_ready(&o));
    else
      break_circle(&o);
  return o.number;
}
