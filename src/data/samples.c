/* From an array as it lies in a file to samples and labels. */
#include "data/reader.h"

#include "base/array.h"
#include "base/error.h"
#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool is_channels(int64_t dim)
{
    return dim == 1 || dim == 3;
}

/* Which of its dimensions are taken for what. */
static char *describe(fcl_shape shape, bool channels_last)
{
    char text[FCL_SHAPE_TEXT];
    bool first = is_channels(shape.dim[1]), last = is_channels(shape.dim[3]);
    const char *doubt = first && last     ? ", and could be (N, H, W, C)"
                        : !first && !last ? ", though these are neither 1 nor 3 channels"
                                          : "";
    return fcl_format("its shape %s is read as %s%s", fcl_shape_format(shape, text),
                      channels_last ? "(N, H, W, C)" : "(N, C, H, W)", doubt);
}

/* (N, H, W, C) to (N, C, H, W). */
static void channels_first(const uint8_t *from, uint8_t *to, fcl_shape shape)
{
    int64_t pixels = shape.dim[1] * shape.dim[2], channels = shape.dim[3];
    for (int64_t n = 0; n < shape.dim[0]; n++, from += pixels * channels, to += pixels * channels) {
        for (int64_t c = 0; c < channels; c++) {
            for (int64_t p = 0; p < pixels; p++)
                to[c * pixels + p] = from[p * channels + c];
        }
    }
}

/* The elements as the data set's own: the allocation that the array came in, or a copy; NULL for no memory.
 */
static uint8_t *take_bytes(fcl_npy *array, size_t size)
{
    uint8_t *bytes = array->whole;
    array->whole = NULL;
    if (!bytes && (bytes = malloc(size)))
        fcl_npy_copy(array, bytes);
    return bytes;
}

static bool are_bytes(const fcl_npy *array)
{
    return array->kind == 'u' && array->item_size == 1 && (array->shape.rank == 3 || array->shape.rank == 4);
}

static bool are_turned(const fcl_npy *array)
{
    const int64_t *dim = array->shape.dim;
    return are_bytes(array) && array->shape.rank == 4 && !is_channels(dim[1]) && is_channels(dim[3]);
}

static void describe_pictures(fcl_dataset *dataset, const fcl_npy *array)
{
    const int64_t *dim = array->shape.dim;
    bool turned = are_turned(array);
    dataset->shape = array->shape.rank == 3 ? FCL_SHAPE(1, dim[1], dim[2])
                     : turned               ? FCL_SHAPE(dim[3], dim[1], dim[2])
                                            : FCL_SHAPE(dim[1], dim[2], dim[3]);
    if (array->shape.rank == 4)
        dataset->note = describe(array->shape, turned);
    dataset->scale = FCL_PICTURE_SCALE;
    dataset->shift = FCL_PICTURE_SHIFT;
}

int fcl_dataset_describe(fcl_dataset *dataset, const fcl_npy *array, const char *where)
{
    char text[FCL_SHAPE_TEXT];
    if (array->shape.rank == 0)
        return fcl_fail(FCL_ERR_FORMAT, "%s is a single number; its first dimension has to count samples",
                        where);
    if (fcl_shape_size(array->shape) == 0)
        return fcl_fail(FCL_ERR_FORMAT, "%s holds no samples: its shape is %s", where,
                        fcl_shape_format(array->shape, text));
    dataset->count = array->shape.dim[0];
    dataset->shape = array->shape.rank == 1 ? FCL_SHAPE(1) : (fcl_shape){.rank = array->shape.rank - 1};
    for (int i = 1; i < array->shape.rank; i++)
        dataset->shape.dim[i - 1] = array->shape.dim[i];
    if (are_bytes(array))
        describe_pictures(dataset, array);
    return FCL_OK;
}

size_t fcl_samples_number_bytes(const fcl_npy *array)
{
    return are_bytes(array) ? 1 : sizeof(float);
}

bool fcl_samples_lie_so(const fcl_npy *array)
{
    const fcl_npy own = {.kind = 'f', .item_size = 4, .big_endian = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__};
    bool floats = array->kind == 'f' && array->item_size == own.item_size && array->big_endian == own.big_endian;
    return floats || (are_bytes(array) && !are_turned(array));
}

void fcl_samples_convert(const fcl_npy *array, void *rows)
{
    if (are_turned(array))
        channels_first(array->data, rows, array->shape);
    else if (are_bytes(array))
        fcl_npy_copy(array, rows);
    else
        fcl_npy_convert(array, rows);
}

static int set_pictures(fcl_dataset *dataset, fcl_npy *array, const char *where)
{
    size_t size = (size_t)fcl_shape_size(array->shape);
    bool is_turned = are_turned(array);
    uint8_t *bytes = take_bytes(array, size), *turned = is_turned ? malloc(size) : NULL;
    dataset->bytes = bytes;
    if (!bytes || (is_turned && !turned))
        return fcl_fail(FCL_ERR_MEMORY, "%s: no memory for its %zu bytes", where, size);
    if (is_turned) {
        channels_first(bytes, turned, array->shape);
        free(bytes);
        dataset->bytes = turned;
    }
    return FCL_OK;
}

int fcl_dataset_check_finite(const fcl_dataset *dataset, const char *where)
{
    int64_t size = fcl_shape_size(dataset->shape);
    for (int64_t i = 0; i < dataset->count * size; i++) {
        if (!isfinite(dataset->values[i]))
            return fcl_fail(FCL_ERR_NUMERIC, "%s: sample %lld holds %s (its number %lld, both from 0)", where,
                            (long long)(i / size),
                            isnan(dataset->values[i]) ? "NaN" : "an infinite or too large number",
                            (long long)(i % size));
    }
    return FCL_OK;
}

static int set_floats(fcl_dataset *dataset, const fcl_npy *array, const char *where)
{
    fcl_array *floats;
    FCL_TRY(fcl_npy_floats(array, where, &floats));
    dataset->values = floats->data;
    floats->data = NULL;
    fcl_array_destroy(&floats);
    return fcl_dataset_check_finite(dataset, where);
}

int fcl_dataset_set_samples(fcl_dataset *dataset, fcl_npy *array, const char *where)
{
    FCL_TRY(fcl_dataset_describe(dataset, array, where));
    return are_bytes(array) ? set_pictures(dataset, array, where) : set_floats(dataset, array, where);
}
