#!/usr/bin/env bash
# The op that docs/hacking.md adds works: puts it into a copy of the sources, and lets tests/ir/test_ops.c, which
# takes each row because it is a row, check its derivatives: new_op.sh SOURCE CC
set -euo pipefail
source=$1 cc=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/tests"
cp -r "$source/base" "$source/ir" "$source/passes" "$work/"
cp -r "$source/tests/ir" "$work/tests/"
cd "$work"

# Blocks that begin /* FILE: at the end */ or /* FILE: at the end of SECTION(name) */
awk '/^```c$/ { getline; if ($2 ~ /^ir\/.*:$/) { n++; print > ("block" n); inside = 1; next } }
     /^```$/ { inside = 0 }
     inside { print > ("block" n) }' "$source/docs/hacking.md"
[ -s block1 ] && [ -s block2 ] || { echo "docs/hacking.md has no op to add"; exit 1; }

for block in block*; do
  file=$(sed -n '1s/^\/\* \([a-z_/.]*\): .*/\1/p' $block)
  section=$(sed -n '1s/.*SECTION(\([a-z_]*\)).*/\1/p' $block)
  sed -i 1d $block
  if [ -z "$section" ]; then cat $block >>"$file"; continue; fi
  awk -v section="$section" -v block=$block '
    /^SECTION\(/ { if (here) { while ((getline line < block) > 0) print line; here = 0; done = 1 }
                   here = index($0, "SECTION(" section ")") == 1 }
    { print }
    END { exit !done }' "$file" >changed
  mv changed "$file"
done

name=$(sed -n 's/^ELEMENTWISE(\([a-z_]*\),.*/\1/p' block1)
grep -q "^ELEMENTWISE($name," ir/ops.def
export name
ls base/*.c ir/*.c ir/ops/*.c passes/*.c tests/ir/test_ops.c |
  xargs -P "$(nproc)" -I{} sh -c '"$0" -std=gnu17 -D_GNU_SOURCE -DTEST_SOURCE_DIR="\"$PWD\"" -I. -Wall -Wextra -Werror \
    -O1 -c {} -o "$(echo {} | tr / _).o"' "$cc"
"$cc" ./*.o -lcmocka -lm -o test_ops
./test_ops >log 2>&1 || { cat log; exit 1; }
echo "$name is an op"
