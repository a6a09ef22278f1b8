#include "driver/fatal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "codegen/link.h"
#include "codegen/object.h"
#include "driver/driver.h"

enum { MOST_NAMES = 8 };
static const char *name[MOST_NAMES];
static volatile sig_atomic_t names;

void fatal_remove(const char *temporary) {
  if (names == MOST_NAMES) return;
  name[names] = temporary;
  names++;
}

static void clean_up(void) {
  for (int i = 0; i < names; i++)
    if (unlink(name[i]) && errno == EISDIR) link_workspace_remove(name[i]);
}

void fatal_finish(void) {
  clean_up();
  names = 0;
}

/* The tools that run write to the workspace: they end first. */
static void on_signal(int number) {
  while (wait(NULL) > 0) continue;
  clean_up();
  raise(number); /* whose action is the default again */
}

static void catch_signals(void) {
  static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
  for (int i = 0; i < 3; i++) {
    struct sigaction old, action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    if (!sigaction(numbers[i], NULL, &old) && old.sa_handler != SIG_IGN)
      sigaction(numbers[i], &action, NULL);
  }
}

/* C++ without memory aborts, in the middle of anything. */
static void on_abort(int signal_number) {
  static const char text[] =
      "dlc: error: out of memory, or a fault of dlc. If memory is enough, please report it with "
      "the "
      ".net file and this command line.\n";
  (void)signal_number;
  clean_up();
  if (write(STDERR_FILENO, text, sizeof text - 1) < 0) _exit(EXIT_DIAGNOSED);
  _exit(EXIT_FAULT);
}

/* What LLVM cannot go on from: the disk is full, an operation that the target lacks. */
static void on_fatal(const char *reason) {
  fprintf(stderr, "dlc: error: %s\n", reason);
  exit(EXIT_FAULT);
}

void fatal_install(void) {
  struct sigaction action = {.sa_handler = on_abort, .sa_flags = (int)SA_RESETHAND};
  sigaction(SIGABRT, &action, NULL);
  catch_signals();
  object_on_fatal(on_fatal);
  atexit(clean_up); /* an arena without memory exits */
}
