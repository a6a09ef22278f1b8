#!/usr/bin/env bash
# Every network in examples/ compiles as far as a summary, so does each `dlc` command in the comment at its head, and
# examples/README.md knows it: networks.sh SOURCE BUILD
set -euo pipefail
cd "$1"
dlc=$2/dlc
failures=0 commands=0
complain() { printf '%s\n' "$*"; failures=$((failures + 1)); }

# `#   dlc FILE.net options...` without what follows && or a wide gap, and without -o: the summary is text.
commands_of() {
  sed -n 's/^#  *dlc \(examples\/[a-z0-9_]*\.net.*\)/\1/p' "$1" | sed -e 's/ *&&.*//' -e 's/   .*//' -e 's/ -o [^ ]*//' -e 's/ \\$//'
}

for file in examples/*.net; do
  name=${file##*/}
  name=${name%.net}
  grep -q "\`$name\`\|\`${name%%_*}_\*\`" examples/README.md || complain "examples/README.md does not know $name"
  grep -q '^network ' "$file" || continue
  while read -r command; do
    commands=$((commands + 1))
    "$dlc" $command --emit=summary >/dev/null || complain "dlc $command"
  done < <(echo "$file"; commands_of "$file")
done 2>&1
printf '%d commands, %d failures\n' $commands $failures
[ $commands -ge 20 ] && [ $failures = 0 ]
