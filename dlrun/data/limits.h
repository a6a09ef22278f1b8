/* Limits on data files. */
#ifndef DLC_DLRUN_LIMITS_H
#define DLC_DLRUN_LIMITS_H

#define LIMIT_DATA_BYTES ((size_t)1 << 34) /* one file, unpacked */
/* A packed file may unpack to so many bytes, and so many times its size */
#define LIMIT_GZIP_FREE ((size_t)64 << 20)
#define LIMIT_GZIP_RATIO 100
#define LIMIT_DATA_FILES 256  /* files of one --data */
#define LIMIT_DATA_ARRAYS 256 /* arrays taken from one --data */
#define LIMIT_CSV_COLUMNS (1 << 20)
#define LIMIT_CSV_CELL 4096     /* bytes of one cell */
#define LIMIT_CSV_CLASSES 10000 /* different words of a label column */
#define LIMIT_ZIP_ENTRIES 65536
#define LIMIT_NPY_HEADER 65536

#endif
