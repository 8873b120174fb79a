/* From bytes to numbers of a continuous range. */
#include <flowcl/data.h>

#include "base/error.h"
#include "base/random.h"

enum { DEQUANTISE_STREAM = 0x646571 };

int fcl_dataset_dequantise(const fcl_dataset *dataset, int64_t first, int64_t count, uint64_t seed,
                           fcl_array **array)
{
    *array = NULL;
    if (!dataset->bytes)
        return fcl_fail(FCL_ERR_ARGUMENT, "%s holds no bytes: there is nothing to dequantise", dataset->name);
    FCL_TRY(fcl_dataset_take(dataset, first, count, array));
    int64_t size = fcl_shape_size(dataset->shape);
    const fcl_random key = {.seed = seed, .stream = DEQUANTISE_STREAM};
    for (int64_t i = 0; i < count * size; i++) {
        int64_t from = first * size + i;
        double u = fcl_random_uniform(key, (uint64_t)from);
        (*array)->data[i] = (float)((dataset->bytes[from] + u) / 128 - 1);
    }
    return FCL_OK;
}
