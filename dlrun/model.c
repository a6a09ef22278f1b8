/* The symbol's name ends with the network's, which is not known before: so the library's own table
 * of dynamic symbols is walked. How long the table is, only its hash tables tell. */
#include "dlrun/model.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
  const ElfW(Sym) * symbol;
  const char *text;
  const uint32_t *hash, *gnu_hash;
} Tables;

/* glibc has already moved the pointers of the dynamic section to where the library lies; others
 * have not. */
static const void *dynamic_pointer(const struct link_map *map, const ElfW(Dyn) * d) {
  uintptr_t p = d->d_un.d_ptr;
  return (const void *)(p < map->l_addr ? p + map->l_addr : p);
}

static Tables find_tables(const struct link_map *map) {
  Tables t = {0};
  for (const ElfW(Dyn) *d = map->l_ld; d->d_tag != DT_NULL; d++) {
    if (d->d_tag == DT_SYMTAB) t.symbol = dynamic_pointer(map, d);
    if (d->d_tag == DT_STRTAB) t.text = dynamic_pointer(map, d);
    if (d->d_tag == DT_HASH) t.hash = dynamic_pointer(map, d);
    if (d->d_tag == DT_GNU_HASH) t.gnu_hash = dynamic_pointer(map, d);
  }
  return t;
}

/* GNU hash: nbuckets, first symbol, bloom words, shift; bloom; buckets; chains, each ending with an
 * odd word. */
static uint32_t gnu_count(const uint32_t *h) {
  uint32_t buckets = h[0], first = h[1], last = 0;
  const uint32_t *bucket = h + 4 + (size_t)h[2] * (sizeof(ElfW(Addr)) / 4),
                 *chain = bucket + buckets;
  for (uint32_t i = 0; i < buckets; i++)
    if (bucket[i] > last) last = bucket[i];
  if (last < first) return first;
  while (!(chain[last - first] & 1)) last++;
  return last + 1;
}

static uint32_t symbol_count(const Tables *t) {
  if (t->hash) return t->hash[1];
  return t->gnu_hash ? gnu_count(t->gnu_hash) : 0;
}

static bool is_model(const Tables *t, uint32_t i) {
  const ElfW(Sym) *s = &t->symbol[i];
  return s->st_shndx != SHN_UNDEF && (s->st_info & 0xf) == STT_OBJECT &&
         s->st_info >> 4 == STB_GLOBAL && strncmp(t->text + s->st_name, "dlc_v1_", 7) == 0;
}

static const dlc_model *find_model(const struct link_map *map, int *found) {
  Tables t = find_tables(map);
  const dlc_model *model = NULL;
  *found = 0;
  uint32_t count = t.symbol && t.text ? symbol_count(&t) : 0;
  for (uint32_t i = 0; i < count; i++)
    if (is_model(&t, i)) {
      model = (const dlc_model *)(map->l_addr + t.symbol[i].st_value);
      ++*found;
    }
  return model;
}

/* ---- before the loader sees it ---- */

static bool no_library(const char *path, Fault *f) {
  const char *dot = strrchr(path, '.');
  int stem = (int)(dot ? dot - path : (ptrdiff_t)strlen(path));
  if (dot && (strcmp(dot, ".net") == 0 || strcmp(dot, ".ir") == 0))
    return fault(f, "%s: this is a network's source; compile it first: dlc %s -o %.*s.so", path,
                 path, stem, path);
  return fault(f, "%s: not a shared library: dlc FILE.net -o FILE.so makes one", path);
}

/* Whether the file has all of it. */
static bool read_at(int fd, void *to, size_t size, uint64_t at) {
  char *p = to;
  while (size) {
    ssize_t got = pread(fd, p, size, (off_t)at);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    p += got;
    at += (uint64_t)got;
    size -= (size_t)got;
  }
  return true;
}

/* The loader maps what the program headers say, and a file that ends before it kills the process
 * once it is touched. The section headers, at the end of a file, tell that it was cut off anywhere.
 */
static bool check_headers(const char *path, int fd, const ElfW(Ehdr) * e, uint64_t size, Fault *f) {
  uint64_t sections = (uint64_t)e->e_shnum * e->e_shentsize;
  if (e->e_phentsize != sizeof(ElfW(Phdr)) || !e->e_phnum)
    return fault(f, "%s: its program headers are malformed", path);
  if (e->e_shoff > size || sections > size - e->e_shoff)
    return fault(f, "%s: the library is cut off", path);
  for (int i = 0; i < e->e_phnum; i++) {
    ElfW(Phdr) p;
    if (!read_at(fd, &p, sizeof p, e->e_phoff + (uint64_t)i * sizeof p) || p.p_offset > size ||
        p.p_filesz > size - p.p_offset)
      return fault(f, "%s: the library is cut off", path);
  }
  return true;
}

static bool check_header(const char *path, int fd, uint64_t size, Fault *f) {
  ElfW(Ehdr) e = {0};
  if (!read_at(fd, e.e_ident, SELFMAG, 0) || memcmp(e.e_ident, ELFMAG, SELFMAG) != 0)
    return no_library(path, f);
  if (!read_at(fd, &e, sizeof e, 0)) return fault(f, "%s: the library is cut off", path);
  if (e.e_type == ET_REL)
    return fault(f, "%s: an object file; dlrun needs a shared library (dlc -o FILE.so)", path);
  return check_headers(path, fd, &e, size, f);
}

static bool check_file(const char *path, Fault *f) {
  struct stat st;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return fault(f, "%s: %s", path, strerror(errno));
  bool fine = !fstat(fd, &st) && S_ISREG(st.st_mode);
  if (!fine) fault(f, "%s: not a regular file", path);
  fine = fine && check_header(path, fd, (uint64_t)st.st_size, f);
  close(fd);
  return fine;
}

bool model_open(const char *path, void **handle, const dlc_model **out, Fault *f) {
  char here[4096];
  int found;
  *handle = NULL;
  if (strlen(path) > sizeof here - 3) return fault(f, "%.100s...: the path is too long", path);
  if (!check_file(path, f)) return false;
  struct link_map *map;
  snprintf(here, sizeof here, "%s%s", strchr(path, '/') ? "" : "./", path);
  *handle = dlopen(here, RTLD_NOW | RTLD_LOCAL);
  if (!*handle) return fault(f, "%s", dlerror());
  if (dlinfo(*handle, RTLD_DI_LINKMAP, &map)) return fault(f, "%s: %s", path, dlerror());
  *out = find_model(map, &found);
  if (found != 1)
    return fault(f, "%s: not a network compiled by dlc: it exports %d of them", path, found);
  if ((*out)->abi_version != DLC_ABI_VERSION)
    return fault(f, "%s: its interface has version %d; this dlrun knows %d", path,
                 (int)(*out)->abi_version, DLC_ABI_VERSION);
  if ((*out)->abi_minor < DLC_ABI_MINOR)
    return fault(f, "%s: an older dlc compiled it; compile it again", path);
  return true;
}
