/* Each invariant, broken by hand, is named. */
#include "tests/ir/fixture.h"

static Graph *sound(Arena *a) {
  return parse(a,
               "graph g program train {"
               " %0 = input {name=\"x\", shape=[3], elem=\"f32\"}"
               " %1 = param {name=\"w\", shape=[3], init=constant(1)}"
               " %2 = buffer {name=\"b\", shape=[3], init=constant(1)}"
               " %3 = mul(%0, %1) order [0] group 1 offset 0"
               " %4 = reduce_sum(%3) {dims=[0], batch=true}"
               " %5 = reduce_sum(%3) {dims=[], batch=true}"
               " %6 = mse(%0, %3)"
               " output y = %3 loss = %4 metric m = %6 grad w = %5 of %1 assign b = %5 of %2 }");
}

static void expect(const Graph *g, Arena *a, const char *wrong) {
  const char *said = ir_verify(g, a);
  if (wrong) assert_non_null(said);
  if (wrong)
    assert_string_equal(said, wrong);
  else
    assert_null(said);
}

static void a_sound_graph(void **state) { expect(sound(*state), *state, NULL); }

static void broken_structure(void **state) {
  Arena *a = *state;
  Graph *g = sound(a);
  g->nodes.at[3]->id = 9;
  expect(g, a, "node 3 has the id 9");
  g = sound(a);
  g->nodes.at[3]->in[1] = g->nodes.at[4];
  expect(g, a, "%3: operand 1 does not stand before it");
  g = sound(a);
  g->nodes.at[3]->in[1] = sound(a)->nodes.at[1];
  expect(g, a, "%3: operand 1 does not stand before it");
  g = sound(a);
  g->nodes.at[3]->in[1] = NULL;
  expect(g, a, "%3: operand 1 is missing");
  g = sound(a);
  g->nodes.at[3]->nin = 1;
  expect(g, a, "%3: mul has 1 operands");
}

static void broken_nodes(void **state) {
  Arena *a = *state;
  Graph *g = sound(a);
  g->nodes.at[3]->type.dim[0] = 4;
  expect(g, a, "%3: its type is f32[*,4], but mul gives f32[*,3]");
  g = sound(a);
  g->nodes.at[6]->type.batched = false;
  expect(g, a, "%6: its type is f32, but mse gives f32[*]");
  g = sound(a);
  g->nodes.at[4]->attr[1].kind = ATTR_INT;
  expect(g, a, "%4: attribute batch is not complete");
  g = sound(a);
  g->nodes.at[1]->attr[0].s = NULL;
  expect(g, a, "%1: attribute name is not complete");
  g = sound(a);
  g->nodes.at[3]->order[0] = 1;
  expect(g, a, "%3: its order is not a permutation");
  g = sound(a);
  g->nodes.at[3]->offset = -2;
  expect(g, a, "%3: offset -2");
  g = sound(a);
  g->nodes.at[2]->attr[0].s = "w";
  const char *said = ir_verify(g, a);
  assert_non_null(said);
  assert_non_null(strstr(said, "there are two leaves w"));
  g = sound(a);
  g->nodes.at[1]->attr[0].s = node_str(g->nodes.at[0], "name"); /* an input and a parameter */
  assert_non_null(said = ir_verify(g, a));
  assert_non_null(strstr(said, "there are two leaves "));
}

static void broken_results(void **state) {
  Arena *a = *state;
  Graph *g = sound(a);
  g->results.at[0].name = NULL;
  expect(g, a, "result output  has no name");
  g = sound(a);
  g->results.at[1].node = g->nodes.at[5];
  expect(g, a, "result loss  is not a scalar");
  g = sound(a);
  g->results.at[1].node = g->nodes.at[6];
  expect(g, a, "result loss  is per sample");
  g->program = NULL; /* as the frontend leaves it */
  expect(g, a, NULL);
  g->results.at[2].node = g->nodes.at[3];
  expect(g, a, "result metric m is not a scalar");
  g = sound(a);
  g->results.at[3].target = NULL;
  expect(g, a, "result grad w has no target");
  g = sound(a);
  g->results.at[3].node = g->nodes.at[3];
  expect(g, a, "result grad w is not of its target's type");
  g = sound(a);
  g->results.at[4].target = g->nodes.at[0];
  expect(g, a, "result assign b is not to a param or buffer");
  g = sound(a);
  g->results.at[4].node = g->nodes.at[4];
  expect(g, a, "result assign b is not of its target's type");
  g = sound(a);
  g->results.at[0].node = sound(a)->nodes.at[3];
  expect(g, a, "result output y is not in the graph");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_sound_graph),
      TEST(broken_structure),
      TEST(broken_nodes),
      TEST(broken_results),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
