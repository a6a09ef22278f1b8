#include "base/clean.h"

#include <stdbool.h>
#include <string.h>

size_t utf8_length(const char *text, size_t left) {
  const unsigned char *s = (const unsigned char *)text;
  size_t n = s[0] < 0x80                   ? 1
             : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
             : (s[0] & 0xf0) == 0xe0       ? 3
             : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
                                           : 0;
  if (n > left) return 0;
  for (size_t i = 1; i < n; i++)
    if ((s[i] & 0xc0) != 0x80) return 0;
  if (s[0] == 0xc2 && s[1] < 0xa0) return 0; /* C1 controls */
  return n;
}

/* The length of what stands at s; *fine: it can be printed. */
static size_t step(const char *s, size_t left, bool *fine) {
  size_t k = utf8_length(s, left);
  unsigned char c = (unsigned char)*s;
  *fine = k && (c >= 0x20 || c == '\t') && c != 0x7f;
  return k ? k : 1;
}

void clean_print(FILE *out, const char *s, size_t n) {
  bool fine;
  for (size_t i = 0, k; i < n; i += k) {
    k = step(s + i, n - i, &fine);
    if (fine)
      fwrite(s + i, 1, k, out);
    else
      fputc('?', out);
  }
}

char *clean_text(char *s) {
  bool fine;
  for (size_t i = 0, k, n = strlen(s); i < n; i += k) {
    k = step(s + i, n - i, &fine);
    if (!fine) memset(s + i, '?', k);
  }
  return s;
}
