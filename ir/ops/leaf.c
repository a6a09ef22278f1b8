/* Leaves: values from outside the graph. Their types are what their attributes say. */
#include "ir/ops/common.h"

static bool leaf_type(Node *n, Elem elem, bool batched, Type *out, OpError *e) {
  const Attr *shape = node_attr(n, "shape");
  if (shape->n > LIMIT_RANK)
    return attr_error(e, n, "shape", "%d dimensions; at most %d are allowed", shape->n, LIMIT_RANK);
  *out = type_of(elem, batched, shape->n, shape->v);
  return check_size(out, e);
}

static bool scalar_type(Type *out) {
  *out = type_scalar(false);
  return true;
}

/* The words are "f32", "u8" and "i32". */
static bool outside_type(Node *n, Type *out, OpError *e) {
  char first = node_str(n, "elem")[0];
  Elem elem = first == 'u' ? ELEM_U8 : first == 'i' ? ELEM_I32 : ELEM_F32;
  if (node_int(n, "classes") < 0)
    return attr_error(e, n, "classes", "the number of classes is negative");
  if (node_int(n, "classes") && elem == ELEM_F32)
    return attr_error(e, n, "classes", "class labels are integers");
  return leaf_type(n, elem, true, out, e);
}

bool op_input_shape(Node *n, Type *out, OpError *e) { return outside_type(n, out, e); }
bool op_target_shape(Node *n, Type *out, OpError *e) { return outside_type(n, out, e); }

static bool stored_type(Node *n, Type *out, OpError *e) {
  if (!leaf_type(n, ELEM_F32, false, out, e)) return false;
  const char *wrong = init_fault(node_attr(n, "init")->init, out->rank);
  return !wrong || attr_error(e, n, "init", "%s", wrong);
}

bool op_param_shape(Node *n, Type *out, OpError *e) { return stored_type(n, out, e); }
bool op_buffer_shape(Node *n, Type *out, OpError *e) { return stored_type(n, out, e); }

bool op_constant_shape(Node *n, Type *out, OpError *e) {
  return leaf_type(n, ELEM_F32, false, out, e);
}

bool op_hyper_shape(Node *n, Type *out, OpError *e) {
  (void)n, (void)e;
  return scalar_type(out);
}

bool op_batch_size_shape(Node *n, Type *out, OpError *e) {
  (void)n, (void)e;
  return scalar_type(out);
}
