#include "data/rows.h"

#include "base/error.h"
#include "data/pictures.h"
#include "data/stored.h"

#include <stdlib.h>
#include <string.h>

size_t fcl_dataset_row_bytes(const fcl_dataset *dataset)
{
    return (size_t)fcl_shape_size(dataset->shape) * (fcl_dataset_has_bytes(dataset) ? 1 : sizeof(float));
}

int fcl_dataset_room(const fcl_dataset *dataset, int64_t first, int64_t count, fcl_array **array)
{
    *array = NULL;
    if (first < 0 || count < 0 || count > dataset->count - first)
        return fcl_fail(FCL_ERR_ARGUMENT, "%s has samples 0 to %lld, not %lld from %lld on", dataset->name,
                        (long long)dataset->count - 1, (long long)count, (long long)first);
    fcl_shape shape = {.rank = dataset->shape.rank + 1, .dim = {count}};
    memcpy(shape.dim + 1, dataset->shape.dim, (size_t)dataset->shape.rank * sizeof *shape.dim);
    return fcl_array_create(shape, array);
}

int fcl_dataset_rows(const fcl_dataset *dataset, int64_t n, const int64_t *which, void *rows)
{
    if (dataset->pictures)
        return fcl_pictures_read(dataset->pictures, n, which, rows, NULL);
    if (dataset->stored)
        return fcl_stored_rows(dataset->stored, n, which, rows);
    size_t size = fcl_dataset_row_bytes(dataset);
    const uint8_t *from = dataset->bytes ? dataset->bytes : (const uint8_t *)dataset->values;
    for (int64_t i = 0; i < n; i++)
        memcpy((uint8_t *)rows + (size_t)i * size, from + (size_t)which[i] * size, size);
    return FCL_OK;
}

int fcl_dataset_values(const fcl_dataset *dataset, int64_t n, const int64_t *which, float *values)
{
    if (!fcl_dataset_has_bytes(dataset))
        return fcl_dataset_rows(dataset, n, which, values);
    /* bytes at the end of the floats' room, which are read before they are written over */
    int64_t numbers = n * fcl_shape_size(dataset->shape);
    uint8_t *bytes = (uint8_t *)values + (size_t)numbers * (sizeof *values - 1);
    FCL_TRY(fcl_dataset_rows(dataset, n, which, bytes));
    for (int64_t i = 0; i < numbers; i++)
        values[i] = (float)bytes[i] * dataset->scale + dataset->shift;
    return FCL_OK;
}
