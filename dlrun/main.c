/* dlrun: trains, runs and checks compiled networks. */
#include <stdio.h>
#include <string.h>

#include "base/diag.h"
#include "base/streams.h"
#include "dlrun/cli.h"
#include "dlrun/commands.h"

static const struct {
  const char *name, *does;
  int (*run)(int argc, char **argv);
} command[] = {
#define ROW(name, does) {#name, does, command_##name},
    COMMANDS(ROW)
#undef ROW
};
enum { COMMAND_COUNT = sizeof command / sizeof *command };

static void print_usage(FILE *out) {
  fprintf(out, "usage: dlrun COMMAND MODEL.so [options]\n\ncommands:\n");
  for (int i = 0; i < COMMAND_COUNT; i++)
    fprintf(out, "  %-9s %s\n", command[i].name, command[i].does);
  fprintf(out, "\n'dlrun COMMAND --help' lists a command's options.\n");
}

static int unknown(const char *name) {
  const char *names[COMMAND_COUNT];
  for (int i = 0; i < COMMAND_COUNT; i++) names[i] = command[i].name;
  const char *near = near_name(name, names, COMMAND_COUNT);
  fprintf(stderr, "dlrun: error: there is no command %s", name);
  fprintf(stderr, near ? "; did you mean %s?\n" : "\n", near);
  return EXIT_USAGE;
}

static int run(int argc, char **argv) {
  if (argc < 2) {
    print_usage(stderr);
    return EXIT_USAGE;
  }
  if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
    print_usage(stdout);
    return EXIT_FINE;
  }
  if (strcmp(argv[1], "--version") == 0) {
    printf("dlrun " DLC_VERSION "\n");
    return EXIT_FINE;
  }
  for (int i = 0; i < COMMAND_COUNT; i++)
    if (strcmp(argv[1], command[i].name) == 0) return command[i].run(argc - 2, argv + 2);
  return unknown(argv[1]);
}

int main(int argc, char **argv) {
  streams_open();
  int status = run(argc, argv);
  return streams_flush("dlrun") || status ? status : EXIT_DIAGNOSED;
}
