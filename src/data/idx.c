/* IDX, the format of MNIST, plain or gzipped: bytes 0 0, a type, a rank; a dimension in 4 bytes each; the
 * elements. All of it big-endian. Read as a stream, so that a dimension that lies claims no memory. */
#include "data/reader.h"

#include "base/array.h"
#include "base/error.h"
#include "base/gzip.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
    fcl_gzip *stream;
    fcl_npy array;
} idx;

static int read_header_part(idx *x, uint8_t *to, size_t size)
{
    size_t got;
    FCL_TRY(fcl_gzip_read(x->stream, to, size, &got));
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

static int read_array(idx *x)
{
    char text[FCL_SHAPE_TEXT];
    size_t size, got, more;
    FCL_TRY(read_header(x));
    if (!fcl_shape_bytes(x->array.shape, (size_t)x->array.item_size, &size))
        return fcl_fail(FCL_ERR_FORMAT, "%s claims the dimensions %s, which no memory can hold", x->path,
                        fcl_shape_format(x->array.shape, text));
    FCL_TRY(fcl_gzip_read_up_to(x->stream, size, &x->array.whole, &got));
    if (got < size)
        return fcl_fail(FCL_ERR_FORMAT,
                        "%s is cut off: its dimensions %s need %zu bytes of data, %zu are there", x->path,
                        fcl_shape_format(x->array.shape, text), size, got);
    uint8_t spare;
    FCL_TRY(fcl_gzip_read(x->stream, &spare, 1,
                          &more)); /* comes to the end of a gzip stream and so to its checksum */
    if (more)
        return fcl_fail(FCL_ERR_FORMAT, "%s is damaged: bytes follow the %zu that its dimensions %s need",
                        x->path, size, fcl_shape_format(x->array.shape, text));
    FCL_TRY(fcl_gzip_check_end(x->stream));
    x->array.data = x->array.whole;
    return FCL_OK;
}

static int set_from(const char *path, fcl_dataset_setter *set, const fcl_dataset_options *options, fcl_dataset *dataset)
{
    idx x = {.path = path};
    FCL_TRY(fcl_gzip_open(path, &x.stream));
    int status = read_array(&x);
    fcl_gzip_close(&x.stream);
    if (status == FCL_OK)
        status = set(dataset, &x.array, options, path);
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

int fcl_dataset_read_idx(const fcl_reading *reading, fcl_dataset *dataset)
{
    FCL_TRY(set_from(reading->path, fcl_dataset_set_samples, reading->options, dataset));
    char *labels = reading->options->unlabeled ? NULL : labels_path(reading->path);
    int status = FCL_OK;
    if (labels && access(labels, F_OK) == 0)
        status = set_from(labels, fcl_dataset_set_labels, reading->options, dataset);
    free(labels);
    return status;
}
