/* Aligned tables of text. */
#ifndef DLC_DLRUN_TABLE_H
#define DLC_DLRUN_TABLE_H

#include <stdio.h>

#include "base/vec.h"

enum { TABLE_COLUMNS = 8 };

typedef struct {
  Arena *arena;
  int columns;
  const char *align; /* one letter a column: l or r */
  VEC(const char **) rows;
} Table;

Table table_new(Arena *a, const char *align);
/* As many texts as there are columns; they are copied. */
void table_row(Table *t, ...);
void table_rule(Table *t); /* a blank line */
void table_print(const Table *t, FILE *out);

#endif
