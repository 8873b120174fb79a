#include "device/window.h"
#include "device/opencl.h"

#include "base/error.h"
#include "base/memory.h"

#include <stdlib.h>

struct fcl_window {
    fcl_buffer *buffer;
    cl_mem pinned; /* NULL on CPUs, where the buffer itself is mapped, and in a rehearsal */
    float *numbers;
    cl_event *there; /* (pieces) of the window that is open; on CPUs the first alone */
    int64_t pieces;
};

static fcl_device *device_of(const fcl_window *window)
{
    return window->buffer->device;
}

static int create_pinned(fcl_window *window)
{
    fcl_device *device = device_of(window);
    size_t bytes = window->buffer->bytes;
    cl_int code;
    window->pinned = clCreateBuffer(device->context, CL_MEM_READ_WRITE | CL_MEM_ALLOC_HOST_PTR, bytes, NULL, &code);
    FCL_TRY(fcl_opencl_check(device, code, "making page-locked memory"));
    device->pinned += bytes;
    window->numbers = clEnqueueMapBuffer(device->queue, window->pinned, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 0, bytes, 0,
                                         NULL, NULL, &code);
    return fcl_opencl_check(device, code, "mapping page-locked memory");
}

int fcl_window_create(fcl_buffer *buffer, fcl_window **window)
{
    fcl_window *created = *window = fcl_zalloc(sizeof *created);
    int64_t numbers = (int64_t)(buffer->bytes / sizeof(float));
    *created = (fcl_window){.buffer = buffer, .pieces = (numbers + FCL_WINDOW_PIECE - 1) / FCL_WINDOW_PIECE};
    created->there = fcl_zalloc((size_t)created->pieces * sizeof *created->there);
    bool mapped = device_of(created)->info.type == FCL_DEVICE_CPU || device_of(created)->rehearsal;
    int status = mapped ? FCL_OK : create_pinned(created);
    if (status != FCL_OK)
        fcl_window_destroy(window);
    return status;
}

static void forget(fcl_window *window)
{
    for (int64_t i = 0; i < window->pieces; i++) {
        if (window->there[i])
            clReleaseEvent(window->there[i]);
        window->there[i] = NULL;
    }
}

void fcl_window_destroy(fcl_window **window)
{
    fcl_window *dying = *window;
    if (!dying)
        return;
    fcl_device *device = device_of(dying);
    if (dying->numbers)
        clEnqueueUnmapMemObject(device->queue, dying->pinned ? dying->pinned : dying->buffer->memory, dying->numbers, 0, NULL,
                                NULL);
    clFinish(device->queue);
    forget(dying);
    if (dying->pinned) {
        clReleaseMemObject(dying->pinned);
        device->pinned -= dying->buffer->bytes;
    }
    free(dying->there);
    free(dying);
    *window = NULL;
}

/* --- open --- */

static int map(fcl_window *window)
{
    fcl_device *device = device_of(window);
    cl_int code;
    window->numbers = clEnqueueMapBuffer(device->queue, window->buffer->memory, CL_FALSE, CL_MAP_READ | CL_MAP_WRITE, 0,
                                         window->buffer->bytes, 0, NULL, &window->there[0], &code);
    return fcl_opencl_check(device, code, "mapping a buffer");
}

static int read_piece(fcl_window *window, int64_t piece)
{
    fcl_device *device = device_of(window);
    size_t offset = (size_t)piece * FCL_WINDOW_PIECE * sizeof(float), rest = window->buffer->bytes - offset;
    size_t bytes = rest < FCL_WINDOW_PIECE * sizeof(float) ? rest : FCL_WINDOW_PIECE * sizeof(float);
    cl_int code = clEnqueueReadBuffer(device->queue, window->buffer->memory, CL_FALSE, offset, bytes,
                                      window->numbers + piece * FCL_WINDOW_PIECE, 0, NULL, &window->there[piece]);
    return fcl_opencl_check(device, code, "reading a buffer");
}

int fcl_window_open(fcl_window *window, float **numbers)
{
    fcl_device *device = device_of(window);
    if (!window->pinned)
        FCL_TRY(map(window));
    for (int64_t i = 0; window->pinned && i < window->pieces; i++)
        FCL_TRY(read_piece(window, i));
    *numbers = window->numbers;
    return fcl_opencl_check(device, clFlush(device->queue), "flushing the queue");
}

int fcl_window_wait(fcl_window *window, int64_t first, int64_t count)
{
    int64_t from = window->pinned ? first / FCL_WINDOW_PIECE : 0;
    int64_t end = window->pinned ? (first + count + FCL_WINDOW_PIECE - 1) / FCL_WINDOW_PIECE : 1;
    return fcl_opencl_check(device_of(window), clWaitForEvents((cl_uint)(end - from), window->there + from),
                            "waiting for a buffer's numbers");
}

int fcl_window_return(fcl_window *window, int64_t first, int64_t count)
{
    fcl_device *device = device_of(window);
    if (!window->pinned)
        return FCL_OK;
    cl_int code = clEnqueueWriteBuffer(device->queue, window->buffer->memory, CL_FALSE, (size_t)first * sizeof(float),
                                       (size_t)count * sizeof(float), window->numbers + first, 0, NULL, NULL);
    return fcl_opencl_check(device, code, "writing a buffer");
}

int fcl_window_close(fcl_window *window)
{
    fcl_device *device = device_of(window);
    forget(window);
    if (window->pinned)
        return FCL_OK;
    cl_int code = clEnqueueUnmapMemObject(device->queue, window->buffer->memory, window->numbers, 0, NULL, NULL);
    window->numbers = NULL;
    return fcl_opencl_check(device, code, "unmapping a buffer");
}
