/* Random parts of a data set. */
#include <flowcl/data.h>

#include "base/error.h"
#include "base/random.h"
#include "data/rows.h"

#include <stdlib.h>
#include <string.h>

enum { DRAW_STREAM = 0x64726177 };

static bool is_of(const fcl_dataset *dataset, int64_t index, int32_t label)
{
    return label < 0 || (dataset->label && dataset->label[index] == label);
}

int64_t fcl_dataset_count(const fcl_dataset *dataset, int32_t label)
{
    int64_t count = 0;
    for (int64_t i = 0; i < dataset->count; i++)
        count += is_of(dataset, i, label);
    return count;
}

/* The first `count` of the class's indices in a random order: those that a shuffle has placed by then. */
static void shuffle(const fcl_dataset *dataset, int32_t label, int64_t count, uint64_t seed, int64_t *order)
{
    fcl_random key = {.seed = seed, .stream = DRAW_STREAM};
    int64_t n = 0;
    for (int64_t i = 0; i < dataset->count; i++) {
        if (is_of(dataset, i, label))
            order[n++] = i;
    }
    fcl_random_order(key, n, count, order);
}

static int take(const fcl_dataset *dataset, const int64_t *order, int64_t count, fcl_array *array,
                int32_t *labels)
{
    for (int64_t i = 0; labels && i < count; i++)
        labels[i] = dataset->label[order[i]];
    return fcl_dataset_values(dataset, count, order, array->data);
}

int fcl_dataset_draw(const fcl_dataset *dataset, int32_t label, int64_t count, uint64_t seed,
                     fcl_array **array, int32_t **labels)
{
    *array = NULL;
    if (labels)
        *labels = NULL;
    int64_t there = fcl_dataset_count(dataset, label);
    if (count < 0 || count > there)
        return fcl_fail(FCL_ERR_ARGUMENT, "%s has %lld samples%s: %lld cannot be drawn", dataset->name,
                        (long long)there, label < 0 ? "" : " of that class", (long long)count);
    fcl_shape shape = {.rank = dataset->shape.rank + 1, .dim = {count}};
    memcpy(shape.dim + 1, dataset->shape.dim, (size_t)dataset->shape.rank * sizeof *shape.dim);
    FCL_TRY(fcl_array_create(shape, array));
    int64_t *order = malloc((size_t)dataset->count * sizeof *order);
    int32_t *classes = labels && dataset->label ? malloc((size_t)count * sizeof *classes + 1) : NULL;
    if (!order || (labels && dataset->label && !classes)) {
        free(order);
        free(classes);
        fcl_array_destroy(array);
        return fcl_fail(FCL_ERR_MEMORY, "no memory to draw from %lld samples", (long long)dataset->count);
    }
    shuffle(dataset, label, count, seed, order);
    int status = take(dataset, order, count, *array, classes);
    free(order);
    if (status != FCL_OK) {
        free(classes);
        fcl_array_destroy(array);
        return status;
    }
    if (labels)
        *labels = classes;
    return FCL_OK;
}
