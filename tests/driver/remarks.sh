#!/usr/bin/env bash
# --remarks says at its line how each convolution is computed: remarks.sh SOURCE BUILD
. "$(dirname "$0")/work.sh"

net=$source/tests/golden/winograd.net
said() { # line and column, words, options...
  local at=$1 words=$2
  shift 2
  "$build/dlc" "$net" -mcpu=haswell "$@" --remarks -o out.o >said 2>&1 || complain "dlc $*: $(cat said)"
  grep -qF "winograd.net:$at: remark: $words" said || complain "dlc $*: nothing at $at says '$words'"
}

said 7:14 "conv computed directly: transforms would take longer than the multiplications they save"
said 8:14 "conv computed by Winograd's F(2x2, 3x3)"
said 8:14 "conv_input computed by Winograd's F(2x2, 3x3)"
said 8:14 "conv computed directly: nothing is optimised" -O0
"$build/dlc" "$net" -mcpu=haswell -o out.o 2>&1 | grep . && complain "a remark that nobody asked for"
grep -q Winograd said && complain "-O0 uses Winograd's method"
[ $failures = 0 ]
