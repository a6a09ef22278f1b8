/* Command lines: one table of options a command, from which parsing and --help both come. */
#ifndef DLC_DLRUN_CLI_H
#define DLC_DLRUN_CLI_H

#include <stdbool.h>
#include <stdint.h>

enum { EXIT_FINE = 0, EXIT_DIAGNOSED = 1, EXIT_USAGE = 2, EXIT_INTERNAL = 70 };

typedef enum { OPT_TEXT, OPT_LIST, OPT_COUNT, OPT_REAL, OPT_SEED, OPT_FLAG } OptKind;

/* What an option that may be repeated was given, in order. */
enum { TEXT_LIST = 64 };
typedef struct {
  const char *at[TEXT_LIST];
  int count;
} TextList;

typedef struct {
  const char *name; /* "--data", "-o" */
  OptKind kind;
  void *to;          /* const char ** | TextList * | int64_t * | double * | uint64_t * | bool * */
  const char *value; /* what --help calls it */
  const char *help;
  bool required;
} Opt;

typedef struct {
  const char *name, *does; /* "train", "train the network on data" */
  const Opt *opts;
  int count;
} Cli;

/* Fills what the options point to and *model, the one positional argument. True to go on; otherwise
 * *status is what to exit with: 0 after --help, 2 after a usage error. */
bool cli_parse(const Cli *c, int argc, char **argv, const char **model, int *status);

#define OPT_LIST_COUNT(list) ((int)(sizeof(list) / sizeof *(list)))

#endif
