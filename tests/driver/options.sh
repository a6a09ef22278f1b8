#!/usr/bin/env bash
# Misspelt options are answered with the nearest right one, before anything is made: options.sh SOURCE BUILD
. "$(dirname "$0")/work.sh"

said() { # exit status, expected first line, expected second line, arguments of dlc...
  local status=$1 first=$2 second=$3 got
  shift 3
  got=$("$build/dlc" net.net "$@" 2>&1)
  [ $? = "$status" ] && [ "$got" = "$first"$'\n'"$second" ] && return
  complain "dlc net.net $*: $got"
}

lists='(dlc --help lists the options)'
said 2 "dlc: error: unknown option '--inferenceonly'; did you mean '--inference-only'?" "$lists" --inferenceonly
said 2 "dlc: error: unknown option '--stop-afer'; did you mean '--stop-after'?" "$lists" --stop-afer=fuse
said 2 "dlc: error: --emit does not know 'mth'; did you mean 'math'?" "$lists" --emit=mth
said 2 "dlc: error: --emit does not know 'everything'; there are so, obj, lib, asm, llvm, bc, ir, ast, dot, math, plan, summary, header" "$lists" --emit=everything
said 2 "dlc: error: --batch wants a whole number from 1 to 1048576, not '0'" "$lists" --batch 0
said 2 "dlc: error: --batch wants a whole number from 1 to 1048576, not '100000000'" "$lists" --batch=100000000
said 2 "dlc: error: -O wants a level from 0 to 3, not '9'" "$lists" -O9
said 2 "dlc: error: unknown option '--foo'" "$lists" --foo
said 2 "dlc: error: a value is missing after '-o'" "$lists" -o
said 1 "dlc: error: there is no pass 'expnd'" "note: did you mean 'expand'?" --passes=expnd
said 1 "dlc: error: there is no pass 'simplfy'" "note: did you mean 'simplify'?" --stop-after=simplfy
said 1 "dlc: error: there is no pass 'fus'" "note: did you mean 'fuse'?" --dump=fus
said 1 "dlc: error: there is no program 'trian'" "note: did you mean 'train'?" --emit=plan --program=trian
[ "$("$build/dlc" net.net -mcpu=haswel 2>&1)" = "dlc: error: unknown processor 'haswel'; did you mean 'haswell'?" ] ||
  complain "-mcpu=haswel: $("$build/dlc" net.net -mcpu=haswel 2>&1)"
[ "$(ls)" = net.net ] || complain "left: $(ls)"
[ $failures = 0 ]
