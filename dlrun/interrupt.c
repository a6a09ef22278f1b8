#include "dlrun/interrupt.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t held, caught, count, last;

static void end(int number) {
  signal(number, SIG_DFL);
  raise(number);
}

static void on_signal(int number) {
  last = number;
  count++;
  if (!held && count > caught) end(number);
}

static void install(void) {
  static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
  for (int i = 0; i < 3; i++) {
    struct sigaction old, action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    if (!sigaction(numbers[i], NULL, &old) && (numbers[i] != SIGHUP || old.sa_handler != SIG_IGN))
      sigaction(numbers[i], &action, NULL);
  }
}

void interrupt_hold(void) {
  held = 1;
  install();
}

void interrupt_release(void) {
  held = 0;
  if (count > caught) end(last);
}

void interrupt_catch(void) {
  caught = 1;
  install();
}

bool interrupt_noted(void) { return count > 0; }
