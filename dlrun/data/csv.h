/* The text of a CSV file, cell by cell. */
#ifndef DLC_DLRUN_CSV_H
#define DLC_DLRUN_CSV_H

#include "dlrun/data/limits.h"
#include "dlrun/data/raw.h"

typedef struct {
  Bytes left;
  const char *path;
  int64_t line;              /* of the cell read last, from 1 */
  bool at_start;             /* the next cell is the first of its row */
  char cell[LIMIT_CSV_CELL]; /* the cell read last, NUL-terminated */
} Csv;

typedef enum { CSV_CELL, CSV_LAST_CELL, CSV_END, CSV_BAD } CsvStep;

void csv_open(Csv *c, const char *path, Bytes text);
/* The next cell; CSV_LAST_CELL when its row ends with it. Empty lines are passed over. CSV_BAD
 * after a fault. */
CsvStep csv_next(Csv *c, Fault *f);
/* A finite decimal number that is the whole cell. */
bool csv_number(const char *cell, double *out);

/* The shape of the file: its first line's cells, whether they name the columns, and how many rows
 * follow. */
typedef struct {
  int64_t columns, rows, body_line; /* the line at which rows start */
  const char *const *header;        /* NULL: none */
  const char *const *classes; /* class names of a first line `rows,features,class,...`, or NULL */
  int64_t class_count;
  const char *hint; /* "", or what an error about the number of columns should add */
  Bytes body;
} CsvShape;
/* Reads the whole file once; a row with another number of cells is a fault. */
bool csv_shape(Arena *a, const char *path, Bytes text, CsvShape *out, Fault *f);
/* -1 when there is none. */
int64_t csv_column(const CsvShape *s, const char *name);

#endif
