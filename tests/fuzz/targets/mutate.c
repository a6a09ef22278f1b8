/* libFuzzer's mutator of .net text: half of the time its own, else an edit of whole tokens or
 * statements, which keeps the text likely to parse. */
#include <ctype.h>
#include <string.h>

#include "targets.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

enum { MOST = 4096 };

typedef struct {
  size_t at, length;
} Part;

static uint32_t draw(unsigned *seed, size_t below) {
  *seed = *seed * 1664525u + 1013904223u;
  return (uint32_t)((*seed >> 8) % (below ? below : 1));
}

static int is_name(int c) { return isalnum(c) || c == '_' || c == '.'; }

/* The token that begins at `at`: a name or number, or one other byte, with the blanks before it. */
static Part token_at(const uint8_t *data, size_t size, size_t at) {
  size_t end = at;
  while (end < size && isspace(data[end])) end++;
  size_t start = end;
  while (end < size && is_name(data[end])) end++;
  if (end == start && end < size) end++;
  return (Part){at, end - at};
}

static Part draw_token(const uint8_t *data, size_t size, unsigned *seed) {
  size_t at = draw(seed, size);
  while (at > 0 && is_name(data[at]) && is_name(data[at - 1])) at--;
  return token_at(data, size, at);
}

/* From behind a ; { or } to behind the next. */
static Part draw_statement(const uint8_t *data, size_t size, unsigned *seed) {
  size_t at = draw(seed, size), end = at;
  while (at > 0 && !strchr(";{}", data[at - 1] ? data[at - 1] : 'x')) at--;
  while (end < size && !strchr(";{}", data[end] ? data[end] : 'x')) end++;
  return (Part){at, (end < size ? end + 1 : end) - at};
}

/* `from`, copied from `old`, takes the place of `to`. 0 when it does not fit. */
static size_t splice(uint8_t *data, size_t size, size_t most, Part to, const uint8_t *old,
                     Part from) {
  size_t rest = size - to.at - to.length;
  if (size - to.length + from.length > most) return 0;
  memmove(data + to.at + from.length, data + to.at + to.length, rest);
  memcpy(data + to.at, old + from.at, from.length);
  return size - to.length + from.length;
}

/* Numbers where readers have their edges. */
static size_t put_number(uint8_t *data, size_t size, size_t most, Part to, unsigned *seed) {
  static const char *const numbers[] = {" 0",   " 1",   " -1",         " 2",          " 3",    " 7",
                                        " 1e9", " 0.5", " 2147483647", " 4294967297", " 65536"};
  const char *n = numbers[draw(seed, sizeof numbers / sizeof *numbers)];
  return splice(data, size, most, to, (const uint8_t *)n, (Part){0, strlen(n)});
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed) {
  uint8_t old[MOST];
  unsigned kind = draw(&seed, 12);
  if (size < 8 || size > MOST || kind < 6) return LLVMFuzzerMutate(data, size, most);
  memcpy(old, data, size);
  Part a = kind & 1 ? draw_token(old, size, &seed) : draw_statement(old, size, &seed);
  Part b = kind & 1 ? draw_token(old, size, &seed) : draw_statement(old, size, &seed);
  size_t made = 0;
  if (kind < 8)
    made = splice(data, size, most, a, old, b); /* replaced */
  else if (kind < 10)
    made = splice(data, size, most, (Part){a.at, 0}, old, b); /* inserted */
  else if (kind == 10)
    made = splice(data, size, most, a, old, (Part){0, 0}); /* removed */
  else
    made = put_number(data, size, most, a, &seed);
  return made ? made : LLVMFuzzerMutate(data, size, most);
}
