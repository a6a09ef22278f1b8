/* The plan pass: a simulated run of every plan (who wrote each block of the arena and of the
 * parameters), random graphs, what may be written in place, the checker against planted faults, the
 * peak. */
#include "tests/passes/fixture.h"

#include "tests/passes/machine.h"

static Graph *planned(Arena *a, const char *text, int level) {
  Graph *g = parse(a, text);
  PassOptions o = options_for(a, g);
  o.level = level;
  assert_true(pipeline_passes(g, "layout,fuse,plan", &o));
  assert_int_equal(o.diags->errors, 0);
  return g;
}

/* ---- networks and random graphs ---- */

static void simulate_programs(Arena *a, const char *text, void *kernels) {
  for (int level = 0; level <= 2; level += 2)
    for (int p = 0; p < PROGRAM_COUNT; p++) {
      Graph *source = parse(a, text);
      source->train.batch = 5;
      *(int *)kernels += simulate(a, program(a, source, (Program)p, NULL, level));
    }
}

static void plans_of_networks_run(void **state) {
  int kernels = 0;
  each_net(*state, &kernels, simulate_programs);
  assert_true(kernels > 500);
}

static uint64_t next_random(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return *state >> 33;
}

/* Node `n` of shape [4, 6] per sample, from earlier ones; returns the next free number. */
static int put_random_node(Str *s, int n, const int *x, uint64_t *r) {
  switch (next_random(r) % 8) {
    case 0:
      str_printf(s, " %%%d = tanh(%%%d)\n", n, x[0]);
      return n;
    case 1:
      str_printf(s, " %%%d = add(%%%d, %%%d)\n", n, x[0], x[1]);
      return n;
    case 2:
      str_printf(s, " %%%d = mul(%%%d, %%%d)\n", n, x[0], x[1]);
      return n;
    case 3:
      str_printf(s, " %%%d = dot_general(%%%d, %%%d) {contract_a=[1], contract_b=[%d]}\n", n, x[0],
                 2 + (int)(next_random(r) % 2), (int)(next_random(r) % 2));
      return n;
    case 4:
      str_printf(s, " %%%d = permute(%%%d) {order=[1,0]}\n %%%d = reshape(%%%d) {shape=[4,6]}\n", n,
                 x[0], n + 1, n);
      return n + 1;
    case 5:
      str_printf(s,
                 " %%%d = reduce_sum(%%%d) {dims=[1]}\n %%%d = reshape(%%%d) {shape=[4,1]}\n"
                 " %%%d = sub(%%%d, %%%d)\n",
                 n, x[0], n + 1, n, n + 2, x[1], n + 1);
      return n + 2;
    case 6:
      str_printf(s, " %%%d = reduce_max(%%%d) {dims=[0,1]}\n %%%d = mul(%%%d, %%%d)\n", n, x[0],
                 n + 1, x[1], n);
      return n + 1;
    default:
      str_printf(s,
                 " %%%d = cut(%%%d) {start=[0,1], size=[4,3], step=[1,2]}\n %%%d = concat(%%%d, "
                 "%%%d) {dim=1}\n",
                 n, x[0], n + 1, n, n);
      return n + 1;
  }
}

/* Leaves, random nodes, three outputs, and both matrices and the buffer stored anew from values
 * that read all. */
static const char *random_graph(Arena *a, uint64_t seed) {
  Str s = str_new(a);
  str_put(&s,
          "graph g {\n train { optimizer sgd {lr=0.1} batch 3 }\n"
          " %0 = input {name=\"x\", shape=[4,6], elem=\"f32\"}\n %1 = input {name=\"z\", "
          "shape=[4,6], elem=\"f32\"}\n"
          " %2 = param {name=\"w\", shape=[6,6], init=constant(0)}\n"
          " %3 = param {name=\"v\", shape=[6,6], init=constant(0)}\n"
          " %4 = buffer {name=\"b\", shape=[6], init=constant(0)}\n %5 = add(%0, %4)\n");
  int made[80] = {0, 1, 5}, count = 3, n = 6;
  while (count < 30) {
    int x[2];
    for (int i = 0; i < 2; i++) x[i] = made[next_random(&seed) % (uint64_t)count];
    made[count] = put_random_node(&s, n, x, &seed);
    n = made[count++] + 1;
  }
  for (int i = 0; i < 2; i++) {
    int x = made[count - 1 - i], y = made[next_random(&seed) % (uint64_t)count];
    str_printf(&s,
               " %%%d = dot_general(%%%d, %%%d) {contract_a=[0], contract_b=[0], sum_batch=true}\n"
               " %%%d = sub(%%%d, %%%d)\n",
               n, x, y, n + 1, (int)(next_random(&seed) % 3 ? 2 + i : 3 - i), n);
    n += 2;
  }
  str_printf(&s, " %%%d = reduce_sum(%%%d) {dims=[0], batch=true}\n %%%d = add(%%%d, %%4)\n", n,
             made[count / 2], n + 1, n);
  for (int i = 0; i < 3; i++) str_printf(&s, " output o%d = %%%d\n", i, made[count - 1 - 2 * i]);
  str_printf(&s, " assign w = %%%d of %%2\n assign v = %%%d of %%3\n assign b = %%%d of %%4\n}\n",
             n - 3, n - 1, n + 1);
  return s.text;
}

static void plans_of_random_graphs_run(void **state) {
  (void)state;
  int kernels = 0;
  for (uint64_t seed = 1; seed <= 150; seed++) {
    Arena *a = arena_new();
    const char *text = random_graph(a, seed);
    for (int level = 0; level <= 2; level += 2) kernels += simulate(a, planned(a, text, level));
    arena_free(a);
  }
  assert_true(kernels > 3000);
}

/* ---- the checker ---- */

static void planted_faults_are_found(void **state) {
  (void)state;
  int offsets = 0, orders = 0;
  for (uint64_t seed = 1; seed <= 12; seed++) {
    Arena *a = arena_new();
    Graph *g = planned(a, random_graph(a, seed), 2);
    Plan *p = plan_read(g, a, REAL);
    for (int i = 0; i < g->nodes.count; i++)
      for (int k = 0; k < g->nodes.count;
           k++) { /* i onto k, where both are alive before and after a kernel */
        Node *x = g->nodes.at[i], *y = g->nodes.at[k];
        bool both = i != k && x->offset >= 0 && y->offset >= 0 && p->start[i] < p->end[k] &&
                    p->start[k] < p->end[i];
        if (!both || x->offset == y->offset) continue;
        int64_t kept = x->offset;
        x->offset = y->offset + (plan_bytes(y, 3, REAL) - BLOCK) / BLOCK / 2 * BLOCK;
        assert_non_null(plan_check(g, a, REAL));
        x->offset = kept;
        offsets++;
      }
    for (int i = 0; i < g->nodes.count; i++) {
      Node *n = g->nodes.at[i];
      if (n->offset < 0) continue;
      int64_t kept = n->offset;
      n->offset = -1;
      if (!plan_read(g, a, REAL)->placed[i]) assert_non_null(plan_check(g, a, REAL));
      n->offset = kept;
      for (int k = 0; k < n->nin; k++) { /* before what it reads */
        const Node *owner = n->in[k] ? p->memory[n->in[k]->id].owner : NULL;
        if (!owner || !owner->group || owner->group == n->group || owner->group == 1) continue;
        int own = n->group;
        n->group = owner->group - 1;
        assert_non_null(plan_check(g, a, REAL));
        n->group = own;
        orders++;
      }
    }
    assert_null(plan_check(g, a, REAL));
    arena_free(a);
  }
  assert_true(offsets > 300 && orders > 100);
}

static void a_late_reader_of_a_parameter_is_found(void **state) {
  Arena *a = *state;
  Graph *g = planned(
      a,
      "graph g {\n %0 = param {name=\"w\", shape=[6], init=constant(0)}\n"
      " %1 = input {name=\"x\", shape=[6], elem=\"f32\"}\n"
      " %2 = mul(%1, %0) !reader\n %3 = square(%0) !new\n output y = %2\n assign w = %3 of %0\n}\n",
      2);
  Node *reader = (Node *)labelled(g, "reader"), *writer = (Node *)labelled(g, "new");
  assert_true(reader->group < writer->group);
  int t = reader->group;
  reader->group = writer->group;
  writer->group = t;
  const char *wrong = plan_check(g, a, REAL);
  assert_non_null(wrong);
  assert_non_null(strstr(wrong, "overwritten"));
}

/* ---- order ---- */

static void updates_that_wait_for_each_other(void **state) {
  Arena *a = *state;
  Graph *g = planned(a,
                     "graph g {\n %0 = param {name=\"w\", shape=[4,4], init=constant(0)}\n"
                     " %1 = param {name=\"v\", shape=[4,4], init=constant(0)}\n"
                     " %2 = param {name=\"u\", shape=[4,4], init=constant(0)}\n"
                     " %3 = dot_general(%1, %1) {contract_a=[1], contract_b=[0]} !w\n"
                     " %4 = dot_general(%2, %2) {contract_a=[1], contract_b=[0]} !v\n"
                     " %5 = dot_general(%0, %0) {contract_a=[1], contract_b=[0]} !u\n"
                     " assign w = %3 of %0\n assign v = %4 of %1\n assign u = %5 of %2\n}\n",
                     2);
  Plan *p = plan_read(g, a, REAL);
  int placed = 0;
  for (int i = 0; i < g->nodes.count; i++) placed += p->placed[i] != NULL;
  assert_int_equal(placed, 2); /* one goes through the arena */
  simulate(a, g);
}

static void updates_in_a_line_are_all_in_place(void **state) {
  Arena *a = *state;
  Graph *g = planned(a,
                     "graph g {\n %0 = param {name=\"w\", shape=[4,4], init=constant(0)}\n"
                     " %1 = param {name=\"v\", shape=[4,4], init=constant(0)}\n"
                     " %2 = dot_general(%1, %1) {contract_a=[1], contract_b=[0]} !w\n"
                     " %3 = square(%1) !v\n assign v = %3 of %1\n assign w = %2 of %0\n}\n",
                     2);
  Plan *p = plan_read(g, a, REAL);
  assert_non_null(p->placed[labelled(g, "w")->id]);
  assert_non_null(p->placed[labelled(g, "v")->id]);
  assert_true(labelled(g, "w")->group < labelled(g, "v")->group);
  assert_int_equal(p->peak, 0);
}

/* A product reads its operand more than once, a kernel that has not run yet reads it, a result is
 * copied from it. */
static void parameters_that_are_still_read_are_not_overwritten(void **state) {
  Arena *a = *state;
  Graph *g = planned(
      a,
      "graph g {\n %0 = param {name=\"w\", shape=[4,4], init=constant(0)}\n"
      " %1 = param {name=\"v\", shape=[4,4], init=constant(0)}\n"
      " %2 = param {name=\"u\", shape=[4,4], init=constant(0)}\n"
      " %3 = dot_general(%0, %0) {contract_a=[1], contract_b=[0]} !w\n"
      " %4 = permute(%1) {order=[1,0]}\n %5 = exp(%4) !v\n %6 = exp(%2) !u\n output old = %2\n"
      " assign w = %3 of %0\n assign v = %5 of %1\n assign u = %6 of %2\n}\n",
      2);
  Plan *p = plan_read(g, a, REAL);
  assert_null(p->placed[labelled(g, "w")->id]);
  assert_null(p->placed[labelled(g, "v")->id]);
  assert_null(p->placed[labelled(g, "u")->id]);
  simulate(a, g);
}

static void mark_needed(const Graph *g, const Plan *p, bool *needed) {
  for (int i = 0; i < g->results.count; i++)
    if (g->results.at[i].kind != RESULT_GRAD)
      needed[p->memory[g->results.at[i].node->id].owner->group] = true;
  for (int k = p->ngroups; k > 0; k--)
    for (int i = 0; needed[k] && i < p->groups[k].members.count; i++)
      for (int j = 0; j < p->groups[k].members.at[i]->nin; j++) {
        const Node *in = p->groups[k].members.at[i]->in[j];
        if (in) needed[p->memory[in->id].owner->group] = true;
      }
}

/* forward() runs no more than its results need. */
static void the_forward_part_comes_first(void **state) {
  Arena *a = *state;
  static const char *const nets[] = {"batch_norm", "conv_pool", "mixer", "concat_dropout",
                                     "regression_mlp"};
  for (size_t i = 0; i < sizeof nets / sizeof *nets; i++)
    for (int p = PROGRAM_GRAD; p <= PROGRAM_GRAD_EVAL; p++) {
      Graph *g = program(a, net(a, nets[i]), (Program)p, NULL, 2);
      Plan *plan = plan_read(g, a, REAL);
      bool *needed = ARENA_ARRAY(a, bool, plan->ngroups + 1);
      mark_needed(g, plan, needed);
      assert_in_range(plan->cut, 1, plan->ngroups - 1);
      for (int k = 1; k <= plan->ngroups; k++) assert_true(needed[k] == (k <= plan->cut));
    }
}

/* ---- in place ---- */

#define PRODUCT_OF_ROWS                                                               \
  " train { optimizer sgd {lr=0.1} batch 2 }\n %0 = input {name=\"x\", shape=[8,8], " \
  "elem=\"f32\"}\n"                                                                   \
  " %1 = param {name=\"w\", shape=[8,8], init=constant(0)}\n"                         \
  " %2 = dot_general(%0, %1) {contract_a=[1], contract_b=[0]} !x\n"
#define TURN(x) "permute(" x ") {order=[1,0]}"

/* Does y, made from x by the lines given, lie where x lay? */
static bool in_place(Arena *a, const char *lines, int level) {
  Graph *g = planned(a, arena_printf(a, "graph g {\n%s%s}\n", PRODUCT_OF_ROWS, lines), level);
  const Node *x = labelled(g, "x"), *y = labelled(g, "y");
  assert_true(x->offset >= 0 && y->offset >= 0);
  assert_int_not_equal(x->group, y->group);
  simulate(a, g);
  return x->offset == y->offset;
}

static void sweeps_write_over_what_dies(void **state) {
  Arena *a = *state;
  /* a permutation there and back keeps the sweep out of the product's epilogue */
  assert_true(in_place(
      a, " %3 = " TURN("%2") "\n %4 = " TURN("%3") "\n %5 = exp(%4) !y\n output y = %5\n", 2));
  assert_false(in_place(
      a, " %3 = " TURN("%2") "\n %4 = " TURN("%3") "\n %5 = exp(%4) !y\n output y = %5\n", 0));
}

static void values_read_elsewhere_are_kept(void **state) {
  Arena *a = *state;
  assert_false(in_place(a, " %3 = " TURN("%2") "\n %4 = exp(%3) !y\n output y = %4\n",
                        2)); /* at another element */
  assert_false(in_place(
      a, " %3 = dot_general(%2, %1) {contract_a=[1], contract_b=[0]} !y\n output y = %3\n", 2));
  assert_false(
      in_place(a,
               " %3 = " TURN("%2") "\n %4 = " TURN("%3") "\n %5 = exp(%4) !y\n output y = %5\n"
                                                         " output x = %2\n",
               2)); /* a result */
  assert_false(in_place(
      a,
      " %3 = " TURN("%2") "\n %4 = " TURN("%3") "\n %5 = exp(%4) !y\n"
                                                " %6 = dot_general(%2, %5) {contract_a=[1], "
                                                "contract_b=[0], batch_a=[], batch_b=[]}\n"
                                                " output z = %6\n",
      2)); /* read later */
  assert_false(in_place(a, " %3 = " TURN("%2") "\n %4 = add(%2, %3) !y\n output y = %4\n",
                        2)); /* here and elsewhere */
}

/* x dies, but for views of it. %4 is x itself, turned twice, %5 its first row; y is computed
 * element by element. */
static void views_of_what_is_overwritten_count(void **state) {
  Arena *a = *state;
  static const struct {
    const char *y, *more;
    bool in_place;
  } row[] = {
      {"exp(%4)", "", true},
      {"add(%4, %2)", "", true},
      {"add(%4, %5)", "", false}, /* its first row, for all rows */
      {"exp(%4)", " output view = %3\n", false},
      {"exp(%4)", " output view = %5\n", false},
      {"exp(%4)", " %7 = reshape(%2) {shape=[64]}\n output view = %7\n", false},
      {"exp(%4)", " %7 = dot_general(%5, %6) {contract_a=[1], contract_b=[0]}\n output z = %7\n",
       false}, /* later */
      {"exp(%4)",
       " %7 = exp(%5)\n %8 = dot_general(%7, %6) {contract_a=[1], contract_b=[0]}\n"
       " output z = %8\n",
       true}, /* before */
  };
  for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
    const char *lines =
        arena_printf(a,
                     " %%3 = %s\n %%4 = %s\n %%5 = cut(%%2) {start=[0,0], size=[1,8], step=[1,1]}\n"
                     " %%6 = %s !y\n output y = %%6\n%s",
                     TURN("%2"), TURN("%3"), row[i].y, row[i].more);
    if (in_place(a, lines, 2) != row[i].in_place) fail_msg("row %d", (int)i);
  }
}

/* ---- lives and the peak ---- */

static void the_peak_of_a_chain_is_its_widest_pair(void **state) {
  Arena *a = *state;
  static const int width[] = {32, 64, 16, 128, 48, 16};
  Str s = str_new(a);
  str_put(&s,
          "graph g {\n train { optimizer sgd {lr=0.1} batch 4 }\n %0 = input {name=\"x\", "
          "shape=[16], elem=\"f32\"}\n");
  int64_t want = 0;
  for (int i = 0; i < 6; i++) {
    str_printf(&s, " %%%d = param {name=\"w%d\", shape=[%d,%d], init=constant(0)}\n", 2 * i + 1, i,
               i ? width[i - 1] : 16, width[i]);
    str_printf(&s, " %%%d = dot_general(%%%d, %%%d) {contract_a=[0], contract_b=[0]}\n", 2 * i + 2,
               2 * i, 2 * i + 1);
    int64_t pair = 4 * REAL * (width[i] + (i ? width[i - 1] : 0));
    if (pair > want) want = pair;
  }
  str_put(&s, " output y = %12\n}\n");
  for (int level = 0; level <= 2; level += 2) {
    Graph *g = planned(a, s.text, level);
    assert_int_equal(plan_read(g, a, REAL)->peak, want);
    Str text = str_new(a);
    plan_print(g, &text, a, REAL);
    assert_non_null(strstr(text.text, arena_printf(a, "results %lld bytes\n", (long long)want)));
  }
}

/* %7 is asked for first, but waits until the wide values are gone. */
static void what_is_needed_late_comes_late(void **state) {
  Arena *a = *state;
  static const char text[] =
      "graph g {\n train { optimizer sgd {lr=0.1} batch 4 }\n"
      " %0 = input {name=\"x\", shape=[16], elem=\"f32\"}\n"
      " %1 = param {name=\"w1\", shape=[16,64], init=constant(0)}\n"
      " %2 = param {name=\"w2\", shape=[16,512], init=constant(0)}\n"
      " %3 = param {name=\"w3\", shape=[512,512], init=constant(0)}\n"
      " %4 = param {name=\"w4\", shape=[512,16], init=constant(0)}\n"
      " %7 = dot_general(%0, %1) {contract_a=[0], contract_b=[0]} !late\n"
      " %8 = dot_general(%0, %2) {contract_a=[0], contract_b=[0]}\n"
      " %9 = dot_general(%8, %3) {contract_a=[0], contract_b=[0]}\n"
      " %10 = dot_general(%9, %4) {contract_a=[0], contract_b=[0]} !narrow\n"
      " %11 = concat(%7, %10) {dim=0}\n output y = %11\n}\n";
  for (int level = 0; level <= 2; level += 2) {
    Graph *g = planned(a, text, level);
    simulate(a, g);
    int64_t wide = 4 * REAL * (512 + 512), late = level ? 0 : 4 * REAL * 64;
    assert_int_equal(plan_read(g, a, REAL)->peak, wide + late);
    assert_true((labelled(g, "late")->group > labelled(g, "narrow")->group) == (level > 0));
  }
}

static void results_live_past_the_last_kernel(void **state) {
  Arena *a = *state;
  Graph *g = planned(a,
                     "graph g {\n" PRODUCT_OF_ROWS
                     " %3 = exp(%0) !first\n"
                     " %4 = dot_general(%2, %1) {contract_a=[1], contract_b=[0]} !last\n"
                     " output first = %3\n output last = %4\n}\n",
                     2);
  Plan *p = plan_read(g, a, REAL);
  assert_true(p->end[labelled(g, "first")->id] > p->ngroups);
  assert_true(p->end[labelled(g, "last")->id] > p->ngroups);
  assert_int_equal(p->end[labelled(g, "x")->id], labelled(g, "last")->group);
}

/* The last rows of a gradient program's forward part are copied before the backward part may reuse
 * them. */
static void forward_results_die_at_the_cut(void **state) {
  Arena *a = *state;
  Graph *g = program(a, net(a, "regression_mlp"), PROGRAM_GRAD, NULL, 2);
  Plan *p = plan_read(g, a, REAL);
  for (int i = 0; i < g->results.count; i++) {
    const Result *r = &g->results.at[i];
    const Node *owner = p->memory[r->node->id].owner;
    if (owner->group)
      assert_true(p->end[owner->id] >= 1 + (r->kind == RESULT_GRAD ? p->ngroups : p->cut));
  }
}

/* ---- the picture ---- */

/* Every tag is closed by its own, and text holds no stray mark. Returns the tags named `wanted`. */
static int count_tags(Arena *a, const char *svg, const char *wanted) {
  VEC(const char *) open = {0};
  int count = 0;
  for (const char *s = strchr(svg, '<'); s; s = strchr(s, '<')) {
    const char *end = strchr(s, '>');
    assert_non_null(end);
    bool closing = s[1] == '/', alone = end[-1] == '/';
    const char *name = arena_strndup(a, s + 1 + closing, strcspn(s + 1 + closing, " />"));
    assert_true(*name >= 'a' && *name <= 'z');
    if (closing) assert_string_equal(open.at[--open.count], name);
    if (!closing && !alone) vec_push(a, &open, name);
    count += !closing && !strcmp(name, wanted);
    int quotes = 0;
    for (s++; s < end; s++) quotes += *s == '"';
    assert_int_equal(quotes % 2, 0);
  }
  assert_int_equal(open.count, 0);
  for (const char *s = strchr(svg, '&'); s; s = strchr(s + 1, '&')) assert_int_equal(s[1], '#');
  return count;
}

static void the_picture_has_a_box_a_result(void **state) {
  Arena *a = *state;
  Graph *g = program(a, net(a, "conv_pool"), PROGRAM_TRAIN, NULL, 2);
  Plan *p = plan_read(g, a, REAL);
  int boxes = 1; /* the background */
  for (int i = 0; i < g->nodes.count; i++) {
    if (p->stored[i] && !p->placed[i] && boxes++ == 1) g->nodes.at[i]->label = "a<b&c\n";
  }
  Str svg = str_new(a);
  plan_svg(g, p->peak, &svg, a, REAL);
  assert_int_equal(count_tags(a, svg.text, "rect"), boxes);
  assert_int_equal(count_tags(a, svg.text, "title"), boxes - 1);
  assert_non_null(strstr(svg.text, "a&#60;b&#38;c"));
}

static void bytes_are_rounded_to_blocks(void **state) {
  Arena *a = *state;
  Graph *g = parse(a,
                   "graph g {\n %0 = input {name=\"x\", shape=[17], elem=\"u8\"}\n"
                   " %1 = param {name=\"w\", shape=[17], init=constant(0)}\n output y = %1\n}\n");
  assert_int_equal(plan_bytes(g->nodes.at[0], 1, 4), 64);
  assert_int_equal(plan_bytes(g->nodes.at[0], 4, 4), 128);
  assert_int_equal(plan_bytes(g->nodes.at[1], 100, 4), 128);
  assert_int_equal(plan_bytes(g->nodes.at[1], 100, 8), 192);
}

/* 2^36 elements of 4 bytes, 2^20 samples of them: four times that is the limit. */
static void what_no_sum_can_hold_is_refused(void **state) {
  Arena *a = *state;
  for (int budget = 0; budget < 2; budget++)
    for (int batch = 1; batch <= LIMIT_BATCH; batch += LIMIT_BATCH - 1) {
      Graph *g = parse(a,
                       "graph g {\n %0 = input {name=x, shape=[32768,2097152], elem=\"f32\"}\n"
                       " %1 = exp(%0) %2 = tanh(%1) %3 = exp(%2) %4 = tanh(%3)\n"
                       " output y = %4 output z = %3 }");
      PassOptions o = options_for(a, g);
      o.verify_each = false;
      o.memory_budget = budget;
      g->train.batch = batch;
      assert_int_equal(pipeline_passes(g, "layout,fuse,recompute,plan", &o), batch == 1);
      if (batch > 1)
        assert_non_null(strstr(only_error(&o), "the values of a batch of 1048576 take more than"));
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(plans_of_networks_run),
      TEST(plans_of_random_graphs_run),
      TEST(planted_faults_are_found),
      TEST(a_late_reader_of_a_parameter_is_found),
      TEST(updates_that_wait_for_each_other),
      TEST(updates_in_a_line_are_all_in_place),
      TEST(parameters_that_are_still_read_are_not_overwritten),
      TEST(the_forward_part_comes_first),
      TEST(sweeps_write_over_what_dies),
      TEST(values_read_elsewhere_are_kept),
      TEST(views_of_what_is_overwritten_count),
      TEST(the_peak_of_a_chain_is_its_widest_pair),
      TEST(what_is_needed_late_comes_late),
      TEST(results_live_past_the_last_kernel),
      TEST(forward_results_die_at_the_cut),
      TEST(the_picture_has_a_box_a_result),
      TEST(bytes_are_rounded_to_blocks),
      TEST(what_no_sum_can_hold_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
