/* How an elementwise op says its machine code, without LLVM: each function below builds one
 * operation on vectors of the real type (f32 or f64, any width) and is implemented by codegen
 * behind the table. */
#ifndef DLC_IR_EMIT_H
#define DLC_IR_EMIT_H

typedef struct EmitValueOpaque *EmitValue;
typedef struct Emit Emit;

struct Emit {
  EmitValue (*constant)(Emit *e, double x);
  EmitValue (*add)(Emit *e, EmitValue a, EmitValue b);
  EmitValue (*sub)(Emit *e, EmitValue a, EmitValue b);
  EmitValue (*mul)(Emit *e, EmitValue a, EmitValue b);
  EmitValue (*div)(Emit *e, EmitValue a, EmitValue b);
  EmitValue (*neg)(Emit *e, EmitValue a);
  EmitValue (*fma)(Emit *e, EmitValue a, EmitValue b,
                   EmitValue c); /* a * b + c, one rounding where the CPU has it */
  EmitValue (*abs)(Emit *e, EmitValue a);
  EmitValue (*sqrt)(Emit *e, EmitValue a);
  EmitValue (*copysign)(Emit *e, EmitValue magnitude, EmitValue sign);
  /* Comparisons give a mask for select; all are false on NaN, except that `not_equal` is true. */
  EmitValue (*less)(Emit *e, EmitValue a, EmitValue b);
  EmitValue (*less_equal)(Emit *e, EmitValue a, EmitValue b);
  EmitValue (*equal)(Emit *e, EmitValue a, EmitValue b);
  EmitValue (*not_equal)(Emit *e, EmitValue a, EmitValue b);
  EmitValue (*select)(Emit *e, EmitValue mask, EmitValue a, EmitValue b);
  /* Polynomials, a few ulp; NaN and infinities as C's libm. */
  EmitValue (*exp)(Emit *e, EmitValue a);
  EmitValue (*expm1)(Emit *e, EmitValue a);
  EmitValue (*log)(Emit *e, EmitValue a);
  EmitValue (*log1p)(Emit *e, EmitValue a);
  EmitValue (*tanh)(Emit *e, EmitValue a);
  EmitValue (*erf)(Emit *e, EmitValue a);
};

#endif
