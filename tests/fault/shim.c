/* Preloaded into the program under test: lets the n-th call of one kind fail.
 *
 *   FAULT_KIND  alloc, own, open, read, write, rename, sync, thread: the call fails
 *               short: a read or write moves one byte only; again: it is interrupted (EINTR)
 *               stop: the process gets SIGTERM at a write or rename, which are done
 *   FAULT_AT    n, from 1; 0: none
 *   FAULT_COUNT a file for the number of calls of the kind
 *
 * "own" are allocations that the program's own code asks for. Reads, writes and opens of devices
 * are left alone. stdio is led through the same calls by cookies. Children run undisturbed. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef enum { NONE, ALLOC, OWN, OPEN, READ, WRITE, RENAME, SYNC, THREAD, SHORT, AGAIN, STOP } Kind;
static const char *const kind_name[] = {"",       "alloc", "own",    "open",  "read",  "write",
                                        "rename", "sync",  "thread", "short", "again", "stop"};

static Kind kind;
static long at;
static atomic_long calls;
static const char *count_path;
static uintptr_t own_begin, own_end;

/* Whether this call is the one. */
static int strikes(Kind k) { return kind == k && atomic_fetch_add(&calls, 1) + 1 == at; }

static int find_own(struct dl_phdr_info *info, size_t size, void *unused) {
  (void)size, (void)unused;
  own_begin = UINTPTR_MAX; /* the program itself comes first */
  for (int i = 0; i < info->dlpi_phnum; i++) {
    uintptr_t begin = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
    if (info->dlpi_phdr[i].p_type != PT_LOAD) continue;
    if (begin < own_begin) own_begin = begin;
    if (begin + info->dlpi_phdr[i].p_memsz > own_end) own_end = begin + info->dlpi_phdr[i].p_memsz;
  }
  return 1;
}

__attribute__((constructor)) static void start(void) {
  const char *name = getenv("FAULT_KIND"), *number = getenv("FAULT_AT");
  count_path = getenv("FAULT_COUNT");
  unsetenv("LD_PRELOAD");
  dl_iterate_phdr(find_own, NULL);
  at = number ? strtol(number, NULL, 10) : 0;
  for (size_t i = 1; name && i < sizeof kind_name / sizeof *kind_name; i++)
    if (strcmp(name, kind_name[i]) == 0) kind = (Kind)i;
}

__attribute__((destructor)) static void finish(void) {
  char text[32];
  long n = atomic_load(&calls);
  kind = NONE;
  if (!count_path) return;
  int fd = (int)syscall(SYS_openat, AT_FDCWD, count_path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
  int length = snprintf(text, sizeof text, "%ld", n);
  if (fd >= 0 && syscall(SYS_write, fd, text, (size_t)length) == length) syscall(SYS_close, fd);
}

/* ---- memory ---- */

#ifndef FAULT_NO_MEMORY

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static int no_memory(const void *caller) {
  uintptr_t from = (uintptr_t)caller;
  int own = kind == OWN && from >= own_begin && from < own_end;
  if (!(kind == ALLOC ? strikes(ALLOC) : own && strikes(OWN))) return 0;
  errno = ENOMEM;
  return 1;
}

#define CALLER __builtin_return_address(0)

void *malloc(size_t n) { return no_memory(CALLER) ? NULL : __libc_malloc(n); }
void *calloc(size_t n, size_t size) { return no_memory(CALLER) ? NULL : __libc_calloc(n, size); }
void *realloc(void *p, size_t n) { return no_memory(CALLER) ? NULL : __libc_realloc(p, n); }
void *aligned_alloc(size_t a, size_t n) { return no_memory(CALLER) ? NULL : __libc_memalign(a, n); }

int posix_memalign(void **out, size_t alignment, size_t n) {
  if (no_memory(CALLER)) return ENOMEM;
  *out = __libc_memalign(alignment, n);
  return *out ? 0 : ENOMEM;
}

#endif

/* ---- files ---- */

static int is_file(int fd) {
  struct stat st;
  return kind > OWN && !fstat(fd, &st) && S_ISREG(st.st_mode);
}

static int opened(const char *path, int flags, mode_t mode) {
  struct stat st;
  int device = !stat(path, &st) && (S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode));
  if (!device && strikes(OPEN)) return errno = EMFILE, -1;
  return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

static mode_t mode_of(int flags, va_list ap) { return flags & O_CREAT ? va_arg(ap, mode_t) : 0; }

int open(const char *path, int flags, ...) {
  va_list ap;
  va_start(ap, flags);
  mode_t mode = mode_of(flags, ap);
  va_end(ap);
  return opened(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
  va_list ap;
  va_start(ap, flags);
  mode_t mode = mode_of(flags, ap);
  va_end(ap);
  return opened(path, flags, mode);
}

/* What remains of n bytes to move; -1: fail with errno. */
static ssize_t allowed(int fd, size_t n, Kind k, int error) {
  if (!is_file(fd)) return (ssize_t)n;
  if (strikes(k)) return errno = error, -1;
  if (kind == AGAIN && strikes(AGAIN)) return errno = EINTR, -1;
  return kind == SHORT && n > 1 && strikes(SHORT) ? 1 : (ssize_t)n;
}

ssize_t read(int fd, void *to, size_t n) {
  ssize_t now = allowed(fd, n, READ, EIO);
  return now < 0 ? -1 : syscall(SYS_read, fd, to, (size_t)now);
}

ssize_t pread(int fd, void *to, size_t n, off_t from) {
  ssize_t now = allowed(fd, n, READ, EIO);
  return now < 0 ? -1 : syscall(SYS_pread64, fd, to, (size_t)now, from);
}

ssize_t pread64(int fd, void *to, size_t n, off64_t from) { return pread(fd, to, n, from); }

ssize_t write(int fd, const void *from, size_t n) {
  ssize_t now = allowed(fd, n, WRITE, ENOSPC);
  if (kind == STOP && is_file(fd) && strikes(STOP)) raise(SIGTERM);
  return now < 0 ? -1 : syscall(SYS_write, fd, from, (size_t)now);
}

int rename(const char *from, const char *to) {
  if (strikes(RENAME)) return errno = EACCES, -1;
  if (strikes(STOP)) raise(SIGTERM);
  return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int fsync(int fd) {
  if (strikes(SYNC)) return errno = EIO, -1;
  return (int)syscall(SYS_fsync, fd);
}

/* ---- stdio ---- */

static ssize_t cookie_read(void *fd, char *to, size_t n) { return read((int)(intptr_t)fd, to, n); }

/* Goes on after a short write, as stdio does on files of its own; fewer than n is an error. */
static ssize_t cookie_write(void *fd, const char *from, size_t n) {
  size_t done = 0;
  while (done < n) {
    ssize_t now = write((int)(intptr_t)fd, from + done, n - done);
    if (now < 0) break;
    done += (size_t)now;
  }
  return (ssize_t)done;
}

static int cookie_seek(void *fd, off64_t *offset, int whence) {
  off64_t at_now = syscall(SYS_lseek, (int)(intptr_t)fd, *offset, whence);
  if (at_now < 0) return -1;
  *offset = at_now;
  return 0;
}

static int cookie_close(void *fd) { return (int)syscall(SYS_close, (int)(intptr_t)fd); }

static int open_flags(const char *mode) {
  int both = strchr(mode, '+') != NULL;
  int flags = *mode == 'r' ? 0 : *mode == 'w' ? O_CREAT | O_TRUNC : O_CREAT | O_APPEND;
  flags |= both ? O_RDWR : *mode == 'r' ? O_RDONLY : O_WRONLY;
  return flags | (strchr(mode, 'x') ? O_EXCL : 0) | (strchr(mode, 'e') ? O_CLOEXEC : 0);
}

/* Memory first, as libc has it: without that there is no file. */
FILE *fopen(const char *path, const char *mode) {
  static const cookie_io_functions_t calls_of = {cookie_read, cookie_write, cookie_seek,
                                                 cookie_close};
  int place = (int)syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC, 0);
  FILE *f = fopencookie((void *)(intptr_t)place, mode, calls_of);
  if (!f) return (void)syscall(SYS_close, place), NULL;
  int fd = opened(path, open_flags(mode), 0666), why = errno;
  if (fd >= 0) {
    syscall(SYS_dup3, fd, place, open_flags(mode) & O_CLOEXEC);
    syscall(SYS_close, fd);
    return f;
  }
  fclose(f);
  errno = why;
  return NULL;
}

FILE *fopen64(const char *path, const char *mode) { return fopen(path, mode); }

/* ---- threads ---- */

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                   void *argument) {
  static int (*next)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
  if (strikes(THREAD)) return EAGAIN;
  if (!next) *(void **)&next = dlsym(RTLD_NEXT, "pthread_create");
  return next(thread, attributes, run, argument);
}
