/* Files that may be gzipped, as a stream: what is plain is read as it is. */
#ifndef BASE_GZIP_H
#define BASE_GZIP_H

#include <flowcl/base.h>

typedef struct fcl_gzip fcl_gzip;

/* `path` is kept until close. */
int fcl_gzip_open(const char *path, fcl_gzip **stream);
void fcl_gzip_close(fcl_gzip **stream);

/* Reads `size` bytes and tells how many came; fewer at the end, also where a gzip stream breaks off. A
 * damaged one is FCL_ERR_FORMAT. */
int fcl_gzip_read(fcl_gzip *stream, void *to, size_t size, size_t *got);

/* Reads up to `limit` bytes into *bytes, which grows with what has really come and is released by free; it
 * may be an allocation already, and has one spare byte at its end. */
int fcl_gzip_read_up_to(fcl_gzip *stream, size_t limit, uint8_t **bytes, size_t *got);

/* Whether it is gzipped. */
bool fcl_gzip_is_packed(const fcl_gzip *stream);

/* FCL_ERR_FORMAT where the gzip stream, read to its end, breaks off before it. */
int fcl_gzip_check_end(const fcl_gzip *stream);

/* Reads a file whole; *bytes is released by free and has one spare byte at its end. */
int fcl_gzip_read_all(const char *path, uint8_t **bytes, size_t *size);

#endif
