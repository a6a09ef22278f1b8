#include "dlrun/cli.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"

enum { MOST_OPTIONS = 32 }; /* of a command */

static void print_help(const Cli *c) {
  printf("usage: dlrun %s MODEL.so [options]\n\n%s\n\noptions:\n", c->name, c->does);
  for (int i = 0; i < c->count; i++) {
    char left[64];
    snprintf(left, sizeof left, "%s%s%s", c->opts[i].name, c->opts[i].value ? " " : "",
             c->opts[i].value ? c->opts[i].value : "");
    printf("  %-20s %s%s\n", left, c->opts[i].help, c->opts[i].required ? " (required)" : "");
  }
  printf("  %-20s %s\n", "--help", "print this");
}

static bool usage_error(const Cli *c, int *status, const char *what, const char *which) {
  fprintf(stderr, "dlrun %s: error: %s%s\nTry 'dlrun %s --help'.\n", c->name, what, which, c->name);
  *status = EXIT_USAGE;
  return false;
}

static bool set_count(const char *text, int64_t *out) {
  if (*text < '0' || *text > '9' || strlen(text) > 15) return false;
  char *end;
  *out = strtoll(text, &end, 10);
  return !*end && *out > 0;
}

static bool set_seed(const char *text, uint64_t *out) {
  if (*text < '0' || *text > '9') return false;
  char *end;
  errno = 0;
  *out = strtoull(text, &end, 10);
  return !*end && !errno;
}

static bool set_real(const char *text, double *out) {
  char *end;
  *out = strtod(text, &end);
  return end != text && !*end && isfinite(*out) && *out >= 0;
}

static bool add_text(const char *text, TextList *list) {
  if (!*text || list->count == TEXT_LIST) return false;
  list->at[list->count++] = text;
  return true;
}

static bool set_value(const Opt *o, const char *text) {
  switch (o->kind) {
    case OPT_TEXT:
      return *(const char **)o->to = text, *text != 0;
    case OPT_LIST:
      return add_text(text, o->to);
    case OPT_COUNT:
      return set_count(text, o->to);
    case OPT_SEED:
      return set_seed(text, o->to);
    case OPT_REAL:
      return set_real(text, o->to);
    case OPT_FLAG:
      return *(bool *)o->to = true;
  }
  return false;
}

/* The option, with *value set where it is written --name=value. */
static const Opt *find_option(const Cli *c, const char *arg, const char **value) {
  size_t n = strcspn(arg, "=");
  *value = arg[n] ? arg + n + 1 : NULL;
  for (int i = 0; i < c->count; i++)
    if (strlen(c->opts[i].name) == n && strncmp(c->opts[i].name, arg, n) == 0) return &c->opts[i];
  return NULL;
}

/* What goes by another name in other commands. */
static const char *other_name(const char *arg) {
  static const char *const names[] = {"--data", "--inputs"};
  size_t n = strcspn(arg, "=");
  for (int i = 0; i < 2; i++)
    if (strlen(names[i]) == n && strncmp(names[i], arg, n) == 0) return names[1 - i];
  return NULL;
}

static const char *near_option(const Cli *c, const char *arg) {
  const char *names[MOST_OPTIONS], *other = other_name(arg);
  char word[64];
  int count = 0;
  for (int i = 0; i < c->count; i++) {
    if (other && strcmp(c->opts[i].name, other) == 0) return other;
    if (strncmp(c->opts[i].name, "--", 2) == 0) names[count++] = c->opts[i].name + 2;
  }
  snprintf(word, sizeof word, "%.*s", (int)strcspn(arg, "="), arg);
  const char *near = near_name(word + strspn(word, "-"), names, count);
  return near ? near - 2 : NULL; /* with its dashes */
}

static bool unknown_option(const Cli *c, const char *arg, int *status) {
  const char *near = near_option(c, arg);
  char text[256];
  snprintf(text, sizeof text, "there is no option %.*s%s%s%s", (int)strcspn(arg, "="), arg,
           near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
  return usage_error(c, status, text, "");
}

static const char *const wants[] = {
    [OPT_TEXT] = "a text",
    [OPT_LIST] = "a text, at most 64 times",
    [OPT_COUNT] = "a whole number from 1",
    [OPT_REAL] = "a number from 0",
    [OPT_SEED] = "a whole number from 0 to 18446744073709551615",
};

static bool wrong_value(const Cli *c, const Opt *o, const char *value, int *status) {
  char text[256];
  snprintf(text, sizeof text, "%s wants %s, not '%.100s'", o->name, wants[o->kind], value);
  return usage_error(c, status, text, "");
}

static bool take_option(const Cli *c, char **argv, int argc, int *i, bool *seen, int *status) {
  const char *value;
  const Opt *o = find_option(c, argv[*i], &value);
  if (!o) return unknown_option(c, argv[*i], status);
  if (o->kind == OPT_FLAG && value) return usage_error(c, status, "no value goes with ", o->name);
  if (o->kind != OPT_FLAG && !value) {
    if (*i + 1 >= argc) return usage_error(c, status, "a value is missing after ", o->name);
    value = argv[++*i];
  }
  if (seen[o - c->opts] && o->kind == OPT_TEXT) /* of numbers the last one holds */
    return usage_error(c, status, "it is there twice: ", o->name);
  seen[o - c->opts] = true;
  return set_value(o, value ? value : "") || wrong_value(c, o, value, status);
}

static bool check_required(const Cli *c, const bool *seen, const char *model, int *status) {
  if (!model) return usage_error(c, status, "MODEL.so is missing", "");
  for (int i = 0; i < c->count; i++)
    if (c->opts[i].required && !seen[i])
      return usage_error(c, status, "this option is needed: ", c->opts[i].name);
  return true;
}

bool cli_parse(const Cli *c, int argc, char **argv, const char **model, int *status) {
  bool seen[MOST_OPTIONS] = {false};
  *model = NULL;
  for (int i = 0; i < argc; i++) {
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
      print_help(c);
      *status = EXIT_FINE;
      return false;
    }
    if (argv[i][0] == '-' && argv[i][1]) {
      if (!take_option(c, argv, argc, &i, seen, status)) return false;
    } else if (*model) {
      return usage_error(c, status, "one MODEL.so only; what is ", argv[i]);
    } else {
      *model = argv[i];
    }
  }
  return check_required(c, seen, *model, status);
}
