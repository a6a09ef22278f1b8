/* Every row of the op table, compiled: outputs and gradients of loss = sum((op(x) * c)^2), and of
 * loss = sum((dL/dx)^2) for second derivatives, against the interpreter's, in f64 and f32, at -O0
 * and -O3, for batches of 1, 3 and the maximum. The settings are those of the derivative tests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "golden.h"
#include "ir/op.h"
#include "tests/ir/op_settings.h"

enum { MAX_BATCH = 5 };

/* ---- a source graph around one op ---- */

typedef struct {
  Arena *arena;
  Str text;
  int count; /* nodes so far */
} Build;

static const char *dims_of(Arena *a, const char *word, bool *batched) {
  const char *open = strchr(word, '[');
  *batched = open && open[1] == '*';
  if (!open) return "[]";
  if (!*batched) return open;
  return open[2] == ',' ? arena_printf(a, "[%s", open + 3) : "[]";
}

/* An operand, brought into the op's domain. */
static int put_operand(Build *b, const char *word, OpDomain domain, int i) {
  static const char *const into[] = {[DOMAIN_POSITIVE] = "exp", [DOMAIN_UNIT] = "sigmoid"};
  bool batched;
  const char *dims = dims_of(b->arena, word, &batched);
  if (word[0] == '_') return -1;
  str_printf(&b->text, "  %%%d = ", b->count);
  if (!strncmp(word, "buf", 3))
    str_printf(&b->text, "buffer {name=x%d, shape=%s, init=constant(1)}\n", i, dims);
  else if (batched && word[0] == 'i')
    str_printf(&b->text, "input {name=x%d, shape=%s, elem=\"i32\"}\n", i, dims);
  else if (batched)
    str_printf(&b->text, "input {name=x%d, shape=%s, elem=\"f32\"}\n", i, dims);
  else
    str_printf(&b->text, "param {name=x%d, shape=%s, init=constant(0)}\n", i, dims);
  int at = b->count++;
  if (word[0] == 'b' && strncmp(word, "buf", 3)) {
    str_printf(&b->text, "  %%%d = positive(%%%d)\n", b->count, at);
    at = b->count++;
  }
  const char *op = word[0] == 'f' && domain < sizeof into / sizeof *into ? into[domain] : NULL;
  if (!op) return at;
  str_printf(&b->text, "  %%%d = %s(%%%d)\n", b->count, op, at);
  return b->count++;
}

/* sum over the real leaves x of |dL/dx|^2; L itself where there is none. */
static Node *second_loss(Graph *g, Node *loss) {
  static const int64_t dims[LIMIT_RANK] = {0, 1, 2, 3, 4, 5, 6, 7};
  Node *sum = NULL;
  for (int i = 0, count = g->nodes.count; i < count; i++) {
    Node *x = g->nodes.at[i];
    bool real = (x->op == OP_input || x->op == OP_param) && x->type.elem == ELEM_F32;
    if (!real) continue;
    Node *d = ir_unary(g, OP_square, ir_binary(g, OP_grad, loss, x));
    d = ir_sum(g, d, d->type.rank, dims, false);
    sum = sum ? ir_binary(g, OP_add, sum, d) : d;
  }
  return sum ? sum : loss;
}

static Graph *build(Arena *a, const OpInfo *info, const char *operands, const char *attrs,
                    bool second) {
  Build b = {.arena = a, .text = str_new(a)};
  int at[8], n = 0;
  char *rest = arena_strdup(a, operands), *word;
  str_put(&b.text, "graph test {\n");
  while ((word = strtok_r(rest, " ", &rest))) at[n] = put_operand(&b, word, info->domain, n), n++;
  int y = b.count++;
  str_printf(&b.text, "  %%%d = %s(", y, info->name);
  for (int i = 0; i < n; i++)
    str_printf(&b.text, at[i] < 0 ? "%s_" : "%s%%%d", i ? ", " : "", at[i]);
  str_printf(&b.text, ")%s%s%s\n", *attrs ? " {" : "", attrs, *attrs ? "}" : "");
  Graph *g = golden_parse(a, arena_printf(a, "%s  output y = %%%d\n}\n", b.text.text, y));
  Type t = g->results.at[0].node->type;
  Node *c = t.batched ? ir_make(g, OP_input, 0, NULL,
                                (Attr[]){attr_str("c"), attr_int(0), attr_ints(t.rank, t.dim),
                                         attr_words("f32")})
                      : ir_make(g, OP_param, 0, NULL,
                                (Attr[]){attr_str("c"), attr_ints(t.rank, t.dim),
                                         attr_init((Init){INIT_CONSTANT, 1, 0}), attr_bool(true)});
  static const int64_t dims[LIMIT_RANK] = {0, 1, 2, 3, 4, 5, 6, 7};
  Node *part =
      ir_unary(g, OP_square, ir_binary(g, OP_mul, g->results.at[0].node, c)); /* no cancellation */
  Node *loss = ir_sum(g, part, t.rank, dims, false);
  ir_result(g, RESULT_LOSS, "loss", second ? second_loss(g, loss) : loss, NULL);
  return g;
}

/* ---- the ways in which each is compiled ---- */

static const GoldenCase ways[] = {
    {.real_bytes = 8, .level = 0, .n = 3, .max_batch = MAX_BATCH, .tolerance = 1e-10},
    {.real_bytes = 8, .level = 3, .n = MAX_BATCH, .max_batch = MAX_BATCH, .tolerance = 1e-10},
    {.real_bytes = 4, .level = 3, .n = 1, .max_batch = MAX_BATCH, .tolerance = 1e-5},
};

enum { WAYS = sizeof ways / sizeof *ways };

static bool is_tried(const OpInfo *info) {
  return info->kind != KIND_LEAF && strcmp(info->name, "grad") != 0 &&
         strcmp(info->name, "auc") != 0;
}

static int64_t check_setting(const OpInfo *info, const char *operands, const char *attrs) {
  int64_t compared = 0;
  Arena *a = arena_new();
  for (size_t i = 0; i < 2 * WAYS; i++) {
    bool second = i >= WAYS;
    print_message("%s (%s) {%s} way %zu%s\n", info->name, operands, attrs, i % WAYS,
                  second ? ", second" : "");
    GoldenCase c = ways[i % WAYS];
    c.seed = (unsigned)i + 1;
    compared += golden_check(build(a, info, operands, attrs, second), &c);
  }
  arena_free(a);
  return compared;
}

static int64_t check_automatic(const OpInfo *info, const Signature *s) {
  bool elementwise = info->kind == KIND_ELEMENTWISE;
  int count = elementwise ? sizeof automatic_elementwise / sizeof *automatic_elementwise
                          : sizeof automatic_other / sizeof *automatic_other;
  int64_t compared = 0;
  for (int k = 0; k < count; k++) {
    char text[128] = "";
    for (int i = 0; i < s->noperands; i++) {
      if (i) strcat(text, " ");
      strcat(text, elementwise ? automatic_elementwise[k][i] : automatic_other[k][i]);
    }
    compared += check_setting(info, text, "");
  }
  return compared;
}

static void every_row(void **state) {
  (void)state;
  const char *only = getenv("OP");
  for (int op = 0; op < OP_COUNT; op++) {
    const OpInfo *info = &op_info[op];
    if (!is_tried(info) || (only && strcmp(only, info->name))) continue;
    int64_t compared = 0;
    bool settings = false;
    for (size_t i = 0; i < sizeof op_settings / sizeof *op_settings; i++)
      if (!strcmp(op_settings[i].op, info->name)) {
        compared += check_setting(info, op_settings[i].operands, op_settings[i].attrs);
        settings = true;
      }
    if (!settings) compared += check_automatic(info, op_signature((Op)op));
    if (!compared) fail_msg("%s: nothing was compared", info->name);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_row)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
