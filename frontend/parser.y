/* The grammar of the network language. The actions build the syntax tree (ast.h) and nothing
 * else. */
%require "3.8"
%define api.pure full
%define api.location.type {Span}
%define parse.lac full
%define parse.error custom
%locations
%expect 0
%param {void *scanner}
%parse-param {Parse *p}

%code requires {
#include "frontend/parse.h"
}

%code provides {
int parse_token(YYSTYPE *value, Span *at, void *scanner); /* in lexer.l */
}

%code {
#include <string.h>

#include "base/limits.h"
#include "base/str.h"

#define YYLLOC_DEFAULT(to, from, n) (to) = span_join(from, n)
#define A (p->arena)

#define yylex parse_token

static Span span_between(Span from, Span to) {
  return (Span){from.file, from.line, from.col, to.end_line, to.end_col};
}

/* The span of a rule of n symbols; from[0] is the one before the rule. */
static Span span_join(const Span *from, int n) {
  if (n) return span_between(from[1], from[n]);
  Span s = from[0];
  s.line = s.end_line, s.col = s.end_col;
  return s;
}

/* The rest of the statement could not be parsed: its value fails without a word, and so does a place without a
 * type. */
static Stmt *broken(Parse *p, Stmt *s, Span at) {
  p->swallowed |= at.line != at.end_line && !p->resumed;
  if (s->kind != STMT_OUTPUT && s->kind != STMT_LOSS) s->kind = STMT_BIND;
  s->value = ast_expr(A, EXPR_FAILED, at);
  vec_push(A, &p->broken, at);
  return s;
}

static void yyerror(const Span *at, void *scanner, Parse *p, const char *message);
}

%union {
  int64_t i;
  double f;
  const char *text;
  Name name;
  Expr *expr;
  Exprs *exprs;
  Arg arg;
  Args *args;
  Label *label;
  Names *names;
  Stmt *stmt;
  Stmts *stmts;
  TypeExpr *type;
  Formal formal;
  Formals *formals;
  Setting setting;
  Settings *settings;
  Item *item;
}

%token YYEOF 0 "the end of the file"
%token <name> NAME "a name"
%token <i> INT "an integer"
%token <f> FLOAT "a number"
%token <text> STRING "a string"
%token NETWORK "network" BLOCK "block" TRAIN "train" CONST "const" INCLUDE "include"
%token INPUT "input" TARGET "target" PARAM "param" OUTPUT "output" LOSS "loss" METRIC "metric"
%token AS "as" RETURN "return" IF "if" ELSE "else" FOR "for" IN "in" TRUE "true" FALSE "false"
%token OR "or" AND "and" NOT "not"
%token RANGE ".." PIPE "|>" FLOOR_DIV "//" EQ "==" NE "!=" LE "<=" GE ">="

%left OR
%left AND
%precedence NOT
%left EQ NE '<' LE '>' GE
%left '+' '-'
%left '*' '/' FLOOR_DIV '%'
%precedence NEGATION

%type <expr> expr operation call stage
%type <exprs> exprs exprs_opt
%type <arg> arg
%type <args> args args_opt
%type <label> label
%type <names> names
%type <stmt> statement head place own if
%type <stmts> statements body
%type <type> type
%type <formal> formal
%type <formals> formals formals_opt
%type <setting> setting
%type <settings> settings
%type <item> item

%%

file:
    %empty
  | file item               { if ($item) vec_push(A, &p->items, $item); }
  | file error              /* goes on at the next item */
  ;

item:
    CONST NAME '=' expr ';' { $$ = ast_item(A, ITEM_CONST, @$, $2); $$->value = $4; }
  | INCLUDE STRING ';'      { $$ = ast_item(A, ITEM_INCLUDE, @$, (Name){$2, @2}); }
  | BLOCK NAME '(' formals_opt ')' body {
      $$ = ast_item(A, ITEM_BLOCK, @$, $2);
      if ($4) $$->formals = *$4;
      if ($6) $$->body = *$6;
    }
  | NETWORK NAME body {
      $$ = ast_item(A, ITEM_NETWORK, @$, $2);
      if ($3) $$->body = *$3;
    }
  | TRAIN '{' settings '}' {
      $$ = ast_item(A, ITEM_TRAIN, @$, (Name){"train", @1});
      if ($3) $$->settings = *$3;
    }
  | BLOCK error body        { $$ = NULL; }
  | NETWORK error body      { $$ = NULL; }
  | TRAIN error '{' settings '}' { $$ = NULL; }
  | TRAIN '{' settings error '}' { $$ = NULL; yyerrok; }
  ;

formals_opt:
    %empty                  { $$ = NULL; }
  | formals
  ;
formals:
    formal                  { $$ = ast_formals(A, NULL, $1); }
  | formals ',' formal      { $$ = ast_formals(A, $1, $3); }
  ;
formal:
    NAME                    { $$ = (Formal){$1, NULL}; }
  | NAME '=' expr           { $$ = (Formal){$1, $3}; }
  ;

body:
    '{' statements '}'      { $$ = $2; }
  | '{' statements error '}' { $$ = $2; yyerrok; }
  | '{' statements head error '}'  { $$ = ast_stmts(A, $2, broken(p, $3, @4)); yyerrok; }
  | '{' statements place error '}' { $$ = ast_stmts(A, $2, broken(p, $3, @4)); yyerrok; }
  ;
statements:
    %empty                  { $$ = NULL; }
  | statements statement    { $$ = $2 ? ast_stmts(A, $1, $2) : $1; }
  ;

statement:
    head expr ';'           { $$ = $1; $$->value = $2; $$->span = @$; }
  | RETURN exprs ';'        { $$ = ast_stmt(A, STMT_RETURN, @$, NULL); $$->values = *$2; }
  | if
  | FOR NAME IN expr body {
      $$ = ast_stmt(A, STMT_FOR, @$, $4);
      $$->names = *ast_names(A, NULL, $2);
      if ($5) $$->body = *$5;
    }
  | FOR NAME IN expr RANGE expr body {
      $$ = ast_stmt(A, STMT_FOR, @$, $4);
      $$->names = *ast_names(A, NULL, $2);
      $$->end = $6;
      if ($7) $$->body = *$7;
    }
  | place ':' type ';'      { $$ = $1; $$->type = $3; $$->span = @$; }
  | own ':' type ';'        { $$ = $1; $$->type = $3; $$->span = @$; }
  | own ':' type '=' expr ';' {
      $$ = $1;
      $$->type = $3;
      $$->value = $5;
      $$->span = @$;
    }
  | METRIC call ';'         { $$ = ast_stmt(A, STMT_METRIC, @$, $2); }
  | head error ';'          { $$ = broken(p, $1, @$); yyerrok; }
  | place error ';'         { $$ = broken(p, $1, @$); yyerrok; }
  | own error ';'           { $$ = broken(p, $1, @$); yyerrok; }
  | FOR error body          { $$ = NULL; }
  | FOR error ';'           { $$ = NULL; }
  | IF error body           { $$ = NULL; }
  | IF error ';'            { $$ = NULL; }
  | IF error body ELSE body { $$ = NULL; }
  | IF error body ELSE if   { $$ = NULL; }
  | error ';'               { $$ = NULL; yyerrok; }
  ;

/* How statements begin: from here on it is known what they bind. */
head:
    names '='               { $$ = ast_stmt(A, STMT_BIND, @$, NULL); $$->names = *$1; }
  | OUTPUT NAME '='         { $$ = ast_stmt(A, STMT_OUTPUT, @$, NULL); $$->names = *ast_names(A, NULL, $2); }
  | LOSS                    { $$ = ast_stmt(A, STMT_LOSS, @$, NULL); }
  ;
place:
    INPUT NAME              { $$ = ast_stmt(A, STMT_INPUT, @$, NULL); $$->names = *ast_names(A, NULL, $2); }
  | TARGET NAME             { $$ = ast_stmt(A, STMT_TARGET, @$, NULL); $$->names = *ast_names(A, NULL, $2); }
  ;
own:
    PARAM NAME              { $$ = ast_stmt(A, STMT_PARAM, @$, NULL); $$->names = *ast_names(A, NULL, $2); }
  ;

names:
    NAME                    { $$ = ast_names(A, NULL, $1); }
  | names ',' NAME          { $$ = ast_names(A, $1, $3); }
  ;

if:
    IF expr body {
      $$ = ast_stmt(A, STMT_IF, @$, $2);
      if ($3) $$->body = *$3;
    }
  | IF expr body ELSE body {
      $$ = ast_stmt(A, STMT_IF, @$, $2);
      if ($3) $$->body = *$3;
      if ($5) $$->other = *$5;
    }
  | IF expr body ELSE if {
      $$ = ast_stmt(A, STMT_IF, @$, $2);
      if ($3) $$->body = *$3;
      vec_push(A, &$$->other, $5);
    }
  ;

type:
    NAME                    { $$ = ARENA_NEW(A, TypeExpr); $$->elem = $1; $$->span = @$; }
  | type '[' exprs_opt ']' {
      $$ = $1;
      if ($$->nlists < 2 && $3) $$->list[$$->nlists] = *$3;
      $$->nlists++;
      $$->span = @$;
    }
  ;

/* ---- expressions: a pipe is looser than any operator; those are as the precedences say ---- */

expr:
    operation
  | expr "|>" stage         { $$ = ast_pipe(A, @$, $1, $3); }
  ;

operation:
    INT                     { $$ = ast_int(A, @$, $1); }
  | FLOAT                   { $$ = ast_float(A, @$, $1); }
  | STRING                  { $$ = ast_text(A, EXPR_STRING, @$, $1); }
  | TRUE                    { $$ = ast_bool(A, @$, true); }
  | FALSE                   { $$ = ast_bool(A, @$, false); }
  | NAME                    { $$ = ast_text(A, EXPR_NAME, @$, $1.text); }
  | '[' exprs_opt ']'       { $$ = ast_list(A, @$, $2); }
  | '(' expr ')'            { $$ = $2; }
  | call
  | call AS label           { $$ = ast_as($1, $3, @$); }
  | operation OR operation         { $$ = ast_binary(A, @$, OPERATOR_OR, $1, $3); }
  | operation AND operation        { $$ = ast_binary(A, @$, OPERATOR_AND, $1, $3); }
  | NOT operation                  { $$ = ast_unary(A, @$, OPERATOR_NOT, $2); }
  | operation EQ operation         { $$ = ast_binary(A, @$, OPERATOR_EQ, $1, $3); }
  | operation NE operation         { $$ = ast_binary(A, @$, OPERATOR_NE, $1, $3); }
  | operation '<' operation        { $$ = ast_binary(A, @$, OPERATOR_LT, $1, $3); }
  | operation LE operation         { $$ = ast_binary(A, @$, OPERATOR_LE, $1, $3); }
  | operation '>' operation        { $$ = ast_binary(A, @$, OPERATOR_GT, $1, $3); }
  | operation GE operation         { $$ = ast_binary(A, @$, OPERATOR_GE, $1, $3); }
  | operation '+' operation        { $$ = ast_binary(A, @$, OPERATOR_ADD, $1, $3); }
  | operation '-' operation        { $$ = ast_binary(A, @$, OPERATOR_SUB, $1, $3); }
  | operation '*' operation        { $$ = ast_binary(A, @$, OPERATOR_MUL, $1, $3); }
  | operation '/' operation        { $$ = ast_binary(A, @$, OPERATOR_DIV, $1, $3); }
  | operation FLOOR_DIV operation  { $$ = ast_binary(A, @$, OPERATOR_FLOOR_DIV, $1, $3); }
  | operation '%' operation        { $$ = ast_binary(A, @$, OPERATOR_MOD, $1, $3); }
  | '-' operation %prec NEGATION   { $$ = ast_unary(A, @$, OPERATOR_NEG, $2); }
  ;

call:
    NAME '(' args_opt ')'   { $$ = ast_call(A, @$, $1, $3); }
  ;

/* What stands after |>: a call, or a name for a call with no more arguments. */
stage:
    call
  | call AS label           { $$ = ast_as($1, $3, @$); }
  | NAME                    { $$ = ast_call(A, @$, $1, NULL); }
  | NAME AS label           { $$ = ast_as(ast_call(A, @1, $1, NULL), $3, @$); }
  ;

label:
    NAME                    { $$ = ARENA_NEW(A, Label); $$->name = $1; $$->span = @$; }
  | label '[' expr ']'      { $$ = $1; vec_push(A, &$$->index, $3); $$->span = @$; }
  ;

args_opt:
    %empty                  { $$ = NULL; }
  | args
  ;
args:
    arg                     { $$ = ast_args(A, NULL, $1); }
  | args ',' arg            { $$ = ast_args(A, $1, $3); }
  ;
arg:
    expr                    { $$ = (Arg){{NULL, @1}, $1}; }
  | NAME '=' expr           { $$ = (Arg){$1, $3}; }
  ;

exprs_opt:
    %empty                  { $$ = NULL; }
  | exprs
  ;
exprs:
    expr                    { $$ = ast_exprs(A, NULL, $1); }
  | exprs ',' expr          { $$ = ast_exprs(A, $1, $3); }
  ;

/* ---- train ---- */

settings:
    %empty                  { $$ = NULL; }
  | settings setting        { $$ = $2.word.text ? ast_settings(A, $1, $2) : $1; }
  ;
setting:
    NAME exprs ';'          { $$ = (Setting){$1, *$2, @$}; }
  | error ';'               { $$ = (Setting){.word.text = NULL}; vec_push(A, &p->broken, @$); yyerrok; }
  ;

%%

/* ---- syntax errors ---- */

static void yyerror(const Span *at, void *scanner, Parse *p, const char *message) {
  (void)scanner;
  (void)message; /* the only one left is that the stack is full */
  if (!p->fatal) diag_error(p->diags, *at, "nested too deeply");
  p->fatal = true;
}

enum { EXPECTED = 64, FEW = 4 };

typedef struct {
  yysymbol_kind_t kind[EXPECTED];
  int n;
} Expected;

static bool expects(const Expected *set, yysymbol_kind_t symbol) {
  for (int i = 0; i < set->n; i++)
    if (set->kind[i] == symbol) return true;
  return false;
}

/* Words and marks in quotes, kinds of token ("a name") without. */
static void put_symbol(Str *s, yysymbol_kind_t symbol) {
  const char *name = yysymbol_name(symbol);
  bool plain = name[0] == '\'' || strchr(name, ' ');
  str_printf(s, plain ? "%s" : "'%s'", name);
}

/* What would have been right: the choices when they are few, else the end of what was begun. */
static void put_expected(Str *s, const Expected *set) {
  if (expects(set, YYSYMBOL_INT)) {
    str_put(s, "expected an expression");
  } else if (set->n <= FEW) {
    str_put(s, "expected ");
    for (int i = 0; i < set->n; i++) {
      str_put(s, i == 0 ? "" : i == set->n - 1 ? " or " : ", ");
      put_symbol(s, set->kind[i]);
    }
  } else if (expects(set, YYTRANSLATE(';'))) {
    str_put(s, "expected ';'");
  } else if (expects(set, YYTRANSLATE(')'))) {
    str_put(s, "expected ')' or ','");
  } else if (expects(set, YYTRANSLATE(']'))) {
    str_put(s, "expected ']'");
  } else if (expects(set, YYTRANSLATE('{'))) {
    str_put(s, "expected '{'");
  } else if (expects(set, YYTRANSLATE('}'))) {
    str_put(s, "expected a statement or '}'");
  } else if (expects(set, YYSYMBOL_NETWORK)) {
    str_put(s, "expected const, block, include, network or train");
  } else {
    str_put(s, "syntax error");
  }
}

/* ---- mends ---- */

static bool is_item(int token) { return token >= NETWORK && token <= INCLUDE; }
static bool is_keyword(int token) { return token >= NETWORK && token <= NOT; }

static const char *symbol_text(Arena *a, yysymbol_kind_t symbol) {
  Str s = str_new(a);
  put_symbol(&s, symbol);
  return s.text;
}

/* The places where a statement, an item of a file may begin, and the one behind a statement's first
 * name. */
static bool at_statement(const Expected *set) {
  return expects(set, YYSYMBOL_NAME) && expects(set, YYTRANSLATE('}'));
}
static bool at_item(const Expected *set) { return expects(set, YYSYMBOL_NETWORK); }
static bool after_name(const Expected *set) {
  return set->n == 2 && expects(set, YYTRANSLATE('=')) && expects(set, YYTRANSLATE(','));
}

/* The text of a span of one line. */
static const char *text_at(const Parse *p, Span at) {
  const Source *source = &p->diags->sources->files.at[at.file];
  const char *line = source->text;
  for (int i = 1; i < at.line && line; i++) line = (line = strchr(line, '\n')) ? line + 1 : NULL;
  return line ? arena_strndup(A, line + at.col - 1, (size_t)(at.end_col - at.col)) : "";
}

/* The keyword that a word was meant to be. */
static const char *near_keyword(const Parse *p, Span at, bool item) {
  static const char *const words[] = {"network", "block",  "train", "const", "include", "input", "target", "param",
                                      "output",  "metric", "loss",  "if",    "for",     "else",  "return"};
  enum { ITEMS = 5, WORDS = sizeof words / sizeof *words };
  return item ? near_name(text_at(p, at), words, ITEMS)
              : near_name(text_at(p, at), words + ITEMS, WORDS - ITEMS);
}

static void note_mend(const Parse *p, const Expected *set, Span at, int token) {
  const char *near = after_name(set)                          ? near_keyword(p, p->before, false)
                     : at_item(set) && token == NAME          ? near_keyword(p, at, true)
                                                              : NULL;
  bool begins = at_statement(set) || at_item(set);
  bool arithmetic = token == FLOOR_DIV || is_mark(token, "+-*/%");
  if (near)
    diag_note(p->diags, (Span){0}, "did you mean %s?", near);
  else if (begins && (token == FLOOR_DIV || token == '/'))
    diag_note(p->diags, (Span){0}, "a comment begins with #");
  else if (begins && is_item(token))
    diag_note(p->diags, (Span){0}, "it stands beside a network, not in one: is a '}' missing?");
  else if (after_name(set) && token == '}')
    diag_note(p->diags, (Span){0}, "a block ends with return ...;");
  else if (token == '[')
    diag_note(p->diags, (Span){0}, "nothing is indexed: slice(x, dim, start, end) is part of a tensor, and for k in list "
                                   "takes a list's elements");
  else if (token == '=' && expects(set, YYSYMBOL_EQ))
    diag_note(p->diags, (Span){0}, "equal is written ==");
  else if (token == AS)
    diag_note(p->diags, (Span){0}, "as names the call right before it: linear(10) as fc");
  else if (expects(set, YYSYMBOL_PIPE) && arithmetic)
    diag_note(p->diags, (Span){0}, "|> binds loosest: (x |> f) + 1");
  else if (token == '{' && expects(set, YYTRANSLATE('[')) && !expects(set, YYSYMBOL_INT))
    diag_note(p->diags, (Span){0}, "as name[i] tells the layers of a loop apart");
  else if (token == '(' && set->n == 1 && expects(set, YYTRANSLATE('{')) && p->previous == NAME)
    diag_note(p->diags, (Span){0}, "what a network takes are its inputs: input x : f32[3];");
  else if (token == ';' && set->n == 1 && expects(set, YYTRANSLATE('=')))
    diag_note(p->diags, (Span){0}, "as in output name = expr;");
  else if (p->previous == FOR && token == '(')
    diag_note(p->diags, (Span){0}, "as in for i in 0..3 { ... }");
  else if (!begins && is_keyword(token) && expects(set, YYSYMBOL_NAME) && p->before.end_line == at.line)
    diag_note(p->diags, (Span){0}, "%s is a word of the language, not a name",
              yysymbol_name(YYTRANSLATE(token)));
}

/* ---- the error itself ---- */

/* A mark that is missing at the end of a line is missed there, not where the next line begins. */
static bool missed_before(const Parse *p, const Expected *set, Span at) {
  return expects(set, YYTRANSLATE(';')) && p->before.file && p->before.end_line < at.line;
}

static Span behind(Span end) {
  return (Span){end.file, end.end_line, end.end_col, end.end_line, end.end_col};
}

static void report(Parse *p, const Expected *set, Span at, yysymbol_kind_t symbol) {
  Str s = str_new(A);
  put_expected(&s, set);
  if (p->token == '=' && is_keyword(p->previous)) {
    diag_error(p->diags, p->before, "%s is a word of the language, not a name",
               symbol_text(A, YYTRANSLATE(p->previous)));
  } else if (p->token == ';' && (at_statement(set) || at_item(set))) {
    diag_error(p->diags, at, "this ';' ends nothing");
  } else if (missed_before(p, set, at)) {
    diag_error(p->diags, behind(p->before), "expected ';'");
  } else {
    diag_error(p->diags, at, "%s, not %s", s.text, symbol_text(A, symbol));
    if (p->diags->errors <= LIMIT_DIAGNOSTICS) note_mend(p, set, at, p->token);
  }
}

static bool begins_statement(int token) {
  return token == NAME || (token >= INPUT && token <= METRIC) || token == RETURN || token == IF || token == FOR;
}

/* How the tokens that follow are to be read. */
static void recover(Parse *p, const Expected *set, Span at) {
  int token = p->token;
  bool missed = missed_before(p, set, at) && p->nesting && begins_statement(token);
  p->quiet = at.line;
  p->missed = missed ? 2 : 0;
  p->resumed = missed;
  p->in_header = p->previous == FOR && token == '(';
  p->in_body = token == '{' && expects(set, YYTRANSLATE(';'));
  p->without_body = (after_name(set) || at_statement(set)) && !is_mark(token, ";{}");
  p->swallowed |= token == ',' || (token == '=' && is_keyword(p->previous));
  p->unclosed |= is_item(token) && at_statement(set);
}

static int yyreport_syntax_error(const yypcontext_t *ctx, void *scanner, Parse *p) {
  (void)scanner;
  Expected set;
  Span at = *yypcontext_location(ctx);
  if (p->fatal || (p->unclosed && p->token == YYEOF)) return 0;
  set.n = yypcontext_expected_tokens(ctx, set.kind, EXPECTED);
  report(p, &set, at, yypcontext_token(ctx));
  recover(p, &set, at);
  return 0;
}
