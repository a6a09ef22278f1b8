#!/usr/bin/env bash
# The manuals name every option that --help lists, and the completion offers them: options.sh SOURCE BUILD
set -euo pipefail
source=$1
PATH=$2:$PATH
export COLUMNS=80
failures=0
complain() { printf '%s\n' "$*"; failures=$((failures + 1)); }

# The options in a --help text, without their values.
options_of() { "$@" --help | grep -oE '^  -.{0,24}' | grep -oE '(^|[ ,])--?[A-Za-z][A-Za-z0-9-]*' | tr -d ' ,' | sort -u; }
# A manual as plain text.
plain() { sed -e 's/\\f[RPBI]//g' -e 's/"//g' -e 's/^\.[A-Z]* //' "$1"; }

check_manual() { # manual, command...
  local manual=$1 option count=0
  shift
  for option in $(options_of "$@"); do
    count=$((count + 1))
    plain "$source/docs/$manual" | grep -E -- "(^|[ ,])$option([ =,.]|$)" >/dev/null || complain "docs/$manual: $option of '$*' is missing"
  done
  [ $count -gt 0 ] || complain "'$*' --help lists no option"
}

commands=$(dlrun --help | sed -n 's/^  \([a-z]*\) .*/\1/p')
[ "$(printf '%s\n' $commands | wc -l)" -ge 8 ] || complain "dlrun --help lists too few commands"
check_manual dlc.1 dlc
for command in $commands; do
  check_manual dlrun.1 dlrun "$command"
  plain "$source/docs/dlrun.1" | grep -x "$command" >/dev/null || complain "docs/dlrun.1: the command $command is missing"
done

# Completion of the last word. Interactive shells, for which it is written, run without -e.
set +e
. "$source/scripts/dlc-completion.bash"
compopt() { :; }
offers() { # expected word, words of the command line...
  local expected=$1
  shift
  COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
  "_$1"
  printf '%s\n' "${COMPREPLY[@]}" | grep -xF -- "$expected" >/dev/null || complain "completion of '$*' does not offer $expected"
}
cd "$source/examples"
offers --batch dlc --b
offers --emit= dlc --e
offers math dlc --emit = m
offers iris.net dlc iri
offers train dlrun tr
offers --data dlrun train --d
offers --json dlrun bench x.so --j
[ $failures = 0 ]
