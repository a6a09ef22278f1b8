/* safetensors files: 8 bytes of header length (little-endian), a JSON header, then the tensors'
 * bytes.
 *
 * Reading trusts nothing: the header's length is checked against the file, the JSON is of one fixed
 * shape and read without recursion, shapes must not overflow, and the tensors must tile the data
 * exactly, without overlap or hole. Writing goes to a temporary file beside the target, which is
 * synced and renamed. */
#ifndef DLC_RUNTIME_SAFETENSORS_H
#define DLC_RUNTIME_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

enum { ST_RANK = 8, ST_MAX_HEADER = 100000000, ST_ERROR_BYTES = 256 };

typedef enum {
  ST_BOOL,
  ST_U8,
  ST_I8,
  ST_F8_E5M2,
  ST_F8_E4M3,
  ST_I16,
  ST_U16,
  ST_F16,
  ST_BF16,
  ST_I32,
  ST_U32,
  ST_F32,
  ST_F64,
  ST_I64,
  ST_U64,
  ST_TYPES
} StType;

typedef struct {
  const char *name;
  StType type;
  int rank;
  int64_t dim[ST_RANK];
  int64_t elements;
  uint64_t begin, end; /* within the data */
} StTensor;

typedef struct {
  const char *key, *value;
} StPair;

typedef struct {
  int fd;
  char *header; /* names and metadata point into it */
  uint64_t data_at;
  StTensor *tensor; /* sorted by name */
  int64_t count;
  StPair *meta;
  int64_t meta_count;
  char error[ST_ERROR_BYTES];
} StFile;

/* DLC_OK, DLC_EIO, DLC_EFORMAT or DLC_ENOMEM; after an error f->error says why and nothing needs
 * closing. */
int st_open(StFile *f, const char *path);
void st_close(StFile *f);
const StTensor *st_find(const StFile *f, const char *name);
const char *st_meta(const StFile *f, const char *key); /* or NULL */

size_t st_type_size(StType type);
const char *st_type_name(StType type);
int st_is_float(StType type);
int st_is_integer(StType type); /* those of at most 64 bits that int64_t holds: not BOOL, not U64 */

/* `count` elements from the `first` on, converted; st_read_doubles takes every float and integer
 * type, st_read_integers integer types. DLC_OK, DLC_EIO or DLC_EFORMAT (a type that cannot be
 * converted). */
int st_read_doubles(StFile *f, const StTensor *t, int64_t first, int64_t count, double *out);
int st_read_integers(StFile *f, const StTensor *t, int64_t first, int64_t count, int64_t *out);
/* The bytes as they are. */
int st_read_bytes(StFile *f, uint64_t at, void *out, size_t bytes);

/* ---- writing ---- */

typedef struct {
  int fd;
  char *path, *temporary;
  char error[ST_ERROR_BYTES];
} StWriter;

/* Opens the temporary file and writes the header for `count` tensors, whose data follows in this
 * order; only name, type, rank and dim are read. */
int st_create(StWriter *w, const char *path, const StTensor *tensor, int64_t count,
              const StPair *meta, int64_t meta_count);
int st_write(StWriter *w, const void *data, size_t bytes);
/* Sync, rename, sync of the directory. After any error the temporary file is gone and w is closed.
 */
int st_commit(StWriter *w);
void st_abort(StWriter *w);

/* ---- inside ---- */

#define ST_NO_MEMORY "out of memory"
/* Reads the JSON of f->header (which is changed in place) into f->tensor and f->meta; NULL or what
 * is wrong. */
const char *st_parse_header(StFile *f, size_t length);

#endif
