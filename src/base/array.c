#include "base/array.h"

#include "base/error.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>

bool fcl_shape_bytes(fcl_shape shape, size_t item, size_t *bytes)
{
    *bytes = item;
    bool fits = true, empty = false;
    for (int i = 0; i < shape.rank; i++) {
        empty |= shape.dim[i] == 0;
        fits &= shape.dim[i] >= 0 &&
                !__builtin_mul_overflow(*bytes, (size_t)(shape.dim[i] ? shape.dim[i] : 1), bytes);
    }
    fits &= *bytes <= PTRDIFF_MAX;
    if (empty)
        *bytes = 0;
    return fits;
}

bool fcl_shape_is_picture(fcl_shape sample)
{
    return sample.rank == 2 || (sample.rank == 3 && (sample.dim[0] == 1 || sample.dim[0] == 3));
}

const char *fcl_shape_format(fcl_shape shape, char text[FCL_SHAPE_TEXT])
{
    int used = snprintf(text, FCL_SHAPE_TEXT, "(");
    for (int i = 0; i < shape.rank; i++)
        used += snprintf(text + used, (size_t)(FCL_SHAPE_TEXT - used), i ? ", %lld" : "%lld",
                         (long long)shape.dim[i]);
    snprintf(text + used, (size_t)(FCL_SHAPE_TEXT - used), shape.rank == 1 ? ",)" : ")");
    return text;
}

int fcl_array_create(fcl_shape shape, fcl_array **array)
{
    *array = NULL;
    size_t bytes;
    char text[FCL_SHAPE_TEXT];
    if (!fcl_shape_bytes(shape, sizeof(float), &bytes))
        return fcl_fail(FCL_ERR_SHAPE, "no array has the shape %s", fcl_shape_format(shape, text));
    float *data = calloc(bytes ? bytes : 1, 1);
    if (!data)
        return fcl_fail(FCL_ERR_MEMORY, "no memory for an array of %s floats, %zu bytes",
                        fcl_shape_format(shape, text), bytes);
    *array = fcl_zalloc(sizeof **array);
    **array = (fcl_array){shape, data};
    return FCL_OK;
}

void fcl_array_destroy(fcl_array **array)
{
    if (!*array)
        return;
    free((*array)->data);
    free(*array);
    *array = NULL;
}
