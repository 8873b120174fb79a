#include "train/batch.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/worker.h"
#include "data/rows.h"
#include "device/staging.h"

#include <stdio.h>
#include <stdlib.h>

struct fcl_reader {
    const fcl_batch *batch;
    int64_t count; /* rows of a block: of a pool, or of a part of a step */
    int64_t *which; /* (count) samples of the set */
    size_t row_bytes;
    bool labels; /* behind the rows */
    fcl_staging *staging;
    fcl_worker *worker;
    int64_t step, first_row; /* what is gathered or will be; a step of -1: nothing */
    int status;              /* of the worker's last piece, and its sentence */
    char fault[512];
};

/* Labels are numbers of four bytes: they begin at a multiple of these. */
static size_t label_offset(const fcl_reader *reader)
{
    return ((size_t)reader->count * reader->row_bytes + sizeof(int32_t) - 1) / sizeof(int32_t) *
           sizeof(int32_t);
}

static int gather_rows(fcl_reader *reader)
{
    const fcl_dataset *data = reader->batch->data;
    void *memory;
    FCL_TRY(fcl_staging_fill(reader->staging, &memory));
    int32_t *labels = (int32_t *)(void *)((uint8_t *)memory + label_offset(reader));
    for (int64_t row = 0; row < reader->count; row++) {
        reader->which[row] = fcl_batch_sample(reader->batch, reader->step, reader->first_row + row);
        if (reader->labels)
            labels[row] = data->label[reader->which[row]];
    }
    return fcl_dataset_rows(data, reader->count, reader->which, memory);
}

static void gather(void *argument)
{
    fcl_reader *reader = argument;
    reader->status = gather_rows(reader);
    if (reader->status != FCL_OK)
        snprintf(reader->fault, sizeof reader->fault, "%s", fcl_error());
}

int fcl_reader_create(fcl_device *device, const fcl_batch *batch, bool labels, fcl_reader **reader)
{
    fcl_reader *created = fcl_zalloc(sizeof *created);
    created->batch = batch;
    created->count = batch->options.pool ? batch->options.pool : batch->options.rows;
    created->which = fcl_zalloc((size_t)created->count * sizeof *created->which);
    created->row_bytes = fcl_dataset_row_bytes(batch->data);
    created->labels = labels;
    created->step = -1;
    *reader = created;
    size_t bytes = label_offset(created) + (labels ? (size_t)created->count * sizeof(int32_t) : 0);
    int status = fcl_staging_create(device, bytes, &created->staging);
    if (status == FCL_OK)
        status = fcl_worker_create(gather, created, &created->worker);
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
    fcl_staging_destroy(&dying->staging);
    free(dying->which);
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

int fcl_reader_send(fcl_reader *reader, int64_t step, int64_t first_row, int64_t at)
{
    const fcl_batch *batch = reader->batch;
    size_t count = (size_t)reader->count, place = (size_t)at;
    if (reader->step != step || reader->first_row != first_row)
        fcl_reader_ask(reader, step, first_row);
    fcl_worker_wait(reader->worker);
    if (reader->status != FCL_OK)
        return fcl_fail(reader->status, "reading the rows of step %lld: %s", (long long)step + 1,
                        reader->fault);
    fcl_staged pieces[] = {
        {0, count * reader->row_bytes, batch->table, place * reader->row_bytes},
        {label_offset(reader), count * sizeof(int32_t), batch->labels, place * sizeof(int32_t)},
    };
    return fcl_staging_send(reader->staging, reader->labels ? 2 : 1, pieces);
}
