/* Graphs from texts with wrong numbers, one op at a time: each is refused with one error, or it
 * verifies, prints as text that parses back, and is interpreted. Run under the sanitizers, this is
 * where they look. */
#include "tests/ir/fixture.h"

#include <ctype.h>
#include <stdlib.h>

#include "ir/interp.h"

enum { ROUNDS = 60, SMALL = 100000 };

static uint32_t draw(uint32_t *counter) { return philox(11, 0, 0, (*counter)++); }

/* The text of what node i needs, without types, so that a change of an attribute is not at once a
 * contradiction. */
static const char *text_of(Arena *a, const Graph *whole, int i) {
  Graph *g = ir_copy(whole, a);
  g->results.count = 0;
  ir_result(g, RESULT_OUTPUT, "y", g->nodes.at[i], NULL);
  ir_tidy(g);
  Str out = str_new(a);
  for (const char *s = print(a, g); *s; s++) {
    if (!strncmp(s, " : ", 3)) s += 3 + strcspn(s + 3, " \n");
    str_putn(&out, s, 1);
  }
  return out.text;
}

/* One digit becomes another number. */
static const char *with_wrong_number(Arena *a, const char *text, uint32_t *counter) {
  static const char *const numbers[] = {
      "2147483648", "2147483647", "-2147483648", "1073741824", "65536", "46341", "-1",
      "0",          "1",          "2",           "3",          "5",     "7",     "9"};
  size_t n = strlen(text), at;
  do at = draw(counter) % n;
  while (!isdigit((unsigned char)text[at]));
  const char *number = numbers[draw(counter) % 14];
  return arena_printf(a, "%.*s%s%s", (int)at, text, number, text + at + 1);
}

static bool is_small(const Graph *g) {
  int64_t total = 0;
  for (int i = 0; i < g->nodes.count; i++) {
    if (g->nodes.at[i]->op == OP_grad) return false; /* not for the interpreter */
    total += type_elements(&g->nodes.at[i]->type);
  }
  return total < SMALL;
}

static void interpret(Arena *a, const Graph *g, bool training) {
  OpError e = {.arena = a};
  Interp *p = interp_new(a, g, 2, training, &e);
  if (!p) fail_msg("%s", e.text);
  interp_randomize(p, 1);
  if (!interp_run(p, &e)) fail_msg("%s", e.text);
}

/* Whether it was a graph. */
static bool survive(const char *text, bool training) {
  Arena *a = arena_new();
  Diags *d;
  Graph *g = parse_into(a, text, strlen(text), &d);
  assert_int_equal(d->errors, g ? 0 : 1);
  if (g) {
    assert_null(ir_verify(g, a));
    const char *once = print(a, g);
    assert_string_equal(print(a, parse(a, once)), once);
    if (is_small(g)) interpret(a, g, training);
  }
  arena_free(a);
  return g != NULL;
}

static void wrong_numbers(void **state) {
  Arena *a = *state;
  Graph *g = parse(a, read_text(a, TEST_SOURCE_DIR "/tests/ir/all_ops.ir"));
  uint32_t counter = 0;
  int graphs = 0, refused = 0;
  for (int i = 0; i < g->nodes.count; i++) {
    Arena *b = arena_new();
    const char *text = text_of(b, g, i);
    for (int k = 0; k < ROUNDS; k++) {
      bool fine = survive(with_wrong_number(b, text, &counter), k % 2);
      graphs += fine;
      refused += !fine;
    }
    arena_free(b);
  }
  assert_true(graphs > 500 && refused > 500);
}

/* Not too deep for the parser, not too slow for the checks. */
static void long_chains(void **state) {
  Arena *a = *state;
  enum { LENGTH = 20000 };
  Str s = str_new(a);
  str_put(&s, "graph g { %0 = input {name=\"x\", shape=[1], elem=\"f32\"}\n");
  for (int i = 0; i < LENGTH; i++) str_printf(&s, "%%%d = gelu(%%%d)\n", i + 1, i);
  str_printf(&s, "output y = %%%d }", LENGTH);
  Graph *g = parse(a, s.text);
  assert_null(ir_verify(g, a));
  interpret(a, g, false);
}

/* What each line says alone is right. */
static void no_valid_graph(void **state) {
  Arena *a = *state;
  const char *text =
      "graph g { %0 = input {name=x, shape=[], elem=\"i32\"} : i32[*]\nloss loss = %0 }";
  Diags *d;
  assert_null(parse_into(a, text, strlen(text), &d));
  assert_int_equal(d->errors, 1);
  assert_string_equal(d->list.at[0].text,
                      "this is no valid graph: result loss loss is not a scalar");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(wrong_numbers),
      TEST(no_valid_graph),
      TEST(long_chains),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
