#include "train/batch.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/worker.h"
#include "data/blocks.h"
#include "data/rows.h"
#include "data/stored.h"
#include "device/profile.h"
#include "device/staging.h"

#include <stdio.h>
#include <stdlib.h>

/* Of files in the order of blocks: those that are in memory, and which of its windows the last row lay in. */
typedef struct ahead {
    fcl_shuffle order;
    fcl_blocks *blocks; /* NULL: rows are gathered one by one */
    int64_t most, first, end; /* positions */
} ahead;

struct fcl_reader {
    fcl_device *device;
    const fcl_batch *batch;
    int64_t count; /* rows of a block: of a pool, or of a part of a step */
    int64_t *which; /* (count) samples of the set */
    size_t row_bytes;
    bool labels; /* behind the rows */
    fcl_staging *staging;
    fcl_worker *worker;
    ahead ahead;
    double seconds; /* that the last piece took */
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

/* --- the thread --- */

static void expect_window(const ahead *of, int64_t now, int64_t position)
{
    int64_t end = fcl_shuffle_window_end(&of->order, position), slots = fcl_shuffle_slots(&of->order, position);
    for (int64_t slot = 0; slot < slots; slot++)
        fcl_blocks_expect(of->blocks, fcl_shuffle_block_at(&of->order, position, slot), now, end);
}

/* Where another window begins its blocks are asked for, and those of the next, which come while this one is used. */
static void enter_window(ahead *of, int64_t position)
{
    if (position >= of->first && position < of->end)
        return;
    of->first = position;
    of->end = fcl_shuffle_window_end(&of->order, position);
    expect_window(of, position, position);
    expect_window(of, position, of->end);
}

static int take_rows(fcl_reader *reader, uint8_t *memory)
{
    ahead *of = &reader->ahead;
    int64_t first = reader->step * reader->batch->options.total + reader->first_row;
    for (int64_t row = 0; row < reader->count; row++) {
        enter_window(of, first + row);
        FCL_TRY(fcl_blocks_take(of->blocks, fcl_shuffle_at(&of->order, first + row), of->end,
                                memory + (size_t)row * reader->row_bytes));
    }
    return FCL_OK;
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
    return reader->ahead.blocks ? take_rows(reader, memory)
                                : fcl_dataset_rows(data, reader->count, reader->which, memory);
}

static void gather(void *argument)
{
    fcl_reader *reader = argument;
    double began = fcl_clock_seconds();
    reader->status = gather_rows(reader);
    reader->seconds = fcl_clock_seconds() - began;
    if (reader->status != FCL_OK)
        snprintf(reader->fault, sizeof reader->fault, "%s", fcl_error());
}

/* --- its owner --- */

/* A window, the next, and at either end a block that belongs to two. */
static int create_ahead(const fcl_batch *batch, ahead *of)
{
    const fcl_batch_options *options = &batch->options;
    of->order = fcl_batch_order(batch);
    if (!batch->data->stored || !options->block)
        return FCL_OK;
    int64_t all = (of->order.count + options->block - 1) / options->block, wanted = 2 * (options->window + 2);
    of->most = all < wanted ? all : wanted;
    fcl_blocks_options blocks = {
        .data = batch->data,
        .only = options->only,
        .count = of->order.count,
        .block = options->block,
        .most = of->most,
    };
    return fcl_blocks_create(&blocks, &of->blocks);
}

int fcl_reader_create(fcl_device *device, const fcl_batch *batch, bool labels, fcl_reader **reader)
{
    fcl_reader *created = fcl_zalloc(sizeof *created);
    created->device = device;
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
        status = create_ahead(batch, &created->ahead);
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
    fcl_blocks_destroy(&dying->ahead.blocks);
    fcl_staging_destroy(&dying->staging);
    free(dying->which);
    free(dying);
    *reader = NULL;
}

uint64_t fcl_reader_ahead(const fcl_reader *reader)
{
    const ahead *of = &reader->ahead;
    return of->blocks ? (uint64_t)(of->most * of->order.block) * reader->row_bytes : 0;
}

void fcl_reader_ask(fcl_reader *reader, int64_t step, int64_t first_row)
{
    fcl_worker_wait(reader->worker); /* an earlier question may still be at work */
    reader->step = step;
    reader->first_row = first_row;
    fcl_worker_start(reader->worker);
}

/* Of the rows that are there; what threads have read for them, or for later ones. */
static void tell_profile(fcl_reader *reader, double waited)
{
    int64_t times = 1;
    double read = reader->ahead.blocks ? fcl_blocks_seconds(reader->ahead.blocks, &times) : reader->seconds;
    fcl_profile_host(reader->device, "waiting for data", 1, waited);
    fcl_profile_host(reader->device, "reading data", times, read);
}

int fcl_reader_send(fcl_reader *reader, int64_t step, int64_t first_row, int64_t at)
{
    const fcl_batch *batch = reader->batch;
    size_t count = (size_t)reader->count, place = (size_t)at;
    double began = fcl_clock_seconds();
    if (reader->step != step || reader->first_row != first_row)
        fcl_reader_ask(reader, step, first_row);
    fcl_worker_wait(reader->worker);
    tell_profile(reader, fcl_clock_seconds() - began);
    if (reader->status != FCL_OK)
        return fcl_fail(reader->status, "reading the rows of step %lld: %s", (long long)step + 1,
                        reader->fault);
    fcl_staged pieces[] = {
        {0, count * reader->row_bytes, batch->table, place * reader->row_bytes},
        {label_offset(reader), count * sizeof(int32_t), batch->labels, place * sizeof(int32_t)},
    };
    return fcl_staging_send(reader->staging, reader->labels ? 2 : 1, pieces);
}
