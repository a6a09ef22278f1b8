/* The syntax tree, as the grammar in parser.y builds it, with the place of everything. It lives in
 * one arena. */
#ifndef DLC_FRONTEND_AST_H
#define DLC_FRONTEND_AST_H

#include <stdint.h>

#include "base/diag.h"
#include "base/vec.h"

typedef struct Expr Expr;
typedef struct Stmt Stmt;
typedef struct Item Item;
typedef VEC(Expr *) Exprs;
typedef VEC(Stmt *) Stmts;

typedef struct {
  const char *text;
  Span span;
} Name;
typedef VEC(Name) Names;

/* ---- expressions ---- */

typedef enum {
  EXPR_FAILED, /* what could not be parsed */
  EXPR_INT,    /* i */
  EXPR_FLOAT,  /* f */
  EXPR_BOOL,   /* i */
  EXPR_STRING, /* text */
  EXPR_NAME,   /* text */
  EXPR_LIST,   /* list */
  EXPR_CALL,   /* text(args) as label */
  EXPR_UNARY,  /* op left */
  EXPR_BINARY, /* left op right */
  EXPR_PIPE    /* left |> right, where right is a call */
} ExprKind;

typedef enum {
  OPERATOR_ADD,
  OPERATOR_SUB,
  OPERATOR_MUL,
  OPERATOR_DIV,
  OPERATOR_FLOOR_DIV,
  OPERATOR_MOD,
  OPERATOR_EQ,
  OPERATOR_NE,
  OPERATOR_LT,
  OPERATOR_LE,
  OPERATOR_GT,
  OPERATOR_GE,
  OPERATOR_AND,
  OPERATOR_OR,
  OPERATOR_NOT,
  OPERATOR_NEG
} Operator;

typedef struct {
  Name name; /* text is NULL for a positional argument */
  Expr *value;
} Arg;
typedef VEC(Arg) Args;

/* as name[i][j] */
typedef struct {
  Name name;
  Exprs index;
  Span span;
} Label;

struct Expr {
  ExprKind kind;
  Operator op;
  Span span;
  int64_t i;
  double f;
  const char *text;
  Name callee;
  Expr *left, *right;
  Exprs list;
  Args args;
  Label *label; /* or NULL */
};

/* ---- statements ---- */

/* f32[1, 28, 28] or class[10][T] */
typedef struct {
  Name elem;
  int nlists; /* 0, 1 or 2; more are an error of the checker */
  Exprs list[2];
  Span span;
} TypeExpr;

typedef enum {
  STMT_BIND,   /* names = value */
  STMT_RETURN, /* values */
  STMT_IF,     /* value, body, other */
  STMT_FOR,    /* names[0] in value .. end (NULL: the elements of a list), body */
  STMT_INPUT,  /* names[0] : type */
  STMT_TARGET, /* names[0] : type */
  STMT_PARAM,  /* names[0] : type = value */
  STMT_OUTPUT, /* names[0] = value */
  STMT_LOSS,   /* value */
  STMT_METRIC  /* value, a call */
} StmtKind;

struct Stmt {
  StmtKind kind;
  Span span;
  Names names;
  TypeExpr *type;
  Expr *value, *end;
  Exprs values;
  Stmts body, other;
};

/* ---- items of a file ---- */

typedef struct {
  Name name;
  Expr *value; /* the default, or NULL */
} Formal;
typedef VEC(Formal) Formals;

/* `optimizer adam(lr=0.1);`: a word and what follows it. */
typedef struct {
  Name word;
  Exprs values;
  Span span;
} Setting;
typedef VEC(Setting) Settings;

typedef enum { ITEM_CONST, ITEM_BLOCK, ITEM_INCLUDE, ITEM_NETWORK, ITEM_TRAIN } ItemKind;

struct Item {
  ItemKind kind;
  Span span;
  Name name; /* the path of an include */
  Expr *value;
  Formals formals;
  Stmts body;
  Settings settings;
};
typedef VEC(Item *) Items;

/* ---- making them ---- */

Expr *ast_expr(Arena *a, ExprKind kind, Span span);
Expr *ast_int(Arena *a, Span span, int64_t i);
Expr *ast_float(Arena *a, Span span, double f);
Expr *ast_bool(Arena *a, Span span, bool b);
Expr *ast_text(Arena *a, ExprKind kind, Span span, const char *text); /* string or name */
Expr *ast_list(Arena *a, Span span, const Exprs *list);
Expr *ast_call(Arena *a, Span span, Name callee, const Args *args);
Expr *ast_unary(Arena *a, Span span, Operator op, Expr *x);
Expr *ast_binary(Arena *a, Span span, Operator op, Expr *x, Expr *y);
Expr *ast_pipe(Arena *a, Span span, Expr *x, Expr *call);
Expr *ast_as(Expr *call, Label *label, Span span); /* returns the call */

Stmt *ast_stmt(Arena *a, StmtKind kind, Span span, Expr *value);
Item *ast_item(Arena *a, ItemKind kind, Span span, Name name);

/* Appends to a list made on the first call (list == NULL). */
Exprs *ast_exprs(Arena *a, Exprs *list, Expr *x);
Stmts *ast_stmts(Arena *a, Stmts *list, Stmt *x);
Names *ast_names(Arena *a, Names *list, Name x);
Args *ast_args(Arena *a, Args *list, Arg x);
Formals *ast_formals(Arena *a, Formals *list, Formal x);
Settings *ast_settings(Arena *a, Settings *list, Setting x);

const char *operator_text(Operator op);

#endif
