#!/usr/bin/env bash
# Installs into a fresh prefix and uses what is there from outside the tree: run.sh SOURCE BUILD CMAKE
set -euo pipefail
source=$1 build=$2 cmake=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix
unset DLC_RUNTIME
strict="-Wall -Wextra -Wpedantic -Werror"

step() { printf '== %s\n' "$*"; }
fail() { printf 'failed: %s\n' "$*" >&2; exit 1; }

step install
"$cmake" --install "$build" --prefix "$prefix" >"$work/install.log" || { cat "$work/install.log"; exit 1; }
for file in bin/dlc bin/dlrun lib/dlc/libdlcrt.a include/dlc.h share/man/man1/dlc.1 share/man/man1/dlrun.1 \
  share/bash-completion/completions/dlc share/bash-completion/completions/dlrun; do
  [ -s "$prefix/$file" ] || fail "$file is not installed"
done
mv "$prefix" "$work/moved" # nothing may remember where it was installed
prefix=$work/moved
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
dlc=$(pkg-config --variable=compiler dlc)
[ -x "$dlc" ] || fail "pkg-config does not know the compiler"

mkdir "$work/outside"
cp -r "$source/examples/app" "$source/examples/iris.net" "$source/examples/data/iris.csv" \
  "$source/tests/install/second.net" "$source/tests/install/two.c" "$work/outside"
cd "$work/outside"

# "146 of 150 flowers named right"
check_app() {
  local said right
  said=$("$1" iris.csv | tail -1)
  printf '%s\n' "$said"
  right=${said%% of *}
  [ "$right" -ge 140 ] && [ "$said" = "$right of 150 flowers named right" ] || fail "$1 said: $said"
}

step "app with CMake"
"$cmake" -G Ninja -S app -B app-build -DCMAKE_PREFIX_PATH="$prefix" >cmake.log 2>&1 || { cat cmake.log; exit 1; }
"$cmake" --build app-build >cmake.log 2>&1 || { cat cmake.log; exit 1; }
check_app app-build/app
[[ $("$cmake" --build app-build) == *"no work to do"* ]] || fail "the second build does not find everything up to date"
touch iris.net
[[ $("$cmake" --build app-build) == *"Compiling network"* ]] || fail "a changed .net file is not compiled again"

step "app with cc"
"$dlc" iris.net -o flowers.o
cc $strict -I. app/app.c flowers.o $(pkg-config --cflags --libs dlc) -o app-cc
check_app ./app-cc

step "the header as C89, C17 and C++17"
"$dlc" second.net -o second.o
for standard in c89 c17; do
  for header in flowers second; do
    printf '#include "%s.h"\nint main(void) { return DLC_OK; }\n' $header >use.c
    cc -std=$standard $strict -c use.c -o use.o
  done
done
printf '#include "flowers.h"\n#include "second.h"\n#include <dlc.h>\n#include "flowers.h"\nint main() { return DLC_OK; }\n' >use.cpp
c++ -std=c++17 $strict $(pkg-config --cflags dlc) use.cpp flowers.o second.o $(pkg-config --libs dlc) -o use-cpp
./use-cpp

step "two networks in one program"
"$dlc" iris.net -o iris.o
cc $strict two.c iris.o second.o $(pkg-config --libs dlc) -o two
./two
"$dlc" iris.net -o iris.a
"$dlc" second.net -o second.a
cc $strict two.c iris.a second.a $(pkg-config --libs dlc) -o two
./two

step "one symbol"
"$dlc" iris.net -o iris.so
# The version's own name (type A) is no symbol that could be linked with.
shown() { nm "$@" --defined-only | awk '$2 != "A" { sub(/@.*/, "", $3); if ($3) print $3 }'; }
[ "$(shown -D iris.so)" = dlc_v1_iris ] || fail "iris.so shows $(shown -D iris.so)"
[ "$(shown -g iris.o)" = dlc_v1_iris ] || fail "iris.o shows $(shown -g iris.o)"
[ "$(shown -g iris.a)" = dlc_v1_iris ] || fail "iris.a shows $(shown -g iris.a)"

step "dlrun, installed"
"$prefix/bin/dlrun" summary iris.so >summary.txt
grep -q 'fc1' summary.txt || fail "dlrun summary does not know fc1"
printf 'installed, used and checked\n'
