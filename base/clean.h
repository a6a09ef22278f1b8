/* Text from outside, made fit for a terminal: what is no UTF-8, and control characters but the tab,
 * become '?'. */
#ifndef DLC_BASE_CLEAN_H
#define DLC_BASE_CLEAN_H

#include <stddef.h>
#include <stdio.h>

/* Of the character that s begins with; 0: it is not UTF-8 (RFC 3629), or a C1 control. */
size_t utf8_length(const char *s, size_t left);
void clean_print(FILE *out, const char *s, size_t n);
/* In place; returns s. */
char *clean_text(char *s);

#endif
