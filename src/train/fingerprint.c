#include "train/fingerprint.h"

#include "base/array.h"

#include "cl/philox.h"
#include "cl/permute.h"

#include <inttypes.h>
#include <stdlib.h>
#include <zlib.h>

enum { MOST_NUMBERS = 1 << 22, MOST_ROWS = 1 << 16, LEAST_ROWS = 16, KEY = 0x666c6f77 };

static uint32_t add_row(uint32_t sum, const fcl_dataset *data, int64_t row, int64_t size, float *values)
{
    for (int64_t i = 0; i < size; i++)
        values[i] = data->values ? data->values[row * size + i]
                                 : (float)data->bytes[row * size + i] * data->scale + data->shift;
    return (uint32_t)crc32_z(sum, (const Bytef *)values, (size_t)size * sizeof *values);
}

/* The rows in their order; of a large set in that of a permutation, which goes everywhere. */
static uint32_t checksum(const fcl_dataset *data, bool labels)
{
    int64_t size = fcl_shape_size(data->shape), rows = size > 0 ? MOST_NUMBERS / size : MOST_NUMBERS;
    bool all = rows >= data->count || data->count <= LEAST_ROWS;
    rows = all ? data->count : rows < LEAST_ROWS ? LEAST_ROWS : rows > MOST_ROWS ? MOST_ROWS : rows;
    float *values = fcl_zalloc((size_t)size * sizeof *values);
    uint32_t sum = (uint32_t)crc32_z(0, NULL, 0);
    for (int64_t i = 0; i < rows; i++) {
        int64_t row = all ? i : permute_index((uint32_t)i, (uint32_t)data->count, KEY, 0, 0);
        sum = add_row(sum, data, row, size, values);
        if (labels)
            sum = (uint32_t)crc32_z(sum, (const Bytef *)&data->label[row], sizeof data->label[row]);
    }
    free(values);
    return sum;
}

const char *fcl_fingerprint(const fcl_dataset *data, bool labels, fcl_arena *strings)
{
    char shape[FCL_SHAPE_TEXT];
    return data
               ? fcl_arena_format(strings, "%" PRId64 " samples of %s, checksum %08" PRIx32, data->count,
                                  fcl_shape_format(data->shape, shape), checksum(data, labels && data->label))
               : NULL;
}
