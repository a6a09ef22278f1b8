# For the tests of this folder, to be sourced with SOURCE BUILD: a folder of their own with net.net in it, and a count of
# failures, which the last line of a test compares with 0.
set -uo pipefail
source=$1 build=$2
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
cd "$work"
cp "$source/tests/dlrun/slope.net" net.net
export NO_COLOR=1
failures=0
complain() { printf '%s\n' "$*"; failures=$((failures + 1)); }
