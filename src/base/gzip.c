#include "base/gzip.h"

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/watch.h"

#include <stdlib.h>
#include <zlib.h>

struct fcl_gzip {
    const char *path;
    gzFile file;
};

int fcl_gzip_open(const char *path, fcl_gzip **stream)
{
    *stream = NULL;
    FCL_TRY(fcl_file_check(path));
    gzFile file = gzopen(path, "rb");
    if (!file)
        return fcl_fail(FCL_ERR_FILE, "cannot read %s", path);
    gzbuffer(file, 1 << 17);
    *stream = fcl_zalloc(sizeof **stream);
    **stream = (fcl_gzip){path, file};
    return FCL_OK;
}

void fcl_gzip_close(fcl_gzip **stream)
{
    if (*stream)
        gzclose((*stream)->file);
    free(*stream);
    *stream = NULL;
}

int fcl_gzip_read(fcl_gzip *stream, void *to, size_t size, size_t *got)
{
    *got = 0;
    while (*got < size) {
        FCL_TRY(fcl_watch_at("unpacking a file", (int64_t)*got, (int64_t)size));
        size_t part = size - *got < 1 << 20 ? size - *got : 1 << 20;
        int n = gzread(stream->file, (uint8_t *)to + *got, (unsigned)part);
        int code = Z_OK;
        const char *message = gzerror(stream->file, &code);
        if (n < 0 || (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR))
            return fcl_fail(FCL_ERR_FORMAT, "%s cannot be read as gzip: %s", stream->path, message);
        if (n == 0)
            return FCL_OK;
        *got += (size_t)n;
    }
    return FCL_OK;
}

int fcl_gzip_read_up_to(fcl_gzip *stream, size_t limit, uint8_t **bytes, size_t *got)
{
    size_t capacity = 0;
    *got = 0;
    do {
        capacity = capacity > limit / 2 ? limit : capacity ? 2 * capacity : 1 << 20;
        if (capacity > limit)
            capacity = limit;
        uint8_t *grown = realloc(*bytes, capacity + 1);
        if (!grown)
            return fcl_fail(FCL_ERR_MEMORY, "%s: no memory for its %zu bytes", stream->path, capacity);
        *bytes = grown;
        size_t part;
        FCL_TRY(fcl_gzip_read(stream, grown + *got, capacity - *got, &part));
        *got += part;
    } while (*got == capacity && capacity < limit);
    return FCL_OK;
}

bool fcl_gzip_is_packed(const fcl_gzip *stream)
{
    return !gzdirect(stream->file);
}

int fcl_gzip_check_end(const fcl_gzip *stream)
{
    int code = Z_OK;
    gzerror(stream->file, &code);
    return code == Z_BUF_ERROR
               ? fcl_fail(FCL_ERR_FORMAT, "%s is cut off before the end of its gzip stream", stream->path)
               : FCL_OK;
}

int fcl_gzip_read_all(const char *path, uint8_t **bytes, size_t *size)
{
    fcl_gzip *stream;
    *bytes = NULL;
    FCL_TRY(fcl_gzip_open(path, &stream));
    bool plain = !fcl_gzip_is_packed(stream);
    int status = plain ? FCL_OK : fcl_gzip_read_up_to(stream, PTRDIFF_MAX - 1, bytes, size);
    if (status == FCL_OK && !plain)
        status = fcl_gzip_check_end(stream);
    fcl_gzip_close(&stream);
    if (status == FCL_OK)
        return plain ? fcl_file_read(path, bytes, size) : FCL_OK;
    free(*bytes);
    *bytes = NULL;
    return status;
}
