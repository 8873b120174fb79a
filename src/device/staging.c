/* Of each block: the queue of copies writes it to its table, once the block that lay there is spent; the
 * device's queue, which waits for that event and not for the host, copies it on to where kernels read it. */
#include "device/staging.h"
#include "device/opencl.h"

#include "base/error.h"
#include "base/memory.h"

#include <stdlib.h>

typedef struct table {
    fcl_pinned pinned;
    fcl_buffer *buffer;      /* on the device */
    cl_event written, spent; /* of the block that was sent last; NULL before the first */
} table;

struct fcl_staging {
    fcl_device *device;
    cl_command_queue copies;
    size_t bytes;
    table tables[2];
    int turn;
};

static int create_table(fcl_staging *staging, table *t)
{
    fcl_device *device = staging->device;
    if (!device->rehearsal)
        FCL_TRY(fcl_pinned_create(device, staging->copies, staging->bytes, &t->pinned));
    return fcl_buffer_create(device, staging->bytes, &t->buffer);
}

static int create(fcl_staging *staging)
{
    fcl_device *device = staging->device;
    FCL_TRY(device->rehearsal ? FCL_OK : fcl_copies_queue(device, &staging->copies));
    FCL_TRY(create_table(staging, &staging->tables[0]));
    FCL_TRY(create_table(staging, &staging->tables[1]));
    return fcl_device_finish(device); /* the tables are zeroed by the other queue */
}

int fcl_staging_create(fcl_device *device, size_t bytes, fcl_staging **staging)
{
    *staging = fcl_zalloc(sizeof **staging);
    **staging = (fcl_staging){.device = device, .bytes = bytes};
    int status = create(*staging);
    if (status != FCL_OK)
        fcl_staging_destroy(staging);
    return status;
}

static void destroy_table(fcl_staging *staging, table *t)
{
    fcl_event_release(&t->written);
    fcl_event_release(&t->spent);
    fcl_pinned_destroy(staging->device, staging->copies, &t->pinned);
    fcl_buffer_destroy(&t->buffer);
}

/* Blocks on their way arrive first. */
void fcl_staging_destroy(fcl_staging **staging)
{
    fcl_staging *dying = *staging;
    if (!dying)
        return;
    clFinish(dying->device->queue);
    if (dying->copies)
        clFinish(dying->copies); /* where sending failed, nothing of the device's waits for a write */
    for (int i = 0; i < 2; i++)
        destroy_table(dying, &dying->tables[i]);
    fcl_queue_release(dying->device, dying->copies);
    free(dying);
    *staging = NULL;
}

int fcl_staging_fill(fcl_staging *staging, void **memory)
{
    table *t = &staging->tables[staging->turn];
    *memory = t->pinned.content;
    if (!t->written)
        return FCL_OK;
    int status = fcl_opencl_check(staging->device, clWaitForEvents(1, &t->written), "waiting for a copy");
    fcl_event_release(&t->written);
    return status;
}

static int copy(fcl_staging *staging, table *t, const fcl_staged *piece)
{
    fcl_device *device = staging->device;
    FCL_TRY(fcl_buffer_check(t->buffer, piece->from, piece->bytes, "copy from"));
    FCL_TRY(fcl_buffer_check(piece->to, piece->offset, piece->bytes, "copy to"));
    fcl_event_release(&t->spent);
    cl_int code = clEnqueueCopyBuffer(device->queue, t->buffer->memory, piece->to->memory, piece->from,
                                      piece->offset, piece->bytes, 1, &t->written, &t->spent);
    FCL_TRY(fcl_opencl_check(device, code, "copying a block"));
    return fcl_device_enqueued(device);
}

int fcl_staging_send(fcl_staging *staging, int pieces, const fcl_staged *piece)
{
    fcl_device *device = staging->device;
    table *t = &staging->tables[staging->turn];
    fcl_event_release(&t->written);
    cl_int code = clEnqueueWriteBuffer(staging->copies, t->buffer->memory, CL_FALSE, 0, staging->bytes,
                                       t->pinned.content, t->spent ? 1 : 0, t->spent ? &t->spent : NULL, &t->written);
    FCL_TRY(fcl_opencl_check(device, code, "writing a block"));
    FCL_TRY(fcl_opencl_check(device, clFlush(staging->copies), "flushing the queue of copies"));
    for (int i = 0; i < pieces; i++)
        FCL_TRY(copy(staging, t, &piece[i]));
    staging->turn = !staging->turn;
    return fcl_opencl_check(device, clFlush(device->queue), "flushing the queue");
}
