/* Prints libFuzzer's dictionary of .net and IR text: the names of the op table and the train block.
 */
#include <stdio.h>

#include "ir/op.h"

static const char *const words[] = {
    "network",
    "block",
    "train",
    "const",
    "input",
    "target",
    "param",
    "output",
    "loss",
    "metric",
    "as",
    "return",
    "if",
    "else",
    "for",
    "in",
    "and",
    "or",
    "not",
    "true",
    "false",
    "include",
    "|>",
    "..",
    "//",
    "!=",
    "<=",
    "==",
    "f32",
    "u8",
    "i32",
    "class",
    "dim",
    "rank",
    "zeros",
    "ones",
    "normal",
    "uniform",
    "constant",
    "xavier_uniform",
    "kaiming_normal",
    "orthogonal",
    "optimizer",
    "schedule",
    "batch",
    "epochs",
    "seed",
    "warmup",
    "freeze",
    "augment",
    "clip_grad_norm",
    "auc",
    "top_k",
    "graph",
    "grad ",
    "assign",
    "group",
    "order",
    "offset",
    "default",
    "all",
    "same",
    "inf",
    "nan",
    "[*,",
    "[*]",
    "_",
    "%0",
    "2147483648",
    "9223372036854775807",
    "-1",
    "1e308",
    "1e-320",
    "4294967296",
};

static void print_word(const char *word) {
  printf("\"");
  for (; *word; word++) printf(*word == '"' || *word == '\\' ? "\\%c" : "%c", *word);
  printf("\"\n");
}

static void print_signature(const Signature *s) {
  for (int i = 0; i < s->nattrs; i++) {
    char name[64];
    snprintf(name, sizeof name, "%s=", s->attr[i].name);
    print_word(name);
    for (int k = 0; k < SIG_WORDS && s->attr[i].words[k]; k++) print_word(s->attr[i].words[k]);
  }
}

int main(void) {
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) print_word(words[i]);
  for (int op = 0; op < OP_COUNT; op++) {
    print_word(op_info[op].name);
    print_signature(op_signature((Op)op));
  }
  for (int i = 0; i < train_row_count; i++) {
    print_word(train_rows[i].name);
    print_signature(train_signature(train_rows[i].kind, train_rows[i].name));
  }
  return 0;
}
