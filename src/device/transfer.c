/* Copies between host and device that the host does not wait for. */
#include "device/opencl.h"

#include "base/error.h"
#include "base/memory.h"

#include <stdlib.h>

struct fcl_transfer {
    fcl_device *device;
    cl_event event;
};

static int begin(fcl_buffer *buffer, cl_int code, cl_event event, const char *what, fcl_transfer **transfer)
{
    FCL_TRY(fcl_opencl_check(buffer->device, code, what));
    fcl_transfer *begun = fcl_zalloc(sizeof *begun);
    *begun = (fcl_transfer){buffer->device, event};
    *transfer = begun;
    return fcl_opencl_check(buffer->device, clFlush(buffer->device->queue), what);
}

int fcl_buffer_read_begin(fcl_buffer *buffer, size_t offset, size_t bytes, void *destination,
                          fcl_transfer **transfer)
{
    *transfer = NULL;
    cl_event event = NULL;
    FCL_TRY(fcl_buffer_check(buffer, offset, bytes, "read"));
    if (bytes == 0 || buffer->device->rehearsal)
        return FCL_OK;
    cl_int code = clEnqueueReadBuffer(buffer->device->queue, buffer->memory, CL_FALSE, offset, bytes,
                                      destination, 0, NULL, &event);
    return begin(buffer, code, event, "reading a buffer", transfer);
}

int fcl_buffer_write_begin(fcl_buffer *buffer, size_t offset, size_t bytes, const void *source,
                           fcl_transfer **transfer)
{
    *transfer = NULL;
    cl_event event = NULL;
    FCL_TRY(fcl_buffer_check(buffer, offset, bytes, "write"));
    if (bytes == 0 || buffer->device->rehearsal)
        return FCL_OK;
    cl_int code = clEnqueueWriteBuffer(buffer->device->queue, buffer->memory, CL_FALSE, offset, bytes, source,
                                       0, NULL, &event);
    return begin(buffer, code, event, "writing a buffer", transfer);
}

void fcl_transfer_drop(fcl_transfer **transfer)
{
    fcl_transfer *dropped = *transfer;
    if (!dropped)
        return;
    *transfer = NULL;
    clWaitForEvents(1, &dropped->event);
    clReleaseEvent(dropped->event);
    free(dropped);
}

int fcl_transfer_end(fcl_transfer **transfer)
{
    fcl_transfer *ending = *transfer;
    if (!ending)
        return FCL_OK;
    *transfer = NULL;
    int status = fcl_opencl_check(ending->device, clWaitForEvents(1, &ending->event), "waiting for a copy");
    clReleaseEvent(ending->event);
    free(ending);
    return status;
}
