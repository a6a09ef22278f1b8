#!/usr/bin/env bash
# An artifact shows one symbol, versioned in a .so, and asks of the system only what symbols.txt lists: symbols.sh SOURCE BUILD
set -uo pipefail
source=$1 build=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
failures=0
complain() { printf '%s\n' "$*"; failures=$((failures + 1)); }
grep -v '^#' "$source/tests/runtime/symbols.txt" | tr -s ' ' '\n' | sort >listed

shown() { # expected, nm and its arguments: names of all that is defined
  local got
  got=$("${@:2}" | awk 'NF == 3 { print $3 }' | sort | tr '\n' ' ')
  [ "$got" = "$1 " ] || complain "${*:2}: shows $got, not $1"
}

asked() { # nm and its arguments
  local more
  more=$("$@" | awk 'NF == 2 { sub(/@.*/, "", $2); print $2 }' | grep -vx '_GLOBAL_OFFSET_TABLE_' | sort -u | comm -23 - listed)
  [ -z "$more" ] || complain "$*: asks for" $more
}

for options in "" --inference-only; do
  for kind in so o a; do "$build/dlc" "$source/examples/iris.net" $options -o iris.$kind || complain "dlc fails"; done
  shown "DLC_1 dlc_v1_iris@@DLC_1" nm -D --defined-only iris.so
  asked nm -D --undefined-only iris.so
  for kind in o a; do
    shown dlc_v1_iris nm -g --defined-only iris.$kind
    asked nm -g --undefined-only iris.$kind
  done
done
needed=$(objdump -p iris.so | awk '$1 == "NEEDED" { print $2 }' | grep -vE '^(libc|libm|libpthread|ld-linux.*)\.so')
[ -z "$needed" ] || complain "iris.so needs $needed"
[ $failures = 0 ]
