/* What every command starts from: the opened model, a session, and how failures end. */
#ifndef DLC_DLRUN_TOOL_H
#define DLC_DLRUN_TOOL_H

#include <sys/types.h>

#include "base/vec.h"
#include "dlrun/cli.h"
#include "dlrun/data/dataset.h"
#include "dlrun/fault.h"
#include "dlrun/heads.h"
#include "dlrun/model.h"

/* Which file a path leads to. */
typedef struct {
  dev_t device;
  ino_t inode;
} FileId;

typedef struct {
  Arena *arena;
  Fault fault;
  void *handle;
  const dlc_model *model;
  const dlc_api *api;
  dlc_session *session;
  const Head *heads;  /* see tool_heads */
  VEC(FileId) inputs; /* see tool_reads */
} Tool;

bool tool_open(Tool *t, const char *path);
/* A session with initial values drawn from seed. */
bool tool_session(Tool *t, dlc_mode mode, int64_t threads, uint64_t seed);
/* Whether a call of the interface went well; the fault is its error text. */
bool tool_ok(Tool *t, int code);
bool tool_load(Tool *t, const char *weights);
/* Prints the fault, if there is one, frees everything and gives the exit status. */
int tool_close(Tool *t, bool fine);

/* The batch asked for (0: the train block's), checked against what is compiled in. */
bool tool_batch(Tool *t, int64_t asked, int64_t *out);

/* Which outputs score classes. */
const Head *tool_heads(Tool *t);

/* Before the work starts: what a command reads (the model is known), and that it can write to
 * `path` in the end: a file or nothing is there, in a folder that takes files, and it is none of
 * those read. `option` is what the user said. */
void tool_reads(Tool *t, const char *path);
bool tool_reads_data(Tool *t, const char *spec);
bool tool_writes(Tool *t, const char *option, const char *path);

/* Seconds of a clock that only goes forward. */
double tool_seconds(void);
/* A text stream's abilities. */
bool tool_is_terminal(void);
bool tool_unicode(void);
bool tool_colour(void);

#endif
