/* Standard streams of a program. */
#ifndef DLC_BASE_STREAMS_H
#define DLC_BASE_STREAMS_H

#include <stdbool.h>

/* At the start: the numbers of closed ones are taken, so that no file that is opened later gets
 * what is printed. Writing to them still fails. */
void streams_open(void);
/* At the end: false, with a message, when what was printed could not be written. */
bool streams_flush(const char *program);

#endif
