#include "opencl_faults.h"

#include <CL/cl.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

opencl_faults faults;

const char *const opencl_object_names[OPENCL_OBJECTS] = {"context", "queue", "buffer", "program",
                                                         "kernel",  "event", "map"};

/* Of a program that it is preloaded to: $FAULTS_AT is the call from which on the device is gone, and how many
 * there were comes into the file $FAULTS_COUNT. */
__attribute__((constructor)) static void begin(void)
{
    const char *at = getenv("FAULTS_AT");
    faults.at = at ? atoi(at) : 0;
    faults.gone = true;
    faults.code = CL_OUT_OF_RESOURCES;
}

__attribute__((destructor)) static void end(void)
{
    const char *path = getenv("FAULTS_COUNT");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (!file)
        return;
    fprintf(file, "%d\n", faults.calls);
    fclose(file);
}

/* What a call does, and so whether a device that is gone refuses it. */
typedef enum kind { ASKS, RELEASES, WORKS, WAITS } kind;

/* Counts a call; CL_SUCCESS where it goes on. */
static cl_int fault(const char *name, kind of)
{
    int call = ++faults.calls;
    bool now = call == faults.at || (faults.at && call > faults.at && faults.gone && of >= WORKS);
    if (!now)
        return CL_SUCCESS;
    if (!faults.failed)
        faults.failed = name;
    if (call > faults.at)
        return CL_INVALID_OPERATION;
    return of == WAITS ? CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST : faults.code;
}

/* The loader's function of that name, in a variable of its type, and whether this call fails. */
#define BEGIN(name, of)                                                                                      \
    __typeof__(name) *real;                                                                                  \
    void *symbol = dlsym(RTLD_NEXT, #name);                                                                  \
    memcpy(&real, &symbol, sizeof real);                                                                     \
    const cl_int fails = fault(#name, of)

#define CALL(of, name, parameters, arguments)                                                                \
    cl_int name parameters                                                                                   \
    {                                                                                                        \
        BEGIN(name, of);                                                                                     \
        return fails ? fails : real arguments;                                                               \
    }

/* The wait itself is over when it fails: what runs may still need the host's memory. */
#define WAIT(name, parameters, arguments)                                                                    \
    cl_int name parameters                                                                                   \
    {                                                                                                        \
        BEGIN(name, WAITS);                                                                                  \
        cl_int result = real arguments;                                                                      \
        return fails ? fails : result;                                                                       \
    }

#define MAKE(object, type, name, parameters, arguments)                                                      \
    type name parameters                                                                                     \
    {                                                                                                        \
        BEGIN(name, WORKS);                                                                                  \
        type made = fails ? NULL : real arguments;                                                           \
        faults.alive[object] += made != NULL;                                                                \
        if (fails && code)                                                                                   \
            *code = fails;                                                                                   \
        return made;                                                                                         \
    }

#define RELEASE(object, type, name)                                                                          \
    cl_int name(type released)                                                                               \
    {                                                                                                        \
        BEGIN(name, RELEASES);                                                                               \
        cl_int result = real(released);                                                                      \
        faults.alive[object]--;                                                                              \
        return fails ? fails : result;                                                                       \
    }

#define ENQUEUE(name, parameters, arguments)                                                                 \
    cl_int name parameters                                                                                   \
    {                                                                                                        \
        BEGIN(name, WORKS);                                                                                  \
        cl_int result = fails ? fails : real arguments;                                                      \
        faults.alive[OPENCL_EVENT] += event && result == CL_SUCCESS;                                         \
        return result;                                                                                       \
    }

CALL(ASKS, clGetPlatformIDs, (cl_uint room, cl_platform_id *ids, cl_uint *count), (room, ids, count))
CALL(ASKS, clGetPlatformInfo,
     (cl_platform_id of, cl_platform_info key, size_t room, void *value, size_t *size),
     (of, key, room, value, size))
CALL(ASKS, clGetDeviceIDs,
     (cl_platform_id of, cl_device_type type, cl_uint room, cl_device_id *ids, cl_uint *count),
     (of, type, room, ids, count))
CALL(ASKS, clGetDeviceInfo, (cl_device_id of, cl_device_info key, size_t room, void *value, size_t *size),
     (of, key, room, value, size))
CALL(ASKS, clGetCommandQueueInfo,
     (cl_command_queue of, cl_command_queue_info key, size_t room, void *value, size_t *size),
     (of, key, room, value, size))
CALL(ASKS, clGetMemObjectInfo, (cl_mem of, cl_mem_info key, size_t room, void *value, size_t *size),
     (of, key, room, value, size))
CALL(ASKS, clGetProgramInfo, (cl_program of, cl_program_info key, size_t room, void *value, size_t *size),
     (of, key, room, value, size))
CALL(ASKS, clGetProgramBuildInfo,
     (cl_program of, cl_device_id id, cl_program_build_info key, size_t room, void *value, size_t *size),
     (of, id, key, room, value, size))
CALL(ASKS, clGetKernelWorkGroupInfo,
     (cl_kernel of, cl_device_id id, cl_kernel_work_group_info key, size_t room, void *value, size_t *size),
     (of, id, key, room, value, size))
CALL(ASKS, clGetEventProfilingInfo,
     (cl_event of, cl_profiling_info key, size_t room, void *value, size_t *size),
     (of, key, room, value, size))

MAKE(OPENCL_CONTEXT, cl_context, clCreateContext,
     (const cl_context_properties *with, cl_uint count, const cl_device_id *ids,
      void(CL_CALLBACK *told)(const char *, const void *, size_t, void *), void *data, cl_int *code),
     (with, count, ids, told, data, code))
MAKE(OPENCL_QUEUE, cl_command_queue, clCreateCommandQueue,
     (cl_context in, cl_device_id id, cl_command_queue_properties with, cl_int *code), (in, id, with, code))
MAKE(OPENCL_MEMORY, cl_mem, clCreateBuffer,
     (cl_context in, cl_mem_flags flags, size_t bytes, void *host, cl_int *code),
     (in, flags, bytes, host, code))
MAKE(OPENCL_MEMORY, cl_mem, clCreateSubBuffer,
     (cl_mem of, cl_mem_flags flags, cl_buffer_create_type type, const void *region, cl_int *code),
     (of, flags, type, region, code))
MAKE(OPENCL_PROGRAM, cl_program, clCreateProgramWithSource,
     (cl_context in, cl_uint count, const char **text, const size_t *size, cl_int *code),
     (in, count, text, size, code))
MAKE(OPENCL_PROGRAM, cl_program, clCreateProgramWithBinary,
     (cl_context in, cl_uint count, const cl_device_id *ids, const size_t *size, const unsigned char **binary,
      cl_int *status, cl_int *code),
     (in, count, ids, size, binary, status, code))
MAKE(OPENCL_KERNEL, cl_kernel, clCreateKernel, (cl_program of, const char *name, cl_int *code),
     (of, name, code))
RELEASE(OPENCL_CONTEXT, cl_context, clReleaseContext)
RELEASE(OPENCL_QUEUE, cl_command_queue, clReleaseCommandQueue)
RELEASE(OPENCL_MEMORY, cl_mem, clReleaseMemObject)
RELEASE(OPENCL_PROGRAM, cl_program, clReleaseProgram)
RELEASE(OPENCL_KERNEL, cl_kernel, clReleaseKernel)
RELEASE(OPENCL_EVENT, cl_event, clReleaseEvent)

/* Who waits for several things asks as often as there is time for it: no call of these counts, but none succeeds on a device
 * that is gone. */
cl_int clGetEventInfo(cl_event of, cl_event_info key, size_t room, void *value, size_t *size)
{
    __typeof__(clGetEventInfo) *real;
    void *symbol = dlsym(RTLD_NEXT, "clGetEventInfo");
    memcpy(&real, &symbol, sizeof real);
    bool gone = faults.at && faults.gone && faults.calls >= faults.at;
    return gone ? CL_INVALID_OPERATION : real(of, key, room, value, size);
}

/* Gives two objects: the mapping, and the event of one that is not waited for. */
void *clEnqueueMapBuffer(cl_command_queue queue, cl_mem buffer, cl_bool blocking, cl_map_flags flags, size_t offset,
                         size_t bytes, cl_uint count, const cl_event *events, cl_event *event, cl_int *code)
{
    BEGIN(clEnqueueMapBuffer, WORKS);
    void *mapped = fails ? NULL : real(queue, buffer, blocking, flags, offset, bytes, count, events, event, code);
    faults.alive[OPENCL_MAP] += mapped != NULL;
    faults.alive[OPENCL_EVENT] += mapped && event;
    if (fails && code)
        *code = fails;
    return mapped;
}

/* A mapping ends in any case: the memory behind it goes. */
cl_int clEnqueueUnmapMemObject(cl_command_queue queue, cl_mem memory, void *mapped, cl_uint count,
                               const cl_event *events, cl_event *event)
{
    BEGIN(clEnqueueUnmapMemObject, RELEASES);
    cl_int result = real(queue, memory, mapped, count, events, event);
    faults.alive[OPENCL_MAP]--;
    return fails ? fails : result;
}

CALL(WORKS, clBuildProgram,
     (cl_program program, cl_uint count, const cl_device_id *ids, const char *options,
      void(CL_CALLBACK *told)(cl_program, void *), void *data),
     (program, count, ids, options, told, data))
CALL(WORKS, clSetKernelArg, (cl_kernel kernel, cl_uint index, size_t size, const void *value),
     (kernel, index, size, value))
CALL(WORKS, clFlush, (cl_command_queue queue), (queue))
WAIT(clFinish, (cl_command_queue queue), (queue))
WAIT(clWaitForEvents, (cl_uint count, const cl_event *events), (count, events))

ENQUEUE(clEnqueueReadBuffer,
        (cl_command_queue queue, cl_mem buffer, cl_bool blocking, size_t offset, size_t bytes, void *to,
         cl_uint count, const cl_event *events, cl_event *event),
        (queue, buffer, blocking, offset, bytes, to, count, events, event))
ENQUEUE(clEnqueueWriteBuffer,
        (cl_command_queue queue, cl_mem buffer, cl_bool blocking, size_t offset, size_t bytes,
         const void *from, cl_uint count, const cl_event *events, cl_event *event),
        (queue, buffer, blocking, offset, bytes, from, count, events, event))
ENQUEUE(clEnqueueFillBuffer,
        (cl_command_queue queue, cl_mem buffer, const void *pattern, size_t size, size_t offset, size_t bytes,
         cl_uint count, const cl_event *events, cl_event *event),
        (queue, buffer, pattern, size, offset, bytes, count, events, event))
ENQUEUE(clEnqueueCopyBuffer,
        (cl_command_queue queue, cl_mem from, cl_mem to, size_t from_offset, size_t to_offset, size_t bytes,
         cl_uint count, const cl_event *events, cl_event *event),
        (queue, from, to, from_offset, to_offset, bytes, count, events, event))
ENQUEUE(clEnqueueNDRangeKernel,
        (cl_command_queue queue, cl_kernel kernel, cl_uint dimensions, const size_t *offset,
         const size_t *global, const size_t *local, cl_uint count, const cl_event *events, cl_event *event),
        (queue, kernel, dimensions, offset, global, local, count, events, event))
ENQUEUE(clEnqueueMarkerWithWaitList,
        (cl_command_queue queue, cl_uint count, const cl_event *events, cl_event *event),
        (queue, count, events, event))
ENQUEUE(clEnqueueBarrierWithWaitList,
        (cl_command_queue queue, cl_uint count, const cl_event *events, cl_event *event),
        (queue, count, events, event))
