#include "opencl_calls.h"

#include <CL/cl.h>
#include <dlfcn.h>
#include <string.h>

_Thread_local opencl_calls calls;

/* The loader's function of that name, in the caller's variable of its type. */
#define REAL(name)                                                                                                \
    __typeof__(name) *real;                                                                                       \
    void *symbol = dlsym(RTLD_NEXT, #name);                                                                       \
    memcpy(&real, &symbol, sizeof real)

cl_int clFinish(cl_command_queue queue)
{
    REAL(clFinish);
    calls.waits++;
    return real(queue);
}

cl_int clWaitForEvents(cl_uint count, const cl_event *events)
{
    REAL(clWaitForEvents);
    calls.waits++;
    return real(count, events);
}

cl_int clEnqueueWriteBuffer(cl_command_queue queue, cl_mem buffer, cl_bool blocking, size_t offset, size_t bytes,
                            const void *source, cl_uint count, const cl_event *events, cl_event *event)
{
    REAL(clEnqueueWriteBuffer);
    calls.waits += blocking != CL_FALSE;
    calls.writes++;
    return real(queue, buffer, blocking, offset, bytes, source, count, events, event);
}

cl_int clEnqueueReadBuffer(cl_command_queue queue, cl_mem buffer, cl_bool blocking, size_t offset, size_t bytes,
                           void *destination, cl_uint count, const cl_event *events, cl_event *event)
{
    REAL(clEnqueueReadBuffer);
    calls.waits += blocking != CL_FALSE;
    calls.launches_before_reads = calls.reads++ ? calls.launches_before_reads : calls.launches;
    return real(queue, buffer, blocking, offset, bytes, destination, count, events, event);
}

void *clEnqueueMapBuffer(cl_command_queue queue, cl_mem buffer, cl_bool blocking, cl_map_flags flags, size_t offset,
                         size_t bytes, cl_uint count, const cl_event *events, cl_event *event, cl_int *code)
{
    REAL(clEnqueueMapBuffer);
    calls.waits += blocking != CL_FALSE;
    return real(queue, buffer, blocking, flags, offset, bytes, count, events, event, code);
}

cl_int clEnqueueNDRangeKernel(cl_command_queue queue, cl_kernel kernel, cl_uint dimensions, const size_t *offset,
                              const size_t *global, const size_t *local, cl_uint count, const cl_event *events,
                              cl_event *event)
{
    REAL(clEnqueueNDRangeKernel);
    calls.launches++;
    return real(queue, kernel, dimensions, offset, global, local, count, events, event);
}
