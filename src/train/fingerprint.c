#include "train/fingerprint.h"

#include "base/array.h"
#include "base/error.h"
#include "data/rows.h"

#include "cl/philox.h"
#include "cl/permute.h"

#include <inttypes.h>
#include <stdlib.h>
#include <zlib.h>

enum { MOST_NUMBERS = 1 << 22, MOST_ROWS = 1 << 16, LEAST_ROWS = 16, KEY = 0x666c6f77 };

/* The rows in their order; of a large set in that of a permutation, which goes everywhere. */
static int checksum(const fcl_dataset *data, bool labels, uint32_t *sum)
{
    enum { AT_ONCE = 64 };
    int64_t size = fcl_shape_size(data->shape), rows = size > 0 ? MOST_NUMBERS / size : MOST_NUMBERS;
    bool all = rows >= data->count || data->count <= LEAST_ROWS;
    rows = all ? data->count : rows < LEAST_ROWS ? LEAST_ROWS : rows > MOST_ROWS ? MOST_ROWS : rows;
    float *values = fcl_zalloc((size_t)(AT_ONCE * size) * sizeof *values);
    int status = FCL_OK;
    *sum = (uint32_t)crc32_z(0, NULL, 0);
    for (int64_t first = 0; first < rows && status == FCL_OK; first += AT_ONCE) {
        int64_t which[AT_ONCE], n = rows - first < AT_ONCE ? rows - first : AT_ONCE;
        for (int64_t i = 0; i < n; i++)
            which[i] = all ? first + i : permute_index((uint32_t)(first + i), (uint32_t)data->count, KEY, 0, 0);
        status = fcl_dataset_values(data, n, which, values);
        for (int64_t i = 0; i < n; i++) {
            *sum = (uint32_t)crc32_z(*sum, (const Bytef *)(values + i * size), (size_t)size * sizeof *values);
            if (labels)
                *sum = (uint32_t)crc32_z(*sum, (const Bytef *)&data->label[which[i]], sizeof *data->label);
        }
    }
    free(values);
    return status;
}

int fcl_fingerprint(const fcl_dataset *data, bool labels, fcl_arena *strings, const char **text)
{
    char shape[FCL_SHAPE_TEXT];
    uint32_t sum;
    *text = NULL;
    if (!data)
        return FCL_OK;
    FCL_TRY(checksum(data, labels && data->label, &sum));
    *text = fcl_arena_format(strings, "%" PRId64 " samples of %s, checksum %08" PRIx32, data->count,
                             fcl_shape_format(data->shape, shape), sum);
    return FCL_OK;
}
