/* docs/language.md from docs/language.md.in: lines `@TABLE section` and `@TRAIN kind` become tables
 * made from ir/ops.def and ir/train.def. Internal rows stay out. Writes to stdout: tables
 * docs/language.md.in */
#include <stdio.h>
#include <string.h>

#include "ir/op.h"

/* ---- signatures as a user writes them ---- */

static void print_words(const SigAttr *a) {
  printf("\"%s\"", a->value.s);
  for (int i = 0; a->words[i]; i++)
    if (strcmp(a->words[i], a->value.s)) printf("\\|\"%s\"", a->words[i]);
}

static void print_list(const Attr *v) {
  if (v->kind == ATTR_DIMS && v->n < 0)
    printf("all");
  else if (v->kind == ATTR_PADS && v->n < 0)
    printf("\"same\"");
  else if (v->n)
    printf("%lld%s", (long long)v->v[0], /* of a pair: both are equal */
           v->kind == ATTR_PADS ? "\\|\"same\"" : "");
  else
    printf("[]");
}

/* 1e-5, not 1e-05. */
static void print_number(double x) {
  char text[32];
  snprintf(text, sizeof text, "%.9g", x);
  char *zero = strstr(text, "e-0");
  if (zero) memmove(zero + 2, zero + 3, strlen(zero + 3) + 1);
  printf("%s", text);
}

static void print_default(const Signature *s, const SigAttr *a) {
  if (a->copies >= 0)
    printf("%s", s->attr[a->copies].name);
  else if (a->kind == ATTR_WORDS)
    print_words(a);
  else if (a->kind == ATTR_FLOAT)
    print_number(a->value.f);
  else if (a->kind == ATTR_INT || a->kind == ATTR_DIM)
    printf("%lld", (long long)a->value.i);
  else if (a->kind == ATTR_BOOL)
    printf("%s", a->value.i ? "true" : "false");
  else if (a->kind == ATTR_INIT)
    printf("default");
  else
    print_list(&a->value);
}

static void print_call(const char *name, const Signature *s) {
  const char *comma = "";
  printf("| `%s(", name);
  for (int i = 0; i < s->noperands; i++) {
    if (s->operand[i].parameter) continue;
    printf("%s%s%s", comma, s->operand[i].name, s->operand[i].variadic ? ", ..." : "");
    comma = ", ";
  }
  for (int i = 0; i < s->nattrs; i++) {
    printf("%s%s", comma, s->attr[i].name);
    comma = ", ";
    if (s->attr[i].required) continue;
    printf("=");
    print_default(s, &s->attr[i]);
  }
  printf(")` |");
}

/* ---- tables ---- */

static int rows_printed;

static bool is_public(Op op) { return !op_info[op].internal; }

static bool print_section(const char *section) {
  int rows = 0;
  printf("| call | result |\n|---|---|\n");
  for (int i = 0; i < OP_COUNT; i++) {
    const OpInfo *o = &op_info[i];
    if (!is_public((Op)i) || strcmp(o->section, section)) continue;
    print_call(o->name, op_signature((Op)i));
    for (const char *c = o->meaning; *c; c++)
      printf(c == o->meaning ? " %c" : *c == '|' ? "\\%c" : "%c", *c);
    printf(" |\n");
    rows++;
  }
  rows_printed += rows;
  return rows > 0;
}

static bool print_train(const char *kind) {
  static const char *const kinds[] = {"optimizer", "schedule", "augment"};
  int rows = 0;
  printf("| %s |\n|---|\n", kind);
  for (int i = 0; i < train_row_count; i++) {
    if (strcmp(kinds[train_rows[i].kind], kind)) continue;
    print_call(train_rows[i].name, train_signature(train_rows[i].kind, train_rows[i].name));
    printf("\n");
    rows++;
  }
  return rows > 0;
}

static bool print_line(char *line) {
  static const char table[] = "@TABLE ", train[] = "@TRAIN ";
  line[strcspn(line, "\n")] = 0;
  if (!strncmp(line, table, sizeof table - 1)) return print_section(line + sizeof table - 1);
  if (!strncmp(line, train, sizeof train - 1)) return print_train(line + sizeof train - 1);
  puts(line);
  return true;
}

/* A section that the page forgot. */
static bool is_complete(void) {
  int rows = 0;
  for (int i = 0; i < OP_COUNT; i++) rows += is_public((Op)i);
  return rows == rows_printed;
}

int main(int argc, char **argv) {
  char line[1024];
  FILE *in = argc == 2 ? fopen(argv[1], "r") : NULL;
  if (!in) {
    fprintf(stderr, "usage: tables docs/language.md.in\n");
    return 2;
  }
  bool fine = true;
  while (fine && fgets(line, sizeof line, in)) {
    fine = print_line(line);
    if (!fine) fprintf(stderr, "%s: there are no rows for %s\n", argv[1], line);
  }
  fclose(in);
  if (fine && !is_complete())
    fprintf(stderr, "%s: not every section has its table, once\n", argv[1]), fine = false;
  return fine ? 0 : 1;
}
