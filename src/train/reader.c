#include "train/batch.h"

#include "base/error.h"
#include "base/memory.h"

#include "cl/philox.h"
#include "cl/permute.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct fcl_reader {
    const fcl_batch *batch;
    size_t row_bytes;
    uint8_t *rows;
    int32_t *labels; /* NULL without */

    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int64_t step, first_row; /* what `rows` holds or will hold */
    bool running, asked, ready, ending;
};

static void gather_row(const fcl_reader *reader, int64_t row)
{
    const fcl_batch *batch = reader->batch;
    const fcl_dataset *data = batch->data;
    uint64_t sample = (uint64_t)reader->step * (uint64_t)batch->total + (uint64_t)(reader->first_row + row);
    uint64_t count = (uint64_t)data->count, epoch = sample / count;
    size_t from =
        permute_index((uint32_t)(sample % count), (uint32_t)count, batch->seed, FCL_STREAM_BATCH, epoch);
    const uint8_t *values = data->bytes ? data->bytes : (const uint8_t *)data->values;
    memcpy(reader->rows + (size_t)row * reader->row_bytes, values + from * reader->row_bytes,
           reader->row_bytes);
    if (reader->labels)
        reader->labels[row] = data->label[from];
}

static void *work(void *argument)
{
    fcl_reader *reader = argument;
    pthread_mutex_lock(&reader->mutex);
    for (;;) {
        while (!reader->asked && !reader->ending)
            pthread_cond_wait(&reader->changed, &reader->mutex);
        if (reader->ending)
            break;
        reader->asked = false;
        pthread_mutex_unlock(&reader->mutex); /* `rows` are this thread's until it says they are ready */
        for (int64_t row = 0; row < reader->batch->rows; row++)
            gather_row(reader, row);
        pthread_mutex_lock(&reader->mutex);
        reader->ready = true;
        pthread_cond_broadcast(&reader->changed);
    }
    pthread_mutex_unlock(&reader->mutex);
    return NULL;
}

int fcl_reader_create(const fcl_batch *batch, bool labels, fcl_reader **reader)
{
    const fcl_dataset *data = batch->data;
    fcl_reader *created = fcl_zalloc(sizeof *created);
    created->batch = batch;
    created->row_bytes = (size_t)fcl_shape_size(data->shape) * (data->bytes ? 1 : sizeof(float));
    created->rows = fcl_zalloc((size_t)batch->rows * created->row_bytes);
    if (labels)
        created->labels = fcl_zalloc((size_t)batch->rows * sizeof *created->labels);
    pthread_mutex_init(&created->mutex, NULL);
    pthread_cond_init(&created->changed, NULL);
    created->step = -1;
    *reader = created;
    created->running = pthread_create(&created->thread, NULL, work, created) == 0;
    if (created->running)
        return FCL_OK;
    fcl_reader_destroy(reader);
    return fcl_fail(FCL_ERR_MEMORY, "cannot start the thread that reads the data");
}

void fcl_reader_destroy(fcl_reader **reader)
{
    fcl_reader *dying = *reader;
    if (!dying)
        return;
    if (dying->running) {
        pthread_mutex_lock(&dying->mutex);
        dying->ending = true;
        pthread_cond_broadcast(&dying->changed);
        pthread_mutex_unlock(&dying->mutex);
        pthread_join(dying->thread, NULL);
    }
    pthread_cond_destroy(&dying->changed);
    pthread_mutex_destroy(&dying->mutex);
    free(dying->rows);
    free(dying->labels);
    free(dying);
    *reader = NULL;
}

static void wait_ready(fcl_reader *reader)
{
    while (!reader->ready)
        pthread_cond_wait(&reader->changed, &reader->mutex);
}

static void ask(fcl_reader *reader, int64_t step, int64_t first_row)
{
    if (reader->step >= 0)
        wait_ready(reader); /* an earlier question may still be at work */
    reader->step = step;
    reader->first_row = first_row;
    reader->ready = false;
    reader->asked = true;
    pthread_cond_broadcast(&reader->changed);
}

void fcl_reader_ask(fcl_reader *reader, int64_t step, int64_t first_row)
{
    pthread_mutex_lock(&reader->mutex);
    ask(reader, step, first_row);
    pthread_mutex_unlock(&reader->mutex);
}

void fcl_reader_take(fcl_reader *reader, int64_t step, int64_t first_row, const void **rows,
                     const int32_t **labels)
{
    pthread_mutex_lock(&reader->mutex);
    if (reader->step != step || reader->first_row != first_row)
        ask(reader, step, first_row);
    wait_ready(reader);
    pthread_mutex_unlock(&reader->mutex);
    *rows = reader->rows;
    *labels = reader->labels;
}
