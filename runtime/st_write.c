/* Writing safetensors: header and data to a temporary file beside the target, sync, rename, sync of
 * the directory. A crash at any moment leaves the old file or the new one, never half of one. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/dlc.h"
#include "runtime/safetensors.h"

static int write_fail(StWriter *w, int code, const char *why) {
  snprintf(w->error, sizeof w->error, "%.160s: %s", w->path ? w->path : "", why);
  st_abort(w);
  return code;
}

int st_write(StWriter *w, const void *data, size_t bytes) {
  const char *from = data;
  while (bytes) {
    ssize_t done = write(w->fd, from, bytes);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return write_fail(w, DLC_EIO, strerror(errno));
    from += done;
    bytes -= (size_t)done;
  }
  return DLC_OK;
}

/* ---- the header, first measured (text NULL), then written ---- */

typedef struct {
  char *text;
  size_t length;
} Out;

static void put(Out *o, const char *s) {
  size_t n = strlen(s);
  if (o->text) memcpy(o->text + o->length, s, n);
  o->length += n;
}

static void put_number(Out *o, int64_t v) {
  char text[24];
  snprintf(text, sizeof text, "%lld", (long long)v);
  put(o, text);
}

static void put_string(Out *o, const char *s) {
  put(o, "\"");
  for (; *s; s++) {
    char one[8] = {*s};
    if (*s == '"' || *s == '\\')
      snprintf(one, sizeof one, "\\%c", *s);
    else if ((unsigned char)*s < 0x20)
      snprintf(one, sizeof one, "\\u%04x", (unsigned char)*s);
    put(o, one);
  }
  put(o, "\"");
}

static int64_t tensor_bytes(const StTensor *t) {
  int64_t bytes = (int64_t)st_type_size(t->type);
  for (int d = 0; d < t->rank; d++) bytes *= t->dim[d];
  return bytes;
}

static void put_tensor(Out *o, const StTensor *t, int64_t at) {
  put_string(o, t->name);
  put(o, ":{\"dtype\":\"");
  put(o, st_type_name(t->type));
  put(o, "\",\"shape\":[");
  for (int d = 0; d < t->rank; d++) {
    if (d) put(o, ",");
    put_number(o, t->dim[d]);
  }
  put(o, "],\"data_offsets\":[");
  put_number(o, at);
  put(o, ",");
  put_number(o, at + tensor_bytes(t));
  put(o, "]}");
}

static void put_meta(Out *o, const StPair *meta, int64_t count) {
  put(o, "\"__metadata__\":{");
  for (int64_t i = 0; i < count; i++) {
    if (i) put(o, ",");
    put_string(o, meta[i].key);
    put(o, ":");
    put_string(o, meta[i].value);
  }
  put(o, "}");
}

static void put_header(Out *o, const StTensor *t, int64_t count, const StPair *meta,
                       int64_t meta_count) {
  int64_t at = 0;
  put(o, "{");
  if (meta_count) put_meta(o, meta, meta_count);
  for (int64_t i = 0; i < count; i++) {
    if (i || meta_count) put(o, ",");
    put_tensor(o, &t[i], at);
    at += tensor_bytes(&t[i]);
  }
  put(o, "}");
  while (o->length % 8) put(o, " ");
}

static int write_header(StWriter *w, const StTensor *t, int64_t count, const StPair *meta,
                        int64_t meta_count) {
  Out o = {NULL, 0};
  put_header(&o, t, count, meta, meta_count);
  size_t length = o.length;
  char *text = malloc(length + 8);
  if (!text) return write_fail(w, DLC_ENOMEM, "out of memory");
  for (int i = 0; i < 8; i++) text[i] = (char)(length >> (8 * i) & 0xff);
  o = (Out){text + 8, 0};
  put_header(&o, t, count, meta, meta_count);
  int code = st_write(w, text, length + 8);
  free(text);
  return code;
}

/* ---- the file ---- */

static int open_temporary(StWriter *w, const char *path) {
  size_t room = strlen(path) + 48;
  w->path = strdup(path);
  w->temporary = malloc(room);
  if (!w->path || !w->temporary) return DLC_ENOMEM;
  for (int i = 0; i < 100; i++) {
    snprintf(w->temporary, room, "%s.tmp%ld.%d", path, (long)getpid(), i);
    w->fd = open(w->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (w->fd >= 0 || errno != EEXIST) break;
  }
  return w->fd >= 0 ? DLC_OK : DLC_EIO;
}

int st_create(StWriter *w, const char *path, const StTensor *tensor, int64_t count,
              const StPair *meta, int64_t meta_count) {
  memset(w, 0, sizeof *w);
  w->fd = -1;
  int code = open_temporary(w, path);
  if (code != DLC_OK) return write_fail(w, code, strerror(errno));
  return write_header(w, tensor, count, meta, meta_count);
}

static int sync_directory(const char *path) {
  char *copy = strdup(path);
  if (!copy) return -1;
  char *slash = strrchr(copy, '/');
  if (slash) slash[slash == copy] = 0;
  int fd = open(slash ? copy : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  free(copy);
  if (fd < 0) return -1;
  int failed = fsync(fd) && errno != EINVAL; /* some file systems cannot */
  close(fd);
  return failed ? -1 : 0;
}

int st_commit(StWriter *w) {
  if (fsync(w->fd) && errno != EINVAL) return write_fail(w, DLC_EIO, strerror(errno));
  int failed = close(w->fd);
  w->fd = -1;
  if (failed || rename(w->temporary, w->path)) return write_fail(w, DLC_EIO, strerror(errno));
  sync_directory(
      w->path); /* the file is in place: a failure here loses nothing that was there before */
  free(w->temporary);
  w->temporary = NULL;
  st_abort(w);
  return DLC_OK;
}

void st_abort(StWriter *w) {
  if (w->fd >= 0) close(w->fd);
  if (w->temporary) unlink(w->temporary);
  free(w->temporary);
  free(w->path);
  w->fd = -1;
  w->temporary = w->path = NULL;
}
