#!/usr/bin/env bash
# Every network in examples/ compiles as far as a summary, so does each `dlc` command in the comment at its head and in
# docs/gallery.md; examples/README.md and the gallery know it; the gallery's figures and pictures are all there:
# networks.sh SOURCE BUILD
set -euo pipefail
cd "$1"
dlc=$2/dlc
failures=0 commands=0
complain() { printf '%s\n' "$*"; failures=$((failures + 1)); }

# `#   dlc FILE.net options...` without what follows && or a wide gap, and without -o: the summary is text.
commands_of() {
  sed -n 's/^#  *dlc \(examples\/[a-z0-9_]*\.net.*\)/\1/p' "$1" | sed -e 's/ *&&.*//' -e 's/   .*//' -e 's/ -o [^ ]*//' -e 's/ \\$//'
}

try() {
  commands=$((commands + 1))
  "$dlc" $1 --emit=summary >/dev/null || complain "dlc $1"
}

gallery_commands() { sed -n 's/^\(\$ \)\{0,1\}build\/dlc \(examples.*\)/\2/p' docs/gallery.md | sed -e 's/ -o [^ ]*//' -e 's/ --emit.*//'; }

for file in examples/*.net; do
  name=${file##*/}
  name=${name%.net}
  grep -q "\`$name\`\|\`${name%%_*}_\*\`" examples/README.md || complain "examples/README.md does not know $name"
  grep -q '^network ' "$file" || continue
  grep -q "dlc $file" docs/gallery.md || complain "docs/gallery.md does not show $name"
  while read -r command; do try "$command"; done < <(echo "$file"; commands_of "$file")
done 2>&1
while read -r command; do try "$command"; done < <(gallery_commands) 2>&1
! grep -n '(not measured)\|not measured' docs/gallery.md || complain 'docs/gallery.md lacks a figure: scripts/gallery SECTION'
for picture in $(grep -o '(gallery/[a-z0-9_.]*)' docs/gallery.md | tr -d '()'); do
  [ -s "docs/$picture" ] || complain "docs/gallery.md shows $picture, which is not there"
done
printf '%d commands, %d failures\n' $commands $failures
[ $commands -ge 20 ] && [ $failures = 0 ]
