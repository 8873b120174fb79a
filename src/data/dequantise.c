/* From bytes to numbers of a continuous range. */
#include <flowcl/data.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/random.h"
#include "data/rows.h"

#include <stdlib.h>

enum { DEQUANTISE_STREAM = 0x646571 };

int fcl_dataset_dequantise(const fcl_dataset *dataset, int64_t first, int64_t count, uint64_t seed,
                           fcl_array **array)
{
    *array = NULL;
    if (!fcl_dataset_has_bytes(dataset))
        return fcl_fail(FCL_ERR_ARGUMENT, "%s holds no bytes: there is nothing to dequantise", dataset->name);
    FCL_TRY(fcl_dataset_room(dataset, first, count, array));
    int64_t size = fcl_shape_size(dataset->shape), numbers = count * size;
    float *values = (*array)->data;
    uint8_t *bytes = (uint8_t *)values + (size_t)numbers * (sizeof *values - 1); /* read before they are written over */
    int64_t *which = fcl_zalloc(((size_t)count + 1) * sizeof *which);
    for (int64_t i = 0; i < count; i++)
        which[i] = first + i;
    int status = fcl_dataset_rows(dataset, count, which, bytes);
    free(which);
    if (status != FCL_OK) {
        fcl_array_destroy(array);
        return status;
    }
    const fcl_random key = {.seed = seed, .stream = DEQUANTISE_STREAM};
    for (int64_t i = 0; i < numbers; i++) {
        double u = fcl_random_uniform(key, (uint64_t)(first * size + i));
        values[i] = (float)((bytes[i] + u) / 128 - 1);
    }
    return FCL_OK;
}
