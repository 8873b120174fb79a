#include "train/batch.h"

#include "base/error.h"
#include "base/memory.h"
#include "data/rows.h"
#include "train/mirror.h"

#include <stdlib.h>

/* A quarter of the memory is left to the model, and indices in kernels are of 32 bits. */
static bool fits(const fcl_device *device, const fcl_dataset *data)
{
    const fcl_device_info *info = fcl_device_describe(device);
    double bytes = (double)data->count * (double)fcl_dataset_row_bytes(data);
    return !data->pictures && !data->stored && bytes <= (double)info->max_allocation &&
           bytes + (double)fcl_device_memory(device) <= 0.75 * (double)info->memory &&
           (double)data->count * (double)fcl_shape_size(data->shape) <= INT32_MAX;
}

static int create_index(fcl_device *device, fcl_batch *batch)
{
    size_t rows = (size_t)batch->options.rows, bytes = rows * sizeof(int32_t);
    int32_t *numbers = malloc(bytes);
    if (!numbers)
        return fcl_fail(FCL_ERR_MEMORY, "no memory for the %zu bytes of a batch's index", bytes);
    for (size_t i = 0; i < rows; i++)
        numbers[i] = (int32_t)i;
    int status = fcl_buffer_create(device, bytes, &batch->index);
    if (status == FCL_OK)
        status = fcl_buffer_write(batch->index, 0, bytes, numbers);
    free(numbers);
    return status;
}

/* Two pools lie in the table by turns: the next one comes while the steps of one are still at work. */
static int64_t table_rows(const fcl_batch *batch, bool whole)
{
    const fcl_batch_options *options = &batch->options;
    return whole ? batch->data->count : options->pool ? 2 * options->pool : options->rows;
}

static int64_t drawn_count(const fcl_batch *batch)
{
    return batch->options.only ? batch->options.only_count : batch->data->count;
}

static int create_only(fcl_device *device, fcl_batch *batch)
{
    size_t bytes = (size_t)batch->options.only_count * sizeof *batch->options.only;
    FCL_TRY(fcl_buffer_create(device, bytes, &batch->only));
    return fcl_buffer_write(batch->only, 0, bytes, batch->options.only);
}

/* All of the data, which the trainer borrows for as long as it lives. */
static int create_whole(fcl_device *device, fcl_batch *batch)
{
    const fcl_dataset *data = batch->data;
    size_t rows = (size_t)data->count;
    const void *values = data->bytes ? (const void *)data->bytes : data->values;
    FCL_TRY(fcl_buffer_create_over(device, rows * fcl_dataset_row_bytes(data), values, &batch->table));
    return batch->options.labels
               ? fcl_buffer_create_over(device, rows * sizeof *data->label, data->label, &batch->labels)
               : FCL_OK;
}

/* Room for the rows of one part or two pools, which a reader fills anew for each. */
static int create_part(fcl_device *device, fcl_batch *batch)
{
    const fcl_dataset *data = batch->data;
    size_t rows = (size_t)table_rows(batch, false);
    FCL_TRY(fcl_buffer_create(device, rows * fcl_dataset_row_bytes(data), &batch->table));
    if (batch->options.labels)
        FCL_TRY(fcl_buffer_create(device, rows * sizeof *data->label, &batch->labels));
    return fcl_reader_create(device, batch, batch->options.labels, &batch->reader);
}

static int send(fcl_device *device, int64_t count, const float *numbers, fcl_buffer **buffer)
{
    FCL_TRY(fcl_buffer_create(device, (size_t)count * sizeof *numbers, buffer));
    return fcl_buffer_write(*buffer, 0, (size_t)count * sizeof *numbers, numbers);
}

static int create_normalisation(fcl_device *device, fcl_batch *batch)
{
    const fcl_normalisation *by = batch->options.normalisation;
    if (!by || !by->count)
        return FCL_OK;
    float *centre = fcl_zalloc((size_t)by->count * sizeof *centre);
    float *factor = fcl_zalloc((size_t)by->count * sizeof *factor);
    for (int64_t k = 0; k < by->count; k++) {
        centre[k] = (float)by->centre[k];
        factor[k] = (float)(1 / by->scale[k]);
    }
    int status = send(device, by->count, centre, &batch->centre);
    if (status == FCL_OK)
        status = send(device, by->count, factor, &batch->factor);
    free(centre);
    free(factor);
    return status;
}

static int create(fcl_device *device, bool whole, fcl_batch *batch)
{
    size_t pool = (size_t)batch->options.pool * sizeof(int32_t);
    FCL_TRY(create_normalisation(device, batch));
    FCL_TRY(fcl_mirror_create(device, batch));
    FCL_TRY(whole ? create_whole(device, batch) : create_part(device, batch));
    if (!whole || pool)
        FCL_TRY(create_index(device, batch));
    else if (batch->options.only)
        FCL_TRY(create_only(device, batch));
    if (!pool)
        return FCL_OK;
    FCL_TRY(fcl_buffer_create(device, pool, &batch->natural));
    return fcl_buffer_create(device, pool, &batch->order);
}

int fcl_batch_create(fcl_device *device, const fcl_dataset *data, const fcl_batch_options *options,
                     fcl_batch *batch)
{
    *batch = (fcl_batch){.data = data, .options = *options};
    if (batch->options.count == 0)
        batch->options.count = batch->options.total;
    int status = create(device, !options->stream_data && !options->block && fits(device, data), batch);
    if (status != FCL_OK)
        fcl_batch_destroy(batch);
    return status;
}

void fcl_batch_destroy(fcl_batch *batch)
{
    fcl_reader_destroy(&batch->reader);
    fcl_buffer_destroy(&batch->centre);
    fcl_buffer_destroy(&batch->factor);
    fcl_buffer_destroy(&batch->columns);
    fcl_buffer_destroy(&batch->draw);
    fcl_buffer_destroy(&batch->draw_order);
    fcl_buffer_destroy(&batch->order);
    fcl_buffer_destroy(&batch->natural);
    fcl_buffer_destroy(&batch->index);
    fcl_buffer_destroy(&batch->only);
    fcl_buffer_destroy(&batch->labels);
    fcl_buffer_destroy(&batch->table);
}

/* --- the nodes --- */

/* (x - centre) factor, where there are any */
static fcl_tensor *normalise(const fcl_batch *batch, fcl_graph *graph, fcl_tensor *x)
{
    if (!batch->centre)
        return x;
    fcl_shape shape = FCL_SHAPE(batch->options.normalisation->count); /* 1 or D */
    fcl_tensor *centre = fcl_leaf(graph, "centre", FCL_F32, shape, batch->centre, 0);
    return fcl_mul(fcl_sub(x, centre), fcl_leaf(graph, "factor", FCL_F32, shape, batch->factor, 0));
}

static fcl_tensor *gather(const fcl_batch *batch, fcl_graph *graph, fcl_tensor *index)
{
    const fcl_dataset *data = batch->data;
    fcl_shape shape = FCL_SHAPE(table_rows(batch, !batch->reader), fcl_shape_size(data->shape));
    bool bytes = fcl_dataset_has_bytes(data);
    fcl_tensor *table = fcl_leaf(graph, "data", bytes ? FCL_U8 : FCL_F32, shape, batch->table, 0);
    float scale = bytes ? data->scale : 1, shift = bytes ? data->shift : 0;
    return normalise(batch, graph, fcl_gather_rows(table, index, scale, shift));
}

/* (rows) numbers in the table */
static fcl_tensor *build_index(const fcl_batch *batch, fcl_graph *graph)
{
    const fcl_batch_options *options = &batch->options;
    if (batch->index)
        return fcl_leaf(graph, "rows", FCL_I32, FCL_SHAPE(options->rows), batch->index, 0);
    fcl_tensor *drawn = fcl_batch_index(graph, drawn_count(batch), options->rows, options->total, options->stream);
    if (!batch->only)
        return drawn;
    fcl_tensor *only = fcl_leaf(graph, "only", FCL_I32, FCL_SHAPE(options->only_count), batch->only, 0);
    return fcl_gather_rows(only, drawn, 1, 0);
}

fcl_tensor *fcl_batch_build(const fcl_batch *batch, fcl_graph *graph, fcl_tensor **label)
{
    const fcl_batch_options *options = &batch->options;
    fcl_tensor *index = build_index(batch, graph);
    if (label)
        *label = NULL;
    if (label && batch->labels) {
        int64_t rows = table_rows(batch, !batch->reader);
        fcl_tensor *labels = fcl_leaf(graph, "labels", FCL_I32, FCL_SHAPE(rows), batch->labels, 0);
        *label = fcl_gather_rows(labels, index, 1, 0); /* (rows) */
    }
    return fcl_mirror_build(batch, gather(batch, graph, index), options->pool != 0); /* (rows, D) */
}

fcl_tensor *fcl_batch_build_pool(const fcl_batch *batch, fcl_graph *graph)
{
    fcl_shape shape = FCL_SHAPE(batch->options.pool);
    fcl_tensor *natural = fcl_leaf(graph, "rows", FCL_I32, shape, batch->natural, 0);
    return fcl_mirror_build(batch, gather(batch, graph, natural), false);
}

/* --- before a run --- */

fcl_shuffle fcl_batch_order(const fcl_batch *batch)
{
    const fcl_batch_options *options = &batch->options;
    return (fcl_shuffle){options->seed, options->stream, drawn_count(batch), options->block, options->window};
}

int64_t fcl_batch_sample(const fcl_batch *batch, int64_t step, int64_t row)
{
    const fcl_batch_options *options = &batch->options;
    const fcl_shuffle order = fcl_batch_order(batch);
    int64_t drawn = fcl_shuffle_at(&order, step * options->total + row);
    return options->only ? options->only[drawn] : drawn;
}

uint64_t fcl_batch_read_ahead(const fcl_batch *batch)
{
    return batch->reader ? fcl_reader_ahead(batch->reader) : 0;
}

int fcl_batch_prepare(fcl_batch *batch, int64_t step, int64_t first_row)
{
    const fcl_batch_options *options = &batch->options;
    if (options->pool) {
        int64_t in_pool = step % (options->pool / options->count) * options->count + first_row - options->first;
        size_t first = (size_t)in_pool * sizeof(int32_t), bytes = (size_t)options->rows * sizeof(int32_t);
        FCL_TRY(batch->draw ? fcl_buffer_copy(batch->draw, 0, batch->draw_order, first, bytes) : FCL_OK);
        return fcl_buffer_copy(batch->index, 0, batch->order, first, bytes);
    }
    if (!batch->reader)
        return FCL_OK;
    FCL_TRY(fcl_reader_send(batch->reader, step, first_row, 0));
    int64_t next = first_row + options->rows, end = options->first + options->count;
    fcl_reader_ask(batch->reader, next < end ? step : step + 1, next < end ? next : options->first);
    return FCL_OK;
}

int fcl_batch_load_pool(fcl_batch *batch, int64_t step, int32_t *rows)
{
    const fcl_batch_options *options = &batch->options;
    int64_t steps = options->pool / options->count;
    int64_t at = step / steps % 2 * options->pool;
    for (int64_t row = 0; row < options->pool; row++)
        rows[row] = (int32_t)(batch->reader ? at + row : fcl_batch_sample(batch, step, options->first + row));
    if (!batch->reader)
        return FCL_OK;
    FCL_TRY(fcl_reader_send(batch->reader, step, options->first, at));
    fcl_reader_ask(batch->reader, step + steps, options->first);
    return FCL_OK;
}
