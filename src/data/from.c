/* Data sets of what is in memory. */
#include "data/reader.h"

#include "base/array.h"
#include "base/error.h"
#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int check_shape(const fcl_dataset *given)
{
    char text[FCL_SHAPE_TEXT];
    size_t sample, all;
    const fcl_shape shape = given->shape;
    if (shape.rank < 1 || shape.rank >= FCL_MAX_RANK)
        return fcl_fail(FCL_ERR_SHAPE, "%s: a sample has 1 to %d dimensions, not %d", given->name,
                        FCL_MAX_RANK - 1, shape.rank);
    if (!fcl_shape_bytes(shape, sizeof(float), &sample) || sample == 0 ||
        __builtin_mul_overflow(sample, (size_t)given->count, &all) || all > PTRDIFF_MAX)
        return fcl_fail(FCL_ERR_SHAPE, "%s: there are no %lld samples of shape %s", given->name,
                        (long long)given->count, fcl_shape_format(shape, text));
    return FCL_OK;
}

static int check_labels(const fcl_dataset *given)
{
    const char *name = given->name;
    if (!given->label)
        return given->classes || given->class_name
                   ? fcl_fail(FCL_ERR_ARGUMENT, "%s has classes but no labels", name)
                   : FCL_OK;
    if (given->classes < 0 || given->classes > FCL_LABEL_LIMIT || (given->class_name && !given->classes))
        return fcl_fail(FCL_ERR_ARGUMENT, "%s: %d%s classes cannot be; with names it is 1 to %d", name,
                        given->classes, given->class_name ? " named" : "", FCL_LABEL_LIMIT);
    for (int c = 0; given->class_name && c < given->classes; c++)
        if (!given->class_name[c] || !*given->class_name[c])
            return fcl_fail(FCL_ERR_ARGUMENT, "%s: its class %d has no name", name, c);
    int limit = given->classes ? given->classes : FCL_LABEL_LIMIT;
    for (int64_t i = 0; i < given->count; i++)
        if (given->label[i] < 0 || given->label[i] >= limit)
            return fcl_fail(FCL_ERR_ARGUMENT, "%s: the label of sample %lld is %d; labels are from 0 to %d", name,
                            (long long)i, given->label[i], limit - 1);
    return FCL_OK;
}

static int check(const fcl_dataset *given)
{
    if (given->count < 1)
        return fcl_fail(FCL_ERR_ARGUMENT, "%s has %lld samples; it needs at least 1", given->name,
                        (long long)given->count);
    if (!given->values == !given->bytes)
        return fcl_fail(FCL_ERR_ARGUMENT, "%s has %s: samples are either values or bytes", given->name,
                        given->values ? "both values and bytes" : "neither values nor bytes");
    if (!isfinite(given->scale) || !isfinite(given->shift))
        return fcl_fail(FCL_ERR_NUMERIC, "%s: the scale %g and shift %g of its bytes are not finite", given->name,
                        (double)given->scale, (double)given->shift);
    FCL_TRY(check_shape(given));
    FCL_TRY(given->values ? fcl_dataset_check_finite(given, given->name) : FCL_OK);
    return check_labels(given);
}

/* *failed where there is no memory for it. */
static void *copy_of(const void *from, size_t size, bool *failed)
{
    void *copy = from ? malloc(size) : NULL;
    *failed |= from && !copy;
    return copy ? memcpy(copy, from, size) : NULL;
}

static int classes_of(const fcl_dataset *given)
{
    int classes = given->classes;
    for (int64_t i = 0; given->label && !given->classes && i < given->count; i++)
        classes = given->label[i] >= classes ? given->label[i] + 1 : classes;
    return classes;
}

static int copy(const fcl_dataset *given, fcl_dataset *to)
{
    size_t count = (size_t)given->count, numbers = count * (size_t)fcl_shape_size(given->shape);
    bool failed = false;
    to->values = copy_of(given->values, numbers * sizeof *to->values, &failed);
    to->bytes = copy_of(given->bytes, numbers, &failed);
    to->label = copy_of(given->label, count * sizeof *to->label, &failed);
    to->classes = classes_of(given);
    to->class_name = given->class_name ? fcl_zalloc((size_t)to->classes * sizeof *to->class_name) : NULL;
    for (int c = 0; to->class_name && c < to->classes; c++)
        to->class_name[c] = fcl_strdup(given->class_name[c]);
    return failed ? fcl_fail(FCL_ERR_MEMORY, "no memory for a copy of the %zu samples of %s", count, to->name)
                  : FCL_OK;
}

int fcl_dataset_from(const fcl_dataset *given, fcl_dataset **dataset)
{
    fcl_dataset described = *given;
    *dataset = NULL;
    described.name[sizeof described.name - 1] = 0;
    if (!*described.name)
        strcpy(described.name, "memory");
    FCL_TRY(check(&described));
    fcl_dataset *made = fcl_zalloc(sizeof *made);
    *made = (fcl_dataset){.count = described.count, .shape = described.shape};
    memcpy(made->name, described.name, sizeof made->name);
    bool default_scale = described.bytes && described.scale == 0;
    made->full_range = described.bytes && described.full_range;
    made->scale = default_scale ? FCL_PICTURE_SCALE : described.scale;
    made->shift = default_scale ? FCL_PICTURE_SHIFT : described.shift;
    int status = copy(&described, made);
    if (status != FCL_OK)
        fcl_dataset_destroy(&made);
    *dataset = made;
    return status;
}
