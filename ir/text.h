/* What the printer and the parser of the text form share: its words. The form itself is in
 * docs/ir.md. */
#ifndef DLC_IR_TEXT_H
#define DLC_IR_TEXT_H

#include "ir/op.h"

extern const char *const text_elem[3];
extern const char *const text_result[5];

typedef struct {
  const char *name;
  int numbers; /* how many of a, b follow */
} TextInit;
enum { TEXT_INITS = 9 };
extern const TextInit text_init[TEXT_INITS];

/* [A-Za-z_][A-Za-z0-9_.]*, which is printed without quotes. */
bool text_is_word(const char *s);
bool attr_equal(const Attr *a, const Attr *b);

#endif
