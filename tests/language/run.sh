#!/usr/bin/env bash
# Every name of the language has a program that compiles, trains a step and whose gradients are right: run.sh SOURCE BUILD
set -euo pipefail
source=$1 build=$2
here=$source/tests/language
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here/part.net" "$work"
cd "$work"

# Program N of programs.txt to N.net, its names to N.names; N.data where its samples are those of samples.csv.
awk '
  function finish() {
    if (!n) return
    file = sprintf("%03d.net", n)
    print names > sprintf("%03d.names", n)
    if (whole) { printf "%s", outside body > file; return }
    if (body !~ /input [a-z]+ *:/) {
      body = "input x : f32[2, 6, 6];\ntarget y : class[3];\n" body
      print "" > sprintf("%03d.data", n)
    }
    if (body !~ /(^|[ \n])loss /) body = body "logits = h |> flatten |> linear(3) as head;\n" \
      "output probabilities = softmax(logits);\nloss cross_entropy(logits, y);\nmetric accuracy(logits, y);\n"
    printf "%snetwork t {\n%s}\n%s", outside, body, train > file
  }
  /^#/ || /^$/ { next }
  /^== / { finish(); n++; names = substr($0, 4); outside = body = train = ""; whole = 0; next }
  /^network/ { whole = 1 }
  whole { body = body $0 "\n"; next }
  /^(const|include) / { outside = outside $0 "\n"; next }
  /^block /, /^}/ { outside = outside $0 "\n"; next }
  /^train / { train = train $0 "\n"; next }
  { body = body $0 "\n" }
  END { finish() }' "$here/programs.txt"

# Sixteen samples of 72 numbers and a label.
awk 'BEGIN { for (i = 0; i < 16; i++) { for (k = 0; k < 72; k++) printf "%.4f,", sin(i * 72 + k * k); print i % 3 } }' >samples.csv

failures=0
complain() { printf '%s\n' "$*"; failures=$((failures + 1)); }

# Each name is used by a program that is listed under it, and nothing of the op table is forgotten.
programs_of() { grep -lwF -- "$1" ./*.names | sed 's/names$/net/' || true; }
check_name() {
  local program
  for program in $(programs_of "$1"); do
    if grep -qwF -- "$1" "$program"; then return; fi
  done
  complain "$1: no program uses it"
}
names=$(sed -e '/^#/d' -e 's/^[a-z_]*: //' "$here/names.txt")
[ "$(wc -w <<<"$names")" -ge 130 ] || complain "names.txt lists too little"
for name in $names $(sed -n 's/^| `\([a-z0-9_]*\)(.*/\1/p' "$source/docs/language.md"); do check_name "$name"; done

try() {
  "$build/dlc" "$1.net" -o "$1.so" --batch 4 && "$build/dlrun" check "$1.so" && "$build/dlrun" check "$1.so" --eval &&
    if [ -e "$1.data" ]; then "$build/dlrun" train "$1.so" --data samples.csv --batch 4 --epochs 3 --quiet
    else "$build/dlrun" bench "$1.so" --seconds 0; fi
}
one() {
  if ! try "$1" >"$1.log" 2>&1; then
    printf -- '---- %s\n' "$(cat "$1.names")"
    cat "$1.net" "$1.log"
    touch "$1.failed"
  fi
}
export -f one try
export build NO_COLOR=1
ls ./*.net | grep -o '[0-9]*\.net' | sed 's/\.net//' | xargs -P "$(nproc)" -I{} bash -c 'one {}'
for failed in ./*.failed; do [ -e "$failed" ] && complain "failed: $(cat "${failed%.failed}.names")"; done
printf '%d programs, %d faults\n' "$(ls ./*.names | wc -l)" $failures
[ $failures = 0 ]
