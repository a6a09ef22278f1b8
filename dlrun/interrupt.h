/* The signals that end a process in order: SIGINT, SIGTERM, SIGHUP (unless it is ignored, as under
 * nohup). None ends it while a file is written, which would leave a temporary one behind. */
#ifndef DLC_DLRUN_INTERRUPT_H
#define DLC_DLRUN_INTERRUPT_H

#include <stdbool.h>

/* A file is being written, until release: a signal waits till then. */
void interrupt_hold(void);
void interrupt_release(void);
/* From here on the first signal is only noted; a second one ends the process. */
void interrupt_catch(void);
bool interrupt_noted(void);

#endif
