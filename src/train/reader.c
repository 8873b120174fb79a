#include "train/batch.h"

#include "base/memory.h"
#include "base/worker.h"

#include <stdlib.h>
#include <string.h>

struct fcl_reader {
    const fcl_batch *batch;
    size_t row_bytes;
    uint8_t *rows;
    int32_t *labels; /* NULL without */
    fcl_worker *worker;
    int64_t step, first_row; /* what `rows` holds or will hold; a step of -1: nothing */
};

int64_t fcl_reader_rows(const fcl_batch *batch)
{
    return batch->options.pool ? batch->options.pool : batch->options.rows;
}

static void gather_row(const fcl_reader *reader, int64_t row)
{
    const fcl_dataset *data = reader->batch->data;
    size_t from = (size_t)fcl_batch_sample(reader->batch, reader->step, reader->first_row + row);
    const uint8_t *values = data->bytes ? data->bytes : (const uint8_t *)data->values;
    memcpy(reader->rows + (size_t)row * reader->row_bytes, values + from * reader->row_bytes,
           reader->row_bytes);
    if (reader->labels)
        reader->labels[row] = data->label[from];
}

static void gather(void *argument)
{
    const fcl_reader *reader = argument;
    for (int64_t row = 0; row < fcl_reader_rows(reader->batch); row++)
        gather_row(reader, row);
}

int fcl_reader_create(const fcl_batch *batch, bool labels, fcl_reader **reader)
{
    const fcl_dataset *data = batch->data;
    size_t rows = (size_t)fcl_reader_rows(batch);
    fcl_reader *created = fcl_zalloc(sizeof *created);
    created->batch = batch;
    created->row_bytes = (size_t)fcl_shape_size(data->shape) * (data->bytes ? 1 : sizeof(float));
    created->rows = fcl_zalloc(rows * created->row_bytes);
    if (labels)
        created->labels = fcl_zalloc(rows * sizeof *created->labels);
    created->step = -1;
    *reader = created;
    int status = fcl_worker_create(gather, created, &created->worker);
    if (status != FCL_OK)
        fcl_reader_destroy(reader);
    return status;
}

void fcl_reader_destroy(fcl_reader **reader)
{
    fcl_reader *dying = *reader;
    if (!dying)
        return;
    fcl_worker_destroy(&dying->worker);
    free(dying->rows);
    free(dying->labels);
    free(dying);
    *reader = NULL;
}

void fcl_reader_ask(fcl_reader *reader, int64_t step, int64_t first_row)
{
    fcl_worker_wait(reader->worker); /* an earlier question may still be at work */
    reader->step = step;
    reader->first_row = first_row;
    fcl_worker_start(reader->worker);
}

void fcl_reader_take(fcl_reader *reader, int64_t step, int64_t first_row, const void **rows,
                     const int32_t **labels)
{
    if (reader->step != step || reader->first_row != first_row)
        fcl_reader_ask(reader, step, first_row);
    fcl_worker_wait(reader->worker);
    *rows = reader->rows;
    *labels = reader->labels;
}
