/* Output files. Whether one can be written is found out before the work is done, and it appears
 * whole under its name or not at all: it is made under a temporary name beside it and renamed. */
#ifndef DLC_DRIVER_OUTPUT_H
#define DLC_DRIVER_OUTPUT_H

#include "driver/driver.h"

/* False after an error: a file of this name cannot be made, or is the input. Text may also go to
 * what is no regular file, as /dev/null; `path` NULL or "-" is stdout. */
bool output_check(Compilation *c, const char *path);
bool output_check_text(Compilation *c, const char *path);

/* The name is "-". */
bool output_is_stdout(const char *path);

/* The temporary name. */
const char *output_fresh(Compilation *c, const char *path);
/* Gives it its own name, or removes it unless `ok`; false after an error, or where `ok` is. */
bool output_commit(Compilation *c, const char *fresh, const char *path, bool ok);
/* Writes the temporary file. */
bool output_write(Compilation *c, const char *fresh, const char *path, const char *text);

/* A whole text. */
bool output_text(Compilation *c, const char *path, const char *text);

#endif
