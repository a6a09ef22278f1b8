#!/usr/bin/env bash
# Examples compiled, trained, used and checked under valgrind: no error, and no block is lost. valgrind.sh SOURCE BUILD
# Exit status 77 where valgrind is not installed. Valgrind knows no AVX-512, so that the code is for haswell.
set -uo pipefail
source=$1 build=$2
command -v valgrind >/dev/null || { echo "valgrind is not installed"; exit 77; }
[ "$(uname -m)" = x86_64 ] || { echo "valgrind is tried on x86-64 only"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
failures=0

watched() { # program and arguments
  valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite,indirect,possible "$@" >said 2>&1 &&
    ! grep -q '^==[0-9]*==' said && return
  printf '%s\n' "$*"
  cat said
  failures=$((failures + 1))
}

samples() { # values a sample, classes (0: a number)
  awk -v n="$1" -v classes="$2" 'BEGIN { for (s = 0; s < 4; s++) {
    for (i = 0; i < n; i++) printf "%d,", (s * 31 + i * 17) % 5
    print classes ? s % classes : s / 4 } }'
}

try() { # example, values, classes, -D options...
  local name=$1
  samples "$2" "$3" >"$name.csv"
  "$build/dlc" "$source/examples/$name.net" "${@:4}" -o "$name.so" --batch 3 -mcpu=haswell || failures=$((failures + 1))
  watched "$build/dlrun" train "$name.so" --data "$name.csv" --valid "$name.csv" --epochs 1 --batch 3 --threads 2 \
    --save "$name.safetensors" --log "$name" --quiet
  watched "$build/dlrun" predict "$name.so" --weights "$name.safetensors" --inputs "$name.csv" -o "$name.out.csv"
  watched "$build/dlrun" eval "$name.so" --weights "$name.safetensors" --data "$name.csv" --threads 3
}

try iris 4 3
try regression_mlp 3 0 -D n=3
try concat_dropout 5 2 -D n=5 -D classes=2
try mnist_cnn 784 10
watched "$build/dlrun" check iris.so
watched "$build/dlrun" check concat_dropout.so
watched "$build/dlc" "$source/examples/iris.net" -o again.so
[ $failures = 0 ]
