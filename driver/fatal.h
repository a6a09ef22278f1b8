/* The end of a process that cannot go on: memory is out, or LLVM gives up. It says so, removes what
 * lies under temporary names, and exits with 70. A signal that ends it removes them too. */
#ifndef DLC_DRIVER_FATAL_H
#define DLC_DRIVER_FATAL_H

void fatal_install(void);
/* A file or a workspace (codegen/link.h), to be removed by such an end; the name must live until
 * fatal_finish. */
void fatal_remove(const char *temporary);
/* The process ends well: removes what is left all the same, as where it could not be before. */
void fatal_finish(void);

#endif
