#include "dlrun/table.h"

#include <stdarg.h>
#include <string.h>

#include "base/clean.h"

Table table_new(Arena *a, const char *align) {
  return (Table){.arena = a, .columns = (int)strlen(align), .align = align};
}

void table_row(Table *t, ...) {
  const char **row = ARENA_ARRAY(t->arena, const char *, t->columns);
  va_list ap;
  va_start(ap, t);
  for (int i = 0; i < t->columns; i++)
    row[i] = clean_text(arena_strdup(t->arena, va_arg(ap, const char *)));
  va_end(ap);
  vec_push(t->arena, &t->rows, row);
}

void table_rule(Table *t) { vec_push(t->arena, &t->rows, NULL); }

static int column_width(const Table *t, int column) {
  size_t width = 0;
  for (int r = 0; r < t->rows.count; r++) {
    size_t n = t->rows.at[r] ? strlen(t->rows.at[r][column]) : 0;
    if (n > width) width = n;
  }
  return (int)width;
}

static void print_row(const Table *t, const int *width, const char **row, FILE *out) {
  int last = t->columns - 1; /* that shows something: no blanks at the end of the line */
  while (last > 0 && !*row[last]) last--;
  for (int c = 0; c <= last; c++) {
    int pad = t->align[c] == 'r' ? width[c] : c == last ? 0 : -width[c];
    fprintf(out, "%s%*s", c ? "  " : "", pad, row[c]);
  }
  fputc('\n', out);
}

void table_print(const Table *t, FILE *out) {
  int width[TABLE_COLUMNS] = {0};
  for (int c = 0; c < t->columns; c++) width[c] = column_width(t, c);
  for (int r = 0; r < t->rows.count; r++) {
    if (t->rows.at[r])
      print_row(t, width, t->rows.at[r], out);
    else
      fputc('\n', out);
  }
}
