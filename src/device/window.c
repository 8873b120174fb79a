#include "device/window.h"
#include "device/opencl.h"

#include "base/error.h"
#include "base/memory.h"

#include <stdlib.h>

struct fcl_window {
    fcl_buffer *buffer;
    fcl_pinned pinned; /* none on CPUs, where the buffer itself is mapped, and in a rehearsal */
    float *numbers;
    cl_event *there; /* (pieces) of the window that is open; where the buffer is mapped the first alone */
    int64_t pieces;
    /* Of an early one, else NULL. Its copies are of slices: while kernels write into the buffer's other slices, those of a
     * gradient that is not complete, OpenCL lets nobody touch the buffer as a whole. */
    cl_command_queue in, out;
    fcl_buffer **slice; /* (pieces) */
    cl_event back;      /* the last that went back; NULL: none has */
};

static fcl_device *device_of(const fcl_window *window)
{
    return window->buffer->device;
}

static size_t piece_bytes(const fcl_window *window, int64_t piece)
{
    const size_t whole = FCL_WINDOW_PIECE * sizeof(float), rest = window->buffer->bytes - (size_t)piece * whole;
    return rest < whole ? rest : whole;
}

static int create_pinned(fcl_window *window)
{
    fcl_device *device = device_of(window);
    FCL_TRY(fcl_pinned_create(device, device->queue, window->buffer->bytes, &window->pinned));
    window->numbers = window->pinned.content;
    return FCL_OK;
}

static int create_early(fcl_window *window)
{
    window->slice = fcl_zalloc((size_t)window->pieces * sizeof(fcl_buffer *));
    FCL_TRY(fcl_copies_queue(device_of(window), &window->in));
    FCL_TRY(fcl_copies_queue(device_of(window), &window->out));
    for (int64_t i = 0; i < window->pieces; i++)
        FCL_TRY(fcl_buffer_slice(window->buffer, (size_t)i * FCL_WINDOW_PIECE * sizeof(float), piece_bytes(window, i),
                                 &window->slice[i]));
    return FCL_OK;
}

int fcl_window_create(fcl_buffer *buffer, bool early, fcl_window **window)
{
    fcl_window *created = *window = fcl_zalloc(sizeof *created);
    int64_t numbers = (int64_t)(buffer->bytes / sizeof(float));
    *created = (fcl_window){.buffer = buffer, .pieces = (numbers + FCL_WINDOW_PIECE - 1) / FCL_WINDOW_PIECE};
    created->there = fcl_zalloc((size_t)created->pieces * sizeof *created->there);
    const fcl_device *device = device_of(created);
    bool mapped = device->rehearsal || (device->info.type == FCL_DEVICE_CPU && !early);
    int status = mapped ? FCL_OK : create_pinned(created);
    if (status == FCL_OK && early && !device->rehearsal)
        status = create_early(created);
    if (status != FCL_OK)
        fcl_window_destroy(window);
    return status;
}

static void forget(fcl_window *window)
{
    for (int64_t i = 0; i < window->pieces; i++)
        fcl_event_release(&window->there[i]);
    fcl_event_release(&window->back);
}

void fcl_window_destroy(fcl_window **window)
{
    fcl_window *dying = *window;
    if (!dying)
        return;
    fcl_device *device = device_of(dying);
    if (dying->in)
        clFinish(dying->in);
    if (dying->out)
        clFinish(dying->out);
    forget(dying);
    fcl_queue_release(device, dying->in);
    fcl_queue_release(device, dying->out);
    if (dying->numbers && !dying->pinned.memory)
        clEnqueueUnmapMemObject(device->queue, dying->buffer->memory, dying->numbers, 0, NULL, NULL);
    fcl_pinned_destroy(device, device->queue, &dying->pinned);
    clFinish(device->queue);
    for (int64_t i = 0; dying->slice && i < dying->pieces; i++)
        fcl_buffer_destroy(&dying->slice[i]);
    free(dying->slice);
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
    cl_int code = clEnqueueReadBuffer(device->queue, window->buffer->memory, CL_FALSE,
                                      (size_t)piece * FCL_WINDOW_PIECE * sizeof(float), piece_bytes(window, piece),
                                      window->numbers + piece * FCL_WINDOW_PIECE, 0, NULL, &window->there[piece]);
    return fcl_opencl_check(device, code, "reading a buffer");
}

/* The other queue waits for what is in the device's by now. */
int fcl_window_read(fcl_window *window, int64_t piece)
{
    fcl_device *device = device_of(window);
    cl_event written;
    FCL_TRY(fcl_opencl_check(device, clEnqueueMarkerWithWaitList(device->queue, 0, NULL, &written), "enqueueing a marker"));
    cl_int code = clFlush(device->queue);
    if (code == CL_SUCCESS)
        code = clEnqueueReadBuffer(window->in, window->slice[piece]->memory, CL_FALSE, 0, piece_bytes(window, piece),
                                   window->numbers + piece * FCL_WINDOW_PIECE, 1, &written, &window->there[piece]);
    clReleaseEvent(written);
    FCL_TRY(fcl_opencl_check(device, code, "reading a piece of a buffer"));
    return fcl_opencl_check(device, clFlush(window->in), "flushing the queue of copies");
}

static int read_rest(fcl_window *window)
{
    for (int64_t i = 0; i < window->pieces; i++)
        if (!window->there[i])
            FCL_TRY(window->in ? fcl_window_read(window, i) : read_piece(window, i));
    return FCL_OK;
}

int fcl_window_open(fcl_window *window, float **numbers)
{
    fcl_device *device = device_of(window);
    FCL_TRY(window->pinned.memory ? read_rest(window) : map(window));
    *numbers = window->numbers;
    return fcl_opencl_check(device, clFlush(device->queue), "flushing the queue");
}

/* The events that tell of some numbers. */
static cl_event *events_of(const fcl_window *window, int64_t first, int64_t count, int64_t *events)
{
    int64_t from = window->pinned.memory ? first / FCL_WINDOW_PIECE : 0;
    int64_t end = window->pinned.memory ? (first + count + FCL_WINDOW_PIECE - 1) / FCL_WINDOW_PIECE : 1;
    *events = end - from;
    return window->there + from;
}

int fcl_window_wait(fcl_window *window, int64_t first, int64_t count)
{
    int64_t events;
    const cl_event *there = events_of(window, first, count, &events);
    return fcl_opencl_check(device_of(window), clWaitForEvents((cl_uint)events, there), "waiting for a buffer's numbers");
}

int fcl_window_look(fcl_window *window, int64_t first, int64_t count, bool *there)
{
    int64_t events;
    const cl_event *event = events_of(window, first, count, &events);
    *there = true;
    for (int64_t i = 0; i < events; i++) {
        cl_int state = CL_QUEUED;
        cl_int code = clGetEventInfo(event[i], CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof state, &state, NULL);
        FCL_TRY(fcl_opencl_check(device_of(window), code, "looking for a buffer's numbers"));
        *there &= state <= CL_COMPLETE; /* below it: the command has failed, and the wait says so */
    }
    return FCL_OK;
}

static int give_back(fcl_window *window, int64_t piece)
{
    fcl_device *device = device_of(window);
    fcl_event_release(&window->back);
    cl_int code = clEnqueueWriteBuffer(window->out, window->slice[piece]->memory, CL_FALSE, 0, piece_bytes(window, piece),
                                       window->numbers + piece * FCL_WINDOW_PIECE, 0, NULL, &window->back);
    FCL_TRY(fcl_opencl_check(device, code, "writing a piece of a buffer"));
    return fcl_opencl_check(device, clFlush(window->out), "flushing the queue of copies");
}

int fcl_window_return(fcl_window *window, int64_t first, int64_t count)
{
    fcl_device *device = device_of(window);
    if (!window->pinned.memory)
        return FCL_OK;
    if (window->out)
        return give_back(window, first / FCL_WINDOW_PIECE);
    cl_int code = clEnqueueWriteBuffer(device->queue, window->buffer->memory, CL_FALSE, (size_t)first * sizeof(float),
                                       (size_t)count * sizeof(float), window->numbers + first, 0, NULL, NULL);
    return fcl_opencl_check(device, code, "writing a buffer");
}

int fcl_window_close(fcl_window *window)
{
    fcl_device *device = device_of(window);
    cl_int code = CL_SUCCESS;
    if (window->back) /* behind all others that went back */
        code = clEnqueueBarrierWithWaitList(device->queue, 1, &window->back, NULL);
    forget(window);
    FCL_TRY(fcl_opencl_check(device, code, "enqueueing a barrier"));
    if (window->pinned.memory || !window->numbers)
        return FCL_OK;
    code = clEnqueueUnmapMemObject(device->queue, window->buffer->memory, window->numbers, 0, NULL, NULL);
    window->numbers = NULL;
    return fcl_opencl_check(device, code, "unmapping a buffer");
}

int fcl_window_drop(fcl_window *window)
{
    if (window->in)
        FCL_TRY(fcl_opencl_check(device_of(window), clFinish(window->in), "waiting for the pieces of a buffer"));
    return fcl_window_close(window);
}
