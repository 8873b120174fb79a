/* From an array as it lies in a file to samples and labels. */
#include "data/reader.h"

#include "base/array.h"
#include "base/error.h"
#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int fcl_samples_describe(const fcl_npy *array, const fcl_dataset_options *options, const char *where, fcl_layout *layout,
                         fcl_dataset *dataset)
{
    char text[FCL_SHAPE_TEXT];
    if (array->shape.rank == 0)
        return fcl_fail(FCL_ERR_FORMAT, "%s is a single number; its first dimension has to count samples",
                        where);
    if (fcl_shape_size(array->shape) == 0)
        return fcl_fail(FCL_ERR_FORMAT, "%s holds no samples: its shape is %s", where,
                        fcl_shape_format(array->shape, text));
    FCL_TRY(fcl_layout_begin(array, options, where, layout, &dataset->note));
    dataset->count = array->shape.dim[0];
    dataset->shape = layout->sample;
    dataset->scale = layout->bytes ? FCL_PICTURE_SCALE : 0;
    dataset->shift = layout->bytes ? FCL_PICTURE_SHIFT : 0;
    return FCL_OK;
}

int64_t fcl_samples_asked(const fcl_dataset *dataset, int64_t i, int64_t n)
{
    return dataset->count / n * i + dataset->count % n * i / n;
}

bool fcl_samples_lie_so(const fcl_npy *array, const fcl_layout *layout)
{
    const fcl_npy own = {.kind = 'f', .item_size = 4, .big_endian = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__};
    bool floats = array->kind == 'f' && array->item_size == own.item_size && array->big_endian == own.big_endian;
    return (floats || layout->bytes) && !layout->turned;
}

static void convert(const fcl_npy *array, const fcl_layout *layout, void *numbers)
{
    if (layout->bytes)
        fcl_npy_copy(array, numbers);
    else
        fcl_npy_convert(array, numbers);
}

int fcl_samples_convert(const fcl_npy *array, const fcl_layout *layout, void *rows)
{
    size_t size = (size_t)fcl_shape_size(array->shape) * fcl_layout_number(layout);
    void *numbers = layout->turned ? malloc(size) : rows;
    if (!numbers)
        return fcl_fail(FCL_ERR_MEMORY, "no memory for %zu bytes of samples", size);
    convert(array, layout, numbers);
    if (layout->turned) {
        fcl_layout_arrange(layout, array->shape.dim[0], numbers, rows);
        free(numbers);
    }
    return FCL_OK;
}

/* What is turned needs room of its own. */
static int arrange(const fcl_dataset *dataset, const fcl_layout *layout, const char *where, void *numbers, void **rows)
{
    size_t size = (size_t)dataset->count * (size_t)fcl_shape_size(dataset->shape) * fcl_layout_number(layout);
    *rows = numbers;
    if (!layout->turned)
        return FCL_OK;
    *rows = malloc(size);
    if (*rows)
        fcl_layout_arrange(layout, dataset->count, numbers, *rows);
    free(numbers);
    return *rows ? FCL_OK : fcl_fail(FCL_ERR_MEMORY, "%s: no memory for its %zu bytes", where, size);
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

static int set_pictures(fcl_dataset *dataset, fcl_npy *array, const fcl_layout *layout, const char *where)
{
    size_t size = (size_t)fcl_shape_size(array->shape);
    void *bytes = take_bytes(array, size);
    if (!bytes)
        return fcl_fail(FCL_ERR_MEMORY, "%s: no memory for its %zu bytes", where, size);
    int status = arrange(dataset, layout, where, bytes, &bytes);
    dataset->bytes = bytes;
    return status;
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

/* By some of the samples, which are there as they lie. */
static int decide(fcl_dataset *dataset, const fcl_npy *array, const fcl_dataset_options *options, const char *where,
                  fcl_layout *layout)
{
    int64_t size = fcl_shape_size(dataset->shape), n = fcl_layout_asked(dataset->shape, dataset->count);
    float *asked = malloc((size_t)(n * size) * sizeof *asked);
    if (!asked)
        return fcl_fail(FCL_ERR_MEMORY, "%s: no memory for %lld samples more", where, (long long)n);
    for (int64_t i = 0; i < n; i++)
        memcpy(asked + i * size, dataset->values + fcl_samples_asked(dataset, i, n) * size, (size_t)size * sizeof *asked);
    int status = fcl_layout_decide(array, n, asked, options, where, layout, &dataset->note);
    dataset->shape = layout->sample;
    free(asked);
    return status;
}

static int set_floats(fcl_dataset *dataset, const fcl_npy *array, const fcl_dataset_options *options, const char *where,
                      fcl_layout *layout)
{
    fcl_array *floats;
    void *values;
    FCL_TRY(fcl_npy_floats(array, where, &floats));
    dataset->values = floats->data;
    floats->data = NULL;
    fcl_array_destroy(&floats);
    FCL_TRY(fcl_dataset_check_finite(dataset, where));
    if (!fcl_layout_asks(array))
        return FCL_OK;
    FCL_TRY(decide(dataset, array, options, where, layout));
    int status = arrange(dataset, layout, where, dataset->values, &values);
    dataset->values = values;
    return status == FCL_OK && layout->clear ? fcl_dataset_check_finite(dataset, where) : status; /* products can be infinite */
}

int fcl_dataset_set_samples(fcl_dataset *dataset, fcl_npy *array, const fcl_dataset_options *options, const char *where)
{
    fcl_layout layout;
    FCL_TRY(fcl_samples_describe(array, options, where, &layout, dataset));
    return layout.bytes ? set_pictures(dataset, array, &layout, where)
                        : set_floats(dataset, array, options, where, &layout);
}
