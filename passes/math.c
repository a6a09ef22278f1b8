/* The network and its gradients as lines `name = formula`.
 *
 * The nodes of a copy are walked in order, operands first. A node with a name of its own (a
 * parameter, a value that the user named) stands by its name wherever it is used; another stands as
 * its formula, until that is long, or used more than once and not short: then it gets a name, t1,
 * t2, ..., or dL/dh if it is the gradient by h.
 *
 * L is the loss of one sample, as in a textbook: batch_size is put as 1 and sums over the batch are
 * left out. Only where the network itself mixes the samples (batch norm) are they kept, as sum_n
 * and N. */
#include "passes/math.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "passes/grad.h"
#include "passes/math_expr.h"
#include "passes/pass.h"

enum { INLINE_GRADIENT = 32, INLINE_SHARED = 40, INLINE_ANY = 72 };

typedef struct {
  const char *name; /* of what the loss is differentiated by */
  int result;       /* index of the gradient among the results, which follow simplification */
  double place;     /* where it is in the network: gradients are written from the loss back */
} Target;

typedef struct {
  Arena *arena;
  Graph *g;
  MathContext c;
  bool *needed; /* by id: what the loss and the outputs are computed from */
  bool *named;
  int *uses;         /* by id: as an operand */
  const char **name; /* by id, or NULL */
  VEC(const char *) taken;
  VEC(Target) targets;
  int first_target; /* the first of the results that are gradients */
  const char *loss; /* its name */
  int temporaries;
  Str forward, gradients;
} Math;

/* ---- the graph to print ---- */

static void keep_results(Graph *g) {
  int kept = 0;
  for (int i = 0; i < g->results.count; i++)
    if (g->results.at[i].kind == RESULT_LOSS || g->results.at[i].kind == RESULT_OUTPUT)
      g->results.at[kept++] = g->results.at[i];
  g->results.count = kept;
  ir_tidy(g);
}

static bool mixes_samples(const Graph *g) {
  for (int i = 0; i < g->nodes.count; i++) {
    const Node *n = g->nodes.at[i];
    if (op_info[n->op].kind == KIND_FORMULA && op_signature(n->op)->nattrs > 1 &&
        node_bool(n, "batch"))
      return true;
  }
  return false;
}

static void one_sample(Graph *g, Arena *scratch) {
  int count = g->nodes.count;
  Node *one = ir_constant(g, 1);
  Node **to = ARENA_ARRAY(scratch, Node *, count + 1);
  for (int i = 0; i < count; i++)
    if (g->nodes.at[i]->op == OP_batch_size) to[i] = one;
  ir_substitute(g, to);
  ir_tidy(g);
}

static Node *loss_of(const Graph *g) {
  for (int i = 0; i < g->results.count; i++)
    if (g->results.at[i].kind == RESULT_LOSS) return g->results.at[i].node;
  return NULL;
}

/* What the user called the loss, or L. */
static const char *loss_name(const Math *m) {
  const Node *n = loss_of(m->g);
  return n && n->label ? n->label : "L";
}

/* ---- names ---- */

static bool is_taken(const Math *m, const char *name) {
  for (int i = 0; i < m->taken.count; i++)
    if (!strcmp(m->taken.at[i], name)) return true;
  return false;
}

/* The name itself, or with _2, _3, ... where an earlier value has it. */
static const char *name_take(Math *m, const char *name) {
  const char *own = name;
  for (int k = 2; is_taken(m, own); k++) own = arena_printf(m->arena, "%s_%d", name, k);
  vec_push(m->arena, &m->taken, own);
  return own;
}

/* fc1.weight is W_fc1, fc1.bias b_fc1. */
static const char *leaf_name(Math *m, const Node *n) {
  static const struct {
    const char *suffix, *letter;
  } known[] = {{".weight", "W_"}, {".bias", "b_"}};
  const char *name = node_str(n, "name");
  size_t length = strlen(name);
  for (int i = 0; i < 2; i++) {
    size_t tail = strlen(known[i].suffix);
    if (length <= tail || strcmp(name + length - tail, known[i].suffix)) continue;
    return arena_printf(m->arena, "%s%.*s", known[i].letter, (int)(length - tail), name);
  }
  return name;
}

static bool is_leaf(const Node *n) {
  return n->op == OP_input || n->op == OP_target || n->op == OP_param || n->op == OP_buffer;
}

static void name_nodes(Math *m) {
  m->name = ARENA_ARRAY(m->arena, const char *, m->g->nodes.count + 1);
  m->taken.count = 0;
  for (int i = 0; i < m->g->nodes.count; i++)
    if (is_leaf(m->g->nodes.at[i])) m->name[i] = name_take(m, leaf_name(m, m->g->nodes.at[i]));
  for (int i = 0; i < m->g->nodes.count; i++) {
    Node *n = m->g->nodes.at[i];
    if (m->name[i] || !m->needed[i]) continue;
    if (n->op == OP_random_mask)
      m->name[i] = name_take(m, "m");
    else if (n->label && op_info[n->op].kind != KIND_LEAF)
      m->name[i] = name_take(m, n->label);
  }
  for (int i = 0; i < m->g->results.count; i++) {
    const Result *r = &m->g->results.at[i];
    if (m->targets.count && i >= m->first_target) break;
    if (r->kind == RESULT_OUTPUT && !m->name[r->node->id])
      m->name[r->node->id] = name_take(m, r->name);
  }
}

/* Ancestors of the results before `end`. */
static bool *ancestors(const Graph *g, Arena *a, int end, bool loss_only) {
  bool *in = ARENA_ARRAY(a, bool, g->nodes.count + 1);
  for (int i = 0; i < end; i++)
    if (!loss_only || g->results.at[i].kind == RESULT_LOSS) in[g->results.at[i].node->id] = true;
  for (int i = g->nodes.count - 1; i >= 0; i--)
    for (int k = 0; in[i] && k < g->nodes.at[i]->nin; k++)
      if (g->nodes.at[i]->in[k]) in[g->nodes.at[i]->in[k]->id] = true;
  return in;
}

/* ---- gradients ---- */

static bool varies(const Node *n) {
  if (n->op == OP_param) return node_bool(n, "trainable");
  return n->op == OP_input && n->type.elem == ELEM_F32;
}

/* By id: depends on a trainable parameter or a real input. */
static bool *variables(const Graph *g, Arena *a) {
  bool *v = ARENA_ARRAY(a, bool, g->nodes.count + 1);
  for (int i = 0; i < g->nodes.count; i++) {
    const Node *n = g->nodes.at[i];
    v[i] = varies(n);
    for (int k = 0; k < n->nin && n->op != OP_random_mask && n->op != OP_random_uniform; k++)
      if (n->in[k] && v[n->in[k]->id]) v[i] = true;
  }
  return v;
}

static bool is_target(const Math *m, const Node *n, const bool *variable) {
  if (n->type.elem != ELEM_F32 || !variable[n->id]) return false;
  return varies(n) || (m->name[n->id] && strcmp(m->name[n->id], m->loss));
}

/* A value's place is its own, a leaf's is just before its first use. */
static double place_of(const Graph *g, const Node *n) {
  if (!is_leaf(n)) return n->id;
  for (int i = 0; i < g->nodes.count; i++)
    for (int k = 0; k < g->nodes.at[i]->nin; k++)
      if (g->nodes.at[i]->in[k] == n) return i - 0.5;
  return n->id;
}

static int later_first(const void *a, const void *b) {
  const Target *x = a, *y = b;
  if (x->place != y->place) return x->place < y->place ? 1 : -1;
  return x->result - y->result;
}

/* Differentiates the loss by all that has a name, and adds the gradients to the results. */
static void add_gradients(Math *m) {
  Node *loss = loss_of(m->g);
  if (!loss) return;
  bool *variable = variables(m->g, m->arena),
       *reach = ancestors(m->g, m->arena, m->g->results.count, true);
  VEC(Node *) by = {0};
  for (int i = 0; i < m->g->nodes.count; i++) {
    Node *n = m->g->nodes.at[i];
    if (!reach[i] || n == loss || !is_target(m, n, variable)) continue;
    Target t = {m->name[i], m->g->results.count + by.count, place_of(m->g, n)};
    vec_push(m->arena, &by, n);
    vec_push(m->arena, &m->targets, t);
  }
  m->first_target = m->g->results.count;
  Node **out = ARENA_ARRAY(m->arena, Node *, by.count + 1);
  grad_build(m->g, loss, by.at, by.count, out);
  for (int i = 0; i < by.count; i++)
    ir_result(m->g, RESULT_OUTPUT, m->targets.at[i].name, out[i], NULL);
  if (by.count) qsort(m->targets.at, (size_t)by.count, sizeof *m->targets.at, later_first);
  ir_tidy(m->g);
}

/* ---- lines ---- */

static void line(Str *out, const char *name, const char *is, const char *text) {
  str_printf(out, "%s %s %s\n", name, is, text);
}

/* Length as a reader feels it: a long name is one word like a short one. */
static int size_of(const char *text) {
  int size = 0;
  while (*text) {
    int word = 0;
    while (isalnum((unsigned char)text[word]) || text[word] == '_' || text[word] == '.') word++;
    size += word > 3 ? 3 : word ? word : 1;
    text += word ? word : 1;
  }
  return size;
}

static bool is_short(const char *text, int most) {
  return size_of(text) <= most && strlen(text) <= INLINE_ANY;
}

static Formula as_name(const char *name) { return (Formula){.text = name, .binding = BIND_ATOM}; }

/* The lines of the gradients that n is; where it is long it stands by the first one's name
 * afterwards. */
static bool put_gradients(Math *m, const Node *n, Formula f) {
  bool any = false, stands = false;
  for (int i = 0; i < m->targets.count; i++) {
    const Target *t = &m->targets.at[i];
    if (m->g->results.at[t->result].node != n) continue;
    const char *name = arena_printf(m->arena, "d%s/d%s", m->loss, t->name);
    line(&m->gradients, name, "=", m->c.of[n->id].text);
    any = true;
    if (stands || m->name[n->id] || is_short(f.text, INLINE_GRADIENT)) continue;
    m->c.of[n->id] = (Formula){.text = name, .binding = BIND_POWER};
    m->named[n->id] = stands = true;
  }
  return any;
}

static void put_temporary(Math *m, const Node *n, Formula f) {
  const char *name;
  do name = arena_printf(m->arena, "t%d", ++m->temporaries);
  while (is_taken(m, name));
  line(m->needed[n->id] ? &m->forward : &m->gradients, name, "=", f.text);
  m->c.of[n->id] = as_name(name);
  m->named[n->id] = true;
}

static void put_node(Math *m, const Node *n) {
  Formula f = math_formula(&m->c, n);
  const char *name = m->name[n->id];
  m->named[n->id] = name != NULL;
  if (name) {
    if (!is_leaf(n)) line(&m->forward, name, n->op == OP_random_mask ? "~" : "=", f.text);
    f = as_name(name);
  }
  m->c.of[n->id] = f;
  if (put_gradients(m, n, f) || name) return;
  if (!is_short(f.text, m->uses[n->id] > 1 ? INLINE_SHARED : INLINE_ANY)) put_temporary(m, n, f);
}

static void count_uses(Math *m) {
  m->uses = ARENA_ARRAY(m->arena, int, m->g->nodes.count + 1);
  for (int i = 0; i < m->g->nodes.count; i++)
    for (int k = 0; k < m->g->nodes.at[i]->nin; k++)
      if (m->g->nodes.at[i]->in[k]) m->uses[m->g->nodes.at[i]->in[k]->id]++;
}

/* Results that are other names of a value, and the loss. */
static void put_results(Math *m, int end) {
  for (int i = 0; i < end; i++) {
    const Result *r = &m->g->results.at[i];
    const char *name = r->kind == RESULT_LOSS ? m->loss : r->name,
               *text = m->c.of[r->node->id].text;
    if (strcmp(name, text)) line(&m->forward, name, "=", text);
  }
}

/* Operands first: the network in its order, then what each gradient needs, gradient by gradient. */
static const Node **writing_order(const Math *m, int *count) {
  int n = m->g->nodes.count;
  const Node **order = ARENA_ARRAY(m->arena, const Node *, n + 1);
  int *rank = ARENA_ARRAY(m->arena, int,
                          n + 1); /* 1 + the first target that needs the node; 0: the network */
  for (int i = 0; i < n; i++) rank[i] = m->needed[i] || is_leaf(m->g->nodes.at[i]) ? 0 : n + 1;
  for (int t = 0; t < m->targets.count; t++) {
    int *of = &rank[m->g->results.at[m->targets.at[t].result].node->id];
    if (*of > t + 1) *of = t + 1;
  }
  for (int i = n - 1; i >= 0; i--)
    for (int k = 0; k < m->g->nodes.at[i]->nin; k++) {
      const Node *x = m->g->nodes.at[i]->in[k];
      if (x && rank[x->id] > rank[i]) rank[x->id] = rank[i];
    }
  VEC(const Node *) *bucket =
      (void *)arena_alloc(m->arena, (size_t)m->targets.count + 2, sizeof *bucket);
  for (int i = 0; i < n; i++)
    if (rank[i] <= m->targets.count) vec_push(m->arena, &bucket[rank[i]], m->g->nodes.at[i]);
  for (int t = 0; t <= m->targets.count; t++)
    for (int i = 0; i < bucket[t].count; i++) order[(*count)++] = bucket[t].at[i];
  return order;
}

static void put_all(Math *m) {
  int end = m->targets.count ? m->first_target : m->g->results.count;
  m->needed = ancestors(m->g, m->arena, end, false);
  m->named = ARENA_ARRAY(m->arena, bool, m->g->nodes.count + 1);
  name_nodes(m);
  count_uses(m);
  m->c.of = ARENA_ARRAY(m->arena, Formula, m->g->nodes.count + 1);
  m->c.named = m->named;
  int count = 0;
  const Node **order = writing_order(m, &count);
  for (int i = 0; i < count; i++) put_node(m, order[i]);
  put_results(m, end);
}

static void put_header(const Math *m, Str *out) {
  str_printf(out, "# %s\n", m->g->name ? m->g->name : "graph");
  if (!m->targets.count) return;
  if (m->c.batch)
    str_printf(out, "# %s is the mean loss of a batch of N samples; sum_n is a sum over them\n",
               m->loss);
  else
    str_printf(out,
               "# %s is the loss of one sample; a batch takes the mean of it and of the gradients "
               "by parameters\n",
               m->loss);
  str_put(out,
          "# a * b is elementwise, W x and x^T are of matrices, 1[c] is 1 where c holds and 0 "
          "elsewhere\n");
}

/* What the ops mean that a .net file cannot call. */
static void put_legend(const Math *m, Str *out) {
  bool seen[OP_COUNT] = {false};
  for (int i = 0; i < m->g->nodes.count; i++) {
    const Node *n = m->g->nodes.at[i];
    const OpInfo *info = &op_info[n->op];
    if (seen[n->op] || !info->internal || !math_is_call(n)) continue;
    seen[n->op] = true;
    const char *meaning = strchr(info->meaning, ':');
    str_printf(out, "# %s: %s\n", info->name, meaning ? meaning + 2 : info->meaning);
  }
}

void math_print(const Graph *g, Str *out) {
  Arena *a = arena_new();
  Math m = {.arena = a, .g = ir_copy(g, a), .forward = str_new(a), .gradients = str_new(a)};
  PassOptions options = {.level = 1};
  keep_results(m.g);
  m.c = (MathContext){.arena = a, .batch = mixes_samples(m.g)};
  if (!m.c.batch) one_sample(m.g, a);
  pass_simplify(m.g, a, &options);
  m.needed = ancestors(m.g, a, m.g->results.count, false);
  m.loss = loss_name(&m);
  name_nodes(&m);
  add_gradients(&m);
  pass_simplify(m.g, a, &options);
  if (!m.c.batch) one_sample(m.g, a); /* the sums over the batch of what is shared */
  pass_simplify(m.g, a, &options);
  put_all(&m);
  put_header(&m, out);
  put_legend(&m, out);
  str_printf(out, "\n%s", m.forward.text);
  if (m.targets.count) str_printf(out, "\n%s", m.gradients.text);
  arena_free(a);
}
