/* IDX, the format of MNIST, plain or gzipped: bytes 0 0, a type, a rank; a dimension in 4 bytes each; the
 * elements. All of it big-endian. Read as a stream, so that a dimension that lies claims no memory. */
#include "data/reader.h"

#include "base/array.h"
#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

/* clang-format off */
static const struct {
    uint8_t code;
    char kind;
    int item_size;
} types[] = {
    {0x08, 'u', 1}, {0x09, 'i', 1}, {0x0B, 'i', 2}, {0x0C, 'i', 4}, {0x0D, 'f', 4}, {0x0E, 'f', 8},
};
/* clang-format on */

typedef struct idx {
    const char *path;
    gzFile file;
    fcl_npy array;
} idx;

/* Reads `size` bytes and tells how many came; fewer is not a failure, even where a gzip stream breaks off
 * (Z_BUF_ERROR), but a damaged stream is. */
static int read_bytes(idx *x, void *to, size_t size, size_t *got)
{
    *got = 0;
    while (*got < size) {
        size_t part = size - *got < 1 << 20 ? size - *got : 1 << 20;
        int n = gzread(x->file, (uint8_t *)to + *got, (unsigned)part);
        int code = Z_OK;
        const char *message = gzerror(x->file, &code);
        if (n < 0 || (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR))
            return fcl_fail(FCL_ERR_FORMAT, "%s cannot be read as gzip: %s", x->path, message);
        if (n == 0)
            return FCL_OK;
        *got += (size_t)n;
    }
    return FCL_OK;
}

static int read_header_part(idx *x, uint8_t *to, size_t size)
{
    size_t got;
    FCL_TRY(read_bytes(x, to, size, &got));
    if (got < size)
        return fcl_fail(FCL_ERR_FORMAT, "%s is cut off inside its IDX header", x->path);
    return FCL_OK;
}

static bool set_type(fcl_npy *array, uint8_t code)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (types[i].code == code) {
            array->kind = types[i].kind;
            array->item_size = types[i].item_size;
            return true;
        }
    }
    return false;
}

static int read_header(idx *x)
{
    uint8_t magic[4];
    FCL_TRY(read_header_part(x, magic, sizeof magic));
    x->array.big_endian = true;
    if (magic[0] || magic[1] || !set_type(&x->array, magic[2]) || magic[3] == 0)
        return fcl_fail(FCL_ERR_FORMAT, "%s is no IDX file: it begins with %02x %02x %02x %02x", x->path,
                        magic[0], magic[1], magic[2], magic[3]);
    if (magic[3] > FCL_MAX_RANK)
        return fcl_fail(FCL_ERR_FORMAT, "%s has %d dimensions; at most %d are read", x->path, magic[3],
                        FCL_MAX_RANK);
    x->array.shape.rank = magic[3];
    for (int i = 0; i < x->array.shape.rank; i++) {
        uint8_t dim[4];
        FCL_TRY(read_header_part(x, dim, sizeof dim));
        x->array.shape.dim[i] = (int64_t)dim[0] << 24 | dim[1] << 16 | dim[2] << 8 | dim[3];
    }
    return FCL_OK;
}

/* Memory grows with what has really come. */
static int read_elements(idx *x, size_t size, size_t *got)
{
    size_t capacity = 0;
    *got = 0;
    do {
        capacity = capacity ? 2 * capacity : 1 << 20;
        if (capacity > size)
            capacity = size;
        uint8_t *grown = realloc(x->array.whole, capacity ? capacity : 1);
        if (!grown)
            return fcl_fail(FCL_ERR_MEMORY, "%s: no memory for its %zu bytes", x->path, size);
        x->array.whole = grown;
        size_t part;
        FCL_TRY(read_bytes(x, grown + *got, capacity - *got, &part));
        *got += part;
    } while (*got == capacity && capacity < size);
    return FCL_OK;
}

static int read_array(idx *x)
{
    char text[FCL_SHAPE_TEXT];
    size_t size, got, more;
    FCL_TRY(read_header(x));
    if (!fcl_shape_bytes(x->array.shape, (size_t)x->array.item_size, &size))
        return fcl_fail(FCL_ERR_FORMAT, "%s claims the dimensions %s, which no memory can hold", x->path,
                        fcl_shape_format(x->array.shape, text));
    FCL_TRY(read_elements(x, size, &got));
    if (got < size)
        return fcl_fail(FCL_ERR_FORMAT,
                        "%s is cut off: its dimensions %s need %zu bytes of data, %zu are there", x->path,
                        fcl_shape_format(x->array.shape, text), size, got);
    uint8_t spare;
    FCL_TRY(read_bytes(x, &spare, 1, &more)); /* comes to the end of a gzip stream and so to its checksum */
    if (more)
        return fcl_fail(FCL_ERR_FORMAT, "%s is damaged: bytes follow the %zu that its dimensions %s need",
                        x->path, size, fcl_shape_format(x->array.shape, text));
    int code = Z_OK;
    gzerror(x->file, &code);
    if (code == Z_BUF_ERROR)
        return fcl_fail(FCL_ERR_FORMAT, "%s is cut off before the end of its gzip stream", x->path);
    x->array.data = x->array.whole;
    return FCL_OK;
}

static int set_from(const char *path, fcl_dataset_setter *set, fcl_dataset *dataset)
{
    FCL_TRY(fcl_file_check(path));
    idx x = {.path = path, .file = gzopen(path, "rb")};
    if (!x.file)
        return fcl_fail(FCL_ERR_FILE, "cannot read %s", path);
    gzbuffer(x.file, 1 << 17);
    int status = read_array(&x);
    gzclose(x.file);
    if (status == FCL_OK)
        status = set(dataset, &x.array, path);
    free(x.array.whole);
    return status;
}

/* "train-images-idx3-ubyte.gz" to "train-labels-idx1-ubyte.gz", NULL for a name of another form. */
static char *labels_path(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *images = strstr(slash ? slash : path, "images");
    const char *rank = images ? strstr(images, "idx3") : NULL;
    if (!rank)
        return NULL;
    return fcl_format("%.*slabels%.*sidx1%s", (int)(images - path), path, (int)(rank - images - 6),
                      images + 6, rank + 4);
}

int fcl_dataset_read_idx(const char *path, bool unlabeled, fcl_dataset *dataset)
{
    FCL_TRY(set_from(path, fcl_dataset_set_samples, dataset));
    char *labels = unlabeled ? NULL : labels_path(path);
    int status = FCL_OK;
    if (labels && access(labels, F_OK) == 0)
        status = set_from(labels, fcl_dataset_set_labels, dataset);
    free(labels);
    return status;
}
