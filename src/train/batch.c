#include "train/batch.h"

#include "base/error.h"

#include <stdlib.h>

static size_t row_bytes(const fcl_dataset *data)
{
    return (size_t)fcl_shape_size(data->shape) * (data->bytes ? 1 : sizeof(float));
}

/* A quarter of the memory is left to the model, and indices in kernels are of 32 bits. */
static bool fits(const fcl_device *device, const fcl_dataset *data)
{
    const fcl_device_info *info = fcl_device_describe(device);
    double bytes = (double)data->count * (double)row_bytes(data);
    return bytes <= (double)info->max_allocation &&
           bytes + (double)fcl_device_memory(device) <= 0.75 * (double)info->memory &&
           (double)data->count * (double)fcl_shape_size(data->shape) <= INT32_MAX;
}

static int create_index(fcl_device *device, fcl_batch *batch)
{
    size_t bytes = (size_t)batch->rows * sizeof(int32_t);
    int32_t *numbers = malloc(bytes);
    if (!numbers)
        return fcl_fail(FCL_ERR_MEMORY, "no memory for the %zu bytes of a batch's index", bytes);
    for (int64_t i = 0; i < batch->rows; i++)
        numbers[i] = (int32_t)i;
    int status = fcl_buffer_create(device, bytes, &batch->index);
    if (status == FCL_OK)
        status = fcl_buffer_write(batch->index, 0, bytes, numbers);
    free(numbers);
    return status;
}

/* All of the data, which the trainer borrows for as long as it lives. */
static int create_whole(fcl_device *device, bool labels, fcl_batch *batch)
{
    const fcl_dataset *data = batch->data;
    size_t rows = (size_t)data->count;
    const void *values = data->bytes ? (const void *)data->bytes : data->values;
    FCL_TRY(fcl_buffer_create_over(device, rows * row_bytes(data), values, &batch->table));
    return labels ? fcl_buffer_create_over(device, rows * sizeof *data->label, data->label, &batch->labels)
                  : FCL_OK;
}

/* Room for the rows of one part, which a reader fills anew for each. */
static int create_part(fcl_device *device, bool labels, fcl_batch *batch)
{
    const fcl_dataset *data = batch->data;
    size_t rows = (size_t)batch->rows;
    FCL_TRY(fcl_buffer_create(device, rows * row_bytes(data), &batch->table));
    if (labels)
        FCL_TRY(fcl_buffer_create(device, rows * sizeof *data->label, &batch->labels));
    FCL_TRY(create_index(device, batch));
    return fcl_reader_create(batch, labels, &batch->reader);
}

int fcl_batch_create(fcl_device *device, const fcl_dataset *data, const fcl_train_options *options,
                     fcl_batch *batch)
{
    *batch = (fcl_batch){
        .data = data,
        .seed = options->seed,
        .rows = options->batch / options->accumulate,
        .total = options->batch,
    };
    bool whole = !options->stream_data && fits(device, data);
    int status =
        whole ? create_whole(device, options->labels, batch) : create_part(device, options->labels, batch);
    if (status != FCL_OK)
        fcl_batch_destroy(batch);
    return status;
}

void fcl_batch_destroy(fcl_batch *batch)
{
    fcl_reader_destroy(&batch->reader);
    fcl_buffer_destroy(&batch->index);
    fcl_buffer_destroy(&batch->labels);
    fcl_buffer_destroy(&batch->table);
}

fcl_tensor *fcl_batch_build(const fcl_batch *batch, fcl_graph *graph, fcl_tensor **label)
{
    const fcl_dataset *data = batch->data;
    int64_t rows = batch->reader ? batch->rows : data->count, size = fcl_shape_size(data->shape);
    fcl_tensor *table =
        fcl_leaf(graph, "data", data->bytes ? FCL_U8 : FCL_F32, FCL_SHAPE(rows, size), batch->table, 0);
    fcl_tensor *index = batch->reader
                            ? fcl_leaf(graph, "rows", FCL_I32, FCL_SHAPE(rows), batch->index, 0)
                            : fcl_batch_index(graph, rows, batch->rows, batch->total, FCL_STREAM_BATCH);
    *label = NULL;
    if (batch->labels) {
        fcl_tensor *labels = fcl_leaf(graph, "labels", FCL_I32, FCL_SHAPE(rows), batch->labels, 0);
        *label = fcl_gather_rows(labels, index, 1, 0); /* (B) */
    }
    float scale = data->bytes ? data->scale : 1, shift = data->bytes ? data->shift : 0;
    return fcl_name(fcl_gather_rows(table, index, scale, shift), "x1"); /* (B, D) */
}

int fcl_batch_prepare(fcl_batch *batch, int64_t step, int64_t first_row)
{
    if (!batch->reader)
        return FCL_OK;
    const void *rows;
    const int32_t *labels;
    fcl_reader_take(batch->reader, step, first_row, &rows, &labels);
    FCL_TRY(fcl_buffer_write(batch->table, 0, (size_t)batch->rows * row_bytes(batch->data), rows));
    if (batch->labels)
        FCL_TRY(fcl_buffer_write(batch->labels, 0, (size_t)batch->rows * sizeof *labels, labels));
    int64_t next = first_row + batch->rows;
    fcl_reader_ask(batch->reader, next < batch->total ? step : step + 1, next < batch->total ? next : 0);
    return FCL_OK;
}
