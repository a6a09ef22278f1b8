/* The end of a process that cannot go on: memory is out, or LLVM gives up. It says so, removes what
 * lies under temporary names, and exits with 70. */
#ifndef DLC_DRIVER_FATAL_H
#define DLC_DRIVER_FATAL_H

void fatal_install(void);
/* To be removed by such an end; the name must live until fatal_forget. */
void fatal_remove(const char *temporary);
/* The process ends well; nothing is to be removed any more. */
void fatal_forget(void);

#endif
