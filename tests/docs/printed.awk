# awk -f printed.awk EXPECTED PRINTED: fails where a line expected is not printed next. "..." stands for any lines,
# "..." within a line for any text.
function matches(pattern, line,    part, n, i, at) {
  n = split(pattern, part, /\.\.\./)
  if (n < 2) return pattern == line
  if (substr(line, 1, length(part[1])) != part[1]) return 0
  line = substr(line, length(part[1]) + 1)
  for (i = 2; i <= n; i++) {
    at = part[i] == "" ? length(line) + 1 : index(line, part[i])
    if (!at) return 0
    line = substr(line, at + length(part[i]))
  }
  return line == "" || part[n] == ""
}
{ sub(/[ \t]+$/, "") }
NR == FNR { want[++wants] = $0; next }
{ got[++gots] = $0 }
END {
  at = 1
  for (i = 1; i <= wants; i++) {
    if (want[i] == "...") { loose = 1; continue }
    start = at
    while (loose && at <= gots && !matches(want[i], got[at])) at++
    if (at > gots || !matches(want[i], got[at])) {
      printf "expected: %s\nprinted:  %s\n", want[i], start <= gots ? got[start] : "(nothing more)"
      exit 1
    }
    loose = 0
    at++
  }
  if (!loose && at <= gots) { printf "not expected: %s\n", got[at]; exit 1 }
}
