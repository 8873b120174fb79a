#include "train/mirror.h"

#include "base/array.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/random.h"

#include <stdlib.h>

static int64_t width_of(const fcl_dataset *data)
{
    return data->shape.dim[data->shape.rank - 1];
}

int fcl_mirror_check(const fcl_dataset *data)
{
    char text[FCL_SHAPE_TEXT];
    return fcl_shape_is_picture(data->shape)
               ? FCL_OK
               : fcl_fail(FCL_ERR_ARGUMENT, "hflip mirrors pictures, and the samples of %s, %s, are none",
                          data->name, fcl_shape_format(data->shape, text));
}

/* The columns from the last to the first. */
static int create_columns(fcl_device *device, fcl_batch *batch)
{
    int64_t width = width_of(batch->data);
    size_t bytes = (size_t)width * sizeof(int32_t);
    int32_t *column = fcl_zalloc(bytes);
    for (int64_t x = 0; x < width; x++)
        column[x] = (int32_t)(width - 1 - x);
    int status = fcl_buffer_create(device, bytes, &batch->columns);
    if (status == FCL_OK)
        status = fcl_buffer_write(batch->columns, 0, bytes, column);
    free(column);
    return status;
}

int fcl_mirror_create(fcl_device *device, fcl_batch *batch)
{
    const fcl_batch_options *options = &batch->options;
    if (!options->hflip)
        return FCL_OK;
    FCL_TRY(create_columns(device, batch));
    if (!options->pool)
        return FCL_OK;
    FCL_TRY(fcl_buffer_create(device, (size_t)options->rows * sizeof(float), &batch->draw));
    return fcl_buffer_create(device, (size_t)options->pool * sizeof(float), &batch->draw_order);
}

fcl_tensor *fcl_mirror_draws(const fcl_batch *batch, fcl_graph *graph)
{
    return fcl_uniform(graph, FCL_SHAPE(batch->options.pool, 1), FCL_STREAM_MIRROR);
}

float fcl_mirror_draw(const fcl_batch *batch, int64_t step, int64_t row)
{
    fcl_random key = {.seed = batch->options.seed, .stream = FCL_STREAM_MIRROR, .step = (uint32_t)step};
    return (float)fcl_random_uniform(key, (uint64_t)row);
}

fcl_tensor *fcl_mirror_build(const fcl_batch *batch, fcl_tensor *x, bool ordered)
{
    if (!batch->columns)
        return x;
    fcl_graph *graph = fcl_tensor_graph(x);
    fcl_shape shape = fcl_tensor_shape(x), draws = FCL_SHAPE(shape.dim[0], 1);
    int64_t width = width_of(batch->data);
    fcl_tensor *columns = fcl_leaf(graph, "columns", FCL_I32, FCL_SHAPE(width), batch->columns, 0);
    fcl_tensor *lines = fcl_reshape(x, FCL_SHAPE(shape.dim[0], shape.dim[1] / width, width));
    fcl_tensor *turned = fcl_reshape(fcl_gather(lines, columns), shape);
    fcl_tensor *draw = ordered ? fcl_leaf(graph, "draws", FCL_F32, draws, batch->draw, 0)
                               : fcl_uniform(graph, draws, FCL_STREAM_MIRROR);
    return fcl_where(fcl_greater(draw, fcl_constant(graph, 0.5f)), turned, x);
}
