#!/usr/bin/env bash
# docs/language.md is what the op table makes of docs/language.md.in: language.sh TABLES SOURCE
set -euo pipefail
"$1" "$2/docs/language.md.in" | diff -u "$2/docs/language.md" - ||
  { echo "docs/language.md is out of date: run 'ninja docs'"; exit 1; }
