#!/usr/bin/env bash
# Runs every example of README.md and docs/*.md: run.sh SOURCE BUILD. Fenced blocks, in order, page by page, each page
# in a folder of its own that looks like the tree after `scripts/setup`:
#   ```net  a file, compiled; its first line may name it: # name.net
#   ```c    with /* name.c */ on its first line a file for what follows; else declarations or statements after
#           `#include "iris.h"`, checked for syntax; with a path on its first line it is new_op.sh's
#   ```sh   run, as one script a block, and must succeed
#   ```text what the sh block before it must print, in full; a line of "..." stands for any lines
# Other fences (console, plain) are not run.
set -euo pipefail
source=$1 build=$2
tests=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export NO_COLOR=1 LC_ALL=C.UTF-8 PATH=$build:$PATH
unset DLC_RUNTIME
failures=0 blocks=0

# Writes block N of a page to N.lang in the folder.
split_page() {
  awk -v folder="$2" '
    /^```/ && !inside { lang = substr($0, 4); inside = 1; file = ""
      if (lang ~ /^(net|c|sh|text)$/) { file = sprintf("%s/%03d-%d.%s", folder, ++n, NR, lang); printf "" > file }
      next }
    /^```/ { inside = 0; if (file) close(file); next }
    inside && file { print > file }' "$1"
}

# The file name in a block's first line, or $2.
name_of() {
  local name
  name=$(sed -n '1s/^\(#\|\/\*\) \([a-z0-9_]*\.\(net\|c\)\)\( .*\)\{0,1\}$/\2/p' "$1")
  printf '%s' "${name:-$2}"
}

run_net() {
  local name
  name=$(name_of "$1" "${1##*/}.net")
  cp "$1" "$name"
  "$build/dlc" "$name" -o "${name%.net}.so"
}

run_c() {
  local name
  name=$(name_of "$1" "")
  if sed -n 1p "$1" | grep -q '^/\* ir/'; then return; fi
  if [ -n "$name" ]; then cp "$1" "$name"; return; fi
  [ -f iris.h ] || "$build/dlc" examples/iris.net --emit=header -o iris.h
  { printf '#include <stdio.h>\n#include <stdlib.h>\n#include "iris.h"\n'
    if grep -qE '^[a-z].*\) \{$' "$1"; then cat "$1"; else printf 'int fragment(dlc_session *session);\n'
      printf 'int fragment(dlc_session *session) {\n  int status = 0;\n  (void)session;\n#line 1\n'
      cat "$1"; printf '\n  return status;\n}\n'; fi } >fragment.c
  cc -std=c11 -Wall -Wextra -Wno-unused -Werror -fsyntax-only fragment.c
}

run_sh() { bash -euo pipefail "$1" >printed 2>&1 || { cat printed; return 1; }; }

# Each stretch between "..." lines stands, whole and in order, in what was printed.
run_text() { awk -f "$tests/printed.awk" "$1" printed; }

# What the README's steps leave in a checkout is ignored there.
check_ignored() {
  command -v git >/dev/null || return 0
  git init -q . && cp "$source/.gitignore" .
  local left
  left=$(find . -mindepth 1 -maxdepth 1 ! -type l ! -name '.git*' ! -name printed ! -name fragment.c | sort)
  [ -n "$left" ] || left=nothing
  printf '%s\n' "$left" | while read -r file; do
    git check-ignore -q "$file" || { printf 'README.md: its steps leave %s, which .gitignore lacks\n' "$file"; return 1; }
  done
}

run_page() {
  local page=$1 folder block failed
  folder=$(mktemp -d -p "$work")
  mkdir "$folder/blocks"
  split_page "$page" "$folder/blocks"
  mkdir "$folder/tree"
  ln -s "$source/examples" "$source/docs" "$source/scripts" "$folder/tree/"
  ln -s "$build" "$folder/tree/build"
  cd "$folder/tree"
  for block in "$folder"/blocks/*; do
    [ -e "$block" ] || continue
    blocks=$((blocks + 1))
    failed=0
    "run_${block##*.}" "$block" >"$folder/said" 2>&1 || failed=1
    [ $failed = 0 ] && continue
    failures=$((failures + 1))
    block=${block##*-}
    printf '%s:%s: this %s block fails\n' "$page" "${block%.*}" "${block##*.}"
    sed 's/^/    /' "$folder/said"
  done
  [ "$page" != "$source/README.md" ] || check_ignored || failures=$((failures + 1))
}

for page in "$source"/README.md "$source"/docs/*.md; do run_page "$page"; done
printf '%d blocks, %d failed\n' $blocks $failures
[ $blocks -ge 10 ] && [ $failures = 0 ]
