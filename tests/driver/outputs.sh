#!/usr/bin/env bash
# An output that cannot be written is one clear error, for every kind, and nothing is left behind: outputs.sh SOURCE BUILD
. "$(dirname "$0")/work.sh"

refused() { # expected error, arguments of dlc...
  local expected=$1 before after got status
  shift
  before=$(find . | sort)
  got=$("$build/dlc" net.net "$@" 2>&1)
  status=$?
  after=$(find . | sort)
  [ $status = 1 ] || complain "dlc $*: exit status $status"
  [ "$got" = "dlc: error: cannot write $expected" ] || complain "dlc $*: $got"
  [ "$before" = "$after" ] || complain "dlc $*: left $(diff <(echo "$before") <(echo "$after"))"
}

mkdir folder folder.so folder.h sealed
mkfifo pipe.so
chmod 555 sealed
for kind in so obj lib asm llvm bc ir ast dot math plan summary header; do
  refused "'nowhere/out': No such file or directory" --emit=$kind -o nowhere/out
  refused "'folder': Is a directory" --emit=$kind -o folder
  refused "'net.net/out': Not a directory" --emit=$kind -o net.net/out
  refused "'net.net': it is the input" --emit=$kind -o net.net
  if [ ! -w sealed ]; then refused "'sealed/out': Permission denied" --emit=$kind -o sealed/out; fi
done
for kind in so obj lib; do refused "'folder.h': Is a directory" --emit=$kind -o folder.out; done
refused "'folder.so': Is a directory" -o folder.so
before=$(ls)
[ "$("$build/dlc" net.net --emit=so -o net.h 2>&1)" = "dlc: error: 'net.h' is the name of the header as well" ] || complain "-o net.h"
[ "$before" = "$(ls)" ] || complain "-o net.h leaves a file"
refused "'pipe.so': not a regular file" -o pipe.so
refused "'nowhere/out.ir': No such file or directory" --stop-after=expand -o nowhere/out.ir
"$build/dlc" net.net --emit=ir >/dev/full 2>said && complain "a full standard output is no failure"
[ "$(cat said)" = "dlc: error: cannot write 'standard output': No space left on device" ] || complain "$(cat said)"
"$build/dlc" --help >/dev/full 2>said && complain "help to a full standard output is no failure"
[ "$(cat said)" = "dlc: error: cannot write standard output: No space left on device" ] || complain "$(cat said)"
"$build/dlc" net.net --emit=ir >&- 2>said && complain "a closed standard output is no failure"
[ "$(cat said)" = "dlc: error: cannot write 'standard output': Bad file descriptor" ] || complain "$(cat said)"

# What can be written appears whole, beside what was there, and a device takes text.
for kind in so obj lib asm llvm bc ir ast dot math plan summary header; do
  echo old >out
  "$build/dlc" net.net --emit=$kind -o out || complain "--emit=$kind fails"
  [ "$(wc -c <out)" -gt 100 ] || complain "--emit=$kind wrote little"
  [ -z "$(ls ./*.tmp* 2>/dev/null)" ] || complain "--emit=$kind left $(ls ./*.tmp*)"
done

# The same bytes each time, under a name that holds the process's number in between.
mkdir first again
for kind in so obj lib asm llvm bc header ir; do
  for folder in first again; do (cd $folder && "$build/dlc" ../net.net -g --emit=$kind -o out); done
  cmp first/out again/out || complain "--emit=$kind differs from run to run"
done

# Standard output takes text.
for kind in asm llvm ir ast dot math plan summary header; do
  "$build/dlc" net.net --emit=$kind -o out || complain "--emit=$kind fails"
  "$build/dlc" net.net --emit=$kind -o - | cmp - out || complain "--emit=$kind -o - differs"
done
for kind in so obj lib bc; do
  [ "$("$build/dlc" net.net --emit=$kind -o - 2>&1)" = "dlc: error: only text goes to standard output" ] ||
    complain "--emit=$kind -o - is not refused"
done
"$build/dlc" net.net -S -o - >/dev/full 2>said && complain "-S: a full standard output is no failure"
grep -q "No space left on device" said || complain "$(cat said)"
[ ! -e ./- ] || complain "a file is called -"
"$build/dlc" net.net --emit=ir -o /dev/null || complain "/dev/null takes no text"
[ -c /dev/null ] || complain "/dev/null is no device any more"

# Layers alike share their kernels; with -g each has its own, at its own line.
for g in "" -g; do "$build/dlc" "$source/examples/deep.net" $g --emit=llvm -o deep$g.ll || complain "deep.net $g fails"; done
alike=$(awk '/^define/ { sub(/@[^(]*/, ""); code = "" } { code = code $0 } /^}/ && seen[code]++ { n++ } END { print n + 0 }' deep.ll)
[ "$alike" = 0 ] || complain "$alike functions stand twice"
[ "$(grep -c ^define deep.ll)" -lt "$(grep -c ^define deep-g.ll)" ] || complain "-g does not keep the kernels apart"
[ $failures = 0 ]
