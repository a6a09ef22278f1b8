#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "netgen.h"

enum { SECONDS = 120, SECONDS_ALL = 400 };

typedef struct {
  const char *text;
  uint64_t seed;
  CheckCount count;
} Job;

static void check(void **state) {
  Job *j = *state;
  netgen_check(netgen_read(arena_new(), j->text), j->seed, &j->count);
}

/* One test of a group, because cmocka tells what failed only there. */
static void run_child(const char *text, uint64_t seed, bool all, int to) {
  Job j = {text, seed, {.all = all}};
  const struct CMUnitTest tests[] = {cmocka_unit_test_prestate(check, &j)};
  dup2(to, 1);
  dup2(to, 2);
  alarm(all ? SECONDS_ALL : SECONDS); /* a hang is a failure */
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  dprintf(to, "\ncompared %lld excused %lld\n", (long long)j.count.compared,
          (long long)j.count.excused);
  _exit(failed);
}

/* The last part of what it wrote, and where that ends. */
static size_t read_tail(int from, char *tail, size_t room) {
  char part[4096];
  size_t length = 0;
  for (ssize_t n; (n = read(from, part, sizeof part)) > 0;)
    for (ssize_t i = 0; i < n; i++) {
      if (length == room - 1) memmove(tail, tail + 1, --length);
      tail[length++] = part[i] ? part[i] : '?';
    }
  tail[length] = 0;
  return length;
}

Verdict netgen_try(const char *text, uint64_t seed, bool all) {
  Verdict v = {0};
  int pipes[2], status = 0;
  long long compared = 0, excused = 0;
  if (pipe(pipes)) return (Verdict){.failed = true, .message = "no pipe"};
  fflush(NULL);
  pid_t child = fork();
  if (child < 0) return (Verdict){.failed = true, .message = "no process"};
  if (!child) run_child(text, seed, all, pipes[1]);
  close(pipes[1]);
  read_tail(pipes[0], v.message, sizeof v.message);
  close(pipes[0]);
  waitpid(child, &status, 0);
  v.code = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
  v.failed = v.code != 0;
  const char *last = strstr(v.message, "\ncompared ");
  if (!v.failed && last) sscanf(last, " compared %lld excused %lld", &compared, &excused);
  v.compared = compared;
  v.excused = excused;
  return v;
}
